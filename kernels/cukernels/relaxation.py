"""What a multigrid cycle does on one level of nine-point stencils: sweeps of Gauss-Seidel, and the ways down and up.

Smoothing is in four colours, one way on the way down and the other way on the way up, so that a cycle is symmetric and
positive. Round an odd circle the last node and the first are neighbours of one colour, and the last row or column is
a colour of its own. Fields are (S, NY, NX) float32, padded as in `stencil`; links and weights are those of `coarsening`.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device
from .coarsening import NOTHING
from .stencil import chunks, inner_row, interior, outer_row, wrap
from .threads import in_pieces, processors

_SERIAL = 100_000     # nodes below which one thread is faster than calling two
_SHARED = 30_000      # nodes times fields that a thread should have at least, where fields are shared out
_THREADS = (32, 4)


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


def scratch(level, name, shape, like):
    """The level's array of this name, zero when it is new."""
    if name not in level.work or level.work[name].shape != shape:
        level.work[name] = array_module(like).zeros(shape, np.float32)
    return level.work[name]


def make_level(shape, periodic, c, reaction):
    """A `Level` of links and reaction, as `coarsening` makes them, without weights."""
    xp = array_module(c)
    diagonal = c[0] + c[1] + c[2] + c[3]
    diagonal[:, 1:] += c[0][:, :-1]
    diagonal[1:] += c[1][:-1]
    diagonal[1:, 1:] += c[2][:-1, :-1]
    diagonal[1:, :-1] += c[3][:-1, 1:]
    diagonal += reaction
    inverse = xp.zeros_like(diagonal)
    d = interior(diagonal)
    there = d > d.max() * np.float32(NOTHING)
    interior(inverse)[...] = xp.where(there, 1 / xp.where(there, d, 1), 0)
    return Level(shape, periodic, c, (0.0, 0.0, 0.0), reaction, wrap(inverse, periodic), None, xp.asarray(_colours(shape[1], periodic[1])))


def _colours(n, wraps):
    """(3, n) float32: 1 at even nodes, at odd nodes, and at the last node of an odd circle."""
    colour = np.arange(n) % 2
    if wraps and n % 2:
        colour[-1] = 2
    return (colour == np.arange(3)[:, None]).astype(np.float32)


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


# CPU. Even rows depend on odd rows only and the other way round, so a thread sweeps its rows once, each odd
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
            if alone and n == 0:  # the row itself is 0 too
                _correct(row, s, inverse[i], colours[colour])
            else:
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
def _residual_row(r, x, b, c, reaction, along_x, along_y, across, wrap_y, wrap_x, row, ny, s, t):
    """Residual of node row `row` into r, parted as of `_part`; a row outside is 0, or the far side's where the rows wrap evenly."""
    if row < 0 or row >= ny:
        if row >= ny or not wrap_y or ny % 2 == 1:
            r[:] = 0
            return
        row += ny
    outer_row(s, b[row + 2], x, c, row + 2, along_x, along_y, across)
    inner_row(t, s, x, c, reaction, row + 2, along_x, along_y, across)
    _part(r, t, wrap_x)


@njit(cache=True)
def _part(r, t, wraps):
    """r[0]: the even nodes of the row t. r[1]: the odd ones, from 1 on; at its ends what is there round a circle, else 0."""
    even, odd = r[0], r[1]
    for j in range(t.size // 2):
        even[j] = t[2 * j]
        odd[j + 1] = t[2 * j + 1]
    odd[0] = t[-1] if wraps else 0
    if t.size % 2:
        even[odd.size - 2] = t[-1]
        odd[-1] = t[0] if wraps else 0


@njit(cache=True)
def _gather(out, up, middle, down, inverse, w, a):
    """One coarse row of P^T r from the three fine rows of residuals around it, parted; inverse is that of the middle one."""
    w0, w1, w2, w3 = w[0, a], w[1, a], w[2, a], w[3, a - 1]
    w4, w5, w6, w7 = w[4, a], w[5, a], w[6, a - 1], w[7, a - 1]
    east, west = middle[1, 1:], middle[1]
    for j in range(middle.shape[1] - 1):
        own = middle[0, j] if inverse[2 * j + 2] > 0 else np.float32(0)
        out[j + 2] = own + w0[j + 2] * east[j] + w1[j + 1] * west[j]
    _gather_row(out, down, w2, w4, w5)
    _gather_row(out, up, w3, w6, w7)


@njit(cache=True)
def _gather_row(out, r, own, right, left):
    middle, east, west = r[0], r[1, 1:], r[1]
    for j in range(r.shape[1] - 1):
        out[j + 2] += own[j + 2] * middle[j] + right[j + 2] * east[j] + left[j + 1] * west[j]


@njit(cache=True, nogil=True)
def _restrict_rows(x, b, c, reaction, inverse, along_x, along_y, across, w, out, wrap_y, wrap_x, ny, nx, first, last):
    s, t = np.empty(nx, x.dtype), np.empty(nx, x.dtype)
    up, middle, down = _parts(nx, x.dtype), _parts(nx, x.dtype), _parts(nx, x.dtype)
    for f in range(x.shape[0]):
        _residual_row(down, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * first - 1, ny, s, t)
        for a in range(first, last):
            up, down = down, up
            _residual_row(middle, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * a, ny, s, t)
            _residual_row(down, x[f], b[f], c, reaction, along_x, along_y, across, wrap_y, wrap_x, 2 * a + 1, ny, s, t)
            _gather(out[f, a + 2], up, middle, down, inverse[2 * a + 2], w, a + 2)


@njit(cache=True)
def _parts(nx, dtype):
    return np.zeros((2, (nx + 1) // 2 + 1), dtype)


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
        launch("relaxation", "mg_relax", blocks, _THREADS, x, b, *_operator(level), level.inverse, *weights,
               *(np.int32(n) for n in (row0, row1, column0, column1, ny, nx)))
        wrap(x, level.periodic)


def _classes(n, wraps):
    """(first, end) of every second node: even, odd, and the last of an odd circle."""
    seam = int(wraps and n % 2 == 1)
    return [(a, b) for a, b in ((0, n - seam), (1, n - seam), (n - seam, n)) if a < b]


def _residual_cuda(level, x, b, r, factor):
    ny, nx = level.shape
    launch("relaxation", "mg_residual", _blocks(nx, ny, len(x)), _THREADS, x, b, *_operator(level),
           *(np.float32(g) for g in (*level.weights, factor)), r, np.int32(ny), np.int32(nx))
    return r


def _restrict_cuda(level, x, b, coarse):
    ny, nx = level.shape
    r = wrap(_residual_cuda(level, x, b, scratch(level, "t", b.shape, b), 1.0), level.periodic)
    launch("relaxation", "mg_restrict", _blocks((nx + 1) // 2, (ny + 1) // 2, len(x)), _THREADS, r, level.inverse, level.weight, coarse,
           np.int32(ny), np.int32(nx))


def _prolong_cuda(level, x, coarse):
    ny, nx = level.shape
    launch("relaxation", "mg_prolong", _blocks(nx, ny, len(x)), _THREADS, x, level.inverse, level.weight, coarse,
           np.int32(ny), np.int32(nx))
    wrap(x, level.periodic)
