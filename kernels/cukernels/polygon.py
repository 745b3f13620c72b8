"""Which polygon holds each point, by one exact rule for shared borders; and pictures of polygons by the same rule.

**The rule.** A polygon covers its inside (even-odd over all its rings, so holes are holes) and its whole border. The home
of a point is the lowest-numbered polygon that covers it, -1 where none does. Sides are decided exactly
(`orientation.side`), so a point on a border, a corner or where three polygons meet has one home, the same one for
every order of the edges; tiles of a plane, whose edges are the same numbers on both sides, leave no gap.

**The index.** A grid of cells. A cell that no edge comes near knows its answer. Any other keeps the edges near it and one
anchor inside it, of which is known which polygons hold it; a point asks which of the edges it has to cross to get to
the anchor (cells are convex, so no other edge can be in the way).
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_device, to_host
from .orientation import LARGEST, side
from .threads import in_threads

_SLACK = 1e-6  # of a cell: edges this near count as inside it; rounding of a cell number is 1e-12
_CELLS_PER_EDGE = 16


@dataclass(frozen=True)
class PolygonIndex:
    """Built by `index_polygons`; all arrays on one side. P polygons, E edges, C cells, B of them with edges, K entries.

    frame: (6,) float64: x and y of the grid's corner, cells per unit of x and of y, width and height of a cell.
    cell: (rows * columns,) int32: the home of every point of the cell, or -2 - b for the b-th cell with edges.
    start (B + 1,) int64, entry (K,) int32: edges of cell b, polygons ascending; edge << 2 | anchor inside << 1 | turned.
    base: (B,) int32: lowest polygon that covers the whole cell. anchor: (B, 2) float64.
    edge: (E, 4) float64 ax ay bx by; edge_polygon: (E,) int32.
    """

    polygons: int
    rows: int
    columns: int
    frame: np.ndarray
    cell: np.ndarray
    start: np.ndarray
    entry: np.ndarray
    base: np.ndarray
    anchor: np.ndarray
    edge: np.ndarray
    edge_polygon: np.ndarray

    def to(self, device):
        """The same index with its arrays on `device` ("cpu", "cuda" or a `backend.Device`)."""
        return replace(self, **{f.name: to_device(getattr(self, f.name), device) for f in fields(self) if f.name not in _SIZES})

    @property
    def arrays(self):
        """The arrays in the order in which the compiled halves take them."""
        return self.frame, self.cell, self.start, self.entry, self.base, self.anchor, self.edge, self.edge_polygon


_SIZES = ("polygons", "rows", "columns")


def index_polygons(xy, ring_start, ring_polygon, polygons=None, cells=None):
    """Index polygons for `polygon_of`, `rasterise` and `polyline.split_polylines`.

    xy: (V, 2) float64, vertices of all rings one after the other, any unit, sizes up to 1e100; a ring may repeat its
    first vertex at its end or not. ring_start: (rings + 1,) int, ring r is xy[ring_start[r]:ring_start[r+1]].
    ring_polygon: (rings,) int, which polygon each ring belongs to, 0 .. polygons - 1; several rings of one polygon are
    its parts and holes (even-odd). Directions of rings don't matter.
    polygons: int, how many there are (default: the highest number plus 1). cells: int, grid cells wanted (default: some
    16 an edge). Building runs on the host in any case; the index lands where xy lies.

    Raises ValueError for offsets that don't fit, numbers out of range and coordinates that are not finite.
    """
    device = "cuda" if on_device(xy, ring_start, ring_polygon) else "cpu"
    xy = np.ascontiguousarray(to_host(xy), np.float64)
    ring_start, ring_polygon = (_integers(to_host(a), n) for a, n in ((ring_start, "ring_start"), (ring_polygon, "ring_polygon")))
    polygons = int(ring_polygon.max(initial=-1)) + 1 if polygons is None else int(polygons)
    _check_rings(xy, ring_start, ring_polygon, polygons)
    order = np.argsort(ring_polygon, kind="stable")
    edge, edge_polygon = _edges(xy, ring_start, ring_polygon, order)
    rows, columns, frame = _frame(edge, _CELLS_PER_EDGE * len(edge) if cells is None else int(cells))
    arrays = _build(edge, edge_polygon, polygons, rows, columns, frame)
    return PolygonIndex(polygons, rows, columns, frame, *arrays, edge, edge_polygon).to(device)


def polygon_of(index, x, y):
    """The home of each point: (N,) int32, the lowest-numbered polygon that covers it, -1 outside all.

    index: `PolygonIndex`. x, y: (N,) float64 in the unit of the polygons, on the side where the index lies.
    Raises ValueError for a coordinate that is not finite, naming the first.
    """
    x, y = _points(index, x, y)
    if on_device(index.cell, x, y):
        home = _polygon_of_cuda(index, x, y)
    else:
        home = _polygon_of_cpu(index, x, y)
    return _refuse_nan(home, x, y)


def rasterise(index, origin, step, shape):
    """The home of every pixel's centre: (H, W) int32, -1 outside all.

    origin: (x, y) of the outer corner of pixel [0, 0]. step: (dx, dy), signed size of a pixel along columns and rows.
    shape: (H, W). The centre of pixel [i, j] is (x + (j + 1/2) dx, y + (i + 1/2) dy); the rule is that of `polygon_of`,
    so polygons that tile the plane take every pixel once.
    """
    height, width = (int(n) for n in shape)
    numbers = np.array([*origin, *step], np.float64)
    if numbers.shape != (4,) or not np.isfinite(numbers).all() or not numbers[2:].all() or min(height, width) < 0:
        raise ValueError(f"origin {origin}, step {step}, shape {shape} describe no grid: give finite (x, y), non-zero (dx, dy), (H, W)")
    if on_device(index.cell):
        return _rasterise_cuda(index, numbers, height, width)
    return _rasterise_cpu(index, numbers, height, width)


# ---- checks


def _integers(array, name):
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{name} is {array.ndim}-dimensional of {array.dtype}: pass a flat array of integers")
    return np.ascontiguousarray(array, np.int64)


def _check_rings(xy, ring_start, ring_polygon, polygons):
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"xy has shape {xy.shape}: pass (V, 2), one row a vertex")
    if len(ring_start) != len(ring_polygon) + 1 or ring_start[0] != 0 or ring_start[-1] != len(xy) or (np.diff(ring_start) < 0).any():
        raise ValueError(f"ring_start does not cut {len(xy)} vertices into {len(ring_polygon)} rings: it must rise from 0 to {len(xy)}")
    if len(ring_polygon) and (ring_polygon.min() < 0 or ring_polygon.max() >= polygons):
        raise ValueError(f"ring_polygon has numbers outside 0 .. {polygons - 1}: number the polygons from 0")
    bad = ~(np.abs(xy) <= LARGEST).all(axis=1)
    if bad.any():
        v = int(bad.argmax())
        raise ValueError(f"vertex {v} is {tuple(xy[v].tolist())}: coordinates must be finite and below {LARGEST:g}")


def _points(index, x, y):
    xp = array_module(index.cell, x, y)
    x, y = (xp.ascontiguousarray(xp.asarray(a), dtype=np.float64) for a in (x, y))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}: pass two flat arrays of one length")
    return x, y


def _refuse_nan(home, x, y):
    if len(home) and int(home.min()) < -1:
        i = int((home < -1).argmax())
        raise ValueError(f"point {i} is ({float(x[i])}, {float(y[i])}): coordinates must be finite")
    return home


# ---- building, on the host


def _edges(xy, ring_start, ring_polygon, order):
    """(E, 4) and (E,): every ring closed, polygons ascending, edges without length left out."""
    sizes = np.diff(ring_start)[order]
    first = np.repeat(ring_start[:-1][order], sizes)
    ends = np.cumsum(sizes)
    a = np.arange(len(first)) - np.repeat(ends - sizes, sizes) + first
    b = a + 1
    last = ends[sizes > 0] - 1
    b[last] = first[last]
    edge = np.concatenate([xy[a], xy[b]], axis=1)
    long = (edge[:, :2] != edge[:, 2:]).any(axis=1)
    return np.ascontiguousarray(edge[long]), np.repeat(ring_polygon[order], sizes)[long].astype(np.int32)


def _frame(edge, cells):
    """Rows, columns and frame of a grid of about `cells` square cells, with a margin of one cell all round."""
    if not len(edge):
        return 1, 1, np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    low = edge.reshape(-1, 2).min(axis=0)
    extent = edge.reshape(-1, 2).max(axis=0) - low
    cells = min(max(cells, 16), 2**26)
    size = max(math.sqrt(extent[0] * extent[1] / cells), extent.max() / cells)
    columns, rows = (max(1, min(cells, math.ceil(e / size))) for e in extent)
    width, height = (e / n if e > 0 else size for e, n in zip(extent, (columns, rows)))
    return rows + 2, columns + 2, np.array([low[0] - width, low[1] - height, 1 / width, 1 / height, width, height])


def _build(edge, edge_polygon, polygons, rows, columns, frame):
    count = np.zeros(rows * columns, np.int32)
    _count_edges(edge, rows, columns, frame, count)
    cell, start = _number_cells(count)
    entry = np.empty(start[-1], np.int32)
    _file_edges(edge, rows, columns, frame, cell, start[:-1].copy(), entry)
    base = np.full(len(start) - 1, -1, np.int32)
    anchor = np.empty((len(start) - 1, 2))
    in_threads(_sweep_rows, rows, edge, edge_polygon, polygons, columns, frame, cell, start, entry, base, anchor, least=32)
    return cell, start, entry, base, anchor


@njit(cache=True, nogil=True)
def row_range(ay, by, y0, per_y, rows):
    """First and last row of the grid that the stretch ay .. by comes near."""
    low, high = (min(ay, by) - y0) * per_y, (max(ay, by) - y0) * per_y
    return max(0, int(math.floor(low - _SLACK))), min(rows - 1, int(math.floor(high + _SLACK)))


@njit(cache=True, nogil=True)
def column_range(ax, ay, bx, by, row, x0, y0, per_x, per_y, columns):
    """First and last column that the stretch a -> b comes near within a row."""
    ua, ub, va, vb = (ax - x0) * per_x, (bx - x0) * per_x, (ay - y0) * per_y, (by - y0) * per_y
    if va > vb:
        ua, ub, va, vb = ub, ua, vb, va
    low, high = min(ua, ub), max(ua, ub)
    if vb - va > _SLACK:
        slope = (ub - ua) / (vb - va)
        at_bottom = ua + slope * (max(row - _SLACK, va) - va)
        at_top = ua + slope * (min(row + 1 + _SLACK, vb) - va)
        low, high = max(low, min(at_bottom, at_top)), min(high, max(at_bottom, at_top))
    return max(0, int(math.floor(low - _SLACK))), min(columns - 1, int(math.floor(high + _SLACK)))


@njit(cache=True, nogil=True)
def _count_edges(edge, rows, columns, frame, count):
    x0, y0, per_x, per_y = frame[0], frame[1], frame[2], frame[3]
    for e in range(len(edge)):
        ax, ay, bx, by = edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3]
        first, last = row_range(ay, by, y0, per_y, rows)
        for row in range(first, last + 1):
            left, right = column_range(ax, ay, bx, by, row, x0, y0, per_x, per_y, columns)
            for column in range(left, right + 1):
                count[row * columns + column] += 1


@njit(cache=True, nogil=True)
def _number_cells(count):
    filled = 0
    for c in range(len(count)):
        filled += count[c] > 0
    start = np.zeros(filled + 1, np.int64)
    b = 0
    for c in range(len(count)):
        if count[c] > 0:
            start[b + 1] = start[b] + count[c]
            count[c] = -2 - b
            b += 1
        else:
            count[c] = -1
    return count, start


@njit(cache=True, nogil=True)
def _file_edges(edge, rows, columns, frame, cell, cursor, entry):
    x0, y0, per_x, per_y = frame[0], frame[1], frame[2], frame[3]
    for e in range(len(edge)):
        ax, ay, bx, by = edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3]
        first, last = row_range(ay, by, y0, per_y, rows)
        for row in range(first, last + 1):
            left, right = column_range(ax, ay, bx, by, row, x0, y0, per_x, per_y, columns)
            for column in range(left, right + 1):
                b = -2 - cell[row * columns + column]
                entry[cursor[b]] = e << 2
                cursor[b] += 1


@njit(cache=True, nogil=True)
def _sweep_rows(edge, edge_polygon, polygons, columns, frame, cell, start, entry, base, anchor, first_row, last_row):
    """Walk each row from anchor to anchor, starting outside all, and note which polygons hold each anchor."""
    holding = np.empty(polygons + 1, np.int32)  # the polygons that hold the present anchor, in no order
    position = np.full(polygons, -1, np.int32)  # where in `holding` each stands, -1: doesn't
    seen = np.full(len(edge), -1, np.int64)
    touched = np.full(polygons, -1, np.int64)
    for row in range(first_row, last_row):
        held, previous, lowest = 0, -1, -1
        x = y = 0.0
        for column in range(columns):
            c = row * columns + column
            b = -2 - cell[c]
            if b < 0 and previous < 0:
                cell[c] = lowest
                continue
            if previous < 0:
                x, y = _plain_anchor(column - 1, row, frame)
            if b >= 0:
                nx, ny = _free_anchor(column, row, frame, edge, entry, start[b], start[b + 1])
            else:
                nx, ny = _plain_anchor(column, row, frame)
            if previous >= 0:
                held = _cross_all(edge, edge_polygon, entry, start[previous], start[previous + 1], x, y, nx, ny, seen, c, holding, position, held)
            if b >= 0:
                held = _cross_all(edge, edge_polygon, entry, start[b], start[b + 1], x, y, nx, ny, seen, c, holding, position, held)
                anchor[b, 0], anchor[b, 1] = nx, ny
                base[b] = _settle(edge, edge_polygon, entry, start[b], start[b + 1], nx, ny, holding, held, position, touched, c)
            else:
                lowest = _lowest(holding, held)
                cell[c] = lowest
            x, y, previous = nx, ny, b
        if held != 0:
            raise RuntimeError("a ring is not closed: the polygon index is broken")


@njit(cache=True, nogil=True)
def _plain_anchor(column, row, frame):
    return frame[0] + (column + 0.5137) * frame[4], frame[1] + (row + 0.5291) * frame[5]


@njit(cache=True, nogil=True)
def _free_anchor(column, row, frame, edge, entry, first, last):
    """A point of the cell that lies on the line of none of its edges; and each edge turned to have it on its left."""
    for attempt in range(10000):
        u = 0.5137 + attempt * 0.7548776662466927  # Roberts's low-discrepancy sequence: never twice the same line
        v = 0.5291 + attempt * 0.5698402909980532
        x = frame[0] + (column + 0.25 + 0.5 * (u - math.floor(u))) * frame[4]
        y = frame[1] + (row + 0.25 + 0.5 * (v - math.floor(v))) * frame[5]
        free = True
        for k in range(first, last):
            e = entry[k] >> 2
            s = side(edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3], x, y)
            if s == 0:
                free = False
                break
            entry[k] = e << 2 | (1 if s < 0 else 0)
        if free:
            return x, y
    raise RuntimeError("no anchor found off every edge of a cell: pass a larger number of cells")


@njit(cache=True, nogil=True)
def crosses(ax, ay, bx, by, px, py, qx, qy):
    """Whether the way p -> q crosses the edge a -> b, neither p nor q on it. A corner exactly on the line p q counts as
    left of it, so that a way through a corner crosses one of the two edges there, or both, or none, as it should."""
    if side(ax, ay, bx, by, px, py) * side(ax, ay, bx, by, qx, qy) >= 0:
        return False
    return (side(px, py, qx, qy, ax, ay) >= 0) != (side(px, py, qx, qy, bx, by) >= 0)


@njit(cache=True, nogil=True)
def _cross_all(edge, edge_polygon, entry, first, last, x, y, nx, ny, seen, c, holding, position, held):
    for k in range(first, last):
        e = entry[k] >> 2
        if seen[e] == c:
            continue  # the cell before had it too
        seen[e] = c
        if crosses(edge[e, 0], edge[e, 1], edge[e, 2], edge[e, 3], x, y, nx, ny):
            held = _toggle(edge_polygon[e], holding, position, held)
    return held


@njit(cache=True, nogil=True)
def _toggle(polygon, holding, position, held):
    at = position[polygon]
    if at < 0:
        holding[held] = polygon
        position[polygon] = held
        return held + 1
    mover = holding[held - 1]
    holding[at] = mover
    position[mover] = at
    position[polygon] = -1
    return held - 1


@njit(cache=True, nogil=True)
def _settle(edge, edge_polygon, entry, first, last, x, y, holding, held, position, touched, c):
    """Mark each entry with whether its polygon holds the anchor; return the lowest other polygon that does."""
    for k in range(first, last):
        polygon = edge_polygon[entry[k] >> 2]
        touched[polygon] = c
        if position[polygon] >= 0:
            entry[k] |= 2
    lowest = -1
    for i in range(held):
        if touched[holding[i]] != c and (lowest < 0 or holding[i] < lowest):
            lowest = holding[i]
    return lowest


@njit(cache=True, nogil=True)
def _lowest(holding, held):
    lowest = -1
    for i in range(held):
        if lowest < 0 or holding[i] < lowest:
            lowest = holding[i]
    return lowest


# ---- asking, on the CPU


def _polygon_of_cpu(index, x, y):
    home = np.empty(len(x), np.int32)
    in_threads(_locate, len(x), *index.arrays, index.rows, index.columns, x, y, home)
    return home


@njit(cache=True, nogil=True)
def _locate(frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns, x, y, home, first, last):
    """One loop that hands no array on: numba counts references atomically, and two threads would wait for each other."""
    for i in range(first, last):
        px, py = x[i], y[i]
        u, v = (px - frame[0]) * frame[2], (py - frame[1]) * frame[3]
        if not (u >= 0.0 and u < columns and v >= 0.0 and v < rows):
            home[i] = -1 if abs(px) < np.inf and abs(py) < np.inf else -2
            continue
        found = cell[int(v) * columns + int(u)]
        if found >= -1:
            home[i] = found
            continue
        b = -2 - found
        k, end, answer = start[b], start[b + 1], base[b]
        while k < end:
            polygon = edge_polygon[entry[k] >> 2]
            if answer >= 0 and answer < polygon:
                break
            inside = entry[k] & 2
            while k < end and edge_polygon[entry[k] >> 2] == polygon:
                e, turned = entry[k] >> 2, (entry[k] & 1) * 2
                meets = _way(edge[e, turned], edge[e, turned + 1], edge[e, 2 - turned], edge[e, 3 - turned],
                             px, py, anchor[b, 0], anchor[b, 1])
                inside = 4 if meets == 2 else inside ^ (meets << 1)
                k += 1
                if inside == 4:
                    break
            if inside:
                answer = polygon
                break
        home[i] = answer


@njit(cache=True, nogil=True)
def _way(ax, ay, bx, by, px, py, qx, qy):
    """The way from a point p to an anchor q left of the edge a -> b: 0 misses the edge, 1 crosses it, 2 starts on it."""
    s = side(ax, ay, bx, by, px, py)
    if s > 0:
        return 0
    if s == 0:
        return 2 if min(ax, bx) <= px <= max(ax, bx) and min(ay, by) <= py <= max(ay, by) else 0
    return 1 if (side(px, py, qx, qy, ax, ay) >= 0) != (side(px, py, qx, qy, bx, by) >= 0) else 0


def _rasterise_cpu(index, numbers, height, width):
    label = np.empty((height, width), np.int32)
    in_threads(_paint, height, *index.arrays, index.rows, index.columns, numbers, label, least=max(1, 20000 // max(width, 1)))
    return label


@njit(cache=True, nogil=True)
def _paint(frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns, numbers, label, first, last):
    width = label.shape[1]
    x, y = numbers[0] + (np.arange(width) + 0.5) * numbers[2], np.empty(width)
    for i in range(first, last):
        y[:] = numbers[1] + (i + 0.5) * numbers[3]
        _locate(frame, cell, start, entry, base, anchor, edge, edge_polygon, rows, columns, x, y, label[i], 0, width)


# ---- asking, on the GPU


def _polygon_of_cuda(index, x, y):
    import cupy
    home = cupy.empty(len(x), np.int32)
    launch("polygon", "polygon_locate", grid(len(x)), 256, *index.arrays, np.int32(index.rows), np.int32(index.columns),
           x, y, home, np.int64(len(x)))
    return home


def _rasterise_cuda(index, numbers, height, width):
    import cupy
    label = cupy.empty((height, width), np.int32)
    launch("polygon", "polygon_paint", grid(height * width), 256, *index.arrays, np.int32(index.rows), np.int32(index.columns),
           *(np.float64(n) for n in numbers), label, np.int32(height), np.int32(width))
    return label
