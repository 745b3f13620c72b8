"""Objects of a picture too big for memory, band by band; their numbers, pixels and boxes are those of `objects.find_objects`."""

import numpy as np
from cukernels.components import graph_pieces, pieces
from numba import njit

from chipmap.big.planes import Plane
from chipmap.big.tiling import Progress
from chipmap.objects import NEAR, STEPS, Sums, crofton_weights, table_of

BAND = 512


class Painted:
    """A plane of small numbers, each turned into table[number] where it is read; times `weight` (a plane) where one is given."""

    def __init__(self, plane, table, weight=None):
        self._plane, self._table, self._weight = plane, table, weight
        self.shape, self.dtype = plane.shape, table.dtype

    def read(self, top, left, height, width):
        out = self._table[self._plane.read(top, left, height, width)]
        return out if self._weight is None else self._weight.read(top, left, height, width) * out


def find_objects(material, names, pixel_size_m, sure, edge, work, say):
    """(source of the object of each pixel, int32; the columns of `objects.find_objects`).

    material: source (H, W) of label numbers 0 .. M-1. names: of the M. sure, edge: sources (H, W) float32, the confidence and
    that of the borders. Columns that are whole numbers are equal to the untiled ones, the others to rounding (1e-9).
    """
    found = Plane(work.path("objects.raw"), material.shape, np.int32)
    with Progress("objects", 2 * material.shape[0], say) as progress:
        piece, count = _number(material, found, progress.step)
        objects = Painted(found, piece)
        sums = _add_up(objects, material, sure, edge, count, pixel_size_m, progress.step)
    return objects, table_of(sums, names, pixel_size_m)


def _number(material, found, each):
    """Pieces of each band written to `found`, and (the object each of them belongs to, number of objects)."""
    height, width = material.shape
    tail, head, total, last = [], [], 0, None
    for top in range(0, height, BAND):
        band = material.read(top, 0, min(BAND, height - top), width)
        labels, count = pieces(band, connectivity=4, background=None)
        labels += np.int32(total - 1)
        found.write(top, 0, labels)
        if last is not None:
            same = last[0] == band[0]
            pairs = np.unique(np.stack([last[1][same], labels[0][same]]), axis=1)
            tail.append(pairs[0])
            head.append(pairs[1])
        last, total = (band[-1].copy(), labels[-1].copy()), total + count
        each(len(band))
    none = [np.empty(0, np.int32)]
    return graph_pieces(np.concatenate(tail or none), np.concatenate(head or none), total)


def _add_up(objects, material, sure, edge, count, pixel_size_m, each):
    height, width = objects.shape
    dy, dx = (1e9 * float(size) for size in pixel_size_m)
    whole = np.zeros((8, count), np.int64)                      # pixels, x, y, xx, yy, xy, phase, frame of rows
    box = np.stack([np.full(count, width), np.full(count, height), np.full(count, -1), np.full(count, -1)]).astype(np.int64)
    frame, crossings, mean = np.zeros((2, count), np.int64), np.zeros((len(STEPS), count), np.int64), np.zeros((2, count))
    steps = np.array([(family, a, b) for family, pairs in enumerate(STEPS) for a, b in pairs])
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        first, last = max(top - NEAR, 0), min(top + rows + NEAR, height)
        above, below = NEAR - (top - first), NEAR - (last - top - rows)
        around = np.pad(objects.read(first, 0, last - first, width), [(above, below), (NEAR, NEAR)], mode="edge")
        _add_band(around, material.read(top, 0, rows, width), sure.read(top, 0, rows, width), edge.read(top, 0, rows, width), top, whole, box, frame, mean)
        frame[0] += (top == 0) * np.bincount(around[NEAR, NEAR:-NEAR], minlength=count)
        frame[0] += (top + rows == height) * np.bincount(around[-NEAR - 1, NEAR:-NEAR], minlength=count)
        _cross(around, top, rows, height, width, steps, crossings)
        each(rows)
    return _sums(whole, box, frame, crossings, mean, dy, dx)


