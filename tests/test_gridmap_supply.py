"""Supply: capacity on its basis, wind, sun, rivers and batteries in the hour, and what is left after demand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_grid
from national import loaded, repaired

from gridmap import InputError, capacity, factors, supply, tables
from gridmap.capacity import BASES, Capacity

PEAK = "2023-07-27T22:00Z"
UNIT = {"technology": "coal", "status": "OP", "state": "TX", "nameplate_mw": 100.0, "summer_mw": 90.0, "winter_mw": 95.0,
        "energy_mwh": math.nan, "river_factor": math.nan, "region": 0}


def inputs(*units):
    """The national inputs with these plants instead, all in region 0."""
    return replace(loaded(), plants=pd.DataFrame([{**UNIT, **unit} for unit in units]))


def gives(unit, hour=PEAK, basis="effective"):
    return supply.unit_supply(inputs(unit), hour, basis).mw[0]


# By hand


@pytest.mark.parametrize("basis, mw", [
    ("nameplate", 100), ("net_summer", 90), ("net_winter", 95), ("installed", 90), ("unforced", 90 * 0.92),
])
def test_coal_in_july_by_hand(basis, mw):
    """ReEDS: coal is out by force 8 % of the time."""
    assert gives({}, basis=basis) == pytest.approx(mw, rel=1e-12)


def test_coal_effective_is_less_the_outages_of_the_month():
    monthly = pd.read_parquet(tables.DATA / "outages_monthly.parquet").set_index(["prime_mover", "month"])["outage_frac"]
    assert gives({}) == pytest.approx(90 * 0.92 * (1 - monthly["steam", 7]))
    assert gives({}, "2023-04-10T12:00Z") == pytest.approx(95 * 0.92 * (1 - monthly["steam", 4]))
    assert gives({}, "2023-01-10T12:00Z", "installed") == 95


@pytest.mark.parametrize("status, nameplate, installed", [("OP", 100, 90), ("SB", 100, 90), ("OS", 100, 0), ("OA", 100, 0)])
def test_status_counts_as_the_basis_says(status, nameplate, installed):
    assert gives({"status": status}, basis="nameplate") == nameplate
    assert gives({"status": status}, basis="installed") == installed


def test_wind_and_sun_follow_the_profile_of_their_state():
    """Colorado has one EPA region, so its factor is that region's; Texas is the mean by fleet and people."""
    solar, wind = (pd.read_parquet(tables.DATA / f"{name}_cf.parquet") for name in ("solar", "wind"))
    row = (pd.Timestamp("2012-07-27 22:00") - pd.Timestamp("2012-01-01")) // pd.Timedelta("1h")
    assert gives({"technology": "solar", "state": "CO"}) == pytest.approx(90 * solar["WECC_CO"][row], rel=1e-6)
    assert gives({"technology": "wind", "state": "CO"}) == pytest.approx(90 * wind["WECC_CO"][row], rel=1e-6)
    texas = gives({"technology": "wind", "state": "TX"}) / 90
    parts = wind.loc[row, ["ERC_PHDL", "ERC_REST", "ERC_WEST", "SPP_SPS", "SPP_WEST"]]
    fleets = pd.read_parquet(tables.DATA / "profile_fleets.parquet").query("source == 'wind'").set_index("ipm_region")["mw"]
    people = pd.read_parquet(tables.DATA / "profile_states.parquet").query("state == 'Texas'").set_index("ipm_region")["zone_prop"]
    weight = (fleets * people).dropna()
    assert set(parts.index) <= set(weight.index)
    assert texas == pytest.approx(np.average(wind.loc[row, weight.index], weights=weight), rel=1e-6)
    assert gives({"technology": "wind", "state": "TX"}, basis="unforced") == 90


def test_no_sun_at_night_and_no_day_is_shifted():
    """Local midnight in Denver is 07:00 UTC; the sun is highest near 19:00 UTC."""
    day = [gives({"technology": "solar", "state": "CO"}, f"2023-06-21T{h:02d}:00Z") for h in range(24)]
    assert day[7] == 0 and 17 <= int(np.argmax(day)) <= 21
    before_leap_day, after = (loaded().weather.rows([f"2023-{d}T00:00"])[0] for d in ("02-28", "03-01"))
    assert after - before_leap_day == 48            # 29 February is left out of a year that has none


