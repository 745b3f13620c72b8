"""Coarse levels of the black-box multigrid for nine-point stencils: links of the finest one, weights, Galerkin's operators.

Interpolation follows the stencil (J. E. Dendy, "Black box multigrid", J. Comput. Phys. 48 (1982) 366; P. M. de Zeeuw,
"Matrix-dependent prolongations and restrictions in a blackbox multigrid solver", J. Comput. Appl. Math. 33 (1990) 1).
Coarse nodes are those of even row and column, whatever the size. Sides may wrap, odd sizes too: then the last node and
the first are neighbours.

A level keeps links, not matrix rows: `c` (4, NY, NX) are the conductances of each node to E, S, SE, SW, and `reaction`
what each loses to fixed neighbours. The diagonal is never rounded apart from them: a constant stays a constant at any
contrast in float32. Arrays are padded as in `stencil`. `inverse` is that of the diagonal, 0 where there is no unknown.
"""

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device
from .stencil import PAD, chunks, interior, wrap
from .threads import in_pieces

_THREADS = (32, 4)
_ROUNDING = 1e-13     # of the diagonal
# A coarse node that hardly any fine node follows (a stub that hangs on a fixed side) has a diagonal of its weights
# squared, squared again on every level until float32 overflows. Below this share of the largest it is no unknown.
NOTHING = 1e-20


