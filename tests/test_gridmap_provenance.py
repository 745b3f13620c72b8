"""Rows of files that a region rests on: complete, and findable in the files themselves."""

import pandas as pd
import pytest
import small_grid
from click.testing import CliRunner
from national import repaired

from gridmap import provenance, regroup, tables
from gridmap.__main__ import main


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    done = CliRunner().invoke(main, ["run", "--config", str(small_grid.write(folder)), "-o", str(folder / "out"), "--quiet"])
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_rows_by_hand(out):
    table = pd.read_parquet(out / provenance.FILE)
    assert set(table["region_id"]) == set("ABCDE")
    told = {(r.region_id, r.role, r.file, None if pd.isna(r.row) else r.row): r.amount for r in table.itertuples()}
    assert told[("A", "plant", "plants.csv", 1)] == 200 and told[("A", "plant", "plants.csv", 2)] == 100
    assert told[("A", "limit", "limits.csv", 1)] == 60 and told[("B", "limit", "limits.csv", 1)] == 120  # into A, into B
    assert told[("D", "demand", "demand.csv", None)] == 1 and len(table[table["region_id"].eq("D")]) == 1
    assert len(table) == 4 + 2 * 3 + 5


@pytest.mark.parametrize("by", ["county", "state"])
def test_every_row_of_the_files_is_somewhere(by):
    """Each placed plant once; each kept corridor at both ends; and the numbers stand in the rows that are named."""
    inputs = regroup.regroup(repaired(), by)
    table = provenance.rows(inputs)
    plants = table[table["role"].eq("plant")]
    placed = inputs.plants[inputs.plants["region"] >= 0]
    assert sorted(plants["row"]) == sorted(placed["source_row"]) and plants["amount"].sum() == pytest.approx(placed["nameplate_mw"].sum(), rel=1e-12)
    raw = tables.load(tables.DATA / "generators_2022.parquet")
    row = plants.iloc[1234]
    assert raw.iloc[row["row"] - 1]["capacity_mw"] == row["amount"]
    limits = table[table["role"].eq("limit")]
    assert set(limits["file"]) == {"limits_county.parquet", "ties_county.parquet"}
    assert (limits.groupby(["file", "row"]).size() % 2 == 0).all()  # a row may join two kinds of corridor nowhere
    demand = table[table["role"].eq("demand")].groupby("what")["amount"].sum()
    assert (demand == 1).all()


def test_explain(out):
    told = CliRunner().invoke(main, ["explain", str(out), "A"])
    assert told.exit_code == 0 and "row 1: 1  Alpha, nuclear" in told.output and "3 rows" not in told.output
    assert "limit: 2 rows of limits.csv" in told.output
    wrong = CliRunner().invoke(main, ["explain", str(out), "Z"])
    assert wrong.exit_code == 2 and "regions.csv" in wrong.stderr
    assert CliRunner().invoke(main, ["explain", str(out.parent), "A"]).exit_code == 2
