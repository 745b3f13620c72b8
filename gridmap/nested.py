"""Limits between groups of regions, held beside those of the corridors: the sum over small borders may exceed what two
big areas can exchange.

A limit on the sum of several corridors is no limit of a network, so the hour is first solved without; where the flows with
the least sum keep to the group limits anyway, that is the answer. Else a linear program finds the least total unserved
demand with them, and how the corridors of each full interface share its limit; these shares are then the corridors'
limits, and the fair split is that of the network so limited.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.sparse
from cukernels import residual_deficit

from gridmap import InputError, tables

SLACK_MW = 1e-6
FLOW_COST = 1e-6                # MW of unserved demand that a MW of flow counts: of two answers the one with less of it


@dataclass(frozen=True)
class Interfaces:
    """Limits between groups: names (tail, head) of K interfaces; forward_mw, backward_mw (K,); matrix (K, E) sparse, +1 where
    a corridor leads from the first group to the second, -1 the other way. AC only: a converter sends what it is set to."""

    names: tuple
    forward_mw: np.ndarray
    backward_mw: np.ndarray
    matrix: scipy.sparse.csr_array


def interfaces(inputs, path=None, book=None, columns=None):
    """`Interfaces` of a file of limits between groups (bundled: the study's, between transmission groups of zones).

    inputs: read.Inputs after repair and regrouping. The group of a region: its column `group` where it has one, else that
    of its ReEDS zone. Raises InputError for regions without a group, groups that no region has, limits that are none.
    """
    path = tables.DATA / "limits_group.parquet" if path is None else path
    frame, _ = tables.read(path, "limits", columns, book)
    mw = frame[["forward_mw", "backward_mw"]].to_numpy(float)
    bad = ~(np.isfinite(mw) & (mw >= 0)).all(axis=1)
    if bad.any():
        row = frame[bad].iloc[0]
        raise InputError(f"{path}: row {row['source_row']}: a limit {row['tail']} to {row['head']} is no number from 0 up; give MW")
    group = groups(inputs)
    lost = ~frame["tail"].isin(group) | ~frame["head"].isin(group)
    if lost.all():
        raise InputError(f"{path}: no region is in a group that it names ({frame['tail'].iloc[0]} ...); give the regions a column group")
    frame = frame[~lost].reset_index(drop=True)
    ways = inputs.corridors
    ac = ways["kind"].eq("AC").to_numpy()
    a, b = group[ways["tail"]], group[ways["head"]]
    rows = [scipy.sparse.csr_array((((a == t) & (b == h) & ac).astype(float) - ((a == h) & (b == t) & ac))[None]) for t, h in zip(frame["tail"], frame["head"])]
    return Interfaces(tuple(zip(frame["tail"], frame["head"])), frame["forward_mw"].to_numpy(float), frame["backward_mw"].to_numpy(float), scipy.sparse.vstack(rows).tocsr())


def groups(inputs):
    """(R,) name of each region's group."""
    regions = inputs.regions
    if "group" in regions:
        return regions["group"].to_numpy(object)
    zones, _ = tables.read(tables.DATA / "zones.parquet", "zones")
    group = regions["zone"].map(zones.set_index("zone")["group"])
    if group.isna().any():
        row = regions[group.isna()].iloc[0]
        raise InputError(f"region {row['region_id']} lies in no zone, so in no group: nested limits need regions of one zone each (county or zone)")
    return group.to_numpy(object)


def limited(supply, demand, tail, head, forward, backward, found):
    """(forward, backward) (E,) MW of the corridors so that the limits of `found`, Interfaces, hold; as they were where the
    flows with the least sum keep to them anyway. supply, demand (R,) MW, NumPy."""
    given, best = (forward, backward), None
    out, back = np.zeros(len(found.names), bool), np.zeros(len(found.names), bool)
    while True:
        across = found.matrix @ residual_deficit(supply, demand, tail, head, forward, backward).flow
        over, under = across > found.forward_mw + SLACK_MW, -across > found.backward_mw + SLACK_MW
        if not ((over & ~out) | (under & ~back)).any():
            return forward, backward
        if best is None:
            best = least_unserved(supply, demand, tail, head, *given, found)[1]
            reached = found.matrix @ best
            over, under = over | (reached >= found.forward_mw - SLACK_MW), under | (-reached >= found.backward_mw - SLACK_MW)
        out, back = out | over, back | under
        forward, backward = (limit.copy() for limit in given)
        for k in np.flatnonzero(out):
            _share(found.matrix[[k]], best, forward, backward, found.forward_mw[k])
        for k in np.flatnonzero(back):
            _share(-found.matrix[[k]], best, forward, backward, found.backward_mw[k])


def _share(row, flow, forward, backward, limit):
    """The corridors of an interface may carry what they carry in the program, and of what its limit leaves over a part by
    their own limits; together no more than its limit."""
    sign = row.toarray().ravel()
    own = np.where(sign > 0, forward, np.where(sign < 0, backward, 0.0))
    carried = np.minimum(np.maximum(sign * flow, 0), own)
    carried *= min(1.0, limit / max(carried.sum(), SLACK_MW))
    room = own - carried
    carried += np.maximum(room, 0) * np.clip((limit - carried.sum()) / max(room.sum(), SLACK_MW), 0, 1)
    forward[sign > 0] = carried[sign > 0]
    backward[sign < 0] = carried[sign < 0]


def least_unserved(supply, demand, tail, head, forward, backward, found):
    """(MW, (E,) flow): the least total unserved demand with the limits of the corridors and of the interfaces, a linear
    program (HiGHS). Raises InputError where it finds none."""
    E, R = len(tail), len(supply)
    edge = np.arange(E)
    into = scipy.sparse.csr_array((np.r_[np.ones(E), -np.ones(E)], (np.r_[head, tail], np.r_[edge, edge])), (R, E))
    balance = scipy.sparse.hstack([-into, into, -scipy.sparse.eye_array(R)])
    both = scipy.sparse.hstack([found.matrix, -found.matrix, scipy.sparse.csr_array((len(found.names), R))])
    answer = scipy.optimize.linprog(
        np.r_[np.full(2 * E, FLOW_COST), np.ones(R)], A_ub=scipy.sparse.vstack([balance, both, -both]).tocsr(),
        b_ub=np.concatenate([supply - demand, found.forward_mw, found.backward_mw]),
        bounds=np.stack([np.zeros(2 * E + R), np.concatenate([forward, backward, demand])], axis=1), method="highs")
    if answer.status != 0:
        raise InputError(f"the limits between groups leave no answer ({answer.message.strip()}): check them")
    return float(answer.x[2 * E:].sum()), answer.x[:E] - answer.x[E: 2 * E]


def told(found, flow):
    """DataFrame[tail, head, flow_mw, forward_mw, backward_mw, full]: how each interface stands with a flow (E,)."""
    across = found.matrix @ flow
    full = (across >= found.forward_mw - 1e-3) | (-across >= found.backward_mw - 1e-3)
    return pd.DataFrame({"tail": [t for t, _ in found.names], "head": [h for _, h in found.names], "flow_mw": across, "forward_mw": found.forward_mw,
                         "backward_mw": found.backward_mw, "full": full.astype(int)})
