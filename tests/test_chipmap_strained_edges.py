"""What results owe to where edges are: stiffness, strain energy, pulse and coupled current against problems solved again."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from chipmap.coupled import _Heater, coupled, hottest_changes
from chipmap.measure.edges import find_edges
from chipmap.physics import conductivity
from chipmap.properties import Library, Sample
from chipmap.strained_edges import energy_changes
from chipmap.stress import effective_stiffness, plane_moduli
from chipmap.stresses import mean_bounds, stiffness, stress
from chipmap.uncertainty import by_object, measure
from chipmap.warming import pulse

PX = 20e-9
PHASE, LEVELS = np.array([1, 1, 0]), np.array([60.0, 160.0])


def stack(at, upright=False):
    """Copper, copper on oxide whose common edge lies at row `at`."""
    objects = np.zeros((40, 32), int)
    objects[10:at], objects[at:] = 1, 2
    return objects if not upright else np.ascontiguousarray(objects.T)


def sample(at, seen=None, upright=False, samples=0):
    return Sample(stack(at, upright), PHASE, [["SiO2"], ["Cu"]], np.ones(3), (PX, PX), Library(), None, seen, samples)


def seen_edges(upright=False):
    grey = gaussian_filter(LEVELS[PHASE][stack(25, upright)], 1.0) + 5 * np.random.default_rng(0).standard_normal(stack(25, upright).shape)
    return measure(grey, stack(25, upright), PHASE, LEVELS, 5.0, (PX, PX))


def foretold(solve, told, upright=False, rel=0.05, samples=0):
    """The sigma that facts tell, against the doubt of the one edge that counts times what a pixel of it does."""
    seen = seen_edges(upright)
    found = [told(solve(sample(at, seen if at == 25 else None, upright, samples)).facts) for at in (24, 25, 26)]
    slope = (np.array(found[2]["value"]) - np.array(found[0]["value"])) / 2
    own = seen.edges.outer == 2
    np.testing.assert_allclose(np.array(found[1]["sigma"]), np.abs(slope) * seen.seen.doubt(own / own.sum()), rtol=rel, atol=1e-9 * np.abs(slope).max())
    assert found[0]["sigma"] is None and "grey values" in found[0]["why_no_sigma"]


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_sigma_of_the_strain_energy(plane):
    foretold(lambda s: stress(s, 100.0, "left x,right x,bottom y", plane), lambda facts: facts["strain_energy"], rel=0.1)


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_sigma_of_the_largest_displacement(plane):
    """Copper on oxide between held sides swells upwards, all of its surface alike: the edge moved, for a further solve that --samples asks for."""
    how = 100.0, "left x,right x,bottom y", plane
    foretold(lambda s: stress(s, *how), lambda facts: facts["largest_displacement"], rel=0.05, samples=2)
    told = stress(sample(25, seen_edges()), *how).facts["largest_displacement"]
    assert told["sigma"] is None and "--samples" in told["why_no_sigma"]
    loose = stress(sample(25, seen_edges(), samples=2), 100.0, "", plane).facts["largest_displacement"]
    assert loose["sigma"] is None and "rigid motion" in loose["why_no_sigma"]


def test_sigma_of_the_stiffness_of_layers():
    foretold(lambda s: stiffness(s, "strain"), lambda facts: {**facts["stiffness"], "value": np.array(facts["stiffness"]["value"])})


def test_sigma_of_a_pulse():
    """The rise of a heater over copper over oxide when its pulse ends."""
    foretold(lambda s: pulse(s, "0", "bottom", "", 1.0, "50ns", "50ns"), lambda facts: facts["mean_rise_of_heater_at_the_end_of_the_pulse"], rel=0.1)


def test_sigma_of_a_coupled_resistance():
    """Copper bars side by side, their common edge with the oxide moved."""
    foretold(lambda s: coupled(s, "left,right", 1e-3, "left,right", "left x,bottom y", "strain"), lambda facts: facts["resistance"])


@pytest.mark.parametrize("inside, outside, close", [(120.0, 70.0, 0.1), (1.0, 10.0, 0.1), (0.0, 1.0, 0.4)])
def test_stiffness_of_a_disc_that_grows(inside, outside, close):
    """Its radius three pixels larger and smaller; beside voids the stress of the last pixels is known less well."""
    y, x = np.indices((64, 64)) - 31.5

    def of(radius):
        disc = np.hypot(x, y) < radius
        return np.where(disc, inside, outside), np.where(disc, 0.34, 0.17)
    E, nu = of(16)
    edges = find_edges((np.hypot(x, y) < 16).astype(int))
    found = effective_stiffness(E, nu)
    moved = energy_changes(edges, *plane_moduli(E, nu, "strain"), *found.fields(), edges.weight / E.size)
    slope = np.array([[by_object(edges, moved[:, i, j], 2)[1] for j in range(3)] for i in range(3)])
    again = (effective_stiffness(*of(19)).value - effective_stiffness(*of(13)).value) / 6
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1)):
        assert slope[i, j] == pytest.approx(again[i, j], rel=close)


def test_reuss_and_voigt_enclose_and_are_exact_for_one_material():
    rng = np.random.default_rng(3)
    E, nu = rng.choice([1.0, 20.0], (24, 24)), rng.choice([0.2, 0.4], (24, 24))
    for plane in ("strain", "stress"):
        low, high = mean_bounds(E, nu, plane)
        value = effective_stiffness(E, nu, plane=plane).value
        assert np.linalg.eigvalsh(value - low)[0] > 0 and np.linalg.eigvalsh(high - value)[0] > 0
        low, high = mean_bounds(np.full((4, 4), 5.0), np.full((4, 4), 0.3), plane)
        np.testing.assert_allclose(low, high)
    assert not mean_bounds(np.array([[0.0, 1.0]]), np.full((1, 2), 0.3), "strain")[0].any()


def test_sigma_of_the_hottest_place():
    """Joule heat in copper above oxide, cold below, the edge moved: the heat, where it is and its way. What warmth does to the
    resistivity is left out, a few percent here."""
    foretold(lambda s: coupled(s, "left,right", 1e-3, "bottom", "left x,bottom y", "strain"), lambda facts: facts["highest_temperature_rise"], rel=0.08)


@pytest.mark.parametrize("cold, rel", [(["bottom"], 1e-3), (["left", "right", "top", "bottom"], 0.05)])
def test_hottest_place_as_its_edge_moves(cold, rel):
    """Cold below the hottest place is at the top; cold all round it lies on the edge itself, where the adjoint is singular."""
    def settled(at):
        one = Sample(stack(at), PHASE, [["SiO2"], ["Cu"]], np.ones(3), (PX, PX), Library(["Cu.temperature_coefficient_per_k=0"]))
        held = np.zeros((2, 41, 33), bool)
        held[0, :at + 1, 0] = held[1, :at + 1, -1] = True
        heater = _Heater(one, conductivity(one).value[one.objects], held, 1e-3, cold)
        heater.settle()
        return heater
    rises = [settled(at).temperature.max() for at in (24, 26)]
    edges = find_edges(stack(25), 1.0)
    assert hottest_changes(settled(25), edges)[edges.outer == 2].sum() == pytest.approx((rises[1] - rises[0]) / 2, rel=rel)
