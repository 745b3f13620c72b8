"""Bilinear (Q1) finite elements for plane elasticity on a pixel grid: two Lame moduli a pixel, unknowns at pixel corners.

The operator is never stored. In a pixel of size dx times dy each displacement is a mean gradient (a / dx, b / dy) and a
twist g xi eta / 2, and the exact element energy is, per area, with M = lam + 2 mu,

    1/2 (M exx^2 + 2 lam exx eyy + M eyy^2 + mu gxy^2) + 1/6 (gx^2 (M/dx^2 + mu/dy^2) + gy^2 (M/dy^2 + mu/dx^2))

(the twist's own term is what reduced integration loses; T. J. R. Hughes, "The finite element method", 1987, ch. 4).
Forces are made of differences of displacements, so a translation has no residual at all, whatever the contrast.
Pixels with lam = mu = 0 are voids: exactly absent.

y runs down the rows and x along the columns. Node arrays are padded: (S, 2, H' + 2, W' + 2), the displacement (x, y)
of node (i, j) at [i + 1, j + 1]; the pad is zero at a side that ends and a copy of the far side at one that wraps.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import NotConverged, array_module, launch, on_device, to_host
from .components import pieces
from .krylov import conjugate_gradients
from .margin import interior, wrap
from .rigid import RigidMultigrid
from .threads import in_threads

_THREADS = 32, 4
_BALANCED = 1e-9    # resultant on a free part, as a share of the forces on it
_LEFT = 0.1         # largest force left over, as a share of the largest given: far above what the tolerance leaves


@dataclass(frozen=True)
class Elasticity:
    """The operator of one picture; made by `elasticity`.

    shape: (H', W') nodes. periodic: (along y, along x). dx, dy: pixel size. lam, mu: (H, W) float64.
    free: padded (2, H' + 2, W' + 2) uint8, 1 for displacements to be solved for: not fixed, and not in a void.
    """

    shape: tuple
    periodic: tuple
    dx: float
    dy: float
    lam: np.ndarray
    mu: np.ndarray
    free: np.ndarray

    def apply(self, p, q):
        """q = A p where free and 0 elsewhere; p is 0 where not free. Returns the S inner products p . q.

        p, q: padded (S, 2, H' + 2, W' + 2) float64. What a Krylov solver calls.
        """
        _apply(self, p, q, True)
        if on_device(p):
            return (p * q).sum(axis=(1, 2, 3))
        return np.array([np.vdot(a, b) for a, b in zip(p, q)])


def elasticity(lam, mu, dx=1.0, dy=1.0, periodic=(False, False), fixed=None):
    """The Q1 operator of the picture (lam, mu).

    lam, mu: (H, W) float, the plane Lame moduli (in-plane stress = lam tr(strain) + 2 mu strain: for plane strain those
    of the material, for plane stress lam is 2 lam mu / (lam + 2 mu)); mu > 0 and lam + mu > 0, or both 0 in a void.
    dx, dy: pixel size. periodic: (along y, along x); a side that does not wrap is free of traction.
    fixed: (2, H', W') bool, displacements (x, y) that are given. Nodes are (H + 1, W + 1), one fewer along an axis that
    wraps. Raises ValueError where a number or a shape is out of this contract. NumPy or CuPy.
    """
    xp = array_module(lam, mu, fixed)
    lam, mu = (xp.ascontiguousarray(m, np.float64) for m in (lam, mu))
    if lam.ndim != 2 or not lam.size or lam.shape != mu.shape:
        raise ValueError(f"moduli have shapes {lam.shape} and {mu.shape}: give two numbers a pixel, (H, W) each")
    good = xp.isfinite(lam) & xp.isfinite(mu) & (((mu > 0) & (lam + mu > 0)) | ((mu == 0) & (lam == 0)))
    if not bool(good.all()):
        row, column = (int(n) for n in np.unravel_index(int(xp.argmax(~good)), lam.shape))
        raise ValueError(f"moduli lam = {float(lam[row, column]):g}, mu = {float(mu[row, column]):g} at row {row}, column {column}: "
                         "give mu > 0 and lam + mu > 0, or 0 and 0 for a void")
    if not (np.isfinite(dx) and np.isfinite(dy) and dx > 0 and dy > 0):
        raise ValueError(f"pixel size dx = {dx}, dy = {dy}: give finite lengths > 0")
    for n, wraps, name in zip(lam.shape, periodic, ("rows", "columns")):
        if wraps and n < 2:
            raise ValueError(f"a periodic picture needs at least 2 {name}: repeat it")
    shape = tuple(n + (not wraps) for n, wraps in zip(lam.shape, periodic))
    if fixed is not None and fixed.shape != (2, *shape):
        raise ValueError(f"fixed has shape {fixed.shape}: give two flags a node, (2, {shape[0]}, {shape[1]})")
    used = _touched(mu > 0, shape, periodic)
    free = xp.broadcast_to(used, (2, *shape)) if fixed is None else used & ~fixed
    return Elasticity(shape, tuple(bool(w) for w in periodic), float(dx), float(dy), lam, mu,
                      embed(free.astype(np.uint8), periodic))


def solve(operator, load, given=None, tolerance=1e-8, limit=1000, multigrid=None, least=0.0):
    """Displacements under S loads: (u, iterations), u padded (S, 2, H' + 2, W' + 2) float64.

    load: padded nodal forces, float64, as from `divergence`. given: padded displacements to start from; those at fixed
    nodes stay. tolerance: of the energy norm of the error, against that of the start. multigrid: a `RigidMultigrid` of
    this operator to use again. least: forces up to this size are rounding. Raises NotConverged, also where forces on a part that is free to move do not balance.
    """
    xp = array_module(load)
    _check_balance(operator, load, least)
    start = xp.zeros_like(load) if given is None else given
    residual = xp.zeros_like(load)  # not what memory held: the padding is subtracted too
    _apply(operator, start, residual, False)
    xp.subtract(load, residual, out=residual)
    residual *= operator.free
    cut_pad(residual)
    multigrid = RigidMultigrid(operator) if multigrid is None else multigrid
    size = abs(residual).max(axis=(1, 2, 3))
    residual *= (size > least)[:, None, None, None]
    solution = conjugate_gradients(operator.apply, multigrid, residual, tolerance=tolerance, limit=limit)
    multigrid, residual = None, None
    u = wrap(start + solution.x, operator.periodic)
    # parts that hang together at corners only can turn: a force that turns them is driven off, and seems converged there
    left = forces(operator, u)
    xp.subtract(load, left, out=left)
    left *= operator.free
    if bool((abs(cut_pad(left)).max(axis=(1, 2, 3)) > _LEFT * size + 1e3 * least).any()):
        raise NotConverged("a force is left over in the answer: parts that touch at corners only turn freely, hold them or balance the forces")
    return u, solution.iterations


def forces(operator, u):
    """A u at every node, fixed and void ones too: at a fixed node it is the reaction. u: padded; returns the same kind."""
    q = array_module(u).zeros_like(u)
    _apply(operator, u, q, False)
    return q


def strain(operator, u, first=0, last=None):
    """Mean strain of each pixel of rows first .. last - 1, (S, 3, H, W): xx, yy and 2 xy. u: padded (S, 2, H' + 2, W' + 2)."""
    wrap(u, operator.periodic)
    xp = array_module(u)
    H, W = operator.lam.shape
    last = H if last is None else last
    nw, ne, sw, se = (u[:, :, 1 + i + first:1 + i + last, 1 + j:1 + j + W] for i in (0, 1) for j in (0, 1))
    along_x = ((ne - nw) + (se - sw)) / (2 * operator.dx)
    along_y = ((sw - nw) + (se - ne)) / (2 * operator.dy)
    return xp.stack([along_x[:, 0], along_y[:, 1], along_y[:, 0] + along_x[:, 1]], axis=1)


def divergence(operator, stress):
    """Nodal forces that a stress in each pixel exerts: stress (S, 3, H, W) xx, yy, xy; padded (S, 2, H' + 2, W' + 2).

    The transpose of `strain` times the pixel's area, so that u . divergence(stress) is the integral of stress : strain.
    """
    xp = array_module(stress)
    S, _, H, W = stress.shape
    x, y, xy = (stress[:, n] / 2 for n in range(3))
    out = xp.zeros((S, 2, H + 3, W + 3))  # one more than a padded array needs where sides wrap: folded below
    for i, down in ((0, -1), (1, 1)):
        for j, right in ((0, -1), (1, 1)):
            corner = out[:, :, 1 + i:1 + i + H, 1 + j:1 + j + W]
            corner[:, 0] += right * operator.dy * x + down * operator.dx * xy
            corner[:, 1] += down * operator.dx * y + right * operator.dy * xy
    if operator.periodic[0]:
        out[:, :, 1] += out[:, :, H + 1]
    if operator.periodic[1]:
        out[:, :, :, 1] += out[:, :, :, W + 1]
    rows, columns = operator.shape
    return embed(out[:, :, 1:1 + rows, 1:1 + columns], operator.periodic)


def embed(a, periodic):
    """A padded C-contiguous copy of a (..., H', W')."""
    xp = array_module(a)
    out = xp.zeros((*a.shape[:-2], a.shape[-2] + 2, a.shape[-1] + 2), a.dtype)
    out[..., 1:-1, 1:-1] = a
    return wrap(out, periodic)


def cut_pad(a):
    """Zero the pad of a padded array; returns a."""
    a[..., 0, :], a[..., -1, :], a[..., :, 0], a[..., :, -1] = 0, 0, 0, 0
    return a


def _check_balance(operator, load, least):
    """Raise NotConverged where a piece can move as a rigid body, its fixed displacements kept, and the load works on that.

    Round a picture that wraps pieces only shift; elsewhere they also turn, about the middle of the picture.
    """
    labels, count = _node_pieces(operator)
    free = _free_motions(operator, labels, count)
    if not free.any():
        return
    work, effort = _works(operator, labels, count, interior(load), least)
    along, size = np.einsum("pmn,spm->spn", free, work), np.einsum("pmn,spm->spn", abs(free), effort)
    bad = np.argwhere((np.abs(along) > _BALANCED * size).any(axis=(0, 2)))
    if bad.size:
        row, column = np.argwhere(to_host(labels) == bad[0, 0] + 1)[0]
        raise NotConverged(f"nothing holds the part at row {row}, column {column} and its forces do not balance: fix a side or balance them")


def _rigid(operator):
    """Displacements (x, y) of shifts along x and y and of a turn; a number or an array that broadcasts over the nodes."""
    xp, (rows, columns) = array_module(operator.mu), operator.shape
    y = (xp.arange(rows, dtype=np.float64)[:, None] - rows / 2) * (operator.dy / operator.dx)
    x = xp.arange(columns, dtype=np.float64) - columns / 2
    return [(1.0, 0.0), (0.0, 1.0), (-y, x)][:2 if any(operator.periodic) else 3]


def _total(values, labels, count):
    return to_host(array_module(labels).bincount(labels.ravel(), weights=values.ravel(), minlength=count + 1))[1:]


def _works(operator, labels, count, forces, least):
    """(S, count, M) work of the forces on each piece along each rigid motion, and the same of sizes alone, rounding added."""
    work = [[_total(a * f[0] + b * f[1], labels, count) for a, b in _rigid(operator)] for f in forces]
    more = least / _BALANCED
    effort = [[_total(abs(a) * (abs(f[0]) + more) + abs(b) * (abs(f[1]) + more), labels, count) for a, b in _rigid(operator)] for f in forces]
    return (np.array(part).swapaxes(1, 2) for part in (work, effort))


def _free_motions(operator, labels, count):
    """(count, M, M) whose columns are the motions that the fixed displacements of each piece allow, 0 for those they do not."""
    xp, motions = array_module(labels), _rigid(operator)
    held, gram = interior(operator.free) == 0, 0
    for direction in (0, 1):  # few nodes are held
        at = xp.nonzero(held[direction] & (labels > 0))
        own = [xp.broadcast_to(xp.asarray(m[direction], np.float64), labels.shape)[at] for m in motions]
        gram = gram + np.array([[_total(a * b, labels[at], count) for b in own] for a in own])
    gram = gram.transpose(2, 0, 1)
    size = np.sqrt(np.einsum("pmm->pm", gram))
    size = np.where(size > 0, size, 1)
    kept, direction = np.linalg.eigh(gram / (size[:, :, None] * size[:, None]))
    return direction / size[:, :, None] * (kept < 1e-12)[:, None]


def _node_pieces(operator):
    """(labels, count): 1 .. count at the nodes of each piece of solid pixels, joined through edges or corners; 0 in voids."""
    xp = array_module(operator.mu)
    solid, (rows, columns) = operator.mu > 0, operator.shape
    wider = xp.zeros(tuple(n + (not wraps) for n, wraps in zip(solid.shape, operator.periodic)), bool)
    wider[:solid.shape[0], :solid.shape[1]] = solid  # an empty row or column keeps an axis from wrapping
    labels, count = pieces(wider, connectivity=8, periodic=any(operator.periodic))
    nodes = xp.zeros_like(labels)
    for i in (0, 1):
        for j in (0, 1):
            nodes = xp.maximum(nodes, xp.roll(labels, (i, j), axis=(0, 1)))
    return nodes[:rows, :columns], count


def _touched(solid, shape, periodic):
    """Nodes with at least one solid pixel around."""
    xp = array_module(solid)
    H, W = solid.shape
    out = xp.zeros((H + 1, W + 1), bool)
    for i in (0, 1):
        for j in (0, 1):
            out[i:i + H, j:j + W] |= solid
    if periodic[0]:
        out[0] |= out[H]
    if periodic[1]:
        out[:, 0] |= out[:, W]
    return out[:shape[0], :shape[1]]


def _apply(operator, u, q, masked):
    wrap(u, operator.periodic)
    moduli = operator.lam, operator.mu, operator.dx, operator.dy
    if on_device(u):
        _apply_cuda(*moduli, operator, u, q, masked)
    else:
        in_threads(_apply_rows, operator.shape[0], *moduli, *operator.periodic, operator.free, masked, u, q,
                   least=1 + 30_000 // operator.shape[1])


@njit(cache=True, nogil=True)
def _apply_rows(lam, mu, dx, dy, wrap_y, wrap_x, free, masked, u, q, first, last):
    """Node rows first .. last - 1: each pixel row gives half of its forces to the node row above, half to that below."""
    H, W = lam.shape
    columns = q.shape[3] - 2
    half = np.zeros((2, 2, W + 1))  # what the pixels give to (upper, lower) node row, by displacement
    for f in range(u.shape[0]):
        for i in range(first, last):
            if i == first:
                half[:] = 0
                if i > 0 or wrap_y:
                    _pixel_row(lam[i - 1], mu[i - 1], dx, dy, u[f, :, i], u[f, :, i + 1], half)
            row = q[f, :, i + 1]
            for c in range(2):
                for j in range(columns):
                    row[c, j + 1] = half[1, c, j]
                if wrap_x:
                    row[c, 1] += half[1, c, W]
            half[:] = 0
            if i < H:
                _pixel_row(lam[i], mu[i], dx, dy, u[f, :, i + 1], u[f, :, i + 2], half)
            for c in range(2):
                for j in range(columns):
                    row[c, j + 1] += half[0, c, j]
                if wrap_x:
                    row[c, 1] += half[0, c, W]
                if masked:
                    for j in range(columns):
                        row[c, j + 1] *= free[c, i + 1, j + 1]


@njit(cache=True, nogil=True)
def _pixel_row(lam, mu, dx, dy, top, bottom, half):
    """Add the corner forces of a row of pixels to half (upper or lower nodes, displacement, column)."""
    a, b = dy / dx, dx / dy
    for j in range(lam.size):
        s = mu[j]
        m = lam[j] + 2 * s
        ex, fx = top[0, j + 2] - top[0, j + 1], bottom[0, j + 2] - bottom[0, j + 1]
        ey, fy = top[1, j + 2] - top[1, j + 1], bottom[1, j + 2] - bottom[1, j + 1]
        bx = (bottom[0, j + 1] - top[0, j + 1]) + (bottom[0, j + 2] - top[0, j + 2])
        by = (bottom[1, j + 1] - top[1, j + 1]) + (bottom[1, j + 2] - top[1, j + 2])
        ax, ay = ex + fx, ey + fy
        east_x, south_x = 0.25 * (m * a * ax + lam[j] * by), 0.25 * s * (b * bx + ay)
        east_y, south_y = 0.25 * s * (bx + a * ay), 0.25 * (m * b * by + lam[j] * ax)
        twist_x, twist_y = (fx - ex) * (m * a + s * b) / 12, (fy - ey) * (m * b + s * a) / 12
        half[0, 0, j] += twist_x - east_x - south_x
        half[0, 0, j + 1] += east_x - south_x - twist_x
        half[1, 0, j] += south_x - east_x - twist_x
        half[1, 0, j + 1] += east_x + south_x + twist_x
        half[0, 1, j] += twist_y - east_y - south_y
        half[0, 1, j + 1] += east_y - south_y - twist_y
        half[1, 1, j] += south_y - east_y - twist_y
        half[1, 1, j + 1] += east_y + south_y + twist_y


def _apply_cuda(lam, mu, dx, dy, operator, u, q, masked):
    H, W = lam.shape
    rows, columns = operator.shape
    blocks = -(-columns // _THREADS[0]), -(-rows // _THREADS[1]), len(u)
    launch("elastic", "elastic_apply", blocks, _THREADS, lam, mu, np.float64(dx), np.float64(dy), np.int32(H), np.int32(W),
           np.int32(rows), np.int32(columns), np.int32(operator.periodic[0]), np.int32(operator.periodic[1]), operator.free,
           np.int32(masked), u, q)
