"""Residual deficits by hand, by their definition in exact fractions, by laws, and against HiGHS and SciPy."""

import itertools
import pathlib
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse
import scipy.sparse.csgraph
from cukernels import residual_deficit
from cukernels.backend import to_host
from hypothesis import given, settings
from hypothesis import strategies as st

import gridmap


def solve(xp, supply, demand, tail, head, forward, backward):
    ends = [xp.asarray(np.asarray(a, np.int32)) for a in (tail, head)]
    mw = [xp.asarray(np.asarray(a, float)) for a in (supply, demand, forward, backward)]
    return residual_deficit(*mw[:2], *ends, *mw[2:])


def corridors(*rows):
    """(tail, head, forward, backward) of each corridor as four columns."""
    return tuple(np.array(rows, float).reshape(-1, 4).T)


def random_network(seed, R, hours=None, corridors_a_region=2.2):
    """Large, small and no supply and demand; parallel, one-way, shut and unlimited corridors; regions without any."""
    rng = np.random.default_rng(seed)
    E = int(R * corridors_a_region)
    shape = (R,) if hours is None else (hours, R)
    supply = rng.exponential(100, shape) * (rng.random(shape) < 0.7)
    demand = rng.exponential(100, shape) * (rng.random(shape) < 0.9)
    tail = rng.integers(0, R, E)
    head = (tail + rng.integers(0, max(2, min(R, 6)), E)) % R
    forward, backward = rng.exponential(40, (2, E)) * (rng.random((2, E)) < 0.8)
    forward[rng.random(E) < 0.03] = np.inf
    return supply, demand, tail, head, forward, backward


def grid_network(seed, rows, columns, tightness):
    """A map-like network: squares joined to their neighbours."""
    rng = np.random.default_rng(seed)
    n = np.arange(rows * columns).reshape(rows, columns)
    tail = np.concatenate([n[:, :-1].ravel(), n[:-1].ravel()])
    head = np.concatenate([n[:, 1:].ravel(), n[1:].ravel()])
    supply = rng.lognormal(3, 2, n.size) * (rng.random(n.size) < 0.5)
    demand = rng.lognormal(3, 1.5, n.size)
    forward, backward = rng.lognormal(3, 1.2, (2, len(tail))) * tightness
    return supply * 1.1 * demand.sum() / supply.sum(), demand, tail, head, forward, backward


def worst_first(supply, demand, tail, head, forward, backward):
    """The definition for a few regions: of all sets the one with the worst share (the largest of several) is fixed and
    keeps what it draws; the rest goes on likewise. Exact."""
    R, enough = len(supply), sum(Fraction(x) for x in supply) + 1
    arcs = [(int(a), int(b), min(Fraction(c), enough) if np.isfinite(c) else enough)
            for t, h, f, r in zip(tail, head, forward, backward, strict=True) for a, b, c in ((t, h, f), (h, t, r))]
    share, free, means = [Fraction(0)] * R, set(range(R)), [Fraction(x) for x in supply]
    while True:
        worst, best = Fraction(0), ()
        for n in range(1, len(free) + 1):
            for S in itertools.combinations(sorted(free), n):
                want = sum(Fraction(demand[i]) for i in S)
                drawn = sum(c for a, b, c in arcs if a in free and a not in S and b in S)
                x = (want - sum(means[i] for i in S) - drawn) / want if want else 0
                if x > worst or (x == worst > 0 and n > len(best)):
                    worst, best = x, S
        if not best:
            return np.array(share, float)
        for a, b, c in arcs:
            if a in free and a not in best and b in best:
                means[a] -= c
        for i in best:
            share[i] = worst if demand[i] else Fraction(0)
        free -= set(best)


