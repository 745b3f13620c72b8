"""Exact indices of one area against published systems and against every state enumerated."""

import itertools

import numpy as np
import pandas as pd
import pytest
import rts79

from gridmap import InputError
from gridmap.adequacy import efc, elcc, exact, outage_table

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
    (dict(forced_outage_rate=[.1, -.1, .1]), "row 1: forced_outage_rate is -0.1"),
    (dict(forced_outage_rate=[.1, "often", .1]), "row 1: forced_outage_rate is 'often'"),
    (dict(count=[1, 1.5, 1]), "row 1: count is 1.5"),
    (dict(states=[[], [], [(5, .95)]]), "row 2: states"),
    (dict(states=[[], [(11, .1)], []]), "row 1: states are"),
    (dict(capacity_mw=[10.0, 10, -1]), "row 2: capacity_mw is -1"),
    (dict(mttf_h=[9.0] * 3, mttr_h=[1.0, 0, 1]), "row 1: mttr_h is 0"),
    (dict(derated_mw=[11.0] * 3, derated_rate=[.1] * 3), "row 0: derated_mw is 11"),
])
def test_bad_units_are_named(change, words):
    with pytest.raises(InputError, match=words):
        exact({**THREE, **change}, NET)


@pytest.mark.parametrize("units, words", [
    (5, "units are int, which is no table"), ("units.csv", "units are str, which is no table"), ({}, "units are empty"), ([], "units are empty"),
    ([["G", "A"]], "rows of other things than numbers"), (np.ones((2, 3)), "array of shape"), (dict(capacity_mw=[1]), "no column forced_outage_rate"),
    (dict(capacity_mw=[1], forced_outage_rate=[.1], count=[0]), "all counts are 0"), (dict(capacity_mw=[1], forced_outage_rate=[.1], derated_mw=[0]), "one of derated_mw"),
])
def test_what_is_no_table(units, words):
    with pytest.raises(InputError, match=words):
        exact(units, [1.0])


def test_a_unit_that_never_works_never_fails():
    assert exact(dict(capacity_mw=[10], forced_outage_rate=[1.0], mttr_h=[5]), [5, 5, 5]).lolf == 1


