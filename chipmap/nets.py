"""Nets: conducting objects that touch, and what the physics says of each."""

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces


def find_nets(objects, conducting):
    """(K,) number of each object's net, 0-based by first pixel; -1 for insulators.

    objects: (H, W) int. conducting: (K,) bool. Pixels join through edges and corners, as current does in the finite
    elements.
    """
    xp = array_module(objects)
    count = len(conducting)
    labels, _ = pieces(xp.asarray(conducting)[objects], connectivity=8)
    net = np.full(count, -1)
    net[to_host(objects).ravel()] = to_host(labels).ravel() - 1      # all pixels of an object lie in one net
    return net


def net_table(table):
    """Columns of nets.csv from those of objects.csv: sums of areas, extremes of extremes, means by area.

    Returns {"net": []} where no net is known (column net missing: not every phase has a material).
    """
    if "net" not in table or not (table["net"] >= 0).any():
        return {"net": []}
    own = table["net"] >= 0
    net = table["net"][own]
    count = int(net.max()) + 1
    area = table["area_nm2"][own]
    columns = {"net": np.arange(count), "objects": np.bincount(net, minlength=count),
               "materials": _materials(net, table["material"][own], count), "area_nm2": np.bincount(net, area, count),
               "touches_border": np.bincount(net, table["touches_border"][own], count) > 0}
    for name, column in table.items():
        if name.startswith(("highest_", "lowest_", "mean_")):
            columns[name] = _gathered(name.partition("_")[0], net, column[own], area, count)
    if "highest_potential_v" in columns:
        columns["ir_drop_v"] = columns["highest_potential_v"] - columns["lowest_potential_v"]
    return columns


def _gathered(kind, net, values, area, count):
    if kind == "mean":
        return np.bincount(net, values * area, count) / np.bincount(net, area, count)
    extreme = np.full(count, -np.inf if kind == "highest" else np.inf)
    (np.fmax if kind == "highest" else np.fmin).at(extreme, net, values)
    return np.where(np.isinf(extreme), np.nan, extreme)  # nothing known of any of its objects


def _materials(net, names, count):
    found = [set() for _ in range(count)]
    for n, name in zip(net, names):
        found[n].add(name)
    return [" ".join(sorted(f)) for f in found]
