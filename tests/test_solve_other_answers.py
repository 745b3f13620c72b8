"""More closed forms of the kinds the others are tested by, at other ratios, contrasts, pixel shapes, orientations and units."""

import numpy as np
import pytest
from cukernels.backend import NotConverged

from chipmap.solve import (
    capacitance,
    conductance,
    effective_conductivity,
    effective_stiffness,
    resistance,
    thermal_stress,
)

EPSILON_0 = 8.8541878128e-12


def corner(r):
    """Squares of a right-angle bend between arms whose widths have the ratio r, arms measured to its inner corner; from the
    Schwarz-Christoffel map of the bend; 1 - 2 ln 2 / pi for r = 1 (P. M. Hall, Thin Solid Films 1 (1968) 277)."""
    return 1 / r - 2 / np.pi * np.log(4 * r / (1 + r * r)) + (r * r - 1) / (np.pi * r) * np.arccos((r * r - 1) / (r * r + 1))


def bend(widths, lengths, sub=(1, 1)):
    """A bend of arms down and to the right, (width, length) in pixels, each pixel split into sub = (along y, along x)."""
    (wide, low), (down, right), (sy, sx) = widths, lengths, sub
    k, terminals = np.zeros(((down + low) * sy + 1, (wide + right) * sx + 1)), None
    terminals = np.zeros(k.shape, int)
    k[1:, :wide * sx] = k[-low * sy:, :-1] = 1.0
    terminals[0, :wide * sx], terminals[-low * sy:, -1] = 1, 2
    return k, terminals


@pytest.mark.parametrize("widths, arms, sub", [((1, 1), (4, 4), (1, 1)), ((2, 1), (3, 4), (1, 1)), ((1, 3), (4, 3), (1, 1)), ((3, 2), (3, 3), (1, 1)),
                                               ((1, 1), (3, 3), (1, 3)), ((1, 1), (3, 3), (2, 1))])
def test_bends_of_other_widths(widths, arms, sub):
    """Turned and mirrored any way, of any conductivity and pixel size: inside the bounds, whose gap falls as h^(4/3)."""
    exact, gaps = sum(arms) + corner(widths[0] / widths[1]), []
    for turn, (n, sigma, size) in enumerate(((2, 5.8e7, 4e-9), (4, 1.0, 1.0), (8, 1e-20, 1e-6))):
        k, terminals = bend([n * w for w in widths], [n * w * a for w, a in zip(widths, arms)], sub)
        shape = [size / s for s in sub]
        k, terminals = (np.rot90(a[:, ::-1] if turn else a, turn) for a in (k, terminals))
        dy, dx = shape if turn % 2 == 0 else shape[::-1]
        got = resistance(sigma * k, terminals, dx, dy)
        assert got.lower[0, 1] * sigma < exact < got.upper[0, 1] * sigma
        gaps.append(got.upper[0, 1] / got.lower[0, 1] - 1)
    np.testing.assert_allclose(np.log2(np.array(gaps[:-1]) / gaps[1:]), 4 / 3, atol=0.01)


@pytest.mark.parametrize("inner, gaps", [((6, 6), (1, 1, 1, 1)), ((5, 4), (2, 1, 1, 1)), ((6, 8), (1, 2, 2, 1)), ((6, 6), (1, 1, 2, 2))])
def test_rectangles_in_rectangles(inner, gaps):
    """Four plates and four bends in parallel (a bend's conjugate is the corner between plates); inner is at least four gaps wide,
    so that corners do not feel one another to 1e-5."""
    (high, wide), (left, right, top, bottom) = inner, gaps
    exact = high / left + high / right + wide / top + wide / bottom + sum(corner(a / b) for a, b in ((left, top), (top, right), (right, bottom), (bottom, left)))
    widths = []
    for n in (4, 8, 16):
        conductors = np.zeros(((high + top + bottom) * n, (wide + left + right) * n), int)
        conductors[top * n:(top + high) * n, left * n:(left + wide) * n] = 2
        conductors = np.pad(conductors, 1, constant_values=1)
        got = capacitance(np.full(conductors.shape, 3.9 * EPSILON_0), conductors, 4e-9, 4e-9)
        low, high_end = got.lower[1, 1] / (3.9 * EPSILON_0), got.upper[1, 1] / (3.9 * EPSILON_0)
        assert low < exact < high_end
        np.testing.assert_array_equal(got.value, got.value.T)
        assert np.abs(got.value.sum(axis=1)).max() < 1e-12 * got.value.max()
        widths.append(high_end / low - 1)
    np.testing.assert_allclose(np.log2(np.array(widths[:-1]) / widths[1:]), 4 / 3, atol=0.01)


