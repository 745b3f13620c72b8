"""The bundled counties' demand and corridors over any other polygons: hexagons, ZIP codes, service areas."""

from dataclasses import dataclass, replace

import geopandas
import numpy as np
import pandas as pd
import scipy.sparse
import shapely

from gridmap import limits
from gridmap.demand import UNIT

EQUAL_AREA = "EPSG:6933"        # cylindrical, equal in area everywhere
SLACK = 1.5                     # so that demand may grow and plants be added
INSIDE_MW = 1e6                 # as good as no limit: more than the nation uses
SLIVER = 1e-3                   # of a region's area: less of it in another interconnect is the borders' simplification
WHOLE = 1e-6                    # a county covered up to this share is covered whole


def shares(counties, regions):
    """(R, C) csr_array: the share of each county's area that lies in each region; columns add up to at most 1, and to 1
    where the regions cover the county up to WHOLE."""
    a, b = (geopandas.GeoSeries(frame.geometry).to_crs(EQUAL_AREA).to_numpy() for frame in (counties, regions))
    county, region = shapely.STRtree(b).query(a, predicate="intersects")
    common = shapely.area(shapely.intersection(a[county], b[region]))
    share = common / shapely.area(a)[county]
    total = np.bincount(county, share, len(a))
    share = share / np.where((total > 1 - WHOLE), total, 1.0)[county]
    keep = share > 0
    return scipy.sparse.csr_array((share[keep], (region[keep], county[keep])), shape=(len(b), len(a)))


def demand_onto(demand, share, ledger):
    """Demand over the regions: a county's goes to them by area. What lies in none is left out and reported by area.

    Weights stay whole multiples of 1/UNIT, so a column adds up to exactly what of its area is inside.
    """
    weights = (share @ demand.weights).tocsc()
    inside = np.asarray(weights.sum(axis=0)).ravel()
    columns, lost = [], np.zeros(len(demand.areas))
    for b in range(len(demand.areas)):
        column = weights[:, [b]].toarray().ravel()
        whole = UNIT if inside[b] > 1 - WHOLE else int(np.floor(inside[b] * UNIT))
        units = np.floor(column / max(inside[b], np.finfo(float).tiny) * whole).astype(np.int64)
        if whole:
            units[np.argsort(units - column / inside[b] * whole, kind="stable")[: whole - units.sum()]] += 1
        columns.append(scipy.sparse.csc_array((units / UNIT)[:, None]))
        lost[b] = 1 - whole / UNIT
    mean = demand.hourly.mean(axis=1)
    out = lost > 0
    ledger.add("demand", "demand in places outside the region set", "left out", plant=pd.Series(np.array(demand.areas, object)[out]),
               before=pd.Series([f"{100 * part:.4g} % of the area's demand" for part in lost[out]], dtype=object), mw=pd.Series((lost * mean)[out]))
    return replace(demand, weights=scipy.sparse.hstack(columns).tocsr())


