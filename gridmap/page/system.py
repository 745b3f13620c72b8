"""A system kept in memory: hours of it solved on demand, over any of its region sets, as it is and with changes.

Everything is what the command line computes, by the same functions: `supply`, `residual_deficit`, `flow`, `scenario`.
"""

import collections
import functools
import importlib.util
import threading
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from cukernels import residual_deficit

from gridmap import (
    InputError,
    capacity,
    chronicle,
    confidence,
    flow,
    hours,
    read,
    regroup,
    repair,
    scenario,
    supply,
    year,
)
from gridmap.grids import is_grid

HOURS_KEPT = 48
HEXAGONS, SQUARES = ("h3:3", "h3:4"), ("raster:100km",)
MOST_PREPARED = 300_000_000     # bytes of supply kept for a region set
WORST = 10          # hours in which a scenario is tried besides the one on the screen


@dataclass(frozen=True)
class Hour:
    """One hour solved, NumPy: (R,) supply, demand, unserved, spare, share (0..1), MW; pocket (R,) rank from 1 by deficit, 0 for
    none; flow, loading (E,) MW and % of the limit; binding (E,) -1, 0, 1; worth (E,) MW a MW more would serve."""

    supply: np.ndarray
    demand: np.ndarray
    unserved: np.ndarray
    spare: np.ndarray
    share: np.ndarray
    pocket: np.ndarray
    flow: np.ndarray
    loading: np.ndarray
    binding: np.ndarray
    worth: np.ndarray

    @property
    def isolated(self):
        return np.maximum(self.demand - self.supply, 0.0)


def solve(inputs, row, basis, supply_mw=None):
    """The `Hour` in row `row` of the demand. supply_mw: (R,) where it is known already."""
    hour = inputs.demand.hours[row]
    mw = supply.hourly_supply(inputs, [hour], basis)[0] if supply_mw is None else supply_mw
    demand = inputs.demand.at(hour)
    tail, head, forward, backward = hours.ways(inputs)
    found = residual_deficit(mw, demand, tail, head, forward, backward)
    come = np.bincount(head, found.flow, len(mw)) - np.bincount(tail, found.flow, len(mw))
    limit = np.where(found.flow > 0, forward, backward)
    return Hour(mw, demand, found.unserved, np.maximum(mw - demand + come + found.unserved, 0), found.share, flow._ranks(found)[found.pocket], found.flow,
                100 * np.divide(np.abs(found.flow), limit, out=np.zeros(len(limit)), where=limit > 0), found.binding, found.worth)


