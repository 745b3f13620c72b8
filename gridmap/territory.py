"""Who serves each county: from the county lists of the demand areas and the utilities that sold there.

No table says how much of a county's demand belongs to which balancing area. Three say parts of it: who serves each county
and how much each utility sold in all (EIA-861), and the areas' county lists. A utility's sales are divided among its
counties so that each county gets what its people use and each utility sells what it sold (iterative proportional
fitting, Deming and Stephan 1940).
"""

import numpy as np
import pandas as pd
import scipy.spatial

from gridmap import InputError, tables
from gridmap.names import county_rows

LISTS = tables.DATA / "area_counties.parquet"
UTILITIES = tables.DATA / "county_utilities.parquet"
FILES = [LISTS, UTILITIES]
BY_LIST = ("ERCO",)             # retail choice hides who delivers in Texas: there the county lists decide
ROUNDS = 30                     # of the fitting; the shares of balancing areas change by less than 1e-3 after 20


def members(regions, names, load, book):
    """DataFrame[area, region, weight]: how much of each county's demand belongs to each area.

    regions: counties. names: the areas of the demand. load: (R,) what each county uses, in any unit (people times sales
    a head). weight: load times the county's share in the area. Every county has at least one area.
    """
    lists = county_lists(regions, book)
    lists = lists[lists["area"].isin(names)]
    served = sold(regions, load, lists, book)
    links = tables.fact("area_keys")
    served = served[served["ba"].isin(links.loc[links["area"].isin(names), "ba"])]
    share = area_shares(regions, lists, served, book)
    weight = share["share"] * load[share["region"]]
    return share.assign(weight=weight)[["area", "region", "weight"]]


def county_lists(regions, book):
    """DataFrame[area, ba, region, key, named]: the counties each area lists; named: the county stands for this area alone
    among those of its balancing area."""
    links = tables.fact("area_keys")
    counties = _listed_counties(regions, book)
    by_key = links[links["key"].ne("")].merge(counties, on="key")
    by_key = by_key[by_key["state"].eq("") | by_key["state"].eq(by_key["region_state"])].assign(named=False)
    by_name = links[links["county"].ne("")].assign(named=True, key="")
    by_name["region"] = county_rows(regions, by_name["county"], by_name["state"])
    by_name = by_name[by_name["region"] >= 0]
    for (area, why), rows in links[links["why"].ne("")].groupby(["area", "why"]):
        book.add("area_keys.csv", why, "changed", plant=area, after=", ".join(filter(None, rows["key"] + rows["county"])))
    both = pd.concat([by_key, by_name])[["area", "ba", "region", "key", "named"]]
    taken = both[both["named"]].groupby("ba")["region"].agg(set)
    free = [named or region not in taken.get(ba, ()) for named, region, ba in zip(both["named"], both["region"], both["ba"])]
    return both[free].drop_duplicates(["area", "region"]).reset_index(drop=True)


def _listed_counties(regions, book):
    """DataFrame[key, region, region_state]: the published county lists, names resolved."""
    frame, _ = tables.read(LISTS, "keys")
    named = frame["county"].str.rsplit("__", n=1, expand=True)
    frame["region"] = county_rows(regions, named[0], named[1])
    alias = tables.fact("county_aliases").set_index(["county", "state"])
    for row in np.flatnonzero(pd.MultiIndex.from_frame(named).isin(alias.index)):
        county, state = named.iloc[row]
        book.add(LISTS.name, alias.loc[(county, state), "why"], "changed", row=int(row) + 1, plant=f"{county}, {state}",
                 after=alias.loc[(county, state), "means"])
    lost = frame["region"] < 0
    book.add(LISTS.name, "county of a demand area matches no region", "left out", row=frame.loc[lost, "source_row"], plant=frame.loc[lost, "county"])
    frame = frame[~lost].drop_duplicates(["key", "region"])
    twice = frame[frame.duplicated("region", keep=False)]
    book.add(LISTS.name, "county in the lists of several keys: shared between them", "kept", row=twice["source_row"],
             plant=twice["county"], after=twice["key"])
    frame["region_state"] = regions["state"].to_numpy()[frame["region"]]
    return frame[["key", "region", "region_state"]]


