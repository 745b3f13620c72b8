"""Monte Carlo against exact answers: published small systems, every state enumerated, RTS-79; and the same numbers always."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import rts79
from cukernels import residual_deficit

from gridmap import InputError
from gridmap.adequacy import System, exact, paired, simulate, solver, spread
from gridmap.adequacy.tally import Tally

INDEPENDENT = dict(forced_outage_rate=.1, mttr_h=1 / .9)  # fails with chance .1, returns with .9: every hour anew


def units(*rows, **more):
    """(name, region, MW) of units that fail a tenth of the time; "VG" never fails."""
    table = pd.DataFrame(rows, columns=["name", "region", "capacity_mw"]).assign(**INDEPENDENT, **more)
    table.loc[table["name"].str.startswith("VG"), "forced_outage_rate"] = 0.0
    return table


def agrees(estimate, want, errors=3):
    assert abs(estimate.value - want) <= errors * estimate.error, (estimate, want)


def single_a():
    rows = [(f"G{i}", "A", 10) for i in range(3)] + [("VG", "A", 8)]
    return System(["A"], np.array([[25, 28, 27, 24.0]]).T, units(*rows), ratings=pd.DataFrame({"VG": [5, 6, 7, 8]}))


def three_nodes(limit):
    load = np.array([[19, 20, 21, 20], [20, 21, 21, 22], [22, 21, 23, 22.0]]).T
    rows = [("G1", "A", 10), ("VGA", "A", 4), ("G2", "B", 10), ("G3", "B", 10), ("VGB", "B", 6), ("G4", "C", 15), ("G5", "C", 25), ("VGC", "C", 2)]
    ratings = pd.DataFrame({"VGA": [4, 3, 2, 3], "VGB": [6, 5, 3, 4], "G4": [10, 10, 15, 10], "G5": [20, 20, 25, 20], "VGC": [2, 1, 2, 1]})
    ends = dict(tail=["A", "A", "B"], head=["B", "C", "C"])
    caps = pd.DataFrame({**ends, "forward_mw": 100.0, "backward_mw": 100.0})
    return System("ABC", load, units(*rows), pd.DataFrame({**ends, "forward_mw": limit, "backward_mw": limit}), caps, ratings=ratings)


def two_regions():
    line = pd.DataFrame(dict(tail=["A"], head=["B"], forward_mw=[8.0], backward_mw=[8.0], **INDEPENDENT))
    return System("AB", np.array([[8, 9.0]]), units(("G1", "A", 15), ("G2", "B", 15)), line)


def everything():
    """Derated states, rates by the hour, lines that fail, a battery, a hydro budget and demand that waits."""
    system = three_nodes(8.0)
    table = system.units.assign(states=[((5, .1),) if n in ("G2", "G4") else () for n in system.units["name"]], mttr_h=2.0,
                                season=["cold" if n == "G1" else "" for n in system.units["name"]])
    return dataclasses.replace(
        system, units=table, rates=pd.DataFrame({"cold": [.1, .3, .2, .1]}), corridors=system.corridors.assign(forced_outage_rate=.2, mttr_h=2.0),
        storage=pd.DataFrame(dict(region=["A", "C"], power_mw=[3.0, 2], energy_mwh=[6.0, 4], charge_mw=[3.0, 0], budget=["", "day"], charge_efficiency=.8)),
        responses=pd.DataFrame(dict(region=["B"], power_mw=[2.0], energy_mwh=[3.0], interest=.1)))


def test_published_one_region():
    """PRAS's single-node system A: LOLE .355 = .028 .271 .028 .028, EUE 1.59 = .29 .832 .29 .178."""
    got = simulate(single_a(), 100_000, seed=3).system
    agrees(got.lole_hours, .355)
    agrees(got.eue_mwh, 1.59)
    agrees(got.lold, 1 - (1 - .028) ** 3 * (1 - .271))
    np.testing.assert_allclose(got.lolp, [.028, .271, .028, .028], atol=3 * got.lolp_error.max())
    assert (abs(got.lolp - [.028, .271, .028, .028]) < 3 * got.lolp_error).all()
    np.testing.assert_array_equal(got.lolp.error, got.lolp_error)
    np.testing.assert_allclose(got.eue_hour_mwh, [.29, .832, .29, .178], rtol=.06)