def apart(regions, counties, ledger):
    """The regions with `interconnect` and `zone` from the counties they lie in, where they say none; one that lies in
    several interconnects, which do not run in step, becomes one region in each, named after both, and is reported."""
    blank = regions["interconnect"].eq("").to_numpy()
    if not blank.any():
        return regions
    a, b = (frame.geometry.to_numpy() for frame in (regions, counties))
    region, county = shapely.STRtree(b).query(a, predicate="intersects")
    side = counties["interconnect"].to_numpy(object)
    several = pd.Series(side[county]).groupby(region).nunique().reindex(range(len(a)), fill_value=0).to_numpy()
    torn = np.flatnonzero(blank & (several > 1))
    grounds = {name: shapely.union_all(b[np.unique(county[np.isin(region, torn) & (side[county] == name)])]) for name in np.unique(side[county[np.isin(region, torn)]])}
    parts, gone = [], []
    for row in torn:
        pieces = {name: _polygons(shapely.intersection(shapely.make_valid(a[row]), ground)) for name, ground in grounds.items()}
        area = {name: piece.area for name, piece in pieces.items() if piece.area > SLIVER * a[row].area}
        if len(area) > 1:
            gone.append(row)
            parts += [regions.iloc[[row]].assign(region_id=f"{regions['region_id'].iloc[row]}-{name}", interconnect=name, geometry=[pieces[name]]) for name in sorted(area)]
        elif area:
            regions.loc[regions.index[row], "interconnect"] = next(iter(area))
    lost = regions.iloc[gone]
    ledger.add("regions", "region in several interconnects: one in each", "changed", plant=lost["region_id"],
               after=pd.Series([", ".join(p["interconnect"].iloc[0] for p in parts if p["region_id"].iloc[0].startswith(name + "-")) for name in lost["region_id"]], dtype=object))
    whole = pd.concat([regions.drop(lost.index), *parts]).sort_values("region_id").reset_index(drop=True)
    home = homes(whole, counties)
    known = home >= 0
    for column in ("interconnect", "zone"):
        found = pd.Series(np.where(known, counties[column].to_numpy(object)[home], ""), whole.index)
        whole[column] = whole[column].mask(whole[column].eq(""), found)
    return whole


def _sides(frame):
    """(N,) the interconnect of each region, "" where nothing is said."""
    return frame["interconnect"].to_numpy(object) if "interconnect" in frame else np.full(len(frame), "", object)


