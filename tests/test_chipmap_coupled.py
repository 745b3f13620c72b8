"""Current, heat and stress in one, and charge, against what can be worked out by hand."""

import numpy as np
import pytest

from chipmap import InputError
from chipmap.charge import EPSILON_0, charge
from chipmap.coupled import coupled, joule_heat
from chipmap.properties import Library, Sample

RHO, K, LENGTH, NX, NY = 1.7e-8, 400.0, 10e-6, 200, 4


def bar(*settings):
    """One bar of copper, 10 um long, all of the picture."""
    settings = [f"Cu.resistivity={RHO}", f"Cu.thermal_conductivity={K}", *settings]
    return Sample(np.zeros((NY, NX), int), np.zeros(1, int), [["Cu"]], np.ones(1), (LENGTH / NX, LENGTH / NX), Library(settings))


def test_joule_heat_of_a_bar_with_cold_ends():
    """dT = J^2 rho L^2 / (8 k): 0.053 K at 1e10 A/m^2."""
    J = 1e10
    answer = coupled(bar("Cu.temperature_coefficient_per_k=0"), "left,right", J * RHO * LENGTH, "left,right", "left x,bottom y", "strain")
    expected = J ** 2 * RHO * LENGTH ** 2 / (8 * K)
    assert expected == pytest.approx(0.053, abs=5e-4)
    assert answer.facts["highest_temperature_rise"]["value"] == pytest.approx(expected, rel=1e-7)     # linear elements are exact at nodes
    profile = answer.points["joule_temperature_rise_k"][0]
    x = np.linspace(0, 1, NX + 1)
    np.testing.assert_allclose(profile, 4 * expected * x * (1 - x), atol=1e-7 * expected)


def test_power_is_v_times_i_and_heat_in_is_heat_out():
    rng = np.random.default_rng(3)
    from scipy.ndimage import gaussian_filter
    mask = gaussian_filter(rng.standard_normal((48, 64)), 3) > -0.04
    mask[20:26] = True
    from cukernels.components import pieces
    objects, count = pieces(mask.astype(int), background=None)
    objects = np.asarray(objects) - 1
    phase = np.array([int(mask[objects == n][0]) for n in range(count)])
    picture = Sample(objects, phase, [["SiO2"], ["Cu"]], np.ones(count), (5e-9, 5e-9), Library())
    answer = coupled(picture, None, 2e-3, "bottom", "bottom", "strain")
    power = answer.facts["power"]
    assert power["imbalance"] < 1e-8
    assert power["joule_heat"] == pytest.approx(power["value"], rel=1e-8)
    assert power["heat_out"] == pytest.approx(power["joule_heat"], rel=1e-6)
    assert answer.columns["highest_joule_von_mises_pa"].max() > 0


def test_resistance_rises_with_the_temperature_and_settles():
    """With rho(T) linear and the ends cold the bar obeys k T'' = -E^2 / (rho (1 + a T)): integrated here by shooting."""
    from scipy.integrate import solve_bvp
    slope, volts = 4e-3, 0.12
    answer = coupled(bar(f"Cu.temperature_coefficient_per_k={slope}"), "left,right", volts, "left,right", "left x,bottom y", "strain")
    resistance = RHO * LENGTH / (NY * LENGTH / NX)
    assert answer.facts["resistance"]["value"] > 1.2 * resistance
    assert 3 < answer.facts["rounds"] < 60
    # the current density is the same along the bar, so the field is rho(T) J: k T'' = -J^2 rho (1 + a T)
    J = answer.facts["power"]["v_times_i"] / volts / (NY * LENGTH / NX)
    grid = np.linspace(0, LENGTH, 201)
    truth = solve_bvp(lambda x, y: np.vstack([y[1], -J ** 2 * RHO * (1 + slope * y[0]) / K]), lambda a, b: np.array([a[0], b[0]]), grid, np.zeros((2, 201)), tol=1e-8)
    np.testing.assert_allclose(answer.points["joule_temperature_rise_k"][0], truth.sol(np.linspace(0, LENGTH, NX + 1))[0], rtol=1e-3, atol=1e-3)


def test_elements_give_the_power_of_the_operator():
    from chipmap.solve import Conductor
    rng = np.random.default_rng(0)
    k = rng.uniform(1, 5, (7, 9))
    fixed = np.zeros((8, 10), bool)
    fixed[:, 0] = fixed[:, -1] = True
    solved = Conductor(k, 2.0, 3.0, fixed).solve(values=np.where(np.arange(10) == 0, 1.0, 0.0)[None, None] * np.ones((1, 8, 1)))
    assert joule_heat(k, solved.potential[0], 2.0, 3.0).sum() == pytest.approx(solved.power[0], rel=1e-12)


def test_a_runaway_is_refused():
    with pytest.raises(InputError, match="lower --voltage"):
        coupled(bar(), "left,right", 5.0, "left,right", "left x,bottom y", "strain")


