"""The rigid-motion multigrid: laws of its cycle, the same hierarchy on every device, few iterations at high contrast."""

import numpy as np
import pytest
from cukernels import rigid
from cukernels.backend import to_host
from cukernels.elastic import divergence, elasticity, embed, forces, interior, solve

WAYS = [(False, False), (True, True), (True, False)]


def moduli(shape, contrast=100.0, voids=0.0, seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.choice([1.0, np.sqrt(contrast), contrast], (-(-shape[0] // 3), -(-shape[1] // 3)))
    young = np.kron(blocks, np.ones((3, 3)))[:shape[0], :shape[1]]
    if voids:
        young[np.kron(rng.random(blocks.shape) < voids, np.ones((3, 3), bool))[:shape[0], :shape[1]]] = 0
    return 0.3 * young / (1.3 * 0.4), young / 2.6


def operator(xp, lam, mu, fixed=None, **how):
    return elasticity(xp.asarray(lam), xp.asarray(mu), fixed=None if fixed is None else xp.asarray(fixed), **how)


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


@pytest.mark.parametrize("periodic", WAYS)
def test_every_device_makes_the_same_hierarchy(xp, periodic):
    lam, mu = moduli((23, 18), 1e3, 0.1)
    ours, theirs = (rigid.RigidMultigrid(operator(m, lam, mu, periodic=periodic)) for m in (xp, np))
    b = np.random.default_rng(6).normal(size=(2, 2, *ours.levels[0].shape)).astype(np.float32)
    b *= interior(operator(np, lam, mu, periodic=periodic).free)
    for a, c in zip(ours.levels, theirs.levels):
        for name in ("link", "inverse", "along", "down", "middle"):
            if getattr(c, name) is not None:
                scale = np.abs(getattr(c, name)).max()
                np.testing.assert_allclose(to_host(getattr(a, name)), getattr(c, name), atol=1e-5 * scale)
    x, y = (to_host(interior(m(embed(a, (False, False))))) for m, a in ((ours, xp.asarray(b)), (theirs, b)))
    np.testing.assert_allclose(x, y, atol=2e-3 * np.abs(y).max())  # single precision, sums in another order


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


def test_voids_and_contrast_together_take_few_iterations():
    """Discs of void, of 1e2 and of 1e4 over one another; lone stiff pixels that don't touch, which coarse nodes must not tie."""
    y, x = np.mgrid[:128, :128]
    discs, rng = np.ones((128, 128)), np.random.default_rng(0)
    for _ in range(40):
        cy, cx, r = *rng.uniform(0, 128, 2), rng.uniform(3, 8)
        discs[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice([0, 1e4, 0, 1e2])
    lone = np.where((y % 3 == 1) & (x % 3 == 1) & (rng.random(y.shape) < 0.5), 1e4, 1.0)
    fixed = np.zeros((2, 129, 129), bool)
    fixed[:, 0] = True
    for young in (discs, lone):
        lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
        op = elasticity(lam, mu, fixed=fixed)
        _, iterations = solve(op, divergence(op, np.stack([lam, lam, 0 * lam])[None]))
        assert iterations <= 60, iterations


def test_voids_and_contrast_at_256():
    """What `python -m benchmarks elasticity` does at 1024 x 1024: discs of void, of 1e2 and of 1e4, 5 to 16 pixels in radius."""
    y, x = np.mgrid[:256, :256]
    young, rng = np.ones((256, 256)), np.random.default_rng(0)
    for _ in range(40):
        cy, cx, r = *rng.uniform(0, 256, 2), rng.uniform(6, 16)
        young[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice([0, 1e4, 0, 1e2])
    fixed = np.zeros((2, 257, 257), bool)
    fixed[:, 0] = True
    lam, mu = 0.3 * young / (1.3 * 0.4), young / 2.6
    op = elasticity(lam, mu, fixed=fixed)
    _, iterations = solve(op, divergence(op, np.stack([lam, lam, 0 * lam])[None]))
    assert iterations <= 60, iterations


def test_pixel_matrices_have_no_force_under_rigid_motion():
    k_lam, k_mu = rigid.pixel_matrices(1.3, 0.7)
    corner = np.array([[0, 0], [1.3, 0], [0, 0.7], [1.3, 0.7]])
    for motion in (np.tile([1.0, 0], 4), np.tile([0, 1.0], 4), np.stack([-corner[:, 1], corner[:, 0]], 1).ravel()):
        np.testing.assert_allclose([k_lam @ motion, k_mu @ motion], 0, atol=1e-15)


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
