"""Thermal resistance from a junction to the sides, by hand and between its bounds."""

import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap.solve import thermal_resistance


def test_a_bar_that_heats_itself(xp):
    """Mean L / (3 k A), hottest end L / (2 k A); the far end alone L / (k A), less half a pixel's own third."""
    k = xp.full((3, 40), 2.0)
    got = thermal_resistance(k, xp.ones((3, 40), bool), 0.5, 0.25, cold=["left"])
    length, area = 20.0, 0.75
    assert got.peak == pytest.approx(length / (2 * 2 * area), rel=1e-7)
    assert got.value == pytest.approx(length / (3 * 2 * area), rel=1e-3)
    assert got.lower < length / (3 * 2 * area) <= got.upper * (1 + 1e-12) < 1.001 * got.lower  # straight fluxes are exact
    end = np.zeros((3, 40), bool)
    end[:, -1] = True
    got = thermal_resistance(k, xp.asarray(end), 0.5, 0.25, cold=["left"])
    exact = (length - 0.5 + 0.5 / 3) / (2 * area)
    assert got.lower < exact <= got.upper * (1 + 1e-12) and got.upper / got.lower < 1.01


def test_a_film_comes_on_top(xp):
    """In series: bar and convecting side, 1 / (h A)."""
    k, all_ = xp.full((4, 30), 2.0), xp.ones((4, 30), bool)
    cold, film = thermal_resistance(k, all_, cold=["right"]), thermal_resistance(k, all_, cold=(), film={"right": 0.1})
    assert film.value - cold.value == pytest.approx(1 / (0.1 * 4), rel=1e-7)
    exact = 30 / (3 * 2.0 * 4) + 1 / (0.1 * 4)
    assert film.lower < exact <= film.upper * (1 + 1e-9) < 1.001 * exact
    assert to_host(film.temperature)[:, -1].mean() == pytest.approx(1 / (0.1 * 4), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_nest_as_pixels_are_halved(seed):
    rng = np.random.default_rng(seed)
    k, hot = rng.choice([0.0, 1.0, 30.0], (10, 12), p=[0.2, 0.5, 0.3]), np.zeros((10, 12), bool)
    hot[3:6, 4:8] = True
    k[hot], k[6:, 5] = 5.0, 1.0
    got = [thermal_resistance(np.kron(k, np.ones((m, m))), np.kron(hot, np.ones((m, m))), 1 / m, 0.7 / m, cold=["bottom", "right"]) for m in (1, 2, 4)]
    for coarse, fine in zip(got, got[1:]):
        assert coarse.lower <= fine.lower <= fine.upper <= coarse.upper * (1 + 1e-9)
    assert got[-1].upper < 1.3 * got[-1].lower


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("h", [1e-3, 1.0, 300.0])
def test_bounds_nest_with_convecting_sides(seed, h):
    """Films weak and strong beside a cold side, voids among the pixels, oblong pixels: what leaves costs F^2 / (h s)."""
    rng = np.random.default_rng(seed)
    k, hot = rng.choice([1.0, 4.0], (10, 12), p=[0.7, 0.3]), np.zeros((10, 12), bool)
    hot[3:6, 4:8] = True
    k[hot], k[7:, 9:11], k[1:3, 2:4] = 5.0, 0.0, 0.0                              # one void lies on a convecting side
    for how in (dict(cold=(), film={"bottom": h, "right": h / 3}), dict(cold=["left"], film={"bottom": h, "top": 2 * h}), dict(cold=(), film={"bottom": h})):
        got = [thermal_resistance(np.kron(k, np.ones((m, m))), np.kron(hot, np.ones((m, m), bool)), 1 / m, 0.7 / m, **how) for m in (1, 2, 4)]
        for coarse, fine in zip(got, got[1:]):
            assert coarse.lower <= fine.lower * (1 + 1e-9) and fine.lower <= fine.upper and fine.upper <= coarse.upper * (1 + 1e-6)
        assert got[-1].upper < 1.05 * got[-1].lower


def test_a_film_without_limit_is_a_cold_side():
    k, hot = np.ones((8, 9)), np.zeros((8, 9), bool)
    hot[2:4, 3:6] = True
    cold, film = thermal_resistance(k, hot, 1e-9, 2e-9), thermal_resistance(k, hot, 1e-9, 2e-9, cold=(), film={"bottom": 1e16})
    np.testing.assert_allclose([film.lower, film.upper], [cold.lower, cold.upper], rtol=1e-4)


@pytest.mark.parametrize("left, right", [(1e5, 3e5), (1e9, 1e4)])
def test_a_slab_that_heats_itself_between_two_films(left, right):
    """k T'' = -q, k T' = h T at either side: the mean between the bounds, of which straight fluxes are exact, and the peak."""
    n, dx, k = 50, 1e-8, 1.4
    length = n * dx
    q = 1 / (length * 4 * dx)
    got = thermal_resistance(np.full((4, n), k), np.ones((4, n), bool), dx, dx, cold=(), film={"left": left, "right": right})
    a, b = np.linalg.solve([[k, -left], [k + right * length, right]], [0, q * length + right * q * length**2 / (2 * k)])
    mean, top = -q * length**2 / (6 * k) + a * length / 2 + b, np.clip(a * k / q, 0, length)
    assert got.lower < mean <= got.upper * (1 + 1e-12) and got.upper == pytest.approx(mean, rel=1e-9)
    assert got.peak == pytest.approx(-q * top**2 / (2 * k) + a * top + b, rel=1e-5)


def test_the_hottest_place_heated_alone():
    """Reciprocity: what the heater does to the hottest node is what that node alone does to the heater."""
    k, hot = np.random.default_rng(1).choice([1.0, 20.0], (12, 14)), np.zeros((12, 14), bool)
    hot[3:6, 4:8] = True
    got = thermal_resistance(k, hot, 1.0, 0.8, cold=["bottom"], film={"left": 0.2})
    alone = got.warming(1e-9)
    corners = (alone[:-1, :-1] + alone[1:, :-1] + alone[:-1, 1:] + alone[1:, 1:]) / 4
    assert corners[hot].mean() == pytest.approx(got.peak, rel=1e-7)


def test_heat_in_is_heat_out():
    k = np.random.default_rng(0).choice([1.0, 50.0], (20, 20))
    hot = np.zeros((20, 20))
    hot[8:12, 8:12] = 1
    got = thermal_resistance(k, hot, cold=["top"], film={"left": 0.3})
    u = got.temperature
    out = (0.3 * (u[:-1, 0] + u[1:, 0]) / 2).sum()
    from chipmap.solve import Conductor
    fixed = np.zeros((21, 21), bool)
    fixed[0] = True
    flow = Conductor(k, fixed=fixed).solve(values=u[None], start=u[None], tolerance=1.0).inflow[0][0].sum()
    assert out - flow == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("change, words", [
    (dict(junction=np.zeros((4, 4))), "at least one set"), (dict(junction=np.ones((3, 4))), "one flag a pixel"), (dict(cold=["back"]), "side 'back' is unknown"),
    (dict(cold=()), "no way out"), (dict(film={"bottom": 1.0}), "choose one of the two"), (dict(film={"top": np.nan}), "film coefficient nan"),
    (dict(conductivity=np.where(np.arange(4)[:, None] == 2, 0, 1.0) * np.ones((4, 4))), "island"), (dict(conductivity=-np.ones((4, 4))), "row 0, column 0")])
def test_bad_questions(change, words):
    how = dict(conductivity=np.ones((4, 4)), junction=np.arange(16).reshape(4, 4) < 4, cold=["bottom"]) | change
    with pytest.raises(ValueError, match=words):
        thermal_resistance(**how)