@pytest.mark.parametrize("k", [(1, 2, 3, 4), (10, 1, 1, 1), (1, 20, 5, 1), (1, 3, 1, 7), (1, 5, 1, 5)])
def test_checkerboards_of_four_materials(k):
    """Squares k1 k2 over k4 k3, repeated (R. V. Craster, Yu. V. Obnosov, SIAM J. Appl. Math. 61 (2001) 1839); two and three
    materials are cases of it. Inside the bounds, which close."""
    k1, k2, k3, k4 = k
    mean = (k1 * k2 * k3 + k1 * k2 * k4 + k1 * k3 * k4 + k2 * k3 * k4) / sum(k)
    skew = (k1 + k4) * (k2 + k3) / ((k1 + k2) * (k3 + k4))
    exact, gaps = np.sqrt([mean * skew, mean / skew]), []
    for n in (16, 64):
        got = effective_conductivity(np.kron([[k1, k2], [k4, k3]], np.ones((n, n))) * 1e-9)
        low, high = np.diag(got.lower) * 1e9, np.diag(got.upper) * 1e9
        assert (low < exact).all() and (exact < high).all()
        gaps.append((high / low).max() - 1)
    assert gaps[1] < gaps[0] / 1.8


@pytest.mark.parametrize("turned", [False, True])
def test_bounds_of_pictures_one_pixel_wide(turned):
    """A row and a column, alone and from side to side: a chain of resistors."""
    k = np.random.default_rng(2).uniform(1, 5, 9)
    column = k[:, None] if not turned else k[None]
    dx, dy = (2e-9, 5e-9) if not turned else (5e-9, 2e-9)
    along, across = (0, 1) if not turned else (1, 0)
    for axis, exact in ((along, 2 / 5 / (1 / k).sum()), (across, 5 / 2 * k.sum())):
        got = conductance(column, axis, dx, dy)
        np.testing.assert_allclose([got.lower, got.value], exact, rtol=1e-9)
    terminals = np.zeros(column.shape, int)
    terminals.flat[[0, -1]] = 1, 2
    got = resistance(column, terminals, dx, dy)
    np.testing.assert_allclose([got.lower[0, 1], got.upper[0, 1]], 5 / 2 * (1 / k[1:-1]).sum(), rtol=1e-9)


