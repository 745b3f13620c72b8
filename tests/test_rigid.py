"""The rigid-motion multigrid: laws of its cycle, the same hierarchy on every device, few iterations at high contrast."""

import numpy as np
import pytest
from cukernels import rigid
from cukernels.backend import to_host
from cukernels.elastic import divergence, elasticity, embed, forces, interior, solve
from small_elastic import WAYS, moduli, operator

from benchmarks.scenes import SCENES


@pytest.mark.parametrize("periodic", WAYS)
@pytest.mark.parametrize("shape", [(23, 18), (17, 25)])
def test_a_cycle_is_symmetric_and_positive(xp, periodic, shape):
    """What conjugate gradients rely on, on odd circles too."""
    lam, mu = moduli(shape, 1e3, 0.1)
    op = operator(xp, lam, mu, periodic=periodic)
    cycle = rigid.RigidMultigrid(op)
    rng = np.random.default_rng(5)
    r = [embed(xp.asarray(rng.normal(size=(1, 2, *op.shape)).astype(np.float32)) * interior(op.free), (False, False)) for _ in range(2)]
    z = [to_host(interior(cycle(a))).astype(float) for a in r]
    r = [to_host(interior(a)).astype(float) for a in r]
    scale = np.sqrt((r[0] * z[0]).sum() * (r[1] * z[1]).sum())
    assert (r[0] * z[0]).sum() > 0 and (r[1] * z[1]).sum() > 0
    assert abs((r[0] * z[1]).sum() - (r[1] * z[0]).sum()) < 1e-3 * scale  # single precision, free floating parts


def test_stiff_grains_in_a_soft_matrix_take_few_iterations():
    y, x = np.mgrid[:96, :96]
    young, rng = np.ones((96, 96)), np.random.default_rng(0)
    for _ in range(14):
        cy, cx, r = *rng.uniform(0, 96, 2), rng.uniform(4, 11)
        young[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = 1e4
    for void in (False, True):
        if void:
            young[(y % 32 - 16) ** 2 + (x % 48 - 20) ** 2 < 30] = 0
        lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
        fixed = np.zeros((2, 97, 97), bool)
        fixed[:, 0] = True
        op = elasticity(lam, mu, fixed=fixed)
        _, iterations = solve(op, divergence(op, np.stack([lam, lam, 0 * lam])[None]))
        assert iterations <= 40, iterations


def lone_stiff_pixels(size):
    """They don't touch, and coarse nodes must not tie them."""
    y, x = np.mgrid[:size, :size]
    return np.where((y % 3 == 1) & (x % 3 == 1) & (np.random.default_rng(0).random(y.shape) < 0.5), 1e4, 1.0)


def held_at_the_top(young):
    fixed = np.zeros((2, *(n + 1 for n in young.shape)), bool)
    fixed[:, 0] = True
    lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
    op = elasticity(lam, mu, fixed=fixed)
    return op, divergence(op, np.stack([lam, lam, 0 * lam])[None])


# the pictures that `python -m benchmarks elasticity` does at 1024 x 1024 too
@pytest.mark.parametrize("picture", [lambda: lone_stiff_pixels(128), *(lambda s=s: s(256) for s in SCENES.values())],
                         ids=["lone pixels", *SCENES])
def test_voids_and_contrast_together_take_few_iterations(picture):
    op, load = held_at_the_top(picture())
    u, iterations = solve(op, load)
    assert iterations <= 20, iterations
    miss = (forces(op, u) - load) * op.free
    assert np.abs(interior(miss)).max() < 1e-3 * np.abs(load).max()


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("most", [(270_000, 17_000), (100, 100)], ids=["factors", "many levels"])
def test_a_cycle_of_a_hard_picture_is_symmetric_and_positive(monkeypatch, scene, most):
    """Stiff pieces on soft ground that hang on threads: single precision below the finest level made r . M r negative."""
    monkeypatch.setattr(rigid, "FACTORS", most[0]), monkeypatch.setattr(rigid, "SMALL", most[1])
    op, _ = held_at_the_top(SCENES[scene](128))
    cycle, rng = rigid.RigidMultigrid(op), np.random.default_rng(5)
    assert cycle.hard and (len(cycle.levels) > 3) == (most[0] == 100)
    r = [embed(rng.normal(size=(1, 2, *op.shape)).astype(np.float32) * interior(op.free), (False, False)) for _ in range(6)]
    # forces of a motion that is smooth, as they are late in a solve
    y, x = np.mgrid[:op.shape[0], :op.shape[1]] / op.shape[0]
    r += [(forces(op, embed((np.stack([np.sin(a * x + y), np.cos(x - a * y)])[None]) * interior(op.free), (False, False)))
           * op.free).astype(np.float32) for a in (1, 3)]
    z = [interior(cycle(a)).astype(float) for a in r]
    r = [interior(a).astype(float) for a in r]
    gram = np.array([[(a * c).sum() for c in z] for a in r])
    size = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    assert (np.diag(gram) > 0).all()
    assert (np.abs(gram - gram.T) < 1e-3 * size).all()          # the finest level is in single precision


def test_islands_that_nothing_holds():
    """Free parts of all sizes: their rigid motions are resisted by nothing, on every level, and none may blow up."""
    rng = np.random.default_rng(8)
    young = np.kron(rng.random((24, 24)) < 0.35, np.ones((6, 6))) * np.kron(rng.choice([1.0, 1e4], (48, 48)), np.ones((3, 3)))
    lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
    op = elasticity(lam, mu)
    load = divergence(op, np.stack([lam, lam, 0 * lam])[None])
    u, iterations = solve(op, load, limit=400)
    miss = (forces(op, u) - load) * op.free
    assert np.abs(interior(miss)).max() < 1e-5 * np.abs(load).max()
