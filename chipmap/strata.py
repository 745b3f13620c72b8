"""Layers that lie one above the other all across a picture: the borders between them as smooth surfaces of least cost.

A cross-section's layers keep their order. The borders are those under which the classes' probabilities cost least, found
layer by layer exactly in each column and smoothly from column to column by dynamic programming (R. Bellman, 1957; as surfaces
in pictures: K. Li, X. Wu, D. Z. Chen, M. Sonka, IEEE Trans. Pattern Anal. 28, 119 (2006)).

Two layers may be equal in grey and texture, and yet the eye sees the line between them: there the grey falls on one side and
rises on the other. How it goes there, and how thick the layers are, is learnt from the picture with the strokes.
"""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.filters import gaussian
from numba import njit

from chipmap import InputError

ALIKE = 100.0    # pixels: neighbours' probabilities rest on the same surroundings, so many of them count as one
SLOPE = 1.0      # nats that a border costs for each pixel it rises or falls from one column to the next
JUMP = 3         # pixels by which it may
ASTRAY = 3.0     # nats that a class costs outside its layer, in the probabilities given back
TIE = 0.1        # weight of a layer's own class beside that, where its neighbours are not there at all
LEAST = 0.02     # probability below which no class is held
STEP = 8.0       # nats that a column gains where the grey steps at a border as it is used to, and loses where it steps the other way
STEP_SIGMA = 4.0  # pixels over which a step of grey is looked at
THICKNESS = 1.0  # nats that a layer costs that is e times as thick or as thin as it is used to be, in each column; twice that, four times
ROUNDS = 3       # of finding each border anew between the others


@dataclass(frozen=True)
class Strata:
    """What was learnt of K layers. order: their class numbers from top to bottom. sign, least, usual: of each border, +1 where
    the grey rises downwards and -1 where it falls, the step that counts in full and the usual one, of the step from the
    picture's dark to its bright level. thickness: of each layer but the outermost two, pixels."""

    order: list
    sign: list
    least: list
    usual: list
    thickness: list


def stacked(probability, order, image=None, learnt=None):
    """(labels (H, W) int32, probability (K, H, W) float32) of classes that lie one above the other.

    probability: (K, H, W), sum 1, NumPy or CuPy. order: the K class numbers from top to bottom, each once. Every column
    holds the layers in this order, some of them perhaps with no pixel. image: (H, W) scaled to its dark and bright levels
    (0, 1), and learnt: `Strata`, where the borders are looked for in the grey too. Raises InputError for an order that is none.
    """
    count = len(probability)
    if sorted(order) != list(range(count)) or count < 2:
        raise InputError(f"a stack names each of the {count} classes once, from top to bottom")
    xp, p = array_module(probability), to_host(probability)
    own = _own(p[list(order)])
    borders = _borders(own, np.zeros(count - 1)) if learnt is None else _borders(own, _gains(_steps(image), learnt), learnt.thickness)
    labels = np.asarray(order, np.int32)[_layers(borders, p.shape[1])]
    weighed = p * np.exp(-ASTRAY * (np.arange(count)[:, None, None] != labels)).astype(np.float32)
    return xp.asarray(labels), xp.asarray((weighed / np.maximum(weighed.sum(0), 1e-12)).astype(np.float32))


def learn(probability, order, image):
    """`Strata` of a picture whose layers the probabilities tell well, as those do that were trained on it.

    probability, order, image: as of `stacked`. Near each border found so, the path along which the grey steps most, downwards
    or upwards, is how that border looks; with it the borders are found again, and learnt again.
    """
    steps, own = _steps(image), _own(to_host(probability)[list(order)])
    borders = _borders(own, np.zeros(len(order) - 1))
    for _ in range(2):
        looks = [_look(steps, k, _full(borders, len(steps) - 1)) for k in range(len(borders))]
        learnt = Strata(list(order), *(list(column) for column in zip(*looks)), [])
        borders = _borders(own, _gains(steps, learnt))
    thickness = [float(max(np.median(low - high), 1)) for high, low in zip(borders, borders[1:])]
    return Strata(learnt.order, learnt.sign, learnt.least, learnt.usual, thickness)


