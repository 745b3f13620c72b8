"""Supply within electrical reach by hand and by its laws, and the surface as a cloud-optimised GeoTIFF."""

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.warp
import scipy.sparse.csgraph
import small_grid
import tifffile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gridmap import reach
from gridmap.__main__ import main

LINE = [np.array(a) for a in ([0, 1], [1, 2], [200.0, 200.0], [0.0, 400.0])]


def test_weights_by_hand():
    got = reach.weights(*LINE, 3, 0.02)
    # 0 to 1 is 1/200 of 1/50, back nothing; 2 to 1 is 1/400
    np.testing.assert_allclose(got, [[1, 0.75, 0.5], [0, 1, 0.75], [0, 0.875, 1]])


def test_access_by_hand():
    got = reach.access(np.array([30.0, 0, 0]), np.array([0.0, 40, 10]), *LINE, 0.02)
    # 30 MW for 0.75 x 40 and 0.5 x 10: 30/35 at full weight
    np.testing.assert_allclose(got, np.array([1, 0.75, 0.5]) * 30 / 35)


@given(st.integers(0, 10_000))
def test_all_supply_with_demand_in_reach_is_handed_out_once(seed):
    rng = np.random.default_rng(seed)
    R, E = 8, 12
    tail = rng.integers(0, R, E)
    head = (tail + rng.integers(1, R, E)) % R
    forward, backward = rng.uniform(0, 300, (2, E)) * (rng.random((2, E)) < 0.8)
    supply, demand = rng.uniform(0, 100, (2, R)) * (rng.random((2, R)) < 0.8)
    got = reach.access(supply, demand, tail, head, forward, backward)
    weight = reach.weights(tail, head, forward, backward, R)
    assert demand @ got == pytest.approx(supply[weight @ demand > 0].sum())
    # distances by a program that knows no limit on them
    limit = np.zeros((R, R))
    np.add.at(limit, (tail, head), forward)
    np.add.at(limit, (head, tail), backward)
    far = scipy.sparse.csgraph.floyd_warshall(np.divide(1, limit, out=np.full((R, R), np.inf), where=limit > 0))
    np.testing.assert_allclose(weight, np.clip(1 - far / reach.REACH, 0, 1), atol=1e-12)


def test_no_reach_is_an_error():
    with pytest.raises(ValueError, match="above zero"):
        reach.access(np.ones(3), np.ones(3), *LINE, 0)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surface")
    done = CliRunner().invoke(main, ["run", "-o", str(folder / "out"), "--config", str(small_grid.write(folder)), "--device", "cpu", "--also", "cog"])
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_surface_keeps_every_mw(out):
    with rasterio.open(out / "surface.tif") as image:
        demand, unserved, near = image.read()
        assert image.crs.to_epsg() == 5070 and image.descriptions[0] == "demand (MW/km2)"
        km2 = abs(image.transform.a * image.transform.e) / 1e6
        # a point in B, at -98.5 E 41.5 N
        x, y = rasterio.warp.transform("EPSG:4326", image.crs, [-98.5], [41.5])
        row, column = image.index(x[0], y[0])
    assert km2 == 4
    # float32 cells
    assert np.nansum(demand, dtype=float) * km2 == pytest.approx(450, rel=1e-6) and np.nansum(unserved, dtype=float) * km2 == pytest.approx(80, rel=1e-6)
    table = pd.read_csv(out / "regions.csv").set_index("region_id")
    corridors = [np.array(a) for a in zip(*[("ABCDE".index(t), "ABCDE".index(h), f, b) for t, h, f, b in small_grid.LIMITS])]
    wanted = reach.access(table["supply_mw"].to_numpy(), table["demand_mw"].to_numpy(), corridors[0].astype(int), corridors[1].astype(int), *corridors[2:])
    assert near[row, column] == pytest.approx(wanted[1], rel=1e-6) and wanted[3] == 0


def test_surface_is_cloud_optimised(out):
    """By another reader: tiled, smaller copies in order, every directory before the first pixel, and GDAL's mark."""
    with tifffile.TiffFile(out / "surface.tif") as image:
        assert all(page.is_tiled for page in image.pages)
        widths = [page.imagewidth for page in image.pages]
        assert widths == sorted(widths, reverse=True)
        assert max(page.offset for page in image.pages) < min(min(o for o in page.dataoffsets if o) for page in image.pages)
    assert b"LAYOUT=IFDS_BEFORE_DATA" in (out / "surface.tif").read_bytes()[:300]
    with rasterio.open(out / "surface.tif") as image:
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_a_year_has_no_surface(tmp_path):
    done = CliRunner().invoke(main, ["run", "-o", str(tmp_path / "out"), "--config", str(small_grid.write(tmp_path)), "--year", "2023", "--also", "cog"])
    assert done.exit_code == 2 and "cog" in done.stderr and "hour" in done.stderr


def test_regions_smaller_than_a_cell(tmp_path, monkeypatch):
    from gridmap import export

    monkeypatch.setattr(export, "CELL_M", 1_000_000)
    done = CliRunner().invoke(main, ["run", "-o", str(tmp_path / "out"), "--config", str(small_grid.write(tmp_path)), "--device", "cpu", "--also", "cog"])
    assert done.exit_code == 2 and "smaller than a cell" in done.stderr and not (tmp_path / "out").exists()
