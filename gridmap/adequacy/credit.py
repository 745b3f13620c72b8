"""What something is worth, and how much more fits, in MW of load: simulations on the same draws until a metric is met."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy import tally
from gridmap.adequacy.result import Z95
from gridmap.adequacy.simulation import SYSTEM, simulate
from gridmap.adequacy.system import KW

COLUMNS = {"eue_mwh": (tally.KWH, KW), "lole_hours": (tally.HOURS, 1), "lole_days": (tally.PEAK_DAYS, 1), "lold": (tally.DAYS, 1)}
STANDARD = 0.1  # days a year
_FINE = 2e-3  # of the answer: how near two trials come
_MOST_MW = 1e6


@dataclass(frozen=True)
class Carried:
    """mw; low, high: its 95 % interval, from the error of the metric on the draws. trials: DataFrame[mw, value, error] of the
    metric (its difference from the goal) at every load that was tried, in order of mw. goal: what the metric may be in the
    hours of the system."""

    mw: float
    low: float
    high: float
    trials: pd.DataFrame
    goal: float = 0.0


def carries(before, after, region, samples, seed=0, *, metric="eue_mwh", place=SYSTEM, **how):
    """Effective load-carrying capability, MW: how much more load in a region the system `after` carries with the metric of
    `place` as it is `before`. after: whatever was added to before: units of any technology, storage, a corridor.

    region: a name, or {name: share} for a load over several. how: groups, device, scheduler as in `simulate`.
    Returns `Carried`; 0 where `after` is no better.
    """
    goal, more = _yearly(before, samples, seed, metric, place, how), _load(after, region)
    return _crossing(lambda mw: _yearly(more(mw), samples, seed, metric, place, how) - goal)


def firm_equal(before, after, region, samples, seed=0, *, metric="eue_mwh", place=SYSTEM, **how):
    """Equivalent firm capacity, MW: how much that never fails, in a region, does for the metric what `after` does; as `carries`."""
    goal, more = _yearly(after, samples, seed, metric, place, how), _firm(before, region)
    return _crossing(lambda mw: goal - _yearly(more(mw), samples, seed, metric, place, how))


def room_for_load(system, region, samples, seed=0, *, standard=STANDARD, metric="lold", place=None, **how):
    """How many MW more steady load fits in a region before its metric (days a year with any hour short, by default) passes
    the standard. place: whose metric, by default the region's own. Only what corridors join to the region is simulated.

    Returns `Carried`: mw is where the mean over the draws passes the standard, low and high where the ends of its 95 %
    interval do. mw is 0 where it is passed as it is.
    """
    name = str(region)
    if name not in system.regions:
        raise InputError(f"region {name!r} is none of the system; there are {', '.join(system.regions[:20])}")
    if not standard > 0:
        raise InputError(f"a standard of {standard} {metric} a year can't be met by drawing; give a number above 0")
    goal = standard * min(len(system.load) / 8736, 1.0)  # a study of part of a year has that part of the standard; 52 weeks are a year
    more = _load(system.part(system.reach(name)), name)
    known = {}

    def trial(mw):
        if mw not in known:
            known[mw] = _mean(_yearly(more(mw), samples, seed, metric, place or name, how)) - (goal, 0.0)
        return known[mw]

    found = [_bisect(lambda mw, z=z: trial(mw)[0] + z * trial(mw)[1]) for z in (0.0, Z95, -Z95)]
    return Carried(*found, _trials(known), goal)


def _load(system, region):
    """A function of MW: the system with as much more load in every hour."""
    share = _shares(system, region)
    return lambda mw: replace(system, load=system.load + mw * share)


def _firm(system, region):
    share = _shares(system, region)
    return lambda mw: replace(system, weather=system.weather + mw * share)


def _shares(system, region):
    shares = region if isinstance(region, dict) else {region: 1.0}
    rows = system.row([str(name) for name in shares])
    if (rows < 0).any():
        raise InputError(f"region {list(shares)[int(np.argmin(rows))]!r} is none of the system; there are {', '.join(system.regions[:20])}")
    share = np.zeros(len(system.regions))
    share[rows] = list(shares.values())
    return share / share.sum()


def _yearly(system, samples, seed, metric, place, how):
    """(S,) the metric of each sample."""
    if metric not in COLUMNS:
        raise InputError(f"metric {metric!r} is unknown: use {', '.join(COLUMNS)}")
    column, unit = COLUMNS[metric]
    return simulate(system, samples, seed, **how)[place].totals[:, column] / unit


def _mean(yearly):
    return np.array([yearly.mean(), yearly.std(ddof=1) / np.sqrt(len(yearly))])


def _crossing(difference):
    """`Carried` of a function from MW to the differences of the samples, whose mean rises through 0."""
    known = {}

    def trial(mw):
        if mw not in known:
            known[mw] = _mean(difference(mw))
        return known[mw]

    mw = _bisect(lambda mw: trial(mw)[0])
    if mw == 0:
        return Carried(0.0, 0.0, 0.0, _trials(known))
    near = [mw * .9, mw * 1.1]
    slope = (trial(near[1])[0] - trial(near[0])[0]) / (near[1] - near[0])
    off = Z95 * trial(mw)[1] / slope if slope > 0 else np.inf
    return Carried(mw, max(mw - off, 0.0), mw + off, _trials(known))


def _bisect(value):
    """Where a rising function of MW from 0 up passes 0; 0 where it has already."""
    if value(0.0) > 0 or (value(0.0) == 0 and value(1.0) > 0):
        return 0.0
    low, high = 0.0, 16.0
    while value(high) <= 0:
        low, high = high, 2 * high
        if high > _MOST_MW:
            raise InputError(f"nothing gets worse up to {low:,.0f} MW of load: the draws hold no shortage there; take more samples or another region")
    while high - low > _FINE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if value(middle) <= 0 else (low, middle)
    return low


def _trials(known):
    return pd.DataFrame([(mw, *map(float, trial)) for mw, trial in sorted(known.items())], columns=["mw", "value", "error"])
