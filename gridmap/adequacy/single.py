"""Exact indices of one area, by convolution of its units."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy import unit_table
from gridmap.adequacy.clock import same_hours

FINEST_MW = 1e-3  # capacities are taken to the kW
METRICS = ("eue_mwh", "lole_hours", "lole_days")


@dataclass(frozen=True)
class Adequacy:
    """Indices of the hours given; `exact` has no sampling error.

    lolp (T,): probability that load exceeds what is available. lole_hours: its sum. lole_days: the sum over days (24
    hours from the first) of the probability at the day's tightest hour. eue_mwh: expected unserved energy; neue_ppm: per
    million of the energy asked for. eue_hour_mwh (T,): by hour. lolf: expected number of times a shortfall begins, in
    continuous time; mean_duration_h: lole_hours / lolf. Both None where the units have no mttr_h and no mttf_h.
    """

    lolp: np.ndarray
    lole_hours: float
    lole_days: float
    eue_hour_mwh: np.ndarray
    eue_mwh: float
    neue_ppm: float
    lolf: float | None
    mean_duration_h: float | None


def exact(units, load, planned=None, weather=None):
    """Loss-of-load indices of one area without limits inside it, by convolution of its independent units.

    units: a table - DataFrame, dict of columns, list of dicts, structured array, or a plain (U, 2) or (U, 4) array of
    capacity_mw, forced_outage_rate, mttf_h, mttr_h in this order. Columns: capacity_mw (MW when in); forced_outage_rate
    (0 .. 1), or mttf_h and mttr_h (mean hours to failure and to repair; with either, lolf is known too; where all three
    are given and don't agree, forced_outage_rate and mttr_h count); count (how many alike, default 1); derated_mw and
    derated_rate (a third state: how much is left, and its share of time), or states (a list of such pairs a unit).
    load: (T,) MW, hourly, from 0 up. planned: (T, U) bool, True where a row of units is out for maintenance.
    weather: (T,) MW of wind, sun and water, which come off the load. Series with times must have the same.

    Capacities count to the kW. Returns an `Adequacy`. Raises InputError naming the row.
    Source: R. Billinton, R. N. Allan, Reliability Evaluation of Power Systems (1996), ch. 2 and 3.
    """
    same_hours(load=load, planned=planned, weather=weather)
    table, load = unit_table.checked(units), _series("load", load, least=0.0)
    if weather is None:
        return _exact(table, load, load, planned)
    weather = _series("weather", weather, least=0.0)
    if len(weather) != len(load):
        raise InputError(f"weather has {len(weather)} hours and load {len(load)}: give one MW an hour")
    return _exact(table, load - weather, load, planned)


def _exact(units, net, load, planned=None):
    """units: checked. net (T,): load less what never fails."""
    hours, rows = len(net), int(units.index.max()) + 1
    planned = np.zeros((1, rows), bool) if planned is None else np.asarray(planned, bool)
    if planned.ndim != 2 or planned.shape[1] < rows or len(planned) not in (1, hours):
        raise InputError(f"planned outages have shape {planned.shape}: give {hours} hours x {rows} units")
    patterns, which = np.unique(planned[:, unit_table.rows_of(units)], axis=0, return_inverse=True)
    which = np.broadcast_to(which.ravel(), hours)
    found = np.empty((3, hours))
    for pattern, out in enumerate(patterns):
        at = which == pattern
        found[:, at] = _shortfall(units[~out], net[at])
    lolp, eue, often = found
    lolf = None
    if "mttr_h" in units:
        # failures within the hours, and the load's own rises: what covered the last hour but not this one
        lolf = float(often.sum() + np.maximum(np.diff(lolp, prepend=0.0), 0).sum())
    days = np.maximum.reduceat(lolp, range(0, hours, 24))
    energy = load.sum()
    return Adequacy(lolp, float(lolp.sum()), float(days.sum()), eue, float(eue.sum()), float(1e6 * eue.sum() / energy) if energy else 0.0,
                    lolf, float(lolp.sum() / lolf) if lolf else None)


def outage_table(units):
    """The capacity outage table of units (as `exact` takes them): DataFrame, a row an amount that can be out.

    out_mw; probability that exactly this much is out; at_least, that this much or more is; often_per_h, how often an hour
    the outage rises to this much or more (absent where no mean times are given). Amounts of probability 0 are left out.
    """
    table, step, _ = _convolved(unit_table.checked(units))
    tails = np.cumsum(table[:, ::-1], axis=1)[:, ::-1]
    there = table[0] > 0
    found = pd.DataFrame(dict(out_mw=np.flatnonzero(there) * step, probability=table[0, there], at_least=tails[0, there]))
    return found.assign(often_per_h=tails[1, there]) if "mttr_h" in unit_table.checked(units) else found


def elcc(units, load, added, metric="eue_mwh", weather=None):
    """Effective load-carrying capability, MW: the constant load that `added` lets the area carry with the metric (eue_mwh,
    lole_hours or lole_days of `exact`) no worse than before. added: units, or a (T,) series of MW that never fails (wind,
    sun), in the hours of load. To the kW."""
    before, after, most = _pair(units, load, added, metric, weather)
    goal = before(0.0)
    return _largest(lambda mw: after(mw) <= goal * (1 + 1e-12), most)


def efc(units, load, added, metric="eue_mwh", weather=None):
    """Equivalent firm capacity, MW: the capacity that never fails and does for the metric what `added` does; as `elcc`."""
    before, after, most = _pair(units, load, added, metric, weather)
    goal = after(0.0)
    return _largest(lambda mw: before(-mw) >= goal * (1 - 1e-12), most)


def _pair(units, load, added, metric, weather):
    """Two functions of MW of load more: the metric without and with what is added; and the most that it can give."""
    if metric not in METRICS:
        raise InputError(f"metric {metric!r} is unknown: use {', '.join(METRICS)}")
    same_hours(load=load, weather=weather)
    load, base = _series("load", load, least=0.0), unit_table.checked(units)
    net = load if weather is None else load - _series("weather", weather, least=0.0)
    metric_of = lambda table, net: lambda mw: getattr(_exact(table, net + mw, load), metric)  # noqa: E731
    if _is_series(added):
        same_hours(load=load, added=added)
        given = _series("added", added, least=0.0)
        if len(given) != len(load):
            raise InputError(f"added has {len(given)} hours and load {len(load)}: give one MW an hour")
        return metric_of(base, net), metric_of(base, net - given), given.max()
    more = unit_table.checked(added)
    both = pd.concat([base, more], ignore_index=True)
    if "mttr_h" in both and ("mttr_h" in base) != ("mttr_h" in more):
        both = both.drop(columns="mttr_h")
    return metric_of(base, net), metric_of(both, net), more["capacity_mw"].sum()


def _is_series(added):
    return isinstance(added, pd.Series) or (not isinstance(added, dict | pd.DataFrame) and np.ndim(added) == 1 and np.asarray(added).dtype.kind in "iuf")


def _largest(holds, most):
    """The largest MW of 0 .. most for which `holds` (true at 0, false from some MW on), to the kW."""
    low, high = 0, round(most / FINEST_MW)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle * FINEST_MW) else (low, middle - 1)
    return low * FINEST_MW


def _convolved(units):
    """(the table of `cukernels.outage`, MW a step, steps of everything in)."""
    from cukernels.outage import MOST_STEPS, outage_table
    full, out, probability, rate = unit_table.levels(units, FINEST_MW)
    step = max(int(np.gcd.reduce(out.ravel())) if out.size else 1, 1)
    if out.size and out.max(axis=1).sum() // step > MOST_STEPS:
        raise InputError(f"the units have {out.max(axis=1).sum() // step:,} steps of {step} kW in all, more than {MOST_STEPS:,}: round capacity_mw to whole MW")
    return outage_table(out // step, probability, rate), step * FINEST_MW, full.sum() / step


def _shortfall(units, net):
    """(3, T): probability, mean MW and how often an hour."""
    from cukernels.outage import shortfall
    table, step, available = _convolved(units)
    load = net / step
    whole = np.rint(load)
    load = np.where(abs(load - whole) < 1e-7 * np.maximum(1, abs(load)), whole, load)  # 0.1 + 0.2 is 0.3
    probability, mean, often = shortfall(table, available, load)
    return np.stack([probability, np.maximum(mean, 0.0) * step, often])


def _series(name, values, least=-np.inf):
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not all numbers: give one MW an hour") from None
    values = values.ravel() if values.ndim == 2 and 1 in values.shape else values
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name} has shape {values.shape}: give one MW an hour")
    good = np.isfinite(values)
    if not good.all():
        raise InputError(f"{name}, hour {int(np.argmin(good))}: {values[~good][0]} is no MW; fill the gap")
    if (values < least).any():
        hour = int(np.argmax(values < least))
        raise InputError(f"{name}, hour {hour}: {values[hour]:g} MW is negative; give MW from 0 up, wind and sun apart as weather")
    return values
