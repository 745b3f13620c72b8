"""Regions whose data can't be right, joined to the neighbour they are tied to most: the second answer of a run."""

from dataclasses import replace

import geopandas
import numpy as np
import scipy.sparse
import shapely

from gridmap import limits


def artefacts(inputs, table):
    """(Inputs over fewer regions, DataFrame[region_id, name, into, into_name, limit_mw] of what was joined to what).

    Each artefact of `table` (`flow.regions` or `chronicle.regions` with their confidence) goes to the region with which its corridors' limits,
    both ways added, are the largest: the electrically nearest. Two artefacts may so join each other, and a chain becomes
    one region, named after the member with the largest demand. One without a corridor stays as it is.
    """
    target, limit_mw = nearest(inputs.corridors, table["artefact"].to_numpy())
    parent, root = groups(target, inputs.demand.weights @ inputs.demand.hourly.sum(axis=1))
    ids, names = inputs.regions["region_id"].to_numpy(), inputs.regions["name"].to_numpy()
    moved = np.flatnonzero(target >= 0)
    joined = inputs.regions.iloc[moved][["region_id", "name"]].assign(
        into=ids[target[moved]], into_name=names[target[moved]], limit_mw=limit_mw[moved]).reset_index(drop=True)
    return onto(inputs, parent, root), joined


def nearest(corridors, chosen):
    """((R,) row of the region to which each chosen one is tied most, -1 for the others, (R,) MW of both ways)."""
    ends = np.concatenate([corridors[["tail", "head"]].to_numpy(), corridors[["head", "tail"]].to_numpy()])
    both = np.tile(corridors["forward_mw"].to_numpy() + corridors["backward_mw"].to_numpy(), 2)
    ties = scipy.sparse.coo_array((both, ends.T), shape=(len(chosen),) * 2).tocsr()  # AC and DC of one pair are added
    ties.eliminate_zeros()
    target, most = np.full(len(chosen), -1), np.zeros(len(chosen))
    for row in np.flatnonzero(chosen):
        around = slice(*ties.indptr[row:row + 2])
        if ties.data[around].size:
            target[row], most[row] = ties.indices[around][ties.data[around].argmax()], ties.data[around].max()
    return target, most


def groups(target, size):
    """((R,) new row of each region, (N,) old row of the member with the largest size, which names each new one)."""
    moved = np.flatnonzero(target >= 0)
    links = scipy.sparse.coo_array((np.ones(len(moved)), (moved, target[moved])), shape=(len(target),) * 2)
    count, label = scipy.sparse.csgraph.connected_components(links, directed=False)
    order = np.lexsort((np.arange(len(size)), -size, label))
    root = order[np.searchsorted(label[order], np.arange(count))]
    place = np.argsort(root)  # new regions stand in the order of the old ones that name them
    return np.argsort(place)[label], root[place]


def onto(inputs, parent, root):
    """Inputs over other regions: parent (R,) says which each became, root (N,) which old one names each new one."""
    areas = inputs.regions.geometry.to_numpy()
    members = np.split(np.argsort(parent, kind="stable"), np.cumsum(np.bincount(parent))[:-1])
    shapes = [areas[m[0]] if len(m) == 1 else shapely.union_all(areas[m]) for m in members]
    regions = inputs.regions.iloc[root].drop(columns="geometry").reset_index(drop=True)
    region = inputs.plants["region"].to_numpy()
    return replace(
        inputs, regions=geopandas.GeoDataFrame(regions, geometry=shapes, crs=inputs.regions.crs),
        plants=inputs.plants.assign(region=np.where(region >= 0, parent[region], -1)),
        corridors=limits.onto(inputs.corridors, parent), demand=inputs.demand.onto(parent, len(root)))