def highs(supply, demand, tail, head, forward, backward, quadratic, size=None, price=None):
    """(R,) unserved demand by HiGHS: least sum u (or sum price u), or least sum u^2 / d. Columns: flow, used supply (both
    in `size` MW), unserved share. Its quadratic solver gives up on some problems, in some units, in some versions: it is
    asked about small ones only, and `is_least_square` about all."""
    highspy = pytest.importorskip("highspy")  # a GPU workstation may lack it: the other tests still run
    R, E, size = len(supply), len(tail), size or demand.max()
    short = np.flatnonzero(demand)
    row, column = np.concatenate([tail, head, np.arange(R), short]), np.concatenate([np.tile(np.arange(E), 2), E + np.arange(R + len(short))])
    value = np.concatenate([-np.ones(E), np.ones(E + R), demand[short] / size])
    matrix = scipy.sparse.csc_array((value, (row, column)), (R, E + R + len(short)))
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_lower_ = np.concatenate([-np.minimum(backward, supply.sum()) / size, np.zeros(R + len(short))])
    lp.col_upper_ = np.concatenate([np.minimum(forward, supply.sum()) / size, supply / size, np.ones(len(short))])
    lp.col_cost_ = np.concatenate([np.zeros(E + R), 0 * short if quadratic else (demand if price is None else price * demand)[short] / size])
    lp.row_lower_ = lp.row_upper_ = demand / size
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("time_limit", 20.0)
    solver.passModel(lp)
    if quadratic:
        hessian = highspy.HighsHessian()
        hessian.dim_, hessian.format_ = lp.num_col_, highspy.HessianFormat.kTriangular
        hessian.start_ = np.concatenate([np.zeros(E + R), np.arange(len(short) + 1)]).astype(np.int32)
        hessian.index_, hessian.value_ = (E + R + np.arange(len(short))).astype(np.int32), demand[short] / size
        solver.passHessian(hessian)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    unserved = np.zeros(R)
    unserved[short] = np.array(solver.getSolution().col_value)[E + R:] * demand[short]
    return unserved


def is_least_square(problem, unserved):
    """u is least in sum u^2/d over a convex set exactly if it is least in the linear sum 2 (u/d) v over v in the set:
    a linear program, which HiGHS solves exactly."""
    share = np.divide(unserved, problem[1], out=np.zeros_like(unserved), where=problem[1] > 0)
    least = share @ highs(*problem, quadratic=False, price=share)
    return share @ unserved == pytest.approx(least, rel=1e-9, abs=1e-9 * problem[1].max())


def check_laws(problem, got):
    """What must hold of every answer, from the definition of its fields."""
    supply, demand, tail, head, forward, backward = problem
    u, share, pocket, flow, binding = (to_host(a) for a in (got.unserved, got.share, got.pocket, got.flow, got.binding))
    scale = supply.sum() + demand.sum() + 1e-300
    near = dict(rtol=1e-11, atol=1e-12 * scale)  # sums of R floats of the size of `scale`
    assert (u >= 0).all() and (u <= demand * (1 + 1e-15)).all()
    np.testing.assert_allclose(u, share * demand, **near)
    np.testing.assert_allclose(got.total, u.sum(), **near)
    # a flow within its limits brings every region what it is said to get
    assert (flow <= forward + 1e-12 * scale).all() and (-flow <= backward + 1e-12 * scale).all()
    inflow = np.bincount(head, flow, len(u)) - np.bincount(tail, flow, len(u))
    left = supply + inflow - (demand - u)
    assert (left >= -1e-11 * scale).all()
    # nothing is left in a pocket; with the full corridors into it this proves that sum u^2/d can't be less (KKT)
    assert (left[pocket >= 0] <= 1e-11 * scale).all()
    # pockets: one share, falling with the number; connected; their inward corridors full
    assert ((pocket >= 0) == (share > 0))[demand > 0].all()
    level = np.zeros(pocket.max(initial=-1) + 2)
    for k in range(len(level) - 1):
        inside = (pocket == k) & (demand > 0)
        level[k] = share[inside][0]
        assert (share[inside] == level[k]).all()
        assert len(reached(np.flatnonzero(pocket == k), tail, head, np.maximum(forward, backward) > 0)) == (pocket == k).sum()
    assert (np.diff(level[:-1]) <= 0).all()
    rise = level[pocket[head]] - level[pocket[tail]]
    full, back = (rise > 0) & (forward > 0), (rise < 0) & (backward > 0)
    np.testing.assert_array_equal(binding, full.astype(int) - back)
    np.testing.assert_allclose(flow[full], forward[full], **near)
    np.testing.assert_allclose(-flow[back], backward[back], **near)
    np.testing.assert_array_equal(flow[(rise > 0) & (forward == 0)], 0)


def reached(regions, tail, head, is_open):
    """Regions that corridors inside the set join to its first."""
    inside = np.isin(tail, regions) & np.isin(head, regions) & is_open
    seen = {int(regions[0])}
    while True:
        more = {int(b) for t, h in zip(tail[inside], head[inside], strict=True) for a, b in ((t, h), (h, t)) if a in seen} - seen
        if not more:
            return seen
        seen |= more


