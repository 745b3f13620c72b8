"""Files of any of several known layouts -> tables with gridmap's own column names (columns.csv holds both)."""

import functools
import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError, cells
from gridmap.files import NOTES, existing, load, sheets

__all__ = ["existing", "load", "read", "detect", "fact", "known_layouts", "layouts", "registry"]
HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data"
OWN = "gridmap"
MAPPED = "mapped by the user"
OR = "|"                        # between the columns of which a layout has one or another


@functools.cache
def layouts(table):
    """{layout: DataFrame[field, column, type, need, unit]} of a table, from columns.csv."""
    known = fact("columns")
    known = known[known["table"].eq(table)]
    types = known[known["type"].ne("")].drop_duplicates("field").set_index("field")["type"]
    known = known.assign(type=known["field"].map(types))
    return {name: rows.reset_index(drop=True) for name, rows in known.groupby("layout", sort=False)}


@functools.cache
def fact(name):
    """A table of facts of this package, as text."""
    return pd.read_csv(HERE / f"{name}.csv", dtype=str, keep_default_na=False)


def known_layouts():
    """DataFrame[table, layout, says, needs] of everything `read` recognises; needs: the columns a file must have."""
    known = fact("columns")
    needs = known[known["need"].eq("yes")].groupby(["table", "layout"], sort=False)["column"].agg(", ".join).rename("needs").reset_index()
    needs["needs"] = needs["needs"].str.replace(OR, " or ")
    return needs.assign(says=needs["layout"].map(fact("layouts").set_index("layout")["says"]).fillna(""))[["table", "layout", "says", "needs"]]


def registry(layout):
    """Whose plant numbers a layout uses: "EIA", or "" where they are anybody's."""
    return _layout_fact(layout, "registry")


def gaps(layout):
    """What a layout's blank capacities mean: "unknown" where its publisher leaves them blank, else "" (an error)."""
    return _layout_fact(layout, "blank_mw")


def _layout_fact(layout, column):
    return dict(zip(fact("layouts")["layout"], fact("layouts")[column])).get(layout, "")


def read(path, table, columns=None, book=None):
    """One file as a table with gridmap's columns.

    path: CSV, Parquet, Excel, or any vector file GDAL reads (then with `geometry`). table: a table of columns.csv.
    columns: {field: column} for a layout that columns.csv does not know, or None; in place of a column may stand
    {"column": name, "times": factor} or {"value": text or number for all rows}.
    book: ledger.Ledger that notes the layout and what was taken, or None.
    Returns (DataFrame or GeoDataFrame, layout): every field of the table the file has, typed; `source_row`, the data row
    of the file counted from 1 below the titles; and where the file has several sheets or layers that follow a layout,
    which are all read, `sheet`. Rows blank in every needed column but one, notes below a table, are left out and noted.
    Raises InputError for an unreadable file, an unknown layout (with what is missing), a cell that is no number or time.
    """
    path = pathlib.Path(path)
    found = sheets(path)
    if len(found) > 1:
        found = _fitting(path, table, columns, found)
    parts = [_read_one(path, name if len(found) > 1 else "", raw, table, columns, book) for name, raw in found]
    if len(parts) == 1:
        return parts[0]
    frame = pd.concat([part.assign(sheet=name) for (part, _), (name, _) in zip(parts, found)], ignore_index=True)
    for field in set(fact("columns").query("table == @table and type == 'text'")["field"]) & set(frame):
        frame[field] = frame[field].fillna("")  # a field that only some sheets have
    return frame, parts[0][1]


def _fitting(path, table, columns, found):
    """The sheets that follow a layout of the table; where none does the largest, whose columns the error then names."""
    if columns:
        named = {column for column in map(_column_of, columns.values()) if column}
        fits = [(name, raw) for name, raw in found if named <= set(stripped(raw).columns)]
    else:
        fits = [(name, raw) for name, raw in found if follows(table, below_notes(table, stripped(raw)).columns)]
    return fits or [max(found, key=lambda sheet: sheet[1].size)]


def _read_one(path, sheet, raw, table, columns, book):
    raw = stripped(raw)
    if columns:
        layout, rows, constants = _own_layout(path, table, columns, raw.columns)
    else:
        raw = below_notes(table, raw)
        layout, rows, constants = *detect(path, table, raw.columns), {}
    rows = present(rows, raw.columns)
    raw, source_row = _without_notes(path, raw, rows, book)
    out = {row.field: cells.typed(path, _coalesced(raw, row.column), row.type, row.unit) for row in rows.itertuples()}
    out |= {row.field: out[row.field] * row.times for row in rows.itertuples() if row.times != 1}
    out |= {field: pd.Series(value, raw.index) for field, value in constants.items()}
    out["source_row"] = source_row
    frame = pd.DataFrame(out, index=raw.index).reset_index(drop=True)
    if book is not None:
        book.took(path.name, sheet, table, layout, len(frame), rows, constants)
    return (_with_geometry(frame, raw) if "geometry" in raw else frame), layout


def stripped(raw):
    """Titles without outer blanks and line breaks, which EIA's workbooks have."""
    return raw.set_axis([" ".join(str(c).split()) for c in raw.columns], axis=1)


