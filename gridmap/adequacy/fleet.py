"""The plants, demand and corridors of a run as a System: units that fail one by one, wind and sun as they were."""

from dataclasses import replace

import numpy as np
import pandas as pd

from gridmap import supply, tables
from gridmap.adequacy.system import REPAIR_H, System

BASIS = "effective"


def system_of(inputs, hours, repair_h=REPAIR_H):
    """A `System` of the hours (DatetimeIndex, a stretch of inputs.demand).

    inputs: read.Inputs after repair. Each unit in service is out at its technology's forced rate, repair_h hours at a time
    on average; while in, it gives the net rating of the half-year less its month's scheduled outages, a river what rivers
    give, storage the power that its energy holds for an hour. Wind and sun give what their fleet's profile says.
    """
    first = inputs.demand.row(hours[0])
    names = inputs.regions["region_id"].astype(str).to_numpy()
    kind = inputs.plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"])
    placed, moving = inputs.plants["region"] >= 0, kind.isin(supply.WEATHER)
    firm = replace(inputs, plants=inputs.plants[placed & ~moving].reset_index(drop=True))
    fleets = replace(inputs, plants=inputs.plants[placed & moving].reset_index(drop=True))
    ratings = monthly_mw(firm, hours)
    units = pd.DataFrame(dict(
        name=firm.plants.index.astype(str), region=names[firm.plants["region"]], capacity_mw=ratings.to_numpy().max(axis=0),
        forced_outage_rate=firm.plants["technology"].map(inputs.outages.forced).to_numpy(float), mttr_h=repair_h))
    corridors = inputs.corridors.assign(tail=names[inputs.corridors["tail"]], head=names[inputs.corridors["head"]])
    return System(tuple(names), inputs.demand.between(first, first + len(hours)), units,
                  corridors[["tail", "head", "forward_mw", "backward_mw"]], ratings=ratings,
                  weather=supply.hourly_supply(fleets, hours, BASIS), start=hours[0])


def monthly_mw(inputs, hours):
    """DataFrame, a row for each month of the hours (index: its first hour), a column a plant: MW while it is in."""
    month = hours.year * 12 + hours.month
    begin = np.flatnonzero(np.diff(month, prepend=month[0] - 1))
    rows = []
    for hour in hours[begin]:
        rated = supply.rated_mw(inputs.plants, hour, BASIS).mw
        scheduled = inputs.plants["technology"].map(inputs.outages.scheduled[hour.month]).to_numpy(float)
        rows.append(rated * (1 - scheduled) * supply.energy_share(inputs, hour, rated))
    return pd.DataFrame(rows, index=begin, columns=inputs.plants.index.astype(str))
