"""How far the data behind each region can be believed: a score from 0 to 1, and the reasons in words.

The score is the product of the factors in confidence.csv of the reasons that hold (a share of plants or of hours counts
in proportion). It ranks; it is no probability. Reasons marked as artefact contradict what is known of the world: a region
that would be dark all year is a hole in the data.
"""

import numpy as np
import pandas as pd

from gridmap import tables
from gridmap.lines import in_use, line_ends

OFTEN = 0.25        # of all hours
MONTH = 720         # hours
SAID = 0.01         # smaller shares count but are not put into words
LOPSIDED = 0.1      # of the limits out of the region
PLACED = "point |no coordinates"  # how the rules of repair.py begin that place a plant


def assess(inputs, table):
    """DataFrame, row = region: confidence (0..1), flag (reasons in words, "" for none), artefact (bool).

    inputs: read.Inputs after repair. table: `flow.regions` or `chronicle.regions`, with pocket_id.
    """
    facts = tables.fact("confidence").set_index("reason")
    holds = reasons(inputs, table)
    factors = 1 - holds * (1 - facts["factor"].astype(float).loc[holds.columns])
    words = [facts["says"][reason] + np.where(holds[reason] < 1, [f" ({share:.0%})" for share in holds[reason]], "") for reason in holds]
    flag = ["; ".join(w for w, share in zip(row, shares) if share >= SAID) for row, shares in zip(zip(*words), holds.to_numpy())]
    artefact = holds.loc[:, facts["artefact"].loc[holds.columns].eq("yes").to_numpy()].gt(0).any(axis=1)
    return pd.DataFrame({"confidence": factors.prod(axis=1), "flag": flag, "artefact": artefact})


def reasons(inputs, table):
    """DataFrame (R, reasons of confidence.csv) of 0..1: how far each holds."""
    corridors, count = inputs.corridors, len(table)
    into, out = both_limits(corridors, np.arange(count), count)
    touched = np.zeros(count, bool)
    touched[corridors["tail"]] = touched[corridors["head"]] = True
    rated = np.bincount(inputs.plants["region"].clip(0), inputs.plants["nameplate_mw"] * (inputs.plants["region"] >= 0), count)
    holds = {
        "no_corridor": ~touched,
        "no_room": touched & (into == 0),
        "dark_always": dark_always(inputs, table["pocket_id"].to_numpy(), rated),
        "lopsided": (into > 0) & (into < LOPSIDED * out),
        "plants_moved": moved_share(inputs, rated),
        "imputed": imputed_share(inputs.demand),
        "no_line": without_line(inputs, count),
    }
    if "hours_short" in table:
        holds["short_for_months"] = table["hours_short"].to_numpy() >= max(OFTEN * len(inputs.demand.hours), MONTH)
    else:
        holds["below_load"] = (table["supply_mw"] + into < table["demand_mw"]).to_numpy()
    alone = rated < lightest(inputs.demand, np.arange(count), count)  # one without corridors may well feed itself
    holds["no_corridor"] &= alone
    holds["no_room"] &= alone
    return pd.DataFrame(holds, table.index).astype(float)


def dark_always(inputs, pocket_id, rated):
    """(R,) bool: in a pocket whose nameplate capacity and limits inward are below its lightest hour of demand."""
    count = int(pocket_id.max(initial=0)) + 1
    room = both_limits(inputs.corridors, pocket_id, count)[0] + np.bincount(pocket_id, rated, count)
    dark = room < lightest(inputs.demand, pocket_id, count)
    dark[0] = False  # outside all pockets
    return dark[pocket_id]


def lightest(demand, group, count):
    """(count,) MW: the lowest hour of the demand of each group of regions; group (R,) int, 0 .. count-1."""
    grouped = demand.onto(group, count)
    steps = range(0, len(demand.hours), 1000)  # the whole year of every county at once would be 200 MB
    return np.min([grouped.between(start, start + 1000).min(axis=0) for start in steps], axis=0)


def both_limits(corridors, group, count):
    """((count,) MW into each group of regions, (count,) MW out of it). group: (R,) int; inside a group counts nothing."""
    tail, head = group[corridors["tail"]], group[corridors["head"]]
    across = tail != head
    ways = ((tail[across], head[across], corridors["forward_mw"][across]), (head[across], tail[across], corridors["backward_mw"][across]))
    return tuple(sum(np.bincount(way[end], way[2], count) for way in ways) for end in (1, 0))


def without_line(inputs, count):
    """(R,) bool: regions in which no line of known voltage or rating ends, where the run has all lines; else False."""
    if not getattr(inputs, "own_lines", False) or inputs.truncated or inputs.lines is None:
        return np.zeros(count, bool)
    return np.bincount(line_ends(in_use(inputs.lines), inputs.regions), minlength=count)[:count] == 0


def moved_share(inputs, rated):
    """(R,) share of the nameplate capacity whose place is not what its coordinates say, or that has none."""
    report = inputs.report
    placed = report[report["rule"].str.match(PLACED) & report["row"].notna() & report["action"].eq("changed")]
    units = pd.MultiIndex.from_frame(inputs.plants[["file", "source_row"]])
    moved = units.isin(pd.MultiIndex.from_arrays([placed["file"], placed["row"].astype(int)])) & (inputs.plants["region"] >= 0)
    mw = np.bincount(inputs.plants["region"].clip(0), inputs.plants["nameplate_mw"] * moved, len(rated))
    return np.divide(mw, rated, out=np.zeros(len(rated)), where=rated > 0)


def imputed_share(demand):
    """(R,) share of the hours of a region's demand that the publisher replaced, by energy; 0 where nothing is said."""
    energy = demand.weights * demand.hourly.sum(axis=1)
    total = energy.sum(axis=1)
    return np.divide(energy @ np.nan_to_num(demand.imputed), total, out=np.zeros(len(total)), where=total > 0)
