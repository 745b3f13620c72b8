"""What is no picture, no size, no terminal and no tolerance is refused in one sentence that says what, and what to give."""

import numpy as np
import pytest

from chipmap import InputError
from chipmap.solve import (
    capacitance,
    conductance,
    effective_conductivity,
    effective_stiffness,
    resistance,
    thermal_resistance,
    thermal_stress,
)

K = np.ones((6, 7))
TERMINALS = np.zeros((6, 7), int)
TERMINALS[0, :2], TERMINALS[5, 4:] = 1, 2
NU, ALPHA = np.full((6, 7), 0.3), np.full((6, 7), 1e-6)
CALLS = {"conductance": conductance, "effective_conductivity": effective_conductivity, "resistance": lambda k, **how: resistance(k, TERMINALS, **how),
         "capacitance": lambda k, **how: capacitance(k, TERMINALS, **how), "effective_stiffness": lambda k, **how: effective_stiffness(k, NU, **how),
         "thermal_stress": lambda k, **how: thermal_stress(k, NU, ALPHA, 100.0, fixed=["bottom"], **how)}


def with_one(value, picture=K):
    picture = picture.copy()
    picture[2, 3] = value
    return picture


def refused(call, words=None):
    with pytest.raises(InputError, match=words) as problem:
        call()
    assert "\n" not in str(problem.value) and ":" in str(problem.value)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bad", [
    with_one(-1.0), with_one(np.nan), with_one(np.inf), 0 * K, K + 1j, K > 0, np.zeros((0, 7)), np.ones(7), np.ones((2, 6, 7)), 3.0, None, "ones",
    K.astype(str), K.astype(object), [[1, 2], [3]], np.ma.masked_array(K, with_one(2.0) > 1), K.astype("M8[D]"), 1e308 * K, 1e-320 * K],
    ids=["negative", "nan", "inf", "zero", "complex", "bool", "empty", "1-d", "3-d", "scalar", "none", "text", "texts", "objects", "ragged", "masked",
         "dates", "huge", "denormal"])
def test_pictures_that_are_none(name, bad):
    refused(lambda: CALLS[name](bad))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("size", [0, -1.0, np.nan, np.inf, "1nm", None, 1 + 0j, [1, 1], True], ids=str)
def test_sizes_that_are_none(name, size):
    for which in ("dx", "dy"):
        refused(lambda which=which: CALLS[name](K, **{which: size}), f"pixel size {which}")
    refused(lambda: CALLS[name](K, dx=1e-9, dy=1.0), "in one unit")


@pytest.mark.parametrize("call", [resistance, capacitance])
@pytest.mark.parametrize("bad, words", [
    (np.where(TERMINALS == 2, 4, TERMINALS) + 0, "2 of 4 has no pixel"), (TERMINALS > 0, "integers"), (TERMINALS + 0.0, "integers"), (TERMINALS[:, :5], "integers"),
    (TERMINALS[None], "integers"), (None, "integers"), (np.ones_like(TERMINALS), "nothing is fixed"), (with_one(-1, TERMINALS), "below zero"),
    (np.pad(TERMINALS[1:], ((0, 1), (0, 0)), constant_values=1) + np.pad(0 * TERMINALS[1:], ((1, 0), (0, 0))), "touch")])
def test_terminals_that_are_none(call, bad, words):
    refused(lambda: call(K, bad), words)


@pytest.mark.parametrize("call", [
    lambda: resistance(np.where(np.arange(6)[:, None] == 3, 0.0, K), TERMINALS), lambda: resistance(0 * K, TERMINALS), lambda: capacitance(with_one(0.0), TERMINALS),
    lambda: capacitance(K, TERMINALS, floating=[9]), lambda: capacitance(K, TERMINALS, floating=1), lambda: capacitance(K, TERMINALS, floating="1"),
    lambda: capacitance(K, TERMINALS, margin=-1), lambda: capacitance(K, TERMINALS, margin=2.5), lambda: capacitance(K, TERMINALS, margin=np.nan),
    lambda: capacitance(K, TERMINALS, margin=4, outside=0), lambda: capacitance(K, TERMINALS, margin=4, outside=np.nan),
    lambda: conductance(K, 2), lambda: conductance(K, "x"), lambda: effective_conductivity(K, boundary="open"),
    *(lambda t=t: conductance(with_one(5.0), tolerance=t) for t in (0, -1, 2, np.nan, "a")),
    lambda: conductance(K, confidence=K[:3]), lambda: conductance(K, confidence=2 * K), lambda: resistance(K, TERMINALS, confidence="a"),
    lambda: conductance(K, confidence=0.9 * K, samples=-1), lambda: conductance(K, confidence=0.9 * K, correlated=0),
    *(lambda nu=nu, plane=plane: effective_stiffness(K, nu, plane=plane) for nu in (0.6, -1, np.nan, "a", None, NU[:3], NU + 0j) for plane in ("strain", "stress")),
    lambda: effective_stiffness(K, 0.5), lambda: thermal_stress(K, 0.5 * K, ALPHA, 1.0),
    *(lambda a=a: thermal_stress(K, NU, a, 1.0) for a in (None, np.nan, "a", ALPHA[:3], with_one(np.inf), ALPHA + 0j, np.ones((2, 6, 7)))),
    *(lambda a=a: thermal_stress(K, NU, ALPHA, a) for a in (None, np.nan, "a", ALPHA[:3], with_one(np.nan), ALPHA + 0j)),
    lambda: effective_stiffness(K, NU, plane="axi"), lambda: thermal_stress(K, NU, ALPHA, 1.0, fixed=["north"]), lambda: thermal_stress(K, NU, ALPHA, 1.0, fixed=["left z"]),
    lambda: thermal_stress(K, NU, ALPHA, 1.0, fixed=[1]),
    lambda: thermal_resistance(K, np.where(TERMINALS == 1, np.nan, 0.0)), lambda: thermal_resistance(K, 0 * TERMINALS), lambda: thermal_resistance(K, TERMINALS == 1, cold=()),
    lambda: thermal_resistance(K, TERMINALS == 1, film={"top": -1.0}), lambda: thermal_resistance(K, TERMINALS == 1, cold="north")])
def test_other_questions_that_are_none(call):
    refused(call)


def test_what_is_not_read_may_be_anything():
    """Inside terminals no conductivity is read, in voids no Poisson's ratio and no expansion."""
    inside = np.where(TERMINALS > 0, np.nan, K)
    assert resistance(inside, TERMINALS).value[0, 1] == pytest.approx(resistance(K, TERMINALS).value[0, 1], rel=1e-12)
    sheet = effective_stiffness(2 * K, 0.5, plane="stress").value                  # incompressible, but free to thin
    np.testing.assert_allclose(sheet, 2 / 0.75 * np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 0.25]]), atol=1e-12)
    void = with_one(0.0)
    got = thermal_stress(void, with_one(0.5, NU), with_one(np.nan, ALPHA), 10.0, fixed="left")
    np.testing.assert_array_equal(got.stress, thermal_stress(void, NU, ALPHA, 10.0, fixed="left").stress)
