"""Layers, styles and files, on made-up tables; every file read back by a reader that gridmap does not use."""

import json
import math
import sqlite3
from types import SimpleNamespace
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import shapely
from small_grid import CORNERS, DEMAND, LIMITS, SUPPLY, UNSERVED, square

from gridmap import flow, geofiles, layers, output, publish, style, tables


@pytest.fixture(scope="module")
def found():
    """The small system's findings, written down, not computed."""
    names = list(CORNERS)
    supply, demand, unserved = (np.array([t[n] for n in names], float) for t in (SUPPLY, DEMAND, UNSERVED))
    regions = pd.DataFrame({
        "region_id": names, "name": [f"Region {n}" for n in names], "state": "XX", "zone": "", "interconnect": "",
        "supply_mw": supply, "demand_mw": demand, "net_mw": supply - demand, "isolated_deficit_mw": np.maximum(0, demand - supply),
        "residual_deficit_mw": unserved, "residual_share_pct": 100 * unserved / demand, "spare_mw": [80.0, 0, 0, 0, 0],
        "balance_mw": np.array([80.0, 0, 0, 0, 0]) - unserved, "import_limit_mw": [100.0, 150, 30, 0, 40],
        "pocket_id": [0, 3, 2, 1, 0], "confidence": [1, 1, 1, 0.1, 1.0],
        "artefact": [False, False, False, True, False], "flag": ["", "", "", "no corridor", ""],
        **{f"{technology}_mw": 0.0 for technology in tables.fact("technologies")["technology"]}})
    plants = pd.DataFrame({
        "plant_id": ["1", "2"], "name": ["Alpha", "Beta"], "state": "XX", "region_id": ["A", "C"], "fuel": ["nuclear", "oil"],
        "units": [2, 1], "nameplate_mw": [300.0, 50], "summer_mw": [300.0, 50], "supply_mw": [300.0, 50], "lon": [-99.5, -97.5], "lat": 41.5})
    row = {n: i for i, n in enumerate(names)}
    corridors = pd.DataFrame({
        "corridor_id": range(1, 4), "tail": [a for a, *_ in LIMITS], "head": [b for _, b, *_ in LIMITS], "kind": "AC",
        "forward_mw": [120.0, 30, 40], "backward_mw": [60.0, 30, 40], "flow_mw": [120.0, 30, 0], "loading_pct": [100.0, 100, 0],
        "bottleneck": [1, 1, 0], "pocket_id": [3, 2, 0], "worth_mw": [10.0, 0, 0],
        "tail_row": [row[a] for a, *_ in LIMITS], "head_row": [row[b] for _, b, *_ in LIMITS]})
    pockets = pd.DataFrame({
        "pocket_id": [1, 2, 3], "name": ["Region D", "Region C", "Region B"], "members": [[3], [2], [1]], "regions": 1, "supply_mw": [0.0, 50, 0],
        "demand_mw": [50.0, 100, 100], "import_limit_mw": [0.0, 30, 150], "residual_deficit_mw": [50.0, 20, 10],
        "residual_share_pct": [100.0, 20, 10], "corridors": [0, 1, 2], "confidence": [0.1, 1, 1],
        "artefact": [True, False, False], "flag": ["no corridor", "", ""]})
    return flow.Findings(regions, plants, corridors, pockets, pd.Timestamp("2023-07-01 20:00"), "nameplate", "what is on the plates")


@pytest.fixture(scope="module")
def built(found):
    regions = geopandas.GeoDataFrame({"region_id": list(CORNERS)}, geometry=[shapely.Polygon(square(c)) for c in CORNERS.values()], crs=4326)
    shapes = [shapely.LineString([(-99.5, 41.5), (-98.5, 41.5)]), shapely.LineString([(0, 50), (1, 50)])]  # the second is far away
    lines = geopandas.GeoDataFrame({"voltage_kv": [345.0, 500.0], "kind": "AC", "status": "", "owner": ""}, geometry=shapes, crs=4326)
    return layers.build(SimpleNamespace(regions=regions, lines=lines), found)


