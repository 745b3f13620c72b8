import numpy as np
import pytest
from cukernels import algebraic, stencil
from cukernels.algebraic import Algebraic, multiply, residual, sweep
from cukernels.backend import array_module, to_host
from cukernels.classical import Graph, Rows, dense, graph
from cukernels.coarsening import links
from cukernels.stencil import embed, interior
from small_operators import SIDES, problem


def hierarchy(xp, periodic, shape=(24, 21), values=(0.0, 1.0, 1e4), direct=8):
    operator = problem(xp, 3, shape, periodic, values=values)
    c, reaction = (to_host(a) for a in links(operator))
    return operator, Algebraic(graph(c, reaction, operator.shape, periodic), direct, array_module(operator.k))


def matrix(level):
    links = dense(Graph(*(to_host(a) for a in (level.start, level.other, level.link, level.loss))))
    order, loss = to_host(level.order), np.empty(len(links))
    links[order], loss[order] = links.copy(), to_host(level.loss)
    return np.diag(loss + links.sum(axis=1)) - links


def fields(xp, n, seed=0):
    return xp.asarray(np.random.default_rng(seed).standard_normal((2, n)).astype(np.float32))


def test_multiply_by_hand(xp):
    m = Rows(*(xp.asarray(a) for a in (np.array([0, 2, 2, 3]), np.array([0, 1, 1], np.int32), np.array([1, 2, 3], np.float32))))
    v, out = xp.asarray(np.array([[1, 10], [0, 1]], np.float32)), xp.asarray(np.full((2, 3), 7, np.float32))
    multiply(m, v, out, add=True)
    np.testing.assert_array_equal(to_host(out), [[28, 7, 37], [9, 7, 10]])
    multiply(m, v, out, add=False)
    np.testing.assert_array_equal(to_host(out), [[21, 0, 30], [2, 0, 3]])


def test_residual_by_the_matrix(xp):
    level = hierarchy(xp, (True, False))[1].levels[0]
    a = matrix(level)
    x, b = fields(xp, len(a)), fields(xp, len(a), 1)
    want = to_host(b) - to_host(x) @ a
    assert abs(to_host(residual(level, x, b, xp.zeros_like(b))) - want).max() < 1e-5 * abs(want).max()        # float32


def test_a_sweep_is_gauss_seidel(xp):
    """In the order of the colours, by the triangles of the matrix."""
    level = hierarchy(xp, (False, True))[1].levels[0]
    order, a = to_host(level.order), matrix(level)
    used = np.diag(a)[order] > 0
    part = a[np.ix_(order, order)][np.ix_(used, used)]
    for forward, triangle in ((True, np.tril(part)), (False, np.triu(part))):
        x, b = fields(xp, len(a)), fields(xp, len(a), 1)
        before, load = (to_host(v)[:, order][:, used].astype(float) for v in (x, b))
        want = before + np.linalg.solve(triangle, (load - before @ part).T).T
        sweep(level, x, b, forward)
        got = to_host(x)[:, order][:, used]
        assert abs(got - want).max() < 1e-4 * abs(want).max()                                                 # float32


@pytest.mark.parametrize("periodic", SIDES)
def test_a_cycle_is_symmetric_and_not_negative(periodic):
    operator, below = hierarchy(np, periodic)
    assert len(below.levels) > 2
    free = interior(operator.free).ravel() > 0
    units = embed(np.eye(free.size)[free].reshape(-1, *operator.shape).astype(np.float32), (False, False))
    x = np.zeros_like(units)
    below.correct(x, units)
    p = interior(x).reshape(len(units), -1)
    assert not p[:, ~free].any()
    p = p[:, free]
    assert abs(p - p.T).max() < 1e-5 * abs(p).max()
    assert np.linalg.eigvalsh((p + p.T) / 2)[0] > -1e-6 * abs(p).max()


@pytest.mark.parametrize("periodic", SIDES)
def test_the_same_on_every_backend(xp, periodic):
    here, there = hierarchy(np, periodic), hierarchy(xp, periodic)
    r = embed(np.random.default_rng(0).standard_normal((2, *here[0].shape)).astype(np.float32), (False, False)) * here[0].free
    want, got = np.zeros_like(r), xp.zeros(r.shape, np.float32)
    here[1].correct(want, r)
    there[1].correct(got, xp.asarray(r))
    assert abs(to_host(got) - want).max() < 1e-5 * abs(want).max()


def test_by_two_threads_as_by_one(monkeypatch):
    operator, below = hierarchy(np, (True, True), (60, 61))
    r = embed(np.random.default_rng(0).standard_normal((1, *operator.shape)).astype(np.float32), (False, False)) * operator.free
    one, two = np.zeros_like(r), np.zeros_like(r)
    below.correct(one, r)
    monkeypatch.setattr(algebraic, "chunks", lambda rows, least: stencil.chunks(rows, 4))
    below.correct(two, r)
    np.testing.assert_array_equal(one, two)


def test_nothing_that_conducts():
    operator, below = hierarchy(np, (False, False), values=(0.0,))
    x = np.zeros((1, *operator.free.shape), np.float32)
    below.correct(x, x.copy())
    assert not x.any()
