"""Exact indices of one area against published systems and against every state enumerated."""

import itertools

import numpy as np
import pandas as pd
import pytest
import rts79

from gridmap import InputError
from gridmap.adequacy import efc, elcc, exact

THREE = dict(capacity_mw=[10.0] * 3, forced_outage_rate=[.1] * 3)
NET = np.array([25, 28, 27, 24.0]) - np.array([5, 6, 7, 8.0])  # load less wind
FOURTH = dict(capacity_mw=[10.0], forced_outage_rate=[.1])


def test_rts79():
    """IEEE RTS-79: published 9.39418 h/y, 1.36886 d/y, 1,176 MWh (the load file rounds to 1e-8 of the peak)."""
    got = exact(rts79.units(), rts79.load())
    assert got.lole_hours == pytest.approx(9.394175, abs=5e-7)
    assert got.lole_days == pytest.approx(1.368863, abs=5e-7)
    assert got.eue_mwh == pytest.approx(1176.298, abs=5e-4)
    assert got.neue_ppm == pytest.approx(76.897, abs=5e-4)
    assert got.lolp.max() == pytest.approx(0.084578, abs=5e-7)
    assert got.mean_duration_h == pytest.approx(got.lole_hours / got.lolf)


def test_three_units_and_wind():
    """The single-node system of PRAS: LOLE 0.355, EUE 1.59."""
    got = exact(THREE, NET)
    np.testing.assert_allclose(got.lolp, [.028, .271, .028, .028], rtol=1e-12)
    np.testing.assert_allclose(got.eue_hour_mwh, [.29, .832, .29, .178], rtol=1e-12)
    assert got.lole_hours == pytest.approx(.355) and got.lole_days == pytest.approx(.271) and got.lolf is None


def test_what_a_fourth_unit_is_worth():
    """PRAS brackets: 8 to 9 MW of firm capacity, 7 to 8 MW of load."""
    firm, carried = efc(THREE, NET, FOURTH), elcc(THREE, NET, FOURTH)
    assert 8 < firm < 9 and 7 < carried < 8
    four = {k: v + FOURTH[k] for k, v in THREE.items()}
    assert exact(four, NET + carried).eue_mwh == pytest.approx(exact(THREE, NET).eue_mwh, abs=2e-3)
    assert exact(THREE, NET - firm).eue_mwh == pytest.approx(exact(four, NET).eue_mwh, abs=2e-3)


def test_derated_states_and_planned_outages_equal_enumeration():
    units = pd.DataFrame(dict(capacity_mw=[12.5, 40, 7.25], forced_outage_rate=[.1, .2, .05], derated_mw=[6.25, 10, 0], derated_rate=[.2, .1, 0]))
    load, planned = np.array([20.0, 45, 57, 12]), np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]], bool)
    got = exact(units, load, planned)
    want = np.zeros((2, 4))
    for state in itertools.product(range(3), repeat=3):
        left = [(u.capacity_mw, 0, u.derated_mw)[m] for u, m in zip(units.itertuples(), state, strict=True)]
        chance = np.prod([(1 - u.forced_outage_rate - u.derated_rate, u.forced_outage_rate, u.derated_rate)[m]
                          for u, m in zip(units.itertuples(), state, strict=True)])
        lack = load - (~planned * left).sum(1)
        want += chance * np.stack([lack > 1e-9, np.maximum(lack, 0)])
    np.testing.assert_allclose([got.lolp, got.eue_hour_mwh], want, atol=1e-12)


def test_how_often_by_hand():
    """Two units, a load that steps up once a day: failures that bring shortage on in either half, and the step."""
    units = dict(capacity_mw=[10.0, 10], forced_outage_rate=[.1, .1], mttf_h=[90.0, 90], mttr_h=[10.0, 10])
    load = np.array([5.0] * 12 + [15.0] * 12)
    # short with any unit out in the second half, with both out in the first; the load rises once a day
    p1, p2 = 1 - .81, .01
    per_day = 12 * (2 * .9 * .1 / 90) + 12 * (.81 * 2 / 90) + (p1 - p2) + p2
    assert exact(units, load).lolf == pytest.approx(per_day, rel=1e-12)


@pytest.mark.parametrize("change, words", [
    (dict(forced_outage_rate=[.1, 1.2, .1]), "row 1: forced_outage_rate is 1.2"),
    (dict(forced_outage_rate=[.1, np.nan, .1]), "row 1: forced_outage_rate is nan"),
    (dict(capacity_mw=[10.0, 10, -1]), "row 2: capacity_mw is -1"),
    (dict(mttf_h=[9.0] * 3, mttr_h=[1.0, 0, 1]), "row 1: mttr_h is 0"),
    (dict(derated_mw=[11.0] * 3, derated_rate=[.1] * 3), "row 0: derated_mw is 11"),
])
def test_bad_units_are_named(change, words):
    with pytest.raises(InputError, match=words):
        exact({**THREE, **change}, NET)


def test_bad_load_is_named():
    with pytest.raises(InputError, match="load, hour 1: nan"):
        exact(THREE, [1.0, np.nan])
    with pytest.raises(InputError, match="planned outages have shape"):
        exact(THREE, NET, np.zeros((2, 3), bool))