class View:
    """The system over one region set. inputs: read.Inputs after repair and regrouping."""

    def __init__(self, inputs, by, basis):
        self.inputs, self.by, self.basis = inputs, by, basis
        self._hours, self._months, self._lock, self._year_lock = collections.OrderedDict(), {}, threading.Lock(), threading.Lock()
        self._done = {}                 # months of the year that are solved
        self.curve = np.full(len(inputs.demand.hours), np.nan, np.float32)      # unserved MW, NaN until solved
        self.still, self.making = None, threading.Lock()       # what the page is told of it once
        self.told, self.adequacy, self.adequacy_says = None, None, ""
        self.ids = inputs.regions["region_id"].to_numpy(str)

    @property
    def count(self):
        return len(self.inputs.regions)

    def stamp(self, row):
        return self.inputs.demand.hours[row].strftime("%Y-%m-%dT%H:%MZ")

    def row(self, given):
        """The row that a request names: a number or a time. Raises InputError."""
        text = str(given)
        if not text.isdigit():
            return self.inputs.demand.row(text)
        if int(text) >= len(self.inputs.demand.hours):
            raise InputError(f"hour {text}: the demand has {len(self.inputs.demand.hours)} hours; choose one of them")
        return int(text)

    def region(self, given):
        """The row of a region by its id. Raises InputError."""
        found = np.flatnonzero(self.ids == str(given))
        if len(found) == 0:
            raise InputError(f"there is no region {str(given)[:40]!r} here; use a region_id of this region set")
        return int(found[0])

    def hour(self, row):
        with self._lock:
            if row in self._hours:
                self._hours.move_to_end(row)
                return self._hours[row]
            month = self._months.get(self.inputs.demand.hours[row].to_period("M"))
        known = None if month is None else month[1][row - month[0]]
        found = solve(self.inputs, row, self.basis, known)
        with self._lock:
            self._hours[row] = found
            while len(self._hours) > HOURS_KEPT:
                self._hours.popitem(last=False)
        self.curve[row] = found.unserved.sum()
        return found

    def prepare(self):
        """What the plants can give in every hour, month by month, the peak's first: then an hour needs only its flows.

        Nothing where that would take more than MOST_PREPARED: an hour's supply is then worked out when it is asked for.
        """
        if 8 * self.count * len(self.inputs.demand.hours) > MOST_PREPARED:
            return
        months = year.months_of(self.inputs.demand.hours)
        peak = str(self.inputs.demand.hours[self.peak].to_period("M"))
        for month in sorted(months, key=lambda m: m != peak):
            part = months[month]
            if part[0].to_period("M") not in self._months:
                self._months[part[0].to_period("M")] = (int(self.inputs.demand.hours.get_loc(part[0])), supply.hourly_supply(self.inputs, part, self.basis))

    def solve_year(self, say):
        """Every hour, month by month; say(step, fraction) may raise to stop, what is done stays. Fills `curve` and `told`."""
        say("waiting for the same hours asked for by another tab")
        while not self._year_lock.acquire(timeout=0.3):
            say("waiting for the same hours asked for by another tab")
        try:
            if self.told is None:
                self._solve_months(say)
        finally:
            self._year_lock.release()

    def _solve_months(self, say):
        stamps = self.inputs.demand.hours
        months = year.months_of(stamps)
        for i, (month, part) in enumerate(months.items()):
            if month in self._done:
                continue
            say(f"solving the hours of {month}", i / (len(months) + 1))
            tables = year.solve_month(self.inputs, part, self.basis)
            first = int(stamps.get_loc(part[0]))
            self.curve[first:first + len(part)] = tables["totals"]["unserved_mw"]
            self._done[month] = tables
        say("telling pockets through the year", len(months) / (len(months) + 1))
        self.take_year({name: pd.concat([self._done[m][name] for m in months], ignore_index=True) for name in year.DATASETS})

    def take_year(self, found):
        """Keep a solved year: datasets of `year.solve_month`, rows of inputs in place of ids."""
        which = self.inputs.demand.hours[0].year
        self.curve[self.inputs.demand.hours.get_indexer(found["totals"]["hour"])] = found["totals"]["unserved_mw"]
        self.told = chronicle.tell(self.inputs, found, which, self.basis, capacity.BASES[self.basis].says)
        self.short = found["short"]
        self._done = {}

    def worst(self):
        """Rows of the worst hours, by time; those of the highest demand until every hour is solved."""
        known = self.curve if np.isfinite(self.curve).all() else self.inputs.demand.national()
        return np.sort(np.argsort(-known, kind="stable")[:WORST])

    def confidence(self):
        """DataFrame of confidence.assess at the peak hour, or through the year where it is solved."""
        if self.told is not None:
            return self.told.regions[["confidence", "flag", "artefact"]]
        if not hasattr(self, "_confidence"):
            peak = self.hour(self.peak)
            room = confidence.both_limits(self.inputs.corridors, np.arange(self.count), self.count)[0]
            table = pd.DataFrame({"pocket_id": peak.pocket, "supply_mw": peak.supply, "demand_mw": peak.demand, "import_limit_mw": room})
            self._confidence = confidence.assess(self.inputs, table)
        return self._confidence

    @functools.cached_property
    def peak(self):
        return self.inputs.demand.row(self.inputs.demand.peak_hour())

    def profile(self, region):
        """(demand, supply, unserved) of a region, MW in every hour (T,); unserved NaN until the year is solved."""
        demand = np.asarray(self.inputs.demand.weights[[region]] @ self.inputs.demand.hourly).ravel()
        plants = self.inputs.plants
        here = plants[plants["region"] == region]
        own = replace(self.inputs, plants=here.assign(region=0), regions=self.inputs.regions.iloc[[region]])
        mw = supply.hourly_supply(own, self.inputs.demand.hours, self.basis)[:, 0]
        unserved = np.full(len(demand), np.nan)
        if self.told is not None:
            mine = self.short[self.short["region"] == region]
            unserved[:] = 0.0
            unserved[self.inputs.demand.hours.get_indexer(mine["hour"])] = mine["unserved_mw"]
        return demand, mw, unserved

    def changed(self, changes):
        """The inputs with a scenario's changes: what `gridmap compare` solves. Raises InputError."""
        return scenario.apply(self.inputs, changes, "scenario")


class System:
    """A config's system with its region sets, each made when it is first asked for. base: its read.Inputs after repair."""

    def __init__(self, config, base):
        self.config, self.base, self.basis, self.first = config, base, config.basis, config.by
        self.sets = [config.by] if is_grid(config.by) else sets_of(base) + cells_of(config)
        self._views, self._making = {}, {by: threading.Lock() for by in self.sets}

    def view(self, by=None):
        by = by or self.first
        if by not in self.sets:
            raise InputError(f"there is no region set {str(by)[:40]!r} of this system; it has {', '.join(self.sets)}")
        with self._making[by]:      # one lock a set: the others answer meanwhile
            if by not in self._views:
                made = self._views[by] = View(self._inputs(by), by, self.basis)
                if by != self.first:
                    threading.Thread(target=made.prepare, daemon=True).start()
            return self._views[by]

    def _inputs(self, by):
        if is_grid(by) and by != self.first:
            return repair.repair(read.load(replace(self.config, by=by)))        # cells are laid over the land when it is read
        return regroup.regroup(self.base, by)


def cells_of(config):
    """The cells that are offered besides: hexagons where the library h3 is there, squares; of the bundled land only."""
    if config.own_files:
        return []
    return [*(HEXAGONS if importlib.util.find_spec("h3") else ()), *SQUARES]


def sets_of(inputs):
    """The names of `regroup.SETS` that this system can be joined to, the finest first."""
    found = [regroup.SETS[0]]
    for by in regroup.SETS[1:]:
        try:
            groups = len(np.unique(regroup.labels(inputs, by)))
        except InputError:
            continue
        if 1 < groups < len(inputs.regions):
            found.append(by)
    return found
