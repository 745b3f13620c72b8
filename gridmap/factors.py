"""Wind and sun by state and hour, and the shares of time that units are out: bundled, or the user's own tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import InputError, tables
from gridmap.demand import parse_hour

WEATHER = ("wind", "solar")


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


def by_state(weather, source, hours, states):
    """(T, n): factors of the states of n units; a state without a profile takes the mean of those with one."""
    factors = weather.at(source, [parse_hour(h) for h in hours])
    mean = factors.mean(axis=1, keepdims=True)
    columns = weather.states.get_indexer(states)
    return np.where(columns >= 0, factors[:, columns], mean)


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
    facts = tables.fact("technologies").set_index("technology")
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
    rates = frame.drop_duplicates("technology").set_index("technology").reindex(tables.fact("technologies").set_index("technology").index)
    missing = rates["forced"].isna()
    if missing.any():
        raise InputError(f"{path}: no outage rate for {rates.index[missing][0]}; give every technology of technologies.csv a row")
    return Outages(rates["forced"], pd.DataFrame({m: rates["scheduled"] for m in range(1, 13)}))
