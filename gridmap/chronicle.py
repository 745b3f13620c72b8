"""A year of solved hours told by region, corridor and pocket: how often, how much, when worst, how long.

Pockets are numbered anew every hour. Through the year one is followed by its **seat**: the region in it that goes short
of the most energy in the year. So every pocket of every hour has one seat, and two of one hour never share it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import confidence, flow

CORE = 0.5  # a region belongs to a followed pocket if it is in at least this share of its hours
HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class Chronicle:
    """A year solved: DataFrames of regions, plants, corridors and pockets (see the functions), and of the hours in order.

    basis: name of the capacity basis; says: what it counts, in words.
    """

    regions: pd.DataFrame
    plants: pd.DataFrame
    corridors: pd.DataFrame
    pockets: pd.DataFrame
    hours: pd.DataFrame
    year: int
    basis: str
    says: str
    run: str = "year"


def tell(inputs, found, year, basis, says):
    """The Chronicle of a year. inputs: read.Inputs after repair. found: the datasets of `year.solve_month`, whole."""
    ways = corridors(inputs, found)
    followed = follow(found["short"])
    table = regions(inputs, found)
    told = pockets(inputs, found, ways, followed)
    table["pocket_id"] = _home(told, followed, len(table))
    table = table.join(confidence.assess(inputs, table))
    seat = table.iloc[told["seat"]][["confidence", "artefact", "flag"]].reset_index(drop=True)
    plants = flow.plants(inputs, found["totals"]["hour"].iloc[0], basis)
    return Chronicle(table, plants, ways, told.join(seat), found["totals"], year, basis, says)


def regions(inputs, found):
    """DataFrame, row = region: energy of the year, hours short, worst hour, longest spell."""
    table = pd.DataFrame(inputs.regions.drop(columns="geometry")).join(found["balance"].groupby("region").sum())
    short = found["short"][found["short"]["unserved_mw"] > 0]
    table = _without_gaps(table.join(spells(short, "region", "unserved_mw")))
    share = np.divide(table["unserved_mwh"], table["demand_mwh"], out=np.zeros(len(table)), where=table["demand_mwh"].to_numpy() > 0)
    room, _ = confidence.both_limits(inputs.corridors, np.arange(len(table)), len(table))
    return table.assign(unserved_pct=100 * share, import_limit_mw=room)


def spells(rows, name, amount):
    """By `name`: hours_short, unserved_mwh, worst_mw, worst_hour and longest_h, the most hours in a row.

    rows: DataFrame[hour, name, amount], one row a name and hour, a row means short.
    """
    rows = rows.sort_values([name, "hour"], kind="stable")
    begins = rows[name].ne(rows[name].shift()) | rows["hour"].diff().ne(HOUR)
    groups = rows.groupby(name)
    worst = rows.loc[groups[amount].idxmax()].set_index(name)
    length = rows.groupby([rows[name], begins.cumsum().rename("spell")]).size()
    return pd.DataFrame({
        "hours_short": groups.size(), "unserved_mwh": groups[amount].sum(), "worst_mw": worst[amount],
        "worst_hour": worst["hour"], "longest_h": length.groupby(level=name).max()})


def follow(short):
    """`short` with the seat of each row's pocket: its member with the most unserved energy in the year (of two with as
    much the lower row)."""
    energy = short.groupby("region")["unserved_mw"].sum().sort_index().sort_values(ascending=False, kind="stable")
    rank = pd.Series(np.arange(len(energy)), index=energy.index)
    best = rank.reindex(short["region"]).groupby([short["hour"].to_numpy(), short["pocket"].to_numpy()]).transform("min")
    return short.assign(seat=energy.index.to_numpy()[best])


def pockets(inputs, found, ways, followed):
    """DataFrame, row = pocket followed by its seat, the one with the most unserved energy first.

    ways: `corridors` of the year. followed: `follow`. members: rows of its core regions. corridor: the one into it of
    which a MW more would help most, worth_mwh_per_mw: by how much in the year.
    """
    hourly = followed.groupby(["seat", "hour"])["unserved_mw"].sum().reset_index()
    out = spells(hourly, "seat", "unserved_mw").sort_values("unserved_mwh", ascending=False, kind="stable")
    joined = followed.groupby(["seat", "region"]).size().rename("hours").reset_index()
    core = joined[joined["hours"] >= CORE * out["hours_short"].reindex(joined["seat"]).to_numpy()].groupby("seat")
    out = out.join(_best_corridor(found["full"], ways, followed)).reset_index()
    seat = inputs.regions.iloc[out["seat"]]
    state = seat["state"].where(seat["state"].eq(""), ", " + seat["state"])
    return _without_gaps(out.assign(
        pocket_id=np.arange(1, len(out) + 1),
        name=(seat["name"] + state).to_numpy(),
        members=core["region"].agg(list).reindex(out["seat"]).to_numpy(),
        regions=core.size().reindex(out["seat"]).to_numpy(),
        regions_ever=joined.groupby("seat").size().reindex(out["seat"]).to_numpy(),
        mean_mw=out["unserved_mwh"] / out["hours_short"]))


def corridors(inputs, found):
    """DataFrame, row = corridor: hours at its limit, and worth_mwh_per_mw, the energy a MW more would have served."""
    ids = inputs.regions["region_id"].to_numpy()
    way = inputs.corridors
    groups = found["full"].groupby("corridor")
    told = pd.DataFrame({"hours_full": groups.size(), "worth_mwh_per_mw": groups["worth"].sum().astype(float)})
    table = way.assign(corridor_id=np.arange(1, len(way) + 1), tail_row=way["tail"], head_row=way["head"], tail=ids[way["tail"]], head=ids[way["head"]])
    return table.join(told.reindex(table.index).fillna(0)).astype({"hours_full": int})


def _best_corridor(full, ways, followed):
    """By seat: the corridor into its pocket whose widening would have served the most, in words, and how much a MW of it."""
    seat = followed[["hour", "region", "seat"]].rename(columns={"region": "into"})
    worth = full[full["worth"] > 0].merge(seat, on=["hour", "into"])
    gain = worth.groupby(["seat", "corridor"])["worth"].sum().astype(float).rename("worth_mwh_per_mw").reset_index()
    gain = gain.sort_values("worth_mwh_per_mw", kind="stable").drop_duplicates("seat", keep="last").set_index("seat")
    words = (ways["tail"] + " - " + ways["head"]).to_numpy()
    return pd.DataFrame({"corridor": words[gain["corridor"]], "worth_mwh_per_mw": gain["worth_mwh_per_mw"]}, index=gain.index)


def _home(told, followed, count):
    """(count,) pocket_id of the pocket in which each region is most often, 0 for none."""
    hours = followed.groupby(["region", "seat"]).size().rename("hours").reset_index()
    most = hours.sort_values("hours", kind="stable").drop_duplicates("region", keep="last").set_index("region")["seat"]
    return most.map(told.set_index("seat")["pocket_id"]).reindex(range(count)).fillna(0).astype(int).to_numpy()


def _without_gaps(table):
    """Numbers of what never went short are 0, its worst hour and corridor are empty text; hours as text."""
    if "worst_hour" in table:
        table = table.assign(worst_hour=table["worst_hour"].dt.strftime("%Y-%m-%dT%H:%MZ"))
    table = table.assign(**{c: table[c].fillna("").astype(str) for c in ("worst_hour", "corridor") if c in table})
    numbers = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])]
    whole = {c: int for c in ("hours_short", "longest_h", "regions", "regions_ever") if c in table}
    return table.assign(**{c: table[c].fillna(0) for c in numbers}).astype(whole)
