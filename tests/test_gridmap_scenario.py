"""`gridmap compare`: each kind of change on the small system by hand, the files, the words for bad input."""

import json

import numpy as np
import pandas as pd
import pytest
import small_grid
from click.testing import CliRunner
from small_grid import UNSERVED

from gridmap import hours, read, repair, scenario, supply
from gridmap.__main__ import main
from gridmap.config import from_options


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return repair.repair(read.load(from_options(small_grid.write(tmp_path_factory.mktemp("small")))))


def after(inputs, tmp_path, text):
    """{region: MW unserved at the peak} with the changes of a TOML."""
    path = tmp_path / "changes.toml"
    path.write_text(text)
    changed = scenario.apply(inputs, scenario.read(path), path)
    solved = hours.solve(changed, hours.choose(changed, small_grid.PEAK), "nameplate")
    return dict(zip(small_grid.CORNERS, solved.unserved_mw[0])), changed


@pytest.mark.parametrize("text, wanted", [
    # Beta's 100 MW gone: A, B and E have 300 for their own 300 and C's 30, so each of them lacks a tenth
    ('[[retire]]\nplant_id = "2"', {"A": 10, "B": 10, "E": 10, "C": 20}),
    ('[[add]]\nplant_id = "9"\ntechnology = "gas_ct"\nnameplate_mw = 30\nlon = -99.5\nlat = 40.5', {"D": 20}),
    ('[[add]]\nplant_id = "9"\ntechnology = "gas_ct"\nnameplate_mw = 30\nregion = "D"', {"D": 20}),
    ('[[grow]]\npercent = 10\nregion = "D"', {"D": 55}),
    ('[[grow]]\npercent = 10\narea = "D"', {"D": 55}),
    # 10 more each in B and C, E takes 10 of A's spare
    ('[[grow]]\npercent = 10', {"B": 20, "C": 30, "D": 55}),
    ('[[load]]\nname = "campus"\nload_mw = 25\nregion = "C"', {"C": 45, "B": 10}),
    # 20 MW more than the 30 that C had: B and C then lack 30 of 200 together, 15 each
    ('[[line]]\ntail = "C"\nhead = "B"\nforward_mw = 20', {"B": 15, "C": 15}),
    ('[[outage]]\ntail = "C"\nhead = "B"', {"B": 0, "C": 50}),
    ('[[outage]]\ntail = "B"\nhead = "C"\nlost_mw = 12', {"B": 0, "C": 32}),
    # growth comes before new loads
    ('[[load]]\nname = "campus"\nload_mw = 10\nregion = "D"\n[[grow]]\npercent = 10\nstate = "XX"', {"B": 20, "C": 30, "D": 65}),
])
def test_changes_by_hand(inputs, tmp_path, text, wanted):
    got, changed = after(inputs, tmp_path, text)
    assert got == pytest.approx(UNSERVED | wanted, abs=1e-9)
    assert changed.report["file"].eq("scenario").any()


def test_the_system_as_it_is_stays_as_it_is(inputs, tmp_path):
    after(inputs, tmp_path, '[[retire]]\nplant_id = "1"\n[[grow]]\npercent = 50\n[[outage]]\ntail = "A"\nhead = "B"')
    solved = hours.solve(inputs, hours.choose(inputs, small_grid.PEAK), "nameplate")
    assert dict(zip(small_grid.CORNERS, solved.unserved_mw[0])) == pytest.approx(UNSERVED)


def test_nothing_changed_is_no_difference(inputs):
    same = scenario.difference(inputs, inputs, inputs.demand.hours, "nameplate")
    assert not same.hours["change_mw"].any() and not same.regions["change_mwh"].any()
    assert same.regions["short_before_h"].equals(same.regions["short_after_h"])
    np.testing.assert_array_equal(same.corridors["forward_mw"], same.corridors["forward_before_mw"])


