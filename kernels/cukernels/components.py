"""Connected pieces of masks, label images and graphs, numbered in the order in which they are first met.

Union-find whose root is always the smallest index of its piece, so the numbering is the same on every backend and for
every order of work: image pieces are numbered by their first pixel in raster order, graph pieces by their first node.
"""

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device

_TILE = 32, 8  # width and height of a CUDA tile: one warp a row


def pieces(image, connectivity=4, background=0, periodic=False):
    """Connected pieces of pixels of equal value.

    image: (H, W) bool or integer, at most 2**31-1 pixels. connectivity: 4 (edges) or 8 (edges and corners).
    background: pixels of this value belong to no piece; None: every pixel belongs to one.
    periodic: the left side touches the right one and the top the bottom.

    Returns (labels, count): labels (H, W) int32, 0 on the background, 1 .. count in the raster order of each piece's
    first pixel; count an int. Raises TypeError for a float image, ValueError for another shape or connectivity.
    Source: K. Wu, E. Otoo, K. Suzuki, Pattern Anal. Appl. 12 (2009) 117 (CPU, two passes); D. P. Playne, K. Hawick,
    IEEE Trans. Parallel Distrib. Syst. 29 (2018) 1217 (CUDA, union by atomic minimum).
    """
    xp = array_module(image)
    values, background, has_background = _values(xp, image, background)
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity {connectivity} is unknown: use 4 or 8")
    how = connectivity == 8, background, has_background, bool(periodic)
    if on_device(image):
        return _pieces_cuda(values, *how)
    return _pieces_cpu(values, *how)


def graph_pieces(tail, head, count):
    """Connected pieces of a graph, edges taken without direction.

    tail, head: (E,) integers, the two ends of each edge, 0 .. count-1. count: number of nodes R.

    Returns (piece, pieces): piece (R,) int32, 0 .. pieces-1 in the order of each piece's first node (a node without
    edges is a piece of its own); pieces an int. Raises ValueError for an end outside 0 .. count-1.
    """
    xp = array_module(tail, head)
    tail, head = xp.asarray(tail), xp.asarray(head)
    if tail.ndim != 1 or tail.shape != head.shape:
        raise ValueError(f"tail and head have shapes {tail.shape} and {head.shape}: pass two arrays of one length")
    if tail.dtype.kind not in "iu" or head.dtype.kind not in "iu":
        raise TypeError(f"tail and head have dtypes {tail.dtype} and {head.dtype}: pass integers")
    if tail.size and (int(min(tail.min(), head.min())) < 0 or int(max(tail.max(), head.max())) >= count):
        raise ValueError(f"an edge ends outside the nodes 0 .. {count - 1}: check tail, head and count")
    ends = xp.ascontiguousarray(tail, np.int32), xp.ascontiguousarray(head, np.int32)
    if on_device(tail, head):
        return _graph_pieces_cuda(*ends, int(count))
    parent = np.empty(count, np.int32)
    return parent, int(_graph_pieces_cpu(*ends, parent))


def _values(xp, image, background):
    """The image as uint8, int32 or int64 (what is compiled), and the background as a number of that kind."""
    if image.ndim != 2 or not 0 < image.size < 2**31:
        raise ValueError(f"the image has shape {image.shape}: pass (H, W) with 1 to 2**31-1 pixels")
    for dtype in (np.uint8, np.int32, np.int64):
        if image.dtype.kind in "biu" and np.can_cast(image.dtype, dtype):
            info = np.iinfo(dtype)
            fits = background is not None and info.min <= background <= info.max
            return xp.ascontiguousarray(image, dtype), dtype(background if fits else 0), fits
    raise TypeError(f"the image has dtype {image.dtype}: pass a mask or integer labels up to int64")


def _pieces_cpu(image, diagonal, background, has_background, periodic):
    H, W = image.shape
    runs = np.empty((3, image.size), np.int32)  # first pixel, last pixel + 1, parent; pages never written cost nothing
    row = np.empty((H, 2), np.int32)  # where the runs of a row begin and end
    _find_runs(image, background, has_background, diagonal, runs, row)
    if periodic:
        _unite_sides(image, diagonal, runs, row)
    count = _number(runs[2], row[-1, 1])
    labels = np.empty((H, W), np.int32)
    _paint(runs, row[-1, 1], labels.reshape(-1))
    return labels, int(count)


@njit(cache=True, nogil=True)
def _find(parent, i):
    while parent[i] < i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _unite(parent, i, j):
    i, j = _find(parent, i), _find(parent, j)
    if i < j:
        parent[j] = i
    else:
        parent[i] = j


@njit(cache=True, nogil=True)
def _find_runs(image, background, has_background, diagonal, runs, row):
    """Runs of equal pixels along the rows, without the background, united with those of the row above."""
    H, W = image.shape
    start, stop, parent = runs
    ends = np.empty(W + 1, np.int32)
    n = 0
    for y in range(H):
        row[y, 0] = n
        line = image[y]
        found = _ends_of_runs(line, ends)
        left = 0
        for k in range(found):
            start[n], stop[n], parent[n] = y * W + left, y * W + ends[k], n
            n += not (has_background and line[left] == background)
            left = ends[k]
        row[y, 1] = n
        if y:
            _unite_rows(image, diagonal, y - 1, y, 0, runs, row)


