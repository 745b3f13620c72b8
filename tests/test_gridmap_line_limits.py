"""Limits by the lines: each estimate by hand, the program on distribution factors against the one on angles, a whole run."""

import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import small_grid
from click.testing import CliRunner
from national import loaded

from gridmap import dcflow, ledger, limits, line_limits, regions, stclair, tables
from gridmap.__main__ import main
from gridmap.lines import end_limits

SQUARES = geopandas.GeoDataFrame({"region_id": list("ABCD"), "name": list("ABCD"), "state": "", "interconnect": ["east", "east", "east", "west"]},
                                 geometry=[shapely.box(k, 40, k + 1, 41) for k in range(4)], crs=4326)


def lines(*rows, **columns):
    """Straight lines (kv, from x, to x[, y])."""
    shapes = [shapely.LineString([(a, y[0] if y else 40.5), (b, y[0] if y else 40.5)]) for _, a, b, *y in rows]
    return geopandas.GeoDataFrame({"voltage_kv": [r[0] for r in rows], **columns}, geometry=shapes, crs=4326)


def test_ends_by_hand():
    # 345 kV over B from A to C; two of 138 kV from A to B; one inside A; one without voltage; one that ends at sea
    given = lines((345, 0.9, 2.1), (138, 0.8, 1.2), (138, 0.9, 1.1), (230, 0.1, 0.2), (np.nan, 0.5, 1.5), (500, 0.5, -3))
    got = end_limits(given, SQUARES)
    assert got[["tail", "head", "lines"]].to_numpy().tolist() == [[0, 1, 2], [0, 2, 1]]
    far = stclair.line_limit(345, 1.2 * 84.7)  # a degree of longitude at 40.5 N is 84.7 km
    assert got["forward_mw"].to_numpy() == pytest.approx([2 * 3 * 48, far], rel=2e-3)
    assert got["n1_mw"].to_numpy() == pytest.approx([3 * 48, 0])
    twice = end_limits(given.assign(circuits=2.0), SQUARES)
    assert twice["forward_mw"].to_numpy() == pytest.approx(2 * got["forward_mw"].to_numpy())


def test_estimates_by_hand():
    table = line_limits.estimates(lines((345, 0.9, 2.1), (138, 0.8, 1.2)), SQUARES).set_index(["tail", "head"])
    through, short = stclair.line_limit(345, 1.2 * 84.7), 3 * 48
    assert table.loc[(0, 1), "crossing_mw"] == pytest.approx(through + short, rel=2e-3)
    assert table.loc[(0, 1), "shared_mw"] == pytest.approx(through / 2 + short, rel=2e-3)
    assert table.loc[(1, 2), "shared_mw"] == pytest.approx(through / 2, rel=2e-3)
    assert np.isnan(table.loc[(1, 2), "ends_mw"]) and table.loc[(1, 2), "lines"] == 0
    assert table.loc[(0, 2), "ends_mw"] == pytest.approx(through, rel=2e-3)
    assert table.loc[(0, 2), "dc_mw"] == pytest.approx(table.loc[(0, 2), "ends_mw"])


def test_flow_divides_by_reactance():
    """Two lines side by side, one four times as long round a corner: the short one is full when the other is not."""
    both = lines((138, 0.8, 1.2))
    long = geopandas.GeoDataFrame({"voltage_kv": [138.0]}, geometry=[shapely.LineString([(0.8, 40.5), (0.8, 40.95), (1.2, 40.95), (1.2, 40.5)])], crs=4326)
    both = pd.concat([both, long], ignore_index=True)
    table = line_limits.estimates(both, SQUARES).set_index(["tail", "head"])
    km = [0.4 * 84.7, 0.4 * 84.2 + 2 * 0.45 * 111.0]
    rate = stclair.line_limit([138, 138], km)
    assert table.loc[(0, 1), "ends_mw"] == pytest.approx(rate.sum(), rel=2e-3)
    assert rate[1] * km[1] > rate[0] * km[0]  # by its angle the short one fills first
    assert table.loc[(0, 1), "dc_mw"] == pytest.approx(rate[0] * (1 + km[0] / km[1]), rel=3e-3)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_program_on_angles(seed):
    """On random networks: the same limit as `dcflow.interface_limit`, which solves for angles instead."""
    rng = np.random.default_rng(seed)
    n, m = 9, 16
    tail = np.concatenate([np.arange(n - 1), rng.integers(0, n, m - n + 1)])
    head = np.concatenate([np.arange(1, n), (tail[n - 1:] + rng.integers(1, n, m - n + 1)) % n])
    branch = pd.DataFrame({"from_bus": tail, "to_bus": head, "x_pu": rng.uniform(0.1, 1, m), "rate_a_mw": rng.uniform(10, 100, m)})
    net = dcflow.network(1.0, pd.DataFrame({"bus": np.arange(n), "type": [3] + [1] * (n - 1)}), branch, pd.DataFrame({"bus": [0], "pg_mw": [0.0]}))
    chosen = np.array([1, 2, 5, 6])
    side = np.isin(np.arange(n), [5, 6])
    cross = np.flatnonzero(side[tail] != side[head])
    signs = np.where(side[head[cross]], 1.0, -1.0)
    free = np.where(np.isin(np.arange(n), chosen), 1e6, 0.0)
    wanted = dcflow.interface_limit(net, cross, signs, -free, free).limit_mw
    assert line_limits.transfer_limit(net, chosen, cross, signs) == pytest.approx(wanted, rel=1e-7)


