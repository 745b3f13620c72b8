"""Points in counties, pixels of counties and lines cut at county borders, against geopandas and rasterio."""

import geopandas
import numpy as np
import rasterio.features
import rasterio.transform
import shapely
from cukernels.backend import to_device, to_host
from cukernels.polygon import polygon_of, rasterise
from cukernels.polyline import piece_lengths, segment_lengths, split_polylines

from gridmap.place import region_index, region_of, split_lines
from gridmap.tables import DATA

from .timing import best_of


def run(device="cpu", points=5_000_000, lines=95_000):
    counties = geopandas.read_parquet(DATA / "counties.parquet")
    shapes = geopandas.GeoDataFrame(geometry=counties.geometry.to_numpy(), crs=counties.crs)
    return [*_points(shapes, points, device), _pixels(shapes, device), *_lines(shapes, lines, device)]


def _points(counties, count, device):
    rng = np.random.default_rng(0)
    west, south, east, north = counties.total_bounds
    lon, lat = rng.uniform(west, east, count), rng.uniform(south, north, count)
    frame = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(lon, lat), crs=counties.crs)
    peer_s, joined = best_of(lambda: geopandas.sjoin(frame, counties, predicate="intersects"), 2)
    ours_s, home = best_of(lambda: region_of(lon, lat, counties, device), 5)
    expected = np.full(count, -1)
    expected[joined.index.to_numpy()] = joined["index_right"].to_numpy()
    assert len(joined) == (home >= 0).sum() and np.array_equal(home, expected)
    corners = _corners_have_one_home(counties, device)
    index = region_index(counties, device)
    x, y = to_device(lon, device), to_device(lat, device)
    query_s, _ = best_of(lambda: polygon_of(index, x, y), 7)
    size = len(counties)
    return [
        {"what": f"{count:,} points in {size:,} counties, index built", "ours_s": ours_s, "peer": "geopandas sjoin", "peer_s": peer_s,
         "ratio": peer_s / ours_s, "check": f"all equal; {corners:,} border corners have one home each"},
        {"what": f"{count:,} points in {size:,} counties, index at hand", "ours_s": query_s, "bytes_moved": 20 * count,
         "check": f"{query_s / count * 1e9:.1f} ns a point"},
    ]


def _corners_have_one_home(counties, device):
    """Every corner of every county goes to the lowest of the counties that touch it."""
    xy = np.unique(shapely.get_coordinates(counties.geometry.to_numpy()), axis=0)
    home = region_of(*np.ascontiguousarray(xy.T), counties, device)
    corner, county = counties.sindex.query(shapely.points(xy), predicate="intersects")
    lowest = np.full(len(xy), len(counties))
    np.minimum.at(lowest, corner, county)
    assert np.array_equal(home, lowest)
    return len(xy)


def _pixels(counties, device, height=3000, width=7000):
    west, south, east, north = counties.total_bounds
    step = (east - west) / width, (south - north) / height
    transform = rasterio.transform.from_origin(west, north, step[0], -step[1])
    pairs = [(s, i) for i, s in enumerate(counties.geometry)]
    peer_s, theirs = best_of(lambda: rasterio.features.rasterize(pairs, (height, width), fill=-1, transform=transform, dtype="int32"), 2)
    ours_s, ours = best_of(lambda: rasterise(region_index(counties, device), (west, north), step, (height, width)), 3)
    i, j = np.nonzero(to_host(ours) != theirs)
    centres = shapely.points(west + (j + 0.5) * step[0], north + (i + 0.5) * step[1])
    borders = shapely.STRtree(shapely.boundary(counties.geometry.to_numpy()))
    assert len(borders.query(centres, predicate="dwithin", distance=1e-9 * abs(west))[0]) >= len(centres)
    return {"what": f"counties to {height} x {width} pixels", "ours_s": ours_s, "peer": "rasterio rasterize", "peer_s": peer_s,
            "ratio": peer_s / ours_s, "check": f"equal but for {len(i)} pixels, all on a border"}


def _lines(counties, count, device):
    source = geopandas.read_parquet(DATA / "lines_230kv.parquet").geometry.to_numpy()
    source = source[shapely.is_simple(source)]  # overlay counts a stretch that a line runs twice once
    lines = geopandas.GeoDataFrame({"line": np.arange(count)}, geometry=np.resize(source, count), crs=counties.crs)
    regions = counties.assign(region=np.arange(len(counties)))
    peer_s, overlay = best_of(lambda: geopandas.overlay(lines, regions, how="intersection", keep_geom_type=True), 1)
    flat_s, (pieces, length) = best_of(lambda: _flat_pieces(lines, counties, device), 3)
    expected = np.zeros((len(source), len(counties)))
    np.add.at(expected, (overlay["line"].to_numpy() % len(source), overlay["region"].to_numpy()), overlay.length.to_numpy())
    inside = to_host(pieces.polygon) >= 0
    got = np.zeros_like(expected)
    np.add.at(got, (to_host(pieces.line)[inside] % len(source), to_host(pieces.polygon)[inside]), to_host(length)[inside])
    assert abs(got - expected).max() < 1e-9  # degrees, sums over some 48 copies
    km_s, table = best_of(lambda: split_lines(lines, counties, device), 3)
    check = f"equal, {abs(got - expected).max():.0e} degrees at most"
    return [
        {"what": f"{count:,} lines cut at county borders, lengths in degrees", "ours_s": flat_s, "peer": "geopandas overlay",
         "peer_s": peer_s, "ratio": peer_s / flat_s, "check": check},
        {"what": f"{count:,} lines cut at county borders, km on the ellipsoid", "ours_s": km_s, "peer": "geopandas overlay (degrees)",
         "peer_s": peer_s, "ratio": peer_s / km_s, "check": f"{len(table):,} pieces, {table['km'].sum():,.0f} km"},
    ]


def _flat_pieces(lines, counties, device):
    shapes = lines.geometry.to_numpy()
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    start = to_device(np.searchsorted(owner, np.arange(len(shapes) + 1)), device)
    x, y = (to_device(np.ascontiguousarray(a), device) for a in xy.T)
    pieces = split_polylines(region_index(counties, device), x, y, start)
    return pieces, piece_lengths(pieces, segment_lengths(x, y))
