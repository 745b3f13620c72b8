"""Folders as a System: tables of one's own, RTS-GMLC, RTS-79; and .pras files."""

import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy.clock import same_hours
from gridmap.adequacy.system import System

HOURS_A_YEAR = 8760.0
_SERIES = ("hydro", "pv", "rtpv", "wind")
_STORES = ("CSP", "STORAGE", "SYNC_COND")  # give nothing of their own


def read(path):
    """See `System.read`."""
    path = pathlib.Path(path)
    if path.is_file() and path.suffix == ".pras":
        from gridmap.adequacy.pras import read_pras
        return read_pras(path)
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder or .pras file; give the path of one")
    for name, reader in (("units.csv", own_tables), ("gen.csv", rts_gmlc), ("generators.csv", rts_79)):
        if (path / name).exists():
            return _reachable(path, _named(path, reader))
    raise InputError(f"{path}: neither units.csv (own tables) nor gen.csv (RTS-GMLC) nor generators.csv (RTS-79) is there; give a folder laid out as one of them")


def _named(path, reader):
    """The reader's System; what is wrong with it names the folder where it names no file of it."""
    try:
        return reader(path)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _reachable(path, system):
    """The system; raises for an island that nothing could serve: load, and neither supply nor corridor."""
    units, storage = (t[t[mw] > 0]["region"] for t, mw in ((system.units, "capacity_mw"), (system.storage, "power_mw")))
    served = np.isin(system.regions, np.concatenate([units, storage, *(t[end] for t in (system.corridors, system.interfaces) for end in ("tail", "head"))]))
    island = ~served & (system.load.max(axis=0) > 0) & (system.weather.max(axis=0) <= 0)
    if island.any():
        row = int(np.argmax(island))
        raise InputError(f"{path}: region {system.regions[row]}, column {row} of the load, is an island: it has load, and no unit, store or corridor "
                         f"serves it; add one, or leave the region out")
    return system


def own_tables(path):
    """units.csv [region, capacity_mw, ...], load.csv [hour_utc, a column of MW for each region], and where they are there
    corridors.csv, interfaces.csv, storage.csv, responses.csv (as `System` says) and weather.csv, rates.csv, inflow.csv,
    ratings.csv [hour_utc, columns of numbers]: hours rise by one, in one time zone, the same in all."""
    load = _by_hour(path / "load.csv")
    tables = {name: _located(path / f"{name}.csv", _csv(path / f"{name}.csv", [])) for name in
              ("units", "corridors", "interfaces", "storage", "responses") if (path / f"{name}.csv").exists()}
    series = {name: _by_hour(path / f"{name}.csv") for name in ("weather", "rates", "inflow", "ratings") if (path / f"{name}.csv").exists()}
    same_hours(**{str(path / "load.csv"): load}, **{str(path / f"{name}.csv"): table for name, table in series.items()})
    if "ratings" in series:
        series["ratings"] = series["ratings"].reset_index(drop=True)
    if "weather" in series:
        series["weather"] = series["weather"].reindex(columns=load.columns, fill_value=0.0)
    return System(tuple(load.columns), load, **tables, **series)


def _by_hour(path):
    """A table with its hours as index; hours of mixed zones, or that are none, raise."""
    frame = _csv(path, ["hour_utc"])
    try:
        hours = pd.DatetimeIndex(pd.to_datetime(frame["hour_utc"]))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: hour_utc is not all times of one time zone ({error}); write 2023-07-27T22:00Z in every row") from None
    numbers = frame.drop(columns="hour_utc")
    for column in numbers:
        values = pd.to_numeric(numbers[column], errors="coerce")
        bad = ~np.isfinite(values) | (values < 0)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"{path}: row {row}: {column} is {numbers[column].iloc[row]}; give a number from 0 up")
        numbers[column] = values
    return numbers.set_index(hours)


def _located(path, table):
    return table.assign(where=[f"{path}, row {row}" for row in table.index])


def rts_79(path):
    """generators.csv [capacity_mw, forced_outage_rate, mttr_h] and hourly_load.csv [load_mw]: one region, "1"."""
    units = _located(path / "generators.csv", _csv(path / "generators.csv", ["capacity_mw", "forced_outage_rate", "mttr_h"])).assign(region="1")
    if "unit" in units:
        units = units.rename(columns={"unit": "name"})
    load = _csv(path / "hourly_load.csv", ["load_mw"])
    _no_less(path / "hourly_load.csv", load[["load_mw"]])
    return System(("1",), load[["load_mw"]].to_numpy(), units)


