"""What the plants of each region can give in an hour, on a stated capacity basis, and what is left after demand."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import InputError, budgets, tables
from gridmap.capacity import BASES, IN_SERVICE, SUMMER_MONTHS, Capacity
from gridmap.demand import parse_hour

WEATHER = ("wind", "solar")
HELD_HOURS = 1.0                # a storage unit counts with the power its energy holds for this long


@dataclass(frozen=True)
class Weather:
    """Capacity factors 0..1 of wind and sun by state and hour of a weather year.

    calendar: Series by (month, day, hour) -> row of the factors. factors: {source: (T, S) float32}. states: the S codes.
    note: what the year is.
    """

    calendar: pd.Series
    factors: dict
    states: pd.Index
    note: str

    def rows(self, hours):
        """(len(hours),) int: the row of the same month, day and hour. Raises InputError where the year lacks one."""
        hours = pd.DatetimeIndex(hours)
        wanted = pd.MultiIndex.from_arrays([hours.month, hours.day, hours.hour])
        found = self.calendar.reindex(wanted)
        if found.isna().any():
            raise InputError(f"profiles: no hour for {hours[int(np.argmax(found.isna()))]} UTC; give profiles of a whole year")
        return found.to_numpy(dtype=np.int64)

    def at(self, source, hours):
        """(T, S) float64 of the hours."""
        return self.factors[source][self.rows(hours)].astype(float)


@dataclass(frozen=True)
class Outages:
    """Shares of time 0..1: forced, Series by technology; scheduled, DataFrame technology x month 1..12."""

    forced: pd.Series
    scheduled: pd.DataFrame


def balance(inputs, hour, basis="effective"):
    """Supply and demand of every region in one hour.

    inputs: read.Inputs after repair. hour: text or time, UTC. basis: a name of capacity.BASES.
    Returns DataFrame, row = region: region_id, name, supply_mw, demand_mw, net_mw, isolated_deficit_mw (demand above
    supply, from 0), and <technology>_mw for every technology of technologies.csv, which add up to supply_mw.
    `.attrs` holds hour (Timestamp, UTC), basis and says (what the basis counts).
    """
    stamp = parse_hour(hour)
    table = inputs.regions[["region_id", "name"]].copy()
    table = pd.DataFrame(table)
    units = unit_supply(inputs, stamp, basis)
    by_technology = {
        technology: (units * inputs.plants["technology"].eq(technology).to_numpy()).by_region(inputs.plants["region"].to_numpy(), len(table))
        for technology in tables.fact("technologies")["technology"]
    }
    table["supply_mw"] = sum(by_technology.values(), Capacity(np.zeros(len(table)), basis)).mw
    table["demand_mw"] = inputs.demand.at(stamp)
    table["net_mw"] = table["supply_mw"] - table["demand_mw"]
    table["isolated_deficit_mw"] = np.maximum(-table["net_mw"], 0.0)
    for technology, mw in by_technology.items():
        table[f"{technology}_mw"] = mw.mw
    table.attrs = {"hour": stamp, "basis": basis, "says": BASES[basis].says}
    return table


def unit_supply(inputs, hour, basis="effective"):
    """Capacity (N,): what each row of inputs.plants can give in the hour."""
    available = available_mw(inputs, hour, basis)
    if not BASES[basis].hourly:
        return available
    if BASES[basis].budgets:
        return available * _budgeted_share(inputs, parse_hour(hour), basis, available.mw)
    return available * energy_share(inputs, hour, rated_mw(inputs.plants, hour, basis).mw)


def _budgeted_share(inputs, hour, basis, available):
    """(N,) 0..1: `energy_share`, and what reservoirs and storage spend in the hour."""
    rated = rated_mw(inputs.plants, hour, basis).mw
    share = energy_share(inputs, hour, rated)
    rows = _budgeted(inputs)
    share[rows] = budgets.shares(inputs, pd.DatetimeIndex([hour]), inputs.plants[rows], available[rows], rated[rows])[0]
    return share


def _budgeted(inputs):
    """(N,) bool: units inside a region whose energy runs out."""
    return (inputs.plants["technology"].map(_facts()["kind"]).isin(budgets.KINDS) & (inputs.plants["region"] >= 0)).to_numpy()


def hourly_supply(inputs, hours, basis="effective"):
    """(T, R) float64, MW: what the plants of each region can give in each of the hours; `balance` for many hours at once."""
    hours = pd.DatetimeIndex(hours)
    mw = np.empty((len(hours), len(inputs.regions)))
    for month in hours.month.unique():
        rows = np.flatnonzero(hours.month == month)
        mw[rows] = _month_supply(inputs, hours[rows], basis)
    return mw


def _month_supply(inputs, hours, basis):
    """(T, R) MW of hours of one month: within it only wind and sun change, and what reservoirs and storage spend."""
    region, count = inputs.plants["region"].to_numpy(), len(inputs.regions)
    kind = inputs.plants["technology"].map(_facts()["kind"]).to_numpy()
    moving = np.isin(kind, WEATHER) if BASES[_known(basis)].hourly else np.zeros(len(kind), bool)
    spent = _budgeted(inputs) if BASES[basis].budgets else np.zeros(len(kind), bool)
    mw = np.tile((unit_supply(inputs, hours[0], basis) * ~(moving | spent)).by_region(region, count).mw, (len(hours), 1))
    available = available_mw(inputs, hours[0], basis).mw
    for source in WEATHER if moving.any() else ():
        units = moving & (kind == source) & (region >= 0)
        states, column = np.unique(inputs.plants["state"].to_numpy(str)[units], return_inverse=True)
        fleet = scipy.sparse.csr_array((available[units], (column, region[units])), shape=(len(states), count))
        mw += _by_state(inputs.weather, source, hours, states) @ fleet
    if spent.any():
        share = budgets.shares(inputs, hours, inputs.plants[spent], available[spent], rated_mw(inputs.plants, hours[0], basis).mw[spent])
        rows = np.arange(int(spent.sum()))
        mw += share @ scipy.sparse.csr_array((available[spent], (rows, region[spent])), shape=(len(rows), count))
    return mw


def available_mw(inputs, hour, basis):
    """Capacity (N,): the rating less the outages that the basis counts, before wind, sun, river or stored energy."""
    kind = BASES[_known(basis)]
    share = np.ones(len(inputs.plants))
    if kind.forced:
        share *= 1 - _forced(inputs)
    if kind.hourly:
        share *= 1 - _scheduled(inputs, parse_hour(hour).month)
    return rated_mw(inputs.plants, hour, basis) * share


def rated_mw(plants, hour, basis):
    """Capacity (N,): the rating that the basis names, 0 for units it does not count."""
    kind = BASES[_known(basis)]
    rating = kind.rating
    if rating == "season":
        rating = "summer" if parse_hour(hour).month in SUMMER_MONTHS else "winter"
    mw = plants[f"{rating}_mw"].to_numpy(float)
    counted = running(plants) if kind.in_service else np.ones(len(plants), bool)
    return Capacity(np.where(counted, mw, 0.0), basis)


def running(plants):
    """(N,) bool: units whose status lets them run."""
    return plants["status"].isin(IN_SERVICE).to_numpy()


def energy_share(inputs, hour, mw):
    """(N,) 0..1: the wind, sun, river or stored energy of the hour against the unit's capacity mw."""
    plants = inputs.plants
    kind = plants["technology"].map(_facts()["kind"]).to_numpy()
    share = np.ones(len(plants))
    for source in WEATHER:
        rows = kind == source
        share[rows] = _by_state(inputs.weather, source, [hour], plants["state"][rows])[0]
    river = kind == "river"
    share[river] = plants["river_factor"].to_numpy()[river]
    held = plants["energy_mwh"].to_numpy() / HELD_HOURS
    short = (kind == "storage") & (held < mw)           # NaN compares False: unknown energy counts as enough, repair says so
    share[short] = held[short] / mw[short]
    return share


