"""`gridmap adequacy` on the small system, against every state of its plants; and how it refuses."""

import itertools
import json

import numpy as np
import pandas as pd
import pyogrio
import pytest
import small_grid
from click.testing import CliRunner
from cukernels import residual_deficit

from gridmap.__main__ import main
from gridmap.adequacy import System, study


def command(folder, *more):
    toml = small_grid.write(folder) if not (folder / "run.toml").exists() else folder / "run.toml"
    return CliRunner().invoke(main, ["adequacy", "-o", str(folder / "out"), "--config", str(toml), "--by", "county", "--device", "cpu", *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    result = command(place, "--samples", "4000")
    assert result.exit_code == 0, result.output
    assert "regions, short in more than 10% of the hours" in result.output
    return place / "out"


def every_state():
    """(5,) hours short and MWh by region, from the 16 states of the four plants and the bundled outage tables."""
    from gridmap import supply
    rates, month = supply.bundled_outages()[0], 7
    plants = [(place, mw, technology) for (_, _, _, mw, *_), place, technology in zip(
        small_grid.PLANTS, "AACE", ("nuclear", "coal", "oil", "geothermal"), strict=True)]
    names = list(small_grid.DEMAND)
    ends = np.array([[names.index(a), names.index(b)] for a, b, *_ in small_grid.LIMITS]).T
    ways = np.array([(f, b) for *_, f, b in small_grid.LIMITS], float).T
    found = np.zeros((2, 5))
    for state in itertools.product((True, False), repeat=4):
        chance, give = 1.0, np.zeros(5)
        for (place, mw, technology), is_in in zip(plants, state, strict=True):
            out = rates.forced[technology]
            chance *= 1 - out if is_in else out
            give[names.index(place)] += is_in * mw * (1 - rates.scheduled.loc[technology, month])
        for factor in (.5, 1.0, .8):
            short = residual_deficit(give, np.array(list(small_grid.DEMAND.values())) * factor, *ends, *ways).unserved
            found += chance * np.stack([short > 1e-3, short])
    return found


def test_equals_every_state_of_the_plants(folder):
    got = pd.read_csv(folder / "regions.csv").set_index("region_id")
    for name, want, most in zip(("lole_hours", "eue_mwh"), every_state(), (1e-9, 2e-2), strict=True):
        off = abs(got[name].to_numpy() - want)
        assert (off <= 3.5 * got[f"{name}_error"].to_numpy() + most).all(), (name, got[name], want)
    assert got.loc["D", "chronic"] == 1 and got.loc["D", "import_limit_mw"] == 0 and got.loc["B", "import_limit_mw"] == 150


def test_what_a_folder_holds(folder):
    results, manifest = (json.loads((folder / f"{name}.json").read_text()) for name in ("results", "manifest"))
    eue = results["system"]["eue_mwh"]
    assert eue["lower"] < eue["value"] < eue["upper"] and eue["unit"] == "MWh" and eue["standard_error"] > 0
    assert "D" in results["chronic"]["regions"] and results["samples"] == 4000
    assert {o["file"] for o in manifest["outputs"]} >= {"regions.csv", "groups.csv", "hours.csv", "columns.csv", "adequacy.gpkg", "map.png"}
    layer = pyogrio.read_dataframe(folder / "adequacy.gpkg", layer="adequacy")
    assert len(layer) == 5 and set(pd.read_csv(folder / "columns.csv")["column"]) == set(layer.columns) - {"geometry"}
    hours = pd.read_csv(folder / "hours.csv")
    assert hours["eue_mwh"].sum() == pytest.approx(eue["value"], rel=1e-5)


def test_the_system_without_its_holes():
    """A region without any plant or corridor is short all the time; the others are told apart from it beforehand."""
    system = System("AB", np.full((40, 2), 5.0), pd.DataFrame(dict(region=["A"], capacity_mw=[6.0], forced_outage_rate=[1e-6])))
    assert study._sound(system, 0, "cpu") == {study.SOUND: ["A"]}
    fine = System("A", np.full((40, 1), 5.0), system.units)
    assert study._sound(fine, 0, "cpu") == {}


@pytest.mark.parametrize("more, words", [
    (("--samples", "1"), "--samples 1: draw 2 or more"), (("--repair-hours", "0"), "--repair-hours 0"),
    (("--relative-error", "2"), "--relative-error 2"), (("--year", "1999"), "year 1999"), (("--by", "parish"), "'parish'"),
])
def test_bad_wishes_leave_nothing(tmp_path, more, words):
    result = command(tmp_path, *more)
    assert result.exit_code == 2 and words in result.stderr and "\n" not in result.stderr.strip()
    assert not (tmp_path / "out").exists()
