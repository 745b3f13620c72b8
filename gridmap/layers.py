"""Tables of a run -> five layers with shapes, in one equal-area CRS: regions, plants, lines, corridors, pockets.

fields.csv is the list of their columns, each with its title.
"""

import functools

import geopandas
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridmap import style, tables

SHAPES = {"regions": "MultiPolygon", "plants": "Point", "lines": "MultiLineString", "corridors": "LineString", "pockets": "MultiPolygon"}
STUDY = dict.fromkeys(("adequacy", "adequacy_energy", "adequacy_change"), "MultiPolygon")  # the layers of `gridmap adequacy`
EXPLAINED = ["layer", "column", "title", "description"]
UNITED_STATES = pyproj.CRS(5070)  # Albers on NAD83, made for the 48 states


def build(inputs, found):
    """{layer: GeoDataFrame} with the columns of fields.csv in their order; attrs say its one `geometry_type` and the `run`.

    inputs: read.Inputs (polygons, lines). found: flow.Findings of an hour, or chronicle.Chronicle of a year.
    """
    crs, areas = shapes(inputs)
    ends = _ends(areas, found.corridors)
    sites = geopandas.points_from_xy(found.plants["lon"], found.plants["lat"], crs=4326).to_crs(crs)
    near = _near(inputs.lines, inputs.regions)
    content = {
        "regions": (found.regions, areas),
        "plants": (found.plants, sites),
        "lines": (near, [shapely.MultiLineString(list(shapely.get_parts(shape))) for shape in near.geometry.to_crs(crs)]),
        "corridors": (found.corridors, ends),
        "pockets": (found.pockets, only_polygons(shapely.union_all(areas[members]) for members in found.pockets["members"])),
    }
    return {name: layer(name, found.run, table, shapes, crs) for name, (table, shapes) in content.items()}


def build_some(inputs, found):
    """The same of what only says something of regions and perhaps corridors: siting.Siting, scenario.Difference."""
    crs, areas = shapes(inputs)
    content = {"regions": (found.regions, areas)}
    if hasattr(found, "corridors"):
        content["corridors"] = (found.corridors, _ends(areas, found.corridors))
    return {name: layer(name, found.run, table, shown, crs) for name, (table, shown) in content.items()}


def shapes(inputs):
    """(the equal-area CRS, (R,) the regions' polygons in it)."""
    crs = equal_area(inputs.regions)
    # what only just misses itself in degrees may cross itself in metres
    return crs, only_polygons(shapely.make_valid(inputs.regions.geometry.to_crs(crs).to_numpy()))


def _ends(areas, corridors):
    """A straight line for each corridor between points inside its two regions."""
    return shapely.linestrings(shapely.get_coordinates(shapely.point_on_surface(areas))[corridors[["tail_row", "head_row"]].to_numpy()])


def equal_area(regions):
    """EPSG:5070 where the regions lie in the area it is made for; elsewhere Lambert's projection about their middle."""
    west, south, east, north = regions.to_crs(4326).total_bounds
    box, slack = UNITED_STATES.area_of_use, 0.1  # degrees: simplified borders stray a little
    if box.west - slack <= west and east <= box.east + slack and box.south - slack <= south and north <= box.north + slack:
        return UNITED_STATES
    return pyproj.CRS(f"+proj=laea +lat_0={(south + north) / 2:.4f} +lon_0={(west + east) / 2:.4f} +datum=WGS84 +units=m")


def only_polygons(shapes):
    """Each shape's polygons as one MultiPolygon: points and lines that mending left would make the layer unreadable."""
    return np.array([shapely.MultiPolygon([p for p in _parts(shape) if p.geom_type == "Polygon"]) for shape in shapes], dtype=object)


def titles(shown):
    """Rows (layer, column, title, description) for the columns of the layers."""
    rows = pd.concat([_fields(name, layer.attrs["run"]) for name, layer in shown.items()])
    return list(rows[EXPLAINED].itertuples(index=False, name=None))


def explanations(run):
    """DataFrame[layer, column, title, description] of everything a run ("hour" or "year") writes in columns."""
    fields = tables.fact("fields")
    return fields.loc[fields["run"].isin(["", run]), EXPLAINED]


def styles(shown):
    """{layer: QML}: how QGIS shows each."""
    corridor = functools.partial(style.line, width_expression='0.1 + sqrt(max("forward_mw", "backward_mw")) / 60')
    looks = {
        "plants": style.categorized("fuel", style.FUELS, functools.partial(style.marker, size_expression='0.6 + sqrt("nameplate_mw") / 12')),
        "lines": style.graduated('coalesce("voltage_kv", -1)', style.VOLTAGES, style.line),
        "pockets": style.single(style.fill(None, style.POCKET, 0.5)),
        "adequacy": style.graduated("lole_hours", style.LOLE, style.fill),
        "adequacy_energy": style.graduated("neue_ppm", style.NEUE, style.fill),
        **({"adequacy_change": style.graduated("eue_mwh", style.worse_or_better(shown["adequacy_change"]["eue_mwh"], "MWh"), style.fill)}
           if "adequacy_change" in shown else {}),
        **(_looks_by_run(shown["regions"], corridor) if "regions" in shown else {}),
    }
    heads = {name: _fields(name, layer.attrs["run"]) for name, layer in shown.items()}
    return {name: style.qml(looks[name], shown[name].attrs["geometry_type"], dict(zip(heads[name]["column"], heads[name]["title"]))) for name in shown}


def _looks_by_run(regions, corridor):
    """How regions and corridors look: each kind of run colours them by what it is about."""
    run = regions.attrs["run"]
    if run == "hour":
        return {"regions": style.graduated("balance_mw", style.short_or_spare(regions["balance_mw"], "MW"), style.fill),
                "corridors": style.graduated("loading_pct", style.LOADINGS, corridor)}
    if run == "where":
        return {"regions": style.graduated("load_mw", style.HEADROOMS, style.fill)}
    if run == "compare":
        return {"regions": style.graduated("change_mwh", style.worse_or_better(regions["change_mwh"], "MWh"), style.fill),
                "corridors": style.graduated("hours_full", style.HOURS, corridor)}
    return {"regions": style.graduated("unserved_pct", style.ENERGY_SHARES, style.fill),
            "corridors": style.graduated("hours_full", style.HOURS, corridor)}


def _fields(name, run):
    """The rows of fields.csv for a layer of a run: "hour" or "year"."""
    fields = tables.fact("fields")
    return fields[fields["layer"].eq(name) & fields["run"].isin(["", run])]


def layer(name, run, table, shapes, crs):
    """A table with shapes as the layer `name` of a run: the columns of fields.csv in their order."""
    columns = list(_fields(name, run)["column"])
    made = geopandas.GeoDataFrame(table[columns].reset_index(drop=True), geometry=np.asarray(shapes, dtype=object), crs=crs)
    made.attrs = {"geometry_type": (SHAPES | STUDY)[name], "run": run}  # and not the hour of the table: GeoParquet would want it in JSON
    return made


def _near(lines, regions):
    """The lines that come near the regions; none where the run has none."""
    if lines is None:
        columns = {column: pd.Series(dtype=float if column.endswith("_kv") else str) for column in _fields("lines", "")["column"]}
        return geopandas.GeoDataFrame(columns, geometry=[], crs=4326)
    return lines[shapely.intersects(lines.geometry.to_numpy(), shapely.box(*regions.total_bounds))]


def _parts(shape):
    parts = shapely.get_parts(shape)
    return [q for p in parts for q in (_parts(p) if p.geom_type in ("MultiPolygon", "GeometryCollection") else [p])]
