"""`gridmap run` whole: a made-up system solved by hand, and the bundled national one."""

import json
import sqlite3
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import small_grid
from click.testing import CliRunner
from small_grid import DEMAND, SUPPLY, UNSERVED

from gridmap.__main__ import main

LAYERS = ("regions", "plants", "lines", "corridors", "pockets")
FILES = {"gridmap.gpkg", *(f"{name}.parquet" for name in LAYERS), "regions.csv", "pockets.csv", "corridors.csv", "columns.csv", "repair.csv", "account.csv", "provenance.parquet", "sources.csv", "limits.csv", "limits.json",
         "map.png", "results.json", "manifest.json"}


def run(*arguments):
    result = CliRunner().invoke(main, ["run", *map(str, arguments)])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The results of the small system, by its run.toml."""
    folder = tmp_path_factory.mktemp("small")
    run("-o", folder / "out", "--config", small_grid.write(folder), "--device", "cpu")
    return folder / "out"


def results(folder):
    return json.loads((folder / "results.json").read_text())


def layer(folder, name):
    return pyogrio.read_dataframe(folder / "gridmap.gpkg", layer=name)


def test_every_file_is_there(small):
    assert {p.name for p in small.iterdir()} == FILES
    manifest = json.loads((small / "manifest.json").read_text())
    assert {o["file"] for o in manifest["outputs"]} == FILES - {"manifest.json"}
    assert {"regions.geojson", "plants.csv", "demand.csv", "limits.csv", "lines.geojson"} <= {i["file"] for i in manifest["inputs"]}
    assert all(len(i["sha256"]) == 64 for i in manifest["inputs"])
    assert manifest["device"]["kind"] == "cpu" and manifest["steps"] and manifest["options"]["basis"] == "nameplate"


def test_regions_by_hand(small):
    got = pd.read_csv(small / "regions.csv").set_index("region_id")
    for column, wanted in (("supply_mw", SUPPLY), ("demand_mw", DEMAND), ("residual_deficit_mw", UNSERVED)):
        assert got[column].to_dict() == pytest.approx(wanted, abs=1e-9)
    assert got["spare_mw"].sum() == pytest.approx(450 - 370)  # supply less what is served
    assert got["pocket_id"].to_dict() == {"A": 0, "B": 3, "C": 2, "D": 1, "E": 0}
    # C's own plants and corridors (80) can't carry its 100: odd, but possible; D without any corridor is a hole in the data
    assert got["artefact"].to_dict() == {"A": False, "B": False, "C": False, "D": True, "E": False}
    assert got["confidence"].to_dict() == pytest.approx({"A": 1, "B": 1, "C": 0.7 * 0.7, "D": 0.1 * 0.2 * 0.7 * 0.7, "E": 0.7})  # the one line ends in A and B
    assert got["flag"].fillna("").ne("").to_dict() == {"A": False, "B": False, "C": True, "D": True, "E": True}


def test_the_hour_is_the_peak(small):
    found = results(small)
    assert found["hour"] == small_grid.PEAK
    for name, value in (("supply_mw", 450), ("demand_mw", 450), ("isolated_deficit_mw", 200), ("residual_deficit_mw", 80), ("pockets", 3)):
        assert found[name]["value"] == pytest.approx(value)
        assert found[name]["hour"] == small_grid.PEAK and found[name]["basis"] == "nameplate" and found[name]["unit"]


def test_an_hour_asked_for(tmp_path):
    """At half the demand A serves B and C within the limits; only D, cut off, goes short."""
    toml = small_grid.write(tmp_path)
    run("-o", tmp_path / "out", "--config", toml, "--hour", "2023-07-01T15:00-04:00", "--device", "cpu")
    found = results(tmp_path / "out")
    assert found["hour"] == "2023-07-01T19:00Z"
    assert found["demand_mw"]["value"] == 225 and found["residual_deficit_mw"]["value"] == 25


def test_the_deficit_has_bounds(small):
    """D's 50 MW come from a hole in the data, so between 30 and 80 MW are missing."""
    found = results(small)["residual_deficit_mw"]
    assert (found["lower"], found["upper"]) == (pytest.approx(30), pytest.approx(80))


def test_every_column_is_explained(small):
    said = pd.read_csv(small / "columns.csv").groupby("layer")["column"].agg(list)
    for name in LAYERS:
        assert list(layer(small, name).columns) == [*said[name], "geometry"]