def test_by_hand(xp):
    # 1 gets all its corridor takes (10); 0 shares the rest with 2 behind an open corridor; 3 stands alone
    got = solve(xp, [100, 10, 0, 5], [40, 60, 80, 10], *corridors((0, 1, 10, 0), (2, 0, 500, 500)))
    np.testing.assert_allclose(to_host(got.unserved), [10, 40, 20, 5], rtol=1e-14)
    np.testing.assert_allclose(to_host(got.share), [1 / 4, 2 / 3, 1 / 4, 1 / 2], rtol=1e-14)
    np.testing.assert_array_equal(to_host(got.pocket), [2, 0, 2, 1])
    np.testing.assert_allclose(to_host(got.flow), [10, -60], rtol=1e-14)
    np.testing.assert_array_equal(to_host(got.binding), [1, 0])
    assert got.total == pytest.approx(75, rel=1e-14)


def test_corridors_that_bind_and_what_they_are_worth(xp):
    # 0 has spare supply; 1 lacks behind 20 + 5 MW from 0 and 2; 2 has just enough; 3 lacks more, behind 7 MW from 1
    got = solve(xp, [100, 0, 15, 0], [10, 50, 10, 40], *corridors((0, 1, 20, 20), (2, 1, 5, 9), (3, 1, 30, 7)))
    np.testing.assert_allclose(to_host(got.unserved), [0, 32, 0, 33], rtol=1e-14)
    np.testing.assert_array_equal(to_host(got.binding), [1, 1, -1])
    np.testing.assert_array_equal(to_host(got.worth), [1, 0, 0])
    np.testing.assert_array_equal(to_host(got.spare), [True, False, False, False])


def test_worth_is_the_derivative(xp):
    problem = random_network(11, 30)
    got = solve(xp, *problem)
    binding, worth = to_host(got.binding), to_host(got.worth)
    assert 0 < worth.sum() < np.count_nonzero(binding)
    for e in np.flatnonzero(binding):
        more = [a.copy() for a in problem[4:]]
        more[0 if binding[e] > 0 else 1][e] += 1e-3
        assert got.total - solve(xp, *problem[:4], *more).total == pytest.approx(1e-3 * worth[e], abs=1e-9)


def test_the_least_flow_is_not_any_flow(xp):
    # a ring of four: 10 MW from 0 to 2 either way costs 20, from 0 to 1 directly 10, not 30 round the ring
    got = solve(xp, [50, 0, 0, 0], [0, 10, 10, 0], *corridors((0, 1, 15, 15), (1, 2, 15, 15), (2, 3, 15, 15), (3, 0, 15, 15)))
    assert np.abs(to_host(got.flow)).sum() == pytest.approx(30, rel=1e-14)


def test_hours_side_by_side_are_the_hours_alone(xp):
    supply, demand, tail, head, forward, backward = random_network(3, 20, hours=9)
    together = solve(xp, supply, demand, tail, head, forward, backward)
    for h in range(9):
        alone = solve(xp, supply[h], demand[h], tail, head, forward, backward)
        for name in ("unserved", "share", "pocket", "total", "spare", "binding", "worth", "flow"):
            np.testing.assert_array_equal(to_host(getattr(together, name))[h], to_host(getattr(alone, name)), name)


def test_limits_may_change_by_the_hour(xp):
    supply, demand, tail, head, forward, backward = random_network(4, 12)
    hours = np.array([1.0, 0.5, 0.1])
    got = solve(xp, supply, demand, tail, head, np.outer(hours, forward), backward)
    assert got.unserved.shape == (3, 12)
    for h in range(3):
        alone = solve(xp, supply, demand, tail, head, forward * hours[h], backward)
        np.testing.assert_array_equal(to_host(got.unserved)[h], to_host(alone.unserved))


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_definition(xp, seed):
    problem = random_network(seed, 1 + seed % 6)
    problem = [np.round(a, 1) if a.dtype == float else a for a in problem]  # ties happen, too
    got = solve(xp, *problem)
    np.testing.assert_allclose(to_host(got.share), worst_first(*problem), atol=1e-12)
    check_laws(problem, got)


