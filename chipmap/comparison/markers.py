"""Differences as shapes in the layout's own coordinates, for KLayout and for GIS: differences.geojson and differences.gds."""

import json

import numpy as np
from cukernels.components import pieces

from chipmap.comparison.differences import KINDS
from chipmap.layout import CRS, LARGEST_COORDINATE, without_holes

FOUND = 10      # layer of what the picture shows; the differences are on 1, 2 ... in the order of KINDS


def write_markers(folder, mask, found, table, placed):
    """differences.geojson (nm, one feature a difference) and differences.gds (a layer a kind, and the picture's own shapes
    on layer 10), both with places of the layout. table: columns for the properties. placed: `register.Placement`."""
    marks = _shapes(found.marks, placed)
    write_features(folder / "differences.geojson", [marks[number] for number in table["difference"]], table)
    bits, _ = pieces(mask)
    shapes = [(KINDS.index(kind) + 1, marks[number]) for number, kind in zip(table["difference"], table["kind"])]
    _write_gds(folder / "differences.gds", shapes + [(FOUND, shape) for shape in _shapes(bits, placed).values()])


def write_features(path, shapes, table):
    import shapely
    head = {"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": CRS.replace("lower left corner of the picture", "origin of the layout")}},
            "chipmap": {"coordinate_unit": "nm", "origin": "that of the layout", "x": "right", "y": "up"}}
    features = []
    for i, shape in enumerate(shapes):
        values = {name: value if isinstance(value, str) else float(value) if isinstance(value, float | np.floating) else int(value)
                  for name, value in ((n, column[i]) for n, column in table.items())}
        features.append({"type": "Feature", "id": i, "properties": values, "geometry": json.loads(shapely.to_geojson(shape))})
    path.write_text(json.dumps(head | {"features": features}, allow_nan=False) + "\n")


def _shapes(labels, placed):
    """{number: (multi)polygon in the layout's nm} of a label image, 0 left out."""
    import shapely
    from rasterio.features import shapes
    parts = {}
    for shape, label in shapes(labels.astype(np.int32), mask=labels > 0, connectivity=4):
        rings = [placed.places(np.array(ring)) for ring in shape["coordinates"]]
        parts.setdefault(int(label), []).append(shapely.Polygon(rings[0], rings[1:]))
    return {label: shapely.MultiPolygon(found) if len(found) > 1 else found[0] for label, found in parts.items()}


def _write_gds(path, shapes):
    import gdstk
    import shapely
    extent = max((np.abs(shapely.bounds(shape)).max() for _, shape in shapes), default=1.0)
    unit = 1e-12
    while extent * 1e-9 / unit > LARGEST_COORDINATE / 2:
        unit *= 10
    library = gdstk.Library("chipmap", unit=1e-6, precision=unit)
    cell = library.new_cell("DIFFERENCES")
    for layer, shape in shapes:
        for part in shapely.get_parts(shape):
            for piece in without_holes(part):
                cell.add(gdstk.Polygon(shapely.get_coordinates(piece.exterior)[:-1] * 1e-3, layer=layer))
    library.write_gds(path, max_points=0)
