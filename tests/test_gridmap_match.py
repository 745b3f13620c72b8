"""The same plants in two registries: made-up ones by hand, EIA's of 2022 and 2023 with their numbers hidden."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from national import loaded

from gridmap import match, read, tables
from gridmap.__main__ import main

HEAD = ["plant_id", "plant_name", "technology", "nameplate_mw", "lon", "lat"]
FIRST = [("1", "Moss Landing Power Plant", "gas_cc", 1020, -121.78, 36.80), ("2", "Adams Solar LLC", "solar", 20, -100.0, 40.0),
         ("3", "Adams Wind Farm", "wind", 100, -100.0, 40.001), ("4", "Big Dam", "hydro", 500, -110.0, 45.0), ("5", "Nowhere", "oil", 5, -80.0, 30.0)]
SECOND = [("M", "Moss Landing", "gas_ct", 1000, -121.781, 36.801), ("S", "Adams Solar Project", "solar", 21, -100.002, 40.0),
          ("W", "Adams Wind", "wind", 99, -100.001, 40.0), ("D1", "Big Dam 1", "hydro", 300, -110.0, 45.001), ("D2", "Big Dam 2", "hydro", 200, -110.0, 45.002),
          ("F", "Nowhere", "oil", 5, -90.0, 30.0)]


def units(rows):
    return pd.DataFrame(rows, columns=HEAD).assign(state="XX", summer_mw=lambda t: t["nameplate_mw"])


@pytest.fixture(scope="module")
def found():
    return match.match(units(FIRST), units(SECOND))


def test_by_hand(found):
    got = {(p.first_id, p.second_id): p.kind for p in found.pairs.itertuples()}
    # solar and wind of one site and name are told apart by fuel and size; the dam is two plants there; one name far away is another plant
    assert got == {("1", "M"): "one", ("2", "S"): "one", ("3", "W"): "one", ("4", "D1"): "one", ("4", "D2"): "part"}
    assert list(found.first.loc[~found.first["matched"], "plant_id"]) == ["5"] and list(found.second.loc[~found.second["matched"], "plant_id"]) == ["F"]


def test_reasons_say_what_agrees(found):
    reason = found.pairs.set_index("second_id")["reason"]
    assert reason["M"] == "0.1 km apart; names share landing moss; fuels 100% alike; 1,020 MW beside 1,000 MW"
    assert reason["D2"].endswith("part of a plant with another partner")
    score = found.pairs.set_index("second_id")
    assert score.loc["M", "score"] == pytest.approx(0.35 * score.loc["M", "place"] + 0.4 * score.loc["M", "name"] + 0.15 + 0.1 * 1000 / 1020)


def test_a_part_must_bring_the_sizes_together():
    """A second dam as large as the whole is no part of it."""
    second = [*SECOND[:3], ("D1", "Big Dam 1", "hydro", 500, -110.0, 45.001), ("D2", "Big Dam 2", "hydro", 500, -110.0, 45.002)]
    assert "part" not in set(match.match(units(FIRST), units(second)).pairs["kind"])


def test_exchanging_the_sides_exchanges_the_answer(found):
    turned = match.match(units(SECOND), units(FIRST))
    assert {(p.second_id, p.first_id) for p in turned.pairs.itertuples()} == {(p.first_id, p.second_id) for p in found.pairs.itertuples()}


def test_coverage_adds_up(found):
    table = found.coverage.set_index("fuel")
    assert table["first_mw"].sum() == 1645 and table["second_mw"].sum() == 1625
    assert table.loc["hydro", ["first_plants", "second_plants", "first_matched_mw", "second_matched_mw"]].tolist() == [1, 2, 500, 500]
    assert table.loc["oil", "first_matched_mw"] == 0 and table.loc["gas", "first_of_national"] == pytest.approx(1020 / 508400)


def test_without_coordinates_the_name_and_state_decide():
    blind = units(FIRST[:2]).assign(lon=np.nan, lat=np.nan)
    got = match.match(blind, units(SECOND))
    assert [(p.first_id, p.second_id) for p in got.pairs.itertuples()] == [("1", "M"), ("2", "S")]  # "adams" is two plants' name: fuel and size
    assert "without coordinates" in got.pairs["reason"][0]


def test_the_registries_of_two_years_with_their_numbers_hidden():
    """EIA-860 of 2022 against the addresses of 2023, which say no fuel and size: how many pairs have one number."""
    first = loaded().plants
    places = read.read_places(tables.DATA / "plants_2023.parquet").reset_index()
    second = places[["plant_id", "plant_name", "state", "lon", "lat"]].assign(technology="other", nameplate_mw=0.0, summer_mw=0.0)
    pairs = match.match(first, second).pairs.query("kind == 'one'")
    right = (pairs["first_id"] == pairs["second_id"]).sum()
    both = len(set(first["plant_id"]) & set(second["plant_id"]))
    assert both > 11700 and right / len(pairs) > 0.998 and right / both > 0.995


def write(folder, name, rows):
    (folder / name).write_text("\n".join([",".join(HEAD), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(folder / name)


def test_files(tmp_path):
    result = CliRunner().invoke(main, ["match", write(tmp_path, "a.csv", FIRST), write(tmp_path, "b.csv", SECOND), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "4 of 5 plants" in result.output and "5 of 6 plants" in result.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["pairs"] == {"one": 4, "part": 1} and told["second"]["mw_matched"] == 1620
    assert len(pd.read_csv(tmp_path / "out" / "matches.csv")) == 5 and len(pd.read_csv(tmp_path / "out" / "left_first.csv")) == 1


def test_numbers_of_one_registry_settle_it():
    got = match.match(units(FIRST), units([("5", "Elsewhere", "gas_ct", 9, -70, 44), *SECOND]), "EIA")
    row = got.pairs[got.pairs["first_id"].eq("5")].iloc[0]
    assert (row["second_id"], row["kind"], row["score"], row["reason"]) == ("5", "number", 1.0, "the same EIA plant number")
    assert len(got.pairs) == 6


def test_a_missing_file_is_a_sentence(tmp_path):
    result = CliRunner().invoke(main, ["match", write(tmp_path, "a.csv", FIRST), str(tmp_path / "none.csv"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and "none.csv" in result.stderr and not (tmp_path / "out").exists()