@pytest.mark.parametrize("seed, R", [(0, 10), (1, 20), (2, 40), (3, 40)])
def test_equals_highs(xp, seed, R):
    problem = random_network(seed, R)
    got = solve(xp, *problem)
    check_laws(problem, got)
    assert got.total == pytest.approx(highs(*problem, quadratic=False).sum(), rel=1e-9)
    assert is_least_square(problem, to_host(got.unserved))
    if R <= 20:  # HiGHS's quadratic solver regularises by 1e-7 and stops near 1e-5; it gives up on larger networks
        np.testing.assert_allclose(to_host(got.unserved), highs(*problem, quadratic=True), atol=1e-5 * problem[1].max())


@pytest.mark.parametrize("tightness", [1, 0.2])
def test_zones_of_the_48_states_equal_highs(tightness):
    data = pathlib.Path(gridmap.__file__).parent / "data"
    limits, zones = pd.read_parquet(data / "limits_zone.parquet"), pd.read_parquet(data / "zones.parquet")["ba"]
    names = pd.Index(sorted({*limits["r"], *limits["rr"], *zones[zones.str.startswith("p")]}))
    random = np.random.default_rng(8)
    mw = [random.lognormal(8.2, 1, len(names)), random.lognormal(8, 1, len(names))]  # some 740 GW of demand
    ends = [names.get_indexer(limits[c]) for c in ("r", "rr")]
    problem = (*mw, *ends, tightness * limits["MW_f0"].to_numpy(), tightness * limits["MW_r0"].to_numpy())
    got = solve(np, *problem)
    check_laws(problem, got)
    assert got.total == pytest.approx(highs(*problem, quadratic=False).sum(), rel=1e-9)
    assert is_least_square(problem, got.unserved)
    moved = got.unserved.copy()  # the check has teeth: one MW between two regions of unlike shares is noticed
    worst, least = np.argmax(got.share), np.argmin(np.where(got.share > 0, got.share, 2))
    moved[[worst, least]] += [1.0, -1.0]
    assert not is_least_square(problem, moved)


def test_equals_scipy_on_a_map_of_whole_megawatts(xp):
    problem = [np.rint(a) for a in grid_network(5, 24, 24, 0.6)]
    supply, demand, tail, head, forward, backward = problem
    tail, head = tail.astype(int), head.astype(int)
    got = solve(xp, *problem)
    R = len(supply)
    ends = (np.concatenate([tail, head, np.full(R, R), np.arange(R)]), np.concatenate([head, tail, np.arange(R), np.full(R, R + 1)]))
    graph = scipy.sparse.csr_array((np.concatenate([forward, backward, supply, demand]).astype(np.int32), ends), (R + 2, R + 2))
    served = scipy.sparse.csgraph.maximum_flow(graph, R, R + 1).flow_value
    assert got.total == pytest.approx(demand.sum() - served, rel=1e-12)
    check_laws((supply, demand, tail, head, forward, backward), got)
    least = np.abs(to_host(got.flow)).sum()
    assert least == pytest.approx(least_sum_by_scipy(problem, to_host(got.unserved)), rel=1e-7)


def least_sum_by_scipy(problem, unserved):
    """Least sum |flow| that carries `unserved`, by linear programming (its tolerance is 1e-7)."""
    supply, demand, tail, head, forward, backward = problem
    R, E = len(supply), len(tail)
    tail, head = tail.astype(int), head.astype(int)
    inflow = scipy.sparse.csr_array((np.concatenate([-np.ones(E), np.ones(E)]), (np.concatenate([tail, head]), np.tile(np.arange(E), 2))), (R, E))
    result = scipy.optimize.linprog(
        np.ones(2 * E), A_ub=scipy.sparse.hstack([-inflow, inflow]), b_ub=supply - demand + unserved + 1e-9,
        bounds=np.stack([np.zeros(2 * E), np.concatenate([forward, backward])], 1), method="highs")
    assert result.success, result.message
    return result.fun


MW = st.one_of(st.just(0.0), st.floats(1e-3, 1e5), st.integers(0, 100).map(float))
LIMIT = st.one_of(MW, st.just(np.inf))


@st.composite
def networks(draw):
    R = draw(st.integers(1, 12))
    E = draw(st.integers(0, 24))
    region, many = st.integers(0, R - 1), lambda values, n: np.array(draw(st.lists(values, min_size=n, max_size=n)), float)
    tail, head = many(region, E).astype(int), many(region, E).astype(int)
    return many(MW, R), many(MW, R), tail, head, many(LIMIT, E), many(LIMIT, E)


