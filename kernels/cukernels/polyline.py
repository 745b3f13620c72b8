"""Polylines cut where they pass from one polygon to the next, by the same border rule as `polygon.polygon_of`.

Each straight segment is met with the edges near it; every meeting is a cut; between two cuts the whole stretch has one
home, that of its middle, or the lowest polygon whose border it runs along where it runs along one.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .orientation import LARGEST, side
from .polygon import _locate, column_range, row_range
from .threads import in_threads

_TOLERANCE = 1e-12  # of a segment's length: cuts nearer than this, and than the rounding of coordinates, are one
_NO_POLYGON = np.int32(2**31 - 1)


@dataclass(frozen=True)
class Pieces:
    """M stretches of lines, in order along each line, each in one polygon, neighbours in different ones (-1 outside all).

    line: (M,) int64. polygon: (M,) int32. A piece runs from fraction `begin` of segment `first` to fraction `end` of
    segment `last` (int64, float64; segment s joins vertices s and s + 1); the pieces of a line join without gap or overlap.
    """

    line: np.ndarray
    polygon: np.ndarray
    first: np.ndarray
    begin: np.ndarray
    last: np.ndarray
    end: np.ndarray


def split_polylines(index, x, y, line_start):
    """Cut lines at polygon borders: `Pieces`.

    index: `polygon.PolygonIndex`. x, y: (V,) float64, vertices of all lines one after the other, in the unit of the
    polygons. line_start: (L + 1,) int, line l has the vertices line_start[l] .. line_start[l+1] - 1. All on the side
    where the index lies. A line without length gives no piece.

    Raises ValueError for offsets that don't fit and for coordinates that are not finite (or beyond 1e100), naming the
    first.
    """
    x, y, line_start = _check(index, x, y, line_start)
    if on_device(index.cell, x, y, line_start):
        return _split_cuda(index, x, y, line_start)
    return _split_cpu(index, x, y, line_start)


def segment_lengths(x, y):
    """(V - 1,) distance from each vertex to the next, in the unit of the coordinates."""
    if on_device(x, y):
        return array_module(x, y).hypot(x[1:] - x[:-1], y[1:] - y[:-1])
    length = np.empty(max(len(x) - 1, 0))
    in_threads(_measure, len(length), x, y, length)
    return length


def piece_lengths(pieces, segment_length):
    """(M,) float64 length of each piece, its segments added from begin to end, of cut segments the fraction.

    segment_length: (V - 1,) float64, length of segment s in any unit, on the side of the pieces.
    """
    where = pieces.first, pieces.begin, pieces.last, pieces.end
    xp = array_module(*where, segment_length)
    length, total = xp.ascontiguousarray(segment_length, dtype=np.float64), xp.empty(len(pieces.first))
    if on_device(length):
        launch("polyline", "polyline_lengths", grid(len(total), 128), 128, *where, length, total, np.int64(len(total)))
    else:
        in_threads(_add_lengths, len(total), *where, length, total)
    return total


# ---- checks


def _check(index, x, y, line_start):
    xp = array_module(index.cell, x, y, line_start)
    x, y = (xp.ascontiguousarray(xp.asarray(a), dtype=np.float64) for a in (x, y))
    line_start = xp.ascontiguousarray(xp.asarray(line_start), dtype=np.int64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}: pass two flat arrays of one length")
    fits = len(line_start) > 0 and int(line_start[0]) == 0 and int(line_start[-1]) == len(x)
    if not fits or bool((line_start[1:] < line_start[:-1]).any()):
        raise ValueError(f"line_start does not cut {len(x)} vertices into lines: it must rise from 0 to {len(x)}")
    if len(x) and not all(-LARGEST <= float(end) <= LARGEST for end in (x.min(), x.max(), y.min(), y.max())):
        i = int((~((abs(x) <= LARGEST) & (abs(y) <= LARGEST))).argmax())
        raise ValueError(f"vertex {i} is ({float(x[i])}, {float(y[i])}): coordinates must be finite and below {LARGEST:g}")
    return x, y, line_start


# ---- on the CPU


def _split_cpu(index, x, y, line_start):
    chunks = in_threads(_walk, len(line_start) - 1, *index.arrays, index.rows, index.columns, x, y, line_start, least=100)
    return Pieces(*(np.concatenate(c) for c in zip(*chunks)))


@njit(cache=True, nogil=True)
def _walk(frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns, x, y, line_start, first_line, last_line):
    """Along each line, segment by segment. Where a segment meets no edge, the home is the one at hand, unless a cut came
    just before (a cut at its very end may have been dropped as too near)."""
    x0, y0, per_x, per_y = frame[0], frame[1], frame[2], frame[3]
    where, inner = np.empty((1024, 4), np.int64), np.empty((1024, 2))  # line, polygon, first, last; begin, end
    cut, cut_end, cut_polygon = np.empty(64), np.empty(64), np.empty(64, np.int32)
    at_x, at_y, found = np.empty(1), np.empty(1), np.empty(1, np.int32)
    size = 0
    for line in range(first_line, last_line):
        home, sure, fresh, q_cell = -1, False, True, -1
        for s in range(line_start[line], line_start[line + 1] - 1):
            px, py, qx, qy = x[s], y[s], x[s + 1], y[s + 1]
            if px == qx and py == qy:
                continue
            n = 0
            p_cell, u, v = q_cell, (qx - x0) * per_x, (qy - y0) * per_y
            q_cell = int(v) * columns + int(u) if u >= 0.0 and u < columns and v >= 0.0 and v < rows else -1
            within = q_cell >= 0 and p_cell == q_cell  # then its own cell has every edge near it
            if within and not fresh and cell[q_cell] == home:
                where[size - 1, 3], inner[size - 1, 1], sure = s, 1.0, True  # most segments end here
                continue
            low, high = (int(v), int(v)) if within else row_range(py, qy, y0, per_y, rows)
            for row in range(low, high + 1):
                left, right = (int(u), int(u)) if within else column_range(px, py, qx, qy, row, x0, y0, per_x, per_y, columns)
                for column in range(left, right + 1):
                    b = -2 - cell[row * columns + column]
                    if b < 0:
                        continue
                    for k in range(start[b], start[b + 1]):
                        e = entry[k] >> 2
                        ax, ay, bx, by = edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3]
                        if _apart(ax, bx, px, qx) or _apart(ay, by, py, qy):
                            continue
                        t, t_end = _meeting(ax, ay, bx, by, px, py, qx, qy)
                        if t > t_end:
                            continue
                        if n == len(cut):
                            cut, cut_end, cut_polygon = _longer(cut), _longer(cut_end), _longer(cut_polygon)
                        cut[n], cut_end[n], cut_polygon[n] = t, t_end, edge_polygon[e]
                        n += 1
            at = 0.0
            while at < 1.0:
                to, along = 1.0, _NO_POLYGON
                if n > 0:
                    to = _next_cut(cut, cut_end, n, at, _tolerance(px, py, qx, qy))
                    along = _lowest_along(cut, cut_end, cut_polygon, n, 0.5 * (at + to))
                now = home
                if n > 0 or not sure:
                    at_x[0], at_y[0] = px + (qx - px) * (0.5 * (at + to)), py + (qy - py) * (0.5 * (at + to))
                    _locate(frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns, at_x, at_y, found, 0, 1)
                    now = found[0]
                    if along != _NO_POLYGON and (now < 0 or along < now):
                        now = along
                if fresh or now != home:
                    if size == len(where):
                        where, inner = _more_rows(where), _more_rows(inner)
                    where[size, 0], where[size, 1], where[size, 2], inner[size, 0] = line, now, s, at
                    size += 1
                where[size - 1, 3], inner[size - 1, 1] = s, to
                home, fresh, at = now, False, to
            sure = n == 0
    return (where[:size, 0].copy(), where[:size, 1].astype(np.int32), where[:size, 2].copy(), inner[:size, 0].copy(),
            where[:size, 3].copy(), inner[:size, 1].copy())


@njit(cache=True, nogil=True)
def _more_rows(array):
    longer = np.empty((2 * len(array), array.shape[1]), array.dtype)
    longer[:len(array)] = array
    return longer


@njit(cache=True, nogil=True)
def _measure(x, y, length, first, last):
    for s in range(first, last):
        length[s] = math.hypot(x[s + 1] - x[s], y[s + 1] - y[s])


@njit(cache=True, nogil=True)
def _add_lengths(first, begin, last, end, length, total, first_piece, last_piece):
    for i in range(first_piece, last_piece):
        if first[i] == last[i]:
            total[i] = (end[i] - begin[i]) * length[first[i]]
            continue
        sum_ = (1.0 - begin[i]) * length[first[i]]
        for s in range(first[i] + 1, last[i]):
            sum_ += length[s]
        total[i] = sum_ + end[i] * length[last[i]]


@njit(cache=True, nogil=True)
def _apart(a, b, p, q):
    return (a < p and a < q and b < p and b < q) or (a > p and a > q and b > p and b > q)


@njit(cache=True, nogil=True)
def _meeting(ax, ay, bx, by, px, py, qx, qy):
    """Where the segment p -> q meets the edge a -> b: fractions (t, t) of a point, (t, u) of a stretch along it, (1, 0) nowhere."""
    p_side, q_side = side(ax, ay, bx, by, px, py), side(ax, ay, bx, by, qx, qy)
    if p_side * q_side > 0:
        return 1.0, 0.0
    a_side, b_side = side(px, py, qx, qy, ax, ay), side(px, py, qx, qy, bx, by)
    if a_side * b_side > 0:
        return 1.0, 0.0
    if a_side == 0 and b_side == 0:
        t, u = _fraction(ax, ay, px, py, qx, qy), _fraction(bx, by, px, py, qx, qy)
        return max(0.0, min(t, u)), min(1.0, max(t, u))
    if p_side == 0:
        return 0.0, 0.0
    if q_side == 0:
        return 1.0, 1.0
    if a_side == 0:
        t = _fraction(ax, ay, px, py, qx, qy)
    elif b_side == 0:
        t = _fraction(bx, by, px, py, qx, qy)
    else:
        p_area = (ax - px) * (by - py) - (ay - py) * (bx - px)
        q_area = (ax - qx) * (by - qy) - (ay - qy) * (bx - qx)
        t = p_area / (p_area - q_area)
    t = max(0.0, min(1.0, t))
    return t, t


@njit(cache=True, nogil=True)
def _fraction(ax, ay, px, py, qx, qy):
    dx, dy = qx - px, qy - py
    return ((ax - px) * dx + (ay - py) * dy) / (dx * dx + dy * dy)


@njit(cache=True, nogil=True)
def _tolerance(px, py, qx, qy):
    largest = max(max(abs(px), abs(qx)), max(abs(py), abs(qy)))
    return _TOLERANCE + 8.0 * 2.0**-53 * largest / max(abs(qx - px), abs(qy - py))


@njit(cache=True, nogil=True)
def _next_cut(cut, cut_end, n, at, tolerance):
    to = 1.0
    for k in range(n):
        if cut[k] > at + tolerance:
            to = min(to, cut[k])
        if cut_end[k] > at + tolerance:
            to = min(to, cut_end[k])
    return to if to < 1.0 - tolerance else 1.0


@njit(cache=True, nogil=True)
def _lowest_along(cut, cut_end, cut_polygon, n, middle):
    lowest = _NO_POLYGON
    for k in range(n):
        if cut[k] < middle and middle < cut_end[k] and cut_polygon[k] < lowest:
            lowest = cut_polygon[k]
    return lowest


@njit(cache=True, nogil=True)
def _longer(array):
    longer = np.empty(2 * len(array), array.dtype)
    longer[:len(array)] = array
    return longer


# ---- on the GPU


def _split_cuda(index, x, y, line_start):
    """Three passes, a thread a segment: count the meetings, write them down, cut and find the homes. Then stretches of
    one line in one polygon are joined."""
    import cupy
    segment = _segments(x, y, line_start)
    n = len(segment)
    lines = *index.arrays, np.int32(index.rows), np.int32(index.columns), x, y, segment, np.int64(n)
    meetings = cupy.empty(n, np.int64)
    launch("polyline", "polyline_count", grid(n, 128), 128, *lines, meetings)
    first = cupy.zeros(n + 1, np.int64)
    first[1:] = cupy.cumsum(meetings)
    total = int(first[-1])
    cut, cut_end, cut_polygon = cupy.empty(total), cupy.empty(total), cupy.empty(total, np.int32)
    launch("polyline", "polyline_meet", grid(n, 128), 128, *lines, first, cut, cut_end, cut_polygon)
    room = 2 * total + n  # a meeting makes at most two cuts
    owner, begin, end, polygon = cupy.full(room, -1, np.int64), cupy.empty(room), cupy.empty(room), cupy.empty(room, np.int32)
    launch("polyline", "polyline_cut", grid(n, 128), 128, *lines, first, cut, cut_end, cut_polygon, owner, begin, end, polygon)
    used = cupy.flatnonzero(owner >= 0)
    return _join_cuda(line_start, owner[used], polygon[used], begin[used], end[used])


def _segments(x, y, line_start):
    """The first vertices of all segments that have a length."""
    import cupy
    joined = cupy.ones(max(len(x) - 1, 0), bool)
    ends = line_start[1:-1]
    joined[ends[(ends > 0) & (ends < len(x))] - 1] = False
    return cupy.flatnonzero(joined & ((x[1:] != x[:-1]) | (y[1:] != y[:-1])))


def _join_cuda(line_start, owner, polygon, begin, end):
    import cupy
    line = cupy.searchsorted(line_start, owner, side="right") - 1
    new = cupy.ones(len(line) + 1, bool)
    new[1:-1] = (line[1:] != line[:-1]) | (polygon[1:] != polygon[:-1])
    bounds = cupy.flatnonzero(new)
    head, tail = bounds[:-1], bounds[1:] - 1
    return Pieces(line[head], polygon[head], owner[head], begin[head], owner[tail], end[tail])