@pytest.mark.parametrize("limit, lole, eue, lolp", [
    (100.0, 1.17877, 11.73276, [.14707, .40951, .21268, .40951]), (8.0, 1.3756, 12.12885, [.14707, .40951, .40951, .40951])])
def test_published_three_regions(limit, lole, eue, lolp):
    """PRAS's three-node system as a copper plate and with lines of 8 MW."""
    got = simulate(three_nodes(limit), 100_000, seed=1).system
    agrees(got.lole_hours, lole)
    agrees(got.eue_mwh, eue)
    assert (abs(got.lolp - lolp) < 3 * got.lolp_error).all()


def test_published_line_that_fails():
    """PRAS's test system 1: LOLE .19, EUE .647; the regions against every state of two units and the line."""
    system = two_regions()
    got = simulate(system, 200_000, seed=2, groups={"both": "AB", "A alone": ["A"]})
    agrees(got.system.lole_hours, .19)
    agrees(got.system.eue_mwh, .647)
    want = np.zeros((2, 2))
    for state in itertools.product((0, 1), repeat=3):
        a, b, line = (np.array(state) == 1) * [15.0, 15, 8]
        found = residual_deficit(np.array([a, b]), np.array([8, 9.0]), np.array([0]), np.array([1]), np.array([line]), np.array([line]))
        want += np.where(state, .9, .1).prod() * np.stack([found.unserved > 0, found.unserved])
    for i, name in enumerate("AB"):
        agrees(got[name].lole_hours, want[0, i])
        agrees(got[name].eue_mwh, want[1, i])
    np.testing.assert_array_equal(got["both"].totals, got.system.totals)
    np.testing.assert_array_equal(got["A alone"].totals, got["A"].totals)


def rts(hours=8736):
    return System(["A"], rts79.load()[:hours, None], rts79.units().assign(region="A"))


def test_rts79():
    want, got = exact(rts79.units(), rts79.load()), simulate(rts(), 20_000, seed=5).system
    for name in ("lole_hours", "lole_days", "eue_mwh", "neue_ppm"):
        agrees(getattr(got, name), getattr(want, name))
    assert got.lolf.value == pytest.approx(want.lolf, rel=.08)  # hour to hour against continuous time
    assert got.lole_hours.value == pytest.approx(got.lolf.value * got.mean_duration_h.value)
    assert got.durations.sum() == got.totals[:, 2].sum() and got.durations @ np.arange(337) == got.totals[:, 0].sum()
    assert got.cvar_mwh.value == pytest.approx(np.sort(got.totals[:, 1])[-1000:].mean() / 1000, rel=1e-3)


@pytest.mark.slow
def test_rts79_at_1e5_years():
    want, got = exact(rts79.units(), rts79.load()), simulate(rts(), 100_000, seed=0).system
    for name in ("lole_hours", "lole_days", "eue_mwh", "neue_ppm"):
        agrees(getattr(got, name), getattr(want, name))


def test_intervals_cover_the_truth():
    """95 % intervals over 200 seeds: 190 of them on average, with a standard deviation of 3.1."""
    load = np.tile(rts79.load()[8400:8568], 4)[:, None]  # the year's tightest week, four times
    want = exact(rts79.units(), load[:, 0])
    hits, system = np.zeros(2, int), System(["A"], load, rts79.units().assign(region="A"))
    for seed in range(200):
        got = simulate(system, 400, seed=seed).system
        hits += [e.low <= w <= e.high for e, w in ((got.lole_hours, want.lole_hours), (got.eue_mwh, want.eue_mwh))]
    assert (hits >= 180).all() and (hits <= 199).all(), hits


def test_every_hour_anew_has_the_same_means():
    a, b = simulate(rts(1000), 4000).system, simulate(rts(1000), 4000, sequential=False).system
    want = exact(rts79.units(), rts79.load()[:1000])
    agrees(b.lole_hours, want.lole_hours)
    agrees(b.eue_mwh, want.eue_mwh)
    assert b.lole_hours.error < .7 * a.lole_hours.error and b.mean_duration_h.value < .7 * a.mean_duration_h.value