def present(rows, have):
    """The rows of a layout that the file has, `column` the ones that it has of several, with `times`."""
    here = [OR.join(c for c in column.split(OR) if c in set(have)) for column in rows["column"]]
    rows = rows.assign(column=here, times=rows["times"] if "times" in rows else 1)
    return rows[rows["column"].ne("")]


def _coalesced(raw, columns):
    """The first of several columns, where it is blank the next."""
    first, *rest = columns.split(OR)
    column = raw[first]
    for name in rest:
        blank = column.isna() | (column.astype("string").str.strip() == "").fillna(True)
        column = column.mask(blank, raw[name])
    return column.rename(first)


def _without_notes(path, raw, rows, book):
    """(rows with data, their numbers): a row blank in every needed column but one is a note below the table."""
    number = np.arange(1, len(raw) + 1)
    need = rows.loc[rows["need"].eq("yes"), "column"]
    if len(need) < 3 or not len(raw):
        return raw, number
    blank = pd.concat([cells.texts(_coalesced(raw, column)).eq("") for column in need], axis=1).sum(axis=1).to_numpy() >= len(need) - 1
    if blank.any() and book is not None:
        first = raw[blank].astype("string").fillna("").agg(lambda cells: " ".join(c for c in cells if c)[:80], axis=1)
        book.add(path.name, "note or blank row: no data", "left out", row=pd.Series(number[blank]), before=first)
    return raw[~blank], number[~blank]


def detect(path, table, columns):
    """The layout of a table that these columns follow: (name, rows of `layouts`). Most columns found wins.

    Raises InputError naming the nearest layout and the columns it lacks.
    """
    have, best, nearest = set(columns), None, None
    for name, rows in layouts(table).items():
        missing = [c for c, need in zip(rows["column"], rows["need"]) if need == "yes" and not _has(c, have)]
        found = sum(_has(c, have) for c in rows["column"])
        if not missing and (best is None or found > best[0]):
            best = (found, name, rows)
        if nearest is None or (len(missing), -found) < nearest[0]:
            nearest = ((len(missing), -found), name, missing)
    if best is None:
        raise InputError(
            f"{path}: not a layout of {table} that gridmap knows ({', '.join(layouts(table))}); nearest is {nearest[1]}, "
            f"which also needs {', '.join(repr(c.replace(OR, ' or ')) for c in nearest[2])}; rename the columns or map them in the TOML under [columns.{table}]"
        )
    return best[1], best[2]


def _has(column, have):
    return any(c in have for c in column.split(OR))


def below_notes(table, raw):
    """The table without notes above its titles, which EIA's workbooks have: the first of NOTES rows that names a layout."""
    if follows(table, raw.columns) or "geometry" in raw:
        return raw
    for row in range(min(NOTES, len(raw))):
        titles = [" ".join(str(cell).split()) for cell in raw.iloc[row]]
        if follows(table, titles):
            return raw.iloc[row + 1 :].set_axis(titles, axis=1)
    return raw


def follows(table, columns):
    """Whether the columns are those of a layout of the table."""
    have = set(columns)
    return any(all(_has(c, have) for c in rows.loc[rows["need"].eq("yes"), "column"]) for rows in layouts(table).values())


def _column_of(said):
    return said.get("column") if isinstance(said, dict) else said


def _own_layout(path, table, columns, have):
    """(name, rows, {field: value}) of a mapping by the user."""
    rows = layouts(table).get(OWN, next(iter(layouts(table).values())))
    unknown = sorted(set(columns) - set(rows["field"]))
    if unknown:
        raise InputError(f"{path}: [columns.{table}] maps {unknown[0]!r}, which is no field of {table}; fields: {', '.join(rows['field'])}")
    lacking = [f for f, need in zip(rows["field"], rows["need"]) if need == "yes" and f not in columns]
    if lacking:
        raise InputError(f"{path}: [columns.{table}] lacks {', '.join(map(repr, lacking))}; add a line for each")
    named = {field: _column_of(said) for field, said in columns.items() if _column_of(said)}
    absent = [c for c in named.values() if c not in set(have)]
    if absent:
        raise InputError(f"{path}: has no column {absent[0]!r}, which [columns.{table}] names; its columns are {', '.join(map(repr, have))}")
    constants = {field: said["value"] for field, said in columns.items() if isinstance(said, dict) and "value" in said}
    times = {field: said.get("times", 1) for field, said in columns.items() if isinstance(said, dict)}
    kinds = dict(zip(rows["field"], rows["type"]))
    wrong = [field for field, factor in times.items() if factor != 1 and kinds[field] != "number"]
    if wrong:
        raise InputError(f"{path}: [columns.{table}] multiplies {wrong[0]}, which is no number; leave out times")
    rows = rows[rows["field"].isin(named)]
    return MAPPED, rows.assign(column=rows["field"].map(named), unit="", times=rows["field"].map(times).fillna(1)), constants


def _with_geometry(frame, raw):
    import geopandas

    return geopandas.GeoDataFrame(frame, geometry=raw.geometry.to_numpy(), crs=raw.crs)
