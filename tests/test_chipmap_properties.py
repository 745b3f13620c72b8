"""Numbers of a run: the table's, the user's, those of thin metal; every one reported with its source."""

import numpy as np
import pytest

from chipmap import InputError, materials, size_effect
from chipmap.properties import Library, Sample


def sample(settings=(), thickness_m=None, width=(50e-9, 1e-6, 1e-6)):
    return Sample(np.array([[0, 1, 2]]), np.array([0, 0, 1]), [["Cu"], ["SiO2"]], np.array(width), (1e-9, 1e-9), Library(settings), thickness_m)


def test_the_table_stands_where_nothing_is_set():
    own = Library()
    table = materials.property_of("Cu", "thermal_conductivity")
    assert own.fact("copper", "thermal_conductivity") == table
    row = own.report()[0]
    assert (row["material"], row["value"], row["source"], row["checked"]) == ("Cu", table.value, table.source, table.checked)


def test_what_is_set_wins_and_says_so(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("[Cu]\nthermal_conductivity = [300, 320, 340]\n[SiO2]\nyoungs_modulus = 72\n")
    own = Library([str(file), "Cu.resistivity=2e-8"])
    assert own.spread(["Cu"], "thermal_conductivity_w_mk") == (320, 300, 340)
    assert own.spread(["Cu"], "resistivity_ohm_m") == (2e-8, 2e-8, 2e-8)
    assert own.fact("SiO2", "youngs_modulus_gpa").value == 72
    assert {row["source"] for row in own.report()} == {"user"}
    assert Library(["Cu.resistivity=2e-8", "Cu.resistivity=3e-8"]).fact("Cu", "resistivity").value == 3e-8


@pytest.mark.parametrize("text, word", [("Cu.resistivity", "can't be read"), ("Cu=3", "can't be read"), ("Cu.resistivity=abc", "can't be read"),
                                        ("Cu.colour=3", "unknown"), ("Coper.resistivity=3", "did you mean"), ("Cu.resistivity=-1", "below zero"),
                                        ("Cu.resistivity=3,2,1", "order"), ("Cu.resistivity=nan", "finite"), ("SiO2.specularity=0.1", "size_effect.csv"),
                                        ("nothing.toml", "TOML")])
def test_settings_that_cannot_be_used(text, word):
    with pytest.raises(InputError, match=word):
        Library([text])


def test_a_missing_property_names_the_remedy():
    with pytest.raises(InputError, match="--set Cu.relative_permittivity_1=NUMBER|--set Cu.relative_permittivity=NUMBER"):
        Library().fact("Cu", "relative_permittivity")


def test_narrow_lines_resist_more_and_carry_less_heat():
    bulk, thin = sample().resistivity(), sample(thickness_m=90e-9).resistivity()
    expected = size_effect.resistivity("Cu", np.array([50e-9, 1e-6]), 90e-9)
    np.testing.assert_allclose(thin.value[:2], expected.value)
    np.testing.assert_allclose(thin.high[:2], expected.high)
    assert thin.value[0] > 1.5 * bulk.value[0] and thin.value[2] == bulk.value[2]
    k = sample(thickness_m=90e-9).thermal_conductivity()
    assert k.value[0] == pytest.approx(size_effect.LORENZ * 300 / thin.value[0])
    assert k.value[0] < k.value[1] <= sample().thermal_conductivity().value[1]
    assert (k.low <= k.value).all() and (k.value <= k.high).all()


def test_the_size_effect_gives_way_to_the_user():
    set_outright = sample(["Cu.resistivity=2e-8"], 90e-9).resistivity()
    np.testing.assert_array_equal(set_outright.value[:2], 2e-8)
    smooth = sample(["Cu.specularity=1", "Cu.reflection=0"], 90e-9)
    assert smooth.resistivity().value[0] == pytest.approx(size_effect.metals()["Cu"].resistivity_ohm_m)
    rows = {row["property"]: row for row in smooth.properties.report()}
    assert rows["thin film: specularity"]["source"] == "user" and rows["thin film: mean_free_path_nm"]["source"].startswith("Gall16")


def test_a_void_has_no_stiffness():
    assert Library().fact("void", "youngs_modulus").value == 0
