"""How much of each pixel polygons cover, exactly: areas gathered edge by edge, as font renderers do."""

import numpy as np
from numba import njit


def cover(xy, ring_start, shape):
    """(H, W) float32, share of each pixel inside rings.

    xy: (V, 2) float64, vertices of all rings one after the other in pixels (x right, y down, corners of pixels at
    integers). ring_start: (rings + 1,) int. Rings that run one way add, those that run the other way (holes) take away:
    all outer rings must run alike. What overlaps is cut at 1. Exact to rounding where nothing overlaps.
    """
    xy, ring_start = np.ascontiguousarray(xy, np.float64), np.ascontiguousarray(ring_start, np.int64)
    height, width = shape
    change = np.zeros((height, width + 2), np.float32)
    _gather(xy, ring_start, change, height, width)
    return _summed(change, width)


@njit(cache=True)
def _gather(xy, ring_start, change, height, width):
    """Every edge adds, pixel by pixel of its rows, by how much the covered share grows from one pixel to the next."""
    for ring in range(len(ring_start) - 1):
        first, last = ring_start[ring], ring_start[ring + 1]
        for v in range(first, last):
            w = v + 1 if v + 1 < last else first
            _edge(xy[v, 0], xy[v, 1], xy[w, 0], xy[w, 1], change, height, width)


@njit(cache=True)
def _edge(x0, y0, x1, y1, change, height, width):
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
    slope = (x1 - x0) / (y1 - y0)
    row = max(int(np.floor(y0)), 0)
    while row < height and row < y1:
        top, bottom = max(y0, row), min(y1, row + 1.0)
        if bottom > top:
            _row(change[row], x0 + (top - y0) * slope, x0 + (bottom - y0) * slope, sign * (bottom - top), width)
        row += 1


@njit(cache=True)
def _row(change, xa, xb, tall, width):
    """A piece of an edge inside one row: what lies to its right is covered over the height `tall`."""
    left, right = min(xa, xb), max(xa, xb)
    long = right - left
    if left < 0:        # what is left of the picture covers the whole row
        part = 1.0 if right <= 0 else -left / long
        change[0] += tall * part
        tall *= 1 - part
        left, long = 0.0, right
    if right > width:   # what is right of it covers nothing
        if left >= width:
            return
        tall *= (width - left) / long
        right = float(width)
        long = right - left
    if tall == 0.0:
        return
    column = int(left)
    if right <= column + 1:     # in one pixel
        share = column + 1 - (left + right) / 2
        change[column] += tall * share
        change[column + 1] += tall * (1 - share)
        return
    before = 0.0    # covered share of the pixels so far
    while column < right:
        begin, end = max(left, float(column)), min(right, column + 1.0)
        passed = (begin - left) / long
        own = (end - begin) / long
        share = passed + own * (column + 1 - (begin + end) / 2)
        change[column] += tall * (share - before)
        before = share
        column += 1
    change[column] += tall * (1 - before)


@njit(cache=True)
def _summed(change, width):
    height = change.shape[0]
    out = np.empty((height, width), np.float32)
    for i in range(height):
        total = 0.0
        for j in range(width):
            total += change[i, j]
            out[i, j] = min(abs(total), 1.0)
    return out
