"""What an adequacy study is about: regions with load, units that fail, corridors with limits."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from gridmap import InputError

KW = 1000  # amounts are whole kW inside, so sums are exact in any order
REPAIR_H = 24.0  # mean hours of an outage where no mttr_h is given; without storage only lolf and durations depend on it
_UNITS = {"capacity_mw": None, "forced_outage_rate": 0.0, "mttr_h": REPAIR_H}
_STORES = {"charge_efficiency": 1.0, "discharge_efficiency": 1.0, "carryover_efficiency": 1.0, "start_mwh": 0.0}
_LIMITS = {"forward_mw": None, "backward_mw": None}


def _empty(columns):
    return field(default_factory=lambda: pd.DataFrame(columns=columns))


@dataclass(frozen=True)
class System:
    """R regions over T hours.

    regions: R names. load: (T, R) MW. units: a table (DataFrame or what makes one) with region (a name), capacity_mw and
    forced_outage_rate (share of time 0 .. 1, default 0), and optionally name, mttr_h (mean hours of an outage, from 1,
    default 24), season (a column of `rates`) and stream (number of its random draws, default its row: scenarios keep it, so
    that a unit fails at the same hours in all of them; units of one stream and one chance fail together).
    corridors: tail, head (names), forward_mw (tail to head), backward_mw, and optionally forced_outage_rate and mttr_h;
    several may join one pair. interfaces: tail, head, forward_mw, backward_mw: the most that all corridors of a pair carry.
    storage: region, power_mw (what it gives the network at most), energy_mwh, and optionally charge_mw (what it takes, default
    power_mw), charge_efficiency and discharge_efficiency (0 .. 1, default 1), carryover_efficiency (what an hour leaves of
    it), start_mwh (default 0), forced_outage_rate, mttr_h. How it runs: `cukernels.stores`; in up to 12 regions.
    ratings: (P, V) MW, a column for each unit (by name) whose capacity changes; its index says from which hour a row holds:
    a row an hour (the default), or one a month.
    weather: (T, R) MW of supply that never fails (fleets of wind and sun), default none.
    rates: (T, B) forced outage rate by hour (cold, heat), in place of the unit's own: a unit that is in fails with the
    chance that would hold this rate. start: time of the first hour, UTC.

    Raises InputError naming table, row and remedy.
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

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("regions", tuple(str(r) for r in self.regions))
        put("load", _hours("load", self.load, self.regions))
        put("weather", _hours("weather", np.zeros_like(self.load) if self.weather is None else self.weather, self.regions, least=0.0))
        if len(self.weather) != len(self.load):
            raise InputError(f"weather has {len(self.weather)} hours and load {len(self.load)}: give one row an hour")
        put("ratings", pd.DataFrame(self.ratings))
        put("rates", pd.DataFrame(self.rates).reset_index(drop=True))
        self._check_hours()
        put("units", self._outages("units", self._units()))
        put("corridors", self._outages("corridors", self._limits("corridors")))
        put("interfaces", self._limits("interfaces"))
        put("storage", self._outages("storage", self._storage()))

    def _check_hours(self):
        T = len(self.load)
        if len(self.rates.columns) and len(self.rates) != T:
            raise InputError(f"rates has {len(self.rates)} hours and load {T}: give one row an hour")
        begin = self.ratings.index.to_numpy()
        if len(self.ratings.columns) and (begin[0] != 0 or begin[-1] >= T or (np.diff(begin) <= 0).any()):
            raise InputError(f"ratings has {len(begin)} rows from hour {begin[0]} to {begin[-1]} and load {T} hours: begin at 0 and rise")
        _hours("ratings", self.ratings, self.ratings.columns, least=0.0)
        _hours("rates", self.rates, self.rates.columns, least=0.0, most=1.0)

    def _units(self):
        units = _with("units", self.units, {"region": None, **_UNITS, "season": ""})
        units["name"] = units["name"].astype(str) if "name" in units else units.index.astype(str)
        units["stream"] = units["stream"] if "stream" in units else np.arange(len(units))
        self._places("units", units, "region")
        _range("units", units, "capacity_mw", units["capacity_mw"].between(0, np.finfo(float).max), "MW from 0 up")
        _range("units", units, "season", units["season"].isin(["", *self.rates.columns]), "a column of rates or nothing")
        often = units["name"].value_counts().reindex(self.ratings.columns, fill_value=0)
        if (often != 1).any():
            raise InputError(f"ratings has a column {often.index[often != 1][0]!r} that names no unit or several: name each unit once")
        return units

    def _storage(self):
        rows = _with("storage", self.storage, {"region": None, "power_mw": None, "energy_mwh": None, **_STORES})
        rows["charge_mw"] = rows["charge_mw"] if "charge_mw" in rows else rows["power_mw"]
        self._places("storage", rows, "region")
        for column in ("power_mw", "charge_mw", "energy_mwh"):
            _range("storage", rows, column, rows[column].astype(float).between(0, 1e6), "an amount from 0 to 1e6")
        for column in ("charge_efficiency", "discharge_efficiency", "carryover_efficiency"):
            _range("storage", rows, column, (rows[column] > 0) & (rows[column] <= 1), "a share above 0, up to 1")
        _range("storage", rows, "start_mwh", rows["start_mwh"].between(0, rows["energy_mwh"].astype(float)), "an amount from 0 to energy_mwh")
        return rows

    def _limits(self, table):
        rows = _with(table, getattr(self, table), {"tail": None, "head": None, **_LIMITS})
        for end in ("tail", "head"):
            self._places(table, rows, end)
        _range(table, rows, "head", rows["head"] != rows["tail"], "another region than the tail")
        for way in _LIMITS:
            _range(table, rows, way, rows[way] >= 0, "MW from 0 up")
        return rows

    def _outages(self, table, rows):
        rows = _with(table, rows, {"forced_outage_rate": 0.0, "mttr_h": REPAIR_H})
        q = rows["forced_outage_rate"]
        _range(table, rows, "forced_outage_rate", q.between(0, 1), "a share of time from 0 to 1")
        _range(table, rows, "mttr_h", rows["mttr_h"].between(1, np.finfo(float).max), "hours from 1 up")
        least = (q / (1 - q)).where(q < 1, 1.0)
        _range(table, rows, "mttr_h", rows["mttr_h"] >= least * (1 - 1e-9), "at least forced_outage_rate / (1 - forced_outage_rate) hours: it would fail again at once")
        return rows

    def _places(self, table, rows, column):
        rows[column] = rows[column].astype(str)
        _range(table, rows, column, rows[column].isin(self.regions), "a region of the system")

    def row(self, names):
        """(N,) int: rows of regions."""
        return pd.Index(self.regions).get_indexer(names)

    @classmethod
    def read(cls, path):
        """A system from a folder laid out as RTS-GMLC (gen.csv, bus.csv, branch.csv, day_ahead_*.parquet or .csv) or RTS-79
        (generators.csv, hourly_load.csv), or from a .pras file (needs h5py). What of them counts: `files` and `pras`.
        Raises InputError naming the file."""
        from gridmap.adequacy import files
        return files.read(path)


def _with(table, rows, columns):
    """A copy with all of `columns`, those with a default filled."""
    rows = pd.DataFrame(rows).reset_index(drop=True)
    for name, default in columns.items():
        if name not in rows and (default is None) and len(rows):
            raise InputError(f"{table} have no column {name}: add it")
        if name not in rows:
            rows[name] = pd.Series(default, rows.index, dtype=object if default is None else None)
        elif isinstance(default, float | str):
            rows[name] = rows[name].where(rows[name].notna(), default)
    return rows


def _range(table, rows, column, good, remedy):
    good = np.asarray(good, bool)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f"{table}, row {row}: {column} is {rows[column].iloc[row]}; give {remedy}")


def _hours(name, values, columns, least=-np.inf, most=np.inf):
    values = np.asarray(values, float)
    if values.ndim != 2 or values.shape[1] != len(columns) or (name == "load" and not values.size):
        raise InputError(f"{name} has shape {values.shape}: give hours x {len(columns)} columns")
    good = np.isfinite(values) & (values >= least) & (values <= most)
    if not good.all():
        hour, column = np.argwhere(~good)[0]
        raise InputError(f"{name}, hour {hour}, {list(columns)[column]}: {values[hour, column]} is out of its range; correct it")
    return values
