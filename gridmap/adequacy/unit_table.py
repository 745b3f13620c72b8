"""Units of one area as `exact` takes them: tables of many kinds, checked, with their states and how often they change."""

import numpy as np
import pandas as pd

from gridmap import InputError

COLUMNS = ("capacity_mw", "forced_outage_rate", "mttf_h", "mttr_h")  # of a plain array, in this order
_RANGES = {
    "capacity_mw": "MW from 0 up",
    "forced_outage_rate": "a share of time from 0 to 1",
    "mttf_h": "mean hours above 0",
    "mttr_h": "mean hours above 0",
    "derated_mw": "MW from 0 to the capacity",
    "derated_rate": "a share of time that with forced_outage_rate is at most 1",
    "count": "a whole number of units from 0 up",
    "states": "pairs of MW from 0 to the capacity and a share of time; shares with forced_outage_rate add up to at most 1",
}


def checked(units):
    """DataFrame, a row a unit, with capacity_mw, forced_outage_rate, states (a list of (MW left, share of time) beside in and
    out) and, where known, mttr_h (NaN for a unit that never fails). See `exact` for what is taken. Raises InputError."""
    units = _table(units)
    given = [c for c in (*COLUMNS, "derated_mw", "derated_rate", "count") if c in units]
    for column in given:
        units[column] = _numbers(units, column)
    for column in given:
        _refuse(units, column, _good(units, column))
    if ("derated_mw" in units) != ("derated_rate" in units):
        raise InputError("units have one of derated_mw and derated_rate without the other: give both or neither")
    units = _outage_rate(units)
    units["states"] = _states(units)
    left = 1 - units["forced_outage_rate"] - [sum(share for _, share in states) for states in units["states"]]
    _refuse(units, "states" if "derated_rate" not in units else "derated_rate", left >= -1e-12)
    if "count" in units:
        units = units.loc[np.repeat(units.index, units["count"].astype(int))]
        if not len(units):
            raise InputError("units are empty: all counts are 0; give at least one unit")
    return units


def rows_of(units):
    """For each unit of `checked` the row of the table it came from: several where a row has a count."""
    return units.index.to_numpy()


def _table(units):
    if isinstance(units, np.ndarray) and units.dtype.names is None or isinstance(units, list | tuple) and len(units) and not isinstance(units[0], dict):
        try:
            array = np.asarray(units, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"units are rows of other things than numbers; give rows of {', '.join(COLUMNS)}, or a table with these names") from None
        if array.ndim != 2 or not 2 <= array.shape[1] <= 4 or array.shape[1] == 3:
            raise InputError(f"units are an array of shape {array.shape}: give rows of capacity_mw, forced_outage_rate or of {', '.join(COLUMNS)}")
        units = pd.DataFrame(array, columns=COLUMNS[:array.shape[1]])
    try:
        units = pd.DataFrame(units).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"units are {type(units).__name__}, which is no table ({error}); give a DataFrame, a dict of columns or rows") from None
    if not len(units):
        raise InputError("units are empty: give at least one")
    if "capacity_mw" not in units:
        raise InputError("units have no column capacity_mw: add it")
    if "forced_outage_rate" not in units and not {"mttf_h", "mttr_h"} <= set(units):
        raise InputError("units have no column forced_outage_rate: add it, or mttf_h and mttr_h")
    return units


def _numbers(units, column):
    numbers = pd.to_numeric(units[column], errors="coerce")
    # a blank time of a unit that never fails is no mistake; a word is
    words = numbers.isna() & units[column].notna()
    if words.any():
        row = int(np.argmax(words))
        raise InputError(f"units, row {row}: {column} is {units[column].iloc[row]!r}; give {_RANGES[column]}")
    return numbers.astype(float)


def _good(units, column):
    values = units[column]
    if column in ("mttf_h", "mttr_h"):
        never = units["forced_outage_rate"].eq(0) if "forced_outage_rate" in units else np.zeros(len(units), bool)
        return (values > 0) | (values.isna() & never)
    good = (values >= 0) & np.isfinite(values)
    if column == "forced_outage_rate":
        return good & (values <= 1) | values.isna() & ({"mttf_h", "mttr_h"} <= set(units))
    if column == "derated_mw":
        return good & (values <= units["capacity_mw"])
    if column == "derated_rate":
        return good & (values <= 1)
    if column == "count":
        return good & (values == np.rint(values)) & (values < 1e6)
    return good


def _refuse(units, column, good):
    good = np.asarray(good, bool)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f"units, row {row}: {column} is {units[column].iloc[row]}; give {_RANGES[column]}")


def _outage_rate(units):
    """The rate by the mean times where it isn't given, the mean time of repair by rate and time to failure likewise."""
    both = {"mttf_h", "mttr_h"} <= set(units)
    if "forced_outage_rate" not in units:
        units["forced_outage_rate"] = np.nan
    if both:
        by_times = units["mttr_h"] / (units["mttf_h"] + units["mttr_h"])
        units["forced_outage_rate"] = units["forced_outage_rate"].fillna(by_times.where(np.isfinite(units["mttf_h"]), 0.0))
    elif "mttf_h" in units:
        q = units["forced_outage_rate"]
        units["mttr_h"] = (units["mttf_h"] * q / (1 - q)).where((q > 0) & (q < 1))
    return units


def _states(units):
    states = [[] for _ in range(len(units))]
    if "derated_rate" in units:
        states = [[(mw, share)] if share > 0 else [] for mw, share in zip(units["derated_mw"], units["derated_rate"], strict=True)]
    if "states" in units:
        for row, more in enumerate(units["states"]):
            try:
                pairs = [(float(mw), float(share)) for mw, share in more]
            except (TypeError, ValueError):
                pairs = [(np.nan, np.nan)]
            if not all(0 <= mw <= units["capacity_mw"].iloc[row] and 0 <= share <= 1 for mw, share in pairs):
                raise InputError(f"units, row {row}: states are {more}; give {_RANGES['states']}")
            states[row] = states[row] + pairs
    return states


def levels(units, finest_mw):
    """(full (U,), out (U, M), probability (U, M), rate (U, M)): kW-like whole steps of capacity and of what each state has out.

    State 0 is in, 1 out, the others derated. rate: as `cukernels.outage.outage_table` takes it. A unit leaves the state "in"
    for any other, and comes back from each of them after mttr_h on average: that and the shares of time give every rate.
    """
    full = np.rint(units["capacity_mw"].to_numpy(float) / finest_mw).astype(np.int64)
    M = 2 + max(map(len, units["states"]), default=0)
    out, probability, rate = np.zeros((len(units), M), np.int64), np.zeros((len(units), M)), np.zeros((len(units), M))
    out[:, 1], probability[:, 1] = full, units["forced_outage_rate"]
    for u, states in enumerate(units["states"]):
        for m, (mw, share) in enumerate(states, 2):
            out[u, m], probability[u, m] = full[u] - round(mw / finest_mw), share
    away = probability[:, 1:].sum(axis=1)
    probability[:, 0] = np.maximum(1 - away, 0.0)
    if "mttr_h" in units:
        back = np.where((away > 0) & (away < 1), 1 / units["mttr_h"].to_numpy(float), 0.0)  # always away: never back
        lost = out[:, 1:] > 0  # a state with nothing lost is no outage
        rate[:, 1:] = np.where(lost, back[:, None], 0.0)
        leaves = back * (probability[:, 1:] * lost).sum(axis=1)
        rate[:, 0] = -leaves / np.where(probability[:, 0] > 0, probability[:, 0], 1.0)
    return full, out, probability, rate