@njit(cache=True, nogil=True)
def _ends_of_runs(line, ends):
    # without a branch: on a noisy picture every mispredicted one costs more than a pixel's work
    found = 0
    for x in range(1, len(line)):
        ends[found] = x
        found += line[x] != line[x - 1]
    ends[found] = len(line)
    return found + 1


@njit(cache=True, nogil=True)
def _unite_rows(image, diagonal, above, below, shift, runs, row):
    """Unite touching runs of two rows; the row above moved `shift` pixels to the right."""
    W = image.shape[1]
    start, stop, parent = runs
    pixels = image.reshape(-1)
    i, last_i = row[above]
    j, last_j = row[below]
    up, down = above * W - shift, below * W
    reach = 1 if diagonal else 0
    while i < last_i and j < last_j:
        if start[i] - up < stop[j] - down + reach and start[j] - down < stop[i] - up + reach:
            if pixels[start[i]] == pixels[start[j]]:
                _unite(parent, i, j)
        ahead = (stop[i] - up) - (stop[j] - down)
        if ahead == 0 and reach and i + 1 < last_i and start[i + 1] == stop[i] and pixels[start[i + 1]] == pixels[start[j]]:
            _unite(parent, i + 1, j)  # both end here, so the corner on the right would be passed over
        if ahead < 0:
            i += 1
        else:
            j += 1


@njit(cache=True, nogil=True)
def _unite_sides(image, diagonal, runs, row):
    """Unite the left side with the right one, and the bottom row with the top one."""
    H, W = image.shape
    for y in range(H):
        _unite_ends(image, y, y, runs, row)
        if diagonal:
            _unite_ends(image, y, (y + 1) % H, runs, row)
            _unite_ends(image, (y + 1) % H, y, runs, row)
    for shift in (-W, 0, W):
        _unite_rows(image, diagonal, H - 1, 0, shift, runs, row)


@njit(cache=True, nogil=True)
def _unite_ends(image, y, other, runs, row):
    """Unite the run at the left end of row y with that at the right end of row `other`, where both are equal."""
    W = image.shape[1]
    start, stop, parent = runs
    i, j = row[y, 0], row[other, 1] - 1
    if i < row[y, 1] and j >= row[other, 0] and start[i] == y * W and stop[j] == (other + 1) * W:
        if image[y, 0] == image[other, W - 1]:
            _unite(parent, i, j)


@njit(cache=True, nogil=True)
def _number(parent, n):
    """Number the roots 1, 2 .. in order and put each one's number, negative, in the place of the parents."""
    count = 0
    for i in range(n):
        if parent[i] == i:
            count += 1
            parent[i] = -count
        else:
            parent[i] = parent[parent[i]]  # a parent is smaller than its child, so it is numbered already
    return count


@njit(cache=True, nogil=True)
def _paint(runs, n, labels):
    start, stop, parent = runs
    left = 0
    for i in range(n):
        labels[left:start[i]] = 0
        labels[start[i]:stop[i]] = -parent[i]
        left = stop[i]
    labels[left:] = 0


@njit(cache=True, nogil=True)
def _graph_pieces_cpu(tail, head, parent):
    for i in range(parent.size):
        parent[i] = i
    for e in range(tail.size):
        _unite(parent, tail[e], head[e])
    count = _number(parent, parent.size)
    for i in range(parent.size):
        parent[i] = -parent[i] - 1
    return count


def _pieces_cuda(image, diagonal, background, has_background, periodic):
    import cupy
    H, W = image.shape
    kind = {np.uint8: "u8", np.int32: "i32", np.int64: "i64"}[type(background)]
    parent = cupy.empty(H * W, np.int32)
    tiles = -(-W // _TILE[0]), min(-(-H // _TILE[1]), 65535)
    picture = image, np.int32(H), np.int32(W), np.int32(diagonal), background, np.int32(has_background)
    launch("components", f"pieces_tile_{kind}", tiles, _TILE, *picture, parent)
    launch("components", f"pieces_join_{kind}", grid(H * W), 256, *picture, np.int32(periodic), parent)
    labels, count = _number_roots(parent, H * W)
    return labels.reshape(H, W), count


def _graph_pieces_cuda(tail, head, count):
    import cupy
    parent = cupy.arange(count, dtype=np.int32)
    if tail.size:
        launch("components", "graph_unite", grid(tail.size), 256, tail, head, np.int32(tail.size), parent)
    labels, pieces = _number_roots(parent, count)
    return labels - np.int32(1), pieces


def _number_roots(parent, n):
    """From parents (-1 on the background) to the rank of each root among the roots, 1 .. count, and count."""
    import cupy
    labels = cupy.empty(n, np.int32)
    if n == 0:
        return labels, 0
    roots = (parent == cupy.arange(n, dtype=np.int32)).astype(np.int32)
    rank = cupy.cumsum(roots, dtype=np.int32)
    launch("components", "number_by_root", grid(n), 256, parent, rank, np.int32(n), labels)
    return labels, int(rank[-1])
