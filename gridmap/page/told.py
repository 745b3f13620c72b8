"""Everything about one region at one hour, JSON-able: supply by fuel, imports, what limits it, what it rests on."""

import numpy as np
import pandas as pd

from gridmap import provenance, supply, tables
from gridmap.adequacy.result import Z95

NAMED = 60          # rows of a file that are listed
BUSIEST = 12        # corridors that are listed


def region(view, r, row, hour, inputs):
    """Facts of region row r at hour row `row`. hour: the `system.Hour` on the screen; inputs: of the system it was solved for."""
    home, demand = inputs.regions.iloc[r], hour.demand[r]
    ways = corridors(view, r, hour, inputs)
    found = {
        "id": home["region_id"], "name": home["name"], "state": home["state"], "zone": home["zone"], "interconnect": home["interconnect"], "hour": view.stamp(row),
        "supply_mw": hour.supply[r], "demand_mw": demand, "unserved_mw": hour.unserved[r], "spare_mw": hour.spare[r], "share_pct": 100 * hour.share[r],
        "isolated_mw": hour.isolated[r], "imports_mw": sum(w["in_mw"] for w in ways), "fuels": fuels(inputs, r, row, view.basis),
        "corridors": ways[:BUSIEST], "corridors_more": max(len(ways) - BUSIEST, 0), "limits": limits(view, r, hour, inputs), "plants": plants(inputs, r),
    }
    known = view.confidence().iloc[r]
    found["confidence"] = {"value": known["confidence"], "flag": known["flag"], "artefact": bool(known["artefact"])}
    if view.told is not None:
        told = view.told.regions.iloc[r]
        found["year"] = {name: told[name] for name in ("hours_short", "unserved_mwh", "worst_mw", "worst_hour", "longest_h", "unserved_pct", "demand_mwh")}
    if view.adequacy is not None:
        found["adequacy"] = interval(view.adequacy.iloc[r]) | {"says": view.adequacy_says}
    return plain(found)


def fuels(inputs, r, row, basis):
    """[{fuel, mw, nameplate_mw, units}] of the region's plants in the hour, the largest first."""
    here = inputs.plants["region"].to_numpy() == r
    own = supply_inputs(inputs, here)
    mw = supply.unit_supply(own, inputs.demand.hours[row], basis).mw
    fuel = own.plants["technology"].map(tables.fact("fuels").set_index("technology")["fuel"])
    sums = pd.DataFrame({"fuel": fuel, "mw": mw, "nameplate_mw": own.plants["nameplate_mw"].to_numpy(), "units": 1}).groupby("fuel").sum()
    return sums.sort_values("nameplate_mw", ascending=False).reset_index().to_dict("records")


def supply_inputs(inputs, rows):
    from dataclasses import replace

    return replace(inputs, plants=inputs.plants[rows].reset_index(drop=True))


def corridors(view, r, hour, inputs):
    """Corridors of the region, the most MW in first: [{to, name, in_mw, limit_in_mw, limit_out_mw, loading_pct, full, worth}]."""
    ways = inputs.corridors
    tail, head = ways["tail"].to_numpy(), ways["head"].to_numpy()
    mine = np.flatnonzero((tail == r) | (head == r))
    rows = []
    for e in mine:
        inward = head[e] == r
        other = tail[e] if inward else head[e]
        into, out = ("forward_mw", "backward_mw") if inward else ("backward_mw", "forward_mw")
        rows.append({"to": view.ids[other], "name": label(inputs, other), "kind": ways["kind"].iloc[e], "in_mw": hour.flow[e] if inward else -hour.flow[e],
                     "limit_in_mw": ways[into].iloc[e], "limit_out_mw": ways[out].iloc[e], "loading_pct": hour.loading[e],
                     "full": bool(hour.binding[e] != 0), "worth": int(hour.worth[e])})
    return sorted(rows, key=lambda w: -abs(w["in_mw"]))


def limits(view, r, hour, inputs):
    """What limits the region in the hour, in words, with the full corridors into its pocket."""
    pocket = hour.pocket[r]
    if pocket == 0:
        if hour.spare[r] > 0:
            says = "Nothing: its demand is served and some of its own supply is left over."
        elif hour.isolated[r] > 0:
            says = "Nothing in this hour: what it lacks itself flows in within the limits."
        else:
            says = "Nothing in this hour: its demand is served, and all it could spare is used by others."
        return {"says": says, "corridors": [], "members": 0}
    inside = hour.pocket == pocket
    tail, head = (inputs.corridors[end].to_numpy() for end in ("tail", "head"))
    full = np.flatnonzero((hour.binding != 0) & (inside[tail] != inside[head]))
    limit = np.where(inside[head], inputs.corridors["forward_mw"], inputs.corridors["backward_mw"])
    rows = [{"from": label(inputs, tail[e] if inside[head[e]] else head[e]), "into": label(inputs, head[e] if inside[head[e]] else tail[e]),
             "limit_mw": limit[e], "worth": abs(int(hour.worth[e]))} for e in full[np.argsort(-limit[full], kind="stable")]]
    count = int(inside.sum())
    where = "It" if count == 1 else f"It and {count - 1} more"
    says = (f"{where} lack{'s' if count == 1 else ''} {hour.unserved[inside].sum():,.1f} MW together behind {len(full)} full corridor{'' if len(full) == 1 else 's'}."
            if len(full) else f"{where} lack{'s' if count == 1 else ''} {hour.unserved[inside].sum():,.1f} MW together, and no corridor reaches them with power to spare.")
    return {"says": says, "corridors": rows[:BUSIEST], "members": count}


def plants(inputs, r):
    """[{id, name, technology, mw, status, file, row}] of the units, the largest first."""
    here = inputs.plants[inputs.plants["region"] == r].nlargest(NAMED, "nameplate_mw")
    return [{"id": p.plant_id, "unit": p.generator_id, "name": p.plant_name, "technology": p.technology, "mw": p.nameplate_mw, "status": p.status,
             "file": p.file, "row": int(p.source_row)} for p in here.itertuples()]


def rests_on(inputs, region_id):
    """[{role, file, rows: [{row, what, amount, unit}], more}] by `provenance`."""
    found = provenance.rows(inputs)
    mine = found[found["region_id"].eq(region_id)]
    report = inputs.report
    told = []
    for (role, file), part in mine.groupby(["role", "file"], sort=False):
        done = report[report["file"].eq(file) & report["row"].isin(part["row"].dropna())]
        rows = part.nlargest(NAMED, "amount")
        told.append({"role": role, "file": file, "count": len(part), "more": len(part) - len(rows),
                     "rows": [{"row": None if pd.isna(p.row) else int(p.row), "what": p.what, "amount": p.amount, "unit": p.unit} for p in rows.itertuples()],
                     "repairs": [{"row": int(p.row), "rule": p.rule, "action": p.action, "before": p.before, "after": p.after} for p in done.head(NAMED).itertuples()]})
    return plain(told)


def interval(row):
    """The adequacy numbers of a region, each with its 95 % interval."""
    found = {}
    for name in ("lole_hours", "eue_mwh", "neue_ppm", "lolf", "worst_mw"):
        value, error = float(row[name]), float(row[f"{name}_error"])
        found[name] = {"value": value, "error": error, "low": max(value - Z95 * error, 0.0), "high": value + Z95 * error}
    return found


def label(inputs, r):
    home = inputs.regions.iloc[r]
    return f"{home['name']}, {home['state']}" if home["state"] and home["state"] != home["name"] else str(home["name"])


def plain(value):
    """NumPy numbers as Python's, not-a-number as None."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