@pytest.mark.parametrize("cold", ["", "north"])
def test_cold_sides_that_are_none(cold):
    with pytest.raises(InputError, match="cold sides"):
        coupled(bar(), "left,right", 1e-3, cold, "left x,bottom y", "strain")


def plates():
    """Two copper plates the width of the picture, 10 pixels of oxide between them, and a floating slab, 4 thick, in the middle."""
    objects = np.zeros((18, 12), int)
    objects[4:7], objects[7:11], objects[11:14], objects[14:] = 1, 2, 3, 4
    return objects


def test_capacitance_of_plates_with_a_floating_slab():
    """C = epsilon W / (gap without the slab): 6 of 10 pixels of oxide are left."""
    sample = Sample(plates(), np.array([1, 0, 1, 0, 1]), [["SiO2"], ["Cu"]], np.ones(5), (2e-9, 1e-9), Library())
    answer = charge(sample, "0,4")
    C = np.array(answer.facts["capacitance_matrix"]["value"])
    expected = 3.9 * EPSILON_0 * 12 / (6 * 2)
    np.testing.assert_allclose(C, expected * np.array([[1, -1], [-1, 1]]), rtol=1e-4)
    low, high = (np.array(answer.facts["capacitance_matrix"][name]) for name in ("lower", "upper"))
    assert (low <= C + 1e-6 * expected).all() and (C <= high + 1e-6 * expected).all()
    assert answer.facts["floating_nets"] == 1
    assert np.isnan(answer.columns["highest_electric_field_v_m"][[0, 2, 4]]).all()
    assert answer.columns["highest_electric_field_v_m"][1] == pytest.approx(1 / 12e-9, rel=1e-3)
    assert len(answer.tables["capacitance.csv"]["capacitance_f_m"]) == 4


@pytest.mark.parametrize("named, words", [("0", "at least two"), ("0,1", "insulator"), ("0,9", "no object"), ("0,0", "named already")])
def test_conductors_that_cannot_be_used(named, words):
    sample = Sample(plates(), np.array([1, 0, 1, 0, 1]), [["SiO2"], ["Cu"]], np.ones(5), (2e-9, 1e-9), Library())
    with pytest.raises(InputError, match=words):
        charge(sample, named)


def test_an_insulator_without_permittivity_names_the_remedy():
    sample = Sample(plates(), np.array([1, 0, 1, 0, 1]), [["SiO2"], ["Cu"]], np.ones(5), (2e-9, 1e-9), Library(["SiO2.relative_permittivity=0"]))
    with pytest.raises(InputError, match="relative_permittivity"):
        charge(sample, "0,4")


def test_sigma_of_a_capacitance_is_that_of_plates_whose_edges_are_known_so_well():
    """C = w / d: each face known to sd pixels, independent along it: relative sqrt(2 / columns) sd / d."""
    from scipy.ndimage import gaussian_filter

    from chipmap.uncertainty import measure
    objects = np.zeros((60, 48), int)
    objects[20:40], objects[40:] = 1, 2
    objects[:20] = 0
    phase, noise = np.array([1, 0, 1]), 8.0
    grey = gaussian_filter(np.array([60.0, 160.0])[phase][objects], 1.0) + noise * np.random.default_rng(0).standard_normal(objects.shape)
    seen = measure(grey, objects, phase, np.array([60.0, 160.0]), noise, (2e-9, 2e-9))
    sample = Sample(objects, phase, [["SiO2"], ["Cu"]], np.ones(3), (2e-9, 2e-9), Library(), None, seen)
    told = charge(sample, "0,2").facts["capacitance_matrix"]
    value, sigma = np.array(told["value"]), np.array(told["sigma"])
    sd = seen.seen.sd[seen.edges.weight > 0.5].mean()
    levels = np.hypot(*seen.seen.by_source).mean() if seen.seen.by_source.size else 0.0
    assert sigma[0, 0] / value[0, 0] == pytest.approx(np.sqrt(2 / 48) * sd / 20, rel=0.1, abs=2.5 * levels / 20)
    np.testing.assert_allclose(sigma, sigma[0, 0], rtol=1e-6)
    assert charge(Sample(objects, phase, [["SiO2"], ["Cu"]], np.ones(3), (2e-9, 2e-9)), "0,2").facts["capacitance_matrix"]["sigma"] is None


def test_without_a_path_there_is_nothing_to_couple():
    sample = bar()
    sample.objects[:, 90:110] = 1
    sample = Sample(sample.objects, np.array([0, 1]), [["Cu"], ["SiO2"]], np.ones(2), sample.pixel_size_m, Library())
    assert "no conductor joins terminals left and right" in coupled(sample, None, 1e-3, "left", "left x,bottom y", "strain").note
    with pytest.raises(InputError, match="no conductor joins terminals left and right: name terminals of one net"):
        coupled(sample, "left,right", 1e-3, "left", "left x,bottom y", "strain")
