"""A cycle of the rigid-motion multigrid on one level: sweeps lower the energy, down is up transposed, alike on every device."""

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.elastic import embed, interior
from cukernels.rigid import RigidMultigrid
from cukernels.rigid_relaxation import prolong, restrict, smooth
from small_elastic import WAYS, many_levels, moduli, operator


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("periodic", WAYS)
def test_a_cycle_is_the_same_on_every_device(xp, monkeypatch, periodic, hard):
    lam, mu = moduli((41, 34), many_levels(monkeypatch, hard))
    fixed = np.zeros((2, *(n + (not wraps) for n, wraps in zip(lam.shape, periodic))), bool)
    fixed[:, 0] = True         # free motions are what rounding makes of them
    ours, theirs = (RigidMultigrid(operator(m, lam, mu, fixed, periodic=periodic)) for m in (xp, np))
    b = np.random.default_rng(6).normal(size=(2, 2, *ours.levels[0].shape)).astype(np.float32)
    b *= interior(operator(np, lam, mu, fixed, periodic=periodic).free)
    x, y = (to_host(interior(m(embed(a, (False, False))))) for m, a in ((ours, xp.asarray(b)), (theirs, b)))
    np.testing.assert_allclose(x, y, atol=2e-3 * np.abs(y).max())  # single precision, sums in another order


def fields(level, shape, periodic, seed):
    """Two random fields on a level's nodes, 0 where nothing is solved for, in the grid's precision."""
    own = np.random.default_rng(seed).normal(size=(2, level.d, *shape)).astype(level.link.dtype)
    solved = np.stack([interior(to_host(level.inverse))[n * (level.d + 1)] > 0 for n in range(level.d)])
    return embed(own * solved, periodic)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("periodic", WAYS)
@pytest.mark.parametrize("n", [0, 1])
def test_down_is_up_transposed(xp, monkeypatch, periodic, n, hard):
    """On the finest grid, of two unknowns a node, and on the next, of three."""
    lam, mu = moduli((41, 34), many_levels(monkeypatch, hard))
    levels = RigidMultigrid(operator(xp, lam, mu, periodic=periodic)).levels
    level, below = levels[n], levels[n + 1]
    b = xp.asarray(fields(level, level.shape, (False, False), 1))
    some = xp.asarray(fields(below, below.shape, periodic, 2))
    up, down = xp.zeros_like(b), xp.zeros_like(some)
    restrict(level, xp.zeros_like(b), b, down)
    prolong(level, up, some)
    left, right = (float((to_host(interior(u)).astype(float) * to_host(interior(v))).sum()) for u, v in ((down, some), (up, b)))
    assert left == pytest.approx(right, rel=1e-3, abs=1e-3) and abs(left) > 1e-2      # single precision


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("periodic", WAYS)
@pytest.mark.parametrize("n", [0, 1])
def test_sweeps_bring_the_residual_down_alike(xp, monkeypatch, periodic, n, hard):
    lam, mu = moduli((41, 34), many_levels(monkeypatch, hard))
    ours, theirs = (RigidMultigrid(operator(m, lam, mu, periodic=periodic)).levels for m in (xp, np))
    b = fields(theirs[n], theirs[n].shape, (False, False), 3)
    x, y = xp.zeros(b.shape, b.dtype), np.zeros_like(b)
    gained = []
    for forward in (True, False, True, False):
        smooth(ours[n], x, xp.asarray(b), forward)
        smooth(theirs[n], y, b, forward)
        gained.append((b * to_host(x)).sum())
    np.testing.assert_allclose(to_host(interior(x)), interior(y), atol=1e-4 * np.abs(y).max())
    assert (np.diff(gained) > 0).all() and gained[0] > 0                              # b . x grows to b . A^-1 b
    down, there = (m.zeros((2, 3, *(k + 2 for k in theirs[n + 1].shape)), theirs[n + 1].link.dtype) for m in (xp, np))
    restrict(ours[n], x, xp.asarray(b), down)
    restrict(theirs[n], y, b, there)
    np.testing.assert_allclose(to_host(interior(down)), interior(there), atol=1e-3 * np.abs(there).max())
