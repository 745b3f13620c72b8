"""Files of transmission lines and substations, and what is wrong with them."""

import pathlib

import geopandas
import numpy as np
import pandas as pd
import shapely

from gridmap import InputError, files, tables

ENDS = ["from_lon", "from_lat", "to_lon", "to_lat"]
TEXTS = ("name", "status", "kind", "owner", "voltage_class")
NUMBERS = ("circuits", "thermal_mw")
CARRY = {"osm": ("line", "minor_line", "cable")}           # values of kind that are lines in use, for layouts that have others
STATIONS = {"osm": ("substation", "station", "sub_station")}
WIRES = 3                       # of a circuit


def read(path, book, columns=None):
    """(lines, why the file is probably cut off or "").

    Lines: GeoDataFrame[file, source_row, name, voltage_kv, voltage_class, kind, status, owner, carries, geometry] in EPSG:4326,
    and circuits and thermal_mw (of a circuit) where the file has them. A row of two ends (from_lon, from_lat, to_lon,
    to_lat) becomes a straight line. voltage_kv is NaN where unknown: a voltage of 0 or below (HIFLD writes -999999) is
    taken from its class where it names one. carries: False for what a limit must not count: lines not in use or not
    built, direct current. Everything changed or left out is reported. Raises InputError without geometry or CRS.
    """
    path = pathlib.Path(path)
    frame, layout = tables.read(path, "lines", columns, book)
    frame = _with_ends(path, frame)
    if frame.crs is None:
        raise InputError(f"{path}: says no coordinate reference system; write the file with one (EPSG:4326 for longitude and latitude)")
    for field in TEXTS:
        if field not in frame:
            frame[field] = ""
    for field in ("voltage_kv", "frequency", "cables"):
        if field not in frame:
            frame[field] = np.nan
    cut_off = files.cut_off(path, len(frame))
    if cut_off:
        book.add(path.name, "file probably not whole: " + cut_off, "kept", plant=f"{len(frame)} rows")
    frame = _only_lines(path, frame, layout, book)
    frame["voltage_kv"] = _voltages(path, frame, book)
    frame["carries"] = _carries(path, frame, book)
    _count_circuits(path, frame, book)
    _note_repeated(path, frame, book)
    frame["file"] = path.name
    known = [field for field in NUMBERS if field in frame]
    return frame.to_crs(4326)[["file", "source_row", "name", "voltage_kv", "voltage_class", "kind", "status", "owner", "carries", *known, "geometry"]].reset_index(drop=True), cut_off


def read_substations(path, book, columns=None):
    """GeoDataFrame[name, voltage_kv, source_row, geometry]: points in EPSG:4326. Rows without a place, or that are no
    substation (OpenStreetMap has others), or not in use, are left out and reported."""
    path = pathlib.Path(path)
    frame, layout = tables.read(path, "substations", columns, book)
    if "geometry" not in frame:
        if not {"lon", "lat"} <= set(frame):
            raise InputError(f"{path}: holds no places; give lon and lat, or points")
        frame = geopandas.GeoDataFrame(frame, geometry=geopandas.points_from_xy(frame["lon"], frame["lat"]), crs=4326)
        frame.loc[frame["lon"].isna() | frame["lat"].isna(), "geometry"] = None
    if frame.crs is None:
        raise InputError(f"{path}: says no coordinate reference system; write the file with one (EPSG:4326 for longitude and latitude)")
    for field in ("name", "status", "element"):
        if field not in frame:
            frame[field] = ""
    if "voltage_kv" not in frame:
        frame["voltage_kv"] = np.nan
    nowhere = shapely.is_missing(frame.geometry.to_numpy()) | shapely.is_empty(frame.geometry.to_numpy())
    other = ~nowhere & ~frame["element"].isin(STATIONS[layout]) if layout in STATIONS else np.zeros(len(frame), bool)
    idle = ~nowhere & ~other & ~_in_use(frame["status"])[0]
    for chosen, rule in ((nowhere, "substation without a place"), (other, "no substation"), (idle, "substation not in use")):
        rows = frame[chosen]
        book.add(path.name, rule, "left out", row=rows["source_row"], plant=rows["name"], before=rows["element"] + rows["status"])
    frame = frame[~(nowhere | other | idle)].to_crs(4326)
    frame["voltage_kv"] = frame["voltage_kv"].where(frame["voltage_kv"] > 0)
    frame.geometry = frame.geometry.representative_point()
    return frame[["name", "voltage_kv", "source_row", "geometry"]].reset_index(drop=True)


