"""What a cycle of the multigrid that keeps rigid motions does on one level: sweeps, and the ways down and up; see `rigid`."""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .margin import wrap
from .threads import in_threads

_PART = 30_000     # nodes a thread should have at least


@dataclass
class Level:
    """One grid in single or in double precision, node arrays padded by 1.

    link: (4 d d, ...) blocks of each node with its E, S, SE, SW neighbour; diagonal and inverse: (d d, ...) blocks.
    along, down, middle: weights (6 d, ...), (6 d, ...), (12 d, ...) of the nodes right of, below, and diagonally below
    each coarse node, from the coarse nodes at the ends (left, right; upper, lower; NW, NE, SW, SE).
    """

    shape: tuple
    periodic: tuple
    d: int
    link: np.ndarray
    diagonal: np.ndarray
    inverse: np.ndarray
    colours: np.ndarray
    along: np.ndarray = None
    down: np.ndarray = None
    middle: np.ndarray = None
    work: dict = field(default_factory=dict)


def precision(dtype):
    """The end of a kernel's name."""
    return "" if np.dtype(dtype) == np.float32 else "_double"


def scratch(level, name, b):
    key = name, len(b)
    if key not in level.work:
        NY, NX = level.shape
        level.work[key] = array_module(b).zeros((len(b), level.d, NY + 2, NX + 2), level.link.dtype)
    return level.work[key]


