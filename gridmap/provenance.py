"""Which rows of which files each region of a run rests on."""

import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError

COLUMNS = ["region_id", "role", "file", "row", "what", "amount", "unit"]
FILE = "provenance.parquet"
NAMED = 20  # rows of a role that are printed


def rows(inputs):
    """DataFrame[region_id, role, file, row, what, amount, unit], a row for each row of a file that says something of a region.

    inputs: read.Inputs after repair. role: plant (amount: nameplate MW), demand (an area's whole series; amount: the share
    of it that the region uses; row <NA>), limit (of a corridor that ends in the region; amount: MW into it and out of it
    after all rows of the corridor are added). row: data row of the file, counted from 1; <NA> where there is no single one.
    """
    table = pd.concat([_plants(inputs), _demand(inputs), _limits(inputs)], ignore_index=True)
    table["region_id"] = inputs.regions["region_id"].to_numpy()[table.pop("region").to_numpy(int)]
    table["row"] = pd.array(table["row"], dtype="Int64")
    return table.sort_values(["region_id", "role", "file", "row"], kind="stable")[COLUMNS].reset_index(drop=True)


def _plants(inputs):
    inside = inputs.plants[inputs.plants["region"] >= 0]
    what = inside["plant_id"] + " " + inside["generator_id"] + " " + inside["plant_name"] + ", " + inside["technology"] + ", status " + inside["status"]
    return pd.DataFrame({"region": inside["region"], "role": "plant", "file": inside["file"], "row": inside["source_row"],
                         "what": what, "amount": inside["nameplate_mw"], "unit": "MW nameplate"})


def _demand(inputs):
    weights = inputs.demand.weights.tocoo()
    area = np.array(inputs.demand.areas, object)[weights.col]
    return pd.DataFrame({"region": weights.row, "role": "demand", "file": inputs.demand.source, "row": pd.NA, "what": area,
                         "amount": weights.data, "unit": "share of the area's demand"})


def _limits(inputs):
    """Each corridor twice, once for each end, and once for each row of a file that it is made of."""
    ways = inputs.corridors
    ids = inputs.regions["region_id"].to_numpy()
    ends = []
    for here, there, into, out in (("tail", "head", "backward_mw", "forward_mw"), ("head", "tail", "forward_mw", "backward_mw")):
        words = ways["kind"] + " with " + pd.Series(ids[ways[there]], ways.index) + ", " + ways[out].map("{:.0f}".format) + " MW out"
        ends.append(pd.DataFrame({"region": ways[here], "role": "limit", "rows": ways["rows"], "source": ways["source"], "what": words,
                                  "amount": ways[into], "unit": "MW into the region"}))
    both = pd.concat(ends, ignore_index=True)
    both["rows"] = both["rows"].str.split("; ")
    both = both.explode("rows", ignore_index=True)
    named = both.pop("rows").str.rpartition(" row ")
    both["file"] = named[0].where(named[0].ne(""), both.pop("source"))
    both["row"] = pd.to_numeric(named[2], errors="coerce").astype("Int64")
    return both


def explain(folder, region):
    """Lines of text about a region of a run in `folder`: its rows by role, and what was done to rows of its files.

    Raises InputError for a folder that holds no run and for a region that the run does not have.
    """
    folder = pathlib.Path(folder)
    if not (folder / FILE).is_file():
        raise InputError(f"{folder}: holds no {FILE}; give the folder of a finished run")
    table = pd.read_parquet(folder / FILE, filters=[("region_id", "==", region)])
    if len(table) == 0:
        raise InputError(f"{folder}: nothing is known of a region {region}; use a region_id of its regions.csv")
    report = pd.read_csv(folder / "repair.csv", dtype=str, keep_default_na=False)
    for (role, file), part in table.groupby(["role", "file"], sort=False):
        yield f"{role}: {len(part)} rows of {file}"
        told = part.nlargest(NAMED, "amount")
        for line in told.itertuples():
            yield f"  {'' if pd.isna(line.row) else f'row {line.row}: '}{line.what}: {line.amount:,.4g} {line.unit}"
        if len(part) > len(told):
            yield f"  {len(part) - len(told)} more in {FILE}"
        done = report[report["file"].eq(file) & report["row"].isin(part["row"].dropna().astype(str))]
        for line in done.head(NAMED).itertuples():
            yield f"  repair, row {line.row}: {line.rule} ({line.action}) {line.before} -> {line.after}"
        if len(done) > NAMED:
            yield f"  {len(done) - NAMED} more in repair.csv"
