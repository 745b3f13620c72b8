"""Plane elasticity by hand, by laws (rigid motion, patch test, symmetry), and against scikit-fem with a direct solver."""

import numpy as np
import pytest
import skfem
from cukernels.backend import NotConverged, to_host
from cukernels.elastic import divergence, elasticity, embed, forces, interior, solve, strain
from skfem.models.elasticity import linear_elasticity
from small_elastic import WAYS, moduli, operator


def stiffness(lam, mu, dx, dy):
    """Dense matrix and displacement of each node in it, by scikit-fem: nodes in raster order, x before y."""
    H, W = lam.shape
    mesh = skfem.MeshQuad.init_tensor(np.arange(W + 1) * dx, np.arange(H + 1) * dy)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad1()))
    column, row = (mesh.p[:, mesh.t].mean(axis=1) / np.array([[dx], [dy]])).astype(int)
    a = skfem.asm(skfem.BilinearForm(
        lambda u, v, w: linear_elasticity(w.lam, w.mu).form(u, v, w)), basis,
        lam=lam[row, column][:, None], mu=mu[row, column][:, None]).toarray()
    order = np.lexsort((mesh.p[0], mesh.p[1]))
    return a[np.ix_(*[basis.nodal_dofs[:, order].T.ravel()] * 2)]


def test_one_pixel_pulled_by_hand(xp):
    """A unit pixel stretched by 1 along x, lam = 1, mu = 2: each right corner needs half of lam + 2 mu, each top and
    bottom corner half of lam."""
    op = operator(xp, np.array([[1.0]]), np.array([[2.0]]))
    u = np.zeros((1, 2, 2, 2))
    u[0, 0, :, 1] = 1
    f = to_host(interior(forces(op, embed(xp.asarray(u), op.periodic))))[0]
    np.testing.assert_allclose(f[0], [[-2.5, 2.5], [-2.5, 2.5]], rtol=1e-15)
    np.testing.assert_allclose(f[1], [[-0.5, -0.5], [0.5, 0.5]], rtol=1e-15)


def test_forces_equal_scikit_fem(xp):
    lam, mu = moduli((7, 5), voids=0.2)
    op = operator(xp, lam, mu, dx=1.3, dy=0.7)
    u = np.random.default_rng(1).random((2, 2, 8, 6))
    f = to_host(interior(forces(op, embed(xp.asarray(u), op.periodic))))
    a = stiffness(lam, mu, 1.3, 0.7)
    for ours, given in zip(f, u):
        np.testing.assert_allclose(ours.transpose(1, 2, 0).ravel(), a @ given.transpose(1, 2, 0).ravel(), atol=1e-11)


@pytest.mark.parametrize("periodic", WAYS)
def test_divergence_is_the_transpose_of_strain(xp, periodic):
    lam, mu = moduli((6, 5))
    op = operator(xp, lam, mu, dx=1.3, dy=0.7, periodic=periodic)
    rng = np.random.default_rng(2)
    stress, u = rng.random((1, 3, 6, 5)), rng.random((1, 2, *op.shape))
    work = (to_host(interior(divergence(op, xp.asarray(stress)))) * u).sum()
    assert work == pytest.approx((to_host(strain(op, embed(xp.asarray(u), periodic))) * stress).sum() * 1.3 * 0.7, rel=1e-12)


def test_rigid_motion_has_no_force_at_any_contrast(xp):
    lam, mu = moduli((9, 8), 1e6)
    op = operator(xp, lam, mu, dx=0.5, dy=0.25)
    y, x = np.mgrid[:10, :9].astype(float)
    u = np.stack([[3 + 0 * x, 5 + 0 * x], [-0.25 * y, 0.5 * x]])
    f = to_host(forces(op, embed(xp.asarray(u), op.periodic)))
    np.testing.assert_array_equal(f[0], 0)
    assert np.abs(f[1]).max() < 1e-9 * lam.max() * 4  # a rotation by one radian, rounding only


def test_patch_test(xp):
    """Given linear displacements all round, the inside follows them exactly, in one material."""
    op_fixed = np.ones((2, 12, 15), bool)
    op_fixed[:, 1:-1, 1:-1] = False
    op = operator(xp, np.full((11, 14), 1.5), np.full((11, 14), 0.7), op_fixed, dx=2.0)
    y, x = np.mgrid[:12, :15].astype(float)
    exact = np.stack([0.1 * x - 0.3 * y, 0.2 * x + 0.05 * y])[None]
    u, _ = solve(op, embed(xp.zeros_like(xp.asarray(exact)), op.periodic), embed(xp.asarray(exact * op_fixed), op.periodic), tolerance=1e-12)
    np.testing.assert_allclose(to_host(interior(u)), exact, atol=1e-10)


