"""Files of any of several formats -> their tables as they are: CSV, Excel, Parquet, and all that GDAL reads."""

import csv
import itertools
import pathlib
import re

import pandas as pd

from gridmap import InputError

NOTES = 5                       # rows above the titles of a sheet that may be notes
VECTOR = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".kml", ".zip", ".gml")
OSM = (".osm", ".pbf")
EXCEL = (".xlsx", ".xlsm", ".xls")
SEPARATORS = (",", ";", "\t", "|")
DECIMAL_COMMA = r"^(-?\d+),(\d+)$"
TAG = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')       # of the hstore text in which GDAL keeps OpenStreetMap's tags
CUT_OFF = re.compile(rb'"exceededTransferLimit"\s*:\s*true')
PAGE = 1000                     # feature servers stop at a multiple of this


def load(path):
    """The only table of a file, as it is: DataFrame, or GeoDataFrame where it has geometry."""
    return sheets(path)[0][1]


def sheets(path):
    """[(name, DataFrame or GeoDataFrame)] of every sheet of a workbook and layer of a vector file; the name is "" where
    there is only one. Raises InputError for a file that is missing or can't be read."""
    path = existing(path)
    try:
        found = list(_sheets(path))
    except InputError:
        raise
    except ImportError:
        raise InputError(f"{path}: Excel files need openpyxl; install it (pip install openpyxl) or save the sheet as CSV") from None
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: can't be read as {path.suffix or 'a table'} ({first}); check the file or its name") from None
    if not found:
        raise InputError(f"{path}: holds no table; check the file")
    return [("", found[0][1])] if len(found) == 1 else found


def existing(path):
    """The Path. Raises InputError where no file is."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the path of a readable file")
    return path


def cut_off(path, rows):
    """Why a vector file is probably not whole, in words, or ""."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".geojson", ".json"):
        return ""
    text = path.read_bytes()
    if CUT_OFF.search(text):
        return "the server's answer was cut off (exceededTransferLimit)"
    return f"exactly {rows:,} rows, where servers stop" if rows and rows % PAGE == 0 else ""


def _sheets(path):
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".geoparquet"):
        yield "", _parquet(path)
    elif suffix in VECTOR or suffix in OSM:
        yield from _layers(path, suffix in OSM)
    elif suffix in EXCEL:
        # without titles, so that notes above them are rows like others
        for name, raw in pd.read_excel(path, sheet_name=None, dtype=str, keep_default_na=False, header=None).items():
            if len(raw):
                yield name, _titled(raw)
    elif suffix in (".csv", ".txt", ".tsv"):
        yield "", _text(path)
    else:
        raise InputError(f"{path}: files ending in {suffix or 'nothing'} are not read; give CSV, Excel, Parquet, GeoPackage, Shapefile or GeoJSON")


def _titled(raw):
    """The first row as titles; where it has fewer cells than others it is a note, and the columns are numbered."""
    filled = raw.ne("").sum(axis=1)
    if filled.iloc[0] < filled.iloc[: NOTES + 1].max():
        return raw.set_axis([f"column {i + 1}" for i in range(raw.shape[1])], axis=1)
    return raw.iloc[1:].set_axis([str(cell) for cell in raw.iloc[0]], axis=1).reset_index(drop=True)


def _layers(path, osm):
    import geopandas
    import pyogrio

    names = [name for name, _ in pyogrio.list_layers(path) if name != "layer_styles"]
    for name in names:
        options = {"where": "other_tags LIKE '%\"power\"=>%'"} if osm else {}
        frame = geopandas.read_file(path, layer=name, **options)
        if osm and not len(frame):
            continue
        yield name, _with_tags(frame)


def _with_tags(frame):
    """A column for each of OpenStreetMap's tags that GDAL left in `other_tags`."""
    if "other_tags" not in frame:
        return frame
    tags = pd.DataFrame([dict(TAG.findall(text)) if isinstance(text, str) else {} for text in frame["other_tags"]], index=frame.index)
    return frame.drop(columns="other_tags").join(tags.drop(columns=[c for c in tags if c in frame]))


def _text(path):
    """A file delimited by commas, semicolons (then with decimal commas, as in much of Europe), tabs or bars, in UTF-8, with or without a byte order mark, or in Windows' western code page. Where a note of
    fewer cells stands above the titles, the columns are numbered and the titles are a row."""
    options = {"dtype": str, "keep_default_na": False, "index_col": False, "encoding": _encoding(path)}
    with path.open(encoding=options["encoding"], newline="") as file:
        head = file.readlines(1 << 16)[: NOTES + 1]
    separator = options["sep"] = max(SEPARATORS, key=lambda mark: max((line.count(mark) for line in head), default=0))
    with path.open(encoding=options["encoding"], newline="") as file:
        widths = [len(cells) for cells in itertools.islice(csv.reader(file, delimiter=separator), NOTES + 1)]
    if widths and widths[0] < max(widths):
        options["names"] = [f"column {i + 1}" for i in range(max(widths))]
    frame = pd.read_csv(path, **options)
    return frame.replace(DECIMAL_COMMA, r"\1.\2", regex=True) if separator == ";" else frame


def _encoding(path):
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
        return "utf-8-sig"
    except UnicodeDecodeError:
        return "cp1252"


def _parquet(path):
    import pyarrow.parquet as pq

    if b"geo" in (pq.read_schema(path).metadata or {}):
        import geopandas

        return geopandas.read_parquet(path)
    return pd.read_parquet(path)
