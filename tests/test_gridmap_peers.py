"""The bundled system by zone against programs that know nothing of it: HiGHS, quadratic and linear."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from cukernels import residual_deficit
from national import repaired

from gridmap import regroup, supply

SCALE = 1e4  # MW: the quadratic solver wants numbers near one, and no more regularisation than this
REGULAR = 1e-9


@pytest.fixture(scope="module")
def zones():
    return regroup.regroup(repaired(), "zone")


def ways(inputs):
    return [inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw")]


def least_square(supply_mw, demand, tail, head, forward, backward):
    """(R,) the u that makes sum u^2/d least, by HiGHS: columns flow and u / sqrt(d); rows: what comes in and u make up for
    what is missing, or more."""
    highspy = pytest.importorskip("highspy")
    R, E = len(demand), len(tail)
    root = np.sqrt(demand / SCALE)
    rows, columns = np.concatenate([tail, head, np.arange(R)]), np.concatenate([np.arange(E), np.arange(E), E + np.arange(R)])
    matrix = scipy.sparse.csc_array((np.concatenate([-np.ones(E), np.ones(E), root]), (rows, columns)), (R, E + R))
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = np.zeros(E + R)
    lp.col_lower_, lp.col_upper_ = np.concatenate([-backward / SCALE, np.zeros(R)]), np.concatenate([forward / SCALE, root])
    lp.row_lower_, lp.row_upper_ = (demand - supply_mw) / SCALE, np.full(R, highspy.kHighsInf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    hessian = highspy.HighsHessian()
    hessian.dim_, hessian.format_ = E + R, highspy.HessianFormat.kTriangular
    hessian.start_, hessian.index_, hessian.value_ = np.arange(E + R + 1).astype(np.int32), np.arange(E + R).astype(np.int32), np.r_[np.full(E, REGULAR), np.ones(R)]
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("qp_regularization_value", REGULAR)
    solver.setOptionValue("time_limit", 20.0)
    solver.passModel(lp)
    solver.passHessian(hessian)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return np.array(solver.getSolution().col_value)[E:] * root * SCALE


@pytest.mark.parametrize("times", [1.0, 1.25])
def test_fair_split_in_50_random_hours_equals_the_quadratic_program(zones, times):
    hours = zones.demand.hours[np.sort(np.random.default_rng(50).choice(len(zones.demand.hours), 50, replace=False))]
    give = supply.hourly_supply(zones, hours)
    need = times * np.stack([zones.demand.at(hour) for hour in hours])
    got = residual_deficit(give, need, *ways(zones))
    assert (got.total > 1).sum() == 50  # every hour has something to split
    for s, d, unserved in zip(give, need, got.unserved):
        np.testing.assert_allclose(least_square(s, d, *ways(zones)), unserved, rtol=1e-4, atol=1e-4 * unserved.max())


@pytest.mark.parametrize("times", [1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3])
@pytest.mark.parametrize("basis", ["effective", "net_summer", "unforced"])
def test_zones_at_the_peak_hour_equal_the_linear_program(zones, times, basis):
    hour = zones.demand.peak_hour()
    s, d = supply.hourly_supply(zones, [hour], basis)[0], times * zones.demand.at(hour)
    tail, head, forward, backward = ways(zones)
    R, E = len(d), len(tail)
    into = scipy.sparse.csr_array((np.r_[np.ones(E), -np.ones(E)], (np.r_[head, tail], np.tile(np.arange(E), 2))), (R, E))
    answer = scipy.optimize.linprog(np.r_[np.zeros(E), np.ones(R)], A_ub=scipy.sparse.hstack([-into, -scipy.sparse.eye_array(R)]), b_ub=s - d,
                                    bounds=np.stack([np.r_[-backward, np.zeros(R)], np.r_[forward, d]], axis=1), method="highs")
    assert float(residual_deficit(s, d, *ways(zones)).total) == pytest.approx(answer.fun, rel=1e-9, abs=1e-6)
