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
from .rows import gather, links_of, part, relax, residual_row, row_links, spread_even, spread_odd
from .stencil import chunks, interior, wrap
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

    from_zero: x counts as 0 whatever it holds (forward only).
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
    args = (x, b, level.c, level.reaction, *(np.float32(g) for g in level.weights), _own(level, coarse), level.weight, coarse,
            level.periodic[0], level.periodic[1], ny, nx)
    rows = (ny + 1) // 2
    if ny * nx < _SERIAL:
        return _share(level, len(x), lambda f, g: _restrict_rows(x[f:g], b[f:g], *args[2:9], coarse[f:g], *args[10:], 0, rows))
    return in_pieces(_restrict_rows, chunks(rows, 32), *args)


def _own(level, coarse):
    """1 at the coarse nodes that are unknowns of this level."""
    if "own" not in level.work:
        own = level.work["own"] = np.zeros(coarse.shape[1:], np.float32)
        interior(own)[...] = interior(level.inverse)[::2, ::2] > 0
    return level.work["own"]


def prolong(level, x, coarse):
    """x += P coarse; refreshes the pad of x."""
    for axis in (0, 1):
        if level.periodic[axis] and level.shape[axis] == 2:  # a folded circle, see _fold
            wrap(coarse, (axis == 0, axis == 1))
    if on_device(x):
        return _prolong_cuda(level, x, coarse)
    ny, nx = level.shape
    args = (x, _own(level, coarse), level.weight, coarse, level.periodic[0], level.periodic[1])
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

@njit(cache=True, forceinline=True)
def _relax(u, v, fields, rows, width, c, links, held, plane, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x,
           i, forward, from_zero, alone, s, y):
    """Relax node row i - 2 of every field, colour by colour. from_zero: it counts as 0. alone: the rows beside it do too."""
    k, step = row_links(links, held, c, i, width, along_x, along_y, across)
    for f in range(fields):
        o = (f * rows + i) * width
        relax(u, o + 2, width, v, links, k, plane, step, reaction, i * width + 2, inverse, colours, width - 4, forward, alone, from_zero,
              wrap_x, s, y)
        _wrap_row(u, o, i, f, rows, width, wrap_y, False)  # `relax` has seen to its ends


@njit(cache=True)
def _copy(u, to, o, width):
    for j in range(width):
        u[to + j] = u[o + j]