@pytest.mark.parametrize("make", [single_a, lambda: three_nodes(8.0), two_regions, everything])
def test_same_numbers_for_any_block_and_any_processors(make, monkeypatch):
    want = simulate(make(), 500, seed=9)
    monkeypatch.setattr(spread, "BLOCK", 150)
    monkeypatch.setattr("cukernels.threads.processors", lambda: 3)
    got = simulate(make(), 500, seed=9)
    for name in ("totals", "count", "kwh", "durations"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))


@pytest.mark.parametrize("make", [lambda: three_nodes(8.0), two_regions, everything])
def test_same_numbers_on_every_device(xp, make):
    want = simulate(make(), 40, seed=4)
    got = simulate(make(), 40, seed=4, device="cpu" if xp is np else "cuda")
    assert want.system.lole_hours.value > 0
    for name in ("totals", "plate", *Tally.SUMS, *Tally.KEPT):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))


def many_regions(R=14):
    """A ring: more regions than sets are enumerated for."""
    rng = np.random.default_rng(0)
    names = [f"r{i}" for i in range(R)]
    table = units(*[(f"u{i}", names[i % R], 10) for i in range(5 * R)])
    ring = pd.DataFrame(dict(tail=names, head=names[1:] + names[:1], forward_mw=4.0, backward_mw=6.0))
    return System(names, rng.integers(38, 48, (6, R)).astype(float), table, ring)


def test_more_regions_by_maximum_flows(monkeypatch):
    """The same system by sets of regions and by maximum flows: totals equal, regions within the rounding to kW."""
    system = many_regions()
    flows = simulate(system, 300, seed=1)
    assert flows.system.lole_hours.value > 1
    small = many_regions(12)
    sets = simulate(small, 300, seed=1)
    monkeypatch.setattr(solver, "MOST_REGIONS", 5)
    flows = simulate(small, 300, seed=1)
    np.testing.assert_array_equal(flows.totals[..., 0], sets.totals[..., 0])
    np.testing.assert_allclose(flows.totals[..., 1], sets.totals[..., 1], atol=6 * 12)  # a kW an hour and region
    np.testing.assert_array_equal(flows.count, sets.count)


def test_stops_at_the_error_asked_for():
    got = simulate(single_a(), 100_000, relative_error=.05)
    assert got.samples < 20_000 and got.system.eue_mwh.error <= .05 * got.system.eue_mwh.value
    again = simulate(single_a(), got.samples)
    np.testing.assert_array_equal(got.totals, again.totals)
    np.testing.assert_array_equal(got.kwh, again.kwh)


def test_ratings_may_hold_for_many_hours():
    by_hour = single_a().ratings.iloc[[0, 0, 2, 2]].reset_index(drop=True)
    a, b = (simulate(System(["A"], single_a().load, single_a().units, ratings=r), 200) for r in (by_hour, by_hour.iloc[[0, 2]]))
    np.testing.assert_array_equal(a.kwh, b.kwh)


def test_paired_differences():
    """One more MW of load everywhere against none: the pairs' error is far below that of two runs, and right."""
    before = single_a()
    more = System(["A"], before.load + 1, before.units, ratings=before.ratings)
    change = paired(simulate(more, 20_000), simulate(before, 20_000)).set_index("place").loc["system"]
    want = exact(dict(capacity_mw=[10.0] * 3, forced_outage_rate=[.1] * 3), np.array([20, 22, 20, 16]) + 1).eue_mwh - 1.59
    assert abs(change["eue_mwh"] - want) < 3 * change["eue_mwh_error"]
    assert change["eue_mwh_error"] < .5 * simulate(before, 20_000).system.eue_mwh.error
    with pytest.raises(InputError, match="draw both alike"):
        paired(simulate(more, 30), simulate(before, 20))


