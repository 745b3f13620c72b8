"""Lines of two files: found by their course, in one piece or in several, and nothing found that is not there."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from click.testing import CliRunner

from gridmap import ledger, line_files, match_lines, tables
from gridmap.__main__ import main

NORTH = 0.003  # degrees: 330 m


def side(folder, name, rows):
    """rows: (kV, name, [(lon, lat), ...])."""
    frame = geopandas.GeoDataFrame({"voltage_kv": [float(kv) for kv, *_ in rows], "name": [n for _, n, _ in rows]}, geometry=[shapely.LineString(c) for *_, c in rows], crs=4326)
    frame.to_file(folder / name)
    return line_files.read(folder / name, ledger.Ledger())[0]


@pytest.fixture
def found(tmp_path):
    first = side(tmp_path, "a.gpkg", [(345, "Alpha Beta", [(-99, 41), (-98, 41)]),          # whole in the second, 330 m off
                                      (138, "", [(-99, 40), (-98, 40)]),                     # in two pieces there
                                      (230, "", [(-97, 41), (-96, 41)]),                     # not there
                                      (345, "", [(-99, 39), (-98, 39)])])                    # crossed, not followed
    second = side(tmp_path, "b.gpkg", [(345, "ALPHA-BETA", [(-98, 41 + NORTH), (-98.5, 41 + NORTH), (-99, 41 + NORTH)]),
                                       (138, "", [(-99, 40), (-98.6, 40)]), (138, "", [(-98.6, 40), (-98, 40)]),
                                       (69, "", [(-98.5, 38.5), (-98.5, 39.5)])])
    return match_lines.match(first, second)


def test_by_hand(found):
    pairs = found.pairs.set_index(["first_row", "second_row"])["kind"].to_dict()
    assert pairs == {(1, 1): "one", (2, 3): "one", (2, 2): "part"}
    np.testing.assert_allclose(found.first["matched_km"] / found.first["km"], [1, 1, 0, 0], atol=0.02)
    np.testing.assert_allclose(found.second["matched_km"] / found.second["km"], [1, 1, 1, 0], atol=0.02)
    assert found.first["km"][0] == pytest.approx(84.1, abs=0.1)


def test_reasons_say_what_agrees(found):
    reason = found.pairs.set_index(["first_row", "second_row"])["reason"]
    assert "345 kV both" in reason[1, 1] and "names 100% alike" in reason[1, 1] and "part of a longer line" in reason[2, 2]


def test_coverage_adds_up(found):
    table = found.coverage.set_index("class")
    assert table["first_km"].sum() == pytest.approx(found.first["km"].sum()) and table["second_matched_km"].sum() == pytest.approx(found.second["matched_km"].sum())
    national = tables.fact("national_lines").set_index("class")["miles"].astype(float)
    assert table.loc["300-399 kV", "national_km"] == pytest.approx(national["300-399 kV"] * 1.609344) and national.sum() == 168768  # EIA-411's total of 2010
    assert table.loc["300-399 kV", "first_of_national"] == pytest.approx(2 * 84.9 / 94010, rel=0.02)


def test_exchanging_the_sides_exchanges_the_answer(found):
    back = match_lines.match(found.second, found.first)
    assert sorted(zip(back.pairs["second_row"], back.pairs["first_row"], back.pairs["kind"])) == sorted(zip(found.pairs["first_row"], found.pairs["second_row"], found.pairs["kind"]))


def test_a_file_matches_itself(tmp_path):
    """The bundled lines beside themselves, moved by 100 m: every line finds itself or one drawn over the same points."""
    lines, _ = line_files.read(tables.DATA / "lines_230kv.parquet", ledger.Ledger())
    some = lines[lines.geometry.length > 0.02].head(150).reset_index(drop=True)
    other = some.set_geometry(some.geometry.translate(0, 0.0009))
    got = match_lines.match(some, other)
    one = got.pairs[got.pairs["kind"].eq("one")]
    assert len(one) == len(some) and (one["first_row"] == one["second_row"]).mean() > 0.95
    np.testing.assert_allclose(got.first["matched_km"], got.first["km"], rtol=1e-9)


def test_files(tmp_path, found):
    done = CliRunner().invoke(main, ["match", "--lines", str(tmp_path / "a.gpkg"), str(tmp_path / "b.gpkg"), "-o", str(tmp_path / "out"), "--quiet"])
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(tmp_path / "out" / "matches.csv")) == 3 and len(pd.read_csv(tmp_path / "out" / "left_first.csv")) == 2
    assert {"coverage.csv", "repair.csv", "results.json", "manifest.json"} <= {f.name for f in (tmp_path / "out").iterdir()}
    wrong = CliRunner().invoke(main, ["match", "--lines", str(tmp_path / "a.gpkg"), str(tmp_path / "none.gpkg"), "-o", str(tmp_path / "no")])
    assert wrong.exit_code == 2 and not (tmp_path / "no").exists()
