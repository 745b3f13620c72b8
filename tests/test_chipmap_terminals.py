"""Current between named terminals against bars worked out by hand, and terminals that can't be used."""

import numpy as np
import pytest

from chipmap import InputError
from chipmap.physics import current
from chipmap.problems import Boundaries, solve_all
from chipmap.properties import Library, Sample

RHO = 2e-8


def comb():
    """A bar of copper, 4 x 30 pixels, with a foot down to the bottom in its middle; an island; oxide around. Object 1: the
    bar, 3: the island."""
    objects = np.zeros((20, 30), int)
    objects[4:8] = 1
    objects[8:, 14:16] = 1
    objects[12:16, 22:26] = 3
    objects[8:, 16:][objects[8:, 16:] == 0] = 2
    objects[8:, :14] = 4
    return Sample(objects, np.array([0, 1, 0, 1, 0]), [["SiO2"], ["Cu"]], np.ones(5) * 1e-6, (1e-9, 1e-9), Library([f"Cu.resistivity={RHO}"]))


def test_three_terminals_obey_the_star():
    answer, _ = current(comb(), "left,right,bottom", 1e-3)
    resistance = np.array(answer.facts["resistance"]["value"])
    assert resistance == pytest.approx(resistance.T) and (np.diag(resistance) == 0).all()
    assert resistance[0, 1] == pytest.approx(RHO * 30 / 4, rel=0.05)     # a straight bar; the foot widens it a little
    assert resistance[0, 1] < RHO * 30 / 4
    assert resistance[0, 2] == pytest.approx(resistance[1, 2])
    assert resistance[0, 2] < resistance[0, 1] + resistance[1, 2]
    G = np.array(answer.facts["conductance_matrix"]["value"])
    np.testing.assert_allclose(G.sum(axis=1), 0, atol=1e-7 * np.abs(G).max())
    energy = answer.facts["energy"]
    assert energy["dissipated_w_m"] == pytest.approx(energy["v_times_i_w_m"], rel=1e-8)
    upper = np.array(answer.facts["resistance"]["upper"])
    assert (upper >= resistance * (1 - 1e-12)).all() and (upper < 1.2 * resistance + 1e-30).all()
    low = np.array(answer.facts["conductance_matrix"]["lower"])
    assert np.linalg.eigvalsh(G - low)[0] > -1e-9 * np.abs(G).max() and low[0, 0] == answer.facts["first_against_the_others"]["lower"]


def test_objects_as_terminals_have_bounds_too():
    objects = np.ones((12, 30), int)
    objects[4:8, :5], objects[2:10, 22:27] = 2, 3
    sample = Sample(objects - 1, np.array([1, 1, 1]), [["SiO2"], ["Cu"]], np.ones(3), (1e-9, 1e-9), Library([f"Cu.resistivity={RHO}"]))
    told = current(sample, "1,2,bottom")[0].facts["resistance"]
    lower, upper = np.array(told["lower"]), np.array(told["upper"])
    off = ~np.eye(3, dtype=bool)
    assert (lower[off] < upper[off]).all() and (upper < 1.25 * lower + 1e-30).all()


def test_a_straight_bar_between_sides_is_exact():
    objects = np.zeros((9, 20), int)
    objects[3:6] = 1
    objects[6:] = 2
    bar = Sample(objects, np.array([0, 1, 0]), [["SiO2"], ["Cu"]], np.ones(3), (1e-9, 2e-9), Library([f"Cu.resistivity={RHO}"]), 50e-9)
    answer, _ = current(bar, "left,right", 2e-3)
    assert answer.facts["resistance"]["value"][0][1] == pytest.approx(RHO * 40 / 3, rel=1e-8)
    assert answer.facts["resistance"]["upper"][0][1] == pytest.approx(RHO * 40 / 3, rel=1e-8)
    assert answer.facts["resistance"]["of_the_layer_ohm"][0][1] == pytest.approx(RHO * 40 / 3 / 50e-9, rel=1e-8)
    density = answer.columns["mean_current_density_a_m2"]
    assert density[1] == pytest.approx(2e-3 / 40e-9 / RHO) and np.isnan(density[[0, 2]]).all()
    assert answer.columns["current_crowding"][1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("names, words", [("left", "at least two"), ("left,up", "neither a side"), ("left,99", "neither a side"), ("left,left", "named twice"),
                                          ("left,0", "insulator"), ("left,top", "meets no conductor"), ("left,1", "touch at row"),
                                          ("left,3", "no conductor joins")])
def test_terminals_that_cannot_be_used(names, words):
    with pytest.raises(InputError, match=words):
        current(comb(), names)


def test_islands_are_named_and_nets_found():
    answers = solve_all(("current",), comb(), Boundaries(terminals="left,right"), _no_clock)
    np.testing.assert_array_equal(answers["current"].columns["net"], [-1, 0, -1, 1, -1])
    assert answers["current"].facts["islands"]["objects"] == [3]
    assert "3" in answers["current"].note and "no terminal" in answers["current"].note


def _no_clock(name):
    import contextlib
    return contextlib.nullcontext()
