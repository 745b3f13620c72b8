"""Shortages so rare that few drawn years hold one: outages are drawn too often, and what is found counts the less.

Importance sampling of hours drawn anew: the odds of every chosen unit's outage are raised by one factor, the tilt, and an
hour counts with the ratio of its true chance to the chance it was drawn with. The ratio is a sum over the units that are
out, so it is walked like power that is lost, as one column more.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from cukernels.backend import to_host
from cukernels.chronology import short_hours
from numba import njit

from gridmap import InputError
from gridmap.adequacy import draws
from gridmap.adequacy.result import Estimate
from gridmap.adequacy.simulation import SYSTEM, peaks, places
from gridmap.adequacy.solver import BLOCK, Solver
from gridmap.adequacy.system import KW

TILTS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0)  # that a pilot chooses from
_PILOT = 0.05  # of the samples, for each of them
_UNIT = 2**16  # of the logarithm of a weight
HOURS, MWH, PEAK_DAYS = range(3)


@dataclass(frozen=True)
class RareResult:
    """places: names of regions, groups and the system. sums (S, P, 3) float64 by sample: hours short, MWh, days short at
    their tightest hour, each hour with its weight. weights, squares (P,): sums of the weights of the hours short and of
    their squares; drawn (P,) int64: how many there were. tilt: the factor on the odds of outages."""

    places: tuple
    samples: int
    seed: int
    tilt: float
    sums: np.ndarray
    weights: np.ndarray
    squares: np.ndarray
    drawn: np.ndarray

    def estimate(self, place, name):
        """lole_hours, eue_mwh or lole_days of a place, an `Estimate`."""
        if str(place) not in self.places:
            raise InputError(f"{place!r} is no region and no group: there are {', '.join(self.places[:20])}")
        yearly = self.sums[:, self.places.index(str(place)), ("lole_hours", "eue_mwh", "lole_days").index(name)]
        return Estimate(float(yearly.mean()), float(yearly.std(ddof=1) / np.sqrt(len(yearly))))

    @property
    def effective(self):
        """(P,) effective sample size: how many short hours of equal weight would tell as much (L. Kish, Survey Sampling, 1965)."""
        return np.divide(self.weights**2, self.squares, out=np.zeros_like(self.weights), where=self.squares > 0)

    def table(self):
        """DataFrame, a row a place: lole_hours, eue_mwh, lole_days, each with _error; hours_drawn, effective_hours, and
        hours_expected: how many short hours as many plain samples would hold."""
        rows = []
        for i, place in enumerate(self.places):
            found = {n: self.estimate(place, n) for n in ("lole_hours", "eue_mwh", "lole_days")}
            rows.append({"place": place} | {k: v for n, e in found.items() for k, v in ((n, e.value), (f"{n}_error", e.error))} |
                        {"hours_drawn": int(self.drawn[i]), "effective_hours": self.effective[i], "hours_expected": found["lole_hours"].value * self.samples})
        return pd.DataFrame(rows)


def simulate_rare(system, samples, seed=0, *, tilt=None, regions=None, place=SYSTEM, groups=None, device="cpu"):
    """LOLE and EUE of a `System` without stores by importance sampling of hours drawn anew.

    tilt: the factor on the odds of outages, from 1 up; None: the one of `TILTS` with the least error of the EUE of `place`
    in a pilot of a twentieth of the samples each (under the seed + 1). regions: whose units are tilted, all by default; the
    fewer, the less the weights differ. Units whose rates change by hour are drawn as they are. Corridors are tilted where
    both ends are in regions. Returns a `RareResult`; look at its effective sample size before you believe it.
    Raises InputError for stores, samples below 2, a tilt below 1 and unknown names.
    """
    if len(system.storage) + len(system.responses):
        raise InputError("stores need hours in their order, importance sampling draws them anew: leave out storage and responses")
    if samples < 2:
        raise InputError(f"{samples} samples have no error: draw 2 or more")
    if tilt is not None and not 1 <= tilt <= 1000:
        raise InputError(f"a tilt of {tilt}: give a factor from 1 to 1000")
    rows = np.arange(len(system.regions)) if regions is None else system.row([str(r) for r in regions])
    if (rows < 0).any():
        raise InputError(f"region {list(regions)[int(np.argmin(rows))]!r} is none of the system; there are {', '.join(system.regions[:20])}")
    names, members = places(system, groups or {})
    if str(place) not in names:
        raise InputError(f"{place!r} is no region and no group: there are {', '.join(names[:20])}")
    if tilt is None:
        tilt = _best(system, max(int(_PILOT * samples), 20), seed + 1, rows, names, members, str(place), device)
    return _run(system, samples, seed, float(tilt), rows, names, members, device)


def _best(system, samples, seed, rows, names, members, place, device):
    """The tilt of least relative error in the pilot; the largest that found anything where errors are unknown."""
    best, least = TILTS[-1], np.inf
    for tilt in TILTS:
        found = _run(system, samples, seed, tilt, rows, names, members, device)
        eue, sure = found.estimate(place, "eue_mwh"), found.effective[names.index(place)]
        if eue.value > 0 and sure > 5 and eue.error / eue.value < least:
            best, least = tilt, eue.error / eue.value
    return best


def _run(system, samples, seed, tilt, rows, names, members, device):
    problem, constant = _tilted(draws.problem(system, sequential=False), tilt, rows)
    solver = Solver(problem, device)
    P, first = len(names), np.cumsum([0, *members.sum(1)])
    sums, weights, squares, drawn = np.zeros((samples, P, 3)), np.zeros(P), np.zeros(P), np.zeros(P, np.int64)
    peak, member = peaks(problem.margin, members), np.nonzero(members)[1]
    most = max(BLOCK // (problem.columns * problem.margin.shape[1]), 1)
    for begin in range(0, samples, most):
        which = np.arange(begin, min(begin + most, samples))
        sample, hour, lost = short_hours(solver.items, seed, solver.move(which), solver.margin, problem.columns)
        unserved = to_host(solver.split(solver.lack(hour, lost), hour, lost))
        weight = np.exp(constant - to_host(lost[:, -1]) / _UNIT)
        _add(begin + to_host(sample), to_host(hour), unserved, weight, first, member, peak, sums, weights, squares, drawn)
    sums[..., MWH] /= KW
    return RareResult(names, samples, seed, tilt, sums, weights, squares, drawn)


def _tilted(problem, tilt, rows):
    """The problem with raised odds and a last column for the logarithms of the weights; and their constant."""
    items, R, E = problem.items, len(problem.margin), len(problem.tail)
    home = np.isin(np.arange(R), rows)
    both = home[problem.tail] & home[problem.head]
    chosen = np.concatenate([home, both, both])[np.minimum(items.column, R + 2 * E - 1)] if E else home[np.minimum(items.column, R - 1)]
    chosen &= (items.season < 0) & (items.start > 0) & (items.start < 1)
    log = int(round(np.log(tilt) * _UNIT))
    odds = items.start / np.maximum(1 - items.start, 1e-300) * np.exp(log / _UNIT)
    q = np.where(chosen, odds / (1 + odds), items.start)
    with np.errstate(divide="ignore"):
        fail, back = np.where(chosen, -np.log1p(-q), items.fail), np.where(chosen, -np.log(q), items.back)
    # a corridor is two items, one each way, that fail together: it has one weight
    weighs = np.flatnonzero(chosen & (items.column < R + E))
    own = np.flatnonzero(chosen & (items.column >= R + E))
    lonely = own[~np.isin(items.stream[own], items.stream[weighs])]  # a corridor without power forward is but one item
    weighs = np.concatenate([weighs, lonely])
    N, pieces, W = len(items.column), len(items.begin), len(weighs)
    join = lambda a, b: np.concatenate([a, b])  # noqa: E731
    more = items._replace(
        column=join(items.column, np.full(W, problem.columns)), stream=join(items.stream, items.stream[weighs]), start=join(q, q[weighs]),
        fail=join(fail, fail[weighs]), back=join(back, back[weighs]), season=join(items.season, np.full(W, -1)),
        first=join(items.first, pieces + 1 + np.arange(W)), begin=join(items.begin, np.zeros(W, int)), power=join(items.power, np.full(W, log)),
        level=join(items.level, np.full(W, items.level[N])))
    constant = float((np.log1p(-items.start[weighs]) - np.log1p(-q[weighs])).sum())
    return replace(problem, items=more, columns=problem.columns + 1), constant


@njit(cache=True, nogil=True)
def _add(sample, hour, unserved, weight, first, member, peak, sums, weights, squares, drawn):
    for k in range(len(hour)):
        for p in range(len(first) - 1):
            kw = 0
            for i in range(first[p], first[p + 1]):
                kw += unserved[k, member[i]]
            if kw > 0:
                w = weight[k]
                sums[sample[k], p, HOURS] += w
                sums[sample[k], p, MWH] += w * kw
                sums[sample[k], p, PEAK_DAYS] += w * peak[p, hour[k]]
                weights[p] += w
                squares[p] += w * w
                drawn[p] += 1
