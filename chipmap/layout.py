"""Objects as polygons that share their borders exactly, and as GeoJSON, GDSII and OASIS in real units."""

import csv
import functools
import json
import pathlib
import zlib
from fractions import Fraction

import numpy as np

from chipmap import InputError

# GDSII holds 32-bit coordinates, and readers differ beyond 8190 points a polygon; 4000 is gdstk's and KLayout's habit.
LARGEST_COORDINATE = 2 ** 31 - 1
MOST_POINTS = 4000
CRS = ('ENGCRS["picture",EDATUM["lower left corner of the picture"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
       'LENGTHUNIT["nanometre",1e-9]]')


def outlines(labels, simplify_px=0.0):
    """The outline of each object: K shapely polygons in pixels (x right, y down, corners of pixels at integers).

    labels: (H, W) int32 NumPy array, 0..K-1, each label one piece under four neighbours (as `objects.find_objects`
    makes them). The polygons cover the picture once: no gap, no overlap, holes kept, areas exact.
    simplify_px: 0 keeps every pixel corner; else borders are simplified together (shapely.coverage_simplify, vertices
    whose triangle is smaller than simplify_px squared go), still without gap or overlap and with vertices on the grid.
    """
    import shapely
    from rasterio.features import shapes

    found = [(int(label), shape["coordinates"]) for shape, label in shapes(np.ascontiguousarray(labels, np.int32), connectivity=4)]
    found.sort(key=lambda one: one[0])
    polygons = _polygons([rings for _, rings in found])
    if not simplify_px:
        return polygons
    # `shapes` leaves out the corner of a neighbour that meets a straight border, so that the border is not shared
    # vertex by vertex; a vertex on every pixel mends that, and rint takes segmentize's rounding off again.
    dense = shapely.transform(shapely.segmentize(polygons, 1.0), np.rint)
    # The frame is kept (a corner of the picture must not be cut off) and its spare vertices go afterwards.
    simple = shapely.coverage_simplify(dense, simplify_px, simplify_boundary=False)
    return np.array([_straight_frame(p, labels.shape) for p in simple], dtype=object)


def _polygons(found):
    """shapely polygons of lists of rings, made all at once."""
    import shapely
    rings = [np.array(ring) for one in found for ring in one]
    ring_start = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    polygon_start = np.concatenate([[0], np.cumsum([len(one) for one in found])])
    return shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.concatenate(rings), (ring_start, polygon_start))


def write(folder, polygons, table, pixel_size_m, layers=None, oasis=False):
    """materials.geojson, layout.gds (layout.oas too, where `oasis`) and the layer map layers.csv; returns what
    `write_layout` returns.

    table: the objects' columns, one row a polygon. layers: as of `write_layout`.
    """
    write_geojson(folder / "materials.geojson", polygons, table, pixel_size_m)
    for name in ("layout.gds", "layout.oas")[:1 + bool(oasis)]:
        told = write_layout(folder / name, polygons, table["material"], pixel_size_m, layers)
    with open(folder / "layers.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("material", "layer", "datatype", "colour"))
        writer.writerows((name, layer, told["datatypes"][name], look(name)["colour"]) for name, layer in told["layers"].items())
    return told


def write_geojson(path, polygons, properties, pixel_size_m):
    """The polygons as a GeoJSON FeatureCollection in nm: x right, y up, origin in the picture's lower left corner.

    properties: dict of K-long columns, one entry a polygon. GeoJSON by itself means longitude and latitude, so `crs`
    holds an engineering reference system in nm (GDAL and QGIS read it) and the member `chipmap` says the same in words.
    """
    import shapely

    height = shapely.total_bounds(polygons)[3]
    placed = shapely.transform(polygons, lambda at: np.round(_upright(at, height, pixel_size_m) * 1e9, 6))
    names = list(properties)
    rows = zip(*(column.tolist() for column in properties.values()))
    head = {"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": CRS}}, "chipmap": {
        "coordinate_unit": "nm", "origin": "lower left corner of the picture", "x": "right", "y": "up"}}
    with open(path, "w") as file:
        file.write(json.dumps(head)[:-1] + ', "features": [\n')
        for i, (row, geometry) in enumerate(zip(rows, shapely.to_geojson(placed))):
            values = json.dumps({n: _plain(v) for n, v in zip(names, row)}, allow_nan=False)
            file.write((",\n" if i else "") + f'{{"type": "Feature", "id": {i}, "properties": {values}, "geometry": {geometry}}}')
        file.write("\n]}\n")


