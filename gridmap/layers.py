"""Tables of a run -> five layers with shapes, in one equal-area CRS: regions, plants, lines, corridors, pockets.

fields.csv is the list of their columns, each with its title.
"""

import functools

import geopandas
import numpy as np
import pyproj
import shapely

from gridmap import style, tables

SHAPES = {"regions": "MultiPolygon", "plants": "Point", "lines": "MultiLineString", "corridors": "LineString", "pockets": "MultiPolygon"}
UNITED_STATES = pyproj.CRS(5070)  # Albers on NAD83, made for the 48 states


def build(inputs, found):
    """{layer: GeoDataFrame} with the columns of fields.csv in their order; `attrs["geometry_type"]` is the one type of each.

    inputs: read.Inputs (polygons, lines). found: findings.Findings.
    """
    crs = equal_area(inputs.regions)
    # what only just misses itself in degrees may cross itself in metres
    areas = only_polygons(shapely.make_valid(inputs.regions.geometry.to_crs(crs).to_numpy()))
    ends = shapely.get_coordinates(shapely.point_on_surface(areas))[found.corridors[["tail_row", "head_row"]].to_numpy()]
    in_pocket = found.regions["pocket_id"].to_numpy()
    layers = {
        "regions": _layer("regions", found.regions, areas, crs),
        "plants": _layer("plants", found.plants, geopandas.points_from_xy(found.plants["lon"], found.plants["lat"], crs=4326).to_crs(crs), crs),
        "lines": _lines(inputs.lines, inputs.regions, crs),
        "corridors": _layer("corridors", found.corridors, shapely.linestrings(ends), crs),
        "pockets": _layer("pockets", found.pockets, only_polygons(
            shapely.union_all(areas[in_pocket == i]) for i in found.pockets["pocket_id"]), crs),
    }
    return layers


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


def titles():
    """Rows (layer, column, title, description) of fields.csv."""
    return list(tables.fact("fields").itertuples(index=False, name=None))


def styles(layers):
    """{layer: QML}: how QGIS shows each."""
    regions, corridors = layers["regions"], layers["corridors"]
    looks = {
        "regions": style.graduated("balance_mw", style.short_or_spare(regions["balance_mw"], "MW"), style.fill),
        "plants": style.categorized("fuel", style.FUELS, functools.partial(style.marker, size_expression='0.6 + sqrt("nameplate_mw") / 12')),
        "lines": style.graduated('coalesce("voltage_kv", -1)', style.VOLTAGES, style.line),
        "corridors": style.graduated("loading_pct", style.LOADINGS, functools.partial(
            style.line, width_expression='0.1 + sqrt(max("forward_mw", "backward_mw")) / 60')),
        "pockets": style.single(style.fill(None, style.POCKET, 0.5)),
    }
    heads = tables.fact("fields")
    aliases = {name: dict(zip(part["column"], part["title"])) for name, part in heads.groupby("layer")}
    return {name: style.qml(look, SHAPES[name], aliases[name]) for name, look in looks.items()}


def _layer(name, table, shapes, crs):
    columns = tables.fact("fields").query("layer == @name")["column"]
    layer = geopandas.GeoDataFrame(table[list(columns)].reset_index(drop=True), geometry=np.asarray(shapes, dtype=object), crs=crs)
    layer.attrs = {"geometry_type": SHAPES[name]}  # not the hour: GeoParquet would want it in JSON
    return layer


def _lines(lines, regions, crs):
    """The lines near the regions, each as one MultiLineString."""
    west, south, east, north = regions.total_bounds
    near = lines[shapely.intersects(lines.geometry.to_numpy(), shapely.box(west, south, east, north))]
    shapes = [shapely.MultiLineString(list(shapely.get_parts(shape))) for shape in near.geometry.to_crs(crs)]
    return _layer("lines", near, shapes, crs)


def _parts(shape):
    parts = shapely.get_parts(shape)
    return [q for p in parts for q in (_parts(p) if p.geom_type in ("MultiPolygon", "GeometryCollection") else [p])]