@pytest.mark.parametrize("contrast, voids", [(100.0, 0.0), (1e4, 0.15)])
def test_solution_equals_scikit_fem(xp, contrast, voids):
    lam, mu = moduli((26, 19), contrast, voids, seed=3)
    fixed = np.zeros((2, 27, 20), bool)
    fixed[:, 0] = True
    op = operator(xp, lam, mu, fixed, dx=1.3, dy=0.7)
    stress = 2 * (lam + mu) * np.random.default_rng(4).random(lam.shape)
    load = divergence(op, xp.asarray(np.stack([stress, stress, 0 * stress])[None]))
    u, iterations = solve(op, load, tolerance=1e-11)
    a, b = stiffness(lam, mu, 1.3, 0.7), to_host(interior(load))[0].transpose(1, 2, 0).ravel()
    free = to_host(interior(op.free)).transpose(1, 2, 0).ravel() > 0
    exact = np.zeros(len(b))
    exact[free] = np.linalg.lstsq(a[np.ix_(free, free)], b[free], rcond=1e-12)[0]
    ours = to_host(interior(u))[0].transpose(1, 2, 0).ravel()
    error = ours - exact
    assert error @ a @ error <= 1e-14 * (exact @ a @ exact)  # 1e-7 in the energy norm, whatever floats free
    assert iterations <= 60


def test_bad_arguments(xp):
    one = np.ones((3, 3))
    with pytest.raises(ValueError, match="lam = 1, mu = 0 at row 0, column 0"):
        operator(xp, one, 0 * one)
    with pytest.raises(ValueError, match="mu = nan at row 1, column 2"):
        operator(xp, one, np.where(np.arange(9).reshape(3, 3) == 5, np.nan, 1.0))
    with pytest.raises(ValueError, match="fixed has shape"):
        operator(xp, one, one, np.zeros((2, 3, 3), bool))
    with pytest.raises(ValueError, match="at least 2 rows"):
        operator(xp, one[:1], one[:1], periodic=(True, False))


def test_a_pull_that_nothing_holds_does_not_converge():
    op = elasticity(np.ones((8, 8)), np.ones((8, 8)))
    load = np.zeros((1, 2, 9, 9))
    load[0, 0, 4, 4] = 1
    with pytest.raises(NotConverged):
        solve(op, embed(load, op.periodic))


@pytest.mark.parametrize("fixed, force, held", [
    ([], (0, 4, 4), False), ([(0, 0, 0)], (0, 4, 4), False), ([(0, 0, 0), (1, 0, 0)], (0, 4, 4), False),
    ([(0, 0, 0), (1, 0, 0)], (1, 0, 4), False),       # a turn about the pin
    ([(0, 0, 0), (1, 0, 0)], (0, 0, 4), True),        # through the pin
    ([(0, 0, 0), (1, 0, 0), (1, 0, 8)], (0, 4, 4), True)])
def test_a_force_must_be_held(xp, fixed, force, held):
    where, load = np.zeros((2, 9, 9), bool), np.zeros((1, 2, 9, 9))
    for place in fixed:
        where[place] = True
    load[0][force] = 1
    op = operator(xp, np.ones((8, 8)), np.ones((8, 8)), where)
    load = embed(xp.asarray(load), op.periodic)
    if held:
        assert solve(op, load)[1] < 60
    else:
        with pytest.raises(NotConverged, match="row 0, column 0 and its forces do not balance"):
            solve(op, load)


def test_a_force_on_one_of_two_pieces(xp):
    """The one that is held may be pulled, the other not; and a hinge at a corner turns, which no fixed side of its own stops."""
    solid = np.zeros((8, 8))
    solid[:3], solid[4:, 2:] = 1, 1
    where, load = np.zeros((2, 9, 9), bool), np.zeros((1, 2, 9, 9))
    where[:, 0], load[0, 0, 2, 2] = True, 1
    op = operator(xp, solid, solid, where)
    assert solve(op, embed(xp.asarray(load), op.periodic))[1] < 60
    load[0, 0, 6, 6] = 1e-6
    with pytest.raises(NotConverged, match="row 4, column 2"):
        solve(op, embed(xp.asarray(load), op.periodic))
    solid[3, 1] = 1  # touches the lower block at one corner
    op = operator(xp, solid, solid, where)
    load[0, 0, 6, 6] = 1
    with pytest.raises(NotConverged):
        solve(op, embed(xp.asarray(load), op.periodic))