def test_cold_hours_fail_more():
    """A rate of .1, but .6 in hours 20 to 29: the share out follows with the time of repair (chance .9 an hour)."""
    rates = pd.DataFrame({"cold": np.where((np.arange(40) >= 20) & (np.arange(40) < 30), .45, .1)})
    system = System(["A"], np.full((40, 1), 10.0), units(("G", "A", 10), season="cold"), rates=rates)
    got = simulate(system, 40_000, seed=8).system
    chance = .9 * rates["cold"] / (1 - rates["cold"])
    out = [.1]
    for t in range(39):
        out.append(out[-1] * .1 + (1 - out[-1]) * chance[t])
    assert (abs(got.lolp - out) < 4 * got.lolp_error).all() and max(out) > .4


@pytest.mark.parametrize("change, words", [
    (dict(units=units(("G", "Z", 10))), "units, row 0: region is Z"),
    (dict(units=units(("G", "A", -1))), "units, row 0: capacity_mw is -1"),
    (dict(units=units(("G", "A", 10)).assign(forced_outage_rate=1.2)), "forced_outage_rate is 1.2"),
    (dict(units=units(("G", "A", 10)).assign(mttr_h=0.0)), "mttr_h is 0.0; give hours from 1 up"),
    (dict(units=units(("G", "A", 10)).assign(forced_outage_rate=.9)), "it would fail again at once"),
    (dict(units=units(("G", "A", 10)).assign(season="hot")), "season is hot"),
    (dict(units=pd.DataFrame(dict(region=["A"]))), "no column capacity_mw"),
    (dict(load=np.array([[1.0], [np.nan]])), "load, hour 1, A: nan"),
    (dict(load=np.ones((3, 2))), "load has shape"),
    (dict(ratings=pd.DataFrame({"G": [1.0]}, index=[1])), "ratings has 1 rows from hour 1"),
    (dict(ratings=pd.DataFrame({"H": [1.0, 2.0]})), "names no unit or several"),
    (dict(corridors=pd.DataFrame(dict(tail=["A"], head=["A"], forward_mw=1.0, backward_mw=1.0))), "another region than the tail"),
])
def test_bad_systems_are_named(change, words):
    given = dict(regions=["A"], load=np.ones((2, 1)), units=units(("G", "A", 10)))
    with pytest.raises(InputError, match=words):
        System(**{**given, **change})


def test_bad_wishes_are_named():
    with pytest.raises(InputError, match="draw 2 or more"):
        simulate(single_a(), 1)
    with pytest.raises(InputError, match="metric 'lose'"):
        simulate(single_a(), 2, metric="lose")
    with pytest.raises(InputError, match="group 'west'"):
        simulate(single_a(), 2, groups={"west": ["Q"]})


def with_store(regions="A"):
    """PRAS's test systems 2 (one region) and 3 (two, a line that fails): a unit in A, a store in the last region."""
    store = pd.DataFrame(dict(region=[regions[-1]], power_mw=[10.0], energy_mwh=[10.0], **INDEPENDENT))
    if regions == "A":
        return System("A", np.array([[8.0], [9]]), units(("G", "A", 10)), storage=store)
    line = pd.DataFrame(dict(tail=["A"], head=["B"], forward_mw=[15.0], backward_mw=[15.0], **INDEPENDENT))
    return System("AB", np.array([[8.0, 6], [9, 7]]), units(("G", "A", 25)), line, storage=store)


@pytest.mark.parametrize("regions, lolp, eue", [("A", [.1, .1], [.8, .7542]), ("AB", [.19, .130951], [1.94, 1.239289])])
def test_published_stores(regions, lolp, eue):
    got = simulate(with_store(regions), 200_000, seed=1).system
    assert (abs(got.lolp - lolp) < 3 * got.lolp_error).all()
    agrees(got.lole_hours, sum(lolp))
    agrees(got.eue_mwh, sum(eue))


def test_stores_on_every_device(xp):
    want, got = (simulate(with_store("AB"), 60, seed=4, device=d) for d in ("cpu", "cpu" if xp is np else "cuda"))
    np.testing.assert_array_equal(got.totals, want.totals)
    np.testing.assert_array_equal(got.kwh, want.kwh)


def test_bad_stores_are_named():
    with pytest.raises(InputError, match="storage, row 0: start_mwh is 11"):
        System("A", np.ones((2, 1)), units(("G", "A", 10)), storage=with_store().storage.assign(start_mwh=11.0))