def sold(regions, load, lists, book):
    """DataFrame[region, ba, area, share]: the share of each county's demand that each utility's balancing area serves.

    area: the one area that the utility stands for (area_utilities.csv), or "". Shares of a county add up to one.
    """
    frame = _utilities(regions, book)
    frame = frame[_at_home(frame, lists)].reset_index(drop=True)
    frame["mwh"] = fit(frame["region"].to_numpy(), frame.groupby(["utility_number", "state"]).ngroup().to_numpy(), frame["sales_mwh"].to_numpy(),
                       frame["state"].to_numpy(), load)
    total = frame.groupby("region")["mwh"].transform("sum")
    frame["share"] = frame["mwh"] / total
    return frame.groupby(["region", "ba", "area"])["share"].sum().reset_index()


def _utilities(regions, book):
    """DataFrame[region, state, utility_number, sales_mwh, ba, area] of utilities with sales in a balancing area that has
    demand; the rest is reported."""
    frame, _ = tables.read(UTILITIES, "utilities")
    alias = tables.fact("county_aliases").query("fips != ''").set_index("fips")["means"]
    merges = tables.fact("county_merges").set_index("fips")["region_id"]
    fips = frame["region_id"].str.zfill(5)
    fips = fips.map(alias).fillna(fips)
    frame["region"] = pd.Index(regions["region_id"]).get_indexer(fips.map(merges).fillna(fips))
    frame["state"] = regions["state"].to_numpy()[frame["region"]]
    frame = frame[frame["region"] >= 0]
    zone = tables.fact("area_utilities").set_index("utility")["area"]
    areas = tables.fact("area_keys").drop_duplicates("area").set_index("area")["ba"]
    frame["area"] = frame["utility_name"].map(zone).fillna("")
    successors = tables.fact("area_successors")
    frame["ba"] = frame["area"].map(areas).fillna(frame["ba"].map(successors.set_index("ba")["means"])).fillna(frame["ba"])
    for line in successors.itertuples():
        book.add("area_successors.csv", line.why, "changed", plant=line.ba, after=line.means)
    silent = ~frame["ba"].isin(areas)
    small = ~(frame["sales_mwh"] > 0) & ~silent
    for why, rows in (("utility in no balancing area that reports demand", frame[silent]), ("utility without a figure of sales", frame[small])):
        book.add(UTILITIES.name, f"{why}: the others serve its counties", "left out", row=rows["source_row"], plant=rows["utility_name"], before=rows["ba"])
    frame = frame[~silent & ~small & ~frame["ba"].isin(BY_LIST)]
    return frame.drop_duplicates(["region", "utility_number", "ba"]).reset_index(drop=True)


def _at_home(frame, lists):
    """(N,) bool: a utility that stands for an area with named counties serves only those, and another area's named
    counties are not served by it; so for the balancing areas of one area."""
    areas = lists.groupby("ba")["area"].unique()
    alone = frame["ba"].map(areas[areas.map(len) == 1].map(lambda several: several[0]))
    area = frame["area"].mask(frame["area"].eq(""), alone).fillna("")
    named = lists[lists["named"]]
    owner = named.groupby(["ba", "region"])["area"].agg(set)
    of = pd.Series(pd.MultiIndex.from_frame(frame[["ba", "region"]]).map(owner), frame.index, dtype=object)
    bound = area.isin(named["area"])
    mine = np.array([isinstance(o, set) and a in o for a, o in zip(area, of)], bool)
    return area.eq("") | (bound & mine) | (~bound & of.isna())


