"""Tensors a pixel: against scikit-fem, by rotation, between bounds; and thin layers that count as thick as they are."""

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.stencil import apply, conduction, embed, interior

from chipmap.solve import conductance, effective_conductivity, laminate, resistance

DISC = 1.65203601       # square array, f = 0.3, 10:1


def tensors(shape, seed=0, contrast=30.0):
    rng = np.random.default_rng(seed)
    angle, big, small = rng.random(shape) * np.pi, rng.choice([1.0, contrast], shape), rng.choice([0.3, 1.0], shape)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([big * c * c + small * s * s, big * s * s + small * c * c, (big - small) * c * s])


def times(xp, k, u, **how):
    operator = conduction(xp.asarray(k), **how)
    return to_host(interior(apply(operator, embed(xp.asarray(u)[None], operator.periodic)))[0])


def test_equals_scikit_fem(xp):
    skfem = pytest.importorskip("skfem")
    k, dx, dy, u = tensors((4, 6)), 0.7, 1.3, np.random.default_rng(1).random((5, 7))
    mesh = skfem.MeshQuad.init_tensor(np.arange(7) * dx, np.arange(5) * dy)
    centre = mesh.p[:, mesh.t].mean(axis=1)
    each = k[:, (centre[1] / dy).astype(int), (centre[0] / dx).astype(int)][..., None]

    def energy(u, v, w):
        return each[0] * u.grad[0] * v.grad[0] + each[1] * u.grad[1] * v.grad[1] + each[2] * (u.grad[0] * v.grad[1] + u.grad[1] * v.grad[0])
    a = skfem.BilinearForm(energy).assemble(skfem.Basis(mesh, skfem.ElementQuad1()))
    row, column = np.rint(mesh.p[1] / dy).astype(int), np.rint(mesh.p[0] / dx).astype(int)
    np.testing.assert_allclose(times(xp, k, u, dx=dx, dy=dy)[row, column], a @ u[row, column], atol=1e-12)


@pytest.mark.parametrize("periodic", [(False, False), (True, True), (True, False)])
def test_equal_numbers_and_tensors(xp, periodic):
    k = np.random.default_rng(2).choice([0.0, 1.0, 40.0], (6, 7))
    u = np.random.default_rng(3).random(tuple(n + (not w) for n, w in zip(k.shape, periodic)))
    one, other = (times(xp, p, u, dx=1.0, dy=0.7, periodic=periodic) for p in (k, np.stack([k, k, 0 * k])))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_solved_as_tensors_or_numbers(xp):
    k = np.kron(np.random.default_rng(4).choice([1.0, 50.0], (6, 7)), np.ones((4, 4)))
    same = np.stack([k, k, 0 * k])
    for call in (lambda k: conductance(k, 0, 1.0, 0.7), lambda k: conductance(k, 1), lambda k: effective_conductivity(k, 0.5)):
        one, other = call(xp.asarray(k)), call(xp.asarray(same))
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
        np.testing.assert_allclose(one.lower, other.lower, rtol=1e-9)
    terminals = np.zeros(k.shape, int)
    terminals[:3, :3], terminals[-3:, -3:], terminals[10:13, 20:22] = 1, 2, 3
    one, other = resistance(xp.asarray(k), xp.asarray(terminals)), resistance(xp.asarray(same), xp.asarray(terminals))
    np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
    np.testing.assert_allclose(one.upper, other.upper, rtol=1e-9)


def test_bounds_of_tensors_nest_and_the_tensor_turns_with_the_picture():
    k = tensors((6, 6))
    got = [effective_conductivity(np.kron(k, np.ones((1, m, m))), 1.0, 0.8) for m in (1, 2, 4)]
    for coarse, fine in zip(got, got[1:]):
        for smaller, larger in ((coarse.lower, fine.lower), (fine.lower, fine.upper), (fine.upper, coarse.upper)):
            assert np.linalg.eigvalsh(larger - smaller)[0] > -1e-7
    flat = effective_conductivity(np.array([3.0, 2.0, 0.7])[:, None, None] * np.ones((3, 5, 4)))
    np.testing.assert_allclose(flat.value, [[3, 0.7], [0.7, 2]], rtol=1e-9)
    np.testing.assert_allclose(flat.lower, [[3, 0.7], [0.7, 2]], rtol=1e-9)
    turned = effective_conductivity(np.stack([k[1], k[0], -k[2]])[:, ::1, ::-1].transpose(0, 2, 1))   # by a quarter
    straight = effective_conductivity(k)
    np.testing.assert_allclose(turned.value, [[straight.value[1, 1], -straight.value[0, 1]], [-straight.value[0, 1], straight.value[0, 0]]], rtol=1e-7)


