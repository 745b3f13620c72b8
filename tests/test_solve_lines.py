"""Known answers of lines, strips, wires and arrays: closed forms, between the bounds or approached at their order."""

import pathlib

import numpy as np
import pytest
from scipy.special import ellipk

import chipmap
from chipmap.read import read_picture
from chipmap.solve import capacitance, conductance, effective_conductivity, resistance

PICTURES = pathlib.Path(chipmap.__file__).parent / "data"


def hashin_shtrikman(k1, k2, f2, d=2):
    """(lower, upper) of an isotropic mixture, k1 < k2."""
    f1 = 1 - f2
    return k1 + f2 / (1 / (k2 - k1) + f1 / (d * k1)), k2 + f1 / (1 / (k1 - k2) + f2 / (d * k2))


def disc(n, f, k):
    x = (np.arange(n) + 0.5) / n - 0.5
    return np.where(x[:, None]**2 + x**2 < f / np.pi, float(k), 1.0)


@pytest.mark.parametrize("k1, k2, f", [(1.0, 10.0, 0.3), (1.0, 100.0, 0.5), (1.0, 1e4, 0.2)])
def test_hashin_and_shtrikman_hold_for_a_symmetric_array(k1, k2, f):
    got = effective_conductivity(k1 * disc(96, f, k2 / k1))
    share = (disc(96, f, 2.0) == 2).mean()
    low, high = hashin_shtrikman(k1, k2, share)
    assert low < got.upper[0, 0] and got.lower[0, 0] < high
    if (k1, k2, f) == (1.0, 10.0, 0.3):
        assert hashin_shtrikman(1, 10, 0.3) == pytest.approx((1.650602, 2.716763), abs=1e-6)


@pytest.mark.parametrize("f, exact", [(0.1, 1.22222977), (0.3, 1.86018831), (0.5, 3.08019783)])
def test_perfectly_conducting_discs(f, exact):
    """Keller: the inverse of the array of holes; the bounds of the holes bound it."""
    errors = []
    for n in (64, 256):
        x = (np.arange(n) + 0.5) / n - 0.5
        got = effective_conductivity(np.where(x[:, None]**2 + x**2 < f / np.pi, 0.0, 1.0))
        errors.append(1 / np.sqrt(got.lower[0, 0] * got.upper[0, 0]) / exact - 1)
    assert abs(errors[0]) < 2e-2 and abs(errors[1]) < 5e-3, errors                # a staircase wanders


@pytest.mark.parametrize("name, box", [("etched_silicon.png", np.s_[100:356, 100:356]), ("nanoporous_gold_zeiss.tif", np.s_[:200, :256]),
                                       ("delayered_metal_0.png", np.s_[:160, :160])])
def test_keller_on_real_pictures(name, box):
    """k*x(k1, k2) k*y(k2, k1) = k1 k2 on any geometry: exact between a value and the dual of the other."""
    grey = read_picture(PICTURES / name, (1e-9, 1e-9)).image[box]
    bright = grey > np.median(grey)
    one, other = (effective_conductivity(np.where(bright, a, b)) for a, b in ((50.0, 1.0), (1.0, 50.0)))
    (low, high), (other_low, other_high) = ([np.linalg.eigvalsh(m) for m in (got.lower, got.upper)] for got in (one, other))
    assert (low * other_low[::-1] < 50).all() and (50 < high * other_high[::-1]).all()  # in the principal axes
    np.testing.assert_allclose(one.lower, 50 * other.value / np.linalg.det(other.value), rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(low * high) * np.sqrt(other_low * other_high)[::-1], 50, rtol=1e-2)


def test_a_wire_over_a_plane():
    """2 pi / acosh(h / a), h / a = 2: a disc over the lower side of a box, the box far away."""
    a, size = 16, 512
    conductors = np.zeros((size, size), int)
    y, x = np.mgrid[:size, :size] + 0.5
    conductors[(x - size / 2)**2 + (size - 2 * a - y)**2 < a * a] = 1
    got = capacitance(np.ones((size + 1, size)), np.vstack([conductors, np.full((1, size), 2)]))
    assert np.sqrt(got.lower[0, 0] * got.upper[0, 0]) == pytest.approx(4.770984192, rel=0.015)   # staircase and box, 1 % each


def test_coplanar_strips():
    """Half planes of air: two strips, gap 2 a, outer edges 2 b, in the open: K(k') / K(k), k = a / b = 0.5."""
    k = 0.5
    exact, errors = ellipk(1 - k**2) / ellipk(k**2), []
    assert exact == pytest.approx(1.279261571, rel=1e-9)
    for unit in (6, 12):
        conductors = np.zeros((3, 6 * unit), int)
        conductors[1, unit:2 * unit], conductors[1, 4 * unit:5 * unit] = 1, 2
        got = capacitance(np.ones(conductors.shape), conductors, margin=24 * unit)
        assert got.truncation[0, 1] < 0.02 * exact
        errors.append(np.sqrt(got.lower[0, 0] * got.upper[0, 0]) / exact - 1)
    # strips of one pixel are 1 / 6 and 1 / 12 of their width thick: first order in it
    assert errors[1] < 0.6 * errors[0] and 0 < errors[1] < 0.12, errors


