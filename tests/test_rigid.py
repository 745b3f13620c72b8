"""The rigid-motion multigrid: laws of its cycle, the same hierarchy on every device, few iterations at high contrast."""

import numpy as np
import pytest
from cukernels import rigid
from cukernels.backend import to_host
from cukernels.elastic import divergence, elasticity, embed, forces, interior, solve
from small_elastic import WAYS, moduli, operator


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


def discs_over_one_another(size, low, high):
    """(size, size) stiffness: 40 discs of void, of 1e2 and of 1e4, low to high pixels in radius, in 1."""
    (y, x), rng, young = np.mgrid[:size, :size], np.random.default_rng(0), np.ones((size, size))
    for _ in range(40):
        cy, cx, r = *rng.uniform(0, size, 2), rng.uniform(low, high)
        young[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice([0, 1e4, 0, 1e2])
    return young


def lone_stiff_pixels(size):
    """They don't touch, and coarse nodes must not tie them."""
    y, x = np.mgrid[:size, :size]
    return np.where((y % 3 == 1) & (x % 3 == 1) & (np.random.default_rng(0).random(y.shape) < 0.5), 1e4, 1.0)


# the larger discs are those that `python -m benchmarks elasticity` does at 1024 x 1024 too
@pytest.mark.parametrize("young", [discs_over_one_another(128, 3, 8), lone_stiff_pixels(128), discs_over_one_another(256, 6, 16)],
                         ids=["discs 128", "lone pixels", "discs 256"])
def test_voids_and_contrast_together_take_few_iterations(young):
    fixed = np.zeros((2, *(n + 1 for n in young.shape)), bool)
    fixed[:, 0] = True
    lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
    op = elasticity(lam, mu, fixed=fixed)
    _, iterations = solve(op, divergence(op, np.stack([lam, lam, 0 * lam])[None]))
    assert iterations <= 60, iterations


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
