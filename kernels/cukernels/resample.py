"""Pictures at half the size, and planes brought back to full size, piece by piece: the two ends of a scale-space pyramid.

A piece enlarged by itself has the same bits as that part of the whole, on every device.
"""

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device
from .threads import in_threads


def halved(image):
    """Means of 2 x 2 pixels: (ceil(H / 2), ceil(W / 2)) float32 from (H, W); an odd last row or column is repeated."""
    if image.ndim != 2 or not image.size:
        raise ValueError(f"the image has shape {image.shape}: pass (H, W)")
    xp = array_module(image)
    image = xp.pad(image.astype(np.float32, copy=False), [(0, n % 2) for n in image.shape], mode="edge")
    pairs = image[::2] + image[1::2]
    return (pairs[:, ::2] + pairs[:, 1::2]) * np.float32(0.25)


def enlarged(planes, factor, top, left, height, width, out=None):
    """Part of the planes enlarged: (P, height, width) float32, pixels from row `top` and column `left` on.

    planes: (P, h, w) float32. factor >= 1: pixels of the answer per pixel of `planes`, whose value stands at its centre;
    between centres it is bilinear, beyond the outermost ones constant. out: (P, height, width) float32, C-contiguous, or
    None. Raises ValueError for other shapes and parts outside factor * (h, w), TypeError for another dtype.
    """
    if planes.dtype != np.float32:
        raise TypeError(f"planes have dtype {planes.dtype}: pass float32")
    if planes.ndim != 3 or not planes.size:
        raise ValueError(f"planes have shape {planes.shape}: pass (P, h, w)")
    _, h, w = planes.shape
    if not (factor >= 1 and 0 <= top < top + height <= factor * h and 0 <= left < left + width <= factor * w):
        raise ValueError(f"rows {top}:{top + height}, columns {left}:{left + width} are not inside {h} x {w} pixels {factor} times enlarged")
    xp = array_module(planes, out)
    planes = xp.ascontiguousarray(planes)
    out = xp.empty((len(planes), height, width), np.float32) if out is None else out
    rows, columns = _between(top, height, factor, h), _between(left, width, factor, w)
    if on_device(planes):
        _enlarged_cuda(planes, rows, columns, out)
    else:
        before, after, across = columns
        columns = before.astype(np.uint32), after.astype(np.uint32), across  # numba asks of signed ones whether they count from the end
        in_threads(_enlarged_cpu, len(planes) * height, planes, *rows, *columns, out, least=256)
    return out


def _between(first, count, factor, size):
    """(index of the pixel before, of the one after, share of the latter) for each of `count` places."""
    place = np.clip((np.arange(first, first + count) + 0.5) / factor - 0.5, 0, size - 1)
    before = place.astype(np.int32)
    return before, np.minimum(before + 1, size - 1).astype(np.int32), (place - before).astype(np.float32)


@njit(cache=True, nogil=True)
def _enlarged_cpu(planes, above, below, down, before, after, across, out, first, last):
    line = np.empty(planes.shape[2], np.float32)
    for i in range(first, last):
        p, y = i // out.shape[1], i % out.shape[1]
        _blend(planes[p, above[y]], planes[p, below[y]], down[y], before[0], after[-1], line)
        _stretch(line, before, after, across, out[p, y])


@njit(cache=True, nogil=True)
def _blend(a, b, share, first, last, out):
    for x in range(first, last + 1):
        out[x] = a[x] * (np.float32(1) - share) + b[x] * share


@njit(cache=True, nogil=True)
def _stretch(line, before, after, across, out):
    for x in range(len(out)):
        out[x] = line[before[x]] * (np.float32(1) - across[x]) + line[after[x]] * across[x]


def _enlarged_cuda(planes, rows, columns, out):
    import cupy
    P, h, w = planes.shape
    launch("resample", "enlarge", grid(out.size), 256, planes, *(cupy.asarray(a) for a in (*rows, *columns)), out, np.int32(P),
           np.int32(h), np.int32(w), np.int32(out.shape[1]), np.int32(out.shape[2]))
