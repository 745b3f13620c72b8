"""Count, sum, mean, smallest, largest and histogram of the values under each label.

Sums are made of whole numbers: each value is cut into two pieces of some 40 bits, added as 64-bit integers. Integers add
up the same in any order, so a sum has the same bits on every device and any number of threads, and is as near the true
sum as a float64 can say (values less than 2**-70 of the largest lose their last bits).
"""

import math

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .threads import in_threads


def label_count(labels, count):
    """(count,) int64, how often each label 0 .. count - 1 stands in labels; -1 is left out.

    labels: integers of any shape. Raises TypeError for labels that are no integers, ValueError for one outside
    -1 .. count - 1.
    """
    labels, _, count = _check(labels, None, count)
    if on_device(labels):
        return _count_cuda(labels, count)
    return _count_cpu(labels, count)


def label_sum(labels, values, count):
    """(count,) float64, the sum of values under each label, 0 where there is none.

    labels: integers of any shape, -1 for elements to leave out. values: numbers of the same shape, any unit.
    Raises as `label_count`; ValueError where a value under a label is not finite, naming the first (one under -1 may be
    anything), and where shapes differ.
    """
    labels, values, count = _check(labels, values, count)
    if on_device(labels, values):
        return _sum_cuda(labels, values, count)
    return _sum_cpu(labels, values, count)


def label_mean(labels, values, count):
    """(count,) float64, the mean of values under each label, NaN where there is none. Arguments and errors: `label_sum`."""
    number = label_count(labels, count)
    total = label_sum(labels, values, count)
    return _or_nan(number > 0, total / array_module(number).maximum(number, 1))


def label_min(labels, values, count):
    """(count,) float64, the smallest value under each label, NaN where there is none. Arguments and errors: `label_sum`."""
    return _extremes(labels, values, count)[0]


def label_max(labels, values, count):
    """(count,) float64, the largest value under each label, NaN where there is none. Arguments and errors: `label_sum`."""
    return _extremes(labels, values, count)[1]


def label_histogram(labels, values, count, bins, low, high):
    """(count, bins) int64, how many values under each label fall into each of `bins` equal bins from low to high.

    A bin holds its lower edge, the last one both its edges; values outside low .. high are in none: `numpy.histogram`'s
    rule, with its edges to the bit. Arguments and errors else: `label_sum`.
    """
    labels, values, count = _check(labels, values, count)
    bins, low, high = int(bins), float(low), float(high)
    if bins < 1 or not -math.inf < low < high < math.inf:
        raise ValueError(f"bins {bins}, low {low}, high {high}: give at least one bin and finite low < high")
    edges = np.linspace(low, high, bins + 1)
    if on_device(labels, values):
        return _histogram_cuda(labels, values, count, edges)
    return _histogram_cpu(labels, values, count, edges)


# ---- checks


def _check(labels, values, count):
    xp = array_module(labels, values)
    labels = xp.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels have dtype {labels.dtype}: pass integers")
    count = int(count)
    if not 0 <= count < 2**31:
        raise ValueError(f"count {count} is outside 0 .. 2**31 - 1: pass the number of labels")
    if labels.size and (int(labels.max()) >= count or labels.dtype.kind == "i" and int(labels.min()) < -1):
        raise ValueError(f"labels run from {int(labels.min())} to {int(labels.max())}: they must lie in -1 .. {count - 1}")
    if values is None:
        return _flat(xp, labels, np.int32), None, count
    values = xp.asarray(values)
    if values.shape != labels.shape:
        raise ValueError(f"labels have shape {labels.shape} and values {values.shape}: pass one value an element")
    if values.dtype.kind not in "iufb":
        raise TypeError(f"values have dtype {values.dtype}: pass real numbers")
    return _flat(xp, labels, np.int32), _flat(xp, values, values.dtype if values.dtype in (np.float32, np.float64) else np.float64), count


def _flat(xp, array, dtype):
    return xp.ascontiguousarray(array, dtype=dtype).reshape(-1)


def _refuse(labels, values):
    xp = array_module(labels, values)
    i = int(((labels >= 0) & ~xp.isfinite(values)).argmax())
    raise ValueError(f"element {i} (label {int(labels[i])}) is {float(values[i])}: values under a label must be finite")


def _or_nan(known, values):
    return array_module(values).where(known, values, math.nan)


def _pieces(largest, size):
    """(bits, down): a value v is high 2**(down - bits) + low 2**(down - 2 bits), both whole and below 2**bits in size, so
    that `size` of them add up within 64 bits."""
    bits = 62 - int(size).bit_length()
    return bits, max(math.frexp(largest)[1], -800)  # 2**-800: below it 2**(2 bits - down) would overflow


def _joined(high, low, bits, down):
    """high 2**(down - bits) + low 2**(down - 2 bits) as float64, rounded within a unit of the last place."""
    high, low = high + (low >> bits), low & ((1 << bits) - 1)
    return high * 2.0 ** (down - bits) + low * 2.0 ** (down - 2 * bits)


def _extremes(labels, values, count):
    labels, values, count = _check(labels, values, count)
    if on_device(labels, values):
        return _extremes_cuda(labels, values, count)
    return _extremes_cpu(labels, values, count)


# ---- on the CPU


def _in_parts(function, labels, *args, room):
    # every part has its own tables of `room` numbers: not worth it where they outweigh the elements
    return in_threads(function, len(labels), labels, *args, least=max(50000, 4 * room))


def _count_cpu(labels, count):
    return np.bincount(labels.astype(np.int64) + 1, minlength=count + 1)[1:]


