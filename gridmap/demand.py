"""Hourly demand of balancing areas, spread over regions: the factors are kept, the cube is not.

D[r, t] = sum over areas b of W[r, b] * L[b, t], with every column of W adding up to one exactly, so that no MW is lost.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import InputError, tables, territory
from gridmap.regions import county_codes

SALES = tables.DATA / "state_sales_2022.parquet"
UNIT = 2**40                    # weights are whole multiples of 1/UNIT: float64 adds them without rounding


@dataclass(frozen=True)
class Demand:
    """weights: (R, B) sparse, columns adding up to exactly 1 (less where an area reaches outside the regions).
    hourly: (B, T) float64, MW. hours: DatetimeIndex (T,), UTC.
    areas: the B names. imputed: (B,) share of each area's hours that the publisher replaced, 0..1 (NaN: not said).
    source: name of the file the hours are from.
    """

    weights: scipy.sparse.csr_array
    hourly: np.ndarray
    hours: pd.DatetimeIndex
    areas: tuple
    imputed: np.ndarray
    source: str = ""

    def at(self, hour):
        """(R,) float64, MW, in the hour named (text or time; UTC)."""
        return self.weights @ self.hourly[:, self.row(hour)]

    def between(self, start, stop):
        """(stop - start, R) float64, MW: hours start to stop by row, for work in batches."""
        return np.ascontiguousarray((self.weights @ self.hourly[:, start:stop]).T)

    def national(self):
        """(T,) float64, MW over all regions."""
        return np.asarray(self.weights.sum(axis=0)).ravel() @ self.hourly

    def peak_hour(self):
        """Timestamp (UTC) of the highest national demand; the first where two are equal."""
        return self.hours[int(np.argmax(self.national()))]

    def row(self, hour):
        """The row of `hours` that `hour` is. Raises InputError for an hour the data does not hold."""
        stamp = parse_hour(hour)
        row = self.hours.get_indexer([stamp])[0]
        if row < 0:
            raise InputError(f"hour {hour}: the demand runs from {self.hours[0]} to {self.hours[-1]} UTC; choose a whole hour in it")
        return int(row)

    def onto(self, parent, count):
        """The same demand over other regions: parent (R,) int says which of `count` regions each region became."""
        fold = scipy.sparse.csr_array((np.ones(len(parent)), (parent, np.arange(len(parent)))), shape=(count, len(parent)))
        return replace(self, weights=(fold @ self.weights).tocsr())


def parse_hour(hour):
    """Text or time -> Timestamp without zone, in UTC. Raises InputError."""
    try:
        stamp = pd.Timestamp(hour)
    except (ValueError, TypeError):
        raise InputError(f"hour {hour!r} is not a time; write 2023-07-27T22:00Z") from None
    return stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp


def build(path, regions, ledger, areas=None, population=None, columns=None, fill=False):
    """(Demand over `regions`, bundled files it took besides).

    path: the hours (table `demand` of columns.csv). areas: path of a table area -> region_id with optional weights, or
    None: areas that are region ids stand for themselves, others are balancing areas of the 48 states, whose counties
    `territory` finds.
    population: Series by region_id, the weights where none are given.
    """
    hours, names, hourly, imputed = read_hours(path, ledger, columns, fill)
    files = []
    if areas is not None:
        members = members_from_table(areas, regions, names, population, ledger)
    elif set(names) <= set(regions["region_id"]):
        rows = pd.Index(regions["region_id"]).get_indexer(names)
        members = pd.DataFrame({"area": names, "region": rows, "weight": 1.0})
    else:
        files = [*territory.FILES, SALES]
        members = members_by_territory(path, regions, names, population, read_sales(SALES), ledger)
    weights = exact_weights(members, names, len(regions))
    uncovered = np.setdiff1d(np.arange(len(regions)), members["region"])
    if len(uncovered):
        first = regions.iloc[uncovered[0]]
        raise InputError(
            f"{areas or path}: {len(uncovered)} of {len(regions)} regions belong to no demand area, the first is "
            f"{first['region_id']} ({first['name']}); give each region an area"
        )
    return Demand(weights, hourly, hours, tuple(names), imputed, path.name), files


def read_hours(path, ledger, columns=None, fill=False):
    """(hours, names, hourly (B, T) MW, imputed (B,)) of a long table; every area must have every hour, unless `fill` mends
    what is missing or can't be right."""
    frame, layout = tables.read(path, "demand", columns, ledger)
    area, names = pd.factorize(frame["area"], sort=True)
    hour, hours = pd.factorize(frame["hour_utc"], sort=True)
    mw = frame["demand_mw"].to_numpy()
    if not fill:
        _refuse(path, frame, ~np.isfinite(mw), "the demand is not a finite number; fill it (--fill-demand) or leave out the area")
        _refuse(path, frame, mw < 0, "the demand is negative; it is to be what is consumed, MW (--fill-demand fills such hours)")
    cells = area * len(hours) + hour
    counts = np.bincount(cells, minlength=len(names) * len(hours))
    if counts.max() > 1:
        _refuse(path, frame, counts[cells] > 1, "this area has this hour more than once; keep one")
    if fill:
        return _filled(path, frame, hours, names, area, hour, ledger)
    if counts.min() == 0:
        b, t = divmod(int(np.argmin(counts)), len(hours))
        raise InputError(f"{path}: area {names[b]} has no hour {hours[t]} UTC, which others have; give every area the same hours, or fill them (--fill-demand)")
    hours = pd.DatetimeIndex(hours)
    gaps = np.flatnonzero(np.diff(hours) != np.timedelta64(1, "h"))
    if len(gaps):
        raise InputError(f"{path}: after {hours[gaps[0]]} UTC comes {hours[gaps[0] + 1]}; give hours without gaps, in UTC")
    hourly = np.zeros((len(names), len(hours)))
    hourly[area, hour] = mw
    imputed = np.full(len(names), np.nan)
    if "quality" in frame:
        replaced = np.bincount(area, weights=frame["quality"].ne("OKAY").to_numpy(), minlength=len(names)).astype(int)
        imputed = replaced / len(hours)
        some = replaced > 0
        ledger.add(path.name, "hours replaced by the publisher's cleaning", "kept", plant=pd.Series(names[some].astype(str)),
                   after=pd.Series(replaced[some]).astype(str) + " hours")
    for name in names[hourly.max(axis=1) == 0]:
        ledger.add(path.name, "area reports no demand all year", "kept", plant=str(name), after="0 MW; it loads no region")
    return hours, [str(n) for n in names], hourly, imputed


