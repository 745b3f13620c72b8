"""Thickness of layers below and above the blur, from the grey across them: the whole likelihood, so that doubt is told rightly.

A thin layer between two materials shows as excess grey. To first order an excess is the same as a shifted edge, so how
thick it is hangs on the blur; the blur is the same for all edges of a picture and is found from all of them together.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

BLURS = np.geomspace(0.3, 4.0, 17)  # pixels, standard deviation of the edge spread that are tried first
FINER = 15                          # and then around the best
STEP = 0.1                          # pixels between the thicknesses tried
SEEN = 4.5                          # log likelihood that a layer must gain to count as seen
STEPS = 12                          # of the fit of the place
HALF, ROOT = 0.5 ** 0.5, (2 * np.pi) ** 0.5
NODES = ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6))   # Gauss-Hermite: of the layer's grey level


@dataclass(frozen=True)
class Profile:
    """at: (B,) distance of bins, pixels. grey: (B,) their mean. sd: (B,) standard error of it."""

    at: np.ndarray
    grey: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True)
class Fit:
    """thickness, thickness_sd, most (95 % upper limit), place: pixels. seen: without a layer the likelihood is e^4.5 (three
    standard deviations) times less; where False the thickness is of chance, and `most` is what is known. misfit:
    chi-square by degree of freedom at the best fit."""

    thickness: float
    thickness_sd: float
    most: float
    seen: bool
    place: float
    misfit: float


@dataclass(frozen=True)
class Group:
    """Mean thickness of some profiles, weighted by their precision: thickness, thickness_sd, most, seen as of a `Fit`."""

    thickness: float
    thickness_sd: float
    most: float
    seen: bool


def fit_layers(profiles, inside=None, inside_sd=0.0, widest=5.0, groups=None):
    """Layers in profiles that share one blur: ([Fit], blur, its sd, [Group]).

    profiles: [Profile]. inside: grey level of the layers' material and its standard uncertainty; None where it isn't known:
    then only what is wider than the blur shows how thick it is, and the rest says so by its uncertainty. widest: pixels,
    of what is tried. groups: for each profile the number of its group, whose weighted mean is wanted too, in the
    order of the numbers (by default no groups).

    Thickness: mean and standard deviation of the posterior, with the prior of `_prior`.
    """
    if not profiles:
        return [], np.nan, np.nan, []
    thick = np.arange(0, widest + STEP / 2, STEP)
    nodes = ((0.0, 1.0),) if inside is None or inside_sd == 0 else NODES
    levels = [None if inside is None else inside + node * inside_sd for node, _ in nodes]
    profiles = [_rescaled(p, thick, levels[len(levels) // 2]) for p in profiles]
    blurs = BLURS
    for finer in (False, True):
        used = (levels, nodes) if finer else (levels[len(levels) // 2:][:1], ((0.0, 1.0),))
        cost = np.array([[_costs(p, blurs, thick, level)[0] for p in profiles] for level in used[0]])    # node, profile, blur, thickness
        weight = _blur_weight(cost, used[1], blurs, thick)
        mean = float((weight.sum(0) * blurs).sum())
        sd = float(np.sqrt((weight.sum(0) * (blurs - mean) ** 2).sum()))
        if not finer:
            reach = 4 * max(sd, np.interp(mean, blurs[:-1], np.diff(blurs)) / 3)
            blurs = np.linspace(max(mean - reach, 0.15), mean + reach, FINER)
    likely = np.exp(-0.5 * (cost - cost.min(axis=3, keepdims=True)))
    conditional = likely * _prior(thick, blurs)
    conditional /= conditional.sum(axis=3, keepdims=True)
    means = (conditional * thick).sum(axis=3)
    spread = (conditional * thick ** 2).sum(axis=3) - means ** 2
    value = (weight[:, None] * means).sum(axis=(0, 2))
    total = (weight[:, None] * (spread + (means - value[:, None]) ** 2)).sum(axis=(0, 2))
    chance, odds = ((weight[:, None, :, None] * p).sum(axis=(0, 2)) for p in (conditional, likely))      # profile, thickness
    odds = odds[:, 0] / odds.max(axis=1)
    middle = levels[len(levels) // 2]
    fits = [_fit(p, blurs, thick, middle, *row) for p, *row in zip(profiles, cost[len(nodes) // 2], chance, odds, value, total)]
    grouped = [] if groups is None else [_group(np.array(groups) == g, means, spread, weight, total, odds) for g in sorted(set(groups))]
    return fits, mean, sd, grouped


def _fit(profile, blurs, thick, level, cost, chance, odds, value, total):
    best = np.unravel_index(cost.argmin(), cost.shape)
    place = _costs(profile, blurs[best[0]:best[0] + 1], thick[best[1]:best[1] + 1], level)[1]
    most = thick[np.searchsorted(np.cumsum(chance), 0.95).clip(0, len(thick) - 1)]
    # a grid of thicknesses adds the spread of one of its steps
    return Fit(float(value), float(np.sqrt(total + STEP ** 2 / 12)), float(most), bool(np.log(odds + 1e-300) < -SEEN),
               float(place[0, 0]), float(cost.min() / max(len(profile.at) - 5, 1)))


def _prior(thick, blurs):
    """(blurs, thicknesses): as the information grows that a profile holds of the thickness (H. Jeffreys, Proc. R. Soc. A
    186, 453 (1946)): in proportion to it below the blur, where excess grey and a shifted edge look alike, constant above."""
    prior = thick / (thick + 2 * blurs[:, None])
    return prior + 1e-9


def _rescaled(profile, thick, level):
    """The profile with its errors widened to what its best fit leaves: texture is noise too."""
    cost, _ = _costs(profile, BLURS, thick[::4], level)
    return Profile(profile.at, profile.grey, profile.sd * np.sqrt(max(1.0, cost.min() / max(len(profile.at) - 5, 1))))


def _blur_weight(cost, nodes, blurs, thick):
    """(nodes, blurs): posterior of the blur from all profiles, given each of the layer's levels. The levels keep their prior
    weights: what the picture may say about the level hangs on the model's details, and is not believed."""
    least = cost.min(axis=3)
    log = -0.5 * least + np.log((np.exp(-0.5 * (cost - least[..., None])) * _prior(thick, blurs)).sum(axis=3))
    log = log.sum(axis=1)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True) * np.array([share for _, share in nodes])[:, None]


