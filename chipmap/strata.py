"""Layers that lie one above the other all across a picture: the borders between them as smooth surfaces of least cost.

A cross-section's layers keep their order. The borders are those under which the classes' probabilities cost least, found
layer by layer exactly in each column and smoothly from column to column by dynamic programming (R. Bellman, 1957; as surfaces
in pictures: K. Li, X. Wu, D. Z. Chen, M. Sonka, IEEE Trans. Pattern Anal. 28, 119 (2006)).
"""

import numpy as np
from cukernels.backend import array_module, to_host
from numba import njit

from chipmap import InputError

ALIKE = 30.0     # pixels: neighbours' probabilities rest on the same surroundings, so many of them count as one
SLOPE = 1.0      # nats that a border costs for each pixel it rises or falls from one column to the next
JUMP = 3         # pixels by which it may
ASTRAY = 3.0     # nats that a class costs outside its layer, in the probabilities given back
TIE = 0.1        # weight of a layer's own class beside that, where its neighbours are not there at all
LEAST = 0.02     # probability below which no class is held


def stacked(probability, order):
    """(labels (H, W) int32, probability (K, H, W) float32) of classes that lie one above the other.

    probability: (K, H, W), sum 1, NumPy or CuPy. order: the K class numbers from top to bottom, each once. Every column
    holds the layers in this order, some of them perhaps with no pixel. Raises InputError for an order that is none.
    """
    count = len(probability)
    if sorted(order) != list(range(count)) or count < 2:
        raise InputError(f"a stack names each of the {count} classes once, from top to bottom")
    xp, p = array_module(probability), to_host(probability)
    borders = _borders(_own(p[list(order)]), count)
    rows = np.arange(p.shape[1])[:, None]
    layer = sum((rows >= b[None]).astype(np.int32) for b in borders)
    labels = np.asarray(order, np.int32)[layer]
    weighed = p * np.exp(-ASTRAY * (np.arange(count)[:, None, None] != labels)).astype(np.float32)
    return xp.asarray(labels), xp.asarray((weighed / np.maximum(weighed.sum(0), 1e-12)).astype(np.float32))


def _own(p):
    """(K, H, W) how well each pixel fits each layer: by all classes but the layer's neighbours'.

    What is neither the layer's class nor a neighbour's cannot be there, so it is something of the layer's own (a pore).
    """
    other = np.zeros_like(p)
    other[1:] += p[:-1]
    other[:-1] += p[1:]
    return np.clip(1 - other, LEAST, 1) * np.maximum(p, LEAST) ** TIE


def _borders(p, count):
    """First row of each layer but the top one, (W,) each, from p (K, H, W) in the order of the layers."""
    cost = np.zeros((count, p.shape[1] + 1, p.shape[2]))
    cost[:, 1:] = np.cumsum(-np.log(p.astype(float)) / ALIKE, axis=1)  # of a layer that holds the rows above
    best = [cost[0]]
    for k in range(1, count - 1):
        best.append(cost[k] + np.minimum.accumulate(best[-1] - cost[k], axis=0))  # rows above, layer k the lowest of them
    borders, below = [], np.full(p.shape[2], p.shape[1])
    rows = np.arange(p.shape[1] + 1)[:, None]
    for k in range(count - 2, -1, -1):
        open_ = best[k] - cost[k + 1]
        below = _surface(np.where(rows <= below[None], open_, 1e9), JUMP, SLOPE)
        borders.append(below)
    return borders[::-1]


@njit(cache=True)
def _surface(cost, jump, slope):
    """(W,) row of the path of least cost from left to right, at most `jump` rows up or down a column, at `slope` each."""
    height, width = cost.shape
    best = cost[:, 0].copy()
    come = np.zeros((height, width), np.int32)
    new = np.empty(height)
    for x in range(1, width):
        for y in range(height):
            least, where = np.inf, y
            for z in range(max(y - jump, 0), min(y + jump, height - 1) + 1):
                value = best[z] + slope * abs(z - y)
                if value < least:
                    least, where = value, z
            new[y] = least + cost[y, x]
            come[y, x] = where
        best[:] = new
    path = np.empty(width, np.int32)
    path[width - 1] = np.argmin(best)
    for x in range(width - 1, 0, -1):
        path[x - 1] = come[path[x], x]
    return path
