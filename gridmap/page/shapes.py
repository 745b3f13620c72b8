"""The shapes of a system on the plane that the browser draws: equal-area metres laid on the Mercator square.

The plane runs from 0 to 1 to the right and down; the regions fill its middle. MapLibre is told the longitude and latitude
at which its Mercator puts a point of the plane, so areas on the screen compare as areas on the ground.
"""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import shapely

from gridmap import flow, layers

FILLS = 0.5         # share of the plane's side that the longer side of the regions takes
DIGITS = 4          # of degrees: about five metres for a country of 4,600 km
STRAIGHT = 5e-6     # of the plane's side, that lines may be off: a pixel at zoom 8


@dataclass(frozen=True)
class Plane:
    """crs: the equal-area system in metres. west, north: where the plane begins, m; span: its side, m."""

    crs: object
    west: float
    north: float
    span: float

    def lnglat(self, xy):
        """(N, 2) metres -> (N, 2) degrees for MapLibre."""
        x, y = (xy[:, 0] - self.west) / self.span, (self.north - xy[:, 1]) / self.span
        return np.column_stack([360 * x - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))])

    def place(self, shapes):
        """Shapes in metres -> shapes in degrees for MapLibre."""
        return shapely.transform(shapes, self.lnglat)

    def project(self, frame):
        """The shapes of a GeoDataFrame in any coordinate reference system, for MapLibre."""
        return self.place(frame.geometry.to_crs(self.crs).to_numpy())


def plane_of(inputs):
    """(Plane, (R,) the regions' polygons in metres)."""
    crs, areas = layers.shapes(inputs)
    return around(crs, areas), areas


def around(crs, areas):
    """The Plane on which polygons in the metres of crs lie."""
    west, south, east, north = shapely.total_bounds(areas)
    span = max(east - west, north - south) / FILLS
    return Plane(crs, (west + east - span) / 2, (south + north + span) / 2, span)


def regions(plane, areas):
    """GeoJSON bytes of the polygons, id = row."""
    return _collection(plane.place(areas))


def borders(plane, areas, labels):
    """GeoJSON bytes of the lines between regions, each once: properties a, b (rows, b = -1 outside) and s: 1 where the labels
    (states) of both sides differ. A pocket's outline is the borders with it on one side only."""
    parts, region = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    owner = region[part]
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    inner = ring[1:] == ring[:-1]
    start, end, mine = xy[:-1][inner], xy[1:][inner], owner[ring[:-1][inner]]
    swap = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    key = np.where(swap[:, None], np.hstack([end, start]), np.hstack([start, end]))
    _, first, same = np.unique(np.round(key, 1), axis=0, return_index=True, return_inverse=True)
    low, high = np.full(len(first), len(areas)), np.full(len(first), -1)
    np.minimum.at(low, same.ravel(), mine)
    np.maximum.at(high, same.ravel(), mine)
    high[high == low] = -1
    pieces = shapely.linestrings(np.stack([start[first], end[first]], axis=1))
    table = pd.DataFrame({"a": low, "b": high, "piece": pieces})
    merged = table.groupby(["a", "b"])["piece"].agg(lambda parts: shapely.line_merge(shapely.multilinestrings(list(parts)))).reset_index()
    labels = np.append(np.asarray(labels, str), "")
    state = labels[merged["a"]] != labels[merged["b"]]
    return _collection(plane.place(merged["piece"].to_numpy()), a=merged["a"], b=merged["b"], s=state.astype(int))


def plants(plane, inputs, hour, basis):
    """GeoJSON bytes of the plants inside regions: i plant_id, n name, f fuel, m nameplate MW, s state."""
    table = flow.plants(inputs, hour, basis).sort_values("nameplate_mw", ascending=False)
    points = geopandas.points_from_xy(table["lon"], table["lat"], crs=4326).to_crs(plane.crs)
    return _collection(plane.place(np.asarray(points)), i=table["plant_id"], n=table["name"], f=table["fuel"], m=table["nameplate_mw"].round(1), s=table["state"])


def lines(plane, inputs):
    """GeoJSON bytes of the transmission lines: v kV (-1 unknown), o owner."""
    near = layers._near(inputs.lines, inputs.regions)
    straight = shapely.simplify(near.geometry.to_crs(plane.crs).to_numpy(), STRAIGHT * plane.span)
    return _collection(plane.place(straight), v=near["voltage_kv"].fillna(-1), o=near["owner"])


def centres(plane, areas):
    """(R, 2) degrees for MapLibre: a point inside each region."""
    return np.round(shapely.get_coordinates(plane.place(shapely.point_on_surface(areas))), DIGITS)


def bounds(plane, areas):
    """[[x0, y0], [x1, y1]] of the regions on the plane, 0..1."""
    west, south, east, north = shapely.total_bounds(areas)
    return [[(west - plane.west) / plane.span, (plane.north - north) / plane.span], [(east - plane.west) / plane.span, (plane.north - south) / plane.span]]


def _collection(shapes, **columns):
    """GeoJSON of shapes in degrees, id = row, with properties."""
    import json

    whole = shapely.set_precision(shapes, 10.0**-DIGITS, mode="pointwise")
    text = shapely.to_geojson(whole)
    names, values = list(columns), [list(column) for column in columns.values()]
    properties = [json.dumps(dict(zip(names, row)), separators=(",", ":"), default=lambda x: x.item()) for row in zip(*values)] if columns else ["{}"] * len(text)
    rows = (f'{{"type":"Feature","id":{i},"properties":{p},"geometry":{g}}}' for i, (g, p) in enumerate(zip(text, properties)))
    return ('{"type":"FeatureCollection","features":[' + ",".join(rows) + "]}").encode()