def links(operator):
    """(c, reaction) of a `stencil.Conduction` in float32: links to fixed nodes become reactions."""
    xp = array_module(operator.k)
    k, free = operator.k, operator.free
    ny, nx = operator.shape
    c = xp.zeros((4, *free.shape), np.float32)
    reaction = xp.zeros(free.shape, np.float32)
    extra = operator.reaction if operator.reaction.size else xp.zeros((0, 0))
    if len(k) == 4:
        if on_device(k):
            _mask_links(k, free, c, reaction)
        else:
            in_pieces(_mask_link_rows, chunks(ny), k, free, c, reaction)
        if extra.size:
            reaction += extra * free
    elif on_device(k):
        blocks = (-(-nx // _THREADS[0]), -(-ny // _THREADS[1]))
        launch("coarsening", "mg_links", blocks, _THREADS, k[0], free, extra if extra.size else k, np.int32(extra.size > 0),
               *(np.float64(g) for g in operator.weights), c, reaction, np.int32(ny), np.int32(nx))
    else:
        in_pieces(_links_rows, chunks(ny), k[0], free, extra, *operator.weights, c, reaction)
    wrap(reaction, operator.periodic)
    return wrap(c, operator.periodic), reaction


def _mask_links(k, free, c, reaction):
    """Of links k (4, ...) keep in c those between free nodes; those that end at others are reactions."""
    rows, columns = free.shape
    inside = np.s_[PAD:rows - PAD, PAD:columns - PAD]
    here = free[inside]
    for n, (di, dj) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
        there = np.s_[PAD + di:rows - PAD + di, PAD + dj:columns - PAD + dj]
        back = np.s_[PAD - di:rows - PAD - di, PAD - dj:columns - PAD - dj]
        c[n][inside] = k[n][inside] * here * free[there]
        reaction[inside] += k[n][inside] * here * (1 - free[there]) + k[n][back] * here * (1 - free[back])


def interpolation(c, reaction, inverse, shape, periodic):
    """The weights of a level (see `Level.weight`), float64, pads filled for sides that wrap."""
    xp = array_module(c)
    coarse = tuple((n + 1) // 2 for n in shape)
    w = xp.zeros((8, *(n + 2 * PAD for n in coarse)))
    args = (c, reaction, inverse, w, *shape)
    if on_device(c):
        _launch_coarse("mg_edge_weights", coarse, *args)
    else:
        in_pieces(_edge_rows, chunks(coarse[0]), *args)
    _fill_edges(w, shape, coarse, periodic)
    if on_device(c):
        _launch_coarse("mg_centre_weights", coarse, *args)
    else:
        in_pieces(_centre_rows, chunks(coarse[0]), c, reaction, w, *shape)
    _fill_centres(w, shape, coarse, periodic)
    return w


def _launch_coarse(kernel, coarse, c, reaction, inverse, w, ny, nx, *more):
    blocks = (-(-coarse[1] // _THREADS[0]), -(-coarse[0] // _THREADS[1]))
    launch("coarsening", kernel, blocks, _THREADS, c, reaction, inverse, w, *more, np.int32(ny), np.int32(nx))


# Round an odd circle the last node and the first are both coarse. The cells between them get a phantom odd node: the
# last cell sees the first node there (weight 1 to the far corner), the pad before the first cell sees the last node.

def _fill_edges(w, shape, coarse, periodic):
    for axis in (1, 0):
        if not periodic[axis]:
            continue
        near, far = (0, 1) if axis == 1 else (2, 3)
        v = w if axis == 1 else w.swapaxes(1, 2)
        n = coarse[axis]
        if shape[axis] % 2:
            v[near, :, PAD + n - 1], v[far, :, PAD + n - 1] = 0, 1
        wrap(w, (axis == 0, axis == 1))
        if shape[axis] % 2:
            v[near, :, PAD - 1], v[far, :, PAD - 1] = 1, 0


def _fill_centres(w, shape, coarse, periodic):
    for axis in (1, 0):
        if not periodic[axis]:
            continue
        # along the seam the centre node is a node of the other axis: its two weights go to the near or the far corners
        along = (2, 3) if axis == 1 else (0, 1)
        near, far = ((4, 6), (5, 7)) if axis == 1 else ((4, 5), (6, 7))
        v = w if axis == 1 else w.swapaxes(1, 2)
        n = coarse[axis]
        if shape[axis] % 2:
            for a, i, j in zip(along, near, far):
                v[i, :, PAD + n - 1], v[j, :, PAD + n - 1] = 0, v[a, :, PAD]
        wrap(w[4:], (axis == 0, axis == 1))
        if shape[axis] % 2:
            for a, i, j in zip(along, near, far):
                v[i, :, PAD - 1], v[j, :, PAD - 1] = v[a, :, PAD + n - 1], 0


def galerkin(c, reaction, inverse, weight, shape, periodic):
    """(links, reaction, periodic) of the next coarser level: P^T A P, formed in float64 and stored in float32."""
    xp = array_module(c)
    coarse = tuple((n + 1) // 2 for n in shape)
    out = xp.zeros((4, *(n + 2 * PAD for n in coarse)), np.float32)
    loss = xp.zeros(out.shape[1:], np.float32)
    if on_device(c):
        _launch_coarse("mg_galerkin", coarse, c, reaction, inverse, weight, *shape, out, loss)
    else:
        in_pieces(_galerkin_rows, chunks(coarse[0]), c, reaction, inverse, weight, out, loss, *shape)
    return _fold(wrap(out, periodic), wrap(loss, periodic), coarse, periodic)


def _fold(c, reaction, shape, periodic):
    """A circle of one node: links round it join the node to itself or its neighbours along the other axis."""
    ends = [wraps and n > 1 for n, wraps in zip(shape, periodic)]
    if periodic[0] and not ends[0]:
        row = c[:, PAD]
        row[0] += row[2]
        row[0, :-1] += row[3, 1:]
        row[1:] = 0
    if periodic[1] and not ends[1]:
        column = c[:, :, PAD]
        column[1] += column[2] + column[3]
        column[0] = column[2] = column[3] = 0
    for axis in (0, 1):
        if periodic[axis] and not ends[axis]:
            for a in (c, reaction):
                v = a.swapaxes(-1, -2) if axis == 1 else a
                v[..., :PAD, :] = 0
                v[..., -PAD:, :] = 0
    periodic = tuple(ends)
    return wrap(c, periodic), wrap(reaction, periodic), periodic


def dense_inverse(c, reaction, shape, periodic):
    """Inverse of a small level, float64, as of `inverse_of`."""
    ny, nx = shape
    number = np.arange(ny * nx).reshape(shape)
    conductance = np.zeros((ny * nx, ny * nx))
    for link, (di, dj) in zip(c.astype(np.float64), ((0, 1), (1, 0), (1, 1), (1, -1))):
        i, j = np.nonzero(link[PAD:PAD + ny, PAD:PAD + nx])
        a, b = number[i, j], number[(i + di) % ny, (j + dj) % nx]
        np.add.at(conductance, (a, b), link[i + PAD, j + PAD])
        np.add.at(conductance, (b, a), link[i + PAD, j + PAD])
    np.fill_diagonal(conductance, 0)
    return inverse_of(conductance, interior(reaction).astype(np.float64).ravel())


def inverse_of(conductance, loss):
    """Inverse (N, N) of the operator of links (N, N) and losses (N,), float64. A piece without any loss is singular: the
    mean of its answer is set to 0."""
    from scipy.sparse.csgraph import connected_components
    diagonal = conductance.sum(axis=1) + loss
    matrix = np.diag(diagonal) - conductance
    count, piece = connected_components(conductance != 0, directed=False)
    for n in range(count):
        inside = np.flatnonzero(piece == n)
        if loss[inside].sum() == 0 and diagonal[inside].max() > 0:
            matrix[np.ix_(inside, inside)] += diagonal[inside].mean() / inside.size
    used = np.flatnonzero(diagonal > diagonal.max() * NOTHING)
    inverse = np.zeros_like(matrix)
    if used.size:
        part = np.linalg.inv(matrix[np.ix_(used, used)])
        inverse[np.ix_(used, used)] = (part + part.T) / 2
    return inverse


# CPU

@njit(cache=True, nogil=True)
def _links_rows(k, free, extra, along_x, along_y, across, c, reaction, first, last):
    for i in range(first + 2, last + 2):
        for j in range(2, c.shape[2] - 2):
            if free[i, j] == 0:
                continue
            nw, ne, sw, se = k[i - 1, j - 1], k[i - 1, j], k[i, j - 1], k[i, j]
            c[0, i, j] = along_x * (ne + se) * free[i, j + 1]
            c[1, i, j] = along_y * (sw + se) * free[i + 1, j]
            c[2, i, j] = across * se * free[i + 1, j + 1]
            c[3, i, j] = across * sw * free[i + 1, j - 1]
            lost = (along_x * ((ne + se) * (1 - free[i, j + 1]) + (nw + sw) * (1 - free[i, j - 1]))
                    + along_y * ((sw + se) * (1 - free[i + 1, j]) + (nw + ne) * (1 - free[i - 1, j]))
                    + across * (se * (1 - free[i + 1, j + 1]) + sw * (1 - free[i + 1, j - 1])
                                + ne * (1 - free[i - 1, j + 1]) + nw * (1 - free[i - 1, j - 1])))
            if extra.size > 0:
                lost += extra[i, j]
            reaction[i, j] = lost


@njit(cache=True, nogil=True)
def _mask_link_rows(k, free, c, reaction, first, last):
    for i in range(first + 2, last + 2):
        for j in range(2, c.shape[2] - 2):
            if free[i, j] == 0:
                continue
            lost = 0.0
            for n, (di, dj) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
                there, back = free[i + di, j + dj], free[i - di, j - dj]
                c[n, i, j] = k[n, i, j] * there
                lost += k[n, i, j] * (1 - there) + k[n, i - di, j - dj] * (1 - back)
            reaction[i, j] = lost


@njit(cache=True)
def _split(near, far, near_active, far_active, far_exists, diagonal, loss):
    """Weights of a node between two coarse ones, from what ties it to either side.

    The two sum to 1 less the share of its loss. A coarse node where there is no unknown gets no weight, unless there is
    nothing else: then it stands in for the node (a wire on odd columns in a void stays on the coarse grid).
    Long pixels tie neighbours along them by negative links: those say nothing about a weight, which stays in 0 .. 1.
    """
    if near < 0 or far < 0:
        near, far = max(near, 0.0), max(far, 0.0)
        if near + far == 0:
            near = far = (diagonal - loss) / 2
    total = near + far
    if total > 0 and (near_active or far_active):
        share = 1 / (total + loss)
        if near_active and far_active:
            return near * share, far * share
        return (total * share, 0.0) if near_active else (0.0, total * share)
    kept = (diagonal - loss) / diagonal
    if far_exists and (far > near or (total == 0 and near_active and not far_active)):
        return 0.0, kept
    return kept, 0.0


@njit(cache=True, nogil=True)
def _edge_rows(c, reaction, inverse, w, ny, nx, first, last):
    for ci in range(first, last):
        i = 2 * ci + 2
        for cj in range((nx + 1) // 2):
            j = 2 * cj + 2
            if 2 * cj + 1 < nx and inverse[i, j + 1] > 0:
                west = np.float64(c[0, i, j]) + c[2, i - 1, j] + c[3, i, j + 1]
                east = np.float64(c[0, i, j + 1]) + c[3, i - 1, j + 2] + c[2, i, j + 1]
                w[0, ci + 2, cj + 2], w[1, ci + 2, cj + 2] = _split(
                    west, east, inverse[i, j] > 0, inverse[i, j + 2] > 0, 2 * cj + 2 < nx,
                    1 / np.float64(inverse[i, j + 1]), np.float64(reaction[i, j + 1]))
            if 2 * ci + 1 < ny and inverse[i + 1, j] > 0:
                north = np.float64(c[1, i, j]) + c[2, i, j - 1] + c[3, i, j + 1]
                south = np.float64(c[1, i + 1, j]) + c[3, i + 1, j] + c[2, i + 1, j]
                w[2, ci + 2, cj + 2], w[3, ci + 2, cj + 2] = _split(
                    north, south, inverse[i, j] > 0, inverse[i + 2, j] > 0, 2 * ci + 2 < ny,
                    1 / np.float64(inverse[i + 1, j]), np.float64(reaction[i + 1, j]))


@njit(cache=True, nogil=True)
def _centre_rows(c, reaction, w, ny, nx, first, last):
    for a in range(first + 2, last + 2):
        i = 2 * a - 1
        if i - 2 >= ny:
            continue
        for b in range(2, nx // 2 + 2):
            j = 2 * b - 1
            n, s, west, e = np.float64(c[1, i - 1, j]), np.float64(c[1, i, j]), np.float64(c[0, i, j - 1]), np.float64(c[0, i, j])
            nw, ne = np.float64(c[2, i - 1, j - 1]), np.float64(c[3, i - 1, j + 1])
            sw, se = np.float64(c[3, i, j]), np.float64(c[2, i, j])
            d = n + s + west + e + nw + ne + sw + se + reaction[i, j]
            if d > 0:
                w[4, a, b] = (nw + n * w[0, a, b] + west * w[2, a, b]) / d
                w[5, a, b] = (ne + n * w[1, a, b] + e * w[2, a, b + 1]) / d
                w[6, a, b] = (sw + s * w[0, a + 1, b] + west * w[3, a, b]) / d
                w[7, a, b] = (se + s * w[1, a + 1, b] + e * w[3, a, b + 1]) / d


@njit(cache=True)
def _basis(p, inverse, w, a, b):
    """The basis function of coarse node (a, b) (padded) in the middle of the 5 x 5 window p."""
    i, j = 2 * a - 2, 2 * b - 2
    p[2, 2] = 1.0 if inverse[i, j] > 0 else 0.0
    p[2, 3], p[2, 1] = w[0, a, b], w[1, a, b - 1]
    p[3, 2], p[1, 2] = w[2, a, b], w[3, a - 1, b]
    p[3, 3], p[3, 1] = w[4, a, b], w[5, a, b - 1]
    p[1, 3], p[1, 1] = w[6, a - 1, b], w[7, a - 1, b - 1]


@njit(cache=True)
def _times(c, reaction, p, i, j, di, dj):
    """(A p) at offset (di, dj) from fine node (i, j); p is zero outside the middle 3 x 3 of its 7 x 7 window."""
    r, s, y, x = di + 3, dj + 3, i + di, j + dj
    m = p[r, s]
    return (np.float64(c[0, y, x]) * (m - p[r, s + 1]) + np.float64(c[0, y, x - 1]) * (m - p[r, s - 1])
            + np.float64(c[1, y, x]) * (m - p[r + 1, s]) + np.float64(c[1, y - 1, x]) * (m - p[r - 1, s])
            + np.float64(c[2, y, x]) * (m - p[r + 1, s + 1]) + np.float64(c[2, y - 1, x - 1]) * (m - p[r - 1, s - 1])
            + np.float64(c[3, y, x]) * (m - p[r + 1, s - 1]) + np.float64(c[3, y - 1, x + 1]) * (m - p[r - 1, s + 1])
            + np.float64(reaction[y, x]) * m)


@njit(cache=True, nogil=True)
def _galerkin_rows(c, reaction, inverse, w, out, loss, ny, nx, first, last):
    p = np.zeros((7, 7))
    middle = p[1:6, 1:6]
    v, q = np.zeros((5, 5)), np.zeros((7, 7))
    for a in range(first + 2, last + 2):
        for b in range(2, (nx + 1) // 2 + 2):
            i, j = 2 * a - 2, 2 * b - 2
            _basis(middle, inverse, w, a, b)
            for di in range(-1, 3):
                for dj in range(-2, 3):
                    v[di + 2, dj + 2] = _times(c, reaction, p, i, j, di, dj) if (i + di < ny + 3 and j + dj < nx + 3) else 0.0
            out[0, a, b] = -(v[2, 4] + w[1, a, b] * v[2, 3] + w[2, a, b + 1] * v[3, 4] + w[3, a - 1, b + 1] * v[1, 4]
                             + w[5, a, b] * v[3, 3] + w[7, a - 1, b] * v[1, 3])
            out[1, a, b] = -(v[4, 2] + w[3, a, b] * v[3, 2] + w[0, a + 1, b] * v[4, 3] + w[1, a + 1, b - 1] * v[4, 1]
                             + w[6, a, b] * v[3, 3] + w[7, a, b - 1] * v[3, 1])
            out[2, a, b] = -(v[4, 4] + w[1, a + 1, b] * v[4, 3] + w[3, a, b + 1] * v[3, 4] + w[7, a, b] * v[3, 3])
            out[3, a, b] = -(v[4, 0] + w[0, a + 1, b - 1] * v[4, 1] + w[3, a, b - 1] * v[3, 0] + w[6, a, b - 1] * v[3, 1])
            # what only rounding leaves: a coarse node that holds a whole insulated piece has no links at all
            size = _ROUNDING * _size(inverse, p, i, j)
            for n in range(4):
                if abs(out[n, a, b]) <= size:
                    out[n, a, b] = 0
            if _loses(reaction, i, j):
                total = _coarse_loss(c, reaction, w, p, q, a, b)
                if total > size:
                    loss[a, b] = total


@njit(cache=True)
def _size(inverse, p, i, j):
    """Diagonal of A, weighted by the basis function p."""
    total = 0.0
    for di in range(-1, 2):
        for dj in range(-1, 2):
            if inverse[i + di, j + dj] > 0:
                total += p[di + 3, dj + 3] / inverse[i + di, j + dj]
    return total


@njit(cache=True)
def _loses(reaction, i, j):
    total = 0.0
    for y in range(i - 2, min(i + 3, reaction.shape[0])):
        for x in range(j - 2, min(j + 3, reaction.shape[1])):
            total += reaction[y, x]
    return total > 0


@njit(cache=True)
def _coarse_loss(c, reaction, w, p, q, a, b):
    """Row sum of P^T A P: the basis function p against A times the interpolated one, q."""
    i, j = 2 * a - 2, 2 * b - 2
    for di in range(-1, 2):
        q[2 * di + 3, 1] = q[2 * di + 3, 3] = q[2 * di + 3, 5] = 1.0
        q[2 * di + 3, 2] = w[0, a + di, b - 1] + w[1, a + di, b - 1]
        q[2 * di + 3, 4] = w[0, a + di, b] + w[1, a + di, b]
    for dj in range(-1, 2):
        q[2, 2 * dj + 3] = w[2, a - 1, b + dj] + w[3, a - 1, b + dj]
        q[4, 2 * dj + 3] = w[2, a, b + dj] + w[3, a, b + dj]
    for di in range(2):
        for dj in range(2):
            y, x = a - 1 + di, b - 1 + dj
            q[2 + 2 * di, 2 + 2 * dj] = w[4, y, x] + w[5, y, x] + w[6, y, x] + w[7, y, x]
    total = 0.0
    for di in range(-1, 2):
        for dj in range(-1, 2):
            total += p[di + 3, dj + 3] * _times(c, reaction, q, i, j, di, dj)
    return total