@pytest.fixture(scope="module")
def package(built, tmp_path_factory):
    path = tmp_path_factory.mktemp("publish") / "gridmap.gpkg"
    geofiles.write_geopackage(path, built)
    return path


def test_geopackage_by_gdal(package, built):
    """One geometry type a layer, the CRS named, every row there."""
    found = dict(pyogrio.list_layers(package))
    assert {n: found[n] for n in layers.SHAPES} == layers.SHAPES
    for name, layer in built.items():
        read = pyogrio.read_dataframe(package, layer=name)
        assert len(read) == len(layer)
        assert read.crs.to_epsg() == 5070
        assert read.geometry.geom_type.isin([layers.SHAPES[name]]).all()
        pd.testing.assert_frame_equal(pd.DataFrame(read.drop(columns="geometry")), pd.DataFrame(layer.drop(columns="geometry")), check_dtype=False)


def test_geopackage_is_version_1_2(package):
    with sqlite3.connect(package) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (10200,)


def test_styles_are_where_qgis_looks(package, built):
    with sqlite3.connect(package) as file:
        rows = file.execute("SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles").fetchall()
        kinds = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents"))
    assert {r[0] for r in rows} == set(layers.SHAPES)
    assert kinds["layer_styles"] == "attributes"
    for name, column, text, default in rows:
        root = ElementTree.fromstring(text)
        assert default == 1 and column == "geom"
        assert root.find("layerGeometryType").text == style.GEOMETRY_CODE[layers.SHAPES[name]]
        renderer = root.find("renderer-v2")
        drawn = {s.get("name") for s in renderer.iter("symbol")}
        asked = {r.get("symbol") for kind in ("range", "category") for r in renderer.iter(kind)} or {"0"}
        assert asked == drawn
        if renderer.get("attr") in built[name]:
            assert len(drawn) > 1
        aliases = {a.get("field"): a.get("name") for a in root.find("aliases")}
        assert set(aliases) == set(built[name].columns) - {"geometry"}
        assert all("(" in aliases[c] for c in aliases if c.endswith(("_mw", "_pct", "_kv"))), "a quantity without its unit"


def test_titles_stand_in_the_geopackage_too(package):
    with sqlite3.connect(package) as file:
        titles = dict(file.execute("SELECT column_name, title FROM gpkg_data_columns WHERE table_name = 'regions'"))
    assert titles["residual_deficit_mw"] == "Deficit after flows (MW)"


def test_column_names_suit_every_gis():
    for column in tables.fact("fields")["column"]:
        assert column.isascii() and column == column.lower() and column.replace("_", "a").isalnum() and len(column) <= 31


def test_geoparquet_by_pyarrow(built, tmp_path):
    geofiles.write_geoparquet(tmp_path, built)
    for name, layer in built.items():
        table = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet")
        assert table.num_rows == len(layer)
        assert b'"version": "1.1.0"' in table.schema.metadata[b"geo"]


def test_squares_keep_their_area(built):
    """A degree square at 41.5 N measures what the ellipsoid says: 9,229 km2 within a part in a thousand."""
    from pyproj import Geod

    area, _ = Geod(ellps="GRS80").geometry_area_perimeter(shapely.segmentize(shapely.Polygon(square(CORNERS["A"])), 0.01))
    # the projection is equal-area, but its edges are straight lines where parallels curve: a part in a thousand
    assert built["regions"].geometry.iloc[0].area == pytest.approx(area, rel=1e-3)


def test_lines_far_from_every_region_are_left_out(built):
    assert built["lines"]["voltage_kv"].tolist() == [345.0]


def test_mended_polygons_stay_polygons():
    bow_tie = shapely.make_valid(shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)]))
    mixed = shapely.GeometryCollection([bow_tie, shapely.LineString([(0, 0), (9, 9)]), shapely.Point(3, 3)])
    got, = layers.only_polygons([mixed])
    assert got.geom_type == "MultiPolygon" and got.area == pytest.approx(bow_tie.area)


