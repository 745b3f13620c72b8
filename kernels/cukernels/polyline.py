"""Polylines cut where they pass from one polygon to the next, by the same border rule as `polygon.polygon_of`.

Each straight segment is met with the edges near it; every meeting is a cut; between two cuts the whole stretch has one
home, that of its middle, or the lowest polygon whose border it runs along where it runs along one.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .orientation import LARGEST, side
from .polygon import column_range, in_threads, polygon_of, row_range

_TOLERANCE = 1e-12  # of a segment's length: cuts nearer than this, and than the rounding of coordinates, are one
_NO_POLYGON = np.int32(2**31 - 1)


@dataclass(frozen=True)
class Parts:
    """M stretches of segments in order along each line, all arrays on the side of the lines.

    segment: (M,) int64, the stretch lies between vertices segment and segment + 1. polygon: (M,) int32, -1 outside all.
    begin, end: (M,) float64, fractions of the segment, 0 <= begin < end <= 1; they join without gap or overlap.
    """

    segment: np.ndarray
    polygon: np.ndarray
    begin: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class Pieces:
    """Ordered along each line: line (M,) int64, polygon (M,) int32 (-1 outside all), length (M,) float64."""

    line: np.ndarray
    polygon: np.ndarray
    length: np.ndarray


def split_polylines(index, x, y, line_start):
    """Cut lines at polygon borders: `Parts`.

    index: `polygon.PolygonIndex`. x, y: (V,) float64, vertices of all lines one after the other, in the unit of the
    polygons. line_start: (L + 1,) int, line l has the vertices line_start[l] .. line_start[l+1] - 1. All on the side
    where the index lies. Segments without length give no part.

    Raises ValueError for offsets that don't fit and for coordinates that are not finite (or beyond 1e100), naming the
    first.
    """
    x, y, line_start = _check(index, x, y, line_start)
    segment = _segments(x, y, line_start)
    if on_device(index.cell, x, y, line_start):
        return _split_cuda(index, x, y, segment)
    return _split_cpu(index, x, y, segment)


def join_parts(parts, line_start, length):
    """`Pieces`: neighbouring parts of a line in one polygon become one, their lengths added from begin to end.

    parts: from `split_polylines`, with its line_start. length: (M,) float64, length of each part.
    """
    xp = array_module(parts.segment, line_start, length)
    if not len(parts.segment):
        return Pieces(xp.zeros(0, np.int64), xp.zeros(0, np.int32), xp.zeros(0))
    line = xp.searchsorted(line_start, parts.segment, side="right") - 1
    new = xp.ones(len(line), bool)
    new[1:] = (line[1:] != line[:-1]) | (parts.polygon[1:] != parts.polygon[:-1])
    first = xp.flatnonzero(new)
    if on_device(length):
        total = _add_runs_cuda(first, length)
    else:
        total = np.add.reduceat(length, first)
    return Pieces(line[first], parts.polygon[first], total)


def part_ends(parts, x, y):
    """Coordinates of both ends of each part: x0, y0, x1, y1, each (M,). Ends that are vertices are the vertices' own."""
    s = parts.segment
    return _between(x, s, parts.begin), _between(y, s, parts.begin), _between(x, s, parts.end), _between(y, s, parts.end)


def plane_length(parts, x, y):
    """(M,) length of each part in the unit of the coordinates; those of a segment add up to the segment's."""
    xp = array_module(parts.segment, x, y)
    s = parts.segment
    return (parts.end - parts.begin) * xp.hypot(x[s + 1] - x[s], y[s + 1] - y[s])


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
    bad = ~((abs(x) <= LARGEST) & (abs(y) <= LARGEST))
    if bool(bad.any()):
        i = int(bad.argmax())
        raise ValueError(f"vertex {i} is ({float(x[i])}, {float(y[i])}): coordinates must be finite and below {LARGEST:g}")
    return x, y, line_start


def _segments(x, y, line_start):
    """The first vertices of all segments that have a length."""
    xp = array_module(x)
    joined = xp.ones(max(len(x) - 1, 0), bool)
    ends = line_start[1:-1]
    joined[ends[(ends > 0) & (ends < len(x))] - 1] = False
    return xp.flatnonzero(joined & ((x[1:] != x[:-1]) | (y[1:] != y[:-1])))


def _between(values, segment, fraction):
    xp = array_module(values)
    a, b = values[segment], values[segment + 1]
    return xp.where(fraction == 1, b, a + (b - a) * fraction)


# ---- on the CPU