def test_columns_are_those_of_the_whole_matrix():
    rng = np.random.default_rng(3)
    branch = pd.DataFrame({"from_bus": [0, 1, 2, 0], "to_bus": [1, 2, 3, 3], "x_pu": rng.uniform(0.1, 1, 4)})
    net = dcflow.network(1.0, pd.DataFrame({"bus": range(4), "type": [3, 1, 1, 1]}), branch, pd.DataFrame({"bus": [0], "pg_mw": [0.0]}))
    whole = dcflow.transfer_factors(net)
    np.testing.assert_allclose(dcflow.transfer_columns(net, np.array([3, 0, 1])), whole[:, [3, 0, 1]], atol=1e-12)
    injected = np.array([0.0, 1, -2, 1])
    flow = whole @ injected
    np.testing.assert_allclose(np.bincount([0, 1, 2, 0], flow, 4) - np.bincount([1, 2, 3, 3], flow, 4), injected, atol=1e-12)


def test_take_keeps_converters_and_interconnects_apart():
    book = ledger.Ledger()
    given = pd.DataFrame({"tail": [0, 2], "head": [1, 3], "forward_mw": [7.0, 99], "backward_mw": [5.0, 99], "kind": ["AC", "DC"], "name": "", "source": "x"})
    made, beside = line_limits.take(lines((138, 0.8, 1.2), (345, 2.5, 3.5), (np.nan, 0.5, 1.5)), SQUARES, given, book)
    assert made[["tail", "head", "kind"]].to_numpy().tolist() == [[0, 1, "AC"], [2, 3, "DC"]]
    assert made["forward_mw"].to_numpy() == pytest.approx([144, 99], rel=1e-6)
    report = book.table().set_index("rule")
    assert report.loc["lines between two interconnects, which do not run in step", "mw"] == pytest.approx(1200)
    assert beside.loc[beside["tail"].eq("A"), "given_mw"].tolist() == [6.0]


def test_ends_rank_better_than_the_bar():
    """The bundled lines against the study's county limits: the bar of the issue, and what counting borders reaches."""
    book = ledger.Ledger()
    counties, _ = regions.bundled(book)
    given = limits.build([tables.DATA / "limits_county.parquet"], counties, book)
    table = line_limits.beside(line_limits.estimates(loaded().lines, counties), counties, given)
    found = line_limits.agreement(table)
    assert found["ends_mw"]["spearman"] > 0.5 > 0.37 > found["crossing_mw"]["spearman"]
    assert found["ends_mw"]["pairs"] > 500 and 0.8 < found["ends_mw"]["ratio_median"] < 1.3
    assert found["dc_mw"] is None  # too many pairs for linear programs


def run(folder, *more):
    return CliRunner().invoke(main, ["run", "-o", str(folder / "out"), "--config", str(small_grid.write(folder)), "--device", "cpu", "--limits-from", "lines", *more])


def test_a_run_on_limits_from_lines(tmp_path):
    """The one line of the small system, 345 kV from A to B, is the only corridor."""
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    corridors = pd.read_csv(tmp_path / "out" / "corridors.csv")
    mw = stclair.line_limit(345, 83.5)  # a degree of longitude at 41.5 N
    assert corridors[["tail", "head"]].to_numpy().tolist() == [["A", "B"]] and corridors["forward_mw"][0] == pytest.approx(mw, rel=2e-3)
    beside = pd.read_csv(tmp_path / "out" / "limits.csv")
    assert beside.loc[0, "given_mw"] == 90 and beside.loc[0, "ends_mw"] == pytest.approx(mw, rel=2e-3)
    said = json.loads((tmp_path / "out" / "limits.json").read_text())
    assert said["ends_mw"]["pairs"] == 0 and "ends" in said["ends_mw"]["counts"]
    explained = pd.read_csv(tmp_path / "out" / "columns.csv").query("layer == 'limits'")["column"]
    assert set(beside) == set(explained)


def test_the_bundled_lines_are_no_grid(tmp_path):
    result = CliRunner().invoke(main, ["run", "-o", str(tmp_path / "out"), "--limits-from", "lines"])
    assert result.exit_code == 2 and "--lines" in result.stderr and not (tmp_path / "out").exists()
