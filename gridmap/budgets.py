"""Energy that runs out: reservoirs with a month's water, storage with a day's charge, spent where the net load is highest.

Greedy and the same for everybody, not what an operator would do for money:

- **A reservoir** releases the energy of its historical capacity factor in every calendar month. RELEASED of it flows evenly
  (fish, navigation, irrigation: assumed); with the rest it runs at capacity in the hours of the month in which the net load
  of its interconnect is highest, as many as the water allows.
- **Storage** makes one cycle a day (noon to noon, UTC: early morning in the United States). It gives its power in the hours
  of the day with the highest net load until its energy is spent, and charges in the others from what its interconnect has
  to spare then; where that is too little, by the round-trip efficiency, every unit gives less that day. The corridors that
  charging takes are not counted.

Net load: demand less wind and sun.
"""

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import tables
from gridmap.factors import WEATHER, by_state
from gridmap.rating import available_mw, running

RELEASED = 0.5                  # of a month's water
DAY_BEGINS = 12                 # hour, UTC
KINDS = ("hydro", "storage")


def shares(inputs, hours, plants, available, rated):
    """(T, N) float64, 0..1: of their available MW, what reservoirs and storage among `plants` give in each of the hours.

    inputs: read.Inputs after repair. hours: DatetimeIndex of one month. plants: rows of inputs.plants of KINDS, inside a
    region. available, rated: (N,) MW with and without outages.
    """
    side, names = interconnects(inputs)
    unit = side[plants["region"]]
    facts = tables.fact("technologies").set_index("technology")
    kind = plants["technology"].map(facts["kind"]).to_numpy()
    net = net_load(inputs, side, len(names))
    out = np.zeros((len(hours), len(plants)))
    water = kind == "hydro"
    out[:, water] = _reservoirs(inputs, hours, net, unit[water], _factor(plants[water], available[water], rated[water]))
    held = kind == "storage"
    held_h = _held_hours(plants[held], available[held], facts)
    loss = plants["technology"][held].map(facts["round_trip"]).astype(float).to_numpy()
    out[:, held] = _storage(inputs, hours, net, unit[held], held_h, available[held] * held_h / loss, len(names))
    return out


def interconnects(inputs):
    """((R,) number of the interconnect of each region, names)."""
    names, side = np.unique(inputs.regions["interconnect"].to_numpy(str), return_inverse=True)
    return side, names


def net_load(inputs, side, count):
    """(I, T) MW over all hours of the demand: demand less what wind and sun give of the capacity in service."""
    fold = scipy.sparse.csr_array((np.ones(len(side)), (side, np.arange(len(side)))), shape=(count, len(side)))
    load = (fold @ inputs.demand.weights) @ inputs.demand.hourly
    plants = inputs.plants[(inputs.plants["region"] >= 0) & running(inputs.plants)]
    kind = plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"])
    for source in WEATHER:
        units = plants[kind.eq(source)]
        states, column = np.unique(units["state"].to_numpy(str), return_inverse=True)
        fleet = scipy.sparse.csr_array((units["summer_mw"].to_numpy(float), (column, side[units["region"]])), shape=(len(states), count))
        if len(states):
            load = load - (by_state(inputs.weather, source, inputs.demand.hours, states) @ fleet).T
    return load


def _factor(plants, available, rated):
    """(N,) 0..1: the share of the time at available capacity that spends the water of the historical capacity factor."""
    factor = plants["river_factor"].fillna(1.0).to_numpy()      # nothing known: as if the water never ran out; repair says so
    return np.clip(np.divide(factor * rated, available, out=np.zeros(len(plants)), where=available > 0), 0, 1)


def _reservoirs(inputs, hours, net, unit, factor):
    month = inputs.demand.hours.to_period("M")
    window = np.flatnonzero(month == hours[0].to_period("M"))
    rank = _ranks(net[:, window])[:, inputs.demand.hours[window].get_indexer(hours)]
    even = RELEASED * factor
    left = np.divide(factor - even, 1 - even, out=np.zeros(len(factor)), where=even < 1) * len(window)     # hours at capacity
    return even + (1 - even) * np.clip(left - rank[unit].T, 0, 1)


def _held_hours(plants, available, facts):
    """(N,) hours that each unit's energy lasts at its power; those of its technology where the file does not say."""
    usual = plants["technology"].map(facts["held_h"]).astype(float).to_numpy()
    energy = plants["energy_mwh"].to_numpy()
    known = np.isfinite(energy) & (available > 0)
    return np.where(known, np.divide(energy, available, out=usual.copy(), where=known), usual)


def _storage(inputs, hours, net, unit, held_h, charge_mwh, count):
    """(T, N). charge_mwh: (N,) what a day's cycle takes out of the interconnect."""
    first = inputs.demand.hours[0]
    day = (inputs.demand.hours - first + pd.Timedelta(hours=(first.hour - DAY_BEGINS) % 24)) // pd.Timedelta(days=1)
    wanted = (hours - first + pd.Timedelta(hours=(first.hour - DAY_BEGINS) % 24)) // pd.Timedelta(days=1)
    out = np.zeros((len(hours), len(unit)))
    need = np.bincount(unit, charge_mwh, count)
    room = _firm(inputs, hours[0], count)
    for number in np.unique(wanted):
        window, rows = np.flatnonzero(day == number), np.flatnonzero(wanted == number)
        rank = _ranks(net[:, window])
        at = inputs.demand.hours[window].get_indexer(hours[rows])
        spare = np.maximum(room[:, None] - net[:, window], 0)
        charged = np.where(rank >= np.max(held_h, initial=0.0), spare, 0).sum(axis=1)
        full = np.minimum(np.divide(charged, need, out=np.ones(count), where=need > 0), 1)
        out[rows] = full[unit] * np.clip(held_h - rank[:, at][unit].T, 0, 1)
    return out


def _firm(inputs, hour, count):
    """(I,) MW that the plants of each interconnect give besides wind, sun and storage."""
    side, _ = interconnects(inputs)
    plants = inputs.plants
    kind = plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"]).to_numpy()
    firm = (plants["region"] >= 0).to_numpy() & ~np.isin(kind, (*WEATHER, "storage"))
    return np.bincount(side[plants["region"].to_numpy()[firm]], available_mw(inputs, hour, "effective").mw[firm], count)


def _ranks(net):
    """(I, T) int: 0 for the hour of the highest net load, of two as high the earlier first."""
    order = np.argsort(-net, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(net.shape[1])[None], axis=1)
    return ranks
