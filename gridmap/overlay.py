"""The bundled counties' demand and corridors over any other polygons: hexagons, ZIP codes, service areas."""

from dataclasses import replace

import geopandas
import numpy as np
import pandas as pd
import scipy.sparse
import shapely

from gridmap import limits
from gridmap.demand import UNIT

EQUAL_AREA = "EPSG:6933"        # cylindrical, equal in area everywhere
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


def corridors_onto(corridors, counties, regions, ledger):
    """Corridors of the counties between the regions that hold a point inside each county; others are reported."""
    from gridmap.place import region_of

    point = counties.geometry.representative_point()
    parent = region_of(point.x.to_numpy(), point.y.to_numpy(), regions)
    most = corridors[["forward_mw", "backward_mw"]].max(axis=1)
    lost = (parent[corridors["tail"]] < 0) | (parent[corridors["head"]] < 0)
    inside = ~lost & (parent[corridors["tail"]] == parent[corridors["head"]])
    for why, rows in (("county corridors to places outside the region set", lost), ("county corridors inside one region", inside)):
        if rows.any():
            ledger.add("corridors", why, "left out", plant=f"{int(rows.sum())} corridors", mw=most[rows].sum())
    folded = limits.onto(corridors[~lost], parent)
    limits.report_alone(folded, regions, ledger)
    return folded