def test_a_state_without_wind_takes_the_mean_of_the_others():
    share = loaded().weather.at("wind", [pd.Timestamp("2023-07-27 22:00")])[0]
    florida = loaded().weather.states.get_loc("FL")
    others = pd.read_parquet(tables.DATA / "wind_cf.parquet")
    assert 0 < share[florida] < 1 and share[florida] == pytest.approx(gives({"technology": "wind", "state": "FL"}) / 90)
    assert others.min(axis=None) >= 0


def test_rivers_reservoirs_and_storage():
    assert gives({"technology": "hydro_run_of_river", "river_factor": 0.4}) == pytest.approx(90 * 0.4)
    monthly = pd.read_parquet(tables.DATA / "outages_monthly.parquet").set_index(["prime_mover", "month"])["outage_frac"]
    assert gives({"technology": "hydro"}) == pytest.approx(90 * 0.93 * (1 - monthly["hydro_and_psh", 7]))
    full, short, unknown = (gives({"technology": "battery", "energy_mwh": e}) for e in (180, 45, math.nan))
    assert full == unknown == pytest.approx(90 * 0.98 * (1 - 0.006))
    assert short == pytest.approx(45 * 0.98 * (1 - 0.006))          # 45 MWh hold 45 MW for the hour


def test_balance_by_hand(tmp_path):
    from gridmap import config, read, repair

    got = repair.repair(read.load(config.from_options(small_grid.write(tmp_path))))
    table = supply.balance(got, small_grid.PEAK, "nameplate").set_index("region_id")
    assert table["supply_mw"].to_dict() == small_grid.SUPPLY
    assert table["isolated_deficit_mw"].to_dict() == {"A": 0, "B": 100, "C": 50, "D": 50, "E": 0}
    assert table["net_mw"].to_dict() == {"A": 200, "B": -100, "C": -50, "D": -50, "E": 0}
    assert table.loc["A", ["nuclear_mw", "coal_mw"]].tolist() == [200, 100]
    assert table.attrs["basis"] == "nameplate" and table.attrs["hour"] == pd.Timestamp("2023-07-01 20:00")


# Laws


@pytest.mark.parametrize("basis", BASES)
def test_supply_adds_up_over_regions_and_technologies(basis):
    got = repaired()
    table = supply.balance(got, PEAK, basis)
    units = supply.unit_supply(got, PEAK, basis).mw
    inside = got.plants["region"].to_numpy() >= 0
    assert math.fsum(table["supply_mw"]) == pytest.approx(math.fsum(units[inside]), rel=1e-12)
    parts = [f"{t}_mw" for t in tables.fact("technologies")["technology"]]
    np.testing.assert_allclose(table[parts].sum(axis=1), table["supply_mw"], rtol=1e-12, atol=1e-9)
    assert (units >= 0).all() and np.isfinite(units).all()
    assert list(table["net_mw"]) == list(table["supply_mw"] - table["demand_mw"])


def test_each_basis_takes_something_off_the_one_before():
    total = {basis: supply.unit_supply(repaired(), PEAK, basis) for basis in BASES}
    assert (total["installed"].mw <= total["net_summer"].mw).all()
    assert (total["unforced"].mw <= total["installed"].mw).all()
    assert (total["effective"].mw <= total["unforced"].mw).all()
    assert 741.2e3 < total["effective"].mw.sum() < total["unforced"].mw.sum() < total["installed"].mw.sum()


def test_two_bases_do_not_add():
    nameplate, summer = Capacity([1.0, 2.0], "nameplate"), Capacity([1.0, 1.0], "net_summer")
    assert (nameplate + nameplate).mw.tolist() == [2, 4] and (2 * nameplate - nameplate).mw.tolist() == [1, 2]
    for mix in (lambda: nameplate + summer, lambda: nameplate - summer, lambda: nameplate + 5.0, lambda: sum([nameplate]), lambda: nameplate * nameplate):
        with pytest.raises(TypeError):
            mix()
    with pytest.raises(TypeError, match="nameplate and net_summer capacity can't be added"):
        sum([summer], nameplate)
    with pytest.raises(ValueError, match="'guessed' is unknown"):
        Capacity([1.0], "guessed")


def test_capacity_by_region():
    got = Capacity([1.0, 2.0, 4.0, 8.0], "installed").by_region(np.array([1, -1, 1, 0]), 3)
    assert got.mw.tolist() == [8, 5, 0] and got.basis == "installed"