def _by_state(weather, source, hours, states):
    """(T, n): factors of the states of n units; a state without a profile takes the mean of those with one."""
    factors = weather.at(source, [parse_hour(h) for h in hours])
    mean = factors.mean(axis=1, keepdims=True)
    columns = weather.states.get_indexer(states)
    return np.where(columns >= 0, factors[:, columns], mean)


def _known(basis):
    if basis not in BASES:
        raise InputError(f"capacity basis {basis!r} is unknown; choose one of {', '.join(BASES)}")
    return basis


def _facts():
    return tables.fact("technologies").set_index("technology")


def _forced(inputs):
    return inputs.plants["technology"].map(inputs.outages.forced).to_numpy(float)


def _scheduled(inputs, month):
    return inputs.plants["technology"].map(inputs.outages.scheduled[month]).to_numpy(float)


# Reading the factors


def read_factors(own, book=None):
    """(Weather, Outages, files): the user's `profiles` and `outages` files where `own` names them, else the bundled ones."""
    if "profiles" in own:
        weather, files = read_weather(own["profiles"], book), [own["profiles"]]
    else:
        weather, files = bundled_weather()
    if "outages" in own:
        outages, more = own_outages(own["outages"], book), [own["outages"]]
    else:
        outages, more = bundled_outages()
    return weather, outages, files + more


