"""`gridmap where`: the small system by hand, random ones by bisection, the files, the words for bad input."""

import json

import numpy as np
import pandas as pd
import pyogrio
import pytest
import small_grid
from click.testing import CliRunner
from cukernels import residual_deficit

from gridmap import hours, read, repair, siting
from gridmap.__main__ import main
from gridmap.config import from_options


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return repair.repair(read.load(from_options(small_grid.write(tmp_path_factory.mktemp("small")))))


@pytest.fixture(scope="module")
def found(inputs):
    return siting.headroom(inputs, inputs.demand.hours, 60, "nameplate")


def column(table, name):
    return table.set_index("region_id")[name].to_dict()


def test_by_hand(found):
    """At the peak A keeps 80 of its 300, of which 40 can go to E; B, C and D are short."""
    assert column(found.regions, "load_mw") == pytest.approx({"A": 80, "B": 0, "C": 0, "D": 0, "E": 40})
    assert set(found.regions["load_hour"]) == {small_grid.PEAK}
    assert column(found.regions, "load_fits") == {"A": True, "B": False, "C": False, "D": False, "E": False}
    # at half the demand C has 50 for 50 and B lives on A: 70 more for B; E has 50 over and 40 of A
    assert found.load_mw[0] == pytest.approx([240, 70, 30, 0, 90])
    # a plant in B serves B, 60 by way of A and 30 of C; at half the demand B, A's 50 and 10 of E's, and C
    assert found.plant_mw[1] == pytest.approx([260, 190, 130, 50, 140])
    assert found.plant_mw[0] == pytest.approx([50 + 80 + 40, 50 + 60 + 30, 50 + 30, 25, 50 + 40])
    # C's 20, and then B's 10 as less of B's goes to C
    assert found.relief_mw[1] == pytest.approx([0, 10, 30, 50, 0])
    # at 0.8 C lacks 0 and D 40; D's half hour lacks 25
    assert column(found.regions, "relief_mwh") == pytest.approx({"A": 0, "B": 10, "C": 30, "D": 50 + 40 + 25, "E": 0})


def test_what_binds_by_hand(found):
    assert column(found.regions, "cut_regions") == {"A": 2, "B": 1, "C": 1, "D": 1, "E": 1}
    assert column(found.regions, "cut_corridors") == {"A": "", "B": "A - B", "C": "B - C", "D": "", "E": "A - E"}
    assert column(found.regions, "cut_limit_mw") == pytest.approx({"A": 0, "B": 120, "C": 30, "D": 0, "E": 40})
    assert column(found.regions, "cut_name")["E"] == "Region E, XX"


@pytest.mark.parametrize("hour", range(3))
def test_by_bisection(inputs, found, hour):
    """The largest load with the total unserved as it was, found by halving intervals of what it could be."""
    supply, demand = found_hour(inputs, hour)
    ways = hours.ways(inputs)
    total = residual_deficit(supply, demand, *ways).total
    for region in range(5):
        low, high = 0.0, 1000.0
        for _ in range(50):
            middle = (low + high) / 2
            more = demand + middle * (np.arange(5) == region)
            low, high = (middle, high) if residual_deficit(supply, more, *ways).total <= total + 1e-9 else (low, middle)
        assert found.load_mw[hour, region] == pytest.approx(low, abs=1e-6)


def found_hour(inputs, hour):
    solved = hours.solve(inputs, inputs.demand.hours, "nameplate")
    return solved.supply_mw[hour], solved.demand_mw[hour]


def test_hours_by_rank(inputs):
    stamp = inputs.demand.hours
    assert list(hours.choose(inputs, "peak")) == [stamp[1]]
    assert list(hours.choose(inputs, "peak:2")) == [stamp[1], stamp[2]]  # in order of time
    assert list(hours.choose(inputs, "worst:2", "nameplate")) == [stamp[1], stamp[2]]
    assert list(hours.choose(inputs, "2023-07-01T21:00Z, 2023-07-01T19:00Z")) == [stamp[0], stamp[2]]
    np.testing.assert_allclose(hours.unserved(inputs, stamp, "nameplate"), [25, 80, 40])


def where(toml, out, *more):
    return CliRunner().invoke(main, ["where", "-o", str(out), "--config", str(toml), "--device", "cpu", *more])


def test_files(tmp_path):
    result = where(small_grid.write(tmp_path), tmp_path / "out", "--mw", "60", "--hours", "peak:3")
    assert result.exit_code == 0, result.output
    assert "60 MW goes in 1 regions" in result.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["load_fits"]["value"] == 1 and told["load_fits"]["most"][0]["region_id"] == "A" and len(told["hours"]) == 3
    assert told["relief"]["most"][0]["region_id"] in "DC" and told["unserved_mw"]["value"] == pytest.approx(80)
    layer = pyogrio.read_dataframe(tmp_path / "out" / "gridmap.gpkg", layer="regions")
    table = pd.read_csv(tmp_path / "out" / "regions.csv")
    assert layer["load_mw"].to_numpy() == pytest.approx(table["load_mw"]) and set(table) == set(layer) - {"geometry"}
    explained = pd.read_csv(tmp_path / "out" / "columns.csv")
    assert set(table) <= set(explained.loc[explained["layer"].eq("regions"), "column"])
    assert (tmp_path / "out" / "map.png").stat().st_size > 10_000


@pytest.mark.parametrize("option, value, parts", [
    ("--mw", "-5", "above zero"), ("--mw", "nan", "above zero"), ("--hours", "worst:none", "worst:20"), ("--hours", "peak:0", "from 1 to 3"),
    ("--hours", "peak:9", "from 1 to 3"), ("--hours", "noon", "write 2023"), ("--hours", "2031-01-01T00:00Z", "choose")])
def test_bad_questions(tmp_path, option, value, parts):
    result = where(small_grid.write(tmp_path), tmp_path / "out", option, value)
    assert result.exit_code == 2 and parts in result.stderr and "\n" not in result.stderr.strip() and not (tmp_path / "out").exists()
