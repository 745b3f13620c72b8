"""A system with changes - plants added or retired, demand that grows, lines built or lost - beside the system as it is.

A scenario is a TOML file of tables, each of which may stand several times:

    [[add]]      plant_id, technology, nameplate_mw, lon, lat (or region); name, state, energy_mwh, summer_mw, winter_mw
    [[retire]]   plant_id, and generator_id for one unit of it
    [[grow]]     percent; area (a demand area), state or region, without one everywhere
    [[load]]     name, load_mw, lon, lat (or region): a steady load beyond the demand there is, a data centre
    [[line]]     tail, head, forward_mw, backward_mw (as forward_mw unless given): a corridor more
    [[outage]]   tail, head, and lost_mw (all, unless given): a corridor with a line less
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import InputError, capacity, confidence, ledger, limits, tables
from gridmap import hours as chosen_hours
from gridmap.place import region_of

NUMBERS = ("nameplate_mw", "summer_mw", "winter_mw", "energy_mwh", "lon", "lat", "percent", "load_mw", "forward_mw", "backward_mw", "lost_mw")
KEYS = {
    "add": ({"plant_id", "technology", "nameplate_mw"}, {"lon", "lat", "region", "name", "state", "energy_mwh", "summer_mw", "winter_mw"}),
    "retire": ({"plant_id"}, {"generator_id"}),
    "grow": ({"percent"}, {"area", "state", "region"}),
    "load": ({"name", "load_mw"}, {"lon", "lat", "region"}),
    "line": ({"tail", "head", "forward_mw"}, {"backward_mw"}),
    "outage": ({"tail", "head"}, {"lost_mw"}),
}


@dataclass(frozen=True)
class Difference:
    """Both systems in the same hours: `regions` and `corridors` (see `difference`), `hours` DataFrame[hour, before_mw,
    after_mw, change_mw] of the totals unserved, MW; `basis` and what it counts."""

    regions: pd.DataFrame
    corridors: pd.DataFrame
    hours: pd.DataFrame
    basis: str
    says: str
    run: str = "compare"


def read(path):
    """{kind: list of dicts} of a scenario file. Raises InputError naming the table, the key and the remedy."""
    path = Path(path)
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the scenario can't be read ({error}); give a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f'{path}: not TOML ({error}); write tables like [[retire]] and below plant_id = "3"') from None
    if not changes:
        raise InputError(f"{path}: changes nothing; write tables like [[retire]] and below plant_id = \"3\"")
    for kind, tables_of_kind in changes.items():
        if kind not in KEYS:
            raise InputError(f"{path}: [[{kind}]] is unknown; a scenario holds {', '.join(f'[[{k}]]' for k in KEYS)}")
        if not isinstance(tables_of_kind, list):
            raise InputError(f"{path}: [{kind}] stands in single brackets; write [[{kind}]]")
        for number, change in enumerate(tables_of_kind, 1):
            _check(f"{path}: [[{kind}]] number {number}", kind, change)
    return changes


def _check(where, kind, change):
    need, may = KEYS[kind]
    for key in need - set(change):
        raise InputError(f"{where} lacks {key}; add a line for it")
    for key, value in change.items():
        if key not in need | may:
            raise InputError(f"{where}: key {key!r} is unknown; the keys are {', '.join(sorted(need | may))}")
        if key in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value)):
            raise InputError(f"{where}: {key} = {value!r} is no number; write one without quotes")
        if key.endswith("_mw") and value < 0:
            raise InputError(f"{where}: {key} = {value:g} is negative; give MW from 0 up")
        if key not in NUMBERS and not isinstance(value, str):
            raise InputError(f"{where}: {key} = {value!r} is not text; put it in quotes")
    if kind in ("add", "load") and "region" not in change and not {"lon", "lat"} <= set(change):
        raise InputError(f"{where} says no place; give lon and lat, or region")
    if kind == "grow" and len(set(change) & {"area", "state", "region"}) > 1:
        raise InputError(f"{where} names several of area, state and region; keep one")
    if kind == "grow" and change["percent"] < -100:
        raise InputError(f"{where}: percent = {change['percent']:g} would leave less than nothing; give -100 or more")


def apply(inputs, changes, path="scenario"):
    """Inputs with the changes of `read`; inputs: read.Inputs after repair (and regrouping). The report says each change.

    Growth comes before new loads, so that these do not grow. Raises InputError for plants, areas, regions and corridors
    that the system does not have.
    """
    book = ledger.Ledger()
    steps = {"retire": _retire, "add": _add, "grow": _grow, "load": _load, "line": _line, "outage": _outage}
    for kind, step in steps.items():
        for number, change in enumerate(changes.get(kind, ()), 1):
            inputs = step(f"{path}: [[{kind}]] number {number}", inputs, change, book)
    return replace(inputs, report=pd.concat([inputs.report, book.table()], ignore_index=True))


def _retire(where, inputs, change, book):
    plants = inputs.plants
    chosen = plants["plant_id"].eq(change["plant_id"])
    if "generator_id" in change:
        chosen &= plants["generator_id"].eq(change["generator_id"])
    chosen &= plants["region"] >= 0
    if not chosen.any():
        what = f"plant {change['plant_id']}" + (f", generator {change['generator_id']}" if "generator_id" in change else "")
        raise InputError(f"{where}: no {what} supplies any region; correct plant_id or generator_id")
    book.add("scenario", "retired", "left out", plant=plants["plant_id"][chosen] + " " + plants["plant_name"][chosen], mw=plants["nameplate_mw"][chosen])
    return replace(inputs, plants=plants.assign(region=plants["region"].mask(chosen, -1)))


def _add(where, inputs, change, book):
    known = tables.fact("technologies")["technology"]
    if change["technology"] not in set(known):
        raise InputError(f"{where}: technology {change['technology']!r} is unknown; it is one of {', '.join(known)}")
    row, lon, lat = _site(where, inputs.regions, change)
    mw = float(change["nameplate_mw"])
    home = inputs.regions.iloc[row]
    unit = {column: "" if inputs.plants[column].dtype.kind not in "fi" else np.nan for column in inputs.plants}
    unit |= {"file": "scenario", "source_row": 0, "plant_id": change["plant_id"], "plant_name": change.get("name", change["plant_id"]), "status": "OP",
             "state": change.get("state", home["state"]), "technology": change["technology"], "lon": lon, "lat": lat, "nameplate_mw": mw,
             "summer_mw": float(change.get("summer_mw", mw)), "winter_mw": float(change.get("winter_mw", mw)),
             "energy_mwh": float(change.get("energy_mwh", np.nan)), "region": row, "river_factor": _usual_river(inputs.plants, change["technology"])}
    plants = pd.concat([inputs.plants, pd.DataFrame([unit]).astype(inputs.plants.dtypes.to_dict())], ignore_index=True)
    plants.attrs = inputs.plants.attrs
    book.add("scenario", "plant added", "changed", plant=change["plant_id"], after=home["region_id"], mw=mw)
    return replace(inputs, plants=plants)


def _usual_river(plants, technology):
    """What hydro of this kind usually gives, for a plant of which nothing is known; NaN for other technologies."""
    rivers = plants[plants["technology"].eq(technology) & plants["river_factor"].notna()]
    if not rivers["nameplate_mw"].sum() > 0:
        return np.nan
    return float(np.average(rivers["river_factor"], weights=rivers["nameplate_mw"]))


def _grow(where, inputs, change, book):
    demand, factor = inputs.demand, 1 + change["percent"] / 100
    rows = np.ones(len(inputs.regions), bool)
    if "area" in change:
        if change["area"] not in demand.areas:
            raise InputError(f"{where}: there is no demand area {change['area']}; areas are {', '.join(demand.areas[:5])} ...")
        hourly = demand.hourly * np.where(np.array(demand.areas) == change["area"], factor, 1.0)[:, None]
        grown = replace(demand, hourly=hourly)
    else:
        for column in ("state", "region"):
            if column in change:
                rows = inputs.regions["region_id" if column == "region" else column].eq(change[column]).to_numpy()
        if not rows.any():
            raise InputError(f"{where}: no region has {', '.join(f'{k} {v}' for k, v in change.items() if k != 'percent')}; correct it")
        grown = replace(demand, weights=(scipy.sparse.diags_array(np.where(rows, factor, 1.0)) @ demand.weights).tocsr())
    more = grown.national().mean() - demand.national().mean()
    book.add("scenario", f"demand grown by {change['percent']:g} %", "changed", plant=change.get("area") or change.get("state") or change.get("region") or "everywhere", mw=more)
    return replace(inputs, demand=grown)


def _load(where, inputs, change, book):
    row, *_ = _site(where, inputs.regions, change)
    demand = inputs.demand
    point = scipy.sparse.csr_array(([1.0], ([row], [0])), shape=(len(inputs.regions), 1))
    steady = np.full((1, len(demand.hours)), float(change["load_mw"]))
    book.add("scenario", "load added", "changed", plant=change["name"], after=inputs.regions["region_id"].iloc[row], mw=change["load_mw"])
    return replace(inputs, demand=replace(
        demand, weights=scipy.sparse.hstack([demand.weights, point]).tocsr(), hourly=np.vstack([demand.hourly, steady]),
        areas=(*demand.areas, change["name"]), imputed=np.append(demand.imputed, np.nan)))


def _line(where, inputs, change, book):
    tail, head = (_region(where, inputs.regions, change[end]) for end in ("tail", "head"))
    if tail == head:
        raise InputError(f"{where} joins {change['tail']} to itself; give two regions")
    forward = float(change["forward_mw"])
    new = pd.DataFrame({"tail": [tail], "head": [head], "forward_mw": [forward], "backward_mw": [float(change.get("backward_mw", forward))],
                        "kind": ["AC"], "name": [""], "source": ["scenario"], "rows": [""]})
    book.add("scenario", "line built", "changed", plant=f"{change['tail']} to {change['head']}", mw=forward)
    return replace(inputs, corridors=limits.onto(pd.concat([inputs.corridors, new], ignore_index=True), np.arange(len(inputs.regions))))


def _outage(where, inputs, change, book):
    ends = sorted(_region(where, inputs.regions, change[end]) for end in ("tail", "head"))
    ways = inputs.corridors
    hit = (ways["tail"].eq(ends[0]) & ways["head"].eq(ends[1])).to_numpy()
    if not hit.any():
        raise InputError(f"{where}: there is no corridor {change['tail']} to {change['head']}; correct tail or head")
    left = {}
    for column in ("forward_mw", "backward_mw"):
        mw = ways[column].to_numpy().copy()
        whole = mw[hit].sum()
        keep = max(whole - change.get("lost_mw", np.inf), 0.0)
        mw[hit] *= keep / whole if whole > 0 else 1.0
        left[column] = mw
    book.add("scenario", "line out", "changed", plant=f"{change['tail']} to {change['head']}", before=ways["forward_mw"][hit].sum(), after=left["forward_mw"][hit].sum())
    return replace(inputs, corridors=ways.assign(**left))


def _site(where, regions, change):
    """(row of the region, lon, lat): the point given, or one inside the region named."""
    if "region" in change:
        row = _region(where, regions, change["region"])
        inside = regions.geometry.iloc[row].representative_point()
        return row, inside.x, inside.y
    row = int(region_of(np.array([change["lon"]], float), np.array([change["lat"]], float), regions)[0])
    if row < 0:
        raise InputError(f"{where}: {change['lat']:g}, {change['lon']:g} lies in no region; correct lon and lat or name a region")
    return row, float(change["lon"]), float(change["lat"])


def _region(where, regions, name):
    found = np.flatnonzero(regions["region_id"].eq(name))
    if len(found) == 0:
        raise InputError(f"{where}: there is no region {name}; use the region_id of regions.csv")
    return int(found[0])


def difference(before, after, hours, basis="effective", device="cpu"):
    """`Difference` of two Inputs over the same regions in the same hours.

    regions, row = region: demand and unserved demand of all the hours together before and after, their change (MWh), the
    hours short before and after, worst_change_mw, the change in the hour where it is largest. corridors, row = corridor of
    either: its limits before and after, in how many of the hours it is full into a pocket.
    """
    old, new = (chosen_hours.solve(inputs, hours, basis, device) for inputs in (before, after))
    change = new.unserved_mw - old.unserved_mw
    worst, count = int(new.total_mw.argmax()), len(after.regions)
    table = pd.DataFrame(after.regions.drop(columns="geometry")).assign(
        supply_mw=new.supply_mw[worst], demand_mw=new.demand_mw[worst], pocket_id=new.pocket[worst] + 1,
        import_limit_mw=confidence.both_limits(after.corridors, np.arange(count), count)[0],
        supply_change_mwh=(new.supply_mw - old.supply_mw).sum(0), demand_change_mwh=(new.demand_mw - old.demand_mw).sum(0),
        before_mwh=old.unserved_mw.sum(0), after_mwh=new.unserved_mw.sum(0), change_mwh=change.sum(0),
        short_before_h=(old.unserved_mw > 0).sum(0), short_after_h=(new.unserved_mw > 0).sum(0),
        worst_change_mw=change[np.abs(change).argmax(0), np.arange(count)])
    totals = pd.DataFrame({"hour": hours, "before_mw": old.total_mw, "after_mw": new.total_mw, "change_mw": new.total_mw - old.total_mw})
    return Difference(table.join(confidence.assess(after, table)), corridors(before, after, old, new), totals, basis, capacity.BASES[basis].says)


def corridors(before, after, old, new):
    """The corridors of both systems side by side; one that a system lacks has limits 0 there."""
    keys = ["tail", "head", "kind"]
    sides = [inputs.corridors[[*keys, "forward_mw", "backward_mw"]].assign(full_h=np.abs(solved.binding).sum(0)).set_index(keys)
             for inputs, solved in ((before, old), (after, new))]
    both = sides[1].join(sides[0], how="outer", suffixes=("", "_before")).fillna(0).reset_index()
    ids = after.regions["region_id"].to_numpy()
    return pd.DataFrame({
        "corridor_id": np.arange(1, len(both) + 1), "tail_row": both["tail"], "head_row": both["head"], "tail": ids[both["tail"]], "head": ids[both["head"]],
        "kind": both["kind"], "forward_mw": both["forward_mw"], "backward_mw": both["backward_mw"],
        "forward_before_mw": both["forward_mw_before"], "backward_before_mw": both["backward_mw_before"],
        "full_before_h": both["full_h_before"].astype(int), "hours_full": both["full_h"].astype(int)})
