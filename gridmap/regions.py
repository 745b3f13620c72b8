"""The regions a map is made of, as valid polygons in longitude and latitude."""

import geopandas
import numpy as np
import pandas as pd
import shapely

from gridmap import InputError, tables

COLUMNS = ["region_id", "name", "state", "interconnect", "zone", "geometry"]


def bundled(ledger):
    """(regions, files): the counties of the 48 states, Connecticut as one region, with zone and interconnect."""
    files = [tables.DATA / name for name in ("counties.parquet", "county_zones.parquet", "zones.parquet")]
    frame, _ = tables.read(files[0], "regions")
    return with_zones(merge_counties(frame, ledger, files[0].name)), files


def read(path, ledger, columns=None):
    """The user's regions. Raises InputError for a file without CRS, a region without id, repeated ids, and polygons that
    are empty, not polygons, or cross themselves."""
    frame, _ = tables.read(path, "regions", columns, ledger)
    if "geometry" not in frame:
        raise InputError(f"{path}: holds no geometry; give polygons (GeoPackage, GeoJSON, Shapefile or GeoParquet)")
    if frame.crs is None:
        raise InputError(f"{path}: says no coordinate reference system; write the file with one (EPSG:4326 for longitude and latitude)")
    _refuse(path, frame, frame["region_id"].eq(""), "has no region_id; give every region one")
    padded = county_codes(frame["region_id"])
    changed = padded.ne(frame["region_id"])
    ledger.add(path.name, "county code that lost its leading zero", "changed", row=frame.loc[changed, "source_row"], before=frame.loc[changed, "region_id"], after=padded[changed])
    frame["region_id"] = padded
    _refuse(path, frame, frame["region_id"].duplicated(), "repeats a region_id; make the ids unique")
    shapes = frame.geometry.to_numpy()
    _refuse(path, frame, shapely.is_missing(shapes) | shapely.is_empty(shapes), "has no geometry; leave the row out or give it one")
    _refuse(path, frame, ~np.isin(shapely.get_type_id(shapes), (3, 6)), "is no polygon; give Polygon or MultiPolygon")
    invalid = ~shapely.is_valid(shapes)
    if invalid.any():
        why = shapely.is_valid_reason(shapes[int(np.argmax(invalid))])
        _refuse(path, frame, invalid, f"crosses or touches itself ({why}); repair it, for example with QGIS's Fix Geometries")
    frame = frame.to_crs(4326)
    bounds = frame.bounds
    outside = (bounds.minx < -180) | (bounds.maxx > 180) | (bounds.miny < -90) | (bounds.maxy > 90)
    _refuse(path, frame, outside, "lies outside the world; check the file's coordinate reference system")
    frame.geometry = [s if s.geom_type == "MultiPolygon" else shapely.MultiPolygon([s]) for s in frame.geometry]
    return with_zones(merge_counties(frame, ledger, path.name))


def merge_counties(frame, ledger, file):
    """Counties whose codes differ between the files are merged as county_merges.csv says, if no such region exists yet."""
    merges = tables.fact("county_merges")
    merges = merges[merges["fips"].isin(frame["region_id"])]
    if len(merges) == 0:
        return frame
    target = frame["region_id"].map(merges.set_index("fips")["region_id"])
    for region, rows in frame[target.notna()].groupby(target.dropna()):
        first = merges[merges["region_id"].eq(region)].iloc[0]
        whole = shapely.coverage_union_all(rows.geometry.to_numpy())
        whole = whole if whole.geom_type == "MultiPolygon" else shapely.MultiPolygon([whole])
        ledger.add(file, f"merged into one region: {first['why']}", "merged", row=rows["source_row"],
                   plant=rows["region_id"] + " " + rows["name"], after=f"{region} {first['name']}")
        merged = rows.iloc[:1].assign(region_id=region, name=first["name"], state=first["state"], source_row=0)
        merged.geometry = [whole]
        frame = pd.concat([frame.drop(rows.index), merged])
    return frame.sort_values("region_id").reset_index(drop=True)


def with_zones(frame):
    """The canonical columns, and group where the file has it; zone and interconnect by county code where the file itself does not say."""
    zones, _ = tables.read(tables.DATA / "zones.parquet", "zones")
    counties, _ = tables.read(tables.DATA / "county_zones.parquet", "county_zones")
    merges = tables.fact("county_merges").set_index("fips")["region_id"]
    counties["region_id"] = counties["region_id"].map(merges).fillna(counties["region_id"])
    counties = counties.drop_duplicates("region_id").merge(zones, on="zone", suffixes=("", "_zone")).set_index("region_id")
    for field in ("name", "state", "zone", "interconnect"):
        if field not in frame:
            found = frame["region_id"].map(counties[field]) if field in counties else None
            frame[field] = frame["region_id"] if field == "name" else ("" if found is None else found.fillna(""))
    columns = [*COLUMNS[:-1], *(["group"] if "group" in frame else []), "geometry"]
    return geopandas.GeoDataFrame(frame[columns].reset_index(drop=True), geometry="geometry", crs=4326)


def county_codes(ids):
    """Region ids with counties' codes as five digits: "p01001" and a number that lost its zero, "1001", are "01001".

    Numbers are padded only where all ids are numbers of four or five digits and some have four.
    """
    ids = ids.where(~ids.str.fullmatch(r"p\d{5}"), ids.str[1:])
    digits = ids.str.fullmatch(r"\d{4,5}")
    return ids.str.zfill(5) if digits.all() and ids.str.len().eq(4).any() else ids


def _refuse(path, frame, bad, why):
    bad = np.asarray(bad)
    if bad.any():
        row = frame.iloc[int(np.argmax(bad))]
        raise InputError(f"{path}: row {row['source_row']} ({row['region_id']}) {why}")
