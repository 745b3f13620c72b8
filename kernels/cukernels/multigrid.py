"""Black-box multigrid for nine-point stencils: the preconditioner that does not mind where copper meets oxide.

Interpolation follows the stencil, coarse operators are Galerkin's (J. E. Dendy, "Black box multigrid", J. Comput. Phys.
48 (1982) 366; P. M. de Zeeuw, "Matrix-dependent prolongations and restrictions in a blackbox multigrid solver",
J. Comput. Appl. Math. 33 (1990) 1). Coarse nodes are those of even row and column, whatever the size. Smoothing is
Gauss-Seidel in four colours, one way on the way down and the other way on the way up, so that a cycle is symmetric and
positive. Sides may wrap, odd sizes too: then the last node and the first are neighbours of one colour, and the last row
or column is a colour of its own.

A level keeps links, not matrix rows: `c` (4, NY, NX) are the conductances of each node to E, S, SE, SW, and `reaction`
what each loses to fixed neighbours. The diagonal is never rounded apart from them: a constant stays a constant at any
contrast in float32. Arrays are padded as in `stencil`.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device, to_host
from .stencil import PAD, chunks, inner_row, interior, outer_row, wrap
from .threads import in_pieces, processors

DIRECT = 200          # nodes at which a dense inverse takes over
_SERIAL = 100_000     # nodes below which one thread is faster than calling two
_SHARED = 30_000      # nodes times fields that a thread should have at least, where fields are shared out
_THREADS = (32, 4)
_ROUNDING = 1e-13     # of the diagonal
# A coarse node that hardly any fine node follows (a stub that hangs on a fixed side) has a diagonal of its weights
# squared, squared again on every level until float32 overflows. Below this share of the largest it is no unknown.
_NOTHING = 1e-20

# Where small pieces touch at corners, a single coarse cycle loses a little on every level. Two, joined by the Chebyshev
# polynomial for eigenvalues in [_LOWEST, 1], keep the rate of two grids (O. Axelsson, P. S. Vassilevski, "Algebraic
# multilevel preconditioning methods I", Numer. Math. 56 (1989) 157), at twice the work of the finest level in all.
# Above a contrast of _HIGH the loss is larger and it takes three, at four times; and three such cycles, joined likewise,
# make one step of the preconditioner: a third of the iterations for the same work.
# Above _HIGHEST, small pieces leave eigenvalues below a quarter: the interval is wider.
_LOWEST, _LOWER = 0.25, 0.12
_HIGH, _HIGHEST = 500, 1e5


@dataclass
class Level:
    """One grid: its operator, its inverse diagonal (0 where there is no unknown), and the weights from the next one.

    c: link conductances (4, NY, NX), or the pixel conductivities (1, NY, NX) with `weights` on the finest level.
    weight: (8, NYc, NXc) float32, for coarse cell (I, J): of node (2I, 2J+1) to its W, E corner; of (2I+1, 2J) to N, S;
    of (2I+1, 2J+1) to NW, NE, SW, SE.
    """

    shape: tuple
    periodic: tuple
    c: np.ndarray
    weights: tuple
    reaction: np.ndarray
    inverse: np.ndarray
    weight: np.ndarray = None
    colours: np.ndarray = None
    work: dict = field(default_factory=dict)


class Multigrid:
    """A hierarchy for one operator (`stencil.Conduction`), used for any number of right-hand sides.

    contrast: largest over least conductivity, by which it takes its cycles; None for that of operator.k. The links of
    tensors say more than there is: they are as small as you like where an edge cuts a pixel.
    """

    def __init__(self, operator, contrast=None):
        xp = array_module(operator.k)
        if contrast is None:
            contrast = float(operator.k.max()) / float(xp.where(operator.k > 0, operator.k, np.inf).min())
        self.degree = 2 if contrast <= _HIGH else 3
        self._steps, self._peak = _chebyshev(self.degree, _LOWEST if contrast <= _HIGHEST else _LOWER)
        c, reaction = links(operator)
        level = _level(operator.shape, operator.periodic, c, reaction)
        if len(operator.k) == 1:  # pixels, in which links to fixed nodes lead to zeros
            level = Level(level.shape, level.periodic, operator.k.astype(np.float32), operator.weights, operator.reaction.astype(np.float32),
                          level.inverse, None, level.colours)
        self.levels = [level]
        shape, periodic = operator.shape, operator.periodic
        while shape[0] * shape[1] > DIRECT:
            inverse = self.levels[-1].inverse
            weight = interpolation(c, reaction, inverse, shape, periodic)
            c, reaction, periodic = galerkin(c, reaction, inverse, weight, shape, periodic)
            shape = tuple((n + 1) // 2 for n in shape)
            self.levels[-1].weight = weight.astype(np.float32)
            self.levels.append(_level(shape, periodic, c, reaction))
        self.direct = xp.asarray(_dense_inverse(to_host(c), to_host(reaction), shape, periodic), np.float32)

    def __call__(self, b):
        """One step from zero: (S, NY, NX) float32 padded in (zero where there is no unknown) and out, pads refreshed.

        The returned array is reused by the next call.
        """
        return self._joined(0, b) if self.degree > 2 or len(self.levels) == 1 else self._cycle(0, b, "x")

    def _cycle(self, n, b, name):
        level, coarser = self.levels[n], self.levels[n + 1]
        x = _scratch(level, name, b.shape, b)
        smooth(level, x, b, forward=True, from_zero=True)
        coarse = _scratch(coarser, "b", (len(b), *(m + 2 * PAD for m in coarser.shape)), b)
        restrict(level, x, b, coarse)
        prolong(level, x, self._joined(n + 1, coarse))
        smooth(level, x, b, forward=False, from_zero=False)
        return x

    def _joined(self, n, b):
        """Cycles joined by the Chebyshev polynomial of `degree`."""
        if n == len(self.levels) - 1:
            return self._direct(b)
        level, x, factor = self.levels[n], self._cycle(n, b, "x"), self._steps[0]
        for m in range(1, self.degree):
            r = residual(level, x, b, _scratch(level, "r", b.shape, b), factor)
            last = self._peak if m == self.degree - 1 else 1.0
            combine(x, factor / last, self._cycle(n, r, "y"), self._steps[m] / last)
            factor = 1.0
        return x

    def _direct(self, b):
        level = self.levels[-1]
        x = _scratch(level, "x", b.shape, b)
        flat = array_module(b).ascontiguousarray(interior(b)).reshape(len(b), -1)
        interior(x)[...] = (flat @ self.direct).reshape(len(b), *level.shape)
        return wrap(x, level.periodic)


def _chebyshev(degree, lowest):
    """(steps, peak): cycles of these lengths have eigenvalues up to `peak`, to be brought back to 1."""
    middle, half = (1 + lowest) / 2, (1 - lowest) / 2
    steps = [1 / (middle + half * np.cos(np.pi * (2 * i + 1) / (2 * degree))) for i in range(degree)]
    return steps, 1 + 1 / np.cosh(degree * np.arccosh(middle / half))


def _scratch(level, name, shape, like):
    if name not in level.work or level.work[name].shape != shape:
        level.work[name] = array_module(like).zeros(shape, np.float32)
    return level.work[name]


def _level(shape, periodic, c, reaction):
    xp = array_module(c)
    diagonal = c[0] + c[1] + c[2] + c[3]
    diagonal[:, 1:] += c[0][:, :-1]
    diagonal[1:] += c[1][:-1]
    diagonal[1:, 1:] += c[2][:-1, :-1]
    diagonal[1:, :-1] += c[3][:-1, 1:]
    diagonal += reaction
    inverse = xp.zeros_like(diagonal)
    d = interior(diagonal)
    there = d > d.max() * np.float32(_NOTHING)
    interior(inverse)[...] = xp.where(there, 1 / xp.where(there, d, 1), 0)
    return Level(shape, periodic, c, (0.0, 0.0, 0.0), reaction, wrap(inverse, periodic), None, xp.asarray(_colours(shape[1], periodic[1])))


def _colours(n, wraps):
    """(3, n) float32: 1 at even nodes, at odd nodes, and at the last node of an odd circle."""
    colour = np.arange(n) % 2
    if wraps and n % 2:
        colour[-1] = 2
    return (colour == np.arange(3)[:, None]).astype(np.float32)


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
        launch("multigrid", "mg_links", blocks, _THREADS, k[0], free, extra if extra.size else k, np.int32(extra.size > 0),
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
    launch("multigrid", kernel, blocks, _THREADS, c, reaction, inverse, w, *more, np.int32(ny), np.int32(nx))


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


def _dense_inverse(c, reaction, shape, periodic):
    """Inverse of a small level, float64. A piece without any reaction is singular: the mean of its answer is set to 0."""
    from scipy.sparse.csgraph import connected_components
    ny, nx = shape
    number = np.arange(ny * nx).reshape(shape)
    conductance = np.zeros((ny * nx, ny * nx))
    for link, (di, dj) in zip(c.astype(np.float64), ((0, 1), (1, 0), (1, 1), (1, -1))):
        i, j = np.nonzero(link[PAD:PAD + ny, PAD:PAD + nx])
        a, b = number[i, j], number[(i + di) % ny, (j + dj) % nx]
        np.add.at(conductance, (a, b), link[i + PAD, j + PAD])
        np.add.at(conductance, (b, a), link[i + PAD, j + PAD])
    np.fill_diagonal(conductance, 0)
    loss = interior(reaction).astype(np.float64).ravel()
    diagonal = conductance.sum(axis=1) + loss
    matrix = np.diag(diagonal) - conductance
    count, piece = connected_components(conductance != 0, directed=False)
    for n in range(count):
        inside = np.flatnonzero(piece == n)
        if loss[inside].sum() == 0 and diagonal[inside].max() > 0:
            matrix[np.ix_(inside, inside)] += diagonal[inside].mean() / inside.size
    used = np.flatnonzero(diagonal > diagonal.max() * _NOTHING)
    inverse = np.zeros_like(matrix)
    if used.size:
        part = np.linalg.inv(matrix[np.ix_(used, used)])
        inverse[np.ix_(used, used)] = (part + part.T) / 2
    return inverse


def smooth(level, x, b, forward, from_zero):
    """One sweep of Gauss-Seidel in four colours on A x = b; forward and backward are each other's adjoint.

    from_zero: x counts as 0 whatever it holds.
    """
    if on_device(x):
        return _smooth_cuda(level, x, b, forward, from_zero)
    ny, nx = level.shape
    seam = int(level.periodic[0] and ny % 2 == 1)
    args = (x, b, level.c, level.reaction, level.inverse, *(np.float32(g) for g in level.weights), level.colours,
            level.periodic[0], level.periodic[1], ny, nx)
    if ny * nx < _SERIAL:
        return _share(level, len(x), lambda f, g: _smooth_serial(x[f:g], b[f:g], *args[2:], ny - seam, forward, from_zero))
    return _smooth_threads(args, ny, chunks(ny - seam), forward, from_zero)


def _smooth_threads(args, ny, bounds, forward, from_zero):
    """`_smooth_serial` with the rows of each pass shared out."""
    x, shared, seam = args[0], args[:-2], bounds[-1] < ny
    if seam and from_zero:
        x[:, ny + 1] = 0
    if seam and not forward:
        _seam(*shared, ny, False)
    in_pieces(_sweep, bounds, *shared, forward, from_zero)
    in_pieces(_sweep_edge, bounds, *shared, forward, from_zero)
    if seam and forward:
        _seam(*shared, ny, True)


def restrict(level, x, b, coarse):
    """coarse = P^T (b - A x)."""
    if on_device(x):
        return _restrict_cuda(level, x, b, coarse)
    ny, nx = level.shape
    args = (x, b, level.c, level.reaction, level.inverse, *(np.float32(g) for g in level.weights), level.weight, coarse,
            level.periodic[0], level.periodic[1], ny, nx)
    rows = (ny + 1) // 2
    if ny * nx < _SERIAL:
        return _share(level, len(x), lambda f, g: _restrict_rows(x[f:g], b[f:g], *args[2:9], coarse[f:g], *args[10:], 0, rows))
    return in_pieces(_restrict_rows, chunks(rows, 32), *args)


def prolong(level, x, coarse):
    """x += P coarse; refreshes the pad of x."""
    for axis in (0, 1):
        if level.periodic[axis] and level.shape[axis] == 2:  # a folded circle, see _fold
            wrap(coarse, (axis == 0, axis == 1))
    if on_device(x):
        return _prolong_cuda(level, x, coarse)
    ny, nx = level.shape
    args = (x, level.inverse, level.weight, coarse, level.periodic[0], level.periodic[1], ny, nx)
    rows = (ny + 1) // 2
    if ny * nx < _SERIAL:
        return _share(level, len(x), lambda f, g: _prolong_rows(x[f:g], *args[1:3], coarse[f:g], *args[4:], 0, rows))
    return in_pieces(_prolong_rows, chunks(rows, 32), *args)


def residual(level, x, b, r, factor):
    """r = b - factor A x; returns r."""
    if on_device(x):
        return _residual_cuda(level, x, b, r, factor)
    ny, nx = level.shape
    factor = np.float32(factor)
    args = (x, b, level.c, level.reaction, *(np.float32(g) for g in level.weights), r, factor)
    if ny * nx < _SERIAL:
        _share(level, len(x), lambda f, g: _residual_rows(x[f:g], b[f:g], *args[2:7], r[f:g], factor, 0, ny))
    else:
        in_pieces(_residual_rows, chunks(ny), *args)
    return r


def _share(level, fields, work):
    """work(first, end) over the fields of a level that is too small to be cut into rows: in threads where that pays."""
    parts = min(fields, processors(), fields * level.shape[0] * level.shape[1] // _SHARED)
    if parts < 2:
        return work(0, fields)
    return in_pieces(work, [fields * n // parts for n in range(parts + 1)])


def combine(x, first, y, second):
    """x = first x + second y; returns x."""
    if on_device(x):
        x *= np.float32(first)
        x += np.float32(second) * y
        return x
    in_pieces(_combine_piece, _cuts(x.size), x.reshape(-1), np.float32(first), y.reshape(-1), np.float32(second))
    return x


def _cuts(length):
    return chunks(length, 1 << 16)


# CPU: set-up

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


# CPU: the cycle. Even rows depend on odd rows only and the other way round, so a thread sweeps its rows once, each odd
# row right after (or before) its two even neighbours; the one row that needs another thread's waits for the second pass.

@njit(cache=True)
def _relax(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, i, forward, alone, s, t):
    """Relax node row i - 2 of every field, colour by colour. alone: the rows beside it count as 0."""
    for f in range(x.shape[0]):
        row = x[f, i]
        if alone:
            _copy(s, b[f, i])
        else:
            outer_row(s, b[f, i], x[f], c, i, along_x, along_y, across)
        for n in range(3):
            colour = n if forward else 2 - n
            if colour == 2 and colours[2, -1] == 0:
                continue
            inner_row(t, s, x[f], c, reaction, i, along_x, along_y, across)
            _correct(row, t, inverse[i], colours[colour])
            if wrap_x:
                row[1], row[-2] = row[-3], row[2]
        if wrap_y:
            if i == 2:
                x[f, -2, :] = row
            if i == x.shape[1] - 3:
                x[f, 1, :] = row


@njit(cache=True)
def _copy(s, b):
    for j in range(s.size):
        s[j] = b[j + 2]


@njit(cache=True)
def _correct(row, t, inverse, colour):
    for j in range(t.size):
        row[j + 2] += colour[j] * (inverse[j + 2] * t[j])


@njit(cache=True, nogil=True)
def _sweep(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, first, last):
    """First pass over node rows first .. last - 1 (first is even): all but the row that needs the next piece's."""
    s, t = np.empty(colours.shape[1], x.dtype), np.empty(colours.shape[1], x.dtype)
    # forward: even rows 0, 2, 1, 4, 3 ...; back: odd rows 1, 3, 2, 5, 4 ...
    ahead = first + 2 if forward else first + 3
    for n in range(2 * ((last - first + 1) // 2)):
        i = ahead + 2 * (n // 2) - n % 2
        if i < ahead or i >= last + 2:
            continue
        if from_zero:
            x[:, i] = 0
        _relax(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, i, forward,
               from_zero and n % 2 == 0, s, t)


@njit(cache=True, nogil=True)
def _sweep_edge(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, first, last):
    """Second pass: the last odd row of a piece on the way forward, its first even row on the way back."""
    i = last + 1 if forward else first + 2
    if forward and last % 2 == 1:
        return
    s, t = np.empty(colours.shape[1], x.dtype), np.empty(colours.shape[1], x.dtype)
    if from_zero:
        x[:, i] = 0
    _relax(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, i, forward, False, s, t)


@njit(cache=True, nogil=True)
def _seam(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny, forward):
    """The last row of an odd circle: even like the first and its neighbour, so a colour of its own."""
    s, t = np.empty(colours.shape[1], x.dtype), np.empty(colours.shape[1], x.dtype)
    _relax(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny + 1, forward, False, s, t)


@njit(cache=True, nogil=True)
def _smooth_serial(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny, nx, last, forward, from_zero):
    if last < ny and from_zero:
        x[:, ny + 1] = 0
    if last < ny and not forward:
        _seam(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny, False)
    _sweep(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, 0, last)
    _sweep_edge(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, 0, last)
    if last < ny and forward:
        _seam(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny, True)


@njit(cache=True)
def _residual_row(r, x, b, c, reaction, along_x, along_y, across, wrap_y, wrap_x, row, ny, s):
    """Residual of node row `row` into the padded r; a row outside is 0, or the far side's where the rows wrap evenly."""
    if row < 0 or row >= ny:
        if row >= ny or not wrap_y or ny % 2 == 1:
            r[:] = 0
            return
        row += ny
    outer_row(s, b[row + 2], x, c, row + 2, along_x, along_y, across)
    t = r[2:-2]
    inner_row(t, s, x, c, reaction, row + 2, along_x, along_y, across)
    r[0], r[1], r[-2], r[-1] = 0, 0, 0, 0
    if wrap_x:
        r[1], r[-2] = r[-3], r[2]


@njit(cache=True)
def _gather(out, up, middle, down, inverse, w, a):
    """One coarse row of P^T r from the three fine rows of residuals around it; inverse is that of the middle one."""
    w0, w1, w2, w3 = w[0, a], w[1, a], w[2, a], w[3, a - 1]
    w4, w5, w6, w7 = w[4, a], w[5, a], w[6, a - 1], w[7, a - 1]
    for j in range((middle.size - 3) // 2):
        own = middle[2 * j + 2] if inverse[2 * j + 2] > 0 else np.float32(0)
        out[j + 2] = own + w0[j + 2] * middle[2 * j + 3] + w1[j + 1] * middle[2 * j + 1]
    for j in range((middle.size - 3) // 2):
        out[j + 2] += w2[j + 2] * down[2 * j + 2] + w4[j + 2] * down[2 * j + 3] + w5[j + 1] * down[2 * j + 1]
    for j in range((middle.size - 3) // 2):
        out[j + 2] += w3[j + 2] * up[2 * j + 2] + w6[j + 2] * up[2 * j + 3] + w7[j + 1] * up[2 * j + 1]


@njit(cache=True, nogil=True)
def _restrict_rows(x, b, c, reaction, inverse, along_x, along_y, across, w, out, wrap_y, wrap_x, ny, nx, first, last):
    s, up, middle, down = np.empty(nx, x.dtype), np.empty(nx + 4, x.dtype), np.empty(nx + 4, x.dtype), np.empty(nx + 4, x.dtype)
    for f in range(x.shape[0]):
        _residual_row(down, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * first - 1, ny, s)
        for a in range(first, last):
            up, down = down, up
            _residual_row(middle, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * a, ny, s)
            _residual_row(down, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * a + 1, ny, s)
            _gather(out[f, a + 2], up, middle, down, inverse[2 * a + 2], w, a + 2)


@njit(cache=True)
def _spread_even(row, inverse, near, w0, w1):
    # a coarse node where the fine one is void or fixed still serves its neighbours
    for j in range((row.size - 4) // 2):
        row[2 * j + 2] += near[j + 2] if inverse[2 * j + 2] > 0 else np.float32(0)
        row[2 * j + 3] += w0[j + 2] * near[j + 2] + w1[j + 2] * near[j + 3]
    if row.size % 2 and inverse[-3] > 0:
        row[-3] += near[-3]


@njit(cache=True)
def _spread_odd(row, near, far, w2, w3, w4, w5, w6, w7):
    for j in range((row.size - 4) // 2):
        row[2 * j + 2] += w2[j + 2] * near[j + 2] + w3[j + 2] * far[j + 2]
        row[2 * j + 3] += (w4[j + 2] * near[j + 2] + w5[j + 2] * near[j + 3]
                           + w6[j + 2] * far[j + 2] + w7[j + 2] * far[j + 3])
    if row.size % 2:
        row[-3] += w2[-3] * near[-3] + w3[-3] * far[-3]


@njit(cache=True, nogil=True)
def _prolong_rows(x, inverse, w, coarse, wrap_y, wrap_x, ny, nx, first, last):
    for a in range(first + 2, last + 2):
        for f in range(x.shape[0]):
            i = 2 * a - 2
            _spread_even(x[f, i], inverse[i], coarse[f, a], w[0, a], w[1, a])
            _wrap_row(x[f], i, wrap_y, wrap_x)
            if i + 1 < ny + 2:
                _spread_odd(x[f, i + 1], coarse[f, a], coarse[f, a + 1], w[2, a], w[3, a], w[4, a], w[5, a], w[6, a], w[7, a])
                _wrap_row(x[f], i + 1, wrap_y, wrap_x)


@njit(cache=True)
def _wrap_row(x, i, wrap_y, wrap_x):
    if wrap_x:
        x[i, 1], x[i, -2] = x[i, -3], x[i, 2]
    if wrap_y:
        if i == 2:
            x[-2, :] = x[i]
        if i == x.shape[0] - 3:
            x[1, :] = x[i]


@njit(cache=True, nogil=True)
def _residual_rows(x, b, c, reaction, along_x, along_y, across, r, factor, first, last):
    columns = x.shape[2] - 4
    nothing, s, t = np.zeros(x.shape[2], x.dtype), np.empty(columns, x.dtype), np.empty(columns, x.dtype)
    for i in range(first + 2, last + 2):
        for f in range(x.shape[0]):
            outer_row(s, nothing, x[f], c, i, along_x, along_y, across)
            inner_row(t, s, x[f], c, reaction, i, along_x, along_y, across)
            _add_scaled(r[f, i], b[f, i], t, factor)


@njit(cache=True)
def _add_scaled(r, b, t, factor):
    for j in range(t.size):
        r[j + 2] = b[j + 2] + factor * t[j]


@njit(cache=True, nogil=True)
def _combine_piece(x, first, y, second, begin, end):
    for j in range(begin, end):
        x[j] = first * x[j] + second * y[j]


# CUDA

def _blocks(columns, rows, fields):
    return -(-columns // _THREADS[0]), -(-rows // _THREADS[1]), fields


def _operator(level):
    """The operator's part of a kernel's arguments: c, pixels, reaction, has_reaction."""
    has = level.reaction.size > 0
    return level.c, np.int32(level.c.shape[0] == 1), level.reaction if has else level.c, np.int32(has)


def _smooth_cuda(level, x, b, forward, from_zero):
    if from_zero:
        x[...] = 0
    ny, nx = level.shape
    rows, columns = _classes(ny, level.periodic[0]), _classes(nx, level.periodic[1])
    colours = [(r, c) for r in rows for c in columns]
    weights = tuple(np.float32(g) for g in level.weights)
    for (row0, row1), (column0, column1) in colours if forward else colours[::-1]:
        blocks = _blocks((column1 - column0 + 1) // 2, (row1 - row0 + 1) // 2, len(x))
        launch("multigrid", "mg_relax", blocks, _THREADS, x, b, *_operator(level), level.inverse, *weights,
               *(np.int32(n) for n in (row0, row1, column0, column1, ny, nx)))
        wrap(x, level.periodic)


def _classes(n, wraps):
    """(first, end) of every second node: even, odd, and the last of an odd circle."""
    seam = int(wraps and n % 2 == 1)
    return [(a, b) for a, b in ((0, n - seam), (1, n - seam), (n - seam, n)) if a < b]


def _residual_cuda(level, x, b, r, factor):
    ny, nx = level.shape
    launch("multigrid", "mg_residual", _blocks(nx, ny, len(x)), _THREADS, x, b, *_operator(level),
           *(np.float32(g) for g in (*level.weights, factor)), r, np.int32(ny), np.int32(nx))
    return r


def _restrict_cuda(level, x, b, coarse):
    ny, nx = level.shape
    r = wrap(_residual_cuda(level, x, b, _scratch(level, "t", b.shape, b), 1.0), level.periodic)
    launch("multigrid", "mg_restrict", _blocks((nx + 1) // 2, (ny + 1) // 2, len(x)), _THREADS, r, level.inverse, level.weight, coarse,
           np.int32(ny), np.int32(nx))


def _prolong_cuda(level, x, coarse):
    ny, nx = level.shape
    launch("multigrid", "mg_prolong", _blocks(nx, ny, len(x)), _THREADS, x, level.inverse, level.weight, coarse,
           np.int32(ny), np.int32(nx))
    wrap(x, level.periodic)
