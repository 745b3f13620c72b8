"""The plants, demand and corridors of a run as a System: units that fail one by one, wind and sun as they were."""

import functools
import pathlib
from dataclasses import replace

import numpy as np
import pandas as pd

from gridmap import InputError, factors, rating, supply, tables
from gridmap.adequacy import temperature
from gridmap.adequacy.system import REPAIR_H, System

BASIS = "effective"
STORAGE = ("auto", "hours", "power")
MOST_BY_HOUR = 250  # regions in which "auto" runs storage by the hour: one flow after the other, minutes a year for counties


@functools.cache
def storage_facts():
    """Round-trip efficiency and, for units whose energy is unknown, hours of storage, by technology."""
    return pd.read_csv(pathlib.Path(__file__).with_name("storage.csv")).set_index("technology")


def system_of(inputs, hours, repair_h=REPAIR_H, storage="auto", celsius=None):
    """A `System` of the hours (DatetimeIndex, a stretch of inputs.demand).

    inputs: read.Inputs after repair. Each unit in service is out at its technology's forced rate, repair_h hours at a time
    on average; while in, it gives the net rating of the half-year less its month's scheduled outages, a river what rivers
    give. Wind and sun give what their fleet's profile says. Numbers of draws are rows of inputs.plants, so that what a
    scenario leaves is out at the same hours. storage: "hours", batteries and pumped storage run hour by hour, full at first,
    with what they have in their tightest month; "power", they always have the power that their energy holds for an hour; or
    "auto", hours in up to 250 regions.
    celsius: (T, R) temperatures, for outage rates that follow them (`temperature`).
    """
    if storage not in STORAGE:
        raise InputError(f"storage {storage!r}: give {' or '.join(STORAGE)}")
    storage = by_hour_or_not(storage, len(inputs.regions))
    first = inputs.demand.row(hours[0])
    names = inputs.regions["region_id"].astype(str).to_numpy()
    kind = inputs.plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"])
    placed, moving = inputs.plants["region"] >= 0, kind.isin(factors.WEATHER)
    stored = kind.eq("storage") & (storage == "hours")
    part = lambda rows: replace(inputs, plants=inputs.plants[rows].rename_axis("stream").reset_index())  # noqa: E731
    firm, stores, fleets = part(placed & ~moving & ~stored), part(placed & stored), part(placed & moving)
    ratings = monthly_mw(firm, hours)
    units = _rows(firm, names, repair_h, inputs).assign(name=firm.plants.index.astype(str), capacity_mw=ratings.to_numpy().max(axis=0, initial=0.0))
    rates = pd.DataFrame()
    if celsius is not None:
        movers = firm.plants["technology"].map(tables.fact("technologies").set_index("technology")["monthly"]).fillna("").to_numpy(str)
        rates, units["season"] = temperature.rates(units, movers, celsius, names)
    corridors = inputs.corridors.assign(tail=names[inputs.corridors["tail"]], head=names[inputs.corridors["head"]])
    return System(tuple(names), inputs.demand.between(first, first + len(hours)), units,
                  corridors[["tail", "head", "forward_mw", "backward_mw"]], storage=_storage(stores, names, repair_h, hours), ratings=ratings,
                  weather=supply.hourly_supply(fleets, hours, BASIS), rates=rates, start=hours[0])


def by_hour_or_not(storage, regions):
    """"hours" or "power"."""
    return storage if storage != "auto" else "hours" if regions <= MOST_BY_HOUR else "power"


def _rows(part, names, repair_h, inputs):
    plants = part.plants
    return pd.DataFrame(dict(
        region=names[plants["region"]], forced_outage_rate=plants["technology"].map(inputs.outages.forced).to_numpy(float), mttr_h=repair_h,
        stream=plants["stream"].to_numpy(), where=plants["file"].astype(str) + ", row " + plants["source_row"].astype(str)))


def _storage(part, names, repair_h, hours):
    plants, facts = part.plants, storage_facts()
    rated = monthly_mw(part, hours, held=False).to_numpy().min(axis=0, initial=np.inf) if len(plants) else np.zeros(0)
    energy = plants["energy_mwh"].fillna(plants["technology"].map(facts["hours"]) * plants["nameplate_mw"]).to_numpy(float)
    return _rows(part, names, repair_h, part).assign(power_mw=rated, energy_mwh=energy, start_mwh=energy,
                                                     charge_efficiency=plants["technology"].map(facts["round_trip"]).to_numpy(float))


def monthly_mw(inputs, hours, held=True):
    """DataFrame, a row for each month of the hours (index: its first hour), a column a plant: MW while it is in; held: with
    no more than what a store's energy holds for an hour."""
    month = hours.year * 12 + hours.month
    begin = np.flatnonzero(np.diff(month, prepend=month[0] - 1))
    rows = []
    for hour in hours[begin]:
        rated = rating.rated_mw(inputs.plants, hour, BASIS).mw
        scheduled = inputs.plants["technology"].map(inputs.outages.scheduled[hour.month]).to_numpy(float)
        rows.append(rated * (1 - scheduled) * (supply.energy_share(inputs, hour, rated) if held else 1.0))
    return pd.DataFrame(rows, index=begin, columns=inputs.plants.index.astype(str))
