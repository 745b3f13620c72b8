"""Stress against answers known in closed form or to eleven digits, with the order in which they are approached."""

import pathlib
import tracemalloc

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.elastic import divergence, elasticity, solve, strain
from cukernels.rigid import RigidMultigrid
from PIL import Image

import chipmap
from chipmap.stress import effective_stiffness, peak_bytes, plane_moduli, thermal_stress

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


def test_hill_holds_on_a_real_picture():
    """The identity needs no known geometry, only equal shear moduli; the error falls as pixels are split."""
    picture = np.asarray(Image.open(pathlib.Path(chipmap.__file__).parent / "data" / "etched_silicon.png").convert("L"), float)
    crop = picture[40:104, 40:104]
    bright, mu, k = (crop > np.median(crop)).astype(int), 1.0, np.array([1.5, 6.0])
    errors = []
    for refine in (1, 3):
        bulk = k[np.kron(bright, np.ones((refine, refine), int))]
        nu = (bulk - mu) / (2 * bulk)
        c = effective_stiffness(2 * mu * (1 + nu), nu).value
        errors.append((c[0, 0] + c[1, 1] + 2 * c[0, 1]) / 4 / (1 / np.mean(1 / (bulk + mu)) - mu) - 1)
        assert c[2, 2] == pytest.approx(mu, rel=0.03 / refine)
    assert 0 < errors[1] < errors[0] / 2 and errors[1] < 0.02, errors


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_thin_film_bends_a_wafer(plane):
    """Timoshenko's beam to 0.1 %, and Stoney's formula less its error of first order in the thickness ratio."""
    substrate, film, length = 40, 2, 400
    shape = substrate + film, length
    alpha = np.where(np.arange(shape[0])[:, None] < film, 5e-6, 1e-6) * np.ones(shape)
    got = thermal_stress(np.full(shape, 100e9), np.full(shape, 0.25), alpha, 100.0, plane=plane)
    y = got.displacement[1, 20, length // 4:3 * length // 4 + 1]
    curvature = abs(2 * np.polyfit(np.arange(len(y)), y, 2)[0])
    misfit, m, h = 4e-6 * 100 * (1.25 if plane == "strain" else 1), film / substrate, substrate + film
    timoshenko = 6 * misfit * (1 + m) ** 2 / (h * (3 * (1 + m) ** 2 + (1 + m) * (m**2 + 1 / m)))
    assert curvature == pytest.approx(timoshenko, rel=1e-3)
    stoney = 6 * misfit * film / substrate**2  # equal moduli: they cancel
    assert curvature == pytest.approx(stoney * (1 - 3 * m), rel=0.02)  # the first order of Timoshenko's beam in m


def test_eshelby_thermal_inclusion_is_uniform():
    """Same moduli: -E alpha dT / (2 (1 - nu)) inside, everywhere; a free box of area 1 / f relieves it by about f."""
    spread, radius = [], 1 / 16
    for size in (96, 192):
        one = np.ones((size, size))
        got = thermal_stress(100e9 * one, 0.3 * one, disc(size, 1e-5, 0, radius), 100.0)
        inside, known = disc(size, 1, 0, 0.7 * radius) > 0, -100e9 * 1e-5 * 100 / (2 * 0.7)
        for n in (0, 1):
            assert got.stress[n][inside].mean() / known == pytest.approx(1 - np.pi * radius**2, abs=4e-3)
        spread.append(got.stress[0][inside].std() / abs(known))
    assert spread[1] < 0.6 * spread[0] < 0.01  # the staircase edge is all that disturbs it


def test_hole_triples_the_stress():
    """Kirsch: (1 + a^2 / (2 y^2) + 3 a^4 / (2 y^4)) on the line across the pull, 3 at the edge."""
    errors = []
    for a in (6, 12, 24):
        size = 20 * a
        y, x = np.mgrid[:size, :size] + 0.5 - size / 2
        E = np.where(x**2 + y**2 < a**2, 0.0, 1.0)
        lam, mu = plane_moduli(E, np.full(E.shape, 0.3), "stress")
        operator = elasticity(lam, mu)
        pull = np.zeros((1, 3, size, size))
        pull[:, 0] = 1  # its forces cancel but at the two outer sides
        u, _ = solve(operator, divergence(operator, pull), tolerance=1e-9)
        e = strain(operator, u)[0]
        line = (lam * (e[0] + e[1]) + 2 * mu * e[0])[:, size // 2]
        beyond = np.arange(a, 2 * a) + 0.5
        got, r = line[size // 2 + a:size // 2 + 2 * a], (a / beyond) ** 2
        errors.append(abs(np.polyval(np.polyfit(r[1:], got[1:], 2), 1.0) / 3 - 1))
        np.testing.assert_allclose(got[2:], 1 + r[2:] / 2 + 1.5 * r[2:]**2, rtol=0.06)
    assert errors[2] < errors[0] / 2 and errors[2] < 0.03, errors


def test_stress_resultants_balance():
    """Held left and right: every column carries the same force, every row none; held left only: no column carries any."""
    pick = grains(24, 5)
    E, nu, alpha = (np.array(p)[pick] for p in ([1.0, 50.0], [0.3, 0.2], [5e-6, 1e-6]))
    both = thermal_stress(E, nu, alpha, 100.0, dx=1.5, dy=0.5, fixed=["left", "right"])
    one = thermal_stress(E, nu, alpha, 100.0, dx=1.5, dy=0.5, fixed="left")
    size = np.abs(both.stress[0]).sum(axis=0).mean()
    carried = both.stress[0].sum(axis=0)
    np.testing.assert_allclose(carried, carried.mean(), atol=1e-6 * size)  # an exact law of the discrete problem
    np.testing.assert_allclose(both.stress[2].sum(axis=0), both.stress[2].sum(axis=0).mean(), atol=1e-6 * size)
    np.testing.assert_allclose(one.stress[0].sum(axis=0), 0, atol=1e-6 * size)
    np.testing.assert_allclose(one.stress[2].sum(axis=0), 0, atol=1e-6 * size)


def test_principal_stresses_and_von_mises():
    pick = grains(16, 6)
    E, nu, alpha = (np.array(p)[pick] for p in ([1.0, 50.0], [0.3, 0.2], [5e-6, 1e-6]))
    field = np.linspace(0, 100, 16)[None, :] * np.ones((16, 1))  # K, a temperature a pixel
    got = thermal_stress(E, nu, alpha, field, fixed="bottom")
    xx, yy, xy, zz = got.stress
    tensor = np.moveaxis(np.array([[xx, xy, 0 * xx], [xy, yy, 0 * xx], [0 * xx, 0 * xx, zz]]), (0, 1), (2, 3))
    np.testing.assert_allclose(got.principal[::-1], np.moveaxis(np.linalg.eigvalsh(tensor[..., :2, :2]), -1, 0), atol=1e-12)
    deviator = tensor - np.trace(tensor, axis1=2, axis2=3)[..., None, None] * np.eye(3) / 3
    np.testing.assert_allclose(got.von_mises, np.sqrt(1.5 * (deviator**2).sum(axis=(2, 3))), rtol=1e-9)


def test_properties_of_voids_do_not_matter():
    E = np.ones((12, 12))
    E[4:8, 3:7] = 0
    nothing = np.where(E == 0, np.nan, 1.0)
    got = thermal_stress(E, 0.3 * nothing, 1e-5 * nothing, 50.0 * nothing, fixed="top")
    want = thermal_stress(E, np.full(E.shape, 0.3), np.full(E.shape, 1e-5), 50.0, fixed="top")
    np.testing.assert_array_equal(got.stress, want.stress)
    assert (got.stress[:, 4:8, 3:7] == 0).all()


def test_voids_carry_nothing_and_islands_are_free_of_stress():
    E = np.zeros((20, 20))
    E[2:8, 2:8] = E[12:18, 11:17] = 5.0
    got = thermal_stress(E, np.full(E.shape, 0.3), np.full(E.shape, 1e-5), 50.0, plane="stress")
    assert np.abs(got.stress).max() < 1e-5 * 5 * 50 * 1e-5
    assert np.isfinite(got.displacement).all()


@pytest.mark.parametrize("loads", [1, 3])
def test_memory_stays_below_what_is_stated(loads):
    E = np.kron(np.random.default_rng(0).choice([1.0, 9.0], (40, 40)), np.ones((8, 8)))
    nu = np.full(E.shape, 0.3)

    def solve_it(E, nu):
        effective_stiffness(E, nu) if loads == 3 else thermal_stress(E, nu, nu, 1.0, fixed="top")

    solve_it(E[:32, :32], nu[:32, :32])  # so that what is compiled and imported doesn't count
    tracemalloc.start()
    solve_it(E, nu)
    peak, stated = tracemalloc.get_traced_memory()[1], peak_bytes(E.shape, loads)
    tracemalloc.stop()
    assert 0.6 * stated < peak < stated


def test_three_loads_share_one_hierarchy(monkeypatch):
    made = []
    build = RigidMultigrid.__init__
    monkeypatch.setattr(RigidMultigrid, "__init__", lambda self, operator: (made.append(operator), build(self, operator))[1])
    effective_stiffness(1.0 + grains(16), np.full((16, 16), 0.3), alpha=np.ones((16, 16)))
    assert len(made) == 1


def test_bad_arguments():
    one = np.ones((4, 4))
    other = np.where(np.arange(16).reshape(4, 4) == 6, np.nan, one)
    with pytest.raises(ValueError, match="Poisson's ratio is outside -1 .. 0.5 at row 0, column 0"):
        effective_stiffness(one, 0.5 * one)
    with pytest.raises(ValueError, match="Poisson's ratio is outside .* at row 1, column 2 .nan"):
        effective_stiffness(one, 0.3 * other)
    with pytest.raises(ValueError, match="Young's modulus is negative"):
        effective_stiffness(-one, 0.3 * one)
    with pytest.raises(ValueError, match="not a number at row 1, column 2"):
        thermal_stress(other, 0.3 * one, one, 1.0)
    with pytest.raises(ValueError, match="temperature change is not a number"):
        thermal_stress(one, 0.3 * one, one, other)
    with pytest.raises(ValueError, match="plane 'flat' is unknown"):
        effective_stiffness(one, 0.3 * one, plane="flat")
    with pytest.raises(ValueError, match="'front' is unknown"):
        thermal_stress(one, 0.3 * one, one, 1.0, fixed=["front"])
    with pytest.raises(ValueError, match="not a number"):
        thermal_stress(one, 0.3 * one, np.nan * one, 1.0)


def test_forces_that_only_rounding_makes():
    """A board of two by two pixels: the unit strains leave no force at any node but rounding; in any unit, as integers, as lists."""
    E, nu = np.array([[1, 10], [10, 1]]), np.full((2, 2), 0.3)
    want = effective_stiffness(E * 1.0, nu).value
    assert 1 < want[0, 0] < 13.5 and want[0, 0] == pytest.approx(want[1, 1], rel=1e-9)
    for same in (effective_stiffness(E, nu), effective_stiffness(E.tolist(), nu.tolist()), effective_stiffness(E.astype(np.float32), 0.3)):
        np.testing.assert_allclose(same.value, want, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(effective_stiffness(E * 1e9, nu, 1e-9, 1e-9).value, 1e9 * want, rtol=1e-8, atol=1)
    got = effective_stiffness(E, nu, alpha=np.full((2, 2), 1e-5))
    np.testing.assert_allclose(got.expansion[:2], 1.3e-5, rtol=1e-9)              # one material's: (1 + nu) alpha
    row = effective_stiffness(np.array([[1.0, 10.0]]), 0.3).value
    np.testing.assert_allclose(row, effective_stiffness(np.array([[1.0, 10.0]] * 3), 0.3).value, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_uniform_stress_periodic_and_uniform_strain_in_this_order(plane):
    E, nu = np.where(grains(24), 20.0, 1.0), np.where(grains(24), 0.4, 0.2)
    found = [effective_stiffness(E, nu, 0.8, 1.0, plane, boundary=name) for name in ("traction", "periodic", "displacement")]
    for softer, stiffer in zip(found, found[1:]):
        assert np.linalg.eigvalsh(stiffer.value - softer.value)[0] > 0
    for one in (found[0], found[2]):
        e, s = one.fields()
        np.testing.assert_allclose(e.mean(axis=(2, 3)), np.eye(3), atol=1e-6)
        np.testing.assert_allclose(s.mean(axis=(2, 3)), one.value, atol=1e-6 * one.value.max())
    even = np.full((5, 6), 3.0)
    for name in ("traction", "displacement"):
        np.testing.assert_allclose(effective_stiffness(even, 0.3, boundary=name).value, effective_stiffness(even, 0.3).value, atol=1e-7)
    even[0, 2] = 0
    with pytest.raises(ValueError, match="voids"):
        effective_stiffness(even, 0.3, boundary="traction")
    with pytest.raises(ValueError, match="unknown"):
        effective_stiffness(even, 0.3, boundary="kubc")
    with pytest.raises(ValueError, match="periodic boundary"):
        effective_stiffness(even, 0.3, alpha=even, boundary="displacement")