def _look(steps, k, full):
    """(sign, least, usual) of border k: of the two signs, the one whose path of steps near it is the clearer."""
    room = min(np.median(full[k + 1] - full[k]), np.median(full[k + 2] - full[k + 1])) / 4
    near = np.abs(np.arange(len(steps))[:, None] - full[k + 1]) <= max(room, 1)
    best = None
    for sign in (1, -1):
        path = _surface(np.where(near, -10 * sign * steps, 1e6), JUMP, 0.3)
        quarter, half = np.percentile(sign * steps[path, np.arange(len(path))], [25, 50])
        if best is None or half > best[2]:
            best = sign, float(max(quarter, half / 2, 1e-3)), float(max(half, 2e-3))
    return best


def _steps(image):
    """(H + 1, W) height of the step of grey between the row above and the one below; rows as borders count them."""
    slope = to_host(gaussian(image, STEP_SIGMA, order=(1, 0))).astype(float) * STEP_SIGMA * np.sqrt(2 * np.pi)
    steps = np.zeros((slope.shape[0] + 1, slope.shape[1]))
    steps[1:-1] = (slope[1:] + slope[:-1]) / 2
    return steps


def _gains(steps, learnt):
    """What each border costs where: a step as usual gains STEP, one more than twice as high less and less."""
    for sign, least, usual in zip(learnt.sign, learnt.least, learnt.usual):
        here = sign * steps
        yield -STEP * np.clip(np.minimum(here / least, 3 - here / usual), -1, 1)


def _own(p):
    """(K, H, W) how well each pixel fits each layer: by all classes but the layer's neighbours'.

    What is neither the layer's class nor a neighbour's cannot be there, so it is something of the layer's own (a pore).
    """
    other = np.zeros_like(p)
    other[1:] += p[:-1]
    other[:-1] += p[1:]
    return np.clip(1 - other, LEAST, 1) * np.maximum(p, LEAST) ** TIE


def _borders(p, gains, thickness=()):
    """First row of each layer but the top one, (W,) each, from p (K, H, W) in the order of the layers.

    gains: of each border, what it costs at each row (H + 1, W), or 0. thickness: the usual ones of the inner layers.
    """
    count, gains = len(p), list(gains)
    cost = np.zeros((count, p.shape[1] + 1, p.shape[2]))
    cost[:, 1:] = np.cumsum(-np.log(p.astype(float)) / ALIKE, axis=1)  # of a layer that holds the rows above
    best = [cost[0]]
    for k in range(1, count - 1):
        best.append(cost[k] + np.minimum.accumulate(best[-1] - cost[k] + gains[k - 1], axis=0))  # rows above, layer k the lowest of them
    borders, below = [], np.full(p.shape[2], p.shape[1])
    rows = np.arange(p.shape[1] + 1)[:, None]
    for k in range(count - 2, -1, -1):
        open_ = best[k] - cost[k + 1] + gains[k]
        below = _surface(np.where(rows <= below[None], open_, 1e9), JUMP, SLOPE)
        borders.append(below)
    borders = borders[::-1]
    for _ in range(ROUNDS if len(thickness) else 0):
        before = [border.copy() for border in borders]
        for k in range(count - 2, -1, -1):
            borders[k] = _again(k, _full(borders, p.shape[1]), cost[k] - cost[k + 1] + gains[k], thickness)
        if all((a == b).all() for a, b in zip(before, borders)):
            break
    return borders


def _again(k, full, cost, thickness):
    """Border k between the two beside it, the layers above and below as thick as they are used to be."""
    rows = np.arange(len(cost))[:, None]
    above, below = rows - full[k], full[k + 2] - rows
    if k > 0:
        cost = cost + _unusual(above, thickness[k - 1])
    if k < len(thickness):
        cost = cost + _unusual(below, thickness[k])
    return _surface(np.where((above >= 0) & (below >= 0), cost, 1e9), JUMP, SLOPE)


def _unusual(thickness, usual):
    return THICKNESS * np.log(np.maximum(thickness, 1) / usual) ** 2


def _full(borders, height):
    return [np.zeros_like(borders[0]), *borders, np.full_like(borders[0], height)]


def _layers(borders, height):
    rows = np.arange(height)[:, None]
    return sum((rows >= border[None]).astype(np.int32) for border in borders)


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