def test_an_added_plant_is_a_row_like_others(inputs, tmp_path):
    _, changed = after(inputs, tmp_path, '[[add]]\nplant_id = "9"\ntechnology = "wind"\nnameplate_mw = 10\nregion = "B"\nsummer_mw = 8')
    assert changed.plants.dtypes.equals(inputs.plants.dtypes)
    row = changed.plants.iloc[-1]
    assert (row["region"], row["summer_mw"], row["winter_mw"], row["status"]) == (1, 8, 10, "OP")
    assert supply.balance(changed, small_grid.PEAK, "net_summer")["supply_mw"][1] == 8


def compare(folder, text, *more):
    toml = small_grid.write(folder)
    (folder / "changes.toml").write_text(text)
    return CliRunner().invoke(main, ["compare", str(folder / "changes.toml"), "-o", str(folder / "out"), "--config", str(toml), "--device", "cpu", *more])


def test_files(tmp_path):
    result = compare(tmp_path, '[[line]]\ntail = "A"\nhead = "D"\nforward_mw = 50\n[[retire]]\nplant_id = "4"', "--hours", "peak:3")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    regions = pd.read_csv(tmp_path / "out" / "regions.csv").set_index("region_id")
    total = pd.read_csv(tmp_path / "out" / "hours.csv")
    assert told["change_mwh"]["value"] == pytest.approx(regions["change_mwh"].sum()) == pytest.approx(total["change_mw"].sum())
    # D has its 50 from A; E lost its 100 and has 40 of A's: in the peak A spares 80 beside what it sends to B
    assert regions.loc["E", "worst_change_mw"] > 0 > regions.loc["D", "worst_change_mw"]
    assert {r["region_id"] for r in told["worse"]["most"]} >= {"E"} and told["better"]["most"][0]["region_id"] == "D"
    corridors = pd.read_csv(tmp_path / "out" / "corridors.csv")
    new = corridors[corridors["tail"].eq("A") & corridors["head"].eq("D")].iloc[0]
    assert (new["forward_before_mw"], new["forward_mw"]) == (0, 50)
    assert "changes.toml" in {i["file"] for i in json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"]}


@pytest.mark.parametrize("text, parts", [
    ("", "changes nothing"), ("[[build]]\nmw = 3", "unknown"), ('[retire]\nplant_id = "1"', "single brackets"), ("[[retire]]\nplant_id = 3", "quotes"),
    ('[[retire]]\nplant_id = "77"', "no plant 77"), ('[[retire]]\nplant_id = "1"\ngenerator_id = "x"', "generator x"),
    ('[[add]]\nplant_id = "9"\ntechnology = "fusion"\nnameplate_mw = 3\nregion = "A"', "fusion"),
    ('[[add]]\nplant_id = "9"\ntechnology = "wind"\nnameplate_mw = 3', "no place"),
    ('[[add]]\nplant_id = "9"\ntechnology = "wind"\nnameplate_mw = 3\nlon = 0\nlat = 0', "no region"),
    ('[[add]]\nplant_id = "9"\ntechnology = "wind"\nnameplate_mw = nan\nregion = "A"', "no number"),
    ('[[add]]\nplant_id = "9"\ntechnology = "wind"\nnameplate_mw = -1\nregion = "A"', "negative"),
    ("[[grow]]\narea = \"A\"", "lacks percent"), ('[[grow]]\npercent = 3\narea = "Q"', "no demand area"), ('[[grow]]\npercent = 3\nstate = "Q"', "state Q"),
    ('[[grow]]\npercent = -200', "-100"), ('[[grow]]\npercent = 3\nstate = "XX"\narea = "A"', "keep one"),
    ('[[line]]\ntail = "A"\nhead = "A"\nforward_mw = 3', "itself"), ('[[line]]\ntail = "A"\nhead = "Z"\nforward_mw = 3', "no region Z"),
    ('[[outage]]\ntail = "A"\nhead = "C"', "no corridor"), ('[[outage]]\ntail = "A"\nhead = "B"\ncolour = 1', "colour"), ("[[", "not TOML")])
def test_bad_scenarios(tmp_path, text, parts):
    result = compare(tmp_path, text)
    assert result.exit_code == 2 and parts in result.stderr and "changes.toml" in result.stderr, result.stderr
    assert "\n" not in result.stderr.strip() and not (tmp_path / "out").exists()
