import numpy as np
import pytest
from cukernels.backend import NotConverged, to_host
from cukernels.krylov import conjugate_gradients


def system(xp, seed=0, n=12):
    """A random positive matrix and the two callables, arrays shaped (S, n)."""
    m = np.random.default_rng(seed).standard_normal((n, n))
    a = m @ m.T + n * np.eye(n)
    device = xp.asarray(a)

    def apply(p, q):
        q[...] = p @ device
        return (p * q).sum(axis=1)

    diagonal = xp.asarray(np.diag(a).astype(np.float32))
    return a, apply, lambda r: r / diagonal


def test_two_by_two_by_hand(xp):
    device = xp.asarray(np.array([[2.0, 1.0], [1.0, 2.0]]))

    def apply(p, q):
        q[...] = p @ device
        return (p * q).sum(axis=1)

    solution = conjugate_gradients(apply, lambda r: r * 1, xp.asarray(np.array([[3.0, 3.0], [3.0, 0.0]])), tolerance=1e-12)
    np.testing.assert_allclose(to_host(solution.x), [[1, 1], [2, -1]], rtol=1e-12)
    assert solution.iterations == 2


def test_equals_a_direct_solver_from_any_start(xp):
    a, apply, precondition = system(xp)
    rng = np.random.default_rng(1)
    b, x = rng.standard_normal((3, 12)), rng.standard_normal((3, 12))
    for start in (None, xp.asarray(x)):
        got = conjugate_gradients(apply, precondition, xp.asarray(b.copy()), start, 1e-10)
        np.testing.assert_allclose(to_host(got.x), np.linalg.solve(a, b.T).T, rtol=1e-8, atol=1e-9)


def test_the_energy_error_is_what_it_says(xp):
    a, apply, precondition = system(xp)
    b = np.random.default_rng(2).standard_normal((1, 12))
    exact = np.linalg.solve(a, b[0])
    got = conjugate_gradients(apply, precondition, xp.asarray(b.copy()), tolerance=1e-3)
    e = to_host(got.x)[0] - exact
    assert 0 < got.error[0] <= 1e-3
    assert np.sqrt(e @ a @ e / (exact @ a @ exact)) < 3e-3                       # M is within a factor of A


def test_tiny_and_huge_and_zero_side_by_side(xp):
    a, apply, precondition = system(xp)
    b = np.random.default_rng(3).standard_normal((1, 12)) * np.array([[1e-60], [1e60], [0.0]])
    got = to_host(conjugate_gradients(apply, precondition, xp.asarray(b.copy())).x)
    np.testing.assert_allclose(got, np.linalg.solve(a, b.T).T, rtol=1e-5)
    assert not got[2].any()


def test_what_does_not_converge_raises(xp):
    _, apply, precondition = system(xp)
    b = np.random.default_rng(4).standard_normal((1, 12))
    with pytest.raises(NotConverged, match="in 2 iterations"):
        conjugate_gradients(apply, precondition, xp.asarray(b.copy()), limit=2)
    with pytest.raises(NotConverged, match="broke down"):
        conjugate_gradients(apply, lambda r: -r, xp.asarray(b.copy()))
    b[0, 3] = np.nan
    with pytest.raises(NotConverged, match="broke down"):
        conjugate_gradients(apply, precondition, xp.asarray(b))