def write_layout(path, polygons, materials, pixel_size_m, layers=None, cell="PICTURE"):
    """The polygons as GDSII, or as OASIS where `path` ends in .oas: y up, origin in the lower left corner, user unit 1 um.

    materials: K names. layers: {material: (layer, datatype)}; a material that is not in it, or all, are on the layers of
    `look`, datatype 0. The database unit is the length nearest 0.1 pm that divides the pixel (1 pm, 10 pm ... for
    pictures too wide for 32 bits), so that pixel corners are stored exactly. Neither format has holes: a polygon with
    holes, or with more than 4000 points, is cut along pixel lines into pieces that touch.
    Returns {"database_unit_m": float, "layers": {material: layer number}, "datatypes": {material: number}}. Raises
    InputError where a material of its own layer meets the layer of another.
    """
    import gdstk
    import shapely

    _, _, width, height = shapely.total_bounds(polygons)
    unit = database_unit(pixel_size_m, max(width * pixel_size_m[1], height * pixel_size_m[0]))
    library = gdstk.Library("chipmap", unit=1e-6, precision=unit)
    top = library.new_cell(cell)
    place = _places(dict.fromkeys(materials), layers or {})
    for polygon, name in zip(polygons, materials):
        for piece in without_holes(polygon):
            points = _upright(shapely.get_coordinates(piece.exterior)[:-1], height, pixel_size_m) * 1e6
            top.add(gdstk.Polygon(points, *place[name]))
    if str(path).endswith(".oas"):
        library.write_oas(path)
    else:
        library.write_gds(path, max_points=0)
    return {"database_unit_m": unit, "layers": {name: pair[0] for name, pair in place.items()},
            "datatypes": {name: pair[1] for name, pair in place.items()}}


def _places(names, layers):
    place = {name: layers.get(name, (look(name)["layer"], 0)) for name in names}
    for name, pair in place.items():
        other = next((n for n, p in place.items() if p == pair and n != name), None)
        if other and (name in layers or other in layers):
            raise InputError(f"{name} and {other} would both be on layer {pair[0]}/{pair[1]}: give both a layer of their own with --layers")
    return place


def database_unit(pixel_size_m, extent_m):
    """The GDSII database unit, m: divides the pixel both ways, near 0.1 pm or the next decade that 32 bits can hold."""
    dy, dx = (float(size) for size in pixel_size_m)
    ratio = Fraction(dy / dx).limit_denominator(1000)
    common = dx / ratio.denominator     # divides dx exactly, and dy to within the ratio's rounding
    wish = 1e-13    # sloped edges are cut off the grid: a tenth of a picometre keeps their areas to 1e-6
    while extent_m / wish > LARGEST_COORDINATE / 2:
        wish *= 10
    return common / max(1, round(common / wish))


def look(material):
    """{"layer": int, "colour": "#rrggbb"} of a material: from looks.csv, else from its name, the same in every run."""
    table = _looks()
    if material in table:
        return table[material]
    spare = [row for name, row in table.items() if name.startswith("spare ")]
    number = zlib.crc32(material.encode())
    return {"layer": 200 + number % 800, "colour": spare[number % len(spare)]["colour"]}


def known_layers():
    """{(layer, datatype): material} of the numbers that `write_layout` gives by itself."""
    return {(row["layer"], 0): name for name, row in _looks().items() if not name.startswith("spare ")}


@functools.cache
def _looks():
    with open(pathlib.Path(__file__).parent / "looks.csv", newline="") as file:
        return {row["material"]: {"layer": int(row["layer"]), "colour": row["colour"]} for row in csv.DictReader(file)}


def _upright(at, height, pixel_size_m):
    """Pixel coordinates (N, 2), y down in a picture `height` pixels high, to metres, y up from its lower edge."""
    return np.column_stack([at[:, 0] * pixel_size_m[1], (height - at[:, 1]) * pixel_size_m[0]])


def _straight_frame(polygon, shape):
    """The polygon without the vertices inside its straight runs along the picture's frame."""
    import shapely
    height, width = shape
    left, top, right, bottom = polygon.bounds
    if left > 0 and top > 0 and right < width and bottom < height:
        return polygon
    at = shapely.get_coordinates(polygon.exterior)[:-1]
    inside_run = np.zeros(len(at), bool)
    for side in (at[:, 0] == 0, at[:, 0] == width, at[:, 1] == 0, at[:, 1] == height):
        inside_run |= side & np.roll(side, 1) & np.roll(side, -1)
    return shapely.Polygon(at[~inside_run], polygon.interiors)


def without_holes(polygon):
    """The polygon cut along grid lines until no piece has a hole or too many points."""
    import shapely
    waiting = [polygon]
    while waiting:
        piece = waiting.pop()
        if piece.geom_type != "Polygon":
            waiting += [part for part in getattr(piece, "geoms", ()) if part.area > 0]
        elif piece.interiors or shapely.get_num_coordinates(piece) > MOST_POINTS:
            left, top, right, bottom = piece.bounds
            across, at = _cut(piece)
            halves = ((left, top, at, bottom), (at, top, right, bottom)) if across else ((left, top, right, at), (left, at, right, bottom))
            waiting += [shapely.intersection(piece, shapely.box(*half)) for half in halves]
        else:
            yield piece


def _cut(piece):
    """(True for a cut at an x, the place): through the middle one of the holes, else through the middle of the piece."""
    import shapely
    bounds = shapely.bounds(list(piece.interiors) or [piece])
    left, top, right, bottom = piece.bounds
    across = right - left >= bottom - top
    low, high = (bounds[:, 0], bounds[:, 2]) if across else (bounds[:, 1], bounds[:, 3])
    middle = np.argsort(low + high)[len(low) // 2]
    at = (low[middle] + high[middle]) / 2
    # on a grid line where one lies inside the hole: there straight edges are cut at stored coordinates
    return across, np.floor(at) if np.floor(at) > low[middle] else at


def _plain(value):
    return None if isinstance(value, float) and not np.isfinite(value) else value
