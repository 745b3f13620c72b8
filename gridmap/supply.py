"""What the plants of each region can give in an hour, on a stated capacity basis, and what is left after demand."""

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import budgets, tables
from gridmap.capacity import BASES, Capacity
from gridmap.demand import parse_hour
from gridmap.factors import WEATHER, by_state
from gridmap.rating import available_mw, known, rated_mw

HELD_HOURS = 1.0                # a storage unit counts with the power its energy holds for this long


def balance(inputs, hour, basis="effective"):
    """Supply and demand of every region in one hour.

    inputs: read.Inputs after repair. hour: text or time, UTC. basis: a name of capacity.BASES.
    Returns DataFrame, row = region: region_id, name, supply_mw, demand_mw, net_mw, isolated_deficit_mw (demand above
    supply, from 0), and <technology>_mw for every technology of technologies.csv, which add up to supply_mw.
    `.attrs` holds hour (Timestamp, UTC), basis and says (what the basis counts).
    """
    stamp = parse_hour(hour)
    table = inputs.regions[["region_id", "name"]].copy()
    table = pd.DataFrame(table)
    units = unit_supply(inputs, stamp, basis)
    by_technology = {
        technology: (units * inputs.plants["technology"].eq(technology).to_numpy()).by_region(inputs.plants["region"].to_numpy(), len(table))
        for technology in tables.fact("technologies")["technology"]
    }
    table["supply_mw"] = sum(by_technology.values(), Capacity(np.zeros(len(table)), basis)).mw
    table["demand_mw"] = inputs.demand.at(stamp)
    table["net_mw"] = table["supply_mw"] - table["demand_mw"]
    table["isolated_deficit_mw"] = np.maximum(-table["net_mw"], 0.0)
    for technology, mw in by_technology.items():
        table[f"{technology}_mw"] = mw.mw
    table.attrs = {"hour": stamp, "basis": basis, "says": BASES[basis].says}
    return table


def unit_supply(inputs, hour, basis="effective"):
    """Capacity (N,): what each row of inputs.plants can give in the hour."""
    available = available_mw(inputs, hour, basis)
    if not BASES[basis].hourly:
        return available
    if BASES[basis].budgets:
        return available * _budgeted_share(inputs, parse_hour(hour), basis, available.mw)
    return available * energy_share(inputs, hour, rated_mw(inputs.plants, hour, basis).mw)


def _budgeted_share(inputs, hour, basis, available):
    """(N,) 0..1: `energy_share`, and what reservoirs and storage spend in the hour."""
    rated = rated_mw(inputs.plants, hour, basis).mw
    share = energy_share(inputs, hour, rated)
    rows = _budgeted(inputs)
    share[rows] = budgets.shares(inputs, pd.DatetimeIndex([hour]), inputs.plants[rows], available[rows], rated[rows])[0]
    return share


def _budgeted(inputs):
    """(N,) bool: units inside a region whose energy runs out."""
    return (inputs.plants["technology"].map(_facts()["kind"]).isin(budgets.KINDS) & (inputs.plants["region"] >= 0)).to_numpy()


def hourly_supply(inputs, hours, basis="effective"):
    """(T, R) float64, MW: what the plants of each region can give in each of the hours; `balance` for many hours at once."""
    hours = pd.DatetimeIndex(hours)
    mw = np.empty((len(hours), len(inputs.regions)))
    for month in hours.month.unique():
        rows = np.flatnonzero(hours.month == month)
        mw[rows] = _month_supply(inputs, hours[rows], basis)
    return mw


def _month_supply(inputs, hours, basis):
    """(T, R) MW of hours of one month: within it only wind and sun change, and what reservoirs and storage spend."""
    region, count = inputs.plants["region"].to_numpy(), len(inputs.regions)
    kind = inputs.plants["technology"].map(_facts()["kind"]).to_numpy()
    moving = np.isin(kind, WEATHER) if BASES[known(basis)].hourly else np.zeros(len(kind), bool)
    spent = _budgeted(inputs) if BASES[basis].budgets else np.zeros(len(kind), bool)
    mw = np.tile((unit_supply(inputs, hours[0], basis) * ~(moving | spent)).by_region(region, count).mw, (len(hours), 1))
    available = available_mw(inputs, hours[0], basis).mw
    for source in WEATHER if moving.any() else ():
        units = moving & (kind == source) & (region >= 0)
        states, column = np.unique(inputs.plants["state"].to_numpy(str)[units], return_inverse=True)
        fleet = scipy.sparse.csr_array((available[units], (column, region[units])), shape=(len(states), count))
        mw += by_state(inputs.weather, source, hours, states) @ fleet
    if spent.any():
        share = budgets.shares(inputs, hours, inputs.plants[spent], available[spent], rated_mw(inputs.plants, hours[0], basis).mw[spent])
        rows = np.arange(int(spent.sum()))
        mw += share @ scipy.sparse.csr_array((available[spent], (rows, region[spent])), shape=(len(rows), count))
    return mw


def energy_share(inputs, hour, mw):
    """(N,) 0..1: the wind, sun, river or stored energy of the hour against the unit's capacity mw."""
    plants = inputs.plants
    kind = plants["technology"].map(_facts()["kind"]).to_numpy()
    share = np.ones(len(plants))
    for source in WEATHER:
        rows = kind == source
        share[rows] = by_state(inputs.weather, source, [hour], plants["state"][rows])[0]
    river = kind == "river"
    share[river] = plants["river_factor"].to_numpy()[river]
    held = plants["energy_mwh"].to_numpy() / HELD_HOURS
    short = (kind == "storage") & (held < mw)           # NaN compares False: unknown energy counts as enough, repair says so
    share[short] = held[short] / mw[short]
    return share


def _facts():
    return tables.fact("technologies").set_index("technology")