def test_bottlenecks_by_hand(small):
    got = pd.read_csv(small / "corridors.csv").set_index(["tail", "head"])
    assert got["bottleneck"].to_dict() == {("A", "B"): 1, ("B", "C"): 1, ("A", "E"): 0}
    assert got["flow_mw"].to_dict() == pytest.approx({("A", "B"): 120, ("B", "C"): 30, ("A", "E"): 0})
    # if A - B were wider by 30, B and C would lack 20 less C's own: 10 MW fewer in all, until B is served
    assert got.loc[("A", "B"), "worth_mw"] == pytest.approx(10)
    assert got.loc[("B", "C"), "worth_mw"] == 0


def test_totals_agree_everywhere(small):
    found, tables = results(small), {}
    for name in ("regions", "pockets", "corridors"):
        tables[name] = [pd.read_csv(small / f"{name}.csv"), layer(small, name), pyarrow.parquet.read_table(small / f"{name}.parquet").to_pandas()]
        assert len({len(t) for t in tables[name]}) == 1
        assert len({tuple(c for c in t.columns if c not in ("geometry", "bbox")) for t in tables[name]}) == 1
    for column in ("supply_mw", "demand_mw", "isolated_deficit_mw", "residual_deficit_mw"):
        for table in tables["regions"]:
            assert table[column].sum() == pytest.approx(found[column]["value"])
    for table in tables["pockets"]:
        assert table["residual_deficit_mw"].sum() == pytest.approx(found["residual_deficit_mw"]["value"])
        assert len(table) == found["pockets"]["value"]
    assert layer(small, "plants")["supply_mw"].sum() == pytest.approx(found["supply_mw"]["value"])


def test_layers_by_other_readers(small):
    assert {name for name, _ in pyogrio.list_layers(small / "gridmap.gpkg")} == {*LAYERS, "layer_styles"}
    with sqlite3.connect(small / "gridmap.gpkg") as file:
        styles = dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault"))
        assert file.execute("PRAGMA user_version").fetchone() == (10200,)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(styles) == set(LAYERS)
    for text in styles.values():
        assert ElementTree.fromstring(text).find("renderer-v2") is not None
    for name in LAYERS:
        got = layer(small, name)
        assert got.crs.to_epsg() == 5070 and got.geometry.geom_type.nunique() == 1
        assert geopandas.read_parquet(small / f"{name}.parquet").crs == got.crs
    assert len(layer(small, "lines")) == 1


def test_on_another_continent(tmp_path):
    """The same system in India, without lines of its own: the same numbers, an equal-area CRS of its own, an empty layer of lines."""
    toml = small_grid.write(tmp_path, east=176, north=-30)
    toml.write_text("".join(line for line in toml.read_text().splitlines(keepends=True) if not line.startswith("lines")))
    run("-o", tmp_path / "out", "--config", toml, "--device", "cpu", "--also", "flatgeobuf")
    assert results(tmp_path / "out")["residual_deficit_mw"]["value"] == pytest.approx(80)
    regions = layer(tmp_path / "out", "regions")
    assert regions.crs.to_epsg() != 5070 and regions.crs.is_projected
    assert regions.to_crs(4326).total_bounds == pytest.approx([76, 10, 79, 12], abs=1e-6)
    assert len(layer(tmp_path / "out", "lines")) == 0 and dict(pyogrio.list_layers(tmp_path / "out" / "gridmap.gpkg"))["lines"] == "MultiLineString"


def test_again_replaces_and_gives_the_same_numbers(tmp_path):
    toml = small_grid.write(tmp_path)
    for _ in range(2):
        run("-o", tmp_path / "out", "--config", toml, "--device", "cpu")
    first = (tmp_path / "out" / "regions.csv").read_bytes()
    run("-o", tmp_path / "other", "--config", toml, "--device", "cpu")
    assert (tmp_path / "other" / "regions.csv").read_bytes() == first
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_options_go_before_the_toml(tmp_path):
    toml = small_grid.write(tmp_path)
    small_grid.rows(tmp_path / "wider.csv", "tail,head,forward_mw,backward_mw", (("A", "B", 200, 0), ("B", "C", 200, 0), ("A", "D", 50, 0)))
    run("-o", tmp_path / "out", "--config", toml, "--limits", tmp_path / "wider.csv", "--device", "cpu")
    assert results(tmp_path / "out")["residual_deficit_mw"]["value"] == 0
    assert results(tmp_path / "out")["pockets"]["value"] == 0
    assert len(layer(tmp_path / "out", "pockets")) == 0