def test_derated_states_equal_exact():
    """Two units with derated levels, sequential, and with every hour drawn anew, against the convolution."""
    table = pd.DataFrame(dict(region="A", capacity_mw=[10.0, 8], forced_outage_rate=[.1, .05], mttr_h=[20.0, 10], states=[[(6, .2), (3, .04)], [(4, .1)]]))
    load = np.array([[12.0] * 6 + [15.0] * 6]).T
    want = exact(table.drop(columns="region"), load[:, 0])
    for sequential in (True, False):
        got = simulate(System("A", load, table), 60_000, seed=3, sequential=sequential).system
        for name in ("lole_hours", "lole_days", "eue_mwh"):
            agrees(getattr(got, name), getattr(want, name))
        assert (abs(got.lolp - want.lolp) < 4 * got.lolp_error).all()


@pytest.mark.parametrize("columns", [dict(derated_mw=4.0, derated_rate=.2, forced_outage_rate=.1), dict(mttf_h=90.0, mttr_h=10.0)])
def test_units_as_exact_takes_them(columns):
    table = pd.DataFrame(dict(region="A", capacity_mw=[10.0, 10], **columns))
    got = simulate(System("A", np.full((24, 1), 15.0), table), 20_000, seed=1).system
    want = exact(table.drop(columns="region"), np.full(24, 15.0))
    agrees(got.eue_mwh, want.eue_mwh)
    agrees(got.lole_hours, want.lole_hours)
    system = System("A", np.full((24, 1), 15.0), table.head(1).assign(count=2))
    np.testing.assert_array_equal(simulate(system, 50).kwh, simulate(dataclasses.replace(system), 50).kwh)
    np.testing.assert_array_equal(simulate(system, 50).kwh, simulate(System("A", np.full((24, 1), 15.0), table), 50).kwh)


def test_stores_in_many_regions():
    """The ring of 14, a store in every second region, against the same without: never worse, and by no more than they hold."""
    system = many_regions()
    full = dict(power_mw=5.0, energy_mwh=20.0, start_mwh=20.0)
    stored = dataclasses.replace(system, storage=pd.DataFrame(dict(region=system.regions[::2], charge_mw=0.0, **full)))
    before, after = simulate(system, 400, seed=1), simulate(stored, 400, seed=1)
    saved = before.totals[:, -1, 1] - after.totals[:, -1, 1]
    assert (saved >= 0).all() and saved.max() <= 140_000 and saved.sum() > .5 * before.totals[:, -1, 1].sum()  # 7 stores of 20 MWh
    # demand that waits is a store full at first, budgets are anew each day
    waits = dataclasses.replace(system, responses=pd.DataFrame(dict(region=system.regions[::2], power_mw=5.0, energy_mwh=20.0, payback_mw=0.0)))
    np.testing.assert_array_equal(simulate(waits, 50, seed=1).kwh, simulate(stored, 50, seed=1).kwh)


def test_hydro_budget_by_hand():
    """A river plant of 5 MW with 8 MWh a day; nothing else serves 3 MW from hour 2 on: all served for 8 / 3 hours of each day."""
    hydro = pd.DataFrame(dict(region=["A"], power_mw=5.0, charge_mw=0.0, energy_mwh=8.0, budget="day"))
    load = np.tile([0.0] * 2 + [3.0] * 22, 2)[:, None]
    got = simulate(System("A", load, units(("G", "A", 0)), storage=hydro), 2).system
    np.testing.assert_allclose(got.eue_hour_mwh, np.tile([0, 0, 0, 0, 1] + [3.0] * 19, 2))
    months = dataclasses.replace(System("A", load, units(("G", "A", 0)), start=pd.Timestamp("2023-01-31", tz="UTC")), storage=hydro.assign(budget="month"))
    np.testing.assert_allclose(simulate(months, 2).system.eue_hour_mwh, got.eue_hour_mwh)
    river = System("A", load, units(("G", "A", 0)), storage=hydro.assign(budget="", inflow="Rhine"), inflow=pd.DataFrame({"Rhine": np.full(48, 1.0)}))
    np.testing.assert_allclose(simulate(river, 2).system.eue_hour_mwh[:5], [0, 0, 0, 2, 2])  # 3 held and given; then 1 an hour


