"""Limits: what the files say between two regions is what the corridor can carry, and the traps are seen."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import small_grid
from national import loaded, rule

from gridmap import InputError, ledger, limits, tables

REGIONS = geopandas.GeoDataFrame({"region_id": list("ABC"), "name": list("abc")}, geometry=[shapely.box(i, 0, i + 1, 1) for i in range(3)], crs=4326)


def build(folder, rows, head="tail,head,forward_mw,backward_mw", regions=REGIONS):
    small_grid.rows(folder / "limits.csv", head, rows)
    book = ledger.Ledger()
    return limits.build([folder / "limits.csv"], regions, book), book.table()


def test_both_ways_by_hand(tmp_path):
    """Given head first, turned; parallel ties added; a direct-current tie stays beside the alternating one."""
    got, report = build(tmp_path, [("B", "A", 10, 20, "AC"), ("A", "B", 1, 2, "AC"), ("A", "B", 5, 5, "B2B"), ("B", "C", 7, 0, "")],
                        "tail,head,forward_mw,backward_mw,kind")
    assert got[["tail", "head", "forward_mw", "backward_mw", "kind"]].values.tolist() == [
        [0, 1, 21.0, 12.0, "AC"], [0, 1, 5.0, 5.0, "DC"], [1, 2, 7.0, 0.0, "AC"]]
    assert rule(report, "parallel ties")[["plant", "before"]].values.tolist() == [["A to B", "2 rows"]]


def test_ends_outside_and_inside_are_left_out_with_their_mw(tmp_path):
    got, report = build(tmp_path, [("A", "X", 3, 4), ("B", "B", 5, 6), ("A", "B", 0, 0)])
    assert got[["tail", "head"]].values.tolist() == [[0, 1]]
    assert rule(report, "corridor to a place outside")[["row", "plant", "mw"]].values.tolist() == [[1, "A to X", 4.0]]
    assert rule(report, "corridor inside one region")[["row", "mw"]].values.tolist() == [[2, 6.0]]
    assert rule(report, "corridor with a limit of 0")["row"].tolist() == [3]
    assert rule(report, "region without any corridor")["plant"].tolist() == ["C c"]


def test_interconnects_are_kept_apart(tmp_path):
    sides = REGIONS.assign(interconnect=["eastern", "western", ""])
    got, report = build(tmp_path, [("A", "B", 10, 20, "AC"), ("A", "B", 5, 5, "B2B"), ("B", "C", 7, 7, "AC")],
                        "tail,head,forward_mw,backward_mw,kind", regions=sides)
    assert got[["tail", "head", "kind"]].values.tolist() == [[0, 1, "DC"], [1, 2, "AC"]]
    assert rule(report, "AC corridor between two interconnects")[["row", "plant", "mw"]].values.tolist() == [[1, "A to B", 20.0]]


@pytest.mark.parametrize("row, words", [(("A", "B", -1, 2), "A to B is -1"), (("A", "B", "", 2), "A to B is nan"), (("A", "B", "inf", 2), "A to B is inf")])
def test_bad_limits_are_named_by_row(tmp_path, row, words):
    with pytest.raises(InputError, match=f"limits.csv: row 2: the limit {words}"):
        build(tmp_path, [("B", "C", 1, 1), row])


def test_columns_of_zeros_with_one_line_out_are_no_limits(tmp_path):
    """The county file's N-1 columns are all zero: taken for limits they would cut every county off."""
    head = "r,rr,MW_f0,MW_r0,MW_f1,MW_r1"
    got, report = build(tmp_path, [("A", "B", 10, 20, 0, 0), ("B", "C", 5, 5, 0, 0)], head)
    assert got["forward_mw"].tolist() == [10, 5]
    line, = rule(report, "columns with one line out").to_dict("records")
    assert line["action"] == "left out" and line["before"].startswith("all zero")
    got, report = build(tmp_path, [("A", "B", 10, 20, 8, 0)], head)
    assert rule(report, "columns with one line out")["action"].tolist() == ["kept"] and got["forward_mw"].tolist() == [10]


def test_fewer_regions_add_limits_and_lose_inner_ones(tmp_path):
    got, _ = build(tmp_path, [("A", "B", 10, 20), ("A", "C", 1, 2), ("B", "C", 5, 6)])
    merged = limits.onto(got, np.array([0, 0, 1]))
    assert merged[["tail", "head", "forward_mw", "backward_mw"]].values.tolist() == [[0, 1, 6.0, 8.0]]


# The bundled limits


def test_every_mw_of_the_county_file_is_a_corridor_or_in_the_report():
    raw = pd.read_parquet(tables.DATA / "limits_county.parquet")
    got, report = loaded().corridors, loaded().report
    county = got[got["kind"].eq("AC")]
    inside = rule(report, "corridor inside one region")
    assert len(rule(report, "corridor to a place outside")) == 0
    left = raw.loc[inside["row"] - 1]
    wanted = raw["MW_f0"].sum() + raw["MW_r0"].sum() - left["MW_f0"].sum() - left["MW_r0"].sum()
    assert county["forward_mw"].sum() + county["backward_mw"].sum() == pytest.approx(wanted, rel=1e-12)
    fairfax, connecticut = 1, 16
    assert len(inside) == connecticut + fairfax
    assert (got["tail"] < got["head"]).all() and not got.duplicated(["tail", "head", "kind"]).any()


def test_direct_current_ties_join_the_interconnects():
    got, regions = loaded().corridors, loaded().regions
    sides = regions["interconnect"].to_numpy()
    crosses = sides[got["tail"]] != sides[got["head"]]
    dc = got["kind"].eq("DC")
    assert dc.sum() == 11 and got.loc[dc, "forward_mw"].sum() == 2780 + 1920 + 200 + 310 + 200 * 3 + 210 + 1500 + 220 + 600
    assert not (crosses & ~dc).any() and (crosses & dc).sum() == 7
    odd, = rule(loaded().report, "back-to-back tie whose ends lie in one interconnect").to_dict("records")
    assert odd["after"].startswith("Virginia Smith") and odd["mw"] == 310      # Keith and Lincoln NE are both eastern
    assert "Pacific DC Intertie" in set(got.loc[dc, "name"])


def test_the_county_that_the_file_forgets_is_reported():
    """48313, Madison TX, is in the population and in the polygons, and in no pair of the limits."""
    assert rule(loaded().report, "region without any corridor")["plant"].tolist() == ["48313 Madison"]
    line, = rule(loaded().report, "columns with one line out").to_dict("records")
    assert line["action"] == "left out" and line["plant"] == "6988 rows"


def test_connecticut_is_joined_to_all_its_neighbours():
    got, regions = loaded().corridors, loaded().regions
    here = regions.index[regions["region_id"].eq("09000")][0]
    ends = got[(got["tail"] == here) | (got["head"] == here)]
    other = np.where(ends["tail"] == here, ends["head"], ends["tail"])
    assert sorted(regions["region_id"].to_numpy()[other]) == ["25013", "25027", "36027", "36079", "36103", "44007", "44009"]
