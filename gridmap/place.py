"""Where things are: points in regions, and lines cut at region borders."""

import numpy as np
import pandas as pd
import shapely
from cukernels.backend import to_device, to_host
from cukernels.polygon import index_polygons, polygon_of
from cukernels.polyline import piece_lengths, split_polylines

from gridmap import InputError, geodesy

LONLAT = "EPSG:4326"


def region_of(lon, lat, regions, device="cpu"):
    """The region each point is in: (N,) int, row of `regions`, -1 outside all.

    lon, lat: (N,) degrees (WGS84). regions: GeoDataFrame of polygons in any coordinate reference system; the points are
    taken there, the polygons are used as given. A border belongs to both sides; a point on it goes to the lower row
    (`cukernels.polygon` states the rule). device: "cpu", "cuda" or a `cukernels.backend.Device`.

    Raises InputError, naming the row: coordinates missing or outside the world; regions without a coordinate reference
    system, with something else than polygons, or with one that crosses itself.
    """
    lon, lat = _degrees(lon, lat)
    index = region_index(regions, device)
    x, y = _transform(lon, lat, LONLAT, regions.crs)
    reached = np.isfinite(x) & np.isfinite(y)  # a projection may not reach the other side of the world
    if not reached.all():
        x, y = np.where(reached, x, 0.0), np.where(reached, y, 0.0)
    home = to_host(polygon_of(index, to_device(x, device), to_device(y, device))).astype(np.intp)
    home[~reached] = -1
    return home


def split_lines(lines, regions, device="cpu"):
    """Lines cut at region borders: DataFrame[line, part, order, region, km], in the order in which each line runs.

    lines: GeoDataFrame of LineStrings and MultiLineStrings. line: row of `lines`; part: part of a MultiLineString; order:
    0, 1, 2 ... along the line; region: row of `regions`, -1 outside all; km: on the WGS84 ellipsoid. A stretch along a
    border goes to the lower row. The km of a line add up to its own length, vertex to vertex.

    Straight means straight in the coordinate reference system of `regions`. Raises InputError as `region_of`, and for
    lines that are missing, not lines, or have no coordinate reference system.
    """
    part_line, start, x, y = _line_arrays(lines, regions.crs)
    index = region_index(regions, device)
    pieces = split_polylines(index, *(to_device(a, device) for a in (x, y, start)))
    pieces = type(pieces)(**{name: to_host(array) for name, array in vars(pieces).items()})
    part, region, km = pieces.line, pieces.polygon, _piece_km(pieces, x, y, regions.crs)
    line = part_line[part]
    first = np.searchsorted(line, line)
    return pd.DataFrame({"line": line, "part": part - np.searchsorted(part_line, line), "order": np.arange(len(line)) - first,
                         "region": region.astype(int), "km": km})


def region_index(regions, device="cpu"):
    """`cukernels.polygon.PolygonIndex` of the regions, in their own coordinates; checks them as `region_of` says."""
    shapes = _polygons(regions)
    xy, ring_start, ring_polygon = rings(shapes)
    return index_polygons(xy, ring_start, ring_polygon, polygons=len(shapes)).to(device)


def rings(shapes):
    """Flat arrays of polygons: vertices (V, 2), ring_start (rings + 1,), ring_polygon (rings,)."""
    if len(shapes) == 0:
        return np.zeros((0, 2)), np.zeros(1, int), np.zeros(0, int)
    kind, xy, offsets = shapely.to_ragged_array(shapes, include_z=False)
    owner = np.arange(len(shapes))
    if kind == shapely.GeometryType.MULTIPOLYGON:
        owner = np.repeat(owner, np.diff(offsets[2]))
    return xy, offsets[0].astype(int), np.repeat(owner, np.diff(offsets[1]))


def _degrees(lon, lat):
    lon, lat = (np.ascontiguousarray(to_host(a), float) for a in (lon, lat))
    if lon.ndim != 1 or lon.shape != lat.shape:
        raise InputError(f"lon has shape {lon.shape} and lat {lat.shape}: give two lists of one length")
    if len(lon) == 0 or (max(abs(lon.min()), abs(lon.max())) <= 180 and max(abs(lat.min()), abs(lat.max())) <= 90):
        return lon, lat  # NaN fails these comparisons
    for bad, why in (
        (np.isnan(lon) | np.isnan(lat), "a coordinate is missing; leave the row out or fill it"),
        ((np.abs(lat) > 90) & (np.abs(lat) <= 180) & (np.abs(lon) <= 90), "longitude and latitude look swapped; exchange them"),
        (~(np.abs(lat) <= 90) | ~(np.abs(lon) <= 180), "outside the world; give degrees, longitude from -180 to 180"),
    ):
        if bad.any():
            row = int(bad.argmax())
            raise InputError(f"point in row {row}: lon {lon[row]:g}, lat {lat[row]:g}: {why}")
    return lon, lat