def _split_cpu(index, x, y, segment):
    chunks = in_threads(_cut_cpu, len(segment), index.frame, index.cell, index.start, index.entry, index.edge,
                        index.edge_polygon, index.rows, index.columns, x, y, segment, least=2000)
    owner, begin, end, along = (np.concatenate(c) for c in zip(*chunks))
    middle = 0.5 * (begin + end)
    polygon = polygon_of(index, x[owner] + (x[owner + 1] - x[owner]) * middle, y[owner] + (y[owner + 1] - y[owner]) * middle)
    return Parts(owner, np.where((along != _NO_POLYGON) & ((polygon < 0) | (along < polygon)), along, polygon), begin, end)


@njit(cache=True, nogil=True)
def _cut_cpu(frame, cell, start, entry, edge, edge_polygon, rows, columns, x, y, segment, first, last):
    owner, begin, end = np.empty(1024, np.int64), np.empty(1024), np.empty(1024)
    along = np.empty(1024, np.int32)  # lowest polygon along whose border the part runs
    cut, cut_end, cut_polygon = np.empty(64), np.empty(64), np.empty(64, np.int32)
    size = 0
    for i in range(first, last):
        p = segment[i]
        px, py, qx, qy = x[p], y[p], x[p + 1], y[p + 1]
        n = 0
        low, high = row_range(py, qy, frame[1], frame[3], rows)
        for row in range(low, high + 1):
            left, right = column_range(px, py, qx, qy, row, frame, columns)
            for column in range(left, right + 1):
                b = -2 - cell[row * columns + column]
                if b < 0:
                    continue
                for k in range(start[b], start[b + 1]):
                    e = entry[k] >> 2
                    t, t_end = _meeting(edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3], px, py, qx, qy)
                    if t > t_end:
                        continue
                    if n == len(cut):
                        cut, cut_end, cut_polygon = _longer(cut), _longer(cut_end), _longer(cut_polygon)
                    cut[n], cut_end[n], cut_polygon[n] = t, t_end, edge_polygon[e]
                    n += 1
        tolerance = _tolerance(px, py, qx, qy)
        at = 0.0
        while at < 1.0:
            to = _next_cut(cut, cut_end, n, at, tolerance)
            if size == len(owner):
                owner, begin, end, along = _longer(owner), _longer(begin), _longer(end), _longer(along)
            owner[size], begin[size], end[size] = p, at, to
            along[size] = _lowest_along(cut, cut_end, cut_polygon, n, 0.5 * (at + to))
            size += 1
            at = to
    return owner[:size], begin[:size], end[:size], along[:size]


@njit(cache=True, nogil=True)
def _meeting(ax, ay, bx, by, px, py, qx, qy):
    """Where the segment p -> q meets the edge a -> b: fractions (t, t) of a point, (t, u) of a stretch along it, (1, 0) nowhere."""
    if max(ax, bx) < min(px, qx) or min(ax, bx) > max(px, qx) or max(ay, by) < min(py, qy) or min(ay, by) > max(py, qy):
        return 1.0, 0.0
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


def _split_cuda(index, x, y, segment):
    """Three passes, a thread a segment: count the meetings, write them down, cut and find the homes."""
    import cupy
    n = len(segment)
    if not n:
        return Parts(segment, cupy.zeros(0, np.int32), cupy.zeros(0), cupy.zeros(0))
    sizes = np.int32(index.rows), np.int32(index.columns)
    lines = x, y, segment, np.int64(n)
    meetings = cupy.empty(n, np.int64)
    launch("polyline", "polyline_count", grid(n, 128), 128, *index.arrays, *sizes, *lines, meetings)
    first = _offsets(meetings)
    total = int(first[-1])
    cut, cut_end, cut_polygon = cupy.empty(total + 1), cupy.empty(total + 1), cupy.empty(total + 1, np.int32)
    launch("polyline", "polyline_meet", grid(n, 128), 128, *index.arrays, *sizes, *lines, first, cut, cut_end, cut_polygon)
    room = 2 * total + n  # a meeting makes at most two cuts
    owner, begin, end, polygon = cupy.full(room, -1, np.int64), cupy.empty(room), cupy.empty(room), cupy.empty(room, np.int32)
    launch("polyline", "polyline_cut", grid(n, 128), 128, *index.arrays, *sizes, *lines, first, cut, cut_end, cut_polygon,
           owner, begin, end, polygon)
    used = cupy.flatnonzero(owner >= 0)
    return Parts(owner[used], polygon[used], begin[used], end[used])


def _offsets(counts):
    import cupy
    first = cupy.zeros(len(counts) + 1, np.int64)
    first[1:] = cupy.cumsum(counts)
    return first


def _add_runs_cuda(first, length):
    import cupy
    total = cupy.empty(len(first))
    launch("polyline", "polyline_add_runs", grid(len(first), 128), 128, first, length, total, np.int64(len(first)), np.int64(len(length)))
    return total
