"""Published and closed-form answers, and how fast finer pixels come near them."""

import numpy as np
import pytest

from chipmap.solve import Conductor, capacitance, effective_conductivity

# Rayleigh's square array of discs in a matrix of 1, by multipole series and p-version elements to 8 digits
DISCS = {0.1: {0.01: 0.82145600, 10: 1.17822180, 50: 1.21258798, 100: 1.21735066, 1000: 1.22173650},
         0.3: {0.01: 0.544686305, 10: 1.65203601, 50: 1.81252896, 100: 1.83591912, 1000: 1.85772042},
         0.5: {0.01: 0.333915711, 10: 2.41546738, 50: 2.91459398, 100: 2.99476774, 1000: 3.07140349},
         0.7: {0.01: 0.14625354, 10: 4.0617074, 50: 6.33592091, 100: 6.83744135, 1000: 7.36821504}}


def disc(n, f, k):
    x = (np.arange(n) + 0.5) / n - 0.5
    return np.where(x[:, None]**2 + x**2 < f / np.pi, float(k), 1.0)


def board(n, k):
    return np.where(np.add.outer(2 * np.arange(n) // n, 2 * np.arange(n) // n) % 2, float(k), 1.0)


@pytest.mark.parametrize("f", DISCS)
def test_disc_arrays(f):
    """Between the bounds, at their geometric mean, only the staircase is left: about a tenth of a pixel of radius."""
    for k, exact in DISCS[f].items():
        got = effective_conductivity(disc(128, f, k))
        assert got.lower[0, 0] < got.upper[0, 0]
        mean = np.sqrt(got.lower[0, 0] * got.upper[0, 0])
        assert mean == pytest.approx(exact, rel={0.1: 0.006, 0.3: 0.006, 0.5: 0.012, 0.7: 0.03}[f]), k
        assert abs(mean / exact - 1) <= abs(got.upper[0, 0] / exact - 1) + abs(got.lower[0, 0] / exact - 1)


@pytest.mark.parametrize("contrast, known", [(2, (2.3e-4, 7.8e-5, 2.7e-5)), (10, (2.9e-2, 1.7e-2, 9.8e-3)), (100, (0.69, 0.55, 0.44))])
def test_checkerboards_converge_as_their_corners_allow(contrast, known):
    """Error h^(2 lambda), lambda = 4 / pi atan(1 / sqrt(contrast)); the bounds are as wide as the error, and say so."""
    errors = []
    for n in (64, 128, 256):
        got = effective_conductivity(board(n, contrast))
        errors.append(got.value[0, 0] / np.sqrt(contrast) - 1)
        assert got.lower[0, 0] < np.sqrt(contrast) < got.upper[0, 0]
        assert got.upper[0, 0] / got.lower[0, 0] - 1 > 2 * errors[-1]
    np.testing.assert_allclose(errors, known, rtol=0.05)
    if contrast == 2:  # the others are far from their asymptote
        assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(8 / np.pi * np.arctan(1 / np.sqrt(contrast)), abs=0.06)


def test_round_coax():
    """2 pi / ln(b / a), b / a = 2; pixels of a staircase."""
    n = 256
    y, x = np.mgrid[:n, :n] + 0.5 - n / 2
    radius = np.hypot(x, y)
    conductors = np.where(radius < n / 4 - 1, 2, np.where(radius < n / 2 - 2, 0, 1))
    got = capacitance(np.ones((n, n)), conductors)
    exact = 2 * np.pi / np.log((n / 2 - 2) / (n / 4 - 1))
    assert got.value[0, 0] == pytest.approx(exact, rel=0.01)
    assert got.upper[0, 0] / got.lower[0, 0] - 1 < 0.01


def test_joule_heat_of_a_bar_with_cold_ends():
    """J^2 rho L^2 / (8 k): copper, 1e10 A/m2, 10 um: 0.053 K. Power in is what leaves at the ends."""
    pixel, length = 1e-7, 100
    fixed = np.zeros((3, length + 1), bool)
    fixed[:, [0, -1]] = True
    weight = np.full((3, length + 1), 1e20 * 1.7e-8 * pixel**2)
    weight[[0, -1]] /= 2
    weight[:, [0, -1]] /= 2
    got = Conductor(np.full((2, length), 400.0), pixel, pixel, fixed).solve(sources=np.where(fixed, 0, weight)[None])
    assert got.potential.max() == pytest.approx(1e20 * 1.7e-8 * (length * pixel)**2 / (8 * 400), rel=1e-7)
    assert -got.inflow[0][fixed].sum() == pytest.approx(weight[~fixed].sum(), rel=1e-8)


@pytest.mark.parametrize("shape, dx, dy", [((40, 56), 1.0, 1.0), ((30, 44), 0.7, 1.9)])
def test_uniform_boundaries_enclose_the_periodic_tensor(shape, dx, dy):
    """Hill, Huet: flux <= periodic <= gradient in the sense of quadratic forms; all three exact for one material."""
    from scipy.ndimage import gaussian_filter
    rough = gaussian_filter(np.random.default_rng(1).standard_normal(shape), 3, mode="wrap")
    k = np.where(rough > 0, 10.0, 1.0)
    low, middle, high = (effective_conductivity(k, dx, dy, boundary=b).value for b in ("flux", "periodic", "gradient"))
    for smaller, larger in ((low, middle), (middle, high)):
        assert np.linalg.eigvalsh(larger - smaller)[0] > 0
    assert np.linalg.eigvalsh(low)[0] > 1 / (1 / k).mean() and np.linalg.eigvalsh(high)[1] < k.mean()
    for b in ("flux", "gradient"):
        np.testing.assert_allclose(effective_conductivity(np.full(shape, 7.0), dx, dy, boundary=b).value, 7 * np.eye(2), atol=1e-7)


def test_uniform_boundaries_of_layers_by_hand():
    """Layers along x meet left and right sides: a uniform gradient along y has the harmonic mean only far from the sides."""
    k = np.where(np.arange(24)[:, None] % 8 < 4, 10.0, 1.0) * np.ones((24, 6))
    got = effective_conductivity(k, boundary="gradient").value
    assert got[0, 0] == pytest.approx(5.5, rel=1e-8) and 2 / 1.1 < got[1, 1] < 5.5
    got = effective_conductivity(k, boundary="flux").value
    assert got[1, 1] == pytest.approx(2 / 1.1, rel=1e-8) and 2 / 1.1 < got[0, 0] < 5.5


def test_boundaries_that_are_none():
    with pytest.raises(ValueError, match="use periodic, gradient or flux"):
        effective_conductivity(np.ones((4, 4)), boundary="open")
    with pytest.raises(ValueError, match="voids"):
        effective_conductivity(np.eye(4), boundary="flux")
