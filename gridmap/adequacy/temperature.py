"""Common-mode weather: outage rates that follow the temperature of the hour, for all units of a place together.

outages_by_temperature.csv: share of capacity out by prime mover and degrees, from S. Murphy, F. Sowell, J. Apt, "A
time-dependent model of generator failures and recoveries captures correlated events and quantifies temperature dependence",
Applied Energy 253 (2019) 113513, as tabulated in ReEDS (NREL, BSD 3-Clause).
"""

import functools
import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError, tables

CURVES = pathlib.Path(__file__).with_name("outages_by_temperature.csv")


@functools.cache
def curves():
    """{prime mover: (degrees, share out)}, rising degrees."""
    table = pd.read_csv(CURVES).sort_values("deg_celsius")
    return {mover: (part["deg_celsius"].to_numpy(float), part["outage_frac"].to_numpy(float)) for mover, part in table.groupby("prime_mover")}


def rate(mover, celsius):
    """Share of time out at temperatures; between the points of the curve straight, beyond its ends as at them."""
    return np.interp(celsius, *curves()[mover])


def read(path, regions, hours):
    """(T, R) degrees Celsius of a file with hour_utc, temperature_c and region_id or state.

    regions: table with region_id and state. hours: DatetimeIndex, UTC. Every region must have every hour.
    Raises InputError naming file, row and remedy.
    """
    path = pathlib.Path(path)
    frame = tables.load(path)
    frame.columns = [str(c).strip() for c in frame.columns]
    place = next((c for c in ("region_id", "state") if c in frame), None)
    if place is None or not {"hour_utc", "temperature_c"} <= set(frame):
        raise InputError(f"{path}: columns are {', '.join(frame.columns[:8])}; give hour_utc, temperature_c and region_id or state")
    celsius = pd.to_numeric(frame["temperature_c"], errors="coerce")
    bad = ~celsius.between(-90, 60).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{path}: row {row + 1}: temperature_c is {frame['temperature_c'].iloc[row]}; give degrees Celsius from -90 to 60")
    try:
        times = pd.to_datetime(frame["hour_utc"], utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: hour_utc is not all times ({error}); write 2023-07-27T22:00Z") from None
    wide = pd.DataFrame({"place": frame[place].astype(str), "hour": times, "celsius": celsius})
    twice = wide.duplicated(["place", "hour"]).to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise InputError(f"{path}: row {row + 1}: {wide['place'].iloc[row]} has {wide['hour'].iloc[row]} twice; keep one")
    wide = wide.pivot(index="hour", columns="place", values="celsius").reindex(index=hours, columns=regions[place].astype(str))
    missing = wide.isna().to_numpy()
    if missing.any():
        hour, column = np.argwhere(missing)[0]
        raise InputError(f"{path}: {place} {wide.columns[column]} has no {hours[hour]} UTC; give every region every hour of the study")
    return wide.to_numpy(float)


def rates(units, movers, celsius, names):
    """(rates, seasons): a column for each prime mover and region that has one, and the column of each unit ("" for none).

    units: region (a name). movers (U,): prime mover, others have no curve. celsius (T, R). names: the R regions.
    """
    known = np.isin(movers, list(curves()))
    seasons = np.where(known, np.char.add(np.char.add(movers.astype(str), "@"), units["region"].to_numpy(str)), "")
    row = {name: r for r, name in enumerate(names)}
    columns = {season: rate(season.partition("@")[0], celsius[:, row[season.partition("@")[2]]]) for season in np.unique(seasons[known])}
    return pd.DataFrame(columns), seasons
