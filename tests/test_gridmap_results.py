"""What a simulation tells: distributions, worst hours, the control variate, rare regions by importance sampling."""



import numpy as np
import pandas as pd
import pytest
import rts79
from test_gridmap_simulate import agrees, single_a, three_nodes, units, with_store

from gridmap import InputError
from gridmap.adequacy import System, exact, simulate, simulate_rare, spread


def test_the_copper_plate_is_exact():
    """One area: the control variate explains everything, so that the answer is the convolution's whatever was drawn."""
    load = rts79.load()[8400:8568]
    system = System(["A"], load[:, None], rts79.units().assign(region="A"))
    got, want = simulate(system, 200), exact(rts79.units(), load)
    assert got.expected == pytest.approx((want.lole_hours, want.eue_mwh * 1000), rel=1e-9)
    for name in ("lole_hours", "eue_mwh", "neue_ppm"):
        found = got.system.controlled(name)
        assert found.value == pytest.approx(getattr(want, name), rel=1e-9) and found.error < 1e-6 * found.value
        assert getattr(got.system, name).error > .05 * getattr(want, name)


def test_the_control_variate_helps_where_lines_bind():
    """PRAS's three regions with lines of 8 MW: right within its own error, which is smaller than the plain one."""
    got = simulate(three_nodes(8.0), 20_000, seed=1)
    assert got.expected == pytest.approx((1.17877, 11732.76), rel=1e-5)
    for name, want in (("lole_hours", 1.3756), ("eue_mwh", 12.12885)):
        found, plain = got.system.controlled(name), getattr(got.system, name)
        agrees(found, want)
        assert found.error < .6 * plain.error
    few = simulate(three_nodes(8.0), 100_000, seed=1, relative_error=.02, control=True)
    assert few.samples < .5 * simulate(three_nodes(8.0), 100_000, seed=1, relative_error=.02).samples


def test_no_control_where_nothing_is_known():
    rates = pd.DataFrame({"cold": np.linspace(.1, .3, 4)})
    system = System("A", np.full((4, 1), 15.0), units(("G", "A", 10), ("H", "A", 10), season="cold"), rates=rates)
    got = simulate(system, 100)
    assert got.expected is None and got.system.controlled("eue_mwh") == got.system.eue_mwh


def test_stores_leave_the_copper_plate_alone():
    got = simulate(with_store(), 20_000, seed=1)
    want = exact(dict(capacity_mw=[10.0], forced_outage_rate=[.1]), [8.0, 9])
    assert got.expected == pytest.approx((want.lole_hours, want.eue_mwh * 1000))
    assert got.plate.mean(0) == pytest.approx(got.expected, rel=.05)
    agrees(got.system.controlled("eue_mwh"), 1.5542)
    assert got.system.controlled("eue_mwh").error < got.system.eue_mwh.error


def test_distributions_by_hand():
    """One unit of 5 MW that never works from hour 2 to 4 and a load of 4, 7 and 12 MW then: known spells and depths."""
    load = np.array([[1.0, 1, 4, 7, 12, 1, 1, 3, 1]]).T
    ratings = pd.DataFrame({"G": [5.0, 5, 0, 0, 0, 5, 5, 0, 5]})
    got = simulate(System("A", load, units(("VG", "A", 5)).assign(name="G", forced_outage_rate=0), ratings=ratings), 10).system
    spells, depths = got.distribution("duration_h"), got.distribution("depth_mw")
    np.testing.assert_allclose(spells[["from", "upto", "a_year", "error"]], [[1, 2, 1, 0], [3, 4, 1, 0]])
    np.testing.assert_allclose(depths[["from", "upto", "a_year", "error"]], [[2, 5, 2, 0], [5, 10, 1, 0], [10, 20, 1, 0]])
    np.testing.assert_allclose(got.eue_hour_error, 0, atol=1e-3)


def test_distributions_have_the_errors_of_their_samples():
    result = simulate(three_nodes(8.0), 1000, seed=2)
    for place in [result[p] for p in result.places]:
        depths, spells = place.distribution("depth_mw"), place.distribution("duration_h")
        assert depths["a_year"].sum() == pytest.approx(place.lole_hours.value)
        assert spells["a_year"].sum() == pytest.approx(place.lolf.value)
    # a class by itself: hours of exactly one spell length are independent of how samples are divided
    again = [simulate(three_nodes(8.0), 1000, seed=s).system.distribution("depth_mw").set_index("from")["a_year"] for s in range(3, 23)]
    table = result.system.distribution("depth_mw").set_index("from")
    for at in (2.0, 5.0, 10.0):
        assert np.std([a[at] for a in again], ddof=1) == pytest.approx(table.loc[at, "error"], rel=.5)
    system = result.system
    shortage = [simulate(three_nodes(8.0), 1000, seed=s).system.eue_hour_mwh for s in range(3, 23)]
    np.testing.assert_allclose(np.std(shortage, axis=0, ddof=1), system.eue_hour_error, rtol=.5)


