"""Every hour of a year solved, month by month into Parquet, so that a run cut off goes on where it stopped."""

import hashlib
import json
import pathlib
import shutil
from types import SimpleNamespace

import cukernels
import numpy as np
import pandas as pd
from cukernels import residual_deficit
from cukernels.backend import to_device, to_host

from gridmap import InputError, nested, supply

DATASETS = ("totals", "balance", "short", "full")


def hours_of(inputs, year):
    """DatetimeIndex of the hours of the demand that lie in the year (UTC). Raises InputError where none do."""
    hours = inputs.demand.hours[inputs.demand.hours.year == year]
    if len(hours) == 0:
        raise InputError(f"year {year}: the demand runs from {inputs.demand.hours[0]} to {inputs.demand.hours[-1]} UTC; choose a year in it")
    return hours


def months_of(hours):
    """{"2023-07": DatetimeIndex} in order."""
    return {str(month): part for month, part in hours.groupby(hours.to_period("M")).items()}


def solve_month(inputs, hours, basis, device="cpu"):
    """Four tables of a stretch of hours. inputs: read.Inputs after repair.

    totals: [hour, supply_mw, demand_mw, isolated_mw, unserved_mw, pockets], a row an hour.
    balance: [region, supply_mwh, demand_mwh, isolated_mwh, isolated_h], a row a region.
    short: [hour, region, pocket, unserved_mw], a row for each region in a pocket (numbered anew every hour) and hour.
    full: [hour, corridor, into, worth], a row for each corridor at its limit in every best flow: the region it leads into,
    and the MW of relief that a MW more would bring. region, corridor: rows of inputs.
    """
    first = inputs.demand.row(hours[0])
    mw = supply.hourly_supply(inputs, hours, basis), inputs.demand.between(first, first + len(hours))
    ways = [inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw")]
    if inputs.interfaces is not None:
        ways[2:] = (np.stack(limit) for limit in zip(*(nested.limited(s, d, *ways, inputs.interfaces) for s, d in zip(*mw))))
    deficit = residual_deficit(*(to_device(a, device) for a in (*mw, *ways)))
    found = SimpleNamespace(**{name: to_host(getattr(deficit, name)) for name in ("unserved", "pocket", "total", "binding", "worth")})
    hour, region = np.nonzero(found.pocket >= 0)
    way_hour, way = np.nonzero(found.binding)
    isolated = np.maximum(mw[1] - mw[0], 0)
    return {
        "totals": pd.DataFrame({
            "hour": hours, "supply_mw": mw[0].sum(1), "demand_mw": mw[1].sum(1), "isolated_mw": isolated.sum(1),
            "unserved_mw": found.total, "pockets": found.pocket.max(1) + 1}),
        "balance": pd.DataFrame({
            "region": np.arange(mw[0].shape[1]), "supply_mwh": mw[0].sum(0), "demand_mwh": mw[1].sum(0),
            "isolated_mwh": isolated.sum(0), "isolated_h": (isolated > 0).sum(0)}),
        "short": pd.DataFrame({
            "hour": hours[hour], "region": region.astype(np.int32), "pocket": found.pocket[hour, region].astype(np.int32),
            "unserved_mw": found.unserved[hour, region]}),
        "full": pd.DataFrame({
            "hour": hours[way_hour], "corridor": way.astype(np.int32),
            "into": np.where(found.binding[way_hour, way] > 0, ways[1][way], ways[0][way]).astype(np.int32),
            "worth": found.worth[way_hour, way].astype(np.int8)}),
    }


class Store:
    """The months of a run that are done: a hidden folder beside `out` that outlives a run cut off.

    part: "" or a part of the run that has months of its own. Months of other inputs, options or program text are thrown
    away: key says what a month depends on.
    """

    def __init__(self, out, part, key):
        self.folder, self.key = _hidden(out) / (part or "whole"), key
        stamp = self.folder / "key"
        if not stamp.exists() or stamp.read_text() != key:
            shutil.rmtree(self.folder, ignore_errors=True)

    def has(self, month):
        return all(self._path(name, month).exists() for name in DATASETS)

    def put(self, month, tables):
        """Write the tables of a month, each under its name only when it is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "key").write_text(self.key)
        for name, table in tables.items():
            path = self._path(name, month)
            path.parent.mkdir(parents=True, exist_ok=True)
            table.to_parquet(path.with_suffix(".part"), index=False, compression="zstd")
            path.with_suffix(".part").rename(path)

    def read(self):
        """{dataset: DataFrame} of all months."""
        return read(self.folder)

    def publish(self, folder, inputs):
        """Write the months to folder/<dataset>/month=2023-07/hours.parquet, rows of inputs as the ids of the layers."""
        for path in sorted(self.folder.glob("*/month=*/hours.parquet")):
            target = folder / path.relative_to(self.folder)
            target.parent.mkdir(parents=True)
            with_ids(pd.read_parquet(path), inputs).to_parquet(target, index=False, compression="zstd")

    def _path(self, name, month):
        return self.folder / name / f"month={month}" / "hours.parquet"


def with_ids(table, inputs):
    """A table of `solve_month` with region_id and corridor_id in place of rows of inputs."""
    ids = pd.Index(inputs.regions["region_id"])
    made = {"region": ("region_id", lambda row: pd.Categorical.from_codes(row, ids)),
            "into": ("into", lambda row: pd.Categorical.from_codes(row, ids)),
            "corridor": ("corridor_id", lambda row: row + 1)}
    columns = {c: made.get(c, (c, lambda values: values)) for c in table}
    return pd.DataFrame({name: change(table[c]) for c, (name, change) in columns.items()})


def forget(out):
    """Remove the months kept for a run into `out`, which has them now."""
    shutil.rmtree(_hidden(out), ignore_errors=True)


def _hidden(out):
    out = pathlib.Path(out)
    return out.parent / f".{out.name}.hours"


def read(folder):
    """{dataset: DataFrame} of a folder of months."""
    return {name: pd.concat([pd.read_parquet(path) for path in sorted((folder / name).glob("month=*/hours.parquet"))], ignore_index=True)
            for name in DATASETS}


def key(manifest):
    """What the months of a run depend on: its inputs, its options and the program."""
    rooms = (pathlib.Path(__file__).parent, pathlib.Path(cukernels.__file__).parent)
    text = [path.read_bytes() for room in rooms for path in sorted([*room.glob("*.py"), *room.glob("*.cu*")])]
    what = json.dumps([manifest["inputs"], manifest["options"], manifest["versions"]], sort_keys=True)
    return hashlib.sha256(b"\0".join([what.encode(), *text])).hexdigest()
