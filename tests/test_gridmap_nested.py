"""Limits between groups of regions: exact totals, a fair split within them, nothing changed where they do not bind."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from click.testing import CliRunner
from cukernels import residual_deficit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from national import repaired, rule  # noqa: F401

from gridmap import InputError, nested, regroup, supply
from gridmap.__main__ import main


def held(pairs, forward, backward, matrix):
    return nested.Interfaces(tuple(pairs), np.array(forward, float), np.array(backward, float), scipy.sparse.csr_array(np.array(matrix, float)))


def test_by_hand():
    """A has 100 to spare; B and C lack 50 and 100 behind corridors of 60 each. A to {B, C} together: 90. Both then lack 40 %."""
    problem = np.array([100.0, 0, 0]), np.array([0.0, 50, 100]), np.array([0, 0]), np.array([1, 2]), np.array([60.0, 60]), np.array([60.0, 60])
    free = residual_deficit(*problem)
    assert free.total == 50 and np.allclose(free.unserved, [0, 10, 40])
    groups = held([("a", "bc")], [80], [80], [[1, 1]])
    forward, backward = nested.limited(*problem, groups)
    tight = residual_deficit(*problem[:4], forward, backward)
    assert tight.total == pytest.approx(70) and forward.sum() == pytest.approx(80) and (forward <= 60).all()
    assert nested.least_unserved(*problem, groups)[0] == pytest.approx(70)
    wide = nested.limited(*problem, held([("a", "bc")], [120], [0], [[1, 1]]))
    assert wide[0].tolist() == [60, 60]  # not at its limit: as it was


@given(st.integers(0, 10**6))
@example(95)
@settings(max_examples=60, deadline=None)
def test_totals_equal_the_program(seed):
    """Random networks of random groups: the least total with the group limits, and flows that keep to them."""
    draw = np.random.default_rng(seed)
    R, E = int(draw.integers(3, 10)), int(draw.integers(3, 18))
    ends = np.array([draw.choice(R, 2, replace=False) for _ in range(E)])
    group = draw.integers(0, 3, R)
    problem = draw.integers(0, 100, R).astype(float), draw.integers(1, 100, R).astype(float), *ends.T, draw.integers(0, 60, E).astype(float), draw.integers(0, 60, E).astype(float)
    pairs = [(0, 1), (0, 2), (1, 2)]
    matrix = [((group[ends[:, 0]] == a) & (group[ends[:, 1]] == b)).astype(float) - ((group[ends[:, 0]] == b) & (group[ends[:, 1]] == a)) for a, b in pairs]
    groups = held(pairs, draw.integers(0, 60, 3), draw.integers(0, 60, 3), matrix)
    forward, backward = nested.limited(*problem, groups)
    got = residual_deficit(*problem[:4], forward, backward)
    across = groups.matrix @ got.flow
    assert (across <= groups.forward_mw + 1e-5).all() and (-across <= groups.backward_mw + 1e-5).all()
    assert (forward <= problem[4] + 1e-9).all() and (backward <= problem[5] + 1e-9).all()
    assert got.total >= residual_deficit(*problem).total - 1e-6
    least = nested.least_unserved(*problem, groups)[0]
    assert got.total >= least - 1e-4
    if not _turns_back(groups, nested.least_unserved(*problem, groups)[1]):
        assert got.total == pytest.approx(least, abs=1e-3)


def _turns_back(groups, flow):
    """Whether the program sends power both ways over one interface: more than its limit one way, less the rest back. Corridors
    that share a limit one way can't, and the total is then an upper bound."""
    both = groups.matrix.toarray() * flow
    return bool(((np.maximum(both, 0).sum(axis=1) > 1e-6) & (np.minimum(both, 0).sum(axis=1) < -1e-6)).any())


@pytest.mark.parametrize("by, times", [("zone", 1.0), ("zone", 1.2), ("zone", 1.3), ("county", 1.2)])
def test_the_nation_s_totals_equal_the_program(by, times):
    inputs = regroup.regroup(repaired(), by)
    groups = nested.interfaces(inputs)
    assert len(groups.names) == 26
    hour = inputs.demand.peak_hour()
    problem = supply.hourly_supply(inputs, [hour])[0], times * inputs.demand.at(hour), *(inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw"))
    tight = residual_deficit(*problem[:4], *nested.limited(*problem, groups))
    assert tight.total == pytest.approx(nested.least_unserved(*problem, groups)[0], rel=1e-6)
    assert tight.total >= residual_deficit(*problem).total * (1 - 1e-12)
    told = nested.told(groups, tight.flow)
    assert (told["flow_mw"] <= told["forward_mw"] + 1e-3).all() and (-told["flow_mw"] <= told["backward_mw"] + 1e-3).all()


def test_zone_borders_exceed_what_groups_can_exchange():
    """Why they are there: over some interfaces the zones' limits sum to more than the groups'."""
    inputs = regroup.regroup(repaired(), "zone")
    groups = nested.interfaces(inputs)
    sums = np.maximum(groups.matrix.toarray(), 0) @ inputs.corridors["forward_mw"].to_numpy() + np.maximum(-groups.matrix.toarray(), 0) @ inputs.corridors["backward_mw"].to_numpy()
    assert (sums > groups.forward_mw * 1.001).sum() >= 5


def test_states_lie_in_several_zones():
    with pytest.raises(InputError, match="county or zone"):
        nested.interfaces(regroup.regroup(repaired(), "state"))


def test_a_run_with_own_groups(tmp_path):
    import small_grid
    toml = small_grid.write(tmp_path)
    regions = json.loads((tmp_path / "regions.geojson").read_text())
    for feature in regions["features"]:
        feature["properties"]["group"] = "west" if feature["properties"]["region_id"] in "AE" else "east"
    (tmp_path / "regions.geojson").write_text(json.dumps(regions))
    small_grid.rows(tmp_path / "groups.csv", "tail,head,forward_mw,backward_mw", [("west", "east", 70, 70)])
    done = CliRunner().invoke(main, ["run", "--config", str(toml), "--nested", "--group-limits", str(tmp_path / "groups.csv"), "-o", str(tmp_path / "out"), "--quiet"])
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["residual_deficit_mw"]["value"] == pytest.approx(80 + 50) and results["group_limits"]["value"] == 1  # B and C lack 150 - 70
    frame = pd.read_csv(tmp_path / "out" / "regions.csv").set_index("region_id")["residual_deficit_mw"]
    assert frame["B"] + frame["C"] == pytest.approx(80)
    refused = CliRunner().invoke(main, ["where", "--config", str(_nested(toml)), "-o", str(tmp_path / "no")])
    assert refused.exit_code == 2 and "nested" in refused.stderr


def _nested(toml):
    toml.write_text(toml.read_text() + "nested = true\n")
    return toml