def _group(own, means, spread, weight, total, odds):
    """The `Group` of some profiles, with what blur and level do to all of them alike."""
    share = 1 / np.maximum(total[own], 1e-12)
    share = share / share.sum()
    mean = (means[:, own] * share[:, None]).sum(axis=1)
    value = (weight * mean).sum()
    alone = (spread[:, own] * share[:, None] ** 2).sum(axis=1)
    sd = float(np.sqrt((weight * (alone + (mean - value) ** 2)).sum() + STEP ** 2 / 12))
    seen = np.log(odds[own] + 1e-300).sum() < -SEEN
    return Group(float(value), sd, float(value + 1.645 * sd), bool(seen))


def _costs(profile, blurs, thick, level):
    """(chi-square, place), each (blurs, thicknesses): best place and levels beside (and inside, where `level` is None)."""
    start = _start(profile, thick, level)
    return _over_grid(profile.at, profile.grey, 1 / profile.sd, np.ascontiguousarray(blurs), np.ascontiguousarray(thick), start,
                      0.0 if level is None else float(level), level is None)


def _start(profile, thick, level):
    """(thicknesses,) place of the layer's middle that keeps the sum of grey."""
    count = max(len(profile.at) // 5, 1)
    a, b = profile.grey[:count].mean(), profile.grey[-count:].mean()
    step = b - a if abs(b - a) > 1e-9 else 1e-9
    width = np.gradient(profile.at)
    edge = profile.at[-1] - ((profile.grey - a) * width).sum() / step
    excess = 0.0 if level is None else (level - (a + b) / 2) * thick / step
    return np.clip(edge + excess, profile.at[0] / 2, profile.at[-1] / 2) * np.ones(len(thick))


@njit(cache=True)
def _over_grid(at, grey, weight, blurs, thick, start, level, free):
    """For every blur and thickness the least squares of place (Gauss-Newton) and, inside it, of the levels (linear)."""
    cost, place = np.empty((len(blurs), len(thick))), np.empty((len(blurs), len(thick)))
    for i in range(len(blurs)):
        for j in range(len(thick)):
            x = start[j] if j == 0 else place[i, j - 1] + start[j] - start[j - 1]
            cost[i, j], place[i, j] = _best_place(at, grey, weight, blurs[i], thick[j], x, level, free)
    return cost, place


@njit(cache=True)
def _best_place(at, grey, weight, blur, thick, x, level, free):
    best, where = np.inf, x
    size = 3 if free and thick > 0 else 2
    for _ in range(STEPS):
        normal, right = np.zeros((4, 4)), np.zeros(4)      # levels before, after, inside; and the slope by place
        total = 0.0
        before, after, inside = grey[0], grey[-1], level
        for step in range(2):       # the levels, and then the slope at these levels
            if step == 1:
                beta = np.linalg.solve(normal[:size, :size] + 1e-12 * np.eye(size), right[:size])
                before, after = beta[0], beta[1]
                inside = beta[2] if size == 3 else (level if not free else (before + after) / 2)
            for n in range(len(at)):
                u, v = (at[n] - x + thick / 2) / blur, (at[n] - x - thick / 2) / blur
                first, second = 0.5 * math.erfc(-u * HALF), 0.5 * math.erfc(-v * HALF)
                w = weight[n]
                if step == 0:
                    a, b, c = (1 - first) * w, second * w, (first - second) * w
                    y = grey[n] * w - (0.0 if free else level * c)
                    total += y * y
                    normal[0, 0] += a * a
                    normal[0, 1] += a * b
                    normal[1, 1] += b * b
                    right[0] += a * y
                    right[1] += b * y
                    if size == 3:
                        normal[0, 2] += a * c
                        normal[1, 2] += b * c
                        normal[2, 2] += c * c
                        right[2] += c * y
                else:
                    s = -((inside - before) * math.exp(-0.5 * u * u) + (after - inside) * math.exp(-0.5 * v * v)) / ROOT / blur * w
                    rest = (grey[n] - before * (1 - first) - after * second - inside * (first - second)) * w
                    normal[3, 0] += s * (1 - first) * w
                    normal[3, 1] += s * second * w
                    normal[3, 2] += s * (first - second) * w
                    normal[3, 3] += s * s
                    right[3] += s * rest
            if step == 0:
                normal[1, 0] = normal[0, 1]
                normal[2, 0], normal[2, 1] = normal[0, 2], normal[1, 2]
        cost = total - (right[:size] * beta).sum()
        if cost < best:
            best, where = cost, x
        across = normal[3, :size].copy()
        own = normal[3, 3] - (across * np.linalg.solve(normal[:size, :size] + 1e-12 * np.eye(size), across)).sum()
        move = right[3] / own if own > 1e-12 else 0.0
        x += min(max(move, -1.0), 1.0)
        if abs(move) < 1e-4:
            break
    return best, where
