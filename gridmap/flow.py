"""What a solved hour says of each region, plant, corridor and pocket: the tables to which `layers` gives shapes."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
from cukernels import residual_deficit
from cukernels.backend import array_module, to_device, to_host

from gridmap import confidence, nested, supply, tables


@dataclass(frozen=True)
class Findings:
    """One hour solved: DataFrames of regions, plants, corridors and pockets (see the functions of these names).

    groups: how the limits between groups stand, `nested.told`, or None. hour: Timestamp, UTC. basis: name of the capacity basis; says: what it counts, in words.
    """

    regions: pd.DataFrame
    plants: pd.DataFrame
    corridors: pd.DataFrame
    pockets: pd.DataFrame
    hour: pd.Timestamp
    basis: str
    says: str
    groups: pd.DataFrame | None = None
    run: str = "hour"


def solve(inputs, balance, device="cpu"):
    """The Findings of an hour. inputs: read.Inputs after repair. balance: `supply.balance` of the hour. device: where to solve."""
    lines = inputs.corridors
    given = [column.to_numpy() for column in (balance["supply_mw"], balance["demand_mw"], lines["tail"], lines["head"], lines["forward_mw"], lines["backward_mw"])]
    if inputs.interfaces is not None:
        given[4:] = nested.limited(*given, inputs.interfaces)
    given = [to_device(column, device) for column in given]
    deficit = residual_deficit(*given)
    host = SimpleNamespace(total=float(deficit.total), gain=to_host(worth(deficit, *given)),
                           **{name: to_host(getattr(deficit, name)) for name in ("unserved", "share", "pocket", "binding", "flow")})
    found = regions(inputs, balance, host)
    ways = corridors(inputs, host, found)
    groups = None if inputs.interfaces is None else nested.told(inputs.interfaces, host.flow)
    hour, basis = balance.attrs["hour"], balance.attrs["basis"]
    return Findings(found, plants(inputs, hour, basis), ways, pockets(inputs, found, ways), hour, basis, balance.attrs["says"], groups)


def regions(inputs, balance, solved):
    """DataFrame, row = region: the balance, what the flows left of it, import_limit_mw, pocket_id (0: none), confidence.

    balance: `supply.balance`. solved: what cukernels.flow.Deficit holds of its supply and demand.
    """
    corridors, count = inputs.corridors, len(balance)
    come = np.bincount(corridors["head"], solved.flow, count) - np.bincount(corridors["tail"], solved.flow, count)
    table = balance.assign(
        **{name: inputs.regions[name] for name in ("state", "zone", "interconnect")},
        residual_deficit_mw=solved.unserved,
        residual_share_pct=100 * solved.share,
        spare_mw=np.maximum(balance["supply_mw"] - balance["demand_mw"] + come + solved.unserved, 0),
        import_limit_mw=confidence.both_limits(corridors, np.arange(count), count)[0],
        pocket_id=_ranks(solved)[solved.pocket],
    )
    table["balance_mw"] = table["spare_mw"] - table["residual_deficit_mw"]
    return table.join(confidence.assess(inputs, table))


def corridors(inputs, solved, found):
    """DataFrame, row = corridor, by ids of regions, with flow, loading, whether it binds and what lifting its limit is worth.

    found: `regions` of the same hour.
    """
    table, ids = inputs.corridors, inputs.regions["region_id"].to_numpy()
    binding = solved.binding
    into = np.where(binding > 0, table["head"], table["tail"])
    limit = np.where(solved.flow > 0, table["forward_mw"], table["backward_mw"])
    return table.assign(
        corridor_id=np.arange(1, len(table) + 1), tail_row=table["tail"], head_row=table["head"], tail=ids[table["tail"]], head=ids[table["head"]],
        flow_mw=solved.flow,
        loading_pct=100 * np.divide(np.abs(solved.flow), limit, out=np.zeros(len(table)), where=limit > 0),
        bottleneck=np.abs(binding),
        pocket_id=np.where(binding != 0, found["pocket_id"].to_numpy()[into], 0),
        worth_mw=solved.gain,
    )


def worth(deficit, supply, demand, tail, head, forward, backward):
    """(E,) MW by which the total deficit falls if the limit of this corridor alone is lifted, into the pocket it leads to.

    deficit: cukernels.flow.Deficit of the other arguments. It is solved anew for each corridor of which a MW more is
    worth something, all of them side by side; the others are worth nothing.
    """
    xp = array_module(supply)
    gain = xp.zeros(len(tail))
    asked = xp.flatnonzero(deficit.worth)
    if len(asked) == 0:
        return gain
    # not by `binding`: a limit of 0 binds nothing, but more of it would help
    row, wider = xp.arange(len(asked)), deficit.spare[tail[asked]] & (deficit.pocket[head[asked]] >= 0)
    forwards, backwards = (xp.repeat(limit[None], len(asked), axis=0) for limit in (forward, backward))
    forwards[row[wider], asked[wider]] = xp.inf
    backwards[row[~wider], asked[~wider]] = xp.inf
    gain[asked] = xp.maximum(deficit.total - residual_deficit(supply, demand, tail, head, forwards, backwards).total, 0)
    return gain


def pockets(inputs, found, lines):
    """DataFrame, row = pocket, the one with the largest deficit first; members: rows of its regions.

    found, lines: `regions` and `corridors` of the hour.
    """
    inside = found[found["pocket_id"] > 0]
    groups = inside.groupby("pocket_id")
    sums = groups[["supply_mw", "demand_mw", "residual_deficit_mw"]].sum().reset_index()
    largest = inside.loc[groups["demand_mw"].idxmax()]
    state = largest["state"].where(largest["state"].eq(""), ", " + largest["state"])
    into = lines[lines["bottleneck"] > 0].groupby("pocket_id").size()
    return sums.assign(
        name=(largest["name"] + state).to_numpy(),
        members=[list(rows) for _, rows in sorted(groups.groups.items())],
        regions=groups.size().to_numpy(),
        residual_share_pct=100 * sums["residual_deficit_mw"] / sums["demand_mw"],
        import_limit_mw=confidence.both_limits(inputs.corridors, found["pocket_id"].to_numpy(), len(sums) + 1)[0][1:],
        corridors=sums["pocket_id"].map(into).fillna(0).astype(int),
        confidence=groups["confidence"].min().to_numpy(),
        artefact=groups["artefact"].any().to_numpy(),
        flag=groups["flag"].agg(lambda flags: "; ".join(sorted(set("; ".join(flags).split("; ")) - {""}))).to_numpy(),
    )


def plants(inputs, hour, basis):
    """DataFrame, row = plant inside a region: its main fuel, units, capacity, and what it can give at the hour."""
    fuel = tables.fact("fuels").set_index("technology")["fuel"]
    units = inputs.plants.assign(supply_mw=supply.unit_supply(inputs, hour, basis).mw, fuel=inputs.plants["technology"].map(fuel))
    units = units[units["region"] >= 0]
    keys = ["plant_id", "plant_name", "state", "region", "lon", "lat"]
    by_fuel = units.groupby([*keys, "fuel"], dropna=False)["nameplate_mw"].sum().reset_index()
    main = by_fuel.sort_values("nameplate_mw").drop_duplicates(keys, keep="last").set_index(keys)["fuel"]
    plant = units.groupby(keys, dropna=False).agg(
        units=("nameplate_mw", "size"), **{c: (c, "sum") for c in ("nameplate_mw", "summer_mw", "supply_mw")}).join(main).reset_index()
    inside = inputs.regions.geometry.representative_point().iloc[plant["region"]]
    blind = plant["lon"].isna().to_numpy() | plant["lat"].isna().to_numpy()
    return plant.assign(
        name=plant["plant_name"], region_id=inputs.regions["region_id"].to_numpy()[plant["region"]],
        lon=np.where(blind, inside.x, plant["lon"]), lat=np.where(blind, inside.y, plant["lat"]))


def _ranks(solved):
    """Pocket number of `solved` -> rank by its deficit from 1; the last element serves -1, in no pocket, with 0."""
    count = int(solved.pocket.max(initial=-1)) + 1
    deficit = np.bincount(solved.pocket[solved.pocket >= 0], solved.unserved[solved.pocket >= 0], count)
    ranks = np.zeros(count + 1, int)
    ranks[np.argsort(-deficit, kind="stable")] = np.arange(1, count + 1)
    return ranks
