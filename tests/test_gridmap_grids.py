"""Cells over the counties: hexagons and squares cut at county borders tell what the counties tell."""

import geopandas
import numpy as np
import pytest
import shapely
from national import loaded, repaired, rule

from gridmap import InputError, config, grids, hours, ledger, overlay, reach, read, repair


@pytest.fixture(scope="module")
def squares():
    return repair.repair(read.load(config.from_options(None, by="raster:150km")))


def test_parts_by_hand():
    """Two counties side by side, cells that straddle their border: four parts and a sliver that joins its county."""
    counties = geopandas.GeoDataFrame({"region_id": ["01001", "01003"], "name": ["W", "E"], "state": "AL", "zone": "p1", "interconnect": "eastern"},
                                      geometry=[shapely.box(-90, 33, -89, 34), shapely.box(-89, 33, -88, 34)], crs=4326)
    cells = geopandas.GeoDataFrame({"cell": ["a", "b", "c"]}, geometry=[shapely.box(-90, 33, -89.5, 34), shapely.box(-89.5, 33, -88.5, 34), shapely.box(-88.5, 33, -88, 34)], crs=4326)
    regions, home, share = grids.cut(cells, counties)
    assert regions["region_id"].tolist() == ["a", "b-01001", "b-01003", "c"] and home.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(share.toarray(), [[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]], atol=1e-9)
    cells.geometry = [shapely.box(-90, 33, -88.995, 34), shapely.box(-88.995, 33, -88.5, 34), shapely.box(-88.5, 33, -88, 34)]
    regions, home, _ = grids.cut(cells, counties)
    assert regions["region_id"].tolist() == ["a", "b", "c"] and home.tolist() == [0, 1, 1]
    assert regions.geometry.area.sum() == pytest.approx(2)


def test_squares_tell_what_the_counties_tell(squares):
    """The same demand and supply; and at the peak hour the same total unserved, but for plants that an address moved across a border."""
    county = repaired()
    hour = hours.choose(county, "peak")
    few, many = (hours.solve(inputs, hour) for inputs in (county, squares))
    assert many.demand_mw.sum() == pytest.approx(few.demand_mw.sum(), rel=1e-9)
    assert many.supply_mw.sum() == pytest.approx(few.supply_mw.sum(), rel=1e-3)
    assert many.total_mw[0] == pytest.approx(few.total_mw[0], rel=0.02)
    assert len(squares.regions) > len(county.regions) and len(rule(squares.report, "raster:150km: cells cut")) == 1


def test_nothing_is_cut_off(squares):
    touched = np.zeros(len(squares.regions), bool)
    touched[squares.corridors["tail"]] = touched[squares.corridors["head"]] = True
    alone = squares.regions[~touched]
    county_alone = np.setdiff1d(np.arange(len(loaded().regions)), np.concatenate([loaded().corridors["tail"], loaded().corridors["head"]]))
    assert len(alone) <= len(county_alone)  # a county of several parts has corridors among them
    assert squares.regions["interconnect"].ne("").all()


def test_hexagons_over_a_part_of_the_country(tmp_path):
    pytest.importorskip("h3")
    utah = shapely.union_all(loaded().regions.geometry[loaded().regions["state"].eq("UT")].to_numpy())
    geopandas.GeoDataFrame({"region_id": ["UT"]}, geometry=[utah], crs=4326).to_file(tmp_path / "utah.gpkg")
    got = read.load(config.from_options(None, by="h3:4", regions=tmp_path / "utah.gpkg"))
    assert 130 < got.regions["region_id"].str[:15].nunique() < 220  # 220,000 km2 over 1,770 km2, and the border
    assert rule(got.report, "demand in places outside the region set")["mw"].sum() > 450e3  # the rest of the country
    access = reach.access(np.ones(len(got.regions)), np.ones(len(got.regions)), *(got.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw")))
    assert access.sum() == pytest.approx(len(got.regions))


def test_a_region_in_two_interconnects_is_two():
    """A square over the border of Texas: two regions that no alternating current joins, and their zones."""
    counties = loaded().regions
    square = geopandas.GeoDataFrame({"region_id": ["x", "y"], "name": ["x", "y"], "state": "", "interconnect": "", "zone": ""},
                                    geometry=[shapely.box(-98.5, 33, -97, 35), shapely.box(-100, 31, -99, 32)], crs=4326)
    book = ledger.Ledger()
    got = overlay.apart(square, counties, book)
    assert got["region_id"].tolist() == ["x-eastern", "x-ercot", "y"] and got["interconnect"].tolist() == ["eastern", "ercot", "ercot"]
    assert got["zone"].str.startswith("p").all() and rule(book.table(), "region in several")["after"].tolist() == ["eastern, ercot"]
    assert not shapely.overlaps(*got.geometry.iloc[:2])


@pytest.mark.parametrize("by, words", [("h3:9", "cells"), ("h3:16", "15"), ("raster:0km", "above zero"), ("raster:1km", "larger")])
def test_wishes_that_make_too_many_cells(by, words):
    pytest.importorskip("h3")
    with pytest.raises(InputError, match=words):
        grids.make(by, loaded().regions)
