"""The copper plate: the same system as one area without limits and stores, whose expectation is known exactly.

What each drawn year would lack on it goes along with what the year really lacks, so the difference of its sampled and
its exact mean tells how lucky the draws were: a control variate.
"""

import numpy as np
from cukernels.outage import outage_table, shortfall

_MOST_WORK = 4e9  # steps of power x units x stretches of constant capacity


class Later:
    """The expectation of a problem, computed when first asked for."""

    def __init__(self, problem):
        self._problem, self._known = problem, ()

    @property
    def value(self):
        if self._known == ():
            self._known = expected(self._problem)
        return self._known


def expected(problem):
    """(hours short, kWh) a year of the copper plate, by convolution; None where outage rates change with the hour or where
    the capacities make too many steps or change too often."""
    items, R = problem.items, len(problem.margin)
    own = np.flatnonzero(items.column < R)
    if (items.season[own] >= 0).any():
        return None
    margin = problem.margin.sum(axis=0)
    starts = np.unique(np.concatenate([np.zeros(1, int), *(items.begin[items.first[i]:items.first[i + 1]] for i in own)]))
    step = max(int(np.gcd.reduce(np.concatenate([np.zeros(1, int), *(_levels(items, i, p)[0] for i in own for p in range(items.first[i], items.first[i + 1]))]))), 1)
    most = sum(int(items.power[items.first[i]:items.first[i + 1]].max()) for i in own) // step
    if most * max(len(own), 1) * len(starts) > _MOST_WORK or most > 20_000_000:
        return None
    hours, kwh = 0.0, 0.0
    for begin, end in zip(starts, [*starts[1:], len(margin)], strict=True):
        lost, mean, _ = shortfall(_table(items, own, begin, step), 0, -margin[begin:end] / step)
        hours, kwh = hours + lost.sum(), kwh + mean.sum() * step
    return float(hours), float(kwh)


def _table(items, own, hour, step):
    levels = [_levels(items, i, items.first[i] + np.searchsorted(items.begin[items.first[i]:items.first[i + 1]], hour, side="right") - 1) for i in own]
    M = max((len(out) for out, _ in levels), default=1)
    out, chance = np.zeros((len(own), M), np.int64), np.zeros((len(own), M))
    for u, (amounts, chances) in enumerate(levels):
        out[u, :len(amounts)], chance[u, :len(chances)] = amounts // step, chances
    return outage_table(out, chance, np.zeros_like(chance))


def _levels(items, i, piece):
    """What an item can have out in a piece: amounts and their chances, nothing first."""
    power, q = int(items.power[piece]), items.start[i]
    levels = range(items.level[i], items.level[i + 1])
    upto = np.concatenate([[0.0], items.chance[items.level[i]:items.level[i + 1]], [1.0]])
    left = [power - int(power * items.left[n] + 0.5) for n in levels]
    return np.array([0, *left, power], np.int64), np.array([1 - q, *(q * np.diff(upto))])