def _sums(whole, box, frame, crossings, mean, dy, dx):
    pixels = whole[0]
    exact = whole.astype(object)        # whole numbers of any size: their differences lose nothing
    square = lambda both, one, other: ((exact[0] * both - one * other) / (exact[0] * exact[0])).astype(float)  # noqa: E731
    n, x, y, xx, yy, xy = exact[:6]
    moments = square(xx, x, x) * dx * dx + dx * dx / 12, square(yy, y, y) * dy * dy + dy * dy / 12, square(xy, x, y) * dx * dy
    centre = (whole[1] / pixels + 0.5) * dx, (whole[2] / pixels + 0.5) * dy
    spacing = [dx * dy / np.hypot(pairs[0][0] * dx, pairs[0][1] * dy) for pairs in STEPS]
    perimeter = sum(weight * gap * count / 2 for weight, gap, count in zip(crofton_weights(dy / dx), spacing, crossings))
    return Sums(phase=whole[6], pixels=pixels, box=(box[0], box[1], box[2] + 1, box[3] + 1), centre=centre, moments=moments,
                perimeter=perimeter, frame=frame[0] * dx + frame[1] * dy, doubt=mean[1], confidence=mean[0])


@njit(cache=True, nogil=True)
def _add_band(around, material, sure, edge, top, whole, box, frame, mean):
    """Runs of one object along each row: whole numbers by formula, confidences one by one."""
    rows, width = material.shape
    for r in range(rows):
        y, line, left = top + r, around[r + NEAR], 0
        frame[1, line[NEAR]] += 1
        frame[1, line[NEAR + width - 1]] += 1
        while left < width:
            k, right = line[left + NEAR], left
            while right < width and line[right + NEAR] == k:
                mean[0, k] += sure[r, right]
                if edge[r, right] < 1 and _near(around, r + NEAR, right + NEAR, k):
                    mean[1, k] += np.float32(1) - edge[r, right]
                right += 1
            n = right - left
            x = n * (left + right - 1) // 2
            whole[0, k] += n
            whole[1, k] += x
            whole[2, k] += n * y
            whole[3, k] += _squares(right) - _squares(left)
            whole[4, k] += n * y * y
            whole[5, k] += x * y
            whole[6, k] = material[r, left]
            box[0, k], box[1, k] = min(box[0, k], left), min(box[1, k], y)
            box[2, k], box[3, k] = max(box[2, k], right - 1), max(box[3, k], y)
            left = right


@njit(cache=True, nogil=True)
def _squares(n):
    """0 + 1 + 4 + .. + (n - 1)^2"""
    return (n - 1) * n * (2 * n - 1) // 6


@njit(cache=True, nogil=True)
def _near(around, y, x, k):
    for step in range(1, NEAR + 1):
        if around[y - step, x] != k or around[y + step, x] != k or around[y, x - step] != k or around[y, x + step] != k:
            return True
    return False


@njit(cache=True, nogil=True)
def _cross(around, top, rows, height, width, steps, crossings):
    """Pairs of pixels of different objects, in halves: one for each foot that stands inside the picture.

    The picture goes on for two pixels beyond its frame as it ends there; a pair belongs to the band of its first pixel.
    """
    first = top if top else -2
    last = top + rows if top + rows < height else height + 2
    for family, a, b in steps:
        for y in range(first, last):
            if not -2 <= y + b < height + 2:
                continue
            one, other = around[y - top + NEAR], around[y + b - top + NEAR]
            own, far = 0 <= y < height, 0 <= y + b < height
            if own or far:
                _cross_row(one, other, a, own, far, width, crossings[family])


@njit(cache=True, nogil=True)
def _cross_row(one, other, a, own, far, width, crossings):
    for x in range(-2, width + 2 - a):
        i, j = one[x + NEAR], other[x + a + NEAR]
        if i != j:
            share = (own and 0 <= x < width) + (far and 0 <= x + a < width)
            crossings[i] += share
            crossings[j] += share
