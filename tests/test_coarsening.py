import numpy as np
import pytest
from cukernels import multigrid
from cukernels.backend import to_host
from cukernels.coarsening import galerkin, interpolation, links
from cukernels.multigrid import Multigrid
from cukernels.stencil import conduction, interior
from small_operators import SIDES, picture, problem


@pytest.fixture(autouse=True)
def grids_all_the_way_down(monkeypatch):
    monkeypatch.setattr("cukernels.multigrid._MOST", 1.0)


def test_weights_by_hand(xp):
    # uniform conductivity: halves on the edges, quarters in the middle, and all to one side where the picture ends
    operator = conduction(xp.ones((3, 4)))
    c, reaction = links(operator)
    inverse = xp.asarray(np.where(to_host(operator.free) > 0, np.float32(3), np.float32(0)))
    w = to_host(interior(interpolation(c, reaction, inverse, operator.shape, operator.periodic)))
    np.testing.assert_allclose(w[:2, :, :2], 0.5, rtol=1e-6)
    np.testing.assert_allclose(w[2:4, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(w[4:, 0, :2], 0.25, rtol=1e-6)
    np.testing.assert_allclose(w[2, 1], 1.0)
    np.testing.assert_allclose(w[4:6, 1, :2], 0.5, rtol=1e-6)


@pytest.mark.parametrize("periodic", SIDES)
def test_coarse_operator_is_galerkins(xp, periodic):
    shape = (6, 8) if periodic[0] else (7, 5)
    operator = problem(xp, 0, shape, periodic)
    level = Multigrid(operator).levels[0]
    c, reaction = links(operator)
    weight = interpolation(c, reaction, level.inverse, operator.shape, operator.periodic)
    coarse, loss, _ = galerkin(c, reaction, level.inverse, weight, operator.shape, operator.periodic)
    a, free = _matrix(to_host(c), to_host(reaction), operator.shape, periodic), to_host(interior(operator.free)).ravel() > 0
    p = _interpolation_matrix(to_host(weight), operator.shape, periodic) * free[:, None]
    want = p.T @ a @ p
    got = _matrix(to_host(coarse), to_host(loss), tuple((n + 1) // 2 for n in operator.shape), periodic)
    np.testing.assert_allclose(got, want, atol=1e-4)                             # links of 300 in float32


def _matrix(c, reaction, shape, periodic):
    number = np.arange(shape[0] * shape[1]).reshape(shape)
    a = np.diag(interior(reaction).ravel().astype(float))
    for link, (di, dj) in zip(c, ((0, 1), (1, 0), (1, 1), (1, -1))):
        for i in range(shape[0]):
            for j in range(shape[1]):
                g, y, x = float(link[i + 2, j + 2]), i + di, j + dj
                if g:
                    m, n = number[i, j], number[y % shape[0], x % shape[1]]
                    a[[m, n], [m, n]] += g if m != n else 0
                    a[m, n] -= g if m != n else 0
                    a[n, m] -= g if m != n else 0
    return a


def _interpolation_matrix(w, shape, periodic):
    rows, columns = ((n + 1) // 2 for n in shape)
    p = np.zeros((shape[0] * shape[1], rows * columns))
    for i in range(shape[0]):
        for j in range(shape[1]):
            a, b = i // 2, j // 2
            parts = {(0, 0): [(0, 0, 1.0)], (0, 1): [(0, 0, 0), (0, 1, 1)], (1, 0): [(0, 0, 2), (1, 0, 3)],
                     (1, 1): [(0, 0, 4), (0, 1, 5), (1, 0, 6), (1, 1, 7)]}[i % 2, j % 2]
            for da, db, n in parts:
                value = n if isinstance(n, float) else w[n, a + 2, b + 2]
                if value:
                    p[i * shape[1] + j, (a + da) % rows * columns + (b + db) % columns] += value
    return p


@pytest.mark.parametrize("dx", [4.0, 0.25])
def test_long_pixels_keep_weights_between_none_and_all(monkeypatch, xp, dx):
    """Links along long pixels are negative: weights made of them passed every limit where the signs met."""
    monkeypatch.setattr(multigrid, "DIRECT", 30)
    operator = conduction(xp.asarray(picture(1, (23, 26), (1.0, 17.0, 300.0))), dx, 1.0)
    weights = [to_host(level.weight) for level in Multigrid(operator).levels[:-1]]
    assert min(w[:4].min() for w in weights) >= 0 and max(w[:4].max() for w in weights) <= 1 + 1e-6
    assert any(to_host(level.c).min() < 0 for level in Multigrid(operator).levels)  # so there was something to keep
