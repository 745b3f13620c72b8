"""The least flow by hand, by laws, and against SciPy's minimum-cost linear program."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from cukernels.backend import NotConverged, to_host
from cukernels.carry import least_flow
from cukernels.flow import Network


def carry(xp, balance, tail, head, forward, backward):
    """(T, E) flows; one unit is one MW."""
    balance = np.atleast_2d(balance)
    net = Network.of(xp, *(xp.asarray(np.asarray(a, np.int32)) for a in (tail, head)), balance.shape[1])
    limits = (xp.asarray(np.atleast_2d(np.asarray(a, float))) for a in (forward, backward))
    return to_host(least_flow(net, xp.asarray(balance.astype(np.int64)), *limits, xp.asarray(np.ones(len(balance)))))


def random_problem(seed, R):
    """Lacks that can be met: what some random flow within the limits brings."""
    rng = np.random.default_rng(seed)
    E = 2 * R
    tail = rng.integers(0, R, E)
    head = (tail + rng.integers(1, 5, E)) % R
    forward, backward = rng.integers(0, 30, (2, E))
    flow = np.rint(rng.uniform(-backward, forward)).astype(int)
    inflow = np.bincount(head, flow, R) - np.bincount(tail, flow, R)
    return np.where(inflow > 0, -inflow, -inflow + rng.integers(0, 9, R)).astype(int), tail, head, forward, backward


def test_by_hand(xp):
    # 3 lacks 10. The straight way 0 - 3 carries 6; the way over 1 and 2 is longer; 2 has 1 of its own over
    flow = carry(xp, [20, 0, 1, -10], [0, 0, 1, 2], [3, 1, 2, 3], [6, 9, 9, 9], [9, 9, 9, 9])
    assert flow.tolist() == [[6, 3, 3, 4]]


def test_a_first_choice_is_turned_back(xp):
    # nearest first brings 0's unit to 1 and leaves 3 with no way; the least flow sends 0 to 2 to 3 and 4 to 5 to 1
    tail, head = [0, 0, 2, 4, 5], [1, 2, 3, 5, 1]
    assert carry(xp, [1, -1, 0, -1, 1, 0], tail, head, [1] * 5, [0] * 5).tolist() == [[0, 1, 1, 1, 1]]


@pytest.mark.parametrize("seed, R", [(0, 6), (1, 20), (2, 45)])
def test_equals_the_linear_program(xp, seed, R):
    balance, tail, head, forward, backward = random_problem(seed, R)
    flow = carry(xp, balance, tail, head, forward, backward)[0]
    assert (-backward <= flow).all() and (flow <= forward).all()
    assert (balance + np.bincount(head, flow, R) - np.bincount(tail, flow, R) >= 0).all()
    E = len(tail)
    out = scipy.sparse.csr_array((np.concatenate([np.ones(E), -np.ones(E)]), (np.concatenate([tail, head]), np.tile(np.arange(E), 2))), (R, E))
    program = scipy.optimize.linprog(np.ones(2 * E), A_ub=scipy.sparse.hstack([out, -out]), b_ub=balance, method="highs",
                                     bounds=np.stack([np.zeros(2 * E), np.concatenate([forward, backward])], 1))
    assert np.abs(flow).sum() == round(program.fun)  # whole limits: the program has a whole optimum


def test_hours_are_independent_and_the_same_everywhere(xp):
    problems = [random_problem(seed, 15) for seed in range(3)]
    tail, head = problems[0][1:3]
    balance = np.stack([problems[0][0], problems[0][0] // 2, np.zeros(15, int)])
    flow = carry(xp, balance, tail, head, 2 * problems[0][3] + 1, 2 * problems[0][4] + 1)
    np.testing.assert_array_equal(flow, carry(np, balance, tail, head, 2 * problems[0][3] + 1, 2 * problems[0][4] + 1))
    assert not flow[2].any()


def test_a_lack_without_a_way_is_an_error(xp):
    with pytest.raises(NotConverged, match="hour 1: 90 of 100 units"):
        carry(xp, [[200, 0], [200, -100]], [0], [1], [10], [10])