def _polygons(shape):
    return shapely.MultiPolygon([p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"]) if shape.geom_type != "MultiPolygon" else shape


def homes(regions, counties):
    """(R,) row of the county in which a point inside each region lies, of its interconnect where it names one; the nearest
    such county for a point in none that still touches one, else -1."""
    from gridmap.place import region_of

    point = regions.geometry.representative_point()
    home = region_of(point.x.to_numpy(), point.y.to_numpy(), counties)
    side, mine = _sides(counties), _sides(regions)
    wrong = (home < 0) | ((mine != "") & (side[home] != mine))
    shapes, touched = counties.geometry.to_numpy(), regions.geometry.to_numpy()
    tree = shapely.STRtree(shapes)
    for row in np.flatnonzero(wrong):
        near = tree.query(touched[row], predicate="intersects")
        near = near[(mine[row] == "") | (side[near] == mine[row])]
        common = shapely.area(shapely.intersection(shapes[near], touched[row])) if len(near) else np.zeros(0)
        home[row] = near[common.argmax()] if len(near) else -1
    return home


@dataclass(frozen=True)
class Spread:
    """What of each county lies in each region: demand_mw and plant_mw, (R, C) csr_array, its highest demand and its plants."""

    demand_mw: scipy.sparse.csr_array
    plant_mw: scipy.sparse.csr_array


def spread(counties, regions, share, demand, plants):
    """`Spread` of the counties' demand (before it goes to the regions by `share`) and of the plants with coordinates."""
    from gridmap.place import region_of

    here = plants[plants["lon"].notna() & plants["lat"].notna()]
    county, region = (region_of(here["lon"].to_numpy(), here["lat"].to_numpy(), frame) for frame in (counties, regions))
    inside = (county >= 0) & (region >= 0)
    most = demand.weights @ demand.hourly.max(axis=1)
    return Spread((share @ scipy.sparse.diags_array(most)).tocsr(), scipy.sparse.coo_array(
        (here["nameplate_mw"].to_numpy()[inside], (region[inside], county[inside])), shape=share.shape).tocsr())


def corridors_onto(corridors, counties, regions, ledger, spread=None, home=None):
    """Corridors of the counties between the regions that hold a point inside each county; others are reported.

    A region that holds no such point, because it is smaller than a county, is joined to the one that holds the point of
    its county by a corridor of INSIDE_MW: inside a county nothing is known to limit. What a region holds of other
    counties is joined to theirs by SLACK times what it can need and give, so that no county loses its own. spread: `Spread`.
    home: (R,) row of the county of each region where each lies in one.
    """
    from gridmap.place import region_of

    point = counties.geometry.representative_point()
    parent = region_of(point.x.to_numpy(), point.y.to_numpy(), regions)
    parent = _of_its_side(parent, counties, regions) if home is None else _largest(regions, home, len(counties))
    home = homes(regions, counties) if home is None else home
    most = corridors[["forward_mw", "backward_mw"]].max(axis=1)
    lost = (parent[corridors["tail"]] < 0) | (parent[corridors["head"]] < 0)
    inside = ~lost & (parent[corridors["tail"]] == parent[corridors["head"]])
    for why, rows in (("county corridors to places outside the region set", lost), ("county corridors inside one region", inside)):
        if rows.any():
            ledger.add("corridors", why, "left out", plant=f"{int(rows.sum())} corridors", mw=most[rows].sum())
    folded = limits.onto(pd.concat([corridors[~lost], _inside(parent, home, len(counties), len(regions), ledger), *([] if spread is None else [_parts(parent, home, counties, regions, spread)])], ignore_index=True), np.append(parent, np.arange(len(regions))))
    limits.report_alone(folded, regions, ledger)
    return folded


def _of_its_side(parent, counties, regions):
    """Where the region that holds a county's point is of another interconnect, the part of the county's own one that it
    meets most, else none."""
    side, mine = _sides(counties), _sides(regions)
    wrong = np.flatnonzero((parent >= 0) & (mine[parent] != "") & (side != "") & (mine[parent] != side))
    tree = shapely.STRtree(regions.geometry.to_numpy())
    for row in wrong:
        shape = counties.geometry.iloc[row]
        near = tree.query(shape, predicate="intersects")
        near = near[mine[near] == side[row]]
        common = shapely.area(shapely.intersection(regions.geometry.to_numpy()[near], shape))
        parent[row] = near[common.argmax()] if len(near) else -1
    return parent


def _largest(regions, home, count):
    """(C,) row of the largest region of each county, -1 for a county without one."""
    area = regions.geometry.to_crs(EQUAL_AREA).area.to_numpy()
    order = np.lexsort((area, home))
    parent = np.full(count, -1)
    parent[home[order]] = order  # the largest is written last
    return parent


def _inside(parent, home, first, count, ledger):
    """Corridors from the regions that hold no county's point to the one that holds that of their county; tail and head count
    behind the counties' rows."""
    hub = np.where(home >= 0, parent[home], -1)
    small = np.flatnonzero(~np.isin(np.arange(count), parent) & (hub >= 0))
    if len(small):
        ledger.add("corridors", "region smaller than its county: joined to the region at the county's middle without limit", "added", plant=f"{len(small)} regions")
    return pd.DataFrame({"tail": first + small, "head": first + hub[small], "forward_mw": INSIDE_MW, "backward_mw": INSIDE_MW, "kind": "AC",
                         "name": "", "source": "inside a county", "rows": ""})


def _parts(parent, home, counties, regions, spread):
    """Corridors from each region to that of the middle of every county of which it holds a part, of the same interconnect."""
    both = (spread.demand_mw + spread.plant_mw).tocoo()
    region, county = both.coords
    hub = parent[county]
    side, mine = _sides(counties), _sides(regions)
    # the whole of a region smaller than its county is joined to it already
    counts = (hub >= 0) & (hub != region) & (np.isin(region, parent) | (home[region] != county)) & ((mine[region] == "") | (side[county] == "") | (mine[region] == side[county]))
    region, county, hub = region[counts], county[counts], hub[counts]
    first = len(counties)
    need, give = (SLACK * np.asarray(m.tocsr()[region, county]).ravel() for m in (spread.demand_mw, spread.plant_mw))
    return pd.DataFrame({"tail": first + region, "head": first + hub, "forward_mw": give, "backward_mw": need, "kind": "AC", "name": "",
                         "source": "part of a county", "rows": ""})
