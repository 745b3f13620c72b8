"""Thin metal: worked values, limits of the formulas, and numerical quadrature as an independent answer."""

import numpy as np
import pytest
from scipy.integrate import quad

from chipmap import InputError
from chipmap.size_effect import (
    fuchs_sondheimer,
    mayadas_shatzkes,
    metals,
    resistivity,
    thermal_conductivity,
)


@pytest.mark.parametrize("metal, p, r, expected", [
    ("Cu", 0.2, 0.3, (2.3, 3.0, 4.8, 7.8)), ("Co", 0.2, 0.3, (6.9, 7.6, 9.7, 13.2)),
    ("Ru", 0.2, 0.4, (8.5, 9.1, 11.1, 14.4)), ("W", 0.1, 0.4, (6.4, 7.5, 10.7, 16.1))])
def test_worked_values(metal, p, r, expected):
    """Films whose grains are as large as they are thick, 100, 50, 20 and 10 nm, in microhm cm."""
    thickness = np.array([100, 50, 20, 10]) * 1e-9
    got = resistivity(metal, thickness, specularity=p, reflection=r).value * 1e8
    np.testing.assert_allclose(got, expected, atol=0.05 + 1e-9)     # given to one decimal


@pytest.mark.parametrize("thickness", [1e-3, 0.1, 1.0, 7.0, 300.0])
@pytest.mark.parametrize("p", [0.0, 0.5, 0.95])
def test_fuchs_sondheimer_against_quadrature(thickness, p):
    f = lambda t: (t ** -3 - t ** -5) * -np.expm1(-thickness * t) / (1 - p * np.exp(-thickness * t))  # noqa: E731
    near = 20 / thickness if thickness < 1 else 50
    integral = sum(quad(f, a, b, epsabs=0, epsrel=1e-11, limit=400)[0] for a, b in ((1, 2), (2, near), (near, np.inf)) if b > a)
    expected = 1 / (1 - 1.5 / thickness * (1 - p) * integral)
    assert fuchs_sondheimer(np.array(thickness), p) == pytest.approx(expected, rel=1e-7)


def test_limits():
    assert fuchs_sondheimer(np.array(500.0), 0.3) == pytest.approx(1 + 3 / 8 * 0.7 / 500, rel=1e-5)
    assert fuchs_sondheimer(np.array(2.0), 1.0) == 1
    assert mayadas_shatzkes(0.0) == 1
    assert mayadas_shatzkes(1e-6) == pytest.approx(1 + 1.5e-6, rel=1e-9)
    assert mayadas_shatzkes(999.0) == pytest.approx(float(mayadas_shatzkes(1001.0)) * 999 / 1001, rel=1e-4)
    for metal, facts in metals().items():
        assert resistivity(metal, 1e-3).value == pytest.approx(facts.resistivity_ohm_m, rel=1e-3)


@pytest.mark.parametrize("change", [dict(specularity=1.2), dict(specularity=-0.1), dict(reflection=1.0), dict(reflection=np.nan), dict(temperature_k=np.nan),
                                    dict(temperature_k=-5.0), dict(mean_free_path_nm=0.0), dict(resistivity_ohm_m=-1e-8), dict(roughness=1.0)])
def test_constants_that_are_none(change):
    with pytest.raises(InputError, match=":") as problem:
        resistivity("Cu", 20e-9, **change)
    assert "\n" not in str(problem.value)


def test_grains_much_smaller_than_the_free_path_keep_their_digits():
    """Towards 4 a / 3, by the next terms of the logarithm's series; both forms meet at a = 10."""
    for a in (1e3, 1e5, 1e8):
        assert mayadas_shatzkes(a) == pytest.approx(1 / (0.75 / a - 0.6 / a**2 + 0.5 / a**3 - 3 / 7 / a**4), rel=1e-12)
    assert mayadas_shatzkes(10 * (1 + 1e-13)) == pytest.approx(mayadas_shatzkes(10.0), rel=1e-11)


def test_very_thin_films_go_as_fuchs_says():
    """4 / (3 k (ln(1/k) + 1 - C)) for diffuse surfaces, C Euler's constant (E. H. Sondheimer, Adv. Phys. 1, 1 (1952))."""
    for k in (1e-3, 1e-4):
        assert fuchs_sondheimer(k, 0.0) == pytest.approx(4 / (3 * k * (np.log(1 / k) + 1 - np.euler_gamma)), rel=k)


def test_thinner_is_worse_and_the_range_holds_the_value():
    width = np.geomspace(5e-9, 1e-6, 40)
    for metal in metals():
        got = resistivity(metal, width, 60e-9)
        assert (np.diff(got.value) < 0).all()
        assert (got.low <= got.value).all() and (got.value <= got.high).all()
        assert (resistivity(metal, width, 30e-9).value > got.value).all()


def test_a_square_line_is_worse_than_the_film():
    film = resistivity("Cu", 20e-9, grain_m=1e-6, specularity=0.0).value
    line = resistivity("Cu", 20e-9, 20e-9, grain_m=1e-6, specularity=0.0).value
    half = resistivity("Cu", 10e-9, grain_m=1e-6, specularity=0.0).value
    assert film < line == pytest.approx(half)


def test_temperature_adds_what_the_bulk_adds():
    """Matthiessen: the same ohm metres for every size."""
    rise = [resistivity("Cu", w, temperature_k=400).value - resistivity("Cu", w).value for w in (1e-6, 20e-9)]
    assert rise[0] == pytest.approx(rise[1]) == pytest.approx(1.678e-8 * 3.95e-3 * 100)


def test_wiedemann_franz():
    assert thermal_conductivity("Cu", 1.8e-8) == pytest.approx(2.44e-8 * 300 / 1.8e-8)
    assert thermal_conductivity("W", 1e-7) == pytest.approx(2.7 * 2.44e-8 * 300 / 1e-7)


def test_refusals():
    with pytest.raises(InputError, match="size_effect.csv"):
        resistivity("Unobtainium", 1e-8)
    with pytest.raises(ValueError, match="above zero"):
        resistivity("Cu", 0.0)


def test_every_metal_is_in_the_library():
    from chipmap import materials
    for metal, facts in metals().items():
        assert materials.find(metal).kind == "metal"
        assert facts.specularity_low <= facts.specularity <= facts.specularity_high < 1
        assert facts.reflection_low <= facts.reflection <= facts.reflection_high < 1
        bulk = materials.property_of(metal, "resistivity_ohm_m")
        assert facts.resistivity_ohm_m == pytest.approx(bulk.value, rel=0.15)
