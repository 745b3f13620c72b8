"""Multigrid cycles on levels of sparse rows, below a grid whose nodes `classical` has split: one sweep down, one up.

Sweeps are Gauss-Seidel in the colours of each level's graph, one way down and the other way up: symmetric and positive, and the
same on every processor. Fields are (S, N) float32. The set-up is the processors' work, also where the levels live on a device.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .classical import Rows, coarsen, colours, dense, diagonal, reordered
from .coarsening import NOTHING, inverse_of
from .stencil import chunks
from .threads import in_pieces

_LEAST = 1 << 14      # rows a thread should have at least


@dataclass
class Sparse:
    """One level: its graph with the rows in order of colour, so that a sweep passes straight over memory, and the ways from it
    to the next coarser level (`down`, P^T) and back (`up`, P), None on the last.

    start, other, link, loss: as of `Graph`, row m that of node order[m]. inverse: of the diagonal, 0 where there is no unknown.
    bounds: where the colours end in `order`. direct: the inverse of the last level, None where sweeps are exact.
    """

    start: np.ndarray
    other: np.ndarray
    link: np.ndarray
    loss: np.ndarray
    inverse: np.ndarray
    order: np.ndarray
    bounds: list
    up: Rows = None
    down: Rows = None
    direct: np.ndarray = None
    work: dict = field(default_factory=dict)


class Algebraic:
    """All levels below a grid whose links are the graph `g`, as `classical.graph` makes it."""

    def __init__(self, g, direct, xp):
        """direct: nodes at which a dense inverse takes over. xp: NumPy or CuPy, where the levels shall live."""
        self.up = self.down = None
        self.levels = []
        while (coarser := coarsen(g) if len(g.loss) > direct or not self.levels else None) is not None:
            g = coarser[0]
            up, down = (_moved(xp, m) for m in coarser[1:])
            del coarser
            if self.levels:
                self.levels[-1].up, self.levels[-1].down = up, down
            else:
                self.up, self.down = up, down
            self.levels.append(_level(xp, g))
        if self.levels and len(g.loss) <= direct:
            self.levels[-1].direct = xp.asarray(inverse_of(dense(g), g.loss.astype(np.float64)))

    def correct(self, x, r):
        """x += P M P^T r: a cycle M below the grid. x, r: padded (S, NY, NX) float32; the pad of x is left as it is."""
        if self.levels:
            x, r = x.reshape(len(x), -1), r.reshape(len(r), -1)
            b = _scratch(self.levels[0], "b", len(x), r)
            multiply(self.down, r, b, add=False)
            multiply(self.up, self._cycle(0, b), x, add=True)

    def _cycle(self, n, b):
        level = self.levels[n]
        x = _scratch(level, "x", len(b), b)
        if level.direct is not None:
            x[...] = b.astype(np.float64) @ level.direct
            return x
        x[...] = 0
        sweep(level, x, b, forward=True)
        if level.up is not None:
            r, coarse = _scratch(level, "r", len(b), b), _scratch(self.levels[n + 1], "b", len(b), b)
            multiply(level.down, residual(level, x, b, r), coarse, add=False)
            multiply(level.up, self._cycle(n + 1, coarse), x, add=True)
        sweep(level, x, b, forward=False)
        return x


def _level(xp, g):
    order, bounds = colours(g)
    d = diagonal(g)
    there = d > d.max() * np.float32(NOTHING)
    inverse = np.where(there, 1 / np.where(there, d, 1), 0)
    g = reordered(g, order)
    return Sparse(*(xp.asarray(a) for a in (g.start, g.other, g.link, g.loss, inverse[order], order)), bounds)


def _moved(xp, m):
    return Rows(xp.asarray(m.start), xp.asarray(m.other), xp.asarray(m.value.astype(np.float32)))


def _scratch(level, name, fields, like):
    shape = fields, len(level.loss)
    if name not in level.work or level.work[name].shape != shape:
        level.work[name] = array_module(like).zeros(shape, np.float32)
    return level.work[name]


def sweep(level, x, b, forward):
    """One sweep of Gauss-Seidel on A x = b, colour by colour; forward and backward are each other's adjoint."""
    ends = list(zip(level.bounds, level.bounds[1:]))
    for first, last in ends if forward else ends[::-1]:
        if on_device(x):
            launch("algebraic", "am_relax", (grid(last - first), len(x)), 256, x, b, level.start, level.other, level.link, level.loss,
                   level.inverse, level.order, np.int32(first), np.int32(last), np.int32(x.shape[1]))
        else:
            in_pieces(_relax, first + chunks(last - first, _LEAST), x, b, level.start, level.other, level.link, level.loss, level.inverse, level.order)


def residual(level, x, b, r):
    """r = b - A x; returns r."""
    if on_device(x):
        launch("algebraic", "am_residual", (grid(x.shape[1]), len(x)), 256, x, b, level.start, level.other, level.link, level.loss, level.order, r,
               np.int32(x.shape[1]))
    else:
        in_pieces(_residual, chunks(x.shape[1], _LEAST), x, b, level.start, level.other, level.link, level.loss, level.order, r)
    return r


def multiply(m, v, out, add):
    """out = m v, or out += m v. m: `Rows` (N, M) with float32 values. v: (S, M), out: (S, N) float32."""
    if on_device(v):
        launch("algebraic", "am_multiply", (grid(out.shape[1]), len(v)), 256, m.start, m.other, m.value, v, out, np.int32(add),
               np.int32(out.shape[1]), np.int32(v.shape[1]))
    else:
        in_pieces(_multiply, chunks(out.shape[1], _LEAST), m.start, m.other, m.value, v, out, add)


@njit(cache=True, nogil=True)
def _relax(x, b, start, other, link, loss, inverse, order, first, last):
    for m in range(first, last):
        i = order[m]
        for f in range(x.shape[0]):
            x[f, i] += inverse[m] * _left(x[f], b[f, i], i, m, start, other, link, loss)


@njit(cache=True)
def _left(x, t, i, m, start, other, link, loss):
    own = x[i]
    for e in range(start[m], start[m + 1]):
        t += link[e] * (x[other[e]] - own)
    return t - loss[m] * own


@njit(cache=True, nogil=True)
def _residual(x, b, start, other, link, loss, order, r, first, last):
    for m in range(first, last):
        i = order[m]
        for f in range(x.shape[0]):
            r[f, i] = _left(x[f], b[f, i], i, m, start, other, link, loss)


@njit(cache=True, nogil=True)
def _multiply(start, other, value, v, out, add, first, last):
    for i in range(first, last):
        for f in range(v.shape[0]):
            total = out[f, i] if add else np.float32(0)
            for e in range(start[i], start[i + 1]):
                total += value[e] * v[f, other[e]]
            out[f, i] = total