def smooth(level, x, b, forward, from_zero=False):
    """Rows of even number, then those of odd; back the other way. The last row of an odd circle is a turn of its own.

    from_zero: x is 0.
    """
    NY, NX = level.shape
    seam = int(level.periodic[0] and NY % 2)
    turns = [(0, (NY + 1) // 2 - seam), (1, NY // 2)] + [(NY - 1, 1)] * seam
    for n, (first, count) in enumerate(turns if forward else turns[::-1]):
        if on_device(x):
            _smooth_cuda(level, x, b, first, count, forward)
        else:
            in_threads(_relax_rows, count, level.d, level.link, level.inverse, level.colours, *level.periodic, x, b, first,
                       forward, from_zero and n == 0, least=1 + _PART // NX)


def residual(level, x, b, name="r"):
    """b - A x, an array that the next call with this name reuses; `restrict` uses "r" on a device."""
    r = scratch(level, name, b)
    if on_device(x):
        _residual_cuda(level, x, b, r)
    else:
        in_threads(_residual_rows, level.shape[0], level.d, level.link, level.diagonal, x, b, r, least=1 + _PART // level.shape[1])
    return wrap(r, level.periodic)


def restrict(level, x, b, coarse):
    """coarse = P^T (b - A x)."""
    NYc, NXc = (n - 2 for n in coarse.shape[2:])
    if on_device(x):
        _restrict_cuda(level, residual(level, x, b), coarse)
    else:
        in_threads(_restrict_rows, NYc, level.d, level.link, level.diagonal, level.along, level.down, level.middle,
                   *level.periodic, x, b, coarse, least=1 + _PART // (4 * NXc))
    wrap(coarse, level.periodic)


def prolong(level, x, coarse):
    """x += P coarse."""
    NYc, NXc = (n - 2 for n in coarse.shape[2:])
    if on_device(x):
        _prolong_cuda(level, x, coarse)
    else:
        in_threads(_prolong_rows, NYc, level.d, level.inverse, level.along, level.down, level.middle, *level.periodic, x,
                   coarse, least=1 + _PART // (4 * NXc))
    wrap(x, level.periodic)


@njit(cache=True, nogil=True)
def _minus(out, c, u, more_c, more_u):
    for j in range(out.size):
        out[j] -= c[j] * u[j] + more_c[j] * more_u[j]


@njit(cache=True, nogil=True)
def _minus_one(out, c, u):
    for j in range(out.size):
        out[j] -= c[j] * u[j]


@njit(cache=True, nogil=True)
def _take(t, c, row, left, first, step, x, u_row, u_left, d):
    """t -= the blocks c[first ..] of padded row `row` times x of row u_row, from columns `left` and u_left on.

    step says which way the block lies: (d, 1) or, transposed, (1, d).
    """
    n, other = t.shape[1], 1 if step == d else d
    for a in range(d):
        place = first + a * step  # whole rows first: slices of those are known to be contiguous
        _minus(t[a], c[place, row][left:left + n], x[0, u_row][u_left:u_left + n],
               c[place + other, row][left:left + n], x[1, u_row][u_left:u_left + n])
        if d == 3:
            _minus_one(t[a], c[place + 2 * other, row][left:left + n], x[2, u_row][u_left:u_left + n])


@njit(cache=True, nogil=True)
def _other_rows(t, link, x, b, i, d):
    """t = b less what the rows above and below padded row i pull."""
    n, e = t.shape[1], d * d
    for a in range(d):
        for j in range(n):
            t[a, j] = b[a, i, j + 1]
    for m in range(3):  # to S, SE and SW, and back
        side = (0, 1, -1)[m]
        _take(t, link, i, 1, (1 + m) * e, d, x, i + 1, 1 + side, d)
        _take(t, link, i - 1, 1 - side, (1 + m) * e, 1, x, i - 1, 1 - side, d)


@njit(cache=True, nogil=True)
def _same_row(t, link, x, i, d):
    _take(t, link, i, 1, 0, d, x, i, 2, d)
    _take(t, link, i, 0, 0, 1, x, i, 0, d)


@njit(cache=True, nogil=True)
def _relax_rows(d, link, inverse, colours, wrap_y, wrap_x, x, b, start, forward, alone, first, last):
    """Gauss-Seidel on every second row from row `start` on, one colour of columns after the other. alone: the others are 0."""
    n = x.shape[3] - 2
    others, t = np.empty((d, n), x.dtype), np.empty((d, n), x.dtype)
    for f in range(x.shape[0]):
        for turn in range(first, last):
            i = start + 2 * turn + 1
            if alone:
                _copy(others, b[f, :, i, 1:-1])
            else:
                _other_rows(others, link, x[f], b[f], i, d)
            for m in range(len(colours)):
                _copy(t, others)
                _same_row(t, link, x[f], i, d)
                _correct(x[f, :, i], t, inverse[:, i], colours[m if forward else len(colours) - 1 - m], d)
                if wrap_x:
                    for a in range(d):
                        x[f, a, i, 0], x[f, a, i, n + 1] = x[f, a, i, n], x[f, a, i, 1]
            if wrap_y and i == 1:
                _copy(x[f, :, x.shape[2] - 1], x[f, :, 1])
            if wrap_y and i == x.shape[2] - 2:
                _copy(x[f, :, 0], x[f, :, i])


@njit(cache=True, nogil=True)
def _copy(to, a):  # numba's own assignment of arrays takes a second to compile, for its error message
    for m in range(a.shape[0]):
        for j in range(a.shape[1]):
            to[m, j] = a[m, j]


@njit(cache=True, nogil=True)
def _correct(x, t, inverse, colour, d):
    for a in range(d):
        for j in range(t.shape[1]):
            new = inverse[a * d, j + 1] * t[0, j] + inverse[a * d + 1, j + 1] * t[1, j]
            if d == 3:
                new += inverse[a * d + 2, j + 1] * t[2, j]
            x[a, j + 1] += colour[j] * (new - x[a, j + 1])


@njit(cache=True, nogil=True)
def _residual_row(r, link, diagonal, x, b, i, d):
    """r = b - A x in node row i (not padded)."""
    _other_rows(r, link, x, b, i + 1, d)
    _same_row(r, link, x, i + 1, d)
    _take(r, diagonal, i + 1, 1, 0, d, x, i + 1, 1, d)


@njit(cache=True, nogil=True)
def _residual_rows(d, link, diagonal, x, b, out, first, last):
    r = np.empty((d, x.shape[3] - 2), x.dtype)
    for f in range(x.shape[0]):
        for i in range(first, last):
            _residual_row(r, link, diagonal, x[f], b[f], i, d)
            for a in range(d):
                for j in range(r.shape[1]):
                    out[f, a, i + 1, j + 1] = r[a, j]


@njit(cache=True, nogil=True)
def _parted(even, odd, link, diagonal, x, b, i, d, r):
    """The residual of node row i, that of coarse columns and that between them each in a row of its own."""
    _residual_row(r, link, diagonal, x, b, i, d)
    last = r.shape[1] - 1
    for a in range(d):
        for J in range(even.shape[1]):
            even[a, J] = r[a, min(2 * J, last)]
        for J in range(odd.shape[1]):
            odd[a, J] = r[a, 2 * J + 1]


@njit(cache=True, nogil=True)
def _add(out, w, r, beside):
    for J in range(r.size):
        out[J + 1 + beside] += w[J + 1] * r[J]


@njit(cache=True, nogil=True)
def _give(out, row, w, w_row, first, step, r, beside):
    """Row `row` of the three coarse unknowns gets w^T r of fine nodes: weights w[first + step a + n]."""
    for a in range(r.shape[0]):
        for n in range(3):
            _add(out[n, row], w[first + step * a + n, w_row], r[a], beside)


@njit(cache=True, nogil=True)
def _restrict_rows(d, link, diagonal, along, down, middle, wrap_y, wrap_x, x, b, coarse, first, last):
    NY, NX = x.shape[2] - 2, x.shape[3] - 2
    NYc, NXc = coarse.shape[2] - 2, coarse.shape[3] - 2
    columns = (NX - (not wrap_x)) // 2
    r, even, odd = np.empty((d, NX), x.dtype), np.empty((2, d, NXc), x.dtype), np.empty((2, d, columns), x.dtype)
    own, between = np.empty((d, NXc), x.dtype), np.empty((d, columns), x.dtype)
    for f in range(x.shape[0]):
        for I in range(first, last):
            out, row = coarse[f], I + 1
            out[:, row] = 0
            _parted(own, between, link, diagonal, x[f], b[f], min(2 * I, NY - 1), d, r)
            for a in range(d):
                share = x.dtype.type(0.5 if a == 2 else 1.0)
                for J in range(NXc):
                    out[a, row, J + 1] += own[a, J] * share
            for half in range(2):
                _give(out, row, along, row, 3 * half, 6, between, half)
            for side in range(2):  # the odd row below, then the one above, which was below before
                cell = I - side
                if cell < 0 and wrap_y:
                    cell += NYc
                if cell < 0 or 2 * cell + 1 >= NY - (not wrap_y):
                    continue
                n = (I - side) % 2
                if side == 0 or I == first:
                    _parted(even[n], odd[n], link, diagonal, x[f], b[f], 2 * cell + 1, d, r)
                _give(out, row, down, cell + 1, 3 * side, 6, even[n], 0)
                for half in range(2):
                    _give(out, row, middle, cell + 1, 6 * side + 3 * half, 12, odd[n], half)
            if wrap_x:
                for n in range(3):
                    out[n, row, 1] += out[n, row, NXc + 1]


@njit(cache=True, nogil=True)
def _prolong_rows(d, inverse, along, down, middle, wrap_y, wrap_x, x, coarse, first, last):
    NY, NX = x.shape[2] - 2, x.shape[3] - 2
    NXc = coarse.shape[3] - 2
    odd_columns = (NX - (not wrap_x)) // 2
    for f in range(x.shape[0]):
        for I in range(first, last):
            i = min(2 * I, NY - 1) + 1
            upper, lower = coarse[f, :, I + 1], coarse[f, :, min(I + 2, coarse.shape[2] - 1)]
            for a in range(d):
                for J in range(NXc):
                    j = min(2 * J, NX - 1) + 1
                    if inverse[a * d + a, i, j] > 0:
                        x[f, a, i, j] += upper[a, J + 1] * x.dtype.type(0.5 if a == 2 else 1.0)
                for J in range(odd_columns):
                    total = x.dtype.type(0)
                    for n in range(3):
                        total += along[a * 6 + n, I + 1, J + 1] * upper[n, J + 1] + along[a * 6 + 3 + n, I + 1, J + 1] * upper[n, J + 2]
                    x[f, a, i, 2 * J + 2] += total
            if 2 * I + 1 < NY - (not wrap_y):
                _prolong_odd_row(d, down[:, I + 1], middle[:, I + 1], upper, lower, odd_columns, x[f, :, i + 1])


@njit(cache=True, nogil=True)
def _prolong_odd_row(d, down, middle, upper, lower, odd_columns, x):
    NX = x.shape[1] - 2
    for a in range(d):
        for J in range(upper.shape[1] - 2):
            total = x.dtype.type(0)
            for n in range(3):
                total += down[a * 6 + n, J + 1] * upper[n, J + 1] + down[a * 6 + 3 + n, J + 1] * lower[n, J + 1]
            x[a, min(2 * J, NX - 1) + 1] += total
        for J in range(odd_columns):
            total = x.dtype.type(0)
            for n in range(3):
                total += (middle[a * 12 + n, J + 1] * upper[n, J + 1] + middle[a * 12 + 3 + n, J + 1] * upper[n, J + 2]
                          + middle[a * 12 + 6 + n, J + 1] * lower[n, J + 1] + middle[a * 12 + 9 + n, J + 1] * lower[n, J + 2])
            x[a, 2 * J + 2] += total


def _shape_arguments(level, fields):
    return (*(np.int32(n) for n in (*level.shape, *level.periodic)), np.int32(fields))


def _smooth_cuda(level, x, b, first, count, forward):
    colours = range(len(level.colours))
    for colour in colours if forward else colours[::-1]:
        columns = np.flatnonzero(level.colours[colour])
        launch("rigid_relaxation", f"relax{level.d}{precision(x.dtype)}", grid(len(x) * count * len(columns), 128), 128, level.link, level.inverse, x, b,
               *_shape_arguments(level, len(x)), np.int32(first), np.int32(count), np.int32(columns[0]), np.int32(len(columns)))
    wrap(x, level.periodic)


def _residual_cuda(level, x, b, residual):
    launch("rigid_relaxation", f"residual{level.d}{precision(x.dtype)}", grid(len(x) * level.shape[0] * level.shape[1], 128), 128, level.link, level.diagonal,
           x, b, *_shape_arguments(level, len(x)), residual)


def _restrict_cuda(level, residual, coarse):
    NYc, NXc = (n - 2 for n in coarse.shape[2:])
    launch("rigid_relaxation", f"restrict{level.d}{precision(coarse.dtype)}", grid(len(coarse) * NYc * NXc, 128), 128, level.along, level.down, level.middle,
           residual, *_shape_arguments(level, len(coarse)), np.int32(NYc), np.int32(NXc), coarse)


def _prolong_cuda(level, x, coarse):
    NYc, NXc = (n - 2 for n in coarse.shape[2:])
    launch("rigid_relaxation", f"prolong{level.d}{precision(coarse.dtype)}", grid(len(x) * level.shape[0] * level.shape[1], 128), 128, level.inverse, level.along,
           level.down, level.middle, coarse, *_shape_arguments(level, len(x)), np.int32(NYc), np.int32(NXc), x)