def test_a_liner_of_five_counts_as_five():
    """Copper, 5 nm of tantalum, oxide on pixels of 4 nm, at any place of the liner: along and across exactly as thick."""
    for at in (0.0, 1.3, 2.5, 3.9):
        left, right = 40 + at, 45 + at
        sides = 4.0 * np.arange(31)
        copper, liner = (np.diff(np.clip(sides, a, b)) / 4 for a, b in ((0, left), (left, right)))
        cut = np.where((copper > 0) & (copper < 1), 1, 0)
        first, second = np.where(copper > 0, 60.0, 8.0), np.where(cut, 8.0, 1.4)
        share = np.where(cut, 1 - copper, np.where(copper == 1, 0, 1 - liner))
        x = np.stack([np.ones((6, 30)), np.zeros((6, 30))])
        k = laminate(*(np.broadcast_to(a, (6, 30)).copy() for a in (first, second, share)), x)
        if ((copper > 0) & (liner > 0) & (copper + liner < 1)).any():
            continue
        exact = (left * 60 + 5 * 8 + (120 - right) * 1.4, left / 60 + 5 / 8 + (120 - right) / 1.4)
        assert conductance(k, 0, 4.0, 4.0).value == pytest.approx(exact[0] / 24, rel=1e-9)
        got = conductance(k, 1, 4.0, 4.0)
        assert got.value == pytest.approx(24 / exact[1], rel=1e-9) and got.lower == pytest.approx(got.value, rel=1e-9)


def middle(got):
    """Between the bounds the errors of the elements nearly cancel: what is left is the pixels'."""
    return np.sqrt(np.max(got.value) * np.max(got.lower))


@pytest.mark.parametrize("angle", [20, 45, 63])
def test_an_inclined_liner(angle):
    """A barrier of 5 nm on 4 nm pixels: composite pixels halve the error of whole ones at least, and their bounds enclose."""
    n, sub = 48, 8
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    fine = 4.0 * (np.arange(n * sub) + 0.5) / sub
    across = np.abs((fine - 2 * n) * c + (fine[:, None] - 2 * n) * s) < 2.5
    exact = middle(conductance(np.where(across, 1.0, 60.0), 1, 4 / sub, 4 / sub))
    share = across.reshape(n, sub, n, sub).mean(axis=(1, 3))
    normal = np.array([c, s])[:, None, None] * np.ones((2, n, n))
    ours = conductance(laminate(60.0, 1.0, share, normal), 1, 4.0, 4.0)
    whole = conductance(np.where(share > 0.5, 1.0, 60.0), 1, 4.0, 4.0)
    assert abs(middle(ours) / exact - 1) < 0.5 * abs(middle(whole) / exact - 1)
    assert abs(ours.value / exact - 1) < 0.5 * abs(whole.value / exact - 1) and 0.97 * ours.lower < exact < ours.upper


def test_discs_of_composite_pixels():
    errors, whole = [], []
    for n in (32, 64, 128):
        sub = 16
        x = (np.arange(n * sub) + 0.5) / (n * sub) - 0.5
        share = (x[:, None]**2 + x**2 < 0.3 / np.pi).reshape(n, sub, n, sub).mean(axis=(1, 3))
        off = (np.arange(n) + 0.5) / n - 0.5 + 1e-12
        for k, into in ((laminate(1.0, 10.0, share, np.stack(np.broadcast_arrays(off, off[:, None]))), errors), (np.where(share > 0.5, 10.0, 1.0), whole)):
            into.append(middle(effective_conductivity(k)) / DISC - 1)
    assert (np.abs(errors) < 0.6 * np.abs(whole)).all() and abs(errors[2]) < 7e-4, (errors, whole)
    assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(0.9, abs=0.1)       # first order, without the jumps of a staircase


def test_beside_an_insulator_the_mean_runs_both_ways(xp):
    share, normal = np.full((4, 4), 0.25), np.stack([np.ones((4, 4)), np.zeros((4, 4))])
    k = laminate(xp.asarray(2.0 * np.ones((4, 4))), 0.0, xp.asarray(share), xp.asarray(normal))
    np.testing.assert_allclose(to_host(k)[:, 0, 0], [1.5, 1.5, 0], atol=1e-15)
    assert conductance(k, 0).value == pytest.approx(1.5, rel=1e-9)


@pytest.mark.parametrize("contrast, most", [(300, 12), (1e4, 25)])
def test_iterations_with_composite_pixels(contrast, most):
    from scipy.ndimage import gaussian_filter
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((192, 192)), 8, mode="wrap")
    slope = np.stack(np.gradient(rough))[::-1]
    share = np.clip(0.5 + rough / np.hypot(*slope), 0, 1)
    got = conductance(laminate(1.0, contrast, share, slope), 1)
    assert got.iterations <= most and got.lower < got.value < 1.15 * got.lower


def test_bad_arguments():
    one, x = np.full((3, 3), 0.5), np.ones((2, 3, 3))
    for share, normal, words in ((2 * x[0], x, "from 0 to 1"), (one, x[:1], "normals"), (one, 0 * x, "row 0, column 0 has no direction")):
        with pytest.raises(ValueError, match=words):
            laminate(1.0, 2.0, share, normal)
    for bad in (np.ones((3, 2, 2)) * np.array([1.0, 1, 1.1])[:, None, None], np.full((3, 2, 2), np.nan), -np.ones((3, 2, 2)), np.ones((2, 2, 2))):
        with pytest.raises(ValueError, match="conductivity"):
            conductance(bad)