@pytest.mark.parametrize("basis", ["nameplate", "installed", "effective"])
def test_many_hours_at_once_are_the_single_hours(basis):
    """Across a month's end, a change of season and a night."""
    hours = pd.to_datetime(["2023-04-30 23:00", "2023-05-01 00:00", "2023-05-01 12:00", "2023-12-31 23:00"])
    many = supply.hourly_supply(repaired(), hours, basis)
    for row, hour in zip(many, hours):
        np.testing.assert_allclose(row, supply.balance(repaired(), hour, basis)["supply_mw"], rtol=1e-12, atol=1e-9)


# The bundled factors


def test_every_technology_has_a_kind_and_its_rates():
    facts = tables.fact("technologies")
    assert set(facts["kind"]) == {"firm", "hydro", "river", "storage", "wind", "solar"}
    outages = loaded().outages
    assert outages.forced.between(0, 1).all() and outages.forced.index.tolist() == facts["technology"].tolist()
    assert outages.scheduled.stack().between(0, 1).all() and outages.scheduled.columns.tolist() == list(range(1, 13))
    assert set(tables.fact("technology_names")["technology"]) <= set(facts["technology"])
    assert set(repaired().plants["technology"]) <= set(facts["technology"])


def test_hydro_is_split_by_the_list_that_knows():
    plants = repaired().plants
    hydro = plants[plants["technology"].isin(["hydro", "hydro_run_of_river", "pumped_storage"])]
    assert hydro["nameplate_mw"].sum() == pytest.approx(101_967.9)                  # EIA-860: all hydro, pumped storage included
    assert hydro.groupby("technology")["nameplate_mw"].sum()["pumped_storage"] == pytest.approx(22_008.1)
    river = plants[plants["technology"].eq("hydro_run_of_river")]
    assert river["river_factor"].between(0, 1).all() and 0.3 < river["river_factor"].mean() < 0.6
    water = plants["technology"].isin(["hydro_run_of_river", "hydro"])
    assert plants["river_factor"].notna().eq(water).all() and plants.loc[water, "river_factor"].between(0, 1).all()


# Bad input


def test_unknown_basis_is_refused():
    with pytest.raises(InputError, match="'gross' is unknown; choose one of nameplate, net_summer"):
        supply.balance(repaired(), PEAK, "gross")


def test_own_profiles(tmp_path):
    rows = [(f"2023-07-27T{h:02d}:00Z", s, st, f) for h in (21, 22) for s, st, f in (("wind", "CO", 0.5), ("solar", "CO", 0.25), ("solar", "TX", 0.75))]
    small_grid.rows(tmp_path / "profiles.csv", "hour_utc,source,state,capacity_factor", rows)
    weather = factors.read_weather(tmp_path / "profiles.csv")
    own = replace(inputs({"technology": "wind", "state": "TX"}, {"technology": "solar", "state": "TX"}), weather=weather)
    assert supply.unit_supply(own, PEAK).mw.tolist() == [45.0, 67.5]
    with pytest.raises(InputError, match="no hour for 2023-07-28"):
        supply.unit_supply(own, "2023-07-28T00:00Z")
    small_grid.rows(tmp_path / "high.csv", "hour_utc,source,state,capacity_factor", [("2023-07-27T22:00Z", "wind", "CO", 1.5)])
    with pytest.raises(InputError, match=r"high.csv: row 1: capacity factor 1.5"):
        factors.read_weather(tmp_path / "high.csv")


def test_own_outages(tmp_path):
    rows = [(t, 0.1, 0.2) for t in tables.fact("technologies")["technology"]]
    small_grid.rows(tmp_path / "outages.csv", "technology,forced,scheduled", rows)
    own = replace(inputs({}), outages=factors.own_outages(tmp_path / "outages.csv"))
    assert supply.unit_supply(own, PEAK).mw[0] == pytest.approx(90 * 0.9 * 0.8)
    small_grid.rows(tmp_path / "short.csv", "technology,forced,scheduled", rows[1:])
    with pytest.raises(InputError, match="short.csv: no outage rate for nuclear"):
        factors.own_outages(tmp_path / "short.csv")
    small_grid.rows(tmp_path / "high.csv", "technology,forced,scheduled", [("coal", 7, 0)])
    with pytest.raises(InputError, match=r"high.csv: row 1 \(coal\): forced outage 7"):
        factors.own_outages(tmp_path / "high.csv")


def test_months_of_summer_ratings():
    assert capacity.SUMMER_MONTHS == (5, 6, 7, 8, 9, 10)
    assert [gives({}, f"2023-{m:02d}-15T12:00Z", "installed") for m in range(1, 13)] == [95] * 4 + [90] * 6 + [95] * 2
