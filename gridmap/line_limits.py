"""What corridors can carry by the lines there are: four estimates side by side, and the one that a run can take.

- **ends**: a line counts between the regions of its two ends (`lines.end_limits`). What `--limits-from lines` takes.
- **crossing**: a line counts in full at every border it crosses (`lines.corridor_limits`).
- **shared**: its limit divided among the borders it crosses.
- **dc**: the most that the lines between two regions can carry when the linear power flow on the whole network decides how
  a transfer between their stations divides, no line above its limit (linear program after P. R. Brown et al.,
  arXiv 2308.03612). A station's voltages are joined by transformers without reactance to speak of and without a limit.
"""

import numpy as np
import pandas as pd
import scipy.sparse.csgraph

from gridmap import dcflow, limits, stclair
from gridmap.lines import compare_limits, corridor_limits, end_limits, in_use, topology
from gridmap.place import region_of

ESTIMATES = {"ends_mw": "between the regions of its ends", "n1_mw": "the same without the largest line", "crossing_mw": "in full at every border a line crosses",
             "shared_mw": "divided among the borders a line crosses", "dc_mw": "linear power flow between the regions' stations"}
TRANSFORMER_PU = 1e-4           # on 1 MVA: a thousandth of what a line of 100 km has
FELT = 1e-9                     # smaller shares of a transfer bind no line
DC_PAIRS = 400                  # linear programs of more pairs would take minutes


def estimates(lines, regions, device="cpu", substations=None):
    """DataFrame[tail, head, lines, ends_mw, n1_mw, rows, crossing_mw, shared_mw, dc_mw], a row for each pair of regions that any
    estimate joins, tail < head rows of `regions`; NaN where an estimate has none. dc_mw only up to DC_PAIRS pairs.

    lines: GeoDataFrame[voltage_kv, geometry] and, where known, circuits and thermal_mw; carries, False for lines that are
    not counted. Both ways are alike.
    """
    lines = in_use(lines)
    ends = end_limits(lines, regions, device)
    crossing, crossings = corridor_limits(lines, regions, device=device)
    once = crossings.dropna(subset="limit_mw").drop_duplicates(["line", "tail", "head"])
    share = once["limit_mw"] / once.groupby("line")["line"].transform("size")
    pair = ["tail", "head"]
    columns = [
        ends.set_index(pair)["lines"], ends.set_index(pair)["forward_mw"].rename("ends_mw"), ends.set_index(pair)["n1_mw"], ends.set_index(pair)["rows"],
        crossing.set_index(pair)["forward_mw"].rename("crossing_mw"), share.groupby([once["tail"], once["head"]]).sum().rename("shared_mw")]
    if len(ends) <= DC_PAIRS:
        columns.append(dc_limits(lines, regions, device, substations))
    table = pd.concat(columns, axis=1).sort_index().reset_index()
    return table.assign(lines=table["lines"].fillna(0).astype(int), **({} if "dc_mw" in table else {"dc_mw": np.nan}))


def dc_limits(lines, regions, device="cpu", substations=None):
    """Series dc_mw by (tail, head) for the pairs of regions with a line from a station of the one to one of the other."""
    net, buses = line_network(lines, substations)
    home = region_of(buses["lon"].to_numpy(), buses["lat"].to_numpy(), regions, device)
    start, end = home[net.start], home[net.end]
    joins = (start >= 0) & (end >= 0) & (start != end)
    pairs = sorted(set(zip(np.minimum(start, end)[joins], np.maximum(start, end)[joins])))
    found = [transfer_limit(net, np.flatnonzero((home == a) | (home == b)), *_interface(start, end, a, b)) for a, b in pairs]
    index = pd.MultiIndex.from_tuples(pairs, names=["tail", "head"]) if pairs else pd.MultiIndex.from_arrays([[], []], names=["tail", "head"])
    return pd.Series(found, index, name="dc_mw", dtype=float)


def _interface(start, end, a, b):
    out, back = np.flatnonzero((start == a) & (end == b)), np.flatnonzero((start == b) & (end == a))
    return np.concatenate([out, back]), np.repeat([1.0, -1.0], [len(out), len(back)])


def transfer_limit(net, buses, branches, signs):
    """MW: the most flow over `branches` (signs +1 along them, -1 against) that injections at `buses` alone can drive with
    every branch within its rating; in each island they balance."""
    from scipy.optimize import linprog

    factors = dcflow.transfer_columns(net, buses)
    felt = np.isfinite(net.rating) & (np.abs(factors).max(axis=1, initial=0) > FELT)
    rows, rating = factors[felt], net.rating[felt]
    islands = (net.island[buses][None] == np.unique(net.island[buses])[:, None]).astype(float)
    answer = linprog(-(signs @ factors[branches]), A_ub=np.vstack([rows, -rows]), b_ub=np.tile(rating, 2), A_eq=islands, b_eq=np.zeros(len(islands)),
                     bounds=(None, None), method="highs")
    if answer.status != 0:
        raise ValueError(f"the interface has no limit to find ({answer.message.strip()}): check the ratings")
    return -float(answer.fun)


