import numpy as np
import pytest
from cukernels.multigrid import Multigrid
from cukernels.relaxation import residual, smooth
from cukernels.stencil import apply, embed, interior
from small_operators import SIDES, problem


def by_definition(operator, x, b, forward):
    """Gauss-Seidel in four colours, node by node, on the dense matrix in float64: rows of even number first."""
    free = interior(operator.free).ravel() > 0
    a = interior(apply(operator, embed(np.eye(free.size).reshape(-1, *operator.shape), operator.periodic))).reshape(free.size, -1)
    u = interior(x).astype(float).reshape(len(x), -1)
    load = interior(b).reshape(len(b), -1)
    kind = [np.arange(n) % 2 for n in operator.shape]
    for n, wraps in zip(kind, operator.periodic):
        if wraps and n.size % 2:
            n[-1] = 2
    colours = [(p, q) for p in range(3) for q in range(3)]
    for p, q in colours if forward else colours[::-1]:
        here = np.flatnonzero(((kind[0] == p)[:, None] & (kind[1] == q)).ravel() & free)
        u[:, here] += (load[:, here] - u @ a[:, here]) / np.diag(a)[here]
    return u.reshape(len(x), *operator.shape)


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("columns", [2, 14, 15, 16, 17, 31, 34, 47])     # a vector is 16 numbers
@pytest.mark.parametrize("level", [0, 1])
def test_a_sweep_is_that_of_the_definition(monkeypatch, columns, periodic, level):
    """On pixels, and on links: those of the finest level given as tensors."""
    monkeypatch.setattr("cukernels.multigrid.DIRECT", 4)
    operator = problem(np, columns, (7, columns), periodic, tensors=level == 1)
    random, free = np.random.default_rng(0), interior(operator.free)
    x, b = (embed(random.standard_normal((2, *operator.shape)) * free, wraps).astype(np.float32) for wraps in (operator.periodic, (False, False)))
    finest = Multigrid(operator).levels[0]
    assert len(finest.c) == (4 if level else 1)
    for forward, from_zero in ((True, False), (True, True), (False, False)):
        want = by_definition(operator, 0 * x if from_zero else x, b, forward)
        got = embed(np.full(want.shape, 7.0) * free, operator.periodic).astype(np.float32) if from_zero else x.copy()
        smooth(finest, got, b, forward, from_zero)
        np.testing.assert_allclose(interior(got), want, rtol=1e-4, atol=1e-4 * abs(want).max())         # float32
    want = interior(b) - 0.5 * interior(apply(operator, x.astype(float)))
    got = interior(residual(finest, x, b, np.zeros_like(b), 0.5))
    np.testing.assert_allclose(got * free, want * free, atol=1e-5 * abs(want).max())                    # float32
