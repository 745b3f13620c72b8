"""Subset cuts by hand, by laws, and against linear programs and the maximum flows of `flow`."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from cukernels import cuts, residual_deficit
from cukernels.backend import to_host
from cukernels.cuts import split_shortage


def split(xp, lack, demand, *corridors):
    arrays = [xp.asarray(np.asarray(a)) for a in (lack, demand, *corridors)]
    return [to_host(a) for a in split_shortage(*arrays)]


def network(seed, R, E, K, most=60):
    rng = np.random.default_rng(seed)
    tail = rng.integers(0, R, E)
    head = (tail + rng.integers(1, R, E)) % R
    supply, demand = rng.integers(0, 100, (K, R)), rng.integers(0, 110, (K, R)) * (rng.random((K, R)) < .9)
    return supply, demand, tail, head, rng.integers(0, most, (2, E))


def test_by_hand(xp):
    # 0 has 70 over, sends 50 to 1, which lacks 30 and sends on to 2, which lacks 50: 30 in all, a third of either
    unserved, pocket = split(xp, [[-70, 30, 50]], [[20, 30, 60]], [0, 1], [1, 2], [50, 30], [50, 30])
    np.testing.assert_array_equal(unserved, [[0, 10, 20]])
    assert unserved.dtype == np.int64 and pocket.dtype == np.int32 and list(pocket) == [0b110]


def test_remainders_go_to_the_first_regions_and_nothing_is_lost(xp):
    unserved, _ = split(xp, [[3, 3, 3, -2]], [[10, 10, 10, 10]], [0, 1, 2], [1, 2, 3], [99, 99, 99], [99, 99, 99])
    np.testing.assert_array_equal(unserved, [[2, 2, 2, 1]])  # 7 among four equals


def test_one_region_and_none_short(xp):
    unserved, pocket = split(xp, [[5], [-3], [0]], [[8], [8], [8]], *np.zeros((2, 0), int), *np.zeros((2, 0)))
    np.testing.assert_array_equal(unserved.ravel(), [5, 0, 0])
    np.testing.assert_array_equal(pocket, [1, 0, 0])


def test_limits_of_every_hour(xp):
    limits = np.array([[50.0, np.inf], [0, 5], [20, 0], [50, np.inf]])
    unserved, _ = split(xp, [[-90, 30, 40]] * 4, [[0, 40, 40]] * 4, [0, 1], [1, 2], limits, limits)
    np.testing.assert_array_equal(unserved.sum(1), [20, 70, 50, 20])


@pytest.mark.parametrize("mix", [cuts._mix, lambda count: np.ones(count, np.uint64)])  # the second: rows of one sum share a number
def test_patterns_of_limits(monkeypatch, mix):
    monkeypatch.setattr(cuts, "_mix", mix)
    rng = np.random.default_rng(0)
    for rows in (rng.integers(0, 5, (500, 6)), rng.integers(0, 2**50, (500, 6))):
        patterns, which = cuts._patterns(rows)
        np.testing.assert_array_equal(patterns[np.ravel(which)], rows)
        assert len(patterns) == len(np.unique(rows, axis=0))


@pytest.mark.parametrize("R, E", [(2, 1), (5, 7), (8, 12), (12, 20)])
def test_equals_the_maximum_flows(xp, R, E):
    K = 400 if xp is np else 6
    supply, demand, tail, head, (forward, backward) = network(R, R, E, K)
    unserved, pocket = split(xp, demand - supply, demand, tail, head, forward, backward)
    want = residual_deficit(supply.astype(float), demand.astype(float), tail, head, forward.astype(float), backward.astype(float))
    np.testing.assert_array_equal(unserved.sum(1), np.rint(want.total))
    np.testing.assert_allclose(unserved, want.unserved, atol=1)  # shares of whole units: within one
    bits = (pocket[:, None] >> np.arange(R)) & 1
    np.testing.assert_array_equal((bits == 1) & (demand > 0), want.unserved > 0)


def test_equals_a_linear_program_on_ten_thousand_hours():
    """All hours in one program: unserved u and flow f with inflow + u >= lack, u >= 0, |f| within its limits."""
    K, R = 10_000, 4
    supply, demand, tail, head, (forward, backward) = network(6, R, 5, K)
    unserved, _ = split(np, demand - supply, demand, tail, head, forward, backward)
    incidence = np.zeros((R, 5))
    incidence[head, np.arange(5)] += 1
    incidence[tail, np.arange(5)] -= 1
    balance = scipy.sparse.block_diag([np.hstack([np.eye(R), incidence])] * K, format="csr")
    bounds = np.tile(np.vstack([np.tile([0, np.inf], (R, 1)), np.stack([-backward, forward], 1)]), (K, 1))
    cost = np.tile(np.r_[np.ones(R), np.zeros(5)], K)
    solved = scipy.optimize.linprog(cost, A_ub=-balance, b_ub=(supply - demand).ravel(), bounds=bounds, method="highs")
    assert solved.status == 0
    hourly = solved.x.reshape(K, -1)[:, :R].sum(1)
    np.testing.assert_allclose(unserved.sum(1), hourly, atol=1e-6)  # the program's own feasibility tolerance


def test_the_pocket_is_the_binding_cut(xp):
    supply, demand, tail, head, (forward, backward) = network(77, 6, 9, 40)
    unserved, pocket = split(xp, demand - supply, demand, tail, head, forward, backward)
    bits = ((pocket[:, None] >> np.arange(6)) & 1).astype(bool)
    into = (bits[:, head] & ~bits[:, tail]) @ forward + (bits[:, tail] & ~bits[:, head]) @ backward
    np.testing.assert_array_equal(unserved.sum(1), ((demand - supply) * bits).sum(1) - into)
    assert not unserved[~bits].any() and (unserved.sum(1) > 0).mean() > .3


def test_more_limit_or_more_supply_never_hurts():
    supply, demand, tail, head, (forward, backward) = network(5, 7, 10, 500)
    total = lambda s, f: split(np, demand - s, demand, tail, head, f, backward)[0].sum(1)  # noqa: E731
    now = total(supply, forward)
    assert (total(supply, forward + 7) <= now).all() and (total(supply + 3, forward) <= now).all()
    assert (now <= np.maximum(demand - supply, 0).sum(1)).all() and (now >= (demand - supply).sum(1)).all()


@pytest.mark.parametrize("lack, demand, corridors, words", [
    ([[1] * 13], [[1] * 13], ([], [], [], []), "13 regions"),
    ([[4, 1]], [[3, 1]], ([], [], [], []), r"lack\[0, 0\]"),
    ([[1, 1]], [[3, 4_000_000_000]], ([], [], [], []), r"demand\[0, 1\]"),
    ([[1, 1]], [[2_000_000_000] * 2], ([], [], [], []), "larger unit"),
    ([[1, 1]], [[3, 3]], ([0], [2], [1.0], [1.0]), r"head\[0\]"),
    ([[1, 1]], [[3, 3]], ([0], [1], [np.nan], [1.0]), r"forward\[0\]"),
    ([[1, 1]], [[3, 3]], ([0], [1], [[1.0], [1.0]], [1.0]), "corridors have shapes"),
])
def test_bad_input_is_named(xp, lack, demand, corridors, words):
    kinds = (np.int64, np.int64, float, float)
    with pytest.raises(ValueError, match=words):
        split(xp, lack, demand, *(np.asarray(a, kind) for a, kind in zip(corridors, kinds, strict=True)))
