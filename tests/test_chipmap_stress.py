"""Stress against answers known in closed form or to eleven digits, with the order in which they are approached."""

import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap.stress import effective_stiffness, thermal_stress

# Square array of fibres, f = 0.3, plane strain: p = 11 curved elements (fibre E, nu; matrix E, nu; C11, C12, C66).
FIBRES = [
    (10, 0.3, 1, 0.3, 2.0750060, 0.7932506, 0.5570332),
    (100, 0.3, 1, 0.3, 2.2433185, 0.8126437, 0.5878110),
    (120, 0.34, 70, 0.17, 94.0630784, 26.7840711, 33.3743388),
]


def disc(size, inside, outside, radius):
    """Pixel picture of a disc in the middle of the unit square."""
    x = (np.arange(size) + 0.5) / size - 0.5
    return np.where(x[:, None] ** 2 + x[None, :] ** 2 < radius**2, inside, outside).astype(float)


def grains(size=40, seed=0):
    return np.kron(np.random.default_rng(seed).integers(0, 2, (size // 4, size // 4)), np.ones((4, 4), int))


@pytest.mark.parametrize("Ef, nf, Em, nm, c11, c12, c66", FIBRES)
def test_fibre_array_converges_to_its_known_stiffness(Ef, nf, Em, nm, c11, c12, c66):
    errors = []
    for size in (64, 256):
        radius = np.sqrt(0.3 / np.pi)
        c = effective_stiffness(disc(size, Ef, Em, radius), disc(size, nf, nm, radius)).value
        np.testing.assert_allclose(c[0, 0], c[1, 1], rtol=1e-7)  # the picture's symmetry, to the solver's tolerance
        errors.append(np.abs([c[0, 0] / c11 - 1, c[0, 1] / c12 - 1, c[2, 2] / c66 - 1]).max())
    # first order: staircase edges, whose error wanders with the size where the materials hardly differ
    assert errors[0] < 2e-2 and errors[1] < max(errors[0] / 2.5, 1e-3), errors
    assert errors[1] < 5e-3, errors


def test_hill_equal_shear_modulus(xp):
    """Any geometry: 1 / (k + mu) averages, the shear modulus comes back; Q1 approaches it from above."""
    mu, k = 1.0, np.array([1.5, 12.0])
    gaps = []
    for refine in (1, 2):
        bulk = k[np.kron(grains(24), np.ones((refine, refine), int))]
        lam = bulk - mu
        nu = lam / (2 * (lam + mu))
        c = effective_stiffness(xp.asarray(2 * mu * (1 + nu)), xp.asarray(nu)).value
        exact = 1 / np.mean(1 / (bulk + mu)) - mu
        gaps.append((c[0, 0] + c[0, 1]) / 2 / exact - 1)
        assert c[2, 2] == pytest.approx(mu, rel=0.02)
    assert 0 < gaps[1] < gaps[0] < 0.06


def test_laminate_is_exact(xp):
    """Layers across x: strain along y and stress along x are uniform, so one row of pixels a layer has no error."""
    E, nu = np.tile([[10.0, 10.0, 1.0, 1.0]], (4, 1)), np.tile([[0.2, 0.2, 0.35, 0.35]], (4, 1))
    c = effective_stiffness(xp.asarray(E), xp.asarray(nu), dx=0.5).value
    lam, mu = (E * nu / ((1 + nu) * (1 - 2 * nu)))[0], (E / (2 * (1 + nu)))[0]
    m = lam + 2 * mu
    c11 = 1 / np.mean(1 / m)
    np.testing.assert_allclose(c[0, 0], c11, rtol=1e-8)
    np.testing.assert_allclose(c[0, 1], c11 * np.mean(lam / m), rtol=1e-8)
    np.testing.assert_allclose(c[1, 1], np.mean(m - lam**2 / m) + c11 * np.mean(lam / m) ** 2, rtol=1e-8)
    np.testing.assert_allclose(c[2, 2], 1 / np.mean(1 / mu), rtol=1e-8)


def test_levin_expansion_follows_from_the_stiffness():
    """Two phases, any discretisation: strain and expansion of the composite are those of the same two-phase average."""
    pick = grains(32, 3)
    E, nu, alpha = (np.array(p)[pick] for p in ([1.0, 20.0], [0.3, 0.2], [5e-6, 1e-6]))
    got = effective_stiffness(E, nu, plane="stress", alpha=alpha)

    def isotropic(e, n):
        return e / (1 - n**2) * np.array([[1, n, 0], [n, 1, 0], [0, 0, (1 - n) / 2]])

    s1, s2 = np.linalg.inv(isotropic(1.0, 0.3)), np.linalg.inv(isotropic(20.0, 0.2))
    f2 = pick.mean()
    a1, a2 = 5e-6 * np.array([1, 1, 0]), 1e-6 * np.array([1, 1, 0])
    mean = (1 - f2) * a1 + f2 * a2
    levin = mean + (np.linalg.inv(got.value) - (1 - f2) * s1 - f2 * s2) @ np.linalg.solve(s1 - s2, a1 - a2)
    np.testing.assert_allclose(got.expansion, levin, atol=1e-6 * 5e-6)  # an identity of the discrete problem too


def test_one_material_expands_freely(xp):
    E, nu, alpha = (xp.asarray(np.full((12, 9), v)) for v in (130e9, 0.28, 2.3e-6))
    got = thermal_stress(E, nu, alpha, 100.0, dx=2.0, plane="stress", fixed=["left x", "bottom y"])
    assert np.abs(to_host(got.stress)).max() < 1e-6 * 130e9 * 2.3e-6 * 100
    np.testing.assert_allclose(to_host(got.displacement)[0, :, -1], 9 * 2.0 * 2.3e-4, rtol=1e-6)


def test_held_all_round_is_a_pressure():
    shape = 8, 8
    got = thermal_stress(np.full(shape, 70e9), np.full(shape, 0.17), np.full(shape, 0.5e-6), -200.0,
                         fixed=["left", "right", "top", "bottom"])
    np.testing.assert_allclose(got.stress[:2], 70e9 * 0.5e-6 * 200 / (1 - 2 * 0.17), rtol=1e-9)
    np.testing.assert_allclose(got.stress[2], 0, atol=1)


def test_copper_via_in_silicon_has_lame_pressure():
    """-369.7 MPa in an infinite matrix; a disc of 1/12 of the held square's width is nearly so."""
    size, radius = 240, 1 / 24
    E, nu, alpha = (disc(size, a, b, radius) for a, b in ((110e9, 130e9), (0.35, 0.28), (17e-6, 2.3e-6)))
    got = thermal_stress(E, nu, alpha, -250.0, plane="strain")
    inside = disc(size, 1, 0, 0.7 * radius) > 0
    p = ((1.35 * 17e-6 - 1.28 * 2.3e-6) * -250) / (1.28 / 130e9 + 1.35 * 0.3 / 110e9)
    assert p == pytest.approx(-369.7e6, rel=1e-3)
    assert got.stress[0][inside].mean() == pytest.approx(-p, rel=0.04)
    assert got.stress[1][inside].std() < 0.08 * abs(p)  # Eshelby: uniform inside


def test_bimetal_bends_as_timoshenko_says():
    E, nu = np.full((16, 240), 100e9), np.full((16, 240), 0.3)
    alpha = np.where(np.arange(16)[:, None] < 8, 10e-6, 2e-6) * np.ones((1, 240))
    got = thermal_stress(E, nu, alpha, 100.0, plane="stress")
    y = got.displacement[1, 8, 60:181]
    curvature = np.polyfit(np.arange(-60, 61), y, 2)[0] * 2
    assert abs(curvature) == pytest.approx(1.5 * 8e-6 * 100 / 16, rel=0.02)


def test_voids_carry_nothing_and_islands_are_free_of_stress():
    E = np.zeros((20, 20))
    E[2:8, 2:8] = E[12:18, 11:17] = 5.0
    got = thermal_stress(E, np.full(E.shape, 0.3), np.full(E.shape, 1e-5), 50.0, plane="stress")
    assert np.abs(got.stress).max() < 1e-5 * 5 * 50 * 1e-5
    assert np.isfinite(got.displacement).all()


def test_bad_arguments():
    one = np.ones((4, 4))
    with pytest.raises(ValueError, match="Poisson's ratio is outside"):
        effective_stiffness(one, 0.5 * one)
    with pytest.raises(ValueError, match="Young's modulus is negative"):
        effective_stiffness(-one, 0.3 * one)
    with pytest.raises(ValueError, match="plane 'flat' is unknown"):
        effective_stiffness(one, 0.3 * one, plane="flat")
    with pytest.raises(ValueError, match="'front' is unknown"):
        thermal_stress(one, 0.3 * one, one, 1.0, fixed=["front"])
    with pytest.raises(ValueError, match="not a number"):
        thermal_stress(one, 0.3 * one, np.nan * one, 1.0)
