"""Published test systems as a System: RTS-GMLC and RTS-79 folders, and .pras files."""

import pathlib

import numpy as np
import pandas as pd

from gridmap import InputError
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
    if (path / "gen.csv").exists():
        return rts_gmlc(path)
    if (path / "generators.csv").exists():
        return rts_79(path)
    raise InputError(f"{path}: neither gen.csv (RTS-GMLC) nor generators.csv (RTS-79) is there; give a folder laid out as one of them")


def rts_79(path):
    """generators.csv [capacity_mw, forced_outage_rate, mttr_h] and hourly_load.csv [load_mw]: one region, "1"."""
    units = _csv(path / "generators.csv", ["capacity_mw", "forced_outage_rate", "mttr_h"]).assign(region="1")
    if "unit" in units:
        units = units.rename(columns={"unit": "name"})
    return System(("1",), _csv(path / "hourly_load.csv", ["load_mw"])[["load_mw"]], units)


def rts_gmlc(path):
    """Areas as regions. Units by gen.csv with their FOR and MTTR; water, wind and sun by their day-ahead series; branches
    between areas by their continuous rating, out as often and as long as branch.csv says (its Perm OutRate a year, its
    Duration), the DC line at its MW Load and always in. Batteries by storage.csv, filling at their round-trip efficiency.
    Solar thermal and condensers are left out."""
    bus = _csv(path / "bus.csv", ["Bus ID", "Area"]).set_index("Bus ID")["Area"].astype(str)
    units = _csv(path / "gen.csv", ["GEN UID", "Bus ID", "Unit Type", "PMax MW", "FOR", "MTTR Hr", "Storage Roundtrip Efficiency"])
    battery = _batteries(path, units[units["Unit Type"] == "STORAGE"], bus)
    units = units[~units["Unit Type"].isin(_STORES)]
    series = pd.concat([_series(path, f"day_ahead_{name}") for name in _SERIES], axis=1)
    load = _series(path, "day_ahead_load")
    table = pd.DataFrame(dict(name=units["GEN UID"], region=_areas(path / "gen.csv", units["Bus ID"], bus), capacity_mw=units["PMax MW"],
                              forced_outage_rate=units["FOR"], mttr_h=units["MTTR Hr"].clip(lower=1)))
    steady = table["name"].isin(series.columns) & table["forced_outage_rate"].eq(0)
    regions = list(load.columns)
    weather = np.stack([series[table["name"][steady & table["region"].eq(r)]].sum(axis=1) for r in regions], axis=1)
    rated = [n for n in table["name"][~steady] if n in series]
    return System(tuple(regions), load, table[~steady], _branches(path, bus), storage=battery, ratings=series[rated], weather=weather)


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


def _series(path, name):
    """DataFrame of MW, the columns of the file after Year, Month, Day, Period, a row an hour."""
    file = next((path / f"{name}.{kind}" for kind in ("parquet", "csv") if (path / f"{name}.{kind}").exists()), None)
    if file is None:
        raise InputError(f"{path}: {name}.parquet or {name}.csv is missing; add it")
    frame = pd.read_parquet(file) if file.suffix == ".parquet" else _csv(file, [])
    return frame.drop(columns=["Year", "Month", "Day", "Period"], errors="ignore").astype(float).reset_index(drop=True)


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