def test_stripline():
    """4 K(k) / K(k'), k = tanh(pi w / 2 b), w = b: a thin strip midway between two plates; first order in its thickness."""
    k = np.tanh(np.pi / 2)
    exact, errors = 4 * ellipk(k**2) / ellipk(1 - k**2), []
    assert exact == pytest.approx(5.764489924, rel=1e-9)
    for n in (16, 32, 64):
        conductors = np.zeros((n + 1, 5 * n), int)  # a strip of one pixel, n / 2 to each plate
        conductors[n // 2, 2 * n:3 * n] = 1
        conductors = np.pad(conductors, ((1, 1), (0, 0)), constant_values=2)
        got = capacitance(np.ones(conductors.shape), conductors)
        errors.append(np.sqrt(got.lower[0, 0] * got.upper[0, 0]) / exact - 1)
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1, atol=0.35)
    assert 0 < errors[-1] < 0.03, errors


def test_van_der_pauw():
    """rho_s = pi / ln 2 R for small contacts in the corners of a square: current through one side, voltage at the other."""
    errors = []
    for n in (32, 64, 128):
        k, terminals = np.ones((n, n)), np.zeros((n, n), int)
        for t, (i, j) in enumerate(((0, 0), (0, -1), (-1, -1), (-1, 0))):
            terminals[i, j] = t + 1
        g = resistance(k, terminals).network.upper
        inverse = np.linalg.pinv(g)
        current, voltage = np.array([1.0, -1, 0, 0]), np.array([0, 0, -1.0, 1])
        errors.append(np.pi / np.log(2) * (voltage @ inverse @ current) - 1)
    assert abs(errors[2]) < 2e-3 and abs(errors[2]) < abs(errors[0]), errors


def test_resistance_along_a_line_is_the_sum_of_its_parts():
    """1 / R' = sum A / rho, liner included, exact: seen from above, line and liner side by side."""
    k = np.zeros((20, 50))
    k[4:16], k[[4, 5, 14, 15]] = 5.0e7, 4e6
    got = conductance(k, 1, 2e-9, 3e-9)
    assert got.value == pytest.approx((8 * 5.0e7 + 4 * 4e6) * 3e-9 / (50 * 2e-9), rel=1e-9)
    assert got.lower == pytest.approx(got.value, rel=1e-9)


def test_parallel_plates_with_insulated_walls_and_a_slab():
    conductors = np.zeros((26, 9), int)
    conductors[0], conductors[-1] = 1, 2
    epsilon = np.ones((26, 9))
    epsilon[7:13] = 3.9
    got = capacitance(epsilon, conductors, 0.7, 0.5)
    assert got.value[0, 0] == pytest.approx(9 * 0.7 / (0.5 * (18 + 6 / 3.9)), rel=1e-9)


@pytest.mark.parametrize("stretch", [0.5, 3.0])
def test_stretched_pixels_give_the_stretched_answer(stretch):
    """The same discs drawn on pixels of another shape: bounds enclose, the mean is near."""
    n = 128
    rows = int(n / stretch)
    y, x = np.mgrid[:rows, :n]
    y, x = (y + 0.5) / rows - 0.5, (x + 0.5) / n - 0.5
    got = effective_conductivity(np.where(x**2 + y**2 < 0.3 / np.pi, 10.0, 1.0), dx=1 / n, dy=1 / rows)
    for i in (0, 1):
        assert np.sqrt(got.lower[i, i] * got.upper[i, i]) == pytest.approx(1.65203601, rel=0.01)


def test_other_kinds_of_input():
    """Integers, single precision and lists are the same picture."""
    k = [[1, 10, 1], [10, 1, 1], [1, 1, 10]]
    want = effective_conductivity(np.array(k, float))
    for same in (k, np.array(k), np.array(k, np.float32), np.array(k, np.uint8)):
        np.testing.assert_allclose(effective_conductivity(same).value, want.value, rtol=1e-9)
        np.testing.assert_allclose(effective_conductivity(same).lower, want.lower, rtol=1e-6)
        assert conductance(same).value == pytest.approx(conductance(np.array(k, float)).value, rel=1e-9)
    terminals = [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert resistance(k, terminals).value[0, 1] == pytest.approx(resistance(np.array(k, float), np.array(terminals)).value[0, 1], rel=1e-9)
    assert capacitance(k, terminals).value.shape == (2, 2)