@pytest.mark.parametrize("change, words", [
    (dict(storage=dict(region=["A"], power_mw=5, energy_mwh=5, budget="year")), "storage, row 0: budget is year; give day, week, month or nothing"),
    (dict(storage=dict(region=["A"], power_mw=5, energy_mwh=5, budget="month")), "give start, the time of the first hour"),
    (dict(storage=dict(region=["A"], power_mw=5, energy_mwh=5, inflow="Rhine")), "inflow is Rhine; give a column of inflow"),
    (dict(responses=dict(region=["Q"], power_mw=5, energy_mwh=5)), "responses, row 0: region is Q"),
    (dict(responses=dict(region=["A"], power_mw=-5, energy_mwh=5)), "responses, row 0: power_mw is -5"),
    (dict(load=np.array([[1.0], [-2]])), "load, hour 1, A: -2.0 is out of its range; give numbers from 0 up"),
    (dict(weather=pd.DataFrame({"A": [1.0, 2]}, pd.date_range("2023", periods=2, freq="h", tz="US/Eastern")),
          load=pd.DataFrame({"A": [1.0, 2]}, pd.date_range("2023", periods=2, freq="h", tz="UTC"))), "weather is in time zone US/Eastern and load in UTC"),
    (dict(weather=np.ones((3, 1))), "weather has 3 hours and load 2"),
    (dict(units=units(("G", "A", 10)).assign(forced_outage_rate="often")), "units, row 0: forced_outage_rate is often; give a number"),
    (dict(units=units(("G", "A", 10)).assign(states=[[(5, .95)]])), "units, row 0: states are|states is"),
    (dict(units=units(("G", "Z", 10)).assign(where="gen.csv, row 7")), "gen.csv, row 7: region is Z; give a region of the system"),
    (dict(regions=["A", "A"], load=np.ones((2, 2))), "regions, row 1: A stands there twice"),
])
def test_bad_tables_are_named(change, words):
    given = dict(regions=["A"], load=np.ones((2, 1)), units=units(("G", "A", 10)))
    with pytest.raises(InputError, match=words):
        System(**{**given, **change})


def test_load_by_name():
    load = pd.DataFrame({"B": [1.0, 2], "A": [3.0, 4]}, pd.date_range("2023", periods=2, freq="h", tz="UTC"))
    system = System("AB", load, units(("G", "A", 10)))
    np.testing.assert_array_equal(system.load, [[3, 1], [4, 2]])
    assert system.start == pd.Timestamp("2023-01-01", tz="UTC")


class Cut(Exception):
    pass


@pytest.mark.parametrize("error", [None, .04])
def test_a_run_cut_off_goes_on_to_the_same_numbers(tmp_path, monkeypatch, error):
    monkeypatch.setattr(spread, "BLOCK", 4 * 150)
    monkeypatch.setattr("gridmap.adequacy.partial.EVERY_S", 0.0)
    kept, calls = tmp_path / "sums.npz", []

    def cut(done):
        calls.append(done)
        if len(calls) == 5:
            raise Cut

    with pytest.raises(Cut):
        simulate(single_a(), 4000, seed=2, relative_error=error, keep=kept, say=cut)
    begun = []
    got = simulate(single_a(), 4000, seed=2, relative_error=error, keep=kept, say=begun.append)
    assert begun[0] > calls[-1]
    want = simulate(single_a(), 4000, seed=2, relative_error=error)
    assert got.samples == want.samples and (error is None or got.samples < 4000)
    for name in ("totals", "count", "kwh", "durations"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))
    # all there already; another seed, or a file cut short, starts anew
    simulate(single_a(), 4000, seed=2, relative_error=error, keep=kept, say=begun.clear)
    other = simulate(single_a(), 200, seed=3, keep=kept)
    np.testing.assert_array_equal(other.totals, simulate(single_a(), 200, seed=3).totals)
    kept.write_bytes(kept.read_bytes()[:500])
    np.testing.assert_array_equal(simulate(single_a(), 200, seed=3, keep=kept).totals, other.totals)