def _sum_cpu(labels, values, count):
    largest = max(_in_parts(_largest, labels, values, room=0))
    if not largest < math.inf:
        _refuse(labels, values)
    bits, down = _pieces(largest, len(labels))
    parts = _in_parts(_add, labels, values, count, 2.0 ** (bits - down), 2.0**bits, room=count)
    high, low = (np.sum(p, axis=0) for p in zip(*parts))
    return _joined(high, low, bits, down)


@njit(cache=True, nogil=True)
def _largest(labels, values, first, last):
    """The largest size of a labelled value; infinite if one is not finite."""
    largest = 0.0
    for i in range(first, last):
        size = abs(float(values[i]))
        if labels[i] >= 0 and not size <= largest:
            largest = size if size < math.inf else math.inf
            if largest == math.inf:
                break
    return largest


@njit(cache=True, nogil=True)
def _add(labels, values, count, up, again, first, last):
    high, low = np.zeros(count, np.int64), np.zeros(count, np.int64)
    present, sum_high, sum_low = -1, 0, 0  # labels come in runs: add them up in registers
    for i in range(first, last):
        label = labels[i]
        if label != present:
            if present >= 0:
                high[present] += sum_high
                low[present] += sum_low
            present, sum_high, sum_low = label, 0, 0
        if label >= 0:
            scaled = float(values[i]) * up
            whole = np.rint(scaled)
            sum_high += np.int64(whole)
            sum_low += np.int64(np.rint((scaled - whole) * again))
    if present >= 0:
        high[present] += sum_high
        low[present] += sum_low
    return high, low


def _extremes_cpu(labels, values, count):
    parts = _in_parts(_bounds, labels, values, count, room=count)
    if any(bad for _, _, bad in parts):
        _refuse(labels, values)
    low, high = np.min([p[0] for p in parts], axis=0), np.max([p[1] for p in parts], axis=0)
    return _or_nan(low <= high, low), _or_nan(low <= high, high)


@njit(cache=True, nogil=True)
def _bounds(labels, values, count, first, last):
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    bad = False
    for i in range(first, last):
        label, value = labels[i], float(values[i])
        if label >= 0:
            bad |= not abs(value) < math.inf
            if value < low[label]:
                low[label] = value
            if value > high[label]:
                high[label] = value
    return low, high, bad


def _histogram_cpu(labels, values, count, edges):
    parts = _in_parts(_fill, labels, values, count, edges, room=count * (len(edges) - 1))
    if any(bad for _, bad in parts):
        _refuse(labels, values)
    return np.sum([table for table, _ in parts], axis=0)


@njit(cache=True, nogil=True)
def _fill(labels, values, count, edges, first, last):
    bins = len(edges) - 1
    table = np.zeros((count, bins), np.int64)
    low, high, per = edges[0], edges[bins], bins / (edges[bins] - edges[0])
    bad = False
    for i in range(first, last):
        label, value = labels[i], float(values[i])
        if label < 0:
            continue
        bad |= not abs(value) < math.inf
        if low <= value <= high:
            k = min(int((value - low) * per), bins - 1)
            # the quotient is rounded, the edges decide
            if value < edges[k]:
                k -= 1
            elif k + 1 < bins and value >= edges[k + 1]:
                k += 1
            table[label, k] += 1
    return table, bad


# ---- on the GPU

_THREADS = 256


def _launch(kernel, labels, *args):
    launch("zonal", kernel, grid(len(labels), _THREADS * 8, 4096), _THREADS, labels, np.int64(len(labels)), *args)


def _single(values):
    return np.int32(values.dtype == np.float32)


def _count_cuda(labels, count):
    import cupy
    table = cupy.zeros(count, np.int64)
    _launch("zonal_count", labels, np.int32(count), table)
    return table


def _sum_cuda(labels, values, count):
    import cupy
    largest = cupy.zeros(1, np.uint64)
    _launch("zonal_largest", labels, values, _single(values), largest)
    largest = float(largest.view(np.float64)[0])
    if not largest < math.inf:
        _refuse(labels, values)
    bits, down = _pieces(largest, len(labels))
    high, low = cupy.zeros(count, np.int64), cupy.zeros(count, np.int64)
    _launch("zonal_add", labels, values, _single(values), np.int32(count), np.float64(2.0 ** (bits - down)), np.float64(2.0**bits), high, low)
    return _joined(high, low, bits, down)


def _extremes_cuda(labels, values, count):
    import cupy
    low, high, bad = cupy.full(count, 2**64 - 1, np.uint64), cupy.zeros(count, np.uint64), cupy.zeros(1, np.int32)
    _launch("zonal_bounds", labels, values, _single(values), np.int32(count), low, high, bad)
    if int(bad[0]):
        _refuse(labels, values)
    known = low <= high
    lowest, highest = cupy.empty(count), cupy.empty(count)
    launch("zonal", "zonal_from_keys", grid(count), _THREADS, low, lowest, np.int64(count))
    launch("zonal", "zonal_from_keys", grid(count), _THREADS, high, highest, np.int64(count))
    return _or_nan(known, lowest), _or_nan(known, highest)


def _histogram_cuda(labels, values, count, edges):
    import cupy
    bins = len(edges) - 1
    table, bad = cupy.zeros((count, bins), np.int64), cupy.zeros(1, np.int32)
    _launch("zonal_histogram", labels, values, _single(values), np.int32(count), cupy.asarray(edges), np.int32(bins), table, bad)
    if int(bad[0]):
        _refuse(labels, values)
    return table
