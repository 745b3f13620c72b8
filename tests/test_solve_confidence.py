"""Doubt from a confidence map: by hand, against solutions with edges moved by hand, and by sampling."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from chipmap.solve import capacitance, conductance, effective_conductivity, resistance


def layer(sd, at=20, shape=(40, 60), inside=10.0):
    """A layer of `inside` over 1, its edge below row `at` known to sd pixels."""
    row = np.arange(shape[0]) + 0.5
    k = np.where(row[:, None] < at, inside, 1.0) * np.ones(shape)
    return k, (norm.cdf(abs(row - at) / sd)[:, None] if sd else 1.0) * np.ones(shape)


def test_without_a_map_there_is_no_sigma():
    k, _ = layer(1.0)
    for got in (conductance(k), effective_conductivity(k), resistance(*ends(k)), capacitance(*ends(k))):
        assert got.sigma is None


def ends(k, width=1):
    terminals = np.zeros((k.shape[0], k.shape[1] + 2 * width), int)
    terminals[:, :width], terminals[:, -width:] = 1, 2
    return np.pad(k, ((0, 0), (width, width))), terminals


@pytest.mark.parametrize("axis", [0, 1])
def test_one_edge_by_hand(axis):
    """An edge displaced as one by s: layers side by side change by (k1 - k2) s / L, in a row by the inverse law."""
    sd = 1.5
    k, sure = layer(sd)
    got = conductance(k, axis, dx=2.0, dy=0.5, confidence=sure, correlated=1e5)
    if axis == 1:
        want = 9.0 * sd * 0.5 / (60 * 2.0)
    else:
        r = (20 * 0.5 / 10 + 20 * 0.5 / 1) / (60 * 2.0)
        want = sd * 0.5 * (1 - 0.1) / (60 * 2.0) / r**2
    assert got.sigma == pytest.approx(want, rel=0.03)                             # a sum over pixels for an integral


def test_a_sure_picture_has_none_and_short_waves_cancel():
    k, sure = layer(0.8)
    assert conductance(k, 1, confidence=np.ones(k.shape)).sigma == 0
    near, far = (conductance(k, 1, confidence=sure, correlated=c).sigma for c in (1.0, 1e5))
    assert near == pytest.approx(far * np.sqrt(2 * np.sqrt(np.pi) / 60), rel=0.15)  # independent stretches of 2 sqrt(pi) pixels


def smooth_picture(n=64):
    rough = gaussian_filter(np.random.default_rng(3).standard_normal((n, n)), 6, mode="wrap")
    k = np.where(rough > 0.2 * rough.std(), 20.0, 1.0)
    return k, norm.cdf(abs(rough / rough.std() - 0.2) / 0.15)


def test_first_order_and_sampling_agree():
    k, sure = smooth_picture()
    for call in (lambda **how: conductance(k, 1, confidence=sure, **how).sigma, lambda **how: np.diag(effective_conductivity(k, confidence=sure, **how).sigma)):
        np.testing.assert_allclose(call(samples=60), call(), rtol=0.4)            # 60 draws alone: 9 %; and steps of pixels


def test_resistance_is_the_inverse_of_the_conductance():
    k, sure = smooth_picture()
    wide, terminals = ends(k)
    got = resistance(wide, terminals, dy=0.7, confidence=np.pad(sure, ((0, 0), (1, 1)), constant_values=1.0))
    side = conductance(k, 1, dy=0.7, confidence=sure)
    assert got.value[0, 1] == pytest.approx(1 / side.value, rel=1e-8)
    assert got.sigma[0, 1] == pytest.approx(side.sigma / side.value**2, rel=0.05) and got.sigma[0, 0] == 0


def test_plates_that_may_lie_closer():
    """C = w / d: each plate's face is uncertain by sd, both as one: relative error sqrt(2) sd / d; a floating slab between
    counts twice more."""
    sd, row = 1.5, np.arange(60) + 0.5
    conductors = np.where(row < 10, 1, np.where(row > 50, 2, 0))[:, None] * np.ones((1, 30), int)
    sure = norm.cdf(np.minimum(abs(row - 10), abs(row - 50)) / sd)[:, None] * np.ones((1, 30))
    got = capacitance(np.ones((60, 30)), conductors, confidence=sure, correlated=1e5)
    assert got.sigma[0, 0] / got.value[0, 0] == pytest.approx(np.sqrt(2) * sd / 40, rel=0.04)
    conductors[25:35] = 3
    sure *= norm.cdf(np.minimum(abs(row - 25), abs(row - 35)) / sd)[:, None]
    got = capacitance(np.ones((60, 30)), conductors, floating=[3], confidence=sure, correlated=1e5)
    assert got.value.shape == got.sigma.shape == (2, 2)
    assert got.sigma[0, 0] / got.value[0, 0] == pytest.approx(2 * sd / 30, rel=0.04)


@pytest.mark.parametrize("bad", [np.ones((3, 3)), np.full((40, 60), 1.5), np.full((40, 60), np.nan)])
def test_maps_that_are_none(bad):
    k, _ = layer(1.0)
    with pytest.raises(ValueError, match="confidence must be one number from 0 to 1 a pixel"):
        conductance(k, confidence=bad)