def _transform(x, y, source, target):
    """The same places in another coordinate reference system, x first; infinite where it does not reach."""
    import pyproj

    source, target = pyproj.CRS(source), pyproj.CRS(target)
    if source.equals(target, ignore_axis_order=True):
        return x, y
    return pyproj.Transformer.from_crs(source, target, always_xy=True).transform(x, y)


def _polygons(regions):
    if regions.crs is None:
        raise InputError('the regions say no coordinate reference system: set one, for example regions.set_crs("EPSG:4326")')
    shapes = regions.geometry.to_numpy()
    nothing = shapely.is_missing(shapes) | shapely.is_empty(shapes)  # simplified maps have such: they hold no point
    _refuse(regions, ~nothing & ~np.isin(shapely.get_type_id(shapes), (3, 6)), "is no polygon: give Polygon or MultiPolygon")
    shapes = np.where(nothing, shapely.MultiPolygon(), shapes)
    invalid = np.flatnonzero(~shapely.is_valid(shapes))
    crossed = np.zeros(len(shapes), bool)
    crossed[invalid] = [crosses_itself(shapes[i]) for i in invalid]
    _refuse(regions, crossed, "crosses itself: repair it, for example with regions.make_valid()")
    return shapes


def _refuse(regions, bad, why):
    if bad.any():
        row = int(bad.argmax())
        named = next((f" ({regions[c].iloc[row]})" for c in ("name", "region_id", "NAME", "id") if c in regions), "")
        raise InputError(f"region in row {row}{named} {why}")


def crosses_itself(polygon):
    """Whether a border crosses itself so that more than 0.1 % of the area is in doubt (inside by even and odd, or not).

    Borders that touch themselves, spikes there and back, and the slivers that rounding makes where a border nearly meets
    itself still say what is inside: 22 counties of the 1:10m Census file are such, and are taken by even and odd.
    """
    area = shapely.area(shapely.make_valid(polygon))
    return abs(area - shapely.area(polygon)) > 1e-3 * area


def _line_arrays(lines, crs):
    """(rows of the parts, start of each part, x, y) in the coordinates of the regions."""
    if lines.crs is None:
        raise InputError('the lines say no coordinate reference system: set one, for example lines.set_crs("EPSG:4326")')
    if crs is None:
        raise InputError('the regions say no coordinate reference system: set one, for example regions.set_crs("EPSG:4326")')
    shapes = lines.geometry.to_numpy()
    bad = ~np.isin(shapely.get_type_id(shapes), (1, 5))
    if bad.any():
        raise InputError(f"line in row {int(bad.argmax())} is missing or no line: give LineString or MultiLineString")
    parts, part_line = shapely.get_parts(shapes, return_index=True)
    xy, vertex_part = shapely.get_coordinates(parts, return_index=True)
    x, y = _transform(np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1]), lines.crs, crs)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    if lost.any():
        raise InputError(f"line in row {int(part_line[vertex_part[lost.argmax()]])} has a vertex that the regions' coordinates do not reach")
    return part_line, np.searchsorted(vertex_part, np.arange(len(parts) + 1)), x, y


def _piece_km(pieces, x, y, crs):
    """Kilometres of each piece: whole segments, and of cut ones the true length of each stub, scaled so that the stubs add
    up to the segment (cutting a line straight on the map, so no geodesic, changes its length by about 1e-6)."""
    lon, lat = _transform(x, y, crs, LONLAT)
    segment_km = geodesy.path_km(lon, lat)
    km = piece_lengths(pieces, segment_km)
    within = pieces.first == pieces.last
    one, head, tail = (np.flatnonzero(a) for a in (within & ((pieces.begin > 0) | (pieces.end < 1)), ~within & (pieces.begin > 0), ~within & (pieces.end < 1)))
    piece = np.concatenate([one, head, tail])
    segment = np.concatenate([pieces.first[one], pieces.first[head], pieces.last[tail]])
    begin = np.concatenate([pieces.begin[one], pieces.begin[head], np.zeros(len(tail))])
    end = np.concatenate([pieces.end[one], np.ones(len(head)), pieces.end[tail]])
    ends = [_transform(x[segment] + (x[segment + 1] - x[segment]) * t, y[segment] + (y[segment + 1] - y[segment]) * t, crs, LONLAT)
            for t in (begin, end)]
    stub = geodesy.km(*ends[0], *ends[1])
    _, group = np.unique(segment, return_inverse=True)
    stub *= (segment_km[segment] / np.bincount(group, stub)[group]) if len(stub) else 1.0
    np.add.at(km, piece, stub - (end - begin) * segment_km[segment])
    return km
