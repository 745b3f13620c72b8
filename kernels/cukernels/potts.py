"""Label smoothing on a pixel grid: a Potts field whose edges are cheap where the picture has one.

Energy of labels l on the eight-neighbour grid, for unary costs U and a guide picture g:

    E(l) = sum_p U[l_p, p]  +  sum_pq  strength / distance_pq / (1 + ((g_p - g_q) / contrast)^2)  [l_p != l_q]

lowered by iterated conditional modes (J. Besag, J. R. Stat. Soc. B 48, 259 (1986)) in four colours, so that no two
neighbours change at once and the answer does not depend on the order or the device.
"""

import numpy as np
from numba import njit, prange

from cukernels.backend import grid, launch, on_device

MAX_LABELS = 16
SWEEPS = 8
RELAX_REACH = 4 * SWEEPS  # pixels: a sweep of four colours carries a change four pixels at most
_BLOCK = 64  # pixels of a row, or rows, that are worked on together
_DIAGONAL = np.float32(0.70710678)


def relax_labels(unary, guide, strength, contrast, sweeps=SWEEPS):
    """Labels of low energy, from the pixelwise best ones downwards.

    unary: (K, H, W) float32, cost of each label, 1 <= K <= 16. guide: (H, W) float32. strength >= 0 and contrast > 0:
    numbers, in the units of unary and of guide. Stops when a sweep changes nothing, at the latest after `sweeps`.
    Returns (labels (H, W) int32, sweeps done int). The energy never rises. A part of a picture that starts at an even row
    and column and has RELAX_REACH more pixels on each inner side gets the labels of the whole. Raises ValueError for shapes that don't
    fit, wrong dtypes and unary costs that aren't finite.
    """
    _check(unary, guide, strength, contrast)
    if not (unary == unary).all() or not (guide == guide).all():
        raise ValueError("unary and guide must not hold NaN: mend the picture before it is labelled")
    relax = _relax_cuda if on_device(unary, guide) else _relax_cpu
    return relax(unary, guide, np.float32(strength), np.float32(contrast), sweeps)


def label_posterior(unary, labels, guide, strength, contrast):
    """Probability of each label at each pixel, given its neighbours' labels.

    Shapes and numbers as in `relax_labels`; labels: (H, W) int32. Returns (K, H, W) float32 that sums to 1 over K:
    exp(-U[k, p] - cost of k against the eight neighbours), normalised. Raises ValueError as `relax_labels` does.
    """
    _check(unary, guide, strength, contrast)
    if labels.shape != guide.shape or labels.dtype != np.int32:
        raise ValueError(f"labels must be int32 of shape {guide.shape}, not {labels.dtype} of shape {labels.shape}")
    posterior = _posterior_cuda if on_device(unary, labels, guide) else _posterior_cpu
    return posterior(unary, labels, guide, np.float32(strength), np.float32(contrast))


def _check(unary, guide, strength, contrast):
    if unary.ndim != 3 or unary.dtype != np.float32 or not 1 <= unary.shape[0] <= MAX_LABELS:
        raise ValueError(f"unary must be (K, H, W) float32 with K from 1 to {MAX_LABELS}, not {unary.dtype} of shape {unary.shape}")
    if guide.shape != unary.shape[1:] or guide.dtype != np.float32:
        raise ValueError(f"guide must be float32 of shape {unary.shape[1:]}, not {guide.dtype} of shape {guide.shape}")
    if not (strength >= 0 and contrast > 0):
        raise ValueError(f"strength must be at least 0 and contrast above 0, not {strength} and {contrast}")


