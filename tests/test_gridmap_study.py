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
    from gridmap import factors
    rates, month = factors.bundled_outages()[0], 7
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
    columns = pd.read_csv(folder / "columns.csv").groupby("layer")["column"].agg(set)
    assert len(layer) == 5 and columns["adequacy"] == set(layer.columns) - {"geometry"}
    energy = pyogrio.read_dataframe(folder / "adequacy.gpkg", layer="adequacy_energy")
    assert columns["adequacy_energy"] == set(energy.columns) - {"geometry"} and (energy["eue_mwh_low"] <= energy["eue_mwh"]).all()
    styles = pyogrio.read_dataframe(folder / "adequacy.gpkg", layer="layer_styles", read_geometry=False)
    assert set(styles["f_table_name"]) == {"adequacy", "adequacy_energy"} and styles["styleQML"].str.contains("lole_hours|neue_ppm").all()
    hours = pd.read_csv(folder / "hours.csv")
    assert hours["eue_mwh"].sum() == pytest.approx(eue["value"], rel=1e-5)
    controlled = results["system"]["eue_mwh_controlled"]
    assert abs(controlled["value"] - eue["value"]) < 4 * eue["standard_error"] and controlled["standard_error"] < eue["standard_error"]
    worst, regions = pd.read_csv(folder / "worst_hours.csv"), pd.read_csv(folder / "regions.csv").set_index("region_id")
    first = worst[worst["rank"] == 1].set_index("region_id")["unserved_mw"]
    np.testing.assert_allclose(regions["worst_hour_mw"], first.reindex(regions.index, fill_value=0.0), atol=1e-6)
    spells = pd.read_csv(folder / "distributions.csv").query("place == 'system' and what == 'duration_h'")
    assert spells["a_year"].sum() == pytest.approx(results["system"]["lolf"]["value"], rel=1e-5)


def test_the_system_without_its_holes():
    """A region without any plant or corridor is short all the time; the others are told apart from it beforehand."""
    system = System("AB", np.full((40, 2), 5.0), pd.DataFrame(dict(region=["A"], capacity_mw=[6.0], forced_outage_rate=[1e-6])))
    assert study._sound(system, 0, "cpu") == {study.SOUND: ["A"]}
    fine = System("A", np.full((40, 1), 5.0), system.units)
    assert study._sound(fine, 0, "cpu") == {}


SCENARIO = """
[[retire]]
plant_id = "2"

[[load]]
name = "data centre"
load_mw = 30
region = "E"

[[line]]
tail = "A"
head = "D"
forward_mw = 40
"""


def test_a_scenario_on_the_same_outages(tmp_path):
    """Retire Beta, a data centre in E, a line to D: the differences of two runs, with far smaller errors than theirs."""
    (tmp_path / "change.toml").write_text(SCENARIO)
    result = command(tmp_path, "--samples", "2000", "--scenario", str(tmp_path / "change.toml"))
    assert result.exit_code == 0, result.output
    assert "the scenario changes system" in result.output
    out = tmp_path / "out"
    change, before, after = (pd.read_csv(out / f"{name}.csv") for name in ("change", "regions", "after"))
    change, before, after = change.set_index("place"), before.set_index("region_id"), after.set_index("place")
    for name in ("lole_hours", "eue_mwh"):
        np.testing.assert_allclose(change.loc[before.index, name], after.loc[before.index, name] - before[name], atol=2e-6)
    alone = np.hypot(before["eue_mwh_error"], after.loc[before.index, "eue_mwh_error"])
    assert (change.loc[before.index, "eue_mwh_error"] <= alone + 1e-9).all()
    assert change.loc["D", "eue_mwh"] < -50 and change.loc["E", "eue_mwh"] > 1
    results = json.loads((out / "results.json").read_text())
    assert results["change"]["system"]["eue_mwh"]["value"] == pytest.approx(change.loc["system", "eue_mwh"], abs=1e-5)
    assert len(pyogrio.read_dataframe(out / "adequacy.gpkg", layer="adequacy_change")) == 5 and (out / "change.png").stat().st_size > 10_000