def _with_ends(path, frame):
    if "geometry" in frame:
        return frame
    if not set(ENDS) <= set(frame):
        raise InputError(f"{path}: holds no geometry; give lines (GeoPackage, GeoJSON, Shapefile or GeoParquet), or {', '.join(ENDS)}")
    ends = frame[ENDS].to_numpy(float)
    whole = np.isfinite(ends).all(axis=1)
    shapes = np.full(len(frame), None, object)
    shapes[whole] = shapely.linestrings(ends[whole].reshape(-1, 2, 2))
    return geopandas.GeoDataFrame(frame.drop(columns=ENDS), geometry=shapes, crs=4326)


def _only_lines(path, frame, layout, book):
    """The rows that are lines with a geometry."""
    shapes = frame.geometry.to_numpy()
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    other = ~empty & ~np.isin(shapely.get_type_id(shapes), (1, 5))
    if layout in CARRY:
        other |= ~empty & ~frame["kind"].isin(CARRY[layout]).to_numpy()
    book.add(path.name, "line without geometry", "left out", row=frame.loc[empty, "source_row"])
    book.add(path.name, "no line in use", "left out", row=frame.loc[other, "source_row"], before=frame.loc[other, "kind"])
    return frame[~(empty | other)].reset_index(drop=True)


def _voltages(path, frame, book):
    """kV, NaN where unknown; where the class is known its usual voltage: the median of its lines in the file that say
    theirs, else that of voltage_classes.csv."""
    kv = frame["voltage_kv"].where(frame["voltage_kv"] > 0)
    unknown = kv.isna() & ~frame["kind"].str.upper().str.contains("DC")
    usual = kv.groupby(frame["voltage_class"]).median()
    table = tables.fact("voltage_classes").set_index("class")["kv"].astype(float)
    by_class = frame["voltage_class"].map(usual.dropna().drop("", errors="ignore").combine_first(table))
    mended = unknown & by_class.notna() & frame["voltage_class"].isin(table.index)
    for chosen, rule in ((mended, "line without a voltage: the usual one of its class"), (unknown & ~mended, "line without a voltage")):
        rows = frame[chosen]
        after = by_class[chosen].map("{:g} kV".format) if chosen is mended else rows["voltage_class"].where(rows["voltage_class"].eq(""), "class " + rows["voltage_class"])
        book.add(path.name, rule, "changed", row=rows["source_row"], plant=rows["name"], before=rows["voltage_kv"], after=after)
    return kv.where(~mended, by_class)


def _in_use(status):
    """((N,) bool: whether lines and stations of these statuses carry power, (N,) why not in words)."""
    facts = tables.fact("line_statuses").set_index("status")
    words = status.str.upper()
    return ~words.map(facts["carries"]).eq("no").to_numpy(), words.map(facts["says"]).fillna("")


def _carries(path, frame, book):
    """(N,) bool: lines that count when limits are made from them."""
    in_use, why = _in_use(frame["status"])
    rows = frame[~in_use]
    book.add(path.name, "line that carries nothing: no limit counts it", "kept", row=rows["source_row"], plant=rows["name"], before=rows["status"], after=why[~in_use])
    blind = frame[frame["status"].str.upper().eq("NOT AVAILABLE")]
    if len(blind):
        book.add(path.name, "line whose status is unknown: taken to be in service", "kept", plant=f"{len(blind)} lines")
    direct = in_use & (frame["kind"].str.upper().str.contains(r"\bDC\b").to_numpy() | frame["frequency"].eq(0).to_numpy())
    rows = frame[direct]
    book.add(path.name, "direct current: its limit is its converters', not its voltage's; no limit counts it", "kept", row=rows["source_row"], plant=rows["name"], before=rows["kind"])
    return in_use & ~direct


def _count_circuits(path, frame, book):
    """Circuits where the file has any: where only wires are counted a circuit for every three, else one."""
    if "circuits" in frame:
        frame["circuits"] = frame["circuits"].where(frame["circuits"] > 0)
    if (frame["cables"] >= 2 * WIRES).any():
        _from_wires(path, frame, book)
    if "circuits" in frame:
        frame["circuits"] = frame["circuits"].fillna(1.0)


def _from_wires(path, frame, book):
    given = frame["circuits"] if "circuits" in frame else pd.Series(np.nan, frame.index)
    counted = given.isna() & (frame["cables"] >= 2 * WIRES)
    rows = frame[counted]
    book.add(path.name, "circuits counted from the wires, three each", "changed", row=rows["source_row"], before=rows["cables"], after=rows["cables"] // WIRES)
    frame["circuits"] = given.mask(counted, frame["cables"] // WIRES)


def _note_repeated(path, frame, book):
    """Lines drawn twice over the same points: second circuits, or copies; the file does not say which, so they stay."""
    key = shapely.to_wkb(shapely.normalize(frame.geometry.to_numpy()))
    again = pd.Series(key, frame.index).duplicated()
    book.add(path.name, "geometry repeated: kept, a second circuit or a copy", "kept", row=frame.loc[again, "source_row"], plant=frame.loc[again, "name"])
