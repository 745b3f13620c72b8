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
    labels = unary.argmin(0).astype(np.int32)
    for sweep in range(sweeps):
        changed = sum(_sweep(unary, guide, strength, contrast, labels, colour) for colour in range(4))
        if not changed:
            return labels, sweep + 1
    return labels, sweeps


@njit(cache=True, parallel=True)
def _sweep(unary, guide, strength, contrast, labels, colour):
    rows = (labels.shape[0] - colour // 2 + 1) // 2
    changed = 0
    for i in prange(rows):
        changed += _sweep_row(unary, guide, strength, contrast, labels, 2 * i + colour // 2, colour % 2)
    return changed


@njit(cache=True, nogil=True)
def _sweep_row(unary, guide, strength, contrast, labels, y, first):
    count, width = unary.shape[0], labels.shape[1]
    cost = np.empty(count, np.float32)
    changed = 0
    for x in range(first, width, 2):
        own = labels[y, x]
        if _settled(unary, labels, y, x, own):
            continue
        _costs(unary, guide, strength, contrast, labels, y, x, cost)
        best = own
        for k in range(count):
            if cost[k] < cost[best]:
                best = k
        if best != own:
            labels[y, x] = best
            changed += 1
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
    for y in prange(labels.shape[0]):
        _posterior_row(unary, guide, strength, contrast, labels, y, out)


@njit(cache=True, nogil=True)
def _posterior_row(unary, guide, strength, contrast, labels, y, out):
    count = unary.shape[0]
    cost = np.empty(count, np.float32)
    for x in range(labels.shape[1]):
        _costs(unary, guide, strength, contrast, labels, y, x, cost)
        least = cost.min()
        total = np.float32(0)
        for k in range(count):
            cost[k] = np.exp(least - cost[k])
            total += cost[k]
        for k in range(count):
            out[k, y, x] = cost[k] / total


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