def _relax_cpu(unary, guide, strength, contrast, sweeps):
    labels = np.empty(guide.shape, np.int32)
    _cheapest(unary, labels)
    if strength == 0:
        return labels, 1
    # blocks of a row in which something may change: a pixel whose neighbourhood stands as when it was last looked at stays
    open_now = np.zeros((labels.shape[0], -(-labels.shape[1] // _BLOCK)), np.uint8)
    _find_open(labels, open_now)
    for sweep in range(sweeps):
        open_next = np.zeros_like(open_now)
        changed = sum(_sweep(unary, guide, strength, contrast, labels, colour, open_now, open_next) for colour in range(4))
        if not changed:
            return labels, sweep + 1
        open_now = open_next
    return labels, sweeps


@njit(cache=True, parallel=True)
def _cheapest(unary, labels):
    for y in prange(labels.shape[0]):
        _cheapest_of_row(unary[:, y], labels[y])


@njit(cache=True, nogil=True)
def _cheapest_of_row(unary, labels):
    labels[:] = 0
    least = unary[0].copy()
    for k in range(1, len(unary)):
        costs = unary[k]
        for x in range(len(labels)):
            labels[x] = k if costs[x] < least[x] else labels[x]
            least[x] = min(costs[x], least[x])


@njit(cache=True, parallel=True)
def _find_open(labels, open_now):
    for y in prange(labels.shape[0]):
        _find_open_of_row(labels, y, open_now[y])


@njit(cache=True, nogil=True)
def _find_open_of_row(labels, y, open_now):
    height, width = labels.shape
    own, differs = labels[y], np.zeros(width, np.uint8)
    for line in (labels[max(y - 1, 0)], own, labels[min(y + 1, height - 1)]):
        for x in range(width):
            differs[x] |= line[x] != own[x]
        for x in range(width - 1):
            differs[x] |= line[x + 1] != own[x]
            differs[x + 1] |= line[x] != own[x + 1]
    for x in range(width):
        open_now[x // _BLOCK] |= differs[x]


@njit(cache=True, parallel=True)
def _sweep(unary, guide, strength, contrast, labels, colour, open_now, open_next):
    rows = (labels.shape[0] - colour // 2 + 1) // 2
    changed = 0
    for i in prange(rows):
        changed += _sweep_row(unary, guide, strength, contrast, labels, 2 * i + colour // 2, colour % 2, open_now, open_next)
    return changed


@njit(cache=True, nogil=True)
def _sweep_row(unary, guide, strength, contrast, labels, y, first, open_now, open_next):
    cost = np.empty(unary.shape[0], np.float32)
    changed = 0
    for block in range(open_now.shape[1]):
        if open_now[y, block]:
            changed += _sweep_block(unary, guide, strength, contrast, labels, y, block * _BLOCK + first, cost, open_now, open_next)
    return changed


@njit(cache=True, nogil=True)
def _sweep_block(unary, guide, strength, contrast, labels, y, first, cost, open_now, open_next):
    height, width = labels.shape
    changed = 0
    for x in range(first, min(first - first % _BLOCK + _BLOCK, width), 2):
        own = labels[y, x]
        if _settled(unary, labels, y, x, own):
            continue
        _costs(unary, guide, strength, contrast, labels, y, x, cost)
        best = own
        for k in range(len(cost)):
            if cost[k] < cost[best]:
                best = k
        if best != own:
            labels[y, x] = best
            changed += 1
            for yy in range(max(y - 1, 0), min(y + 2, height)):
                for block in range(max(x - 1, 0) // _BLOCK, min(x + 1, width - 1) // _BLOCK + 1):
                    open_now[yy, block] = 1
                    open_next[yy, block] = 1
    return changed


@njit(cache=True, nogil=True)
def _settled(unary, labels, y, x, own):
    """Most pixels: every neighbour agrees and nothing is cheaper by itself, so no weight need be computed."""
    height, width = labels.shape
    for yy in range(max(y - 1, 0), min(y + 2, height)):
        for xx in range(max(x - 1, 0), min(x + 2, width)):
            if labels[yy, xx] != own:
                return False
    for k in range(unary.shape[0]):
        if unary[k, y, x] < unary[own, y, x]:
            return False
    return True


@njit(cache=True, nogil=True)
def _costs(unary, guide, strength, contrast, labels, y, x, cost):
    """Cost of each label at (y, x): its unary and a weight for every neighbour of another label."""
    height, width = labels.shape
    total = np.float32(0)
    for k in range(unary.shape[0]):
        cost[k] = unary[k, y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            yy, xx = y + dy, x + dx
            if (dy == 0 and dx == 0) or yy < 0 or yy >= height or xx < 0 or xx >= width:
                continue
            step = (guide[y, x] - guide[yy, xx]) / contrast
            weight = strength / (np.float32(1) + step * step)
            if dy != 0 and dx != 0:
                weight = weight * _DIAGONAL
            total = total + weight
            cost[labels[yy, xx]] -= weight
    for k in range(unary.shape[0]):
        cost[k] += total


def _posterior_cpu(unary, labels, guide, strength, contrast):
    out = np.empty_like(unary)
    _posterior(unary, guide, strength, contrast, labels, out)
    return out


@njit(cache=True, parallel=True)
def _posterior(unary, guide, strength, contrast, labels, out):
    bands = (labels.shape[0] + _BLOCK - 1) // _BLOCK
    for band in prange(bands):
        _posterior_band(unary, guide, strength, contrast, labels, band * _BLOCK, out)


@njit(cache=True, nogil=True)
def _posterior_band(unary, guide, strength, contrast, labels, top, out):
    """Rows top .. top + _BLOCK - 1; the weights between two rows serve both. Sums run as in `_costs`."""
    height, width = labels.shape
    above, here = np.zeros((3, width + 2), np.float32), np.zeros((3, width + 2), np.float32)
    beside = np.zeros(width + 2, np.float32)
    cost = np.empty((unary.shape[0], width), np.float32)
    if top:
        _weights_down(guide, strength, contrast, top - 1, above)
    for y in range(top, min(top + _BLOCK, height)):
        here[:] = 0
        if y + 1 < height:
            _weights_down(guide, strength, contrast, y, here)
        _weights_beside(guide[y], strength, contrast, beside)
        _costs_of_row(unary, labels, y, above, here, beside, cost)
        _shares(cost, out, y)
        above, here = here, above


@njit(cache=True, nogil=True)
def _weights_down(guide, strength, contrast, y, out):
    """out[k, x + 1]: weight between pixel (y, x) and (y + 1, x + k - 1)."""
    one, other = guide[y], guide[y + 1]
    width = len(one)
    out[:] = 0
    for x in range(width):
        step = (one[x] - other[x]) / contrast
        out[1, x + 1] = strength / (np.float32(1) + step * step)
    for x in range(1, width):
        step = (one[x] - other[x - 1]) / contrast
        out[0, x + 1] = strength / (np.float32(1) + step * step) * _DIAGONAL
    for x in range(width - 1):
        step = (one[x] - other[x + 1]) / contrast
        out[2, x + 1] = strength / (np.float32(1) + step * step) * _DIAGONAL


@njit(cache=True, nogil=True)
def _weights_beside(line, strength, contrast, out):
    """out[x + 1]: weight between pixels x and x + 1."""
    out[:] = 0
    for x in range(len(line) - 1):
        step = (line[x] - line[x + 1]) / contrast
        out[x + 1] = strength / (np.float32(1) + step * step)


@njit(cache=True, nogil=True)
def _costs_of_row(unary, labels, y, above, here, beside, cost):
    height, width = labels.shape
    up, own, down = labels[max(y - 1, 0)], labels[y], labels[min(y + 1, height - 1)]
    for k in range(len(cost)):
        cost[k] = unary[k, y]
    for x in range(width):
        left, right = max(x - 1, 0), min(x + 1, width - 1)
        # a neighbour that is not there has the weight 0
        a, b, c, d = above[2, x], above[1, x + 1], above[0, x + 2], beside[x]
        e, f, g, h = beside[x + 1], here[0, x + 1], here[1, x + 1], here[2, x + 1]
        total = a + b + c + d + e + f + g + h
        cost[up[left], x] -= a
        cost[up[x], x] -= b
        cost[up[right], x] -= c
        cost[own[left], x] -= d
        cost[own[right], x] -= e
        cost[down[left], x] -= f
        cost[down[x], x] -= g
        cost[down[right], x] -= h
        for k in range(len(cost)):
            cost[k, x] += total


@njit(cache=True, nogil=True)
def _shares(cost, out, y):
    least, total = cost[0].copy(), np.zeros(cost.shape[1], np.float32)
    for k in range(1, len(cost)):
        least = np.minimum(least, cost[k])
    for k in range(len(cost)):
        share = out[k, y]
        for x in range(len(share)):
            share[x] = np.exp(least[x] - cost[k, x])
            total[x] += share[x]
    for k in range(len(cost)):
        share = out[k, y]
        for x in range(len(share)):
            share[x] /= total[x]


def _relax_cuda(unary, guide, strength, contrast, sweeps):
    import cupy
    unary, guide = cupy.ascontiguousarray(unary), cupy.ascontiguousarray(guide)
    count, height, width = unary.shape
    labels = unary.argmin(0).astype(np.int32)
    changed = cupy.zeros(1, np.int32)
    for sweep in range(sweeps):
        changed.fill(0)
        for colour in range(4):
            launch("potts", "sweep", grid(height * width // 4 + 1), 256, unary, guide, strength, contrast, labels, changed,
                   np.int32(count), np.int32(height), np.int32(width), np.int32(colour))
        if not int(changed[0]):
            return labels, sweep + 1
    return labels, sweeps


def _posterior_cuda(unary, labels, guide, strength, contrast):
    import cupy
    unary, labels, guide = (cupy.ascontiguousarray(a) for a in (unary, labels, guide))
    count, height, width = unary.shape
    out = cupy.empty_like(unary)
    launch("potts", "posterior", grid(height * width), 256, unary, guide, strength, contrast, labels, out,
           np.int32(count), np.int32(height), np.int32(width))
    return out