def test_odd_numbers_against_every_state():
    """Sizes to the kW, rates of 0 and 1, loads equal to what some units give together."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = rng.integers(1, 8)
        mw, q, load = np.round(rng.uniform(0, 50, n), rng.integers(0, 4)), rng.choice([0, 1, .1, .3, .05], n), np.round(rng.uniform(0, 120, 6), rng.integers(0, 4))
        load[:3] = mw[:rng.integers(1, n + 1)].sum()
        got, want = exact(dict(capacity_mw=mw, forced_outage_rate=q), load), np.zeros((2, 6))
        for out in itertools.product((False, True), repeat=n):
            lack = load - round(mw[~np.array(out)].sum(), 6)
            want += np.where(out, q, 1 - q).prod() * np.stack([lack > 1e-9, np.maximum(lack, 0)])
        np.testing.assert_allclose([got.lolp, got.eue_hour_mwh], want, atol=1e-9)


def test_bad_load_is_named():
    with pytest.raises(InputError, match="load, hour 1: nan"):
        exact(THREE, [1.0, np.nan])
    with pytest.raises(InputError, match="planned outages have shape"):
        exact(THREE, NET, np.zeros((2, 3), bool))
    with pytest.raises(InputError, match="load, hour 1: -3 MW is negative; give MW from 0 up, wind and sun apart as weather"):
        exact(THREE, [1.0, -3])
    with pytest.raises(InputError, match="weather has 3 hours and load 4"):
        exact(THREE, NET, weather=[1, 2, 3])


def hourly(values, zone="UTC", first="2023-03-01"):
    return pd.Series(values, pd.date_range(first, periods=len(values), freq="h", tz=zone))


@pytest.mark.parametrize("weather, words", [
    (hourly(np.ones(4), "US/Eastern"), "weather is in time zone US/Eastern and load in UTC; convert both to UTC"),
    (hourly(np.ones(3)), "weather has 3 hours from 2023-03-01"),
    (hourly(np.ones(4), first="2023-03-02"), "give both the same hours"),
    (hourly(np.ones(5)).drop(pd.Timestamp("2023-03-01T02:00Z")), "row 2: 2023-03-01 03:00:00.00:00 comes after 2023-03-01 01"),
])
def test_times_must_agree(weather, words):
    with pytest.raises(InputError, match=words):
        exact(THREE, hourly(NET), weather=weather)


@pytest.mark.parametrize("kind", [pd.DataFrame, lambda t: t, lambda t: pd.DataFrame(t).to_dict("records"), lambda t: pd.DataFrame(t).to_records(index=False),
                                  lambda t: np.column_stack(list(t.values())), lambda t: np.column_stack(list(t.values())).tolist()])
def test_kinds_of_tables(kind):
    assert exact(kind(THREE), list(NET)).eue_mwh == pytest.approx(1.59)


def test_rts79_by_other_columns():
    """Rows with a count, rates from mean times, mean times from rates: the same system."""
    units, want = rts79.units(), exact(rts79.units(), rts79.load())
    few = units.value_counts(sort=False).reset_index()
    for table in (few, units[["capacity_mw", "mttf_h", "mttr_h"]], units.drop(columns="mttf_h"), units.drop(columns="mttr_h")):
        got = exact(table, rts79.load())
        for name in ("lole_hours", "eue_mwh", "lolf"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-9)
    assert exact(units[["capacity_mw", "forced_outage_rate"]], [2850.0]).eue_mwh == pytest.approx(14.6937, abs=5e-5)


def test_weather_comes_off_the_load():
    got = exact(THREE, [25, 28, 27, 24.0], weather=[5, 6, 7, 8])
    assert got.eue_mwh == pytest.approx(1.59) and got.neue_ppm == pytest.approx(1.59e6 / 104)
    assert elcc(THREE, [25, 28, 27, 24.0], FOURTH, weather=[5, 6, 7, 8]) == elcc(THREE, NET, FOURTH)
    # what the wind is worth: as much load as it lets the area carry
    mw = elcc(THREE, [25, 28, 27, 24.0], np.array([5, 6, 7, 8.0]))
    before = exact(THREE, [25, 28, 27, 24.0]).eue_mwh
    assert 5 < mw < 8 and exact(THREE, NET + mw).eue_mwh <= before < exact(THREE, NET + mw + .01).eue_mwh


def test_outage_table_by_hand():
    """Two of 10 MW at .1 and .2: 0, 10 or 20 out."""
    got = outage_table(dict(capacity_mw=[10, 10], forced_outage_rate=[.1, .2], mttr_h=[1, 1]))
    np.testing.assert_allclose(got["probability"], [.72, .26, .02], rtol=1e-12)
    np.testing.assert_allclose(got["at_least"], [1, .28, .02], rtol=1e-12)
    assert list(got["out_mw"]) == [0, 10, 20]
    # into "20 out": either fails while the other is out, at the rate of the other's return
    np.testing.assert_allclose(got["often_per_h"][1:], [.72 * (.1 / .9 + .2 / .8), .02 * 2], rtol=1e-12)


def test_how_often_with_derated_states():
    """Every state of two units with two derated levels, as a Markov chain: the flow from covered to short."""
    units = pd.DataFrame(dict(capacity_mw=[10.0, 8], forced_outage_rate=[.1, .05], mttr_h=[20.0, 10], states=[[(6, .2), (3, .04)], [(4, .1)]]))
    load = np.array([12.0] * 3 + [15.0] * 2)
    got = exact(units, load)
    chains = []
    for u in units.itertuples():
        mw = np.array([u.capacity_mw, 0, *[m for m, _ in u.states]])
        p = np.array([0, u.forced_outage_rate, *[s for _, s in u.states]])
        p[0] = 1 - p.sum()
        rate = np.zeros((len(p), len(p)))
        rate[1:, 0], rate[0, 1:] = 1 / u.mttr_h, p[1:] / p[0] / u.mttr_h
        chains.append((mw, p, rate))
    (m1, p1, r1), (m2, p2, r2) = chains
    flow = 0.0
    for mw in load:
        for i, j in itertools.product(range(4), range(3)):
            if m1[i] + m2[j] < mw:
                continue
            flow += sum(p1[i] * p2[j] * r1[i, k] for k in range(4) if m1[k] + m2[j] < mw)
            flow += sum(p1[i] * p2[j] * r2[j, k] for k in range(3) if m1[i] + m2[k] < mw)
    rises = got.lolp[0] + got.lolp[3] - got.lolp[2]
    assert got.lolf == pytest.approx(flow + rises, rel=1e-12)
