import numpy as np
import pytest
from cukernels import relaxation, stencil
from cukernels.backend import to_host
from cukernels.multigrid import Multigrid
from cukernels.relaxation import combine, prolong, residual, restrict, smooth
from cukernels.stencil import apply, embed, interior
from small_operators import SIDES, problem


@pytest.fixture(autouse=True)
def grids_all_the_way_down(monkeypatch):
    monkeypatch.setattr("cukernels.multigrid._MOST", 1.0)


def test_uniform_is_solved_at_once_by_two_threads_or_one(monkeypatch):
    operator = problem(np, 1, (130, 141), (True, True))
    b = embed(np.random.default_rng(0).standard_normal((1, *operator.shape)).astype(np.float32), (False, False)) * operator.free
    one = Multigrid(operator)(b).copy()
    monkeypatch.setattr(relaxation, "_SERIAL", 0)
    monkeypatch.setattr(relaxation, "chunks", lambda rows, least=64: stencil.chunks(rows, 8))
    two = Multigrid(operator)(b)
    np.testing.assert_array_equal(interior(one), interior(two))                  # the same sums in the same order


def two_grids(xp, periodic, shape=(11, 14)):
    """(operator, its finest level, random fields x and b, zero where there is no unknown)."""
    operator = problem(xp, 4, shape, periodic)
    random = np.random.default_rng(7)
    x, b = (embed(random.standard_normal((2, *operator.shape)).astype(np.float32), (False, False)) * to_host(operator.free) for _ in range(2))
    return operator, Multigrid(operator).levels[0], xp.asarray(embed(interior(x), periodic)), xp.asarray(b)


def energy(operator, x, b):
    """x A x / 2 - b x of each field, A in float64."""
    u = x.astype(np.float64)
    return to_host((interior(u) * (interior(apply(operator, u)) / 2 - interior(b))).sum(axis=(1, 2)))


@pytest.mark.parametrize("periodic", SIDES)
def test_a_sweep_lowers_the_energy_and_leaves_the_answer(monkeypatch, xp, periodic):
    monkeypatch.setattr("cukernels.multigrid.DIRECT", 40)
    operator, level, x, b = two_grids(xp, periodic)
    for forward in (True, False):
        before = energy(operator, x, b)
        smooth(level, x, b, forward, False)
        assert (energy(operator, x, b) < before - 0.05 * abs(before)).all()
    solved = xp.asarray(embed(interior(to_host(x)) * 0 + 1.0, periodic).astype(np.float32)) * operator.free
    load = interior(apply(operator, solved.astype(np.float64))).astype(np.float32)
    b[:, 2:-2, 2:-2] = load * interior(operator.free)
    for forward in (True, False):
        kept = to_host(solved).copy()
        smooth(level, solved, b, forward, False)
        np.testing.assert_allclose(to_host(interior(solved)), interior(kept), atol=1e-5)     # float32


@pytest.mark.parametrize("periodic", SIDES)
def test_forward_and_back_are_adjoint(monkeypatch, xp, periodic):
    monkeypatch.setattr("cukernels.multigrid.DIRECT", 40)
    operator, level, x, b = two_grids(xp, periodic)
    there, back = xp.zeros_like(b), xp.zeros_like(b)
    smooth(level, there, b, True, True)
    start = xp.asarray(to_host(x)) * operator.free
    smooth(level, back, start, False, False)
    left, right = ((to_host(interior(u)).astype(float) * to_host(interior(v))).sum() for u, v in ((there, start), (back, b)))
    assert left == pytest.approx(right, rel=1e-4)                                            # float32


@pytest.mark.parametrize("periodic", SIDES)
def test_residual_by_the_operator(monkeypatch, xp, periodic):
    monkeypatch.setattr("cukernels.multigrid.DIRECT", 40)
    operator, level, x, b = two_grids(xp, periodic)
    got = to_host(interior(residual(level, x, b, xp.zeros_like(b), 0.5)))
    want = to_host(interior(b)) - 0.5 * to_host(interior(apply(operator, x.astype(np.float64))))
    free = to_host(interior(operator.free)) > 0
    np.testing.assert_allclose(got[:, free], want[:, free], atol=2e-4)                       # links of 300 in float32


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("shape", [(11, 14), (12, 13)])
def test_down_is_up_transposed(monkeypatch, xp, shape, periodic):
    monkeypatch.setattr("cukernels.multigrid.DIRECT", 40)
    _, level, x, b = two_grids(xp, periodic, shape)
    nodes = tuple((n + 1) // 2 for n in level.shape)
    some = xp.asarray(embed(np.random.default_rng(1).standard_normal((2, *nodes)).astype(np.float32), periodic))
    down, up = xp.zeros_like(some), xp.zeros_like(b)
    restrict(level, xp.zeros_like(b), b, down)
    prolong(level, up, some)
    left, right = ((to_host(interior(u)).astype(float) * to_host(interior(v))).sum(axis=(1, 2)) for u, v in ((down, some), (up, b)))
    np.testing.assert_allclose(left, right, rtol=1e-4)                                       # float32
    assert (abs(left) > 1e-3).all()


def test_combined_by_hand(xp):
    x, y = xp.asarray(np.array([1, 2], np.float32)), xp.asarray(np.array([10, 20], np.float32))
    np.testing.assert_array_equal(to_host(combine(x, 0.5, y, 2.0)), [20.5, 41.0])
