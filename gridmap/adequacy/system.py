"""What an adequacy study is about: regions with load, units that fail, corridors with limits, stores, demand that waits."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import InputError
from gridmap.adequacy import rows as r
from gridmap.adequacy.clock import same_hours

KW = 1000  # amounts are whole kW inside, so sums are exact in any order
REPAIR_H = 24.0  # mean hours of an outage where no mttr_h is given; without storage only lolf and durations depend on it
BUDGETS = {"day": 24, "week": 168, "month": None}
_UNITS = {"region": None, "capacity_mw": None, "season": ""}
_STORES = {"region": None, "power_mw": None, "energy_mwh": None, "charge_efficiency": 1.0, "discharge_efficiency": 1.0,
           "carryover_efficiency": 1.0, "start_mwh": 0.0, "budget": "", "inflow": "", "priority": 0.0}
_RESPONSES = {"region": None, "power_mw": None, "energy_mwh": None, "interest": 0.0}
_LIMITS = {"forward_mw": None, "backward_mw": None}
_MOST_MW = 1e6


def _empty(columns):
    return field(default_factory=lambda: pd.DataFrame(columns=columns))


@dataclass(frozen=True)
class System:
    """R regions over T hours.

    regions: R names. load: (T, R) MW from 0 up; a DataFrame may have the regions as columns in any order.
    units: a table (DataFrame or what makes one) with region (a name), capacity_mw and forced_outage_rate (share of time 0 .. 1,
    default 0), or mttf_h and mttr_h (mean hours in and out), and optionally mttr_h (from 1, default 24), derated_mw and
    derated_rate, states or count as in `exact`, name, season (a column of `rates`), where (its place in a file, for messages) and
    stream (number of its random draws, default its row: scenarios keep it, so that a unit fails at the same hours in all of
    them; units of one stream and one chance fail together).
    corridors: tail, head (names), forward_mw (tail to head), backward_mw, and optionally forced_outage_rate and mttr_h;
    several may join one pair. interfaces: tail, head, forward_mw, backward_mw: the most that all corridors of a pair carry.
    storage: region, power_mw (what it gives the network at most), energy_mwh, and optionally charge_mw (what it takes, default
    power_mw), charge_efficiency and discharge_efficiency (0 .. 1, default 1), carryover_efficiency (what an hour leaves of
    it), start_mwh (default 0), forced_outage_rate, mttr_h, priority (lower empties first, default 0); water: inflow (a column
    of `inflow`), or budget (day, week or month: energy_mwh is anew at the beginning of each; with charge_mw 0 a hydro budget).
    responses: demand that can wait: region, power_mw, energy_mwh (the most that is owed at a time), and optionally payback_mw
    (default power_mw) and interest (owed beyond what waited, as a share). It waits after all stores are empty, and gets its
    own before they fill. How both run: `cukernels.stores`, without foresight.
    ratings: (P, V) MW, a column for each unit (by name) whose capacity changes; its index says from which hour a row holds:
    a row an hour (the default), or one a month. inflow: (T, W) MW of water by column.
    weather: (T, R) MW of supply that never fails (fleets of wind and sun), default none.
    rates: (T, B) forced outage rate by hour (cold, heat), in place of the unit's own: a unit that is in fails with the
    chance that would hold this rate. start: time of the first hour, UTC; by default that of load.

    Tables by hour that carry their times must have the same. Raises InputError naming table, row and remedy.
    """

    regions: tuple
    load: np.ndarray
    units: pd.DataFrame
    corridors: pd.DataFrame = _empty(["tail", "head", "forward_mw", "backward_mw"])
    interfaces: pd.DataFrame = _empty(["tail", "head", "forward_mw", "backward_mw"])
    storage: pd.DataFrame = _empty(["region", "power_mw", "energy_mwh"])
    ratings: pd.DataFrame = _empty([])
    weather: np.ndarray | None = None
    rates: pd.DataFrame = _empty([])
    start: pd.Timestamp | None = None
    responses: pd.DataFrame = _empty(["region", "power_mw", "energy_mwh"])
    inflow: pd.DataFrame = _empty([])

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("regions", tuple(str(r) for r in self.regions))
        self._check_names()
        times = same_hours(load=self.load, weather=self.weather, rates=self.rates, inflow=self.inflow)
        put("start", times[0] if self.start is None and times is not None else self.start)
        put("load", r.hours("load", self.load, self.regions, least=0.0))
        put("weather", r.hours("weather", np.zeros_like(self.load) if self.weather is None else self.weather, self.regions, least=0.0))
        if len(self.weather) != len(self.load):
            raise InputError(f"weather has {len(self.weather)} hours and load {len(self.load)}: give one row an hour")
        put("ratings", pd.DataFrame(self.ratings))
        for name, most in (("rates", 1.0), ("inflow", _MOST_MW)):
            put(name, pd.DataFrame(getattr(self, name)).reset_index(drop=True))
            self._check_by_hour(name, most)
        self._check_ratings()
        put("units", self._outages("units", self._units()))
        put("corridors", _numbered(self._outages("corridors", self._limits("corridors"))))
        put("interfaces", self._limits("interfaces"))
        put("storage", _numbered(self._outages("storage", self._storage())))
        put("responses", self._responses())

    def _check_names(self):
        if not self.regions:
            raise InputError("the system has no regions: name at least one")
        twice = pd.Series(self.regions).duplicated()
        if twice.any():
            raise InputError(f"regions, row {int(np.argmax(twice))}: {self.regions[int(np.argmax(twice))]} stands there twice; name each once")

    def _check_by_hour(self, name, most):
        values, T = getattr(self, name), len(self.load)
        if len(values.columns) and len(values) != T:
            raise InputError(f"{name} has {len(values)} hours and load {T}: give one row an hour")
        r.hours(name, values, values.columns, least=0.0, most=most)

    def _check_ratings(self):
        begin, T = self.ratings.index, len(self.load)
        if isinstance(begin, pd.DatetimeIndex):
            raise InputError("ratings have times as their index: give the number of the hour from which a row holds, from 0")
        if len(self.ratings.columns) and (begin[0] != 0 or begin[-1] >= T or (np.diff(begin) <= 0).any()):
            raise InputError(f"ratings has {len(begin)} rows from hour {begin[0]} to {begin[-1]} and load {T} hours: begin at 0 and rise")
        r.hours("ratings", self.ratings, self.ratings.columns, least=0.0)

    def _units(self):
        units = r.table("units", self.units, _UNITS)
        if "count" in units:
            r.between("units", units, "count", 0, 1e6, "a whole number of units from 0 up")
            units = units.loc[np.repeat(units.index, units.pop("count").astype(int))].reset_index(drop=True)
        units["name"] = units["name"].astype(str) if "name" in units else units.index.astype(str)
        units = _numbered(units)
        self._places("units", units, "region")
        r.between("units", units, "capacity_mw", 0, np.finfo(float).max, "MW from 0 up")
        r.check("units", units, "season", units["season"].isin(["", *self.rates.columns]), "a column of rates or nothing")
        often = units["name"].value_counts().reindex(self.ratings.columns, fill_value=0)
        if (often != 1).any():
            raise InputError(f"ratings has a column {often.index[often != 1][0]!r} that names no unit or several: name each unit once")
        return _states(units)

    def _storage(self):
        rows = r.table("storage", self.storage, _STORES)
        if not len(rows):
            return rows.assign(charge_mw=rows["power_mw"])
        rows["charge_mw"] = rows["charge_mw"].where(rows["charge_mw"].notna(), rows["power_mw"]) if "charge_mw" in rows else rows["power_mw"]
        self._places("storage", rows, "region")
        for column in ("power_mw", "charge_mw", "energy_mwh"):
            r.between("storage", rows, column, 0, _MOST_MW, "an amount from 0 to 1e6")
        for column in ("charge_efficiency", "discharge_efficiency", "carryover_efficiency"):
            r.check("storage", rows, column, (rows[column] > 0) & (rows[column] <= 1), "a share above 0, up to 1")
        r.check("storage", rows, "start_mwh", rows["start_mwh"].between(0, rows["energy_mwh"]), "an amount from 0 to energy_mwh")
        r.check("storage", rows, "budget", rows["budget"].isin(["", *BUDGETS]), f"{', '.join(BUDGETS)} or nothing")
        r.check("storage", rows, "inflow", rows["inflow"].isin(["", *self.inflow.columns]), "a column of inflow or nothing")
        r.check("storage", rows, "budget", rows["budget"].eq("") | rows["inflow"].eq(""), "either a budget or an inflow")
        if rows["budget"].eq("month").any() and self.start is None:
            raise InputError("storage has a budget by month and the system no start: give start, the time of the first hour")
        r.check("storage", rows, "priority", rows["priority"].between(0, 1000) & (rows["priority"] % 1 == 0), "a whole number from 0 to 1000")
        return rows

    def _responses(self):
        rows = r.table("responses", self.responses, _RESPONSES)
        if not len(rows):
            return rows.assign(payback_mw=rows["power_mw"])
        rows["payback_mw"] = rows["payback_mw"] if "payback_mw" in rows else rows["power_mw"]
        self._places("responses", rows, "region")
        for column in ("power_mw", "payback_mw", "energy_mwh"):
            r.between("responses", rows, column, 0, _MOST_MW, "an amount from 0 to 1e6")
        r.between("responses", rows, "interest", 0, 10, "a share from 0 to 10")
        return rows

    def _limits(self, table):
        rows = r.table(table, getattr(self, table), {"tail": None, "head": None, **_LIMITS})
        if not len(rows):
            return rows
        for end in ("tail", "head"):
            self._places(table, rows, end)
        r.check(table, rows, "head", rows["head"] != rows["tail"], "another region than the tail")
        for way in _LIMITS:
            r.between(table, rows, way, 0, np.inf, "MW from 0 up")
        return rows

    def _outages(self, table, rows):
        if {"mttf_h", "mttr_h"} <= set(rows) and "forced_outage_rate" not in rows:
            r.between(table, rows, "mttf_h", np.finfo(float).tiny, np.inf, "mean hours above 0")
            r.between(table, rows, "mttr_h", 1, np.finfo(float).max, "hours from 1 up")
            rows["forced_outage_rate"] = rows["mttr_h"] / (rows["mttf_h"] + rows["mttr_h"])
        rows = r.table(table, rows, {"forced_outage_rate": 0.0, "mttr_h": REPAIR_H})
        if not len(rows):
            return rows
        r.between(table, rows, "forced_outage_rate", 0, 1, "a share of time from 0 to 1")
        r.between(table, rows, "mttr_h", 1, np.finfo(float).max, "hours from 1 up")
        q = rows["forced_outage_rate"]
        if "states" in rows:
            q = q + [sum(share for _, share in states) for states in rows["states"]]
            r.check(table, rows, "states", q <= 1 + 1e-12, "shares of time that with forced_outage_rate add up to at most 1")
        least = (q / (1 - q)).where(q < 1, 1.0)
        r.check(table, rows, "mttr_h", rows["mttr_h"] >= least * (1 - 1e-9), "at least forced_outage_rate / (1 - forced_outage_rate) hours: it would fail again at once")
        return rows

    def _places(self, table, rows, column):
        rows[column] = rows[column].astype(str)
        r.check(table, rows, column, rows[column].isin(self.regions), "a region of the system")

    def part(self, regions):
        """The system of some regions alone: corridors that leave them are cut; what stays draws the same numbers."""
        names = [name for name in self.regions if name in set(map(str, regions))]
        rows, inside = self.row(names), lambda table, *ends: table[np.all([table[end].isin(names) for end in ends], axis=0)]  # noqa: E731
        units = inside(self.units, "region")
        return replace(self, regions=tuple(names), load=self.load[:, rows], weather=self.weather[:, rows], units=units,
                       ratings=self.ratings[[c for c in self.ratings if c in set(units["name"])]], corridors=inside(self.corridors, "tail", "head"),
                       interfaces=inside(self.interfaces, "tail", "head"), storage=inside(self.storage, "region"), responses=inside(self.responses, "region"))

    def reach(self, region):
        """Names of the regions that corridors join to this one, itself included."""
        joined = pd.concat([self.corridors[["tail", "head"]], self.interfaces[["tail", "head"]]])
        ends = self.row(joined["tail"]), self.row(joined["head"])
        graph = scipy.sparse.coo_array((np.ones(len(joined)), ends), shape=(len(self.regions),) * 2)
        label = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
        return [name for name, part in zip(self.regions, label, strict=True) if part == label[self.row([region])[0]]]

    def row(self, names):
        """(N,) int: rows of regions."""
        return pd.Index(self.regions).get_indexer(names)

    @classmethod
    def read(cls, path):
        """A system from a folder of one's own tables (units.csv, load.csv, and corridors, storage, weather ... as `files` says),
        laid out as RTS-GMLC (gen.csv, bus.csv, branch.csv, day_ahead_*.parquet or .csv) or RTS-79 (generators.csv,
        hourly_load.csv), or from a .pras file (needs h5py). What of them counts: `files` and `pras`.
        Raises InputError naming the file."""
        from gridmap.adequacy import files
        return files.read(path)


def _numbered(rows):
    """With the column stream: its numbers of random draws, by default the row."""
    return rows.assign(stream=rows["stream"] if "stream" in rows else np.arange(len(rows)))


def _states(units):
    """The column states, a tuple of (MW left, share of time) a unit, from it and from derated_mw and derated_rate."""
    if ("derated_mw" in units) != ("derated_rate" in units):
        raise InputError("units have one of derated_mw and derated_rate without the other: give both or neither")
    states = [()] * len(units)
    if "derated_rate" in units:
        for column in ("derated_mw", "derated_rate"):
            units[column] = pd.to_numeric(units[column], errors="coerce").fillna(0.0)
        r.check("units", units, "derated_mw", (units["derated_mw"] >= 0) & (units["derated_mw"] <= units["capacity_mw"]), "MW from 0 to the capacity")
        r.between("units", units, "derated_rate", 0, 1, "a share of time from 0 to 1")
        states = [((mw, share),) if share > 0 else () for mw, share in zip(units["derated_mw"], units["derated_rate"], strict=True)]
    if "states" in units:
        given = [_pairs(pairs) for pairs in units["states"]]
        good = [all(0 <= mw <= most and 0 <= share <= 1 for mw, share in pairs) for pairs, most in zip(given, units["capacity_mw"], strict=True)]
        r.check("units", units, "states", good, "pairs of MW from 0 to the capacity and a share of time from 0 to 1")
        states = [a + b for a, b in zip(states, given, strict=True)]
    # as states alone: a system made from this one reads them again
    return units.drop(columns=["derated_mw", "derated_rate"], errors="ignore").assign(states=states)


def _pairs(pairs):
    if pairs is None or isinstance(pairs, float):
        return ()  # a blank
    try:
        return tuple((float(mw), float(share)) for mw, share in pairs)
    except (TypeError, ValueError):
        return ((np.nan, np.nan),)
