import numpy as np
import pytest
from cukernels import multigrid
from cukernels.backend import to_host
from cukernels.multigrid import Multigrid
from cukernels.stencil import apply, embed, interior
from small_operators import SIDES, problem


def dense(operator, cycle):
    """Matrices of A and of the cycle on the free nodes."""
    free = to_host(interior(operator.free)).ravel().astype(bool)
    units = np.eye(free.size)[free].reshape(-1, *operator.shape)
    a = to_host(interior(apply(operator, embed(units, operator.periodic)))).reshape(len(units), -1)
    p = to_host(interior(cycle(embed(units.astype(np.float32), (False, False))))).reshape(len(units), -1)
    assert not p[:, ~free].any()
    return a[:, free], p[:, free]


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("shape", [(17, 16), (18, 31), (3, 60), (47, 2)])
def test_the_cycle_is_symmetric_and_positive(monkeypatch, shape, periodic):
    monkeypatch.setattr("cukernels.multigrid._MOST", 1.0)                          # on grids all the way down
    monkeypatch.setattr(multigrid, "DIRECT", 6)
    operator = problem(np, 3, shape, periodic, values=(1.0, 20.0, 1000.0))
    a, p = dense(operator, Multigrid(operator))
    assert np.abs(p - p.T).max() < 5e-6 * np.abs(p).max()                        # float32, two sweeps
    eigenvalues = np.sort(np.linalg.eigvals(p @ a).real)
    assert eigenvalues[0] > 0.05 and eigenvalues[-1] < 1.1                       # 1.1: the polynomial's ripple


def test_void_and_islands_keep_it_symmetric(monkeypatch):
    monkeypatch.setattr("cukernels.multigrid._MOST", 1.0)                          # on grids all the way down
    monkeypatch.setattr(multigrid, "DIRECT", 6)
    operator = problem(np, 5, (30, 30), (False, False), values=(0.0, 1.0))
    a, p = dense(operator, Multigrid(operator))
    assert np.abs(p - p.T).max() < 5e-6 * np.abs(p).max()
    assert np.linalg.eigvalsh((p + p.T) / 2)[0] > -1e-6 * np.abs(p).max()


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("shape", [(17, 16), (18, 31), (3, 60), (47, 2)])
@pytest.mark.parametrize("values", [(1.0, 1e6), (0.0, 1.0, 1e3)])
def test_a_cycle_above_links_is_symmetric_and_positive(monkeypatch, shape, periodic, values):
    monkeypatch.setattr(multigrid, "DIRECT", 6)
    operator = problem(np, 3, shape, periodic, values=values)
    cycle = Multigrid(operator)
    assert cycle.algebraic
    a, p = dense(operator, cycle)
    assert np.abs(p - p.T).max() < 1e-5 * np.abs(p).max()                        # float32
    assert np.linalg.eigvalsh((p + p.T) / 2)[0] > -1e-6 * np.abs(p).max()
    eigenvalues = np.sort(np.linalg.eigvals(p @ a).real)
    alone = sum(eigenvalues < 1e-6)                                              # islands that nothing holds
    # 1 in exact arithmetic; the lowest modes, 1e-9 of the highest, feel single precision
    assert eigenvalues[alone] > 0.3 and eigenvalues[-1] < 1.5


@pytest.mark.parametrize("periodic", SIDES)
def test_above_links_the_same_on_every_backend(xp, periodic):
    here, there = (problem(m, 2, (30, 21), periodic, values=(0.0, 1.0, 1e6)) for m in (np, xp))
    b = embed(np.random.default_rng(0).standard_normal((2, *here.shape)).astype(np.float32), (False, False)) * here.free
    want, got = interior(Multigrid(here)(b)), to_host(interior(Multigrid(there)(xp.asarray(b))))
    assert np.abs(got - want).max() < 1e-4 * np.abs(want).max()                  # float32, islands that nothing holds


@pytest.mark.parametrize("periodic", SIDES)
def test_the_same_on_every_backend(monkeypatch, xp, periodic):
    monkeypatch.setattr("cukernels.multigrid._MOST", 1.0)                          # on grids all the way down
    for shape in ((30, 21), (17, 26), (9, 71)):  # rows of less than a vector, of one and a part, of several
        here, there = problem(np, 2, shape, periodic), problem(xp, 2, shape, periodic)
        b = embed(np.random.default_rng(0).standard_normal((2, *here.shape)).astype(np.float32), (False, False)) * here.free
        want, got = interior(Multigrid(here)(b)), to_host(interior(Multigrid(there)(xp.asarray(b))))
        assert np.abs(got - want).max() < 1e-5 * np.abs(want).max()              # float32, other order of sums
