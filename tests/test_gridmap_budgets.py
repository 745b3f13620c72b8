"""Energy that runs out: water by the month, charge by the day; every MWh accounted for, spent where the net load is highest."""

import numpy as np
import pandas as pd
import pytest
from national import repaired

from gridmap import budgets, config, rating, supply, tables
from gridmap.capacity import BASES


@pytest.fixture(scope="module")
def july():
    """(inputs, hours, shares (T, N), plants, available, rated) of what runs out in July 2023."""
    inputs = repaired()
    hours = inputs.demand.hours[inputs.demand.hours.month == 7]
    kind = inputs.plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"])
    rows = (kind.isin(budgets.KINDS) & (inputs.plants["region"] >= 0)).to_numpy()
    available = rating.available_mw(inputs, hours[0], "budgeted").mw[rows]
    rated = rating.rated_mw(inputs.plants, hours[0], "budgeted").mw[rows]
    return inputs, hours, budgets.shares(inputs, hours, inputs.plants[rows], available, rated), inputs.plants[rows], available, rated


def test_a_reservoir_spends_its_month_s_water(july):
    """The MWh of the month are the capacity factor's, but for a reservoir that could not spend it at the capacity left to it."""
    _, hours, share, plants, available, rated = july
    water = plants["technology"].eq("hydro").to_numpy() & (available > 0)
    wanted = np.minimum(plants["river_factor"].to_numpy() * rated, available)[water] * len(hours)
    np.testing.assert_allclose((share * available).sum(axis=0)[water], wanted, rtol=1e-9)
    assert share.min() >= 0 and share.max() <= 1


def test_reservoirs_run_when_the_net_load_is_highest(july):
    inputs, hours, share, plants, available, _ = july
    side, names = budgets.interconnects(inputs)
    net = budgets.net_load(inputs, side, len(names))[:, inputs.demand.hours.month == 7]
    assert set(names) == {"eastern", "ercot", "western"}
    unit = side[plants["region"]]
    for k in range(len(names)):
        mine = plants["technology"].eq("hydro").to_numpy() & (unit == k) & (available > 0)
        order = np.argsort(-net[k], kind="stable")
        assert (np.diff(share[order][:, mine], axis=0) <= 1e-12).all()  # never more in an hour of less net load


def test_storage_by_hand(july):
    """Of a day from noon to noon a unit gives its power for the hours its energy lasts, when there is enough to charge from."""
    inputs, hours, share, plants, available, _ = july
    battery = np.flatnonzero(plants["technology"].eq("battery").to_numpy() & (available > 20) & plants["energy_mwh"].notna().to_numpy())
    days = (hours[12:-12] - pd.Timedelta(hours=12)).floor("D")
    given = pd.DataFrame(share[12:-12][:, battery] * available[battery]).groupby(days).sum().to_numpy()
    energy = np.minimum(plants["energy_mwh"].to_numpy()[battery], 24 * available[battery])
    assert (given <= energy * (1 + 1e-9)).all() and np.isclose(given, energy, rtol=1e-9).mean() > 0.95


def test_no_charge_where_nothing_is_to_spare(july, monkeypatch):
    inputs, hours, _, plants, available, rated = july
    monkeypatch.setattr(budgets, "_firm", lambda inputs, hour, count: np.zeros(count))
    empty = budgets.shares(inputs, hours[:24], plants, available, rated)
    kind = plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"]).to_numpy()
    assert (empty[:, kind == "storage"] == 0).all() and (empty[:, kind == "hydro"] > 0).any()


def test_a_month_is_its_hours():
    inputs = repaired()
    hours = inputs.demand.hours[[4000, 4007, 4019]]
    many = supply.hourly_supply(inputs, hours, "budgeted")
    for row, hour in zip(many, hours):
        np.testing.assert_allclose(row, supply.balance(inputs, hour, "budgeted")["supply_mw"], rtol=1e-9, atol=1e-9)


def test_the_year_takes_budgets_unless_told_otherwise():
    assert config.from_options(None, year=2023).basis == "budgeted" and config.from_options(None).basis == "effective"
    assert config.from_options(None, year=2023, basis="effective").basis == "effective" and BASES["budgeted"].budgets