@settings(max_examples=150, deadline=None)
@given(networks())
def test_laws_on_any_network(problem):
    check_laws(problem, solve(np, *problem))


@pytest.mark.parametrize("supply, demand, rows, pockets", [
    # 1 (then 2) could send to 0, and 0 to 8: the units that rounding leaves must not lie in 0, which has no demand
    ([0] * 8 + [1], [0, 0, 0.5] + [0] * 5 + [455], [(2, 0, 1, 0), (8, 0, 0, 1), (1, 0, np.inf, 0)], [0, 0, 0] + [-1] * 5 + [1]),
    ([0] * 8 + [1], [0, 0, 0.5] + [0] * 5 + [455], [(1, 0, 1, 0), (8, 0, 0, 1), (2, 0, np.inf, 0)], [0, 0, 0] + [-1] * 5 + [1]),
    # no power reaches 2 and none comes from it, as none reaches 1; a MW there would go to 0
    ([10, 0, 0], [20, 20, 0], [(0, 1, 1, 1), (2, 0, np.inf, 0)], [1, 0, 1]),
    # the same by way of 3, and 4 that feeds 1 lies with it
    ([10, 0, 0, 0, 0], [20, 20, 0, 0, 0], [(0, 1, 1, 1), (2, 3, 5, 0), (3, 0, 5, 0), (4, 1, 5, 0), (4, 0, 5, 0)], [1, 0, 1, 1, 0]),
])
def test_regions_without_demand_lie_in_the_pocket_they_could_feed(xp, supply, demand, rows, pockets):
    tail, head, forward, backward = corridors(*rows)
    problem = np.array(supply, float), np.array(demand, float), tail.astype(int), head.astype(int), forward, backward
    got = solve(xp, *problem)
    check_laws(problem, got)
    np.testing.assert_array_equal(to_host(got.pocket), pockets)


@pytest.mark.parametrize("seed", range(12))
def test_laws_where_few_regions_have_demand(xp, seed):
    problem = random_network(seed, 60)
    problem[1][np.random.default_rng(seed).random(60) < 0.7] = 0
    got, here = solve(xp, *problem), solve(np, *problem)
    check_laws(problem, got)
    np.testing.assert_array_equal(to_host(got.pocket), here.pocket)
    np.testing.assert_array_equal(to_host(got.flow), here.flow)


@settings(max_examples=60, deadline=None)
@given(networks(), st.data())
def test_more_never_hurts(problem, data):
    """Raising a supply or a limit never raises the worst share or the total."""
    got = solve(np, *problem)
    more = [a.copy() for a in problem]
    which = data.draw(st.sampled_from([0] if not len(problem[2]) else [0, 4, 5]))
    more[which][data.draw(st.integers(0, len(more[which]) - 1))] += data.draw(st.floats(0.1, 1e4))
    after, slack = solve(np, *more), 1e-11 * (problem[0].sum() + problem[1].sum() + 1e4)
    assert after.share.max() <= got.share.max() + 1e-10
    assert after.total <= got.total + slack


@settings(max_examples=60, deadline=None)
@given(networks(), st.data())
def test_merging_two_regions_never_raises_the_total(problem, data):
    supply, demand, tail, head, forward, backward = problem
    R = len(supply)
    a, b = sorted((data.draw(st.integers(0, R - 1)), data.draw(st.integers(0, R - 1))))
    name = np.array([a if i == b else i - (b > a) * (i > b) for i in range(R)])
    merged = [np.bincount(name, x) for x in (supply, demand)]
    after = solve(np, *merged, name[tail], name[head], forward, backward)
    assert after.total <= solve(np, *problem).total + 1e-11 * (supply.sum() + demand.sum())