def test_what_a_plant_is_worth_and_what_fits(tmp_path):
    toml = small_grid.write(tmp_path)
    plant = '[[add]]\nplant_id = "9"\ntechnology = "nuclear"\nnameplate_mw = 50\nregion = "C"\n'
    (tmp_path / "plant.toml").write_text(plant)
    common = ["--config", str(toml), "--by", "county", "--device", "cpu", "--samples", "300"]
    got = CliRunner().invoke(main, ["worth", str(tmp_path / "plant.toml"), "-o", str(tmp_path / "worth"), "--region", "C", *common])
    assert got.exit_code == 0, got.output
    results = json.loads((tmp_path / "worth" / "results.json").read_text())
    for name in ("load_carried_mw", "firm_capacity_mw"):
        assert 30 < results[name]["lower"] <= results[name]["value"] <= results[name]["upper"] <= 52, results[name]
    got = CliRunner().invoke(main, ["fits", "-o", str(tmp_path / "fits"), "--region", "A", "--region", "D", "--standard", "3", *common])
    assert got.exit_code == 0, got.output
    fits = pd.read_csv(tmp_path / "fits" / "fits.csv").set_index("region_id")
    assert fits.loc["D", "load_mw"] == 0 and fits.loc["D", "as_it_is"] == pytest.approx(1)  # without plant or line: short on the day there is
    assert "D: nothing fits" in got.output
    got = CliRunner().invoke(main, ["fits", "-o", str(tmp_path / "no"), "--region", "Z", *common])
    assert got.exit_code == 2 and "--region Z: there is no such region" in got.stderr and not (tmp_path / "no").exists()


def test_cold_makes_outages(tmp_path):
    """All of the three hours at -15 degrees against 20: more units are out. The file is checked."""
    hours, places = [f"2023-07-01T{h}:00Z" for h in (19, 20, 21)], list(small_grid.DEMAND)
    small_grid.write(tmp_path)
    energy = {}
    for celsius in (20, -15):
        small_grid.rows(tmp_path / "temperature.csv", "hour_utc,region_id,temperature_c", [(h, p, celsius) for h in hours for p in places])
        result = command(tmp_path, "--samples", "600", "--temperature", str(tmp_path / "temperature.csv"))
        assert result.exit_code == 0, result.output
        energy[celsius] = json.loads((tmp_path / "out" / "results.json").read_text())["system"]["eue_mwh"]
    assert energy[-15]["lower"] > energy[20]["upper"]
    for text, words in ((f"{hours[0]},A,warm", "row 1: temperature_c is warm"), (f"{hours[0]},A,5", "region_id B has no 2023-07-01 19:00:00 UTC"),
                        (f"{hours[0]},A,5\n{hours[0]},A,5", "row 2: A has 2023-07-01 19:00:00 twice")):
        (tmp_path / "bad.csv").write_text("hour_utc,region_id,temperature_c\n" + text + "\n")
        result = command(tmp_path, "--temperature", str(tmp_path / "bad.csv"))
        assert result.exit_code == 2 and words in result.stderr, result.stderr


@pytest.mark.parametrize("more, words", [
    (("--temperature", "nowhere.csv"), "nowhere.csv: there is no such file"),
    (("--scenario", "nowhere.toml"), "nowhere.toml: the scenario can't be read"), (("--seed", "-1"), "--seed -1"),
    (("--samples", "1"), "--samples 1: draw 2 or more"), (("--repair-hours", "0"), "--repair-hours 0"),
    (("--relative-error", "2"), "--relative-error 2"), (("--year", "1999"), "year 1999"), (("--by", "parish"), "'parish'"),
])
def test_bad_wishes_leave_nothing(tmp_path, more, words):
    result = command(tmp_path, *more)
    assert result.exit_code == 2 and words in result.stderr and "\n" not in result.stderr.strip()
    assert not (tmp_path / "out").exists()
