"""A System as the kernels take it: items that fail and what is left of each region with everything in, in whole kW."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from cukernels.chronology import Items
from cukernels.stores import Stores

from gridmap.adequacy.system import BUDGETS, KW

_NO_LIMIT_MW = 1e6  # limits at and above this are none
_SURE = 100.0  # hazard of an hour that nothing survives


@dataclass(frozen=True)
class Problem:
    """margin (R, T) and demand (T, R) int64 kW; tail, head (E,) pairs of regions; forward, backward, most_forward,
    most_backward (E,) kW: the sum of a pair's corridors and the most of its interface. items: `chronology.Items`, whose
    columns are R regions, E pairs forward, E pairs backward, G stores (1 where out), or the regions alone where nothing else
    fails and nothing is stored; columns counts them. lines_fail: whether any corridor does. stores: `Stores`."""

    margin: np.ndarray
    demand: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    most_forward: np.ndarray
    most_backward: np.ndarray
    items: Items
    stores: Stores
    columns: int
    lines_fail: bool


def problem(system, sequential=True):
    """A `Problem`. sequential False: every hour is drawn anew, whatever the mttr_h."""
    R, units, corridors = len(system.regions), system.units, system.corridors
    load, region, pieces = _kw(system.load).T, system.row(units["region"]), _unit_pieces(system)
    tail, head, limits, pair = _pairs(system)
    E = len(tail)
    rows = [_rows(units, region, pieces)]
    straight = system.row(corridors["tail"]) == tail[pair]
    ways = [np.where(straight, *(corridors[c].to_numpy(float) for c in order)) for order in (("forward_mw", "backward_mw"), ("backward_mw", "forward_mw"))]
    lines = corridors.assign(stream=2**31 + corridors["stream"].to_numpy(np.int64), season="")
    for side, way in enumerate(ways):
        rows.append(_rows(lines, R + side * E + pair, [_one(int(kw)) for kw in _kw(way)]))
    stores = system.storage.assign(stream=3 * 2**30 + system.storage["stream"].to_numpy(np.int64), season="")
    rows.append(_rows(stores, R + 2 * E + np.arange(len(stores)), [_one(1)] * len(stores)))
    waits = len(system.responses)
    table = pd.concat(rows, ignore_index=True)
    items = _items(table, system, sequential)
    lines_fail = bool(((items.column >= R) & (items.column < R + 2 * E)).any())
    columns = R + 2 * E + len(stores) + waits if lines_fail or len(stores) + waits else R
    return Problem(_everything_in(region, pieces, load.shape) + _kw(system.weather).T - load, np.maximum(load, 0), tail, head, *limits,
                   items, _stores(system), columns, lines_fail)


def _stores(system):
    """Storage, then demand that waits: that is a store full at first, paid back before the others fill."""
    rows, waits, T = system.storage, system.responses, len(system.load)
    both = lambda storage, response: np.concatenate([storage, response])  # noqa: E731
    kw = lambda storage, response: both(_kw(rows[storage].to_numpy(float)), _kw(waits[response].to_numpy(float)))  # noqa: E731
    share = lambda way: both(rows[f"{way}_efficiency"].to_numpy(float), np.ones(len(waits)))  # noqa: E731
    fill = both(rows["charge_efficiency"].to_numpy(float), 1 / (1 + waits["interest"].to_numpy(float)))
    last = int(rows["priority"].max()) + 1 if len(rows) else 1
    kinds = sorted({kind for kind in zip(rows["inflow"], rows["budget"], rows["energy_mwh"].where(rows["budget"].ne(""), 0.0), strict=True) if kind[:2] != ("", "")})
    of = [kinds.index((i, b, e if b else 0.0)) if (i, b) != ("", "") else -1 for i, b, e in zip(rows["inflow"], rows["budget"], rows["energy_mwh"], strict=True)]
    inflow = np.array([_inflow(system, *kind) for kind in kinds], np.int64).reshape(len(kinds), T)
    return Stores(both(system.row(rows["region"]), system.row(waits["region"])), kw("power_mw", "power_mw"), kw("charge_mw", "payback_mw"),
                  kw("energy_mwh", "energy_mwh"), kw("start_mwh", "energy_mwh"), share("discharge"), fill, share("carryover"),
                  both(rows["priority"].to_numpy(int), np.full(len(waits), last)), both(np.array(of, int), np.full(len(waits), -1)), inflow)


def _inflow(system, column, budget, energy_mwh):
    """(T,) kW: water as the column says, or the whole budget in the first hour of each of its periods."""
    if column:
        return _kw(system.inflow[column].to_numpy(float))
    T = len(system.load)
    first = np.arange(T) % BUDGETS[budget] == 0 if BUDGETS[budget] else np.diff(
        pd.date_range(system.start, periods=T, freq="h").month, prepend=-1) != 0
    return np.where(first, _kw(energy_mwh), 0)


def _unit_pieces(system):
    """(first hours, kW) of each unit's capacity, a piece for each change."""
    ratings, begin = _kw(system.ratings.to_numpy(float)), system.ratings.index.to_numpy()
    column = system.ratings.columns.get_indexer(system.units["name"])
    return [_one(kw) if c < 0 else _pieces(begin, ratings[:, c]) for kw, c in zip(_kw(system.units["capacity_mw"].to_numpy(float)), column, strict=True)]