def rts_gmlc(path):
    """Areas as regions. Units by gen.csv with their FOR and MTTR; water, wind and sun by their day-ahead series; branches
    between areas by their continuous rating, out as often and as long as branch.csv says (its Perm OutRate a year, its
    Duration), the DC line at its MW Load and always in. Batteries by storage.csv, filling at their round-trip efficiency.
    Solar thermal and condensers are left out."""
    bus = _csv(path / "bus.csv", ["Bus ID", "Area"]).set_index("Bus ID")["Area"].astype(str)
    units = _csv(path / "gen.csv", ["GEN UID", "Bus ID", "Unit Type", "PMax MW", "FOR", "MTTR Hr", "Storage Roundtrip Efficiency"])
    battery = _batteries(path, units[units["Unit Type"] == "STORAGE"], bus)
    units = _located(path / "gen.csv", units)
    units = units[~units["Unit Type"].isin(_STORES)]
    load = _series(path, "day_ahead_load")
    series = pd.concat([_series(path, f"day_ahead_{name}", load) for name in _SERIES], axis=1)
    table = pd.DataFrame(dict(name=units["GEN UID"], region=_areas(path / "gen.csv", units["Bus ID"], bus), capacity_mw=units["PMax MW"],
                              forced_outage_rate=units["FOR"], mttr_h=_repair(units), where=units["where"]))
    steady = table["name"].isin(series.columns) & table["forced_outage_rate"].eq(0)
    regions = list(load.columns)
    weather = np.stack([series[table["name"][steady & table["region"].eq(r)]].sum(axis=1) for r in regions], axis=1)
    rated = [n for n in table["name"][~steady] if n in series]
    return System(tuple(regions), load, table[~steady], _branches(path, bus), storage=battery, ratings=series[rated], weather=weather)


def _repair(units):
    """Hours from 1 up; a unit that never fails may have none."""
    never = units["FOR"].eq(0)
    bad = (~(units["MTTR Hr"] > 0) & ~never).to_numpy()
    if bad.any():
        row = units.iloc[int(np.argmax(bad))]
        raise InputError(f"{row['where']}: MTTR Hr is {row['MTTR Hr']}; give mean hours above 0")
    return units["MTTR Hr"].clip(lower=1).fillna(1.0)


def _batteries(path, units, bus):
    held = _csv(path / "storage.csv", ["GEN UID", "Max Volume GWh", "position"]) if len(units) else pd.DataFrame({"GEN UID": [], "position": []})
    head = held[held["position"] == "head"].set_index("GEN UID")
    missing = ~units["GEN UID"].isin(head.index)
    if missing.any():
        raise InputError(f"{path / 'storage.csv'}: no row of {units['GEN UID'][missing].iloc[0]} with position head; add its Max Volume GWh")
    return pd.DataFrame(dict(region=_areas(path / "gen.csv", units["Bus ID"], bus), power_mw=units["PMax MW"].to_numpy(float),
                             energy_mwh=[1e3 * head["Max Volume GWh"][n] for n in units["GEN UID"]],
                             charge_efficiency=units["Storage Roundtrip Efficiency"].to_numpy(float) / 100))


def _branches(path, bus):
    branch = _csv(path / "branch.csv", ["From Bus", "To Bus", "Cont Rating", "Perm OutRate", "Duration"])
    out_h = branch["Perm OutRate"] * branch["Duration"]
    lines = [pd.DataFrame(dict(tail=_areas(path / "branch.csv", branch["From Bus"], bus), head=_areas(path / "branch.csv", branch["To Bus"], bus),
                               forward_mw=branch["Cont Rating"], forced_outage_rate=out_h / (HOURS_A_YEAR + out_h), mttr_h=branch["Duration"].clip(lower=1)))]
    if (path / "dc_branch.csv").exists():
        dc = _csv(path / "dc_branch.csv", ["From Bus", "To Bus", "MW Load"])
        lines.append(pd.DataFrame(dict(tail=_areas(path / "dc_branch.csv", dc["From Bus"], bus), head=_areas(path / "dc_branch.csv", dc["To Bus"], bus),
                                       forward_mw=dc["MW Load"].astype(float), forced_outage_rate=0.0, mttr_h=1.0)))
    table = pd.concat(lines, ignore_index=True)
    return table[table["tail"] != table["head"]].assign(backward_mw=lambda t: t["forward_mw"])


def _areas(path, buses, bus):
    areas = buses.map(bus)
    if areas.isna().any():
        row = int(np.argmax(areas.isna()))
        raise InputError(f"{path}: row {row}: bus {buses.iloc[row]} is not in bus.csv; add it there or correct it")
    return areas.to_numpy()


def _series(path, name, like=None):
    """DataFrame of MW, the columns of the file after Year, Month, Day, Period, a row an hour; as many as like has."""
    file = next((path / f"{name}.{kind}" for kind in ("parquet", "csv") if (path / f"{name}.{kind}").exists()), None)
    if file is None:
        raise InputError(f"{path}: {name}.parquet or {name}.csv is missing; add it")
    frame = pd.read_parquet(file) if file.suffix == ".parquet" else _csv(file, [])
    frame = frame.drop(columns=["Year", "Month", "Day", "Period"], errors="ignore").astype(float).reset_index(drop=True)
    if like is not None and len(frame) != len(like):
        raise InputError(f"{file}: {len(frame)} hours, and the load has {len(like)}; give both the same hours")
    _no_less(file, frame)
    return frame


def _no_less(file, frame):
    bad = ~(frame.to_numpy(float) >= 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(f"{file}: row {row}: {frame.columns[column]} is {frame.iloc[row, column]}; give MW from 0 up")


def _csv(path, columns):
    if not path.exists():
        raise InputError(f"{path}: there is no such file; add it")
    try:
        frame = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: can't be read as CSV ({error}); save it as CSV in UTF-8") from None
    missing = [c for c in columns if c not in frame]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; there are {', '.join(map(str, frame.columns[:12]))}")
    return frame
