"""What was done to the input, row by row; and the account of every MW that came in."""

import math

import pandas as pd

COLUMNS = ["file", "row", "plant", "rule", "action", "before", "after", "mw"]
SOURCES = ["file", "sheet", "table", "layout", "rows", "field", "column", "unit"]
ACTIONS = ("kept", "changed", "added", "merged", "left out")
CAPACITIES = ["nameplate_mw", "summer_mw", "winter_mw"]


class Ledger:
    """Collects the repair report.

    `table()` has one line a row and rule: file (name), row (data row of that file, from 1; <NA> where the line speaks of
    the file), plant (id, name or region), rule (what was noticed), action (one of ACTIONS), before, after (text),
    mw (nameplate or limit concerned; NaN where none is).
    """

    def __init__(self):
        self._parts, self._sources = [], []

    def add(self, file, rule, action, row=None, plant="", before="", after="", mw=math.nan):
        """Note one line, or many at once where row, plant, before, after or mw are columns of one length."""
        if action not in ACTIONS:
            raise ValueError(f"action {action!r} is none of {ACTIONS}")
        columns = {"row": row, "plant": plant, "before": before, "after": after, "mw": mw}
        columns = {name: value.to_numpy() if isinstance(value, pd.Series) else value for name, value in columns.items()}
        many = any(hasattr(value, "__len__") and not isinstance(value, str) for value in columns.values())
        part = pd.DataFrame(columns if many else {name: [value] for name, value in columns.items()})
        if len(part) == 0:
            return
        part["file"], part["rule"], part["action"] = file, rule, action
        part["row"] = part["row"].astype("Int64")
        for name in ("plant", "before", "after"):
            part[name] = part[name].map(_text)
        part["mw"] = part["mw"].astype(float)
        self._parts.append(part[COLUMNS])

    def took(self, file, sheet, table, layout, count, rows, constants):
        """Note a file that was read: its layout, and the column behind each field (`tables.read`)."""
        head = {"file": file, "sheet": sheet, "table": table, "layout": layout, "rows": count}
        columns = [{**head, "field": row.field, "column": row.column, "unit": row.unit or (f"x {row.times:g}" if row.times != 1 else "")} for row in rows.itertuples()]
        self._sources += columns + [{**head, "field": field, "column": f"{value!r} for all rows", "unit": ""} for field, value in constants.items()]

    def sources(self):
        """DataFrame[file, sheet, table, layout, rows, field, column, unit]: what was taken from every file that was read."""
        return pd.DataFrame(self._sources, columns=SOURCES).drop_duplicates(ignore_index=True)

    def table(self):
        if not self._parts:
            return pd.DataFrame(columns=COLUMNS).astype({"row": "Int64", "mw": float})
        return pd.concat(self._parts, ignore_index=True)


def account(plants, reasons):
    """Where the MW of every file went.

    plants: canonical plants with `file`, `region` and CAPACITIES. reasons: (N,) text, why a plant with region -1 is in
    none ("" elsewhere). Returns DataFrame[file, where, units, nameplate_mw, summer_mw, winter_mw]: for each file the
    line "in a region", one line a reason, and "whole file", which is the sum of the others.
    """
    placed = plants["region"] >= 0
    lines = []
    for file, rows in plants.groupby("file", sort=False):
        out = rows[~placed[rows.index]]
        parts = [("in a region", rows[placed[rows.index]]), *out.groupby(reasons[out.index]), ("whole file", rows)]
        lines += [[file, name, len(part), *(math.fsum(part[c]) for c in CAPACITIES)] for name, part in parts]
    return pd.DataFrame(lines, columns=["file", "where", "units", *CAPACITIES])


def _text(value):
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)