def fit(county, utility, sales, state, load):
    """(N,) MWh that each utility sells in each of its counties, N pairs.

    county, utility: (N,) int. sales: (N,) what the pair's utility sold in the state. load: (R,) by county. Within a state
    the loads are scaled to the utilities' sales. Alternately each utility's counties are scaled to its sales and each
    county's utilities to its load, the latter last.
    """
    first = np.unique(utility, return_index=True)[1]
    codes, which = np.unique(state, return_inverse=True)
    seen = np.unique(county, return_index=True)[1]
    rate = np.bincount(which[first], sales[first], len(codes)) / np.bincount(which[seen], load[county[seen]], len(codes))
    wanted = load[county] * rate[which]
    mwh = wanted.copy()
    for _ in range(ROUNDS):
        mwh *= sales / np.bincount(utility, mwh)[utility]
        mwh *= wanted / np.bincount(county, mwh)[county]
    return mwh


def area_shares(regions, lists, served, book):
    """DataFrame[area, region, share]; the shares of the areas of one balancing area that split its customers add up to
    the balancing area's, and those of a county to one or more (areas that share one list count each).
    """
    listed_by = lists.drop_duplicates(["ba", "key", "region"]).groupby(["region", "ba"]).size()
    listed = (listed_by / listed_by.groupby("region").transform("sum")).rename("share").reset_index()
    by_list = listed[listed["ba"].isin(BY_LIST)]
    rest = 1 - served["region"].map(by_list.groupby("region")["share"].sum()).fillna(0)
    served = served.assign(share=served["share"] * rest)
    both = pd.concat([served[served["share"] > 0], by_list.assign(area="")])
    blind = np.setdiff1d(np.arange(len(regions)), both["region"])
    home = _nearest(regions, np.unique(lists["region"]))
    names = pd.Series(blind).map(lambda r: f"{regions['region_id'].iloc[r]} {regions['name'].iloc[r]}")
    book.add(UTILITIES.name, "county without a utility of a known balancing area: its lists are used", "changed", plant=names)
    fallback = [listed[listed["region"].eq(home[r])].assign(region=r, area="") for r in blind]
    both = pd.concat([both, *fallback])
    both["share"] /= both.groupby("region")["share"].transform("sum")
    parts = [_split(regions, ba, rows, lists[lists["ba"].eq(ba)]) for ba, rows in both.groupby("ba")]
    shares = pd.concat(parts, ignore_index=True)
    unserved = lists[~lists["area"].isin(shares["area"])]
    for area, rows in unserved.groupby("area"):
        book.add(UTILITIES.name, "area that no utility names: its county list is used", "changed", plant=area, after=f"{len(rows)} counties")
    return pd.concat([shares, unserved.assign(share=1.0)[["area", "region", "share"]]], ignore_index=True)


def _split(regions, ba, rows, lists):
    """A balancing area's shares given to its areas: by the utilities that stand for one area where a county has any, else
    by the lists; a county in neither as the nearest county that is."""
    areas = lists["area"].unique() if len(lists) else np.array([ba])
    total = rows.groupby("region")["share"].sum()
    if len(areas) == 1:
        return pd.DataFrame({"area": areas[0], "region": total.index, "share": total.to_numpy()})
    by_utility = rows[rows["area"].ne("")].groupby(["region", "area"])["share"].sum()
    key = by_utility if len(by_utility) else lists.assign(share=1.0).set_index(["region", "area"])["share"]
    part = (key / key.groupby("region").transform("sum") if len(by_utility) else key).unstack(fill_value=0.0)
    home = _nearest(regions, part.index.to_numpy())[total.index]
    shares = part.loc[home].to_numpy() * total.to_numpy()[:, None]
    region, area = np.nonzero(shares)
    return pd.DataFrame({"area": part.columns.to_numpy()[area], "region": total.index.to_numpy()[region], "share": shares[region, area]})


def _nearest(regions, rows):
    """(R,) the nearest of the rows to each region, by a point inside it; a row of `rows` is its own."""
    if len(rows) == 0:
        raise InputError("no region is in the county list of a demand area; give areas (--areas) for regions that are no counties")
    points = regions.geometry.representative_point()
    lon, lat = np.radians(points.x.to_numpy()), np.radians(points.y.to_numpy())
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    nearest = rows[scipy.spatial.cKDTree(xyz[rows]).query(xyz)[1]]
    nearest[rows] = rows
    return nearest
