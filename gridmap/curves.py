"""Hourly supply, demand and unserved demand of every region of a year, as arrays that are quick to open at one region."""

import json
import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError, supply

FOLDER = "curves"
NAMES = ("supply_mw", "demand_mw", "unserved_mw")


def write(folder, inputs, months, short, basis):
    """folder/curves: supply_mw.npy, demand_mw.npy, unserved_mw.npy, (R, T) float32, MW, a region's hours in a row, and
    index.json with the region ids and the first hour (UTC). months: {name: DatetimeIndex}. short: of `year.solve_month`."""
    (folder / FOLDER).mkdir()
    hours = pd.DatetimeIndex(np.concatenate([part.to_numpy() for part in months.values()]))
    shape = len(inputs.regions), len(hours)
    arrays = {name: np.lib.format.open_memmap(folder / FOLDER / f"{name}.npy", "w+", np.float32, shape) for name in NAMES}
    start = 0
    for part in months.values():
        stop, first = start + len(part), inputs.demand.row(part[0])
        arrays["supply_mw"][:, start:stop] = supply.hourly_supply(inputs, part, basis).T
        arrays["demand_mw"][:, start:stop] = inputs.demand.between(first, first + len(part)).T
        start = stop
    arrays["unserved_mw"][short["region"].to_numpy(), hours.get_indexer(short["hour"])] = short["unserved_mw"]
    for array in arrays.values():
        array.flush()
    index = {"region_id": inputs.regions["region_id"].tolist(), "first_hour": hours[0].strftime("%Y-%m-%dT%H:%MZ"), "hours": len(hours), "unit": "MW", "basis": basis}
    (folder / FOLDER / "index.json").write_text(json.dumps(index) + "\n")


def read(run, region):
    """DataFrame by hour (UTC) [supply_mw, demand_mw, unserved_mw] of a region of a run that was told `--also curves`."""
    folder = pathlib.Path(run) / FOLDER
    if not (folder / "index.json").is_file():
        raise InputError(f"{run}: holds no {FOLDER}; run the year with --also curves")
    index = json.loads((folder / "index.json").read_text())
    if region not in index["region_id"]:
        raise InputError(f"{run}: has no region {region}; use a region_id of its regions.csv")
    row = index["region_id"].index(region)
    hours = pd.date_range(pd.Timestamp(index["first_hour"]).tz_localize(None), periods=index["hours"], freq="h", name="hour")
    return pd.DataFrame({name: np.load(folder / f"{name}.npy", mmap_mode="r")[row] for name in NAMES}, index=hours)
