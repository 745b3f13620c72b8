"""Region sets that are drawn over the country: H3 hexagons and squares of an equal-area raster, cut at county borders.

What is known of demand and limits is known by county. A cell that held parts of two counties would join them past the
limit between them; so it is cut there, and the parts of all cells together tell exactly what the counties tell.
"""

import re

import geopandas
import numpy as np
import scipy.sparse
import shapely

from gridmap import InputError

H3 = re.compile(r"h3:(\d+)")
RASTER = re.compile(r"raster:(\d+(?:\.\d+)?)km")
MOST = 60_000                   # cells: more than this the flows of an hour are no longer a matter of seconds
SLIVER = 0.02                   # of a cell
EQUAL_AREA = 5070               # Albers on NAD83, made for the 48 states


def is_grid(by):
    """Whether `by` names such a set: "h3:4" (resolution 0 to 15) or "raster:50km" (side of a square)."""
    return bool(H3.fullmatch(by) or RASTER.fullmatch(by))


def make(by, ground):
    """GeoDataFrame[cell, geometry] of the cells that meet the polygons of `ground`, in EPSG:4326.

    Raises InputError for a resolution or size that makes no cells or too many, and where the library h3 is missing.
    """
    area = ground.to_crs(EQUAL_AREA).area.sum()
    hexagons = H3.fullmatch(by)
    ids, shapes = _hexagons(int(hexagons[1]), ground, area) if hexagons else _squares(float(RASTER.fullmatch(by)[1]), ground, area)
    return geopandas.GeoDataFrame({"cell": ids}, geometry=shapes, crs=4326)


def cut(cells, counties):
    """(regions, (R,) county of each, (R, C) csr_array of the share of each county's area): the parts of the cells in each
    county, with its name, state, zone and interconnect. region_id: the cell, and the county behind it where the cell has
    several parts. A part below SLIVER of a cell joins the largest part of its county that it touches."""
    a, b = cells.geometry.to_numpy(), counties.geometry.to_numpy()
    county, cell = shapely.STRtree(a).query(b, predicate="intersects")
    shapes = only_polygons(shapely.intersection(shapely.make_valid(b[county]), a[cell]))
    some = shapely.area(shapes) > 0
    county, cell, shapes = county[some], cell[some], shapes[some]
    county, cell, shapes = _without_slivers(county, cell, shapes, shapely.area(a)[cell])
    several = np.bincount(cell, minlength=len(a))[cell] > 1
    ids = cells["cell"].to_numpy(object)[cell] + np.where(several, "-" + counties["region_id"].to_numpy(object)[county], "")
    order = np.argsort(ids.astype(str), kind="stable")
    made = counties.iloc[county[order]][["name", "state", "zone", "interconnect"]].reset_index(drop=True)
    regions = geopandas.GeoDataFrame(made.assign(region_id=ids[order]), geometry=shapes[order], crs=4326)[["region_id", "name", "state", "interconnect", "zone", "geometry"]]
    area = regions.to_crs(EQUAL_AREA).area.to_numpy()
    home = county[order]
    share = scipy.sparse.csr_array((area / np.bincount(home, area, len(b))[home], (np.arange(len(home)), home)), shape=(len(home), len(b)))
    return regions, home, share


def _without_slivers(county, cell, shapes, whole):
    area = shapely.area(shapes)
    small = np.flatnonzero(area < SLIVER * whole)
    into = {}
    rows = {c: np.flatnonzero(county == c) for c in np.unique(county[small])}
    for row in small:
        others = rows[county[row]]
        others = others[(area[others] > area[row]) & shapely.intersects(shapes[others], shapes[row])]
        if len(others):
            into[row] = others[area[others].argmax()]
    shapes = shapes.copy()
    for row in sorted(into, key=lambda r: area[r]):  # the smallest first: its part may be a sliver too
        shapes[into[row]] = only_polygons([shapely.union(shapes[into[row]], shapes[row])])[0]
    stay = np.setdiff1d(np.arange(len(shapes)), list(into))
    return county[stay], cell[stay], shapes[stay]


def only_polygons(shapes):
    """Each shape's polygons as one MultiPolygon."""
    return np.array([shapely.MultiPolygon([p for p in shapely.get_parts(s) if p.geom_type == "Polygon"]) for s in shapes], dtype=object)


def _hexagons(resolution, ground, area):
    try:
        import h3
    except ImportError:
        raise InputError("by h3: needs the library h3; install it (pip install h3)") from None
    if resolution > 15:
        raise InputError(f"by h3:{resolution}: resolutions go from 0 to 15")
    _refuse_many(f"h3:{resolution}", area / (h3.average_hexagon_area(resolution, "km^2") * 1e6))
    found = set()
    for shape in ground.geometry:
        found |= set(h3.h3shape_to_cells_experimental(h3.geo_to_h3shape(shape), resolution, contain="overlap"))
    ids = sorted(found)
    rings = [h3.cell_to_boundary(cell) for cell in ids]
    return ids, [shapely.MultiPolygon([shapely.Polygon([(lon, lat) for lat, lon in ring])]) for ring in rings]


def _squares(km, ground, area):
    if not km > 0:
        raise InputError(f"by raster:{km:g}km: give a side above zero")
    _refuse_many(f"raster:{km:g}km", area / (km * 1e3) ** 2)
    shapes = ground.to_crs(EQUAL_AREA).geometry.to_numpy()
    west, south, east, north = shapely.total_bounds(shapes)
    side = km * 1e3
    column, row = np.meshgrid(np.arange(np.floor(west / side), np.ceil(east / side)), np.arange(np.floor(south / side), np.ceil(north / side)))
    column, row = column.ravel(), row.ravel()
    squares = shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
    meets = np.unique(shapely.STRtree(squares).query(shapes, predicate="intersects")[1])
    inside = geopandas.GeoSeries(squares[meets], crs=EQUAL_AREA).to_crs(4326)
    return [f"{int(column[k])}_{int(row[k])}" for k in meets], [shapely.MultiPolygon([s]) for s in inside]


def _refuse_many(by, cells):
    if cells > MOST:
        raise InputError(f"by {by}: that is {cells:,.0f} cells; give larger ones (up to {MOST:,}) or a smaller area with --regions")