def _filled(path, frame, hours, names, area, hour, ledger):
    """As `read_hours`, with every hour from the first to the last."""
    from gridmap import fill

    every = pd.date_range(hours[0], hours[-1], freq="h")
    place = every.get_indexer(hours)
    if (place < 0).any():
        raise InputError(f"{path}: {hours[int(np.argmin(place))]} UTC is no whole hour after {hours[0]}; give whole hours")
    given = np.full((len(names), len(every)), np.nan)
    given[area, place[hour]] = frame["demand_mw"].to_numpy()
    hourly, why = fill.fill(given)
    row = np.zeros(given.shape, int)
    row[area, place[hour]] = frame["source_row"].to_numpy()
    b, t = np.nonzero(why)
    ledger.add(path.name, "hour of demand filled from the hours around it", "changed", row=pd.array(np.where(row[b, t] > 0, row[b, t], 0), dtype="Int64"),
               plant=pd.Series(np.array(names, object)[b] + " " + every.strftime("%Y-%m-%dT%H:%MZ").to_numpy(object)[t], dtype=object),
               before=pd.Series(np.array(fill.REASONS, object)[why[b, t]] + pd.Series(given[b, t]).map("{:g}".format).to_numpy(object), dtype=object),
               after=pd.Series(hourly[b, t]), mw=pd.Series(hourly[b, t]))
    return every, [str(n) for n in names], hourly, (why > 0).mean(axis=1)


def read_sales(path):
    """Series by state: MWh sold in the year."""
    frame, _ = tables.read(path, "sales")
    return frame.set_index("state")["sales_gwh"] * 1e3


def members_from_table(path, regions, names, population, book=None):
    """DataFrame[area, region, weight] from a user's table area, region_id and optional weight."""
    frame, _ = tables.read(path, "areas", None, book)
    frame["region"] = pd.Index(regions["region_id"]).get_indexer(county_codes(frame["region_id"]))
    _refuse(path, frame, frame["region"] < 0, "no region has this region_id; correct it or leave the row out")
    _refuse(path, frame, ~frame["area"].isin(names), "the demand has no such area; correct it or leave the row out")
    if "weight" not in frame:
        frame["weight"] = 1.0 if population is None else population.reindex(county_codes(frame["region_id"])).to_numpy()
    bad = ~(np.isfinite(frame["weight"]) & (frame["weight"] >= 0))
    _refuse(path, frame, bad, "the weight is missing, negative or not finite; give a number from 0 up")
    return frame[["area", "region", "weight"]]


def members_by_territory(path, regions, names, population, sales, ledger):
    """DataFrame[area, region, weight] over counties: people times their state's sales a head, by who serves them."""
    for name in sorted(set(names) - set(tables.fact("area_keys")["area"])):
        raise InputError(f"{path}: area {name} is not known to gridmap; say which regions it covers with --areas")
    people = population.reindex(regions["region_id"]).to_numpy()
    missing = np.isnan(people)
    if missing.any():
        raise InputError(f"population: region {regions['region_id'].iloc[int(np.argmax(missing))]} has none; give areas with weights (--areas)")
    return territory.members(regions, names, people * per_head(regions, people, sales), ledger)


def per_head(regions, people, sales):
    """(R,) MWh sold a head and year in each region's state; the mean of all where `sales`, Series by state, lacks it."""
    states = regions["state"]
    known = states.isin(sales.index)
    heads = pd.Series(people).groupby(states.to_numpy()).sum()
    rate = sales / heads.reindex(sales.index)
    mean = sales.reindex(states[known].unique()).sum() / people[known].sum()
    return states.map(rate).fillna(mean).to_numpy()


def exact_weights(members, names, count):
    """(R, B) csr_array from DataFrame[area, region, weight]; each column adds up to exactly 1.

    Weights become whole multiples of 1/UNIT by the largest remainder. An area without members or without weight raises
    InputError.
    """
    index = {name: b for b, name in enumerate(names)}
    rows, columns, values = [], [], []
    for name in names:
        part = members[members["area"].eq(name)].groupby("region")["weight"].sum()
        total = part.sum()
        if not total > 0:
            raise InputError(f"demand area {name}: none of its regions has a weight; give it regions with population or weights (--areas)")
        share = part.to_numpy() / total * UNIT
        whole = np.floor(share).astype(np.int64)
        order = np.argsort(whole - share, kind="stable")
        whole[order[: UNIT - whole.sum()]] += 1
        rows.append(part.index.to_numpy())
        columns.append(np.full(len(part), index[name]))
        values.append(whole / UNIT)
    data = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csr_array(data, shape=(count, len(names)))


def _refuse(path, frame, bad, why):
    bad = np.asarray(bad)
    if bad.any():
        row = frame.iloc[int(np.argmax(bad))]
        raise InputError(f"{path}: row {row['source_row']} ({row['area']}): {why}")
