"""Files of any of several known layouts -> tables with gridmap's own column names (columns.csv holds both)."""

import csv
import functools
import itertools
import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data"
OWN = "gridmap"
NOTES = 5                       # rows above the titles of a sheet that may be notes
MISSING = ("nan", "na", "n/a", "null", "none", ".")       # EIA writes "." for a figure it withholds or lacks
VECTOR = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".kml")


@functools.cache
def layouts(table):
    """{layout: DataFrame[field, column, type, need]} of a table, from columns.csv."""
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
    return needs.assign(says=needs["layout"].map(fact("layouts").set_index("layout")["says"]).fillna(""))[["table", "layout", "says", "needs"]]


def registry(layout):
    """Whose plant numbers a layout uses: "EIA", or "" where they are anybody's."""
    return dict(zip(fact("layouts")["layout"], fact("layouts")["registry"])).get(layout, "")


def read(path, table, columns=None):
    """One file as a table with gridmap's columns.

    path: CSV, Parquet, Excel, or any vector file GDAL reads (then with `geometry`). table: a table of columns.csv.
    columns: {field: column} for a layout that columns.csv does not know, or None.
    Returns (DataFrame or GeoDataFrame, layout): every field of the table the file has, typed, and `source_row`, the data
    row of the file counted from 1.
    Raises InputError for an unreadable file, an unknown layout (with what is missing), a cell that is no number or time.
    """
    path = pathlib.Path(path)
    raw = load(path)
    raw.columns = [str(c).strip() for c in raw.columns]
    if columns:
        layout, rows = _own_layout(path, table, columns, raw.columns)
    else:
        raw = _below_notes(table, raw)
        layout, rows = detect(path, table, raw.columns)
    rows = rows[rows["column"].isin(raw.columns)]
    out = {field: _typed(path, raw[column], kind) for field, column, kind in zip(rows["field"], rows["column"], rows["type"])}
    out["source_row"] = np.arange(1, len(raw) + 1)
    frame = pd.DataFrame(out, index=raw.index).reset_index(drop=True)
    if "geometry" in raw:
        frame = _with_geometry(frame, raw)
    return frame, layout


def load(path):
    """The file as it is: DataFrame, or GeoDataFrame where it has geometry."""
    path = existing(path)
    try:
        return _load(path)
    except InputError:
        raise
    except ImportError:
        raise InputError(f"{path}: Excel files need openpyxl; install it (pip install openpyxl) or save the sheet as CSV") from None
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: can't be read as {path.suffix or 'a table'} ({first}); check the file or its name") from None


def existing(path):
    """The Path. Raises InputError where no file is."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the path of a readable file")
    return path


def _load(path):
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".geoparquet"):
        return _load_parquet(path)
    if suffix in VECTOR:
        import geopandas

        return geopandas.read_file(path)
    if suffix in (".xlsx", ".xls"):
        return pd.read_excel(path, dtype=str, keep_default_na=False)
    if suffix in (".csv", ".txt", ".tsv"):
        return _load_text(path, "\t" if suffix == ".tsv" else ",")
    raise InputError(f"{path}: files ending in {suffix or 'nothing'} are not read; give CSV, Parquet, Excel, GeoPackage or GeoJSON")


def _load_text(path, separator):
    """A delimited file in UTF-8, with or without a byte order mark, or in Windows' western code page. Where a note of
    fewer cells stands above the titles, the columns are numbered and the titles are a row."""
    options = {"dtype": str, "keep_default_na": False, "sep": separator, "index_col": False, "encoding": _encoding(path)}
    with path.open(encoding=options["encoding"], newline="") as file:
        widths = [len(cells) for cells in itertools.islice(csv.reader(file, delimiter=separator), NOTES + 1)]
    if widths and widths[0] < max(widths):
        options["names"] = [f"column {i + 1}" for i in range(max(widths))]
    return pd.read_csv(path, **options)


def _encoding(path):
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
        return "utf-8-sig"
    except UnicodeDecodeError:
        return "cp1252"


def _load_parquet(path):
    import pyarrow.parquet as pq

    if b"geo" in (pq.read_schema(path).metadata or {}):
        import geopandas

        return geopandas.read_parquet(path)
    return pd.read_parquet(path)


def detect(path, table, columns):
    """The layout of a table that these columns follow: (name, rows of `layouts`). Most columns found wins.

    Raises InputError naming the nearest layout and the columns it lacks.
    """
    have, best, nearest = set(columns), None, None
    for name, rows in layouts(table).items():
        missing = [c for c, need in zip(rows["column"], rows["need"]) if need == "yes" and c not in have]
        found = rows["column"].isin(have).sum()
        if not missing and (best is None or found > best[0]):
            best = (found, name, rows)
        if nearest is None or (len(missing), -found) < nearest[0]:
            nearest = ((len(missing), -found), name, missing)
    if best is None:
        raise InputError(
            f"{path}: not a layout of {table} that gridmap knows ({', '.join(layouts(table))}); nearest is {nearest[1]}, "
            f"which also needs {', '.join(map(repr, nearest[2]))}; rename the columns or map them in the TOML under [columns.{table}]"
        )
    return best[1], best[2]


def _below_notes(table, raw):
    """The table without notes above its titles, which EIA's workbooks have: the first of NOTES rows that names a layout."""
    if _follows(table, raw.columns) or "geometry" in raw:
        return raw
    for row in range(min(NOTES, len(raw))):
        titles = [str(cell).strip() for cell in raw.iloc[row]]
        if _follows(table, titles):
            return raw.iloc[row + 1 :].set_axis(titles, axis=1)
    return raw