def line_network(lines, substations=None):
    """(`dcflow.Network` of the lines with a voltage, DataFrame of its buses with lon, lat): stations from the line ends,
    reactance and rating from voltage and length."""
    net = topology(lines, substations=substations)
    part = net.parts[(net.parts["kv"] > 0) & (net.parts["start"] != net.parts["end"])]
    circuits = lines["circuits"].to_numpy(float)[part["line"]] if "circuits" in lines else 1.0
    thermal = lines["thermal_mw"].to_numpy(float)[part["line"]] if "thermal_mw" in lines else None
    kv, km = part["kv"].to_numpy(), np.maximum(part["km"].to_numpy(), 0.01)  # a length of 0 would have no reactance
    branch = pd.DataFrame({"from_bus": part["start"].to_numpy(), "to_bus": part["end"].to_numpy(), "x_pu": stclair.reactance(kv) * km / kv**2 / circuits,
                           "rate_a_mw": stclair.line_limit(kv, km, circuits, thermal)})
    after = net.buses["station"].to_numpy()[1:] == net.buses["station"].to_numpy()[:-1]  # voltages of a station stand together
    low = np.flatnonzero(after)
    both = pd.concat([branch, pd.DataFrame({"from_bus": low, "to_bus": low + 1, "x_pu": TRANSFORMER_PU, "rate_a_mw": 0.0})], ignore_index=True)
    graph = scipy.sparse.coo_array((np.ones(len(both)), (both["from_bus"], both["to_bus"])), (len(net.buses),) * 2)
    island = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    first = np.unique(island, return_index=True)[1]
    kind = np.ones(len(net.buses))
    kind[first] = 3
    made = dcflow.network(1.0, pd.DataFrame({"bus": np.arange(len(kind)), "type": kind}), both, pd.DataFrame({"bus": first, "pg_mw": 0.0}))
    return made, net.buses


def take(lines, regions, given, book, device="cpu", substations=None):
    """(corridors of the lines' ends in place of the alternating-current ones of `given`, `beside`).

    given: corridors of `limits.build`, or None. Direct-current ties of `given` stay. Between two interconnects nothing is joined.
    """
    table = estimates(lines, regions, device, substations)
    _note_topology(in_use(lines), substations, book)
    found = table.dropna(subset="ends_mw")
    side = regions["interconnect"].to_numpy(object)
    a, b = side[found["tail"]], side[found["head"]]
    apart = (a != "") & (b != "") & (a != b)
    book.add("lines", "lines between two interconnects, which do not run in step", "left out", plant=f"{int(apart.sum())} corridors", mw=found["ends_mw"][apart].sum())
    found = found[~apart]
    made = pd.DataFrame({"tail": found["tail"], "head": found["head"], "forward_mw": found["ends_mw"], "backward_mw": found["ends_mw"],
                         "kind": "AC", "name": "", "source": "lines", "rows": found["rows"]})
    blind = ~(in_use(lines)["voltage_kv"] > 0)
    book.add("lines", "limits taken from the lines between the regions of their ends", "changed", plant=f"{len(made)} corridors", mw=made["forward_mw"].sum())
    book.add("lines", "line without a voltage: carries nothing", "left out", plant=f"{int(blind.sum())} lines")
    kept = given[given["kind"].ne("AC")] if given is not None else None
    made = pd.concat([made, kept], ignore_index=True)[limits.COLUMNS]
    limits.report_alone(made, regions, book)
    return made.astype({"tail": int, "head": int}), beside(table, regions, given)


def _note_topology(lines, substations, book):
    """What was snapped, joined and left alone in making a network of the lines, in the report."""
    report = topology(lines, substations=substations).report
    book.add("lines", "network made of the lines' ends", "kept", plant=report["what"], after=report["count"].astype(str))


def beside(table, regions, given):
    """`estimates` with ids of the regions and given_mw, the mean of both ways (NaN where there is none), for the report."""
    ids = regions["region_id"].to_numpy()
    if given is None:
        table = table.assign(given_mw=np.nan)
    else:
        mean = given[given["kind"].eq("AC")].assign(given_mw=lambda t: (t["forward_mw"] + t["backward_mw"]) / 2)
        table = table.merge(mean[["tail", "head", "given_mw"]], how="left", on=["tail", "head"])
    return table.assign(tail=ids[table["tail"]], head=ids[table["head"]])


def agreement(table):
    """{estimate: how it stands beside given_mw}, as `lines.compare_limits` says it; None where fewer than three pairs are in both."""
    given = table.dropna(subset="given_mw").assign(forward_mw=lambda t: t["given_mw"], backward_mw=lambda t: t["given_mw"])
    found = {}
    for name in ESTIMATES:
        ours = table.dropna(subset=name).assign(forward_mw=lambda t, name=name: t[name], backward_mw=lambda t, name=name: t[name])
        common = ((table[name] > 0) & (table["given_mw"] > 0)).sum()
        found[name] = compare_limits(ours, given) if common >= 3 else None
    return found
