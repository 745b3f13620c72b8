"""Folders of earlier runs: what they were about, their hours, their loss-of-load numbers."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from cukernels.run import MANIFEST, sha256

from gridmap import InputError
from gridmap.config import FILES, Config

SYSTEMS = ("gridmap run", "gridmap where", "gridmap compare", "gridmap adequacy")


@dataclass(frozen=True)
class Earlier:
    """A finished run. options: as its manifest holds them; inputs: {file name: sha256}; results: results.json."""

    folder: Path
    command: str
    options: dict
    inputs: dict
    manifest: dict
    results: dict

    @property
    def by(self):
        return self.options.get("by", "county")

    @property
    def is_year(self):
        return self.command == "gridmap run" and "year" in self.options


def read(folder):
    """The `Earlier` run of a folder. Raises InputError."""
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        results = json.loads((folder / "results.json").read_text())
        command, options = manifest["command"], manifest["options"]
        inputs = {row["file"]: row["sha256"] for row in manifest["inputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder}: is not the folder of a finished run; give one that gridmap run -o made") from None
    if command not in SYSTEMS:
        raise InputError(f"{folder}: was made by {command}; give the folder of {', '.join(SYSTEMS)}")
    return Earlier(folder, command, options, inputs, manifest, results)


def config_of(earlier):
    """The Config whose system the run was about. Raises InputError where a file of it is gone."""
    known = {field.name for field in fields(Config)} - {"merge", "also"}
    made = {name: value for name, value in earlier.options.items() if name in known}
    for role in FILES:
        if role in made:
            made[role] = Path(made[role])
            if not made[role].is_file():
                raise InputError(f"{earlier.folder}: was made of {made[role]}, which is not there; start from the folder that gridmap ran in")
    if "year" in made:
        made["year"] = int(made["year"])
    return Config(**made)


def check_inputs(earlier, files):
    """Raises InputError where a file that is read now differs from the one that the run read."""
    for path in files:
        was = earlier.inputs.get(Path(path).name)
        if was is not None and was != sha256(path):
            raise InputError(f"{earlier.folder}: was made of another {Path(path).name}; run it again, or give the file that it was made of")


def year_of(earlier, inputs):
    """The datasets of `year.solve_month` of a year's run, rows of `inputs` in place of ids. Raises InputError."""
    ids = pd.Index(inputs.regions["region_id"])
    found = {}
    for name in ("totals", "balance", "short", "full"):
        parts = sorted((earlier.folder / "hourly" / name).glob("month=*/hours.parquet"))
        if not parts:
            raise InputError(f"{earlier.folder}: lacks hourly/{name}; run the year again")
        table = pd.concat([pd.read_parquet(path) for path in parts], ignore_index=True)
        for column in ("region_id", "into"):
            if column in table:
                rows = ids.get_indexer(table[column].astype(str))
                if (rows < 0).any():
                    raise InputError(f"{earlier.folder}: knows region {table[column].iloc[int(np.argmax(rows < 0))]}, which the regions lack; run the year again")
                table[column] = rows.astype(np.int32)
        if "corridor_id" in table:
            table["corridor_id"] -= 1
        found[name] = table.rename(columns={"region_id": "region", "corridor_id": "corridor"})
    return found


def adequacy_of(folder, inputs):
    """(the columns of adequacy by row of `inputs`, what was drawn in words), or None where the folder's regions are others."""
    table = pd.read_csv(Path(folder) / "regions.csv", dtype={"region_id": str})
    ids = inputs.regions["region_id"].astype(str)
    if set(ids) != set(table["region_id"]):
        return None
    results = json.loads((Path(folder) / "results.json").read_text())
    says = f"{results['samples']:,} drawn years of {results['hours']:,} hours, seed {results['seed']}"
    return table.set_index("region_id").loc[ids].reset_index(drop=True), says