def test_repairs_are_reported_by_row(tmp_path):
    """A plant outside every region is in no total, and repair.csv says which row it was."""
    toml = small_grid.write(tmp_path)
    with (tmp_path / "plants.csv").open("a") as file:
        file.write("9,Lost,Coal,77,-80.5,30.5\n")
    run("-o", tmp_path / "out", "--config", toml, "--device", "cpu")
    assert results(tmp_path / "out")["supply_mw"]["value"] == 450
    repairs = pd.read_csv(tmp_path / "out" / "repair.csv")
    lost = repairs[(repairs["file"] == "plants.csv") & (repairs["row"] == 5) & (repairs["action"] == "left out")]
    assert lost["mw"].tolist() == [77.0]


@pytest.fixture(scope="module")
def national(tmp_path_factory):
    folder = tmp_path_factory.mktemp("national")
    run("-o", folder / "out", "--device", "cpu", "--quiet")
    return folder / "out"


def test_national_totals(national):
    """Demand and its peak hour as published; supply within what is installed; the deficit shrinks by what flows."""
    found = results(national)
    assert found["hour"] == "2023-07-27T22:00Z"
    assert found["demand_mw"]["value"] == pytest.approx(741.2e3, rel=5e-4)
    assert 741.2e3 < found["supply_mw"]["value"] < 1159e3
    assert 0 < found["residual_deficit_mw"]["value"] < found["isolated_deficit_mw"]["value"] < found["demand_mw"]["value"]
    assert found["pockets"]["value"] > 0 and found["bottlenecks"]["worst"]


def test_national_layers(national):
    regions = layer(national, "regions")
    assert len(regions) == 3100 and regions["state"].nunique() == 49  # 3,108 counties, Connecticut eight as one, Falls Church in Fairfax; DC
    assert regions.geometry.is_valid.all() and not regions.geometry.is_empty.any()
    assert 7.66e12 < regions.geometry.area.sum() < 8.08e12  # m2: the land of the 48 states, and with lakes and sea
    assert len(layer(national, "plants")) > 11000
    corridors = layer(national, "corridors")
    limit = np.where(corridors["flow_mw"] > 0, corridors["forward_mw"], corridors["backward_mw"])
    assert (corridors["flow_mw"].abs() <= limit + 1e-6).all()


def test_every_region_is_balanced(national):
    """supply - spare + what comes in = demand - unserved, in each of the 3,100 regions."""
    regions, corridors = (pd.read_csv(national / f"{name}.csv", dtype={"region_id": str, "tail": str, "head": str}) for name in ("regions", "corridors"))
    row = pd.Series(regions.index, index=regions["region_id"])
    come = np.zeros(len(regions))
    for end, sign in (("head", 1), ("tail", -1)):
        np.add.at(come, row[corridors[end]].to_numpy(), sign * corridors["flow_mw"].to_numpy())
    left = regions["supply_mw"] - regions["spare_mw"] + come - regions["demand_mw"] + regions["residual_deficit_mw"]
    assert np.abs(left).max() < 1e-3  # the CSV holds six decimals, a region has up to twenty corridors


def test_the_same_findings_on_every_device(xp, tmp_path):
    """An hour and a month of the small system, solved on the CPU, by the emulated kernels, and on a GPU where there is one."""
    from gridmap import flow, read, repair, supply, year
    from gridmap.config import from_options

    device = "cpu" if xp is np else "cuda"
    inputs = repair.repair(read.load(from_options(small_grid.write(tmp_path))))
    found = flow.solve(inputs, supply.balance(inputs, small_grid.PEAK, "nameplate"), device)
    assert found.regions.set_index("region_id")["residual_deficit_mw"].to_dict() == pytest.approx(UNSERVED, abs=1e-9)
    assert found.corridors["worth_mw"].tolist() == pytest.approx([10, 0, 0])
    assert found.pockets["residual_deficit_mw"].tolist() == pytest.approx([50, 20, 10])
    month = year.solve_month(inputs, inputs.demand.hours, "nameplate", device)
    assert month["totals"]["unserved_mw"].tolist() == pytest.approx([25, 80, 40])
    assert month["short"]["unserved_mw"].sum() == pytest.approx(145) and len(month["full"]) == 2