@pytest.mark.parametrize("n", [8, 64])
@pytest.mark.parametrize("contrast", [1e8, 1e10, 1e12, 1e14])
def test_contrasts_beyond_single_precision_are_right_or_refused(n, contrast):
    k = np.where(np.arange(n) < n // 2, 1.0, contrast) * np.ones((n, 1))
    exact = np.diag([2 / (1 + 1 / contrast), (1 + contrast) / 2])
    try:
        got = effective_conductivity(k)
    except NotConverged:
        assert contrast > 1e10
        return
    np.testing.assert_allclose(np.diag(got.value), np.diag(exact), rtol=1e-5)
    np.testing.assert_allclose(np.diag(got.lower), np.diag(exact), rtol=1e-5)


# elasticity

@pytest.mark.parametrize("plane, mu, bulk", [("strain", 26e9, (30e9, 300e9)), ("strain", 1e-3, (1.2e-3, 0.1)), ("stress", 3.0, (3.3, 4.0)), ("stress", 1.0, (1.05, 1.9))])
def test_hill_in_both_planes_approached_at_the_order_of_its_corners(plane, mu, bulk):
    """Equal shear modulus: 1 / (k + mu) averages and mu comes back, for the plane moduli k of either plane."""
    pick, errors = np.random.default_rng(5).integers(0, 2, (6, 6)), []
    for m in (5, 10, 20):
        k = np.array(bulk)[np.kron(pick, np.ones((m, m), int))]
        nu = (k - mu) / (2 * k if plane == "strain" else k + mu)
        got = effective_stiffness(2 * mu * (1 + nu), nu, 2e-9, 2e-9, plane=plane).value
        exact = 1 / np.mean(1 / (k + mu)) - mu
        errors.append((got[0, 0] + got[1, 1] + 2 * got[0, 1]) / 4 / exact - 1)
        assert got[2, 2] == pytest.approx(mu, rel=1e-6)
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (1.5 < orders).all() and (orders < 2.0).all() and errors[-1] < 0.01, (errors, orders)


@pytest.mark.parametrize("plane", ["strain", "stress"])
@pytest.mark.parametrize("inner, outer, change, ratio", [((110e9, 0.35, 17e-6), (130e9, 0.28, 2.3e-6), -250.0, 3), ((20e9, 0.3, 10e-6), (170e9, 0.25, 3e-6), 80.0, 1.5),
                                                         ((400e9, 0.28, 4.5e-6), (70e9, 0.17, 0.5e-6), 150.0, 2)])
def test_lame_cylinders_of_other_ratios(plane, inner, outer, change, ratio):
    """A core in a ring that is free outside: the pressure between them, uniform in the core, and the ring's two stresses."""
    (Ei, ni, ai), (Em, nm, am) = inner, outer
    n = 160
    b = n / 2 - 1.3
    a, q = b / ratio, ratio**-2.0
    y, x = np.mgrid[:n, :n] + 0.5 - n / 2
    r = np.hypot(x, y)
    E, nu, alpha = (np.where(r < a, one, other) for one, other in zip(inner, outer))
    got = thermal_stress(np.where(r < b, E, 0.0), nu, alpha, change, 1e-9, 1e-9, plane=plane)
    if plane == "strain":
        Ei, ni, ai, Em, nm, am = Ei / (1 - ni**2), ni / (1 - ni), (1 + ni) * ai, Em / (1 - nm**2), nm / (1 - nm), (1 + nm) * am
    p = (ai - am) * change / ((1 - ni) / Ei + ((1 + nm) + (1 - nm) * q) / (Em * (1 - q)))
    core, ring = r < 0.6 * a, (r > a + 0.3 * (b - a)) & (r < a + 0.7 * (b - a))
    c, s = x[ring] / r[ring], y[ring] / r[ring]
    xx, yy, xy = (part[ring] for part in got.stress[:3])
    radial, hoop = p * q / (1 - q) * (1 - (b / r[ring]) ** 2), p * q / (1 - q) * (1 + (b / r[ring]) ** 2)
    assert -got.stress[0][core].mean() == pytest.approx(p, rel=0.01) and got.stress[0][core].std() < 0.005 * abs(p)
    np.testing.assert_allclose((xx * c * c + yy * s * s + 2 * xy * s * c).mean(), radial.mean(), atol=0.01 * abs(p))
    np.testing.assert_allclose((xx * s * s + yy * c * c - 2 * xy * s * c).mean(), hoop.mean(), atol=0.01 * abs(p))


@pytest.mark.parametrize("plane", ["strain", "stress"])
@pytest.mark.parametrize("t1, t2, E1, E2", [(4, 12, 200e9, 70e9), (3, 9, 400e9, 20e9)])
def test_bimetals_of_other_ratios(plane, t1, t2, E1, E2):
    """Timoshenko; the error is of second order in the pixels across the strips."""
    errors = []
    for f in (1, 2):
        shape, nu = ((t1 + t2) * f, 160 * f), 0.25
        top = (np.arange(shape[0])[:, None] < t1 * f) & np.ones(shape, bool)
        got = thermal_stress(np.where(top, E1, E2), np.full(shape, nu), np.where(top, 12e-6, 3e-6), 100.0, 4e-9, 4e-9, plane=plane)
        y = got.displacement[1, t1 * f, shape[1] // 4:3 * shape[1] // 4 + 1] / 4e-9
        m, n, misfit = t1 / t2, E1 / E2, 9e-6 * 100 * (1 + nu if plane == "strain" else 1)
        exact = 6 * misfit * (1 + m) ** 2 / (shape[0] * (3 * (1 + m) ** 2 + (1 + m * n) * (m * m + 1 / (m * n))))
        errors.append(abs(2 * np.polyfit(np.arange(len(y)), y, 2)[0]) / exact - 1)
    assert abs(errors[1]) < 2e-3 and np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1), errors


@pytest.mark.parametrize("shape", [(1, 6), (4, 1), (7, 5)])
@pytest.mark.parametrize("sides, along_x, along_y", [(("left", "right", "top", "bottom"), True, True), (("left x", "right x", "top y", "bottom y"), True, True),
                                                     (("left x", "right x"), True, False), (("top y", "bottom y"), False, True), (("left x", "bottom y"), False, False)])
def test_a_block_held_in_some_directions(shape, sides, along_x, along_y):
    """Each held direction, the thickness of plane strain among them, has -E a dT over 1, 1 - nu or 1 - 2 nu."""
    E, nu, alpha, change = 130e9, 0.28, 2.6e-6, 125.0
    for plane in ("strain", "stress"):
        got = thermal_stress(np.full(shape, E), np.full(shape, nu), np.full(shape, alpha), change, 4e-9, 3e-9, plane=plane, fixed=sides)
        held = np.array([along_x, along_y, plane == "strain"])
        size = -E * alpha * change / (1, 1, 1 - nu, 1 - 2 * nu)[held.sum()]
        for n, on in ((0, held[0]), (1, held[1]), (2, False), (3, held[2])):
            np.testing.assert_allclose(got.stress[n], size if on else 0, atol=1e-6 * abs(size) if held.any() else 1)
