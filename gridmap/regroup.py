"""The same inputs over a coarser set of regions: states, ReEDS zones, balancing areas, interconnects."""

from dataclasses import replace

import geopandas
import numpy as np
import pandas as pd
import shapely

from gridmap import InputError, ledger, limits, tables
from gridmap.grids import is_grid

SETS = ("county", "state", "zone", "area", "group", "nerc", "interconnect")
GIVEN_LIMITS = {"zone": "limits_zone.parquet"}


def regroup(inputs, by):
    """Inputs whose regions are groups of the regions of `inputs` (after repair).

    by: "state", "zone" (ReEDS), "group" (transmission group of zones), "nerc" (NERC region), "interconnect", or "area"
    (the demand area that gives a region most of its energy); "county" changes nothing. A group that lies in several
    interconnects is one region in each, named after both.
    Every plant, MW of demand and tie goes along. Limits between two groups are the sum of those between their counties,
    which can exceed what the areas can exchange as a whole; between zones the study's own limits are taken instead, and
    direct-current ties stay. Corridors inside a group are reported.
    """
    if is_grid(by):
        return inputs  # was made when the regions were read
    if by not in SETS:
        raise InputError(f"regions by {by!r} are unknown; choose one of {', '.join(SETS)}, h3:4 (a resolution), raster:50km (a side)")
    if by == "county":
        return inputs
    book = ledger.Ledger()
    label = labels(inputs, by)
    names, parent = np.unique(label, return_inverse=True)
    region = inputs.plants["region"].to_numpy()
    plants = inputs.plants.assign(region=np.where(region >= 0, parent[region], -1))
    groups = dissolve(inputs.regions, names, parent)
    corridors = fold(inputs.corridors, groups, parent, by, book)
    return replace(inputs, regions=groups, plants=plants, demand=inputs.demand.onto(parent, len(names)), corridors=corridors,
                   report=pd.concat([inputs.report, book.table()], ignore_index=True), files=inputs.files + given_files(by))


def labels(inputs, by):
    """(R,) the name of the group of each region. Raises InputError where a region has none."""
    regions = inputs.regions
    if by == "area":
        energy = inputs.demand.weights.multiply(inputs.demand.hourly.sum(axis=1))
        label = np.array(inputs.demand.areas, object)[np.asarray(energy.tocsr().argmax(axis=1)).ravel()]
    elif by in regions:
        label = regions[by].to_numpy(object)
    else:
        zones, _ = tables.read(tables.DATA / "zones.parquet", "zones")
        label = regions["zone"].map(zones.set_index("zone")[by]).fillna("").to_numpy(object)
    if (label == "").any():
        row = regions.iloc[int(np.argmax(label == ""))]
        raise InputError(f"region {row['region_id']} ({row['name']}) has no {by}; give the regions a column {by}, or leave them as they are")
    sides = regions["interconnect"].to_numpy(object)
    several = pd.Series(sides).groupby(label).nunique()
    split = np.array([several[name] > 1 and by != "interconnect" for name in label])
    return np.where(split, label + "-" + sides, label).astype(str)


def dissolve(regions, names, parent):
    """GeoDataFrame of the groups, in the order of names, with the columns of `regions`."""
    shapes, rows = regions.geometry.to_numpy(), []
    for g, name in enumerate(names):
        inside = regions[parent == g]
        whole = shapely.coverage_union_all(shapes[parent == g])
        whole = whole if whole.geom_type == "MultiPolygon" else shapely.MultiPolygon([whole])
        same = {column: inside[column].iloc[0] if inside[column].nunique() == 1 else "" for column in ("state", "interconnect", "zone", "group") if column in inside}
        rows.append({"region_id": name, "name": name, **same, "geometry": whole})
    return geopandas.GeoDataFrame(rows, geometry="geometry", crs=regions.crs)[list(regions.columns)]


def fold(corridors, groups, parent, by, book):
    """Corridors between the groups; those inside one are reported with the sum of their larger limits."""
    inside = parent[corridors["tail"]] == parent[corridors["head"]]
    most = corridors[["forward_mw", "backward_mw"]].max(axis=1)
    book.add("corridors", f"corridors inside one {by}", "merged", plant=f"{int(inside.sum())} corridors", mw=most[inside].sum())
    folded = limits.onto(corridors, parent)
    if by not in GIVEN_LIMITS:
        return folded
    given = limits.build(given_files(by), groups, book)
    summed = folded.loc[folded["kind"].eq("AC"), ["forward_mw", "backward_mw"]].to_numpy().sum()
    book.add(GIVEN_LIMITS[by], "limits of the study between zones, in place of the sum over their counties", "changed", plant=f"{len(given)} corridors",
             before=f"{summed / 2:.0f} MW mean of both ways", after=f"{given[['forward_mw', 'backward_mw']].to_numpy().sum() / 2:.0f} MW", mw=summed / 2)
    return pd.concat([given, folded[folded["kind"].eq("DC")]], ignore_index=True)


def given_files(by):
    return [tables.DATA / GIVEN_LIMITS[by]] if by in GIVEN_LIMITS else []
