"""How much more each region could take: by hand, by the total's two slopes, against a linear program and all cuts."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from cukernels import residual_deficit
from cukernels.backend import to_host
from cukernels.headroom import headroom


def network(xp, supply, demand, tail, head, forward, backward):
    ends = [xp.asarray(np.asarray(a, np.int32)) for a in (tail, head)]
    mw = [xp.asarray(np.asarray(a, float)) for a in (supply, demand, forward, backward)]
    return *mw[:2], *ends, *mw[2:]


def ask(xp, *problem, hour=None, region=None):
    """((N,) MW, (N, R) sides) of every region in the first hour, or of the questions given."""
    R = np.shape(problem[1])[-1]
    region = np.arange(R) if region is None else np.asarray(region)
    hour = np.zeros(len(region), int) if hour is None else np.asarray(hour)
    return tuple(map(to_host, headroom(*network(xp, *problem), xp.asarray(hour), xp.asarray(region), sides=True)))


def random_network(seed, R, hours=None):
    rng = np.random.default_rng(seed)
    shape = (R,) if hours is None else (hours, R)
    supply = rng.exponential(150, shape) * (rng.random(shape) < 0.7)
    demand = rng.exponential(80, shape) * (rng.random(shape) < 0.9)
    tail = rng.integers(0, R, 2 * R)
    head = (tail + rng.integers(1, max(2, min(R, 6)), 2 * R)) % R
    forward, backward = rng.exponential(60, (2, 2 * R)) * (rng.random((2, 2 * R)) < 0.8)
    forward[rng.random(2 * R) < 0.03] = np.inf
    return supply, demand, tail, head, forward, backward


def with_load(problem, region, mw):
    demand = problem[1].copy()
    demand[region] += mw
    return problem[0], demand, *problem[2:]


def test_by_hand(xp):
    # 0 has 50 over and 2 has 5; 1 takes 10 of them, its corridor from 0 carries 30; 3 lacks all and has no corridor
    problem = [100, 0, 5, 0], [50, 10, 0, 7], [0, 1], [1, 2], [30, 15], [99, 99]
    mw, side = ask(xp, *problem)
    assert mw.tolist() == [45, 25, 20, 0]
    # 0 is held back by all there is; 1 by its corridor from 0 and the 5 of 2; 2 by its own 5 and its corridor of 15 from 1
    assert side.astype(int).tolist() == [[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_turned_round_it_is_what_a_new_plant_can_relieve(xp):
    # 2 lacks 20; a corridor of 12 leads there from 1; a plant at 1 can relieve 12, one at 2 all, one at 0 none (one-way)
    supply, demand, tail, head, forward, backward = [0, 5, 0], [0, 5, 20], [1, 1], [0, 2], [9, 12], [0, 9]
    mw, _ = ask(xp, demand, supply, tail, head, backward, forward)
    assert mw.tolist() == [0, 12, 20]


@pytest.mark.parametrize("seed, R", [(0, 5), (1, 9), (2, 20), (3, 40)])
def test_the_total_has_slope_0_up_to_the_answer_and_1_beyond(xp, seed, R):
    problem = random_network(seed, R)
    total = residual_deficit(*problem).total
    mw, _ = ask(xp, *problem)
    for region, most in enumerate(mw):
        totals = [residual_deficit(*with_load(problem, region, x)).total for x in (most / 2, most, most + 1)]
        # sums of R numbers of up to 1e4
        np.testing.assert_allclose(totals, [total, total, total + 1], atol=1e-9)


def test_nobody_is_worse_off_up_to_the_answer():
    problem = random_network(7, 30)
    before = residual_deficit(*problem)
    mw, _ = ask(np, *problem)
    assert (mw > 0).any() and before.total > 0
    assert before.spare[mw > 0].all()
    for region in np.flatnonzero(mw):
        after = residual_deficit(*with_load(problem, region, mw[region]))
        np.testing.assert_allclose(after.unserved, before.unserved, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_linear_program(xp, seed):
    problem = random_network(seed + 20, 12)
    supply, demand, tail, head, forward, backward = problem
    R, E = len(supply), len(tail)
    mw, _ = ask(xp, *problem)
    total = residual_deficit(*problem).total
    # columns: flow, generation, unserved, the new load; everybody balanced, unserved no more than before
    carry = scipy.sparse.csr_array((np.r_[-np.ones(E), np.ones(E)], (np.r_[tail, head], np.tile(np.arange(E), 2))), (R, E))
    finite = np.where(np.isinf(forward), 1e6, forward)
    bounds = [*zip(-backward, finite), *((0, s) for s in supply), *((0, d) for d in demand), (0, None)]
    for region in range(R):
        load = scipy.sparse.csr_array(([-1.0], ([region], [0])), (R, 1))
        rows = scipy.sparse.hstack([carry, scipy.sparse.eye_array(R), scipy.sparse.eye_array(R), load])
        cost = np.r_[np.zeros(E + R), np.ones(R) * 2, -1.0]  # a MW unserved costs more than the new load brings
        best = scipy.optimize.linprog(cost, A_eq=rows, b_eq=demand, bounds=bounds, method="highs")
        assert best.status == 0
        assert abs(best.x[E + R:-1].sum() - total) < 1e-6
        assert abs(best.x[-1] - mw[region]) < 1e-6  # HiGHS's feasibility


@pytest.mark.parametrize("seed", range(6))
def test_the_side_is_the_nearest_of_all_tightest_cuts(xp, seed):
    problem = random_network(seed + 40, 7)
    supply, demand, tail, head, forward, backward = problem
    mw, side = ask(xp, *problem)
    base = residual_deficit(*problem)
    sets = np.array(list(itertools.product([False, True], repeat=7)))
    into = np.zeros(len(sets))
    for a, b, limit in zip(np.r_[tail, head], np.r_[head, tail], np.r_[forward, backward]):
        into[~sets[:, a] & sets[:, b]] += limit
    # no flow leaves less unserved than a set lacks behind its limits; how far a set is from the total is the room it leaves
    room = base.total - (sets @ (demand - supply) - into)
    for region in range(7):
        tight = sets[:, region] & (room <= mw[region] + 1e-9)
        assert tight.any() and (room[sets[:, region]] >= mw[region] - 1e-9).all()
        if base.spare[region]:
            np.testing.assert_array_equal(side[region], sets[tight].all(axis=0) & base.spare)
        else:
            assert mw[region] == 0 and not side[region].any()


def test_questions_in_any_order_about_many_hours(xp):
    problem = random_network(60, 15, hours=3)
    hour, region = np.divmod(np.random.default_rng(1).permutation(45), 15)
    mw, side = ask(xp, *problem, hour=hour, region=region)
    for h in range(3):
        alone = ask(np, problem[0][h], problem[1][h], *problem[2:])
        at = hour == h
        np.testing.assert_array_equal(mw[at], alone[0][region[at]])
        np.testing.assert_array_equal(side[at], alone[1][region[at]])


def test_no_limit_anywhere_gives_all_there_is(xp):
    mw, side = ask(xp, [9, 0, 0], [1, 2, 0], [0, 1, 2], [1, 2, 0], [np.inf] * 3, [np.inf] * 3)
    assert mw.tolist() == [6, 6, 6] and side.all()


def test_questions_that_make_no_sense():
    problem = random_network(3, 4)
    with pytest.raises(ValueError, match=r"region\[1\] is 4: they are 0 to 3"):
        headroom(*problem, np.zeros(2, int), np.array([0, 4]))
    with pytest.raises(ValueError, match=r"hour\[0\] is 1"):
        headroom(*problem, np.ones(1, int), np.zeros(1, int))
    with pytest.raises(TypeError, match="integers"):
        headroom(*problem, np.zeros(1), np.zeros(1, int))
    with pytest.raises(ValueError, match="one number for each question"):
        headroom(*problem, np.zeros(2, int), np.zeros(1, int))
    assert headroom(*problem, np.zeros(0, int), np.zeros(0, int)).shape == (0,)