def test_worst_hours_whatever_the_blocks(monkeypatch):
    system = three_nodes(8.0)
    want = simulate(system, 2000, seed=7)
    table = want.worst_hours()
    assert len(table) == 100 and (table["unserved_mw"].diff().dropna() <= 0).all()
    np.testing.assert_allclose(table[list("ABC")].sum(axis=1), table["unserved_mw"])
    assert table["unserved_mw"].iloc[0] * 1000 == want.totals[:, -1, 5].max()
    row = table.iloc[0]
    assert want.totals[int(row["sample"]), -1, 5] == row["unserved_mw"] * 1000
    monkeypatch.setattr(spread, "BLOCK", 100)
    pd.testing.assert_frame_equal(simulate(system, 2000, seed=7).worst_hours(), table)


def reliable(lines=False):
    """Two regions of twelve units; a shortage needs five or more out at .02: one hour in ten thousand or less."""
    table = pd.DataFrame(dict(region=["A", "B"] * 12, capacity_mw=10.0, forced_outage_rate=.02, mttr_h=1 / .98))
    line = pd.DataFrame(dict(tail=["A"], head=["B"], forward_mw=[15.0], backward_mw=[15.0], forced_outage_rate=.01 if lines else 0.0))
    return System("AB", np.full((48, 2), 95.0), table, line)


def by_convolution(system, fails):
    """(LOLP, EUE of an hour) of the two regions: every number of units out on either side, line in or out."""
    from scipy.stats import binom
    lolp, eue = 0.0, 0.0
    for line, chance in ((15.0, 1 - fails), (0.0, fails)):
        for a in range(13):
            for b in range(13):
                own = np.array([95 - 120 + 10 * a, 95 - 120 + 10 * b])
                lack = max(own[0] + own[1], own[0] - line, own[1] - line, 0.0)
                p = chance * binom.pmf(a, 12, .02) * binom.pmf(b, 12, .02)
                lolp, eue = lolp + p * (lack > 0), eue + p * lack
    return lolp, eue


@pytest.mark.parametrize("lines", [False, True])
def test_rare_shortages(lines):
    system = reliable(lines)
    lolp, eue = by_convolution(system, .01 if lines else 0.0)
    got = simulate_rare(system, 2000, seed=1)
    assert lolp < 2e-4 and got.tilt > 1
    for name, want in (("lole_hours", 48 * lolp), ("eue_mwh", 48 * eue), ("lole_days", 2 * lolp)):
        found = got.estimate("system", name)
        agrees(found, want)
        assert name == "lole_days" or found.error < .1 * want
    plain = simulate(system, 2000, seed=1, sequential=False).system
    assert got.estimate("system", "eue_mwh").error < .4 * plain.eue_mwh.error
    row = got.table().set_index("place").loc["system"]
    assert 50 < row["effective_hours"] <= row["hours_drawn"] and row["effective_hours"] > 5 * row["hours_expected"]


def test_a_tilt_of_one_is_plain_sampling_and_any_tilt_is_right():
    plain, one = simulate(three_nodes(8.0), 500, seed=3, sequential=False), simulate_rare(three_nodes(8.0), 500, seed=3, tilt=1)
    np.testing.assert_allclose(one.sums[..., 1], plain.totals[..., 1] / 1000)
    np.testing.assert_allclose(one.effective, one.drawn)
    for tilt, regions in ((2.0, None), (3.0, ["B"])):
        got = simulate_rare(three_nodes(8.0), 40_000, seed=3, tilt=tilt, regions=regions)
        agrees(got.estimate("system", "lole_hours"), 1.3756)
        agrees(got.estimate("system", "eue_mwh"), 12.12885)


@pytest.mark.parametrize("system, more, words", [
    (with_store(), {}, "leave out storage"), (single_a(), dict(tilt=.5), "a factor from 1 to 1000"), (single_a(), dict(regions=["Q"]), "region 'Q' is none"),
    (single_a(), dict(place="Q"), "'Q' is no region"),
])
def test_bad_wishes_for_the_rare(system, more, words):
    with pytest.raises(InputError, match=words):
        simulate_rare(system, 10, **more)