@settings(max_examples=60, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_the_names_of_regions_do_not_matter(problem, random):
    supply, demand, tail, head, forward, backward = problem
    name = np.array(random.sample(range(len(supply)), len(supply)))
    turned = np.argsort(name)
    after = solve(np, supply[turned], demand[turned], name[head], name[tail], backward, forward)
    before = solve(np, *problem)
    np.testing.assert_allclose(after.share[name], before.share, atol=1e-12)
    np.testing.assert_array_equal((after.pocket >= 0)[name], before.pocket >= 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_county_sized_map(seed):
    problem = grid_network(seed, 50, 60, 0.3)
    got = solve(np, *problem)
    check_laws(problem, got)
    assert got.total == pytest.approx(highs(*problem, quadratic=False).sum(), rel=1e-9)
    assert got.pocket.max() > 30


@pytest.mark.parametrize("R, hours", [(1, 2), (33, 4), (700, 2)])
def test_both_halves_give_the_same_bits(xp, R, hours):
    """700 regions do not fit in shared memory: the other kernel."""
    problem = random_network(R, R, hours)
    here, there = solve(np, *problem), solve(xp, *problem)
    for name in ("unserved", "share", "pocket", "total", "spare", "binding", "worth", "flow"):
        np.testing.assert_array_equal(getattr(here, name), to_host(getattr(there, name)), name)


def test_edges_of_the_world(xp):
    nothing = corridors()
    got = solve(xp, [3], [5], *nothing)
    assert got.total == 2 and to_host(got.pocket).tolist() == [0] and got.flow.shape == (0,)
    got = solve(xp, [0, 0], [0, 0], *corridors((0, 1, 5, 5)))
    assert got.total == 0 and to_host(got.pocket).tolist() == [-1, -1]
    got = solve(xp, [0, 8], [0, 0], *corridors((0, 1, np.inf, np.inf), (1, 1, 3, 3)))
    assert got.total == 0 and to_host(got.flow).tolist() == [0, 0]
    got = solve(xp, [0, 9, 0], [4, 0, 8], *corridors((0, 1, np.inf, np.inf), (2, 1, 0, np.inf)))
    np.testing.assert_allclose(to_host(got.unserved), [1, 0, 2], rtol=1e-15)
    assert to_host(got.pocket).tolist() == [0, 0, 0]  # the plant without demand lies in the pocket it feeds
    for size in (1e-200, 1e-6, 1e12, 1e200):
        assert solve(xp, [3 * size, 0], [size, 5 * size], *corridors((0, 1, 2 * size, 0))).total == pytest.approx(3 * size, rel=1e-15)


def test_rounding_noise_is_no_deficit(xp):
    got = solve(xp, [0.1 + 0.2, 5], [0.3 + 1e-16, 5 + 2e-15], *corridors((0, 1, 1, 1)))
    assert got.total == 0 and to_host(got.pocket).tolist() == [-1, -1]


GOOD = dict(supply=[1.0, 2], demand=[2.0, 2], tail=[0], head=[1], forward=[1.0], backward=[1.0])


@pytest.mark.parametrize("change, words", [
    (dict(supply=[1.0, np.nan]), r"supply\[1\] is nan"),
    (dict(supply=[1.0, np.inf]), r"supply\[1\] is inf"),
    (dict(demand=[-1.0, 2]), r"demand\[0\] is -1.0"),
    (dict(demand=[[1.0, 2], [1.0, np.nan]]), r"demand\[1, 1\] is nan"),
    (dict(forward=[-1.0]), r"forward\[0\] is -1.0"),
    (dict(backward=[np.nan]), r"backward\[0\] is nan"),
    (dict(tail=[2]), r"tail\[0\] is 2: regions are 0 to 1"),
    (dict(head=[-1]), r"head\[0\] is -1"),
    (dict(demand=[1.0, 2, 3]), "supply has 2 entries and demand 3"),
    (dict(forward=[1.0, 1]), "forward has 2 entries and tail 1"),
    (dict(supply=np.ones((2, 2)), demand=np.ones((3, 2))), "2, 3.* hours"),
    (dict(supply=[], demand=[]), "at least one region"),
    (dict(supply=np.ones((1, 1, 2))), "supply has shape"),
    (dict(supply=[1e308, 1e308], demand=[1e308, 1e308]), "largest float"),
])
def test_bad_input_is_named(xp, change, words):
    with pytest.raises(ValueError, match=words):
        solve(xp, **{**GOOD, **change})


def test_ends_must_be_integers(xp):
    with pytest.raises(TypeError, match="tail has dtype float64"):
        residual_deficit(*(xp.asarray(np.array(GOOD[k], float)) for k in GOOD))


def test_arrays_of_two_kinds_are_refused(xp):
    if xp is np:
        pytest.skip("one kind only")
    arrays = [xp.asarray(np.array(GOOD[k], int if k in ("tail", "head") else float)) for k in GOOD]
    with pytest.raises(TypeError, match="NumPy's and some CuPy's"):
        residual_deficit(to_host(arrays[0]), *arrays[1:])