def _follows(table, columns):
    have = set(columns)
    return any(have >= set(rows.loc[rows["need"].eq("yes"), "column"]) for rows in layouts(table).values())


def _own_layout(path, table, columns, have):
    rows = layouts(table).get(OWN, next(iter(layouts(table).values())))
    unknown = sorted(set(columns) - set(rows["field"]))
    if unknown:
        raise InputError(f"{path}: [columns.{table}] maps {unknown[0]!r}, which is no field of {table}; fields: {', '.join(rows['field'])}")
    lacking = [f for f, need in zip(rows["field"], rows["need"]) if need == "yes" and f not in columns]
    if lacking:
        raise InputError(f"{path}: [columns.{table}] lacks {', '.join(map(repr, lacking))}; add a line for each")
    absent = [c for c in columns.values() if c not in set(have)]
    if absent:
        raise InputError(f"{path}: has no column {absent[0]!r}, which [columns.{table}] names; its columns are {', '.join(map(repr, have))}")
    rows = rows[rows["field"].isin(columns)]
    return "mapped by the user", rows.assign(column=rows["field"].map(columns))


def _typed(path, cells, kind):
    if kind == "number":
        return _numbers(path, cells)
    if kind == "time":
        return _times(path, cells)
    return _texts(cells)


def _texts(cells):
    """Text without outer blanks; missing is ""; whole floats lose their ".0", so that ids join across files."""
    if pd.api.types.is_float_dtype(cells):
        whole = cells.dropna().mod(1).eq(0).all()
        cells = cells.astype("Int64") if whole else cells
    return cells.astype("string").fillna("").str.strip().astype(str)


def _numbers(path, cells):
    if pd.api.types.is_numeric_dtype(cells):
        return cells.astype(float)
    text = _texts(cells).str.replace(",", "")
    numbers = pd.to_numeric(text.where(text.ne(""), None), errors="coerce").astype(float)
    bad = numbers.isna() & text.ne("") & ~text.str.lower().isin(MISSING)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path}: row {row + 1}, column {cells.name!r}: {cells.iloc[row]!r} is not a number; correct the cell")
    return numbers


def _times(path, cells):
    times = pd.to_datetime(cells, errors="coerce", utc=True)
    bad = times.isna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path}: row {row + 1}, column {cells.name!r}: {cells.iloc[row]!r} is not a time; write 2023-07-27T22:00Z")
    return times.dt.tz_localize(None).astype("datetime64[s]")


def _with_geometry(frame, raw):
    import geopandas

    return geopandas.GeoDataFrame(frame, geometry=raw.geometry.to_numpy(), crs=raw.crs)
