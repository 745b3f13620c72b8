"""Exact indices of one area, by convolution of its units."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import InputError

FINEST_MW = 1e-3  # capacities are taken to the kW


@dataclass(frozen=True)
class Adequacy:
    """Indices of the hours given; `exact` has no sampling error.

    lolp (T,): probability that load exceeds what is available. lole_hours: its sum. lole_days: the sum over days (24
    hours from the first) of the probability at the day's peak. eue_mwh: expected unserved energy; neue_ppm: per million
    of the energy asked for. eue_hour_mwh (T,): by hour. lolf: expected number of times a shortfall begins;
    mean_duration_h: lole_hours / lolf. Both None where a unit has neither mttf_h nor mttr_h.
    """

    lolp: np.ndarray
    lole_hours: float
    lole_days: float
    eue_hour_mwh: np.ndarray
    eue_mwh: float
    neue_ppm: float
    lolf: float | None
    mean_duration_h: float | None


def exact(units, load, planned=None):
    """Loss-of-load indices of one area without limits inside it, by convolution of its independent units.

    units: a table (DataFrame or what makes one) with capacity_mw and forced_outage_rate (0 .. 1), and optionally mttf_h
    and mttr_h (for lolf), derated_mw and derated_rate (a third state: how much is left, and its share of time).
    load: (T,) MW, hourly; wind and sun are taken off it beforehand. planned: (T, U) bool, True where a unit is out for
    maintenance.

    Capacities count to the kW. Returns an `Adequacy`. Raises InputError naming the row.
    Source: R. Billinton, R. N. Allan, Reliability Evaluation of Power Systems (1996), ch. 2 and 3.
    """
    units, load = _checked(units), _series(load)
    planned = np.zeros((1, len(units)), bool) if planned is None else np.asarray(planned, bool)
    if planned.shape[1:] != (len(units),) or len(planned) not in (1, len(load)):
        raise InputError(f"planned outages have shape {planned.shape}: give {len(load)} hours x {len(units)} units")
    patterns, which = np.unique(planned, axis=0, return_inverse=True)
    which = np.broadcast_to(which.ravel(), len(load))
    found = np.empty((3, len(load)))
    for pattern, out in enumerate(patterns):
        hours = which == pattern
        found[:, hours] = _shortfall(units[~out], load[hours])
    lolp, eue, often = found
    lolf = None
    if {"mttf_h", "mttr_h"} <= set(units):
        # failures within the hours, and the load's own rises: what covered the last hour but not this one
        lolf = float(often.sum() + np.maximum(np.diff(lolp, prepend=0.0), 0).sum())
    days = np.maximum.reduceat(lolp, range(0, len(load), 24))
    energy = np.maximum(load, 0).sum()
    return Adequacy(lolp, float(lolp.sum()), float(days.sum()), eue, float(eue.sum()), float(1e6 * eue.sum() / energy) if energy else 0.0,
                    lolf, float(lolp.sum() / lolf) if lolf else None)


def elcc(units, load, added, metric="eue_mwh"):
    """Effective load-carrying capability, MW: the constant load that `added` units let the area carry with the metric
    (eue_mwh, lole_hours or lole_days of `exact`) no worse than before."""
    goal = _metric(units, load, metric)
    more = pd.concat([pd.DataFrame(units), pd.DataFrame(added)], ignore_index=True)
    return _largest(lambda mw: _metric(more, _series(load) + mw, metric) <= goal * (1 + 1e-12), pd.DataFrame(added)["capacity_mw"].sum())


def efc(units, load, added, metric="eue_mwh"):
    """Equivalent firm capacity, MW: the capacity that never fails and does for the metric what `added` units do."""
    more = pd.concat([pd.DataFrame(units), pd.DataFrame(added)], ignore_index=True)
    goal = _metric(more, load, metric)
    return _largest(lambda mw: _metric(units, _series(load) - mw, metric) >= goal * (1 - 1e-12), pd.DataFrame(added)["capacity_mw"].sum())


def _metric(units, load, metric):
    if metric not in ("eue_mwh", "lole_hours", "lole_days"):
        raise InputError(f"metric {metric!r} is unknown: use eue_mwh, lole_hours or lole_days")
    return getattr(exact(units, load), metric)


def _largest(holds, most):
    """The largest MW of 0 .. most for which `holds` (true at 0, false from some MW on), to the kW."""
    low, high = 0, round(most / FINEST_MW)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle * FINEST_MW) else (low, middle - 1)
    return low * FINEST_MW


def _shortfall(units, load):
    from cukernels.outage import outage_table, shortfall
    full = np.rint(units["capacity_mw"].to_numpy() / FINEST_MW).astype(np.int64)
    rate_out = units["forced_outage_rate"].to_numpy(float)
    left, rate_part = (units[c].to_numpy(float) if c in units else np.zeros(len(units)) for c in ("derated_mw", "derated_rate"))
    out = np.stack([np.zeros_like(full), full, full - np.rint(left / FINEST_MW).astype(np.int64)], axis=1)
    step = max(int(np.gcd.reduce(out.ravel())), 1)
    rates = np.zeros(out.shape)
    if {"mttf_h", "mttr_h"} <= set(units):
        rates[:, 0], rates[:, 1] = -1 / units["mttf_h"], 1 / units["mttr_h"]
    table = outage_table(out // step, np.stack([1 - rate_out - rate_part, rate_out, rate_part], axis=1), rates)
    size = step * FINEST_MW
    probability, mean, often = shortfall(table, full.sum() // step, np.rint(load / FINEST_MW) / step)
    return np.stack([probability, mean * size, often])


def _series(load):
    load = np.asarray(load, float)
    if load.ndim != 1 or not len(load):
        raise InputError(f"load has shape {load.shape}: give one MW an hour")
    if not np.isfinite(load).all():
        raise InputError(f"load, hour {int(np.argmin(np.isfinite(load)))}: {load[~np.isfinite(load)][0]} is no MW; fill the gap")
    return load


def _checked(units):
    units = pd.DataFrame(units).reset_index(drop=True)
    for column in ("capacity_mw", "forced_outage_rate"):
        if column not in units:
            raise InputError(f"units have no column {column}: add it")
    if not len(units):
        raise InputError("units are empty: give at least one")
    given = [c for c in ("capacity_mw", "forced_outage_rate", "derated_mw", "derated_rate", "mttf_h", "mttr_h") if c in units]
    checks = {c: units[c] >= 0 for c in given}
    checks["capacity_mw"] &= np.isfinite(units["capacity_mw"])
    checks["forced_outage_rate"] &= units["forced_outage_rate"] <= 1
    if "derated_rate" in units:
        checks["derated_rate"] &= units["derated_rate"] + units["forced_outage_rate"] <= 1
    if "derated_mw" in units:
        checks["derated_mw"] &= units["derated_mw"] <= units["capacity_mw"]
    for column in {"mttf_h", "mttr_h"} & set(units):
        checks[column] &= units[column] > 0
    if {"derated_rate", "mttf_h"} <= set(units):
        raise InputError("units have both derated states and mttf_h: frequencies are for two-state units, leave one out")
    for column, good in checks.items():
        if not good.all():
            row = int(np.argmin(good))
            raise InputError(f"units, row {row}: {column} is {units[column][row]}; give {_RANGES.get(column, 'a number above 0')}")
    return units


_RANGES = {
    "capacity_mw": "MW from 0 up",
    "forced_outage_rate": "a share of time from 0 to 1",
    "derated_mw": "MW from 0 to the capacity",
    "derated_rate": "a share of time that with forced_outage_rate is at most 1",
}
