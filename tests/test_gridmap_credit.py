"""What capacity is worth and how much load fits, against exact answers and published brackets."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from test_gridmap_simulate import INDEPENDENT, many_regions, single_a, three_nodes, units

from gridmap import InputError
from gridmap.adequacy import System, carries, efc, elcc, exact, firm_equal, room_for_load, simulate

THREE = dict(capacity_mw=[10.0] * 3, forced_outage_rate=[.1] * 3)
NET = np.array([25, 28, 27, 24.0]) - np.array([5, 6, 7, 8.0])


def with_unit(system, region, mw, **more):
    new = pd.DataFrame([dict(name="new", region=region, capacity_mw=mw, **INDEPENDENT, stream=10_000) | more])
    return dataclasses.replace(system, units=pd.concat([system.units, new], ignore_index=True))


def test_one_region_against_exact():
    """PRAS: a fourth unit of 10 MW on its system A carries 7 to 8 MW of load, and equals 8 to 9 MW of firm capacity."""
    before, fourth = single_a(), dict(capacity_mw=[10.0], forced_outage_rate=[.1])
    after = with_unit(before, "A", 10.0)
    for found, want, low, high in ((carries(before, after, "A", 20_000), elcc(THREE, NET, fourth), 7, 8), (firm_equal(before, after, "A", 20_000), efc(THREE, NET, fourth), 8, 9)):
        assert low < found.mw < high and found.low <= want <= found.high, (found, want)
        assert 0 < found.high - found.low < 1


def test_three_regions_published():
    """PRAS: 5 MW more of the unit in A (that fails as one) are worth 3 to 4 MW by either measure."""
    before = three_nodes(100.0)
    after = dataclasses.replace(before, units=before.units.assign(capacity_mw=before.units["capacity_mw"] + 5 * before.units["name"].eq("G1")))
    for worth in (carries, firm_equal):
        found = worth(before, after, "A", 10_000)
        assert 3 < found.mw < 4 and 3 < found.low < found.high < 4, found


def test_what_a_line_a_battery_and_wind_are_worth():
    before = three_nodes(8.0)
    lines = dataclasses.replace(before, corridors=before.corridors.assign(forward_mw=20.0, backward_mw=20.0))
    battery = dataclasses.replace(before, storage=pd.DataFrame(dict(region=["C"], power_mw=4.0, energy_mwh=8.0, start_mwh=8.0)))
    wind = dataclasses.replace(before, weather=np.array([[0, 0, 1.0], [0, 0, 4], [0, 0, 2], [0, 0, 3]]))
    for after in (lines, battery, wind):
        assert 0 < carries(before, after, {"A": 1, "B": 1, "C": 2}, 300).mw < 6
    assert carries(before, before, "A", 300).mw == 0
    firm = dataclasses.replace(before, weather=before.weather + np.array([0, 3.0, 0]))
    assert carries(before, firm, "B", 300).mw == pytest.approx(3, rel=3e-3)


def test_how_much_load_fits():
    """Exact: the load at which the days a year with a shortage pass a tenth; everything else of the system is left out."""
    table = pd.DataFrame(dict(region="A", capacity_mw=[10.0] * 6, forced_outage_rate=.05, mttr_h=1 / .95))
    system = System(["A", "far"], np.column_stack([np.full(240, 20.0), np.full(240, 5.0)]), table)
    found = room_for_load(system, "A", 4000, standard=0.1 * 8736 / 240)
    days = lambda mw: 10 * (1 - (1 - exact(table.drop(columns="region"), [20 + mw]).lole_hours) ** 24)  # noqa: E731
    assert days(10.1) > .1 > days(9.9)  # three units out: 50 MW are left... and 40 with two
    assert found.mw == pytest.approx(10, rel=5e-3) and found.low <= 10.05 and found.high >= 9.95
    assert (found.trials["value"].diff().dropna() >= -1e-12).all() and len(simulate(system.part(system.reach("A")), 2).places) == 2
    short = dataclasses.replace(system, load=system.load + 40)
    assert room_for_load(short, "A", 100).mw == 0


def test_parts_draw_the_same():
    ring = many_regions()
    cut = dataclasses.replace(ring, corridors=ring.corridors[~ring.corridors["tail"].isin(["r4", "r13"])])
    assert cut.reach("r2") == ["r0", "r1", "r2", "r3", "r4"]
    whole, part = simulate(cut, 100, seed=2), simulate(cut.part(cut.reach("r2")), 100, seed=2)
    for name in cut.reach("r2"):
        np.testing.assert_array_equal(part[name].totals[:, 0], whole[name].totals[:, 0])
        np.testing.assert_allclose(part[name].totals[:, 1], whole[name].totals[:, 1], atol=6)  # flows against sets: a kW an hour


@pytest.mark.parametrize("call, words", [
    (lambda s: room_for_load(s, "Q", 10), "region 'Q' is none of the system"), (lambda s: room_for_load(s, "A", 10, standard=0), "give a number above 0"),
    (lambda s: carries(s, s, "Q", 10), "region 'Q' is none"), (lambda s: carries(s, s, "A", 10, metric="lolp"), "metric 'lolp'"),
    (lambda s: room_for_load(System("A", np.zeros((24, 1)), units(("VG", "A", 1e8))), "A", 2), "nothing gets worse up to"),
])
def test_bad_wishes_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call(single_a())