def _everything_in(region, pieces, shape):
    """(R, T) kW: the sum of all units, none out."""
    change = np.zeros(shape, np.int64)
    for r, (begin, kw) in zip(region, pieces, strict=True):
        change[r, begin] += np.diff(kw, prepend=0)
    return change.cumsum(axis=1)


def _kw(mw):
    return np.rint(np.minimum(mw, _NO_LIMIT_MW) * KW).astype(np.int64)


def _pairs(system):
    """Joined pairs tail < head: (E,) ends, four (E,) limits in kW, and the pair of each corridor."""
    table = pd.concat([system.corridors.assign(most=False), system.interfaces.assign(most=True)], ignore_index=True)
    a, b = system.row(table["tail"]), system.row(table["head"])
    forward, backward = (_kw(table[c].to_numpy(float)) for c in ("forward_mw", "backward_mw"))
    forward, backward = np.where(a < b, forward, backward), np.where(a < b, backward, forward)
    key, pair = np.unique(np.minimum(a, b) * len(system.regions) + np.maximum(a, b), return_inverse=True)
    most = table["most"].to_numpy(bool)
    sums = [np.bincount(pair[~most], kw[~most], len(key)).astype(np.int64) for kw in (forward, backward)]
    caps = [np.full(len(key), _kw(np.inf)) for _ in range(2)]
    for cap, kw in zip(caps, (forward, backward), strict=True):
        np.minimum.at(cap, pair[most], kw[most])
    return key // len(system.regions), key % len(system.regions), (*sums, *caps), pair[~most]


def _one(kw):
    return np.zeros(1, np.int64), np.array([kw], np.int64)


def _pieces(begin, kw):
    changes = np.diff(kw, prepend=kw[0] - 1) != 0
    return begin[changes].astype(np.int64), kw[changes]


def _rows(table, column, pieces):
    states = table["states"] if "states" in table else [()] * len(table)
    return pd.DataFrame(dict(column=column, stream=table["stream"].to_numpy(np.int64), q=away(table).to_numpy(float), states=list(states),
                             capacity=table["capacity_mw"].to_numpy(float) if "capacity_mw" in table else 1.0,
                             mttr=table["mttr_h"].to_numpy(float), season=table["season"].to_numpy(object), begin=[p[0] for p in pieces],
                             power=[p[1] for p in pieces], most=[p[1].max() for p in pieces]))


def away(table):
    """(N,) share of time in which a unit is not wholly in: out, or derated."""
    away = table["forced_outage_rate"].astype(float)
    return away + [sum(share for _, share in states) for states in table["states"]] if "states" in table else away


def _levels(table):
    """level, chance, left of `chronology.Items` from the states of units."""
    chance, left = [], []
    for q, capacity, states in zip(table["q"], table["capacity"], table["states"], strict=True):
        chance.append(np.minimum(np.cumsum([share for _, share in states]) / q, 1.0) if states else np.zeros(0))
        left.append([mw / capacity for mw, _ in states])
    flat = lambda parts: np.concatenate([*parts, np.zeros(0)])  # noqa: E731
    return np.cumsum([0, *map(len, chance)]), flat(chance), flat(left)


def _items(table, system, sequential):
    """Chances an hour that hold the outage rate q: back = 1 / mttr, fail = back q / (1 - q)."""
    table = table[((table["q"] > 0) | (table["season"] != "")) & (table["most"] > 0)]
    q, seasonal = table["q"].to_numpy(), (table["season"] != "").to_numpy()
    back = 1 / table["mttr"].to_numpy() if sequential else np.where(seasonal, 1.0, 1 - q)
    back[q == 1] = 0.0  # never back
    fail = np.where(q < 1, back * q / np.maximum(1 - q, 1e-300), 1.0)
    season, sums, start = _seasons(table, seasonal, back, system)
    first = np.cumsum([0, *map(len, table["begin"])])
    begin, power = (np.concatenate([*table[name], np.zeros(0, np.int64)]) for name in ("begin", "power"))
    return Items(table["column"].to_numpy(), table["stream"].to_numpy(), np.where(seasonal, start, q), _hazard(fail), _hazard(back),
                 season, first, begin, power, sums, *_levels(table))


def _seasons(table, seasonal, back, system):
    """Row of the sums for each item, -1 for none; the sums of hazards; the rate in hour 0."""
    kinds = list(zip(table["season"], back, strict=True))
    known = sorted({kind for kind, has in zip(kinds, seasonal, strict=True) if has})
    sums = np.zeros((len(known), len(system.load) + 1))
    for row, (name, chance) in enumerate(known):
        rate = np.minimum(system.rates[name].to_numpy(float), 1 - 1e-9)
        sums[row, 1:] = np.minimum(_hazard(chance * rate / (1 - rate)), _SURE).cumsum()
    season = np.array([known.index(kind) if has else -1 for kind, has in zip(kinds, seasonal, strict=True)], int)
    start = np.array([system.rates[name].iloc[0] if has else 0.0 for (name, _), has in zip(kinds, seasonal, strict=True)])
    return season, sums, start


def _hazard(chance):
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.minimum(chance, 1.0))
