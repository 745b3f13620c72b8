"""Points and lines in regions of any coordinate reference system, by hand and against shapely and PROJ."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely

from gridmap import InputError, geodesy
from gridmap.place import region_of, split_lines
from gridmap.tables import DATA

WEST, EAST = shapely.box(-100, 40, -99, 41), shapely.box(-99, 40, -98, 41)


def regions_of(shapes, crs="EPSG:4326", **columns):
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)


@pytest.fixture(scope="module")
def counties():
    return geopandas.read_parquet(DATA / "counties.parquet")


def test_rows_and_outside():
    assert region_of([-99.5, -98.5, -99.0, -97.0], [40.5, 40.5, 40.5, 40.5], regions_of([EAST, WEST])).tolist() == [1, 0, 0, -1]


def test_counties_equal_shapely(counties):
    rng = np.random.default_rng(0)
    west, south, east, north = counties.total_bounds
    lon, lat = rng.uniform(west, east, 20000), rng.uniform(south, north, 20000)
    point, county = counties.sindex.query(shapely.points(lon, lat), predicate="intersects")
    expected = np.full(len(lon), -1)
    expected[point] = county
    np.testing.assert_array_equal(region_of(lon, lat, counties), expected)


def test_polygons_in_metres_are_used_as_given(counties):
    """Straight in Albers is bent in degrees: the answer must be shapely's on the projected polygons."""
    albers = counties.to_crs("EPSG:5070")
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-120, -75, 20000), rng.uniform(28, 48, 20000)
    points = geopandas.GeoSeries(geopandas.points_from_xy(lon, lat), crs="EPSG:4326").to_crs("EPSG:5070")
    point, county = albers.sindex.query(points, predicate="intersects")
    expected = np.full(len(lon), -1)
    expected[point] = county
    np.testing.assert_array_equal(region_of(lon, lat, albers), expected)


def test_a_projection_that_does_not_reach_is_outside():
    disc = regions_of([shapely.Point(0, 0).buffer(1e6)], "+proj=ortho +lat_0=40 +lon_0=-100")
    assert region_of([-100.0, 80.0], [40.0, -40.0], disc).tolist() == [0, -1]


def test_regions_without_geometry_hold_nothing():
    assert region_of([-99.5], [40.5], regions_of([None, shapely.MultiPolygon(), WEST])).tolist() == [2]
    assert region_of([-99.5], [40.5], regions_of([])).tolist() == [-1]


def test_borders_that_touch_themselves_are_taken():
    spike = shapely.Polygon([(0, 0), (2, 0), (2, 2), (3, 3), (2, 2), (0, 2)])
    pinched = shapely.Polygon([(10, 0), (11, 1), (12, 0), (12, 2), (11, 1), (10, 2)])
    assert not spike.is_valid and not pinched.is_valid
    assert region_of([1, 10.2, 11.0], [1, 1, 0.5], regions_of([spike, pinched])).tolist() == [0, 1, -1]


@pytest.mark.parametrize("lon, lat, why", [
    ([-99, np.nan], [40, 40], "row 1.*missing"),
    ([40.0], [-99.0], "row 0.*swapped"),
    ([-99, -99, 200], [40, 40, 40], "row 2.*outside the world"),
    ([-99, -99], [40, np.inf], "row 1.*outside the world"),
    ([-99, -99], [40], "one length"),
])
def test_bad_points_are_named(lon, lat, why):
    with pytest.raises(InputError, match=why):
        region_of(lon, lat, regions_of([WEST]))


def test_bad_regions_are_named():
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    with pytest.raises(InputError, match=r"row 1 \(Bow\) crosses itself.*make_valid"):
        region_of([0.5], [0.5], regions_of([WEST, bow], name=["West", "Bow"]))
    with pytest.raises(InputError, match="row 0 is no polygon"):
        region_of([0.5], [0.5], regions_of([shapely.LineString([(0, 0), (1, 1)])]))
    with pytest.raises(InputError, match="set_crs"):
        region_of([0.5], [0.5], regions_of([WEST], crs=None))


