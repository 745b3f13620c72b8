"""Large loads at known places (data centres, smelters): taken out of their area's demand before the rest is spread."""

from dataclasses import replace

import numpy as np
import scipy.sparse

from gridmap import InputError, tables


def read(path, columns=None, book=None):
    """DataFrame[name, lon, lat, load_mw, area, source_row]: steady loads that the metered demand already holds.

    area: the demand area whose meter holds it, "" for the one that serves most of its region. Raises InputError for a
    load that is missing, infinite or not above zero.
    """
    frame, _ = tables.read(path, "loads", columns, book)
    if "area" not in frame:
        frame["area"] = ""
    bad = ~(np.isfinite(frame["load_mw"]) & (frame["load_mw"] > 0))
    _refuse(path, frame, bad, "load_mw is not a number above zero; give MW")
    return frame


def take_out(path, loads, demand, regions, ledger):
    """Demand with each load where it stands: its area gives it up in every hour, and it is an area of its own with weight
    one in its region. The national demand of every hour stays what it was.

    Raises InputError for a load outside every region, of an unknown area, or above what its area has left in some hour.
    """
    from gridmap.place import region_of

    home = region_of(loads["lon"].to_numpy(), loads["lat"].to_numpy(), regions)
    _refuse(path, loads, home < 0, "lies outside every region; correct lon and lat or leave it out")
    index = {name: b for b, name in enumerate(demand.areas)}
    _refuse(path, loads, ~loads["area"].isin([*index, ""]), "names an area that the demand does not have; correct or clear it")
    energy = demand.weights.multiply(demand.hourly.sum(axis=1)).tocsr()
    area = np.where(loads["area"].eq(""), np.asarray(energy.argmax(axis=1)).ravel()[home], loads["area"].map(index).fillna(-1)).astype(int)
    hourly = demand.hourly.copy()
    for row, (b, mw) in enumerate(zip(area, loads["load_mw"])):
        hourly[b] -= mw
        short = int(np.argmin(hourly[b]))
        if hourly[b, short] < 0:
            raise InputError(
                f"{path}: row {row + 1} ({loads['name'].iloc[row]}): {demand.areas[b]} has {hourly[b, short] + mw:.0f} MW left at "
                f"{demand.hours[short]} UTC, less than the load of {mw:g} MW; give the load another area or make it smaller"
            )
    ledger.add(path.name, "large load taken out of its area's demand and put where it stands", "changed", row=loads["source_row"], plant=loads["name"],
               before=loads["area"].mask(loads["area"].eq(""), np.array(demand.areas, object)[area]), after=regions["region_id"].iloc[home], mw=loads["load_mw"])
    points = scipy.sparse.csr_array((np.ones(len(loads)), (home, np.arange(len(loads)))), shape=(len(regions), len(loads)))
    steady = np.repeat(loads["load_mw"].to_numpy()[:, None], len(demand.hours), axis=1)
    return replace(demand, weights=scipy.sparse.hstack([demand.weights, points]).tocsr(), hourly=np.vstack([hourly, steady]),
                   areas=(*demand.areas, *loads["name"]), imputed=np.append(demand.imputed, np.full(len(loads), np.nan)))


def _refuse(path, loads, bad, why):
    bad = np.asarray(bad)
    if bad.any():
        row = loads.iloc[int(np.argmax(bad))]
        raise InputError(f"{path}: row {row['source_row']} ({row['name']}) {why}")