@njit(cache=True, nogil=True)
def _sweep(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, first, last):
    """First pass over node rows first .. last - 1 (first is even): all but the row that needs the next piece's."""
    # forward: even rows 0, 2, 1, 4, 3 ...; back: odd rows 1, 3, 2, 5, 4 ...
    start = first + 2 if forward else first + 3
    _sweep_rows(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, start, last + 2,
                2 * ((last - first + 1) // 2))


@njit(cache=True)
def _sweep_rows(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, start, end, count):
    """Padded rows start, start + 2, start + 1, start + 4 ..., those within start .. end - 1: the first, third ... alone."""
    fields, rows, width = x.shape
    s, y = np.empty(width, x.dtype), np.empty(width, x.dtype)
    links, held, plane = links_of(c)
    u, v, k, lost, diagonal, colour = x.reshape(-1), b.reshape(-1), c.reshape(-1), reaction.reshape(-1), inverse.reshape(-1), colours.reshape(-1)
    for n in range(count):
        i = start + 2 * (n // 2) - n % 2
        if i >= start and i < end:
            _relax(u, v, fields, rows, width, k, links, held, plane, lost, diagonal, along_x, along_y, across, colour, wrap_y, wrap_x, i,
                   forward, from_zero, from_zero and n % 2 == 0, s, y)


@njit(cache=True, nogil=True)
def _sweep_edge(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, from_zero, first, last):
    """Second pass: the last odd row of a piece on the way forward, its first even row on the way back."""
    i = last + 1 if forward else first + 2
    if forward and last % 2 == 1:
        return
    if from_zero:
        x[:, i] = 0
    _sweep_rows(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, False, i, i + 1, 1)


@njit(cache=True, nogil=True)
def _seam(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, ny, forward):
    """The last row of an odd circle: even like the first and its neighbour, so a colour of its own."""
    _sweep_rows(x, b, c, reaction, inverse, along_x, along_y, across, colours, wrap_y, wrap_x, forward, False, ny + 1, ny + 2, 1)


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


@njit(cache=True, forceinline=True)
def _residual_row(r, u, v, fields, rows, width, c, links, held, plane, reaction, along_x, along_y, across, wrap_y, wrap_x, row, t):
    """Residual of node row `row` into r[f], parted as of `part`; a row outside is 0, or the far side's where rows wrap evenly."""
    ny = rows - 4
    if row < 0 or row >= ny:
        if row >= ny or not wrap_y or ny % 2 == 1:
            r[:] = 0
            return
        row += ny
    q = (row + 2) * width + 2
    k, step = row_links(links, held, c, row + 2, width, along_x, along_y, across)
    for f in range(fields):
        residual_row(t, 0, u, f * rows * width + q, width, v, links, k, plane, step, reaction, q, width - 4, np.float32(1))
        part(r, f * (width - 2 + width % 2), t, width - 4, wrap_x)


@njit(cache=True, nogil=True)
def _restrict_rows(x, b, c, reaction, along_x, along_y, across, own, w, out, wrap_y, wrap_x, ny, nx, first, last):
    (fields, rows, width), n, wide = x.shape, (nx + 1) // 2, out.shape[2]
    links, held, plane = links_of(c)
    u, v, k, lost, mine, weight, coarse = x.reshape(-1), b.reshape(-1), c.reshape(-1), reaction.reshape(-1), own.reshape(-1), w.reshape(-1), out.reshape(-1)
    size = 2 * n + 2
    t, up, middle, down = np.empty(nx, x.dtype), np.zeros(fields * size, x.dtype), np.zeros(fields * size, x.dtype), np.zeros(fields * size, x.dtype)
    how = lost, along_x, along_y, across, wrap_y, wrap_x
    _residual_row(down, u, v, fields, rows, width, k, links, held, plane, *how, 2 * first - 1, t)
    for a in range(first, last):
        up, down = down, up
        _residual_row(middle, u, v, fields, rows, width, k, links, held, plane, *how, 2 * a, t)
        _residual_row(down, u, v, fields, rows, width, k, links, held, plane, *how, 2 * a + 1, t)
        here = (a + 2) * wide + 2
        for f in range(fields):
            gather(coarse, f * out.shape[1] * wide + here, up, middle, down, f * size, mine, weight, w.shape[1] * wide, here - wide, here, n)


@njit(cache=True, nogil=True)
def _prolong_rows(x, own, w, coarse, wrap_y, wrap_x, first, last):
    (fields, rows, width), wide = x.shape, coarse.shape[2]
    u, v, mine, weight, plane = x.reshape(-1), coarse.reshape(-1), own.reshape(-1), w.reshape(-1), w.shape[1] * wide
    for a in range(first + 2, last + 2):
        here = a * wide + 2
        for i in range(2 * a - 2, min(2 * a, rows - 2)):
            for f in range(fields):
                o, m = (f * rows + i) * width, f * coarse.shape[1] * wide + here
                if i % 2 == 0:
                    # a coarse node where the fine one is void or fixed still serves its neighbours
                    spread_even(u, o + 2, width - 4, v, m, mine, weight, plane, here)
                else:
                    spread_odd(u, o + 2, width - 4, v, m, wide, weight, plane, here)
                _wrap_row(u, o, i, f, rows, width, wrap_y, wrap_x)


@njit(cache=True)
def _wrap_row(u, o, i, f, rows, width, wrap_y, wrap_x):
    """Pads of row i of field f, which begins at o, and the pad that is its copy."""
    if wrap_x:
        u[o + 1], u[o + width - 2] = u[o + width - 3], u[o + 2]
    if wrap_y and i == 2:
        _copy(u, ((f + 1) * rows - 2) * width, o, width)
    if wrap_y and i == rows - 3:
        _copy(u, (f * rows + 1) * width, o, width)


@njit(cache=True, nogil=True)
def _residual_rows(x, b, c, reaction, along_x, along_y, across, r, factor, first, last):
    width = x.shape[2]
    links, held, plane = links_of(c)
    u, v, pixel, out, lost = x.reshape(-1), b.reshape(-1), c.reshape(-1), r.reshape(-1), reaction.reshape(-1)
    for i in range(first + 2, last + 2):
        (k, step), q = row_links(links, held, pixel, i, width, along_x, along_y, across), i * width + 2
        for f in range(x.shape[0]):
            o = f * x.shape[1] * width + q
            residual_row(out, o, u, o, width, v, links, k, plane, step, lost, q, width - 4, factor)


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