def test_lines_by_hand():
    lines = regions_of([shapely.LineString([(-99.5, 40.5), (-98.5, 40.5), (-97.5, 40.5)]), shapely.LineString([(-99.2, 40.1), (-99.4, 40.2)])])
    table = split_lines(lines, regions_of([EAST, WEST]))
    assert table[["line", "part", "order", "region"]].to_numpy().tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 2, -1], [1, 0, 0, 1]]
    geod = pyproj.Geod(ellps="WGS84")
    east_west = geod.inv(-99, 40.5, -98.5, 40.5)[2] / 1e3
    np.testing.assert_allclose(table["km"][:3], [east_west, 2 * east_west, east_west], rtol=1e-5)  # cuts leave the geodesic
    assert table["km"][3] == pytest.approx(geod.inv(-99.2, 40.1, -99.4, 40.2)[2] / 1e3, rel=1e-9)


def test_parts_of_a_multiline_keep_their_order():
    multi = shapely.MultiLineString([[(-98.5, 40.5), (-98.4, 40.5)], [(-99.5, 40.5), (-98.5, 40.5)]])
    table = split_lines(regions_of([shapely.LineString([(0, 0), (1, 1)]), multi]), regions_of([WEST, EAST]))
    assert table[["line", "part", "order", "region"]].to_numpy().tolist() == [[0, 0, 0, -1], [1, 0, 0, 1], [1, 1, 1, 0], [1, 1, 2, 1]]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5070"])
def test_real_lines_keep_their_kilometres(counties, crs):
    """Every line's pieces add up to its own length, and each county gets what shapely cuts out for it."""
    lines = geopandas.read_parquet(DATA / "lines_230kv.parquet").iloc[::20]
    table = split_lines(lines, counties.to_crs(crs))
    geod = pyproj.Geod(ellps="WGS84")
    whole = np.array([geod.geometry_length(g) / 1e3 for g in lines.geometry])
    np.testing.assert_allclose(table.groupby("line")["km"].sum(), whole, rtol=1e-9)
    if crs == "EPSG:4326":
        line, county = counties.sindex.query(lines.geometry, predicate="intersects")
        cut = shapely.intersection(lines.geometry.to_numpy()[line], counties.geometry.to_numpy()[county])
        expected = {(i, k): geod.geometry_length(c) / 1e3 for i, k, c in zip(line, county, cut)}
        for (i, k), km in table[table["region"] >= 0].groupby(["line", "region"])["km"].sum().items():
            assert km == pytest.approx(expected[i, k], rel=1e-5, abs=1e-6)  # long spans: a straight cut is no geodesic


def test_bad_lines_are_named():
    good, regions = shapely.LineString([(0, 0), (1, 1)]), regions_of([WEST])
    with pytest.raises(InputError, match="row 1 is missing or no line"):
        split_lines(regions_of([good, None]), regions)
    with pytest.raises(InputError, match="row 0 is missing or no line"):
        split_lines(regions_of([WEST]), regions)
    with pytest.raises(InputError, match="lines say no coordinate reference system"):
        split_lines(regions_of([good], crs=None), regions)


@pytest.mark.parametrize("apart", [180.0, 3.0, 0.4, 1e-2, 1e-5])
def test_distances_equal_proj(apart):
    rng = np.random.default_rng(0)
    lon0, lat0 = rng.uniform(-180, 180, 4000), rng.uniform(-90, 90, 4000)
    lon1, lat1 = lon0 + rng.uniform(-apart, apart, 4000), np.clip(lat0 + rng.uniform(-apart, apart, 4000), -90, 90)
    expected = np.array(pyproj.Geod(ellps="WGS84").inv(lon0, lat0, lon1, lat1)[2]) * 1e-3
    assert np.abs(geodesy.km(lon0, lat0, lon1, lat1) - expected).max() < (1e-6 if apart > 0.5 else 1e-10)


def test_distances_at_the_edges():
    expected = np.array(pyproj.Geod(ellps="WGS84").inv([0, 0, 179.9, 0, 5], [0, 90, 10, 0, 5], [180, 180, -179.9, 179.7, 5], [0, -90, 10.1, 0.1, 5])[2]) * 1e-3
    np.testing.assert_allclose(geodesy.km([0, 0, 179.9, 0, 5], [0, 90, 10, 0, 5], [180, 180, -179.9, 179.7, 5], [0, -90, 10.1, 0.1, 5]), expected, atol=1e-6)
    lon, lat = np.array([0.0, 0.1, 50, 50]), np.array([0.0, 0.2, 60, 60])
    np.testing.assert_array_equal(geodesy.path_km(lon, lat), geodesy.km(lon[:-1], lat[:-1], lon[1:], lat[1:]))
    assert geodesy.path_km(lon[:1], lat[:1]).shape == (0,)