def test_other_continents_get_an_equal_area_of_their_own():
    square_in_india = geopandas.GeoDataFrame(geometry=[shapely.box(76, 10, 77, 11)], crs=4326)
    crs = layers.equal_area(square_in_india)
    assert crs.coordinate_operation.method_name == "Lambert Azimuthal Equal Area"
    x0, y0, x1, y1 = square_in_india.to_crs(crs).total_bounds
    assert abs(x0 + x1) < 1e3 and abs(y0 + y1) < 1e3


@pytest.mark.parametrize("values, steps", [
    ([5, 50, 500, -2000], [30, 100, 300, 1000]),
    ([0.2] * 10, [0.003, 0.01, 0.03, 0.1]),
    ([3.0], [0.1, 0.3, 1, 3]),
    ([], [0.03, 0.1, 0.3, 1]),
    ([0, 0], [0.03, 0.1, 0.3, 1]),
])
def test_round_steps_by_hand(values, steps):
    np.testing.assert_allclose(style.round_steps(values, 4), steps, rtol=1e-12)  # 10.0 ** -3 is not 0.001 to the bit


@pytest.mark.parametrize("classes", [style.diverging([1, -900, 30], "MW"), style.short_or_spare([1, -900, 30], "MW"), style.VOLTAGES, style.LOADINGS, style.SHARES, style.ENERGY_SHARES, style.HOURS])
def test_classes_leave_no_gap(classes):
    for one, following in zip(classes, classes[1:]):
        assert one.upper == following.lower
    assert len({c.colour for c in classes}) == len(classes)


def test_diverging_classes_mirror():
    classes = style.diverging([-5000, 100, 7], "MW")
    for one, other in zip(classes, reversed(classes)):
        assert one.lower == -other.upper
    assert [c.label for c in classes][4].startswith("\N{MINUS SIGN}")
    assert math.isinf(classes[0].lower)


def test_any_lack_is_red():
    classes = style.short_or_spare([-900, -0.01, 0, 0, 5e4], "MW")
    assert [next(c.colour for c in classes if c.lower <= v < c.upper) for v in (-900, -0.01)] == [style.REDS[3], style.REDS[0]]
    assert next(c for c in classes if c.lower <= 0 < c.upper).colour == style.MIDDLE


def test_every_technology_has_a_fuel_and_every_fuel_a_colour():
    fuels = tables.fact("fuels").set_index("technology")["fuel"]
    assert set(fuels.index) == set(tables.fact("technologies")["technology"])
    assert set(fuels) == set(style.FUELS)


def test_ranks_on_the_map_do_not_cover_each_other():
    rng = np.random.default_rng(3)
    points = np.vstack([rng.uniform(0, 10, (5, 2)), [[5, 5], [5, 5], [5, 5]]])
    moved = publish._apart(points, 2.0)
    gaps = np.hypot(*(moved[:, None] - moved[None]).T)
    assert gaps[~np.eye(len(points), dtype=bool)].min() > 1.9  # 200 rounds end close to the distance, not at it


def test_map_is_a_picture(built, found, tmp_path):
    from PIL import Image

    publish.draw_map(tmp_path / "map.png", built, output.write_results(tmp_path / "results.json", built, found))
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))
    assert picture.shape[1] >= 2000
    colours = {tuple(c) for c in picture.reshape(-1, 3)[::7]}
    for share in (100, 20, 10):  # the three pockets have the colours of their classes
        wanted = next(c.colour for c in style.SHARES if c.lower <= share < c.upper)
        assert tuple(int(wanted[i:i + 2], 16) for i in (1, 3, 5)) in colours


def test_results_agree_with_the_layers(built, found, tmp_path):
    got = output.write_results(tmp_path / "results.json", built, found)
    assert got == json.loads((tmp_path / "results.json").read_text())
    assert got["residual_deficit_mw"]["value"] == 80 and got["isolated_deficit_mw"]["value"] == 200
    assert got["artefact_deficit_mw"]["value"] == 50
    for name in ("supply_mw", "demand_mw", "isolated_deficit_mw", "residual_deficit_mw", "pockets"):
        assert {"value", "unit", "basis", "hour"} <= set(got[name])
