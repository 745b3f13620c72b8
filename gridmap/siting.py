"""Where can 500 MW go? The largest new load, and the largest new plant, that each region could take in chosen hours.

**A load goes** as long as nobody is worse off: the total unserved demand stays what it was. Then every region's unserved
demand stays what it was too, and with it every share and the worst share (`cukernels.headroom` says why). In a region
that is short, or that no spare supply reaches, nothing goes. **A plant goes** as long as all of it is used: other plants
back down as far as they can without anybody losing. **Relief** is how far a plant of the size asked about lowers the total.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from cukernels.backend import to_device, to_host
from cukernels.headroom import headroom as room_of

from gridmap import InputError, capacity, confidence
from gridmap import hours as chosen_hours

NAMED_CORRIDORS = 5


@dataclass(frozen=True)
class Siting:
    """What a region could take: DataFrame, row = region (see `headroom`); `hours` DatetimeIndex (UTC), `mw` asked about,
    `basis` and what it counts, and `load_mw`, `plant_mw`, `relief_mw` (T, R) of every hour."""

    regions: pd.DataFrame
    hours: pd.DatetimeIndex
    mw: float
    basis: str
    says: str
    load_mw: np.ndarray
    plant_mw: np.ndarray
    relief_mw: np.ndarray
    unserved_mw: np.ndarray
    run: str = "where"


def headroom(inputs, hours, mw=500.0, basis="effective", device="cpu"):
    """`Siting` of every region. inputs: read.Inputs after repair. hours: DatetimeIndex, UTC. mw: the size asked about.

    Of the table: load_mw, the largest steady new load in the hardest of the hours, load_hour; load_fits_h, in how many
    hours mw goes; load_fits, whether in all. What binds in that hour: cut_regions, how many regions share what is left,
    cut_name, the largest of them by demand, cut_limit_mw and cut_corridors, the full corridors into them; for a region
    that is short, those of its pocket. plant_mw, plant_hour: the largest firm plant likewise; relief_mwh: what a plant of
    mw would relieve in all the hours together. Exact: one maximum flow a region and hour on what the hour leaves over.
    Raises InputError for an mw that is not above zero.
    """
    if not (np.isfinite(mw) and mw > 0):
        raise InputError(f"--mw {mw:g}: give a size above zero")
    solved = chosen_hours.solve(inputs, hours, basis, device)
    tail, head, forward, backward = ways = chosen_hours.ways(inputs)
    none = np.zeros_like(solved.demand_mw)
    load = _every_region(solved.supply_mw, solved.demand_mw, *ways, device)
    plant = _every_region(solved.demand_mw, none, tail, head, backward, forward, device)
    relief = _every_region(solved.demand_mw, solved.supply_mw, tail, head, backward, forward, device)
    worst_first = np.argsort(-solved.total_mw, kind="stable")  # of hours as hard the one with the most unserved demand is told
    hard, hard_plant = (worst_first[room[worst_first].argmin(axis=0)] for room in (load, plant))
    table = _base(inputs, solved)
    told = table.assign(
        load_mw=load.min(axis=0), load_hour=_stamps(hours[hard]), load_fits_h=(load >= mw).sum(axis=0), load_fits=(load >= mw).all(axis=0),
        **cuts(inputs, solved, hard, _sides(solved, ways, hard, device)),
        plant_mw=plant.min(axis=0), plant_hour=_stamps(hours[hard_plant]), plant_fits=(plant >= mw).all(axis=0),
        relief_mwh=np.minimum(relief, mw).sum(axis=0))
    return Siting(told, hours, float(mw), basis, capacity.BASES[basis].says, load, plant, relief, solved.total_mw)


def _every_region(supply, demand, tail, head, forward, backward, device):
    """(T, R) MW of `cukernels.headroom` for every region and hour."""
    T, R = demand.shape
    hour, region = np.divmod(np.arange(T * R), R)
    arrays = (to_device(a, device) for a in (supply, demand, tail, head, forward, backward, hour, region))
    return to_host(room_of(*arrays)).reshape(T, R)


def _sides(solved, ways, hard, device):
    """(R, R) bool: what binds each region in its hardest hour: the nearest tightest cut, or its pocket where it is short."""
    region = np.arange(len(hard))
    arrays = (to_device(a, device) for a in (solved.supply_mw, solved.demand_mw, *ways, hard, region))
    side = to_host(room_of(*arrays, sides=True)[1]).copy()
    own = solved.pocket[hard, region]
    for r in np.flatnonzero(~side.any(axis=1)):
        side[r] = (solved.pocket[hard[r]] == own[r]) if own[r] >= 0 else region == r
    return side


def cuts(inputs, solved, hard, side):
    """{column: (R,)} that tell of each row of side (R, R) bool: its size, its largest region, the full corridors into it.

    A corridor from a region that has nothing to spare holds nobody back and does not count.
    """
    tail, head, forward, backward = chosen_hours.ways(inputs)
    ids = inputs.regions["region_id"].to_numpy()
    names = (inputs.regions["name"] + np.where(inputs.regions["state"].eq(""), "", ", ") + inputs.regions["state"]).to_numpy()
    limit, words = np.zeros(len(side)), []
    for r, (inside, hour) in enumerate(zip(side, hard)):
        inward, outward = ~inside[tail] & inside[head], inside[tail] & ~inside[head]
        gives = solved.spare[hour][np.where(inward, tail, head)] | (solved.binding[hour] == np.where(inward, 1, -1))
        into = gives * np.where(inward, forward, np.where(outward, backward, 0.0))
        limit[r] = into.sum()
        most = [e for e in np.argsort(-into, kind="stable")[:NAMED_CORRIDORS] if into[e] > 0]
        more = int((into > 0).sum()) - len(most)
        words.append("; ".join(f"{ids[tail[e]]} - {ids[head[e]]}" for e in most) + (f"; {more} more" if more else ""))
    largest = np.where(side, solved.demand_mw[hard], -1.0).argmax(axis=1)
    return {"cut_regions": side.sum(axis=1), "cut_name": names[largest], "cut_limit_mw": limit, "cut_corridors": words}


def _base(inputs, solved):
    """The columns that regions have in every run; pockets and doubts as in the hour with the most unserved demand."""
    worst, count = int(solved.total_mw.argmax()), len(inputs.regions)
    table = pd.DataFrame(inputs.regions.drop(columns="geometry")).assign(
        supply_mw=solved.supply_mw[worst], demand_mw=solved.demand_mw[worst], pocket_id=solved.pocket[worst] + 1,
        import_limit_mw=confidence.both_limits(inputs.corridors, np.arange(count), count)[0])
    return table.join(confidence.assess(inputs, table))


def _stamps(hours):
    return hours.strftime("%Y-%m-%dT%H:%MZ").to_numpy()
