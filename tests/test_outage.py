"""Outage tables by hand, by enumerating every state, and by laws."""

import itertools

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.outage import outage_table, shortfall


def table(xp, out, probability, rate=None):
    rate = np.zeros(np.shape(out)) if rate is None else rate
    return outage_table(xp.asarray(np.array(out, np.int64)), xp.asarray(np.array(probability, float)), xp.asarray(np.array(rate, float)))


def random_units(seed, U, M=3):
    """Derated states between all there and all out; rates up and down that agree (detailed balance) for two states."""
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.ones(M), U)
    out = np.sort(rng.integers(0, 40, (U, M)), axis=1)
    out[:, 0] = 0
    return out, probability


def test_by_hand(xp):
    # two units of 1 step, out 10 %, and one of 2, out 20 %; each fails once in 9 h or 8 h and is back after 1 h or 2 h
    got = to_host(table(xp, [[0, 1], [0, 1], [0, 2]], [[.9, .1], [.9, .1], [.8, .2]], [[-1 / 9, 1], [-1 / 9, 1], [-1 / 8, 1 / 2]]))
    np.testing.assert_allclose(got[0], [.648, .144, .008 + .162, .036, .002], rtol=1e-13)
    # all out: any of three comes back
    assert got[1, 4] == pytest.approx(.002 * 2.5, rel=1e-13)
    # the first step out: any of three fails from all there
    assert got[1, 1:].sum() == pytest.approx(.648 * (2 / 9 + 1 / 8), rel=1e-13)


@pytest.mark.parametrize("M", [2, 3])
def test_equals_every_state(xp, M):
    out, probability = random_units(M, 6, M)
    got = to_host(table(xp, out, probability))
    want = np.zeros(got.shape[1])
    for state in itertools.product(range(M), repeat=6):
        want[sum(out[u, m] for u, m in enumerate(state))] += np.prod([probability[u, m] for u, m in enumerate(state)])
    np.testing.assert_allclose(got[0], want, atol=1e-15)
    np.testing.assert_array_equal(got[1], 0)


def test_frequency_equals_every_transition(xp):
    rng = np.random.default_rng(4)
    size, fail, repair = rng.integers(1, 9, 7), rng.uniform(.001, .01, 7), rng.uniform(.01, .1, 7)
    q = fail / (fail + repair)
    got = to_host(table(xp, np.stack([0 * size, size], 1), np.stack([1 - q, q], 1), np.stack([-fail, repair], 1)))
    limit, want = 12, 0.0
    for state in itertools.product((0, 1), repeat=7):
        down = np.array(state, bool)
        if size[down].sum() < limit:
            into = ~down & (size[down].sum() + size >= limit)
            want += np.where(down, q, 1 - q).prod() * fail[into].sum()
    assert got[1, limit:].sum() == pytest.approx(want, rel=1e-12)


def test_laws(xp):
    out, probability = random_units(9, 60)
    got = to_host(table(xp, out, probability))[0]
    assert got.sum() == pytest.approx(1, abs=1e-13) and (got >= 0).all()
    mean, spread = (out * probability).sum(), ((out**2 * probability).sum(1) - (out * probability).sum(1) ** 2).sum()
    k = np.arange(len(got))
    assert got @ k == pytest.approx(mean, rel=1e-12)
    assert got @ (k - mean) ** 2 == pytest.approx(spread, rel=1e-11)
    np.testing.assert_allclose(to_host(table(xp, out[::-1], probability[::-1]))[0], got, atol=1e-16)


def test_shortfall_is_the_sum_over_the_table(xp):
    out, probability = random_units(2, 8)
    mine = table(xp, out, probability, probability - probability.mean(1, keepdims=True))
    everything, load = int(out.max(1).sum()) + 5, np.array([-3.0, 0, 5, 17.5, 60, 99.25, 400])
    got = to_host(shortfall(mine, everything, xp.asarray(load)))
    p, often = to_host(mine)
    lack = load[:, None] - everything + np.arange(len(p))
    np.testing.assert_allclose(got, [(lack > 0) @ p, np.maximum(lack, 0) @ p, (lack > 0) @ often], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("out, probability, words", [
    ([[0, 1]], [[.5, .4]], "unit 0: the probabilities"),
    ([[0, 1], [0, -1]], [[.5, .5], [.5, .5]], "unit 1 has an outage below 0"),
    ([[0, 1]], [[1.5, -.5]], "unit 0 has a probability outside"),
    ([[0, 1]], [[np.nan, .5]], "unit 0 has a probability outside"),
    ([[0, 60_000_000]], [[.5, .5]], "use a longer step"),
])
def test_bad_input_is_named(xp, out, probability, words):
    with pytest.raises(ValueError, match=words):
        table(xp, out, probability)