def read_weather(path, book=None):
    """Profiles of a user: rows hour_utc, source (wind or solar), state, capacity_factor."""
    frame, _ = tables.read(path, "profiles", None, book)
    bad = ~frame["capacity_factor"].between(0, 1)
    if bad.any():
        row = frame[bad].iloc[0]
        raise InputError(f"{path}: row {row['source_row']}: capacity factor {row['capacity_factor']:g}; give a share from 0 to 1")
    states = pd.Index(sorted(frame["state"].unique()))
    hours = pd.DatetimeIndex(sorted(frame["hour_utc"].unique()))
    factors = {}
    for source in WEATHER:
        rows = frame[frame["source"].eq(source)]
        if rows.duplicated(["hour_utc", "state"]).any():
            raise InputError(f"{path}: {source} has an hour of one state twice; keep one")
        wide = rows.pivot(index="hour_utc", columns="state", values="capacity_factor").reindex(index=hours, columns=states)
        wide = wide.dropna(axis=1, how="all")
        if wide.shape[1] == 0 or wide.isna().any().any():
            raise InputError(f"{path}: {source} lacks hours that other states or sources have; give every state the same hours")
        factors[source] = _spread(wide, states)
    return Weather(_calendar(hours), factors, states, f"profiles of {path}")


def _spread(wide, states):
    """(T, S) float32: columns by state, the mean of the others where a state has none."""
    mean = wide.mean(axis=1).to_numpy()
    return np.stack([wide[s].to_numpy() if s in wide else mean for s in states], axis=1).astype(np.float32)


def bundled_weather():
    """(Weather, files). A state's factor is the mean of its EPA regions' profiles, weighted by the MW of the fleet behind
    each profile times the share of the region's people that live in the state."""
    files = {name: tables.DATA / f"{name}.parquet" for name in ("wind_cf", "solar_cf", "profile_fleets", "profile_states", "states")}
    fleets, _ = tables.read(files["profile_fleets"], "fleets")
    links, _ = tables.read(files["profile_states"], "profile_states")
    codes, _ = tables.read(files["states"], "states")
    links["state"] = links["state_name"].map(codes.set_index("state_name")["state"])
    states = pd.Index(sorted(links["state"].unique()))
    factors = {}
    for source in WEATHER:
        hourly = tables.load(files[f"{source}_cf"])
        weight = links.merge(fleets[fleets["source"].eq(source)], on="profile")
        weight["weight"] = weight["fleet_mw"] * weight["zone_share"]
        weight = weight.pivot_table(index="profile", columns="state", values="weight", aggfunc="sum").fillna(0.0)
        weight = weight.loc[:, weight.sum() > 0]
        wide = pd.DataFrame(hourly[weight.index].to_numpy() @ (weight / weight.sum()).to_numpy(), columns=weight.columns)
        factors[source] = _spread(wide, states)
    hours = pd.date_range("2012-01-01", periods=len(hourly), freq="h")     # any leap year: only month, day and hour count
    note = "one unnamed weather year of 8,784 hours, UTC, matched by month, day and hour: it is not the weather of the demand's year"
    return Weather(_calendar(hours), factors, states, note), list(files.values())


def _calendar(hours):
    keys = pd.MultiIndex.from_arrays([hours.month, hours.day, hours.hour])
    calendar = pd.Series(np.arange(len(hours)), index=keys)
    return calendar[~calendar.index.duplicated()]


def bundled_outages():
    """(Outages, files) of the ReEDS tables that technologies.csv names for each technology."""
    files = [tables.DATA / "outages.parquet", tables.DATA / "outages_monthly.parquet"]
    rates = tables.read(files[0], "outages")[0].set_index("technology")
    monthly = tables.read(files[1], "outages_monthly")[0].pivot(index="prime_mover", columns="month", values="scheduled")
    facts = _facts()
    weather = facts["kind"].isin(WEATHER)               # their profiles are of the whole fleet, outages included
    forced = facts["outage"].map(rates["forced"]).mask(weather, 0.0)
    flat = facts["outage"].map(rates["scheduled"]).mask(weather, 0.0)
    scheduled = {m: facts["monthly"].map(monthly[m]).fillna(flat) for m in range(1, 13)}
    return Outages(forced, pd.DataFrame(scheduled)), files


def own_outages(path, book=None):
    """Outages of a user: rows technology (a name of technologies.csv), forced, scheduled, for every technology."""
    frame, _ = tables.read(path, "outages", None, book)
    for field in ("forced", "scheduled"):
        bad = ~frame[field].between(0, 1)
        if bad.any():
            row = frame[bad].iloc[0]
            raise InputError(f"{path}: row {row['source_row']} ({row['technology']}): {field} outage {row[field]:g}; give a share from 0 to 1")
    rates = frame.drop_duplicates("technology").set_index("technology").reindex(_facts().index)
    missing = rates["forced"].isna()
    if missing.any():
        raise InputError(f"{path}: no outage rate for {rates.index[missing][0]}; give every technology of technologies.csv a row")
    return Outages(rates["forced"], pd.DataFrame({m: rates["scheduled"] for m in range(1, 13)}))
