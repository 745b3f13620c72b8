"""Residual deficit of the 48 states by county at the national peak hour, against OR-tools' maximum flow and HiGHS.

Counted for all: from NumPy arrays of MW to the answer, so building the graph is in. OR-tools and HiGHS can't share a
process, so each runs in one of its own (`python -m benchmarks.flow ortools|highs FILE`), started outside the clock.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from .timing import best_of

PEER_UNITS = 1000  # OR-tools takes whole numbers: kW
REPEATS = 30
HOURS = 96


def run(device="cpu"):
    """Rows: total and fair split in one go against each peer, the flow that carries it, and a batch of hours."""
    problem = national_problem()
    return [*_one_hour(problem, device), _many_hours(problem, device)]


def national_problem():
    """supply, demand (R,) MW, tail, head (E,), forward, backward (E,) MW of the bundled data at the peak hour."""
    from gridmap import read, repair, supply
    inputs = repair.repair(read.load_bundle())
    balance = supply.balance(inputs, inputs.demand.peak_hour())
    return tuple(np.ascontiguousarray(a) for a in (
        balance["supply_mw"], balance["demand_mw"],
        *(inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw"))))


def _one_hour(problem, device):
    from cukernels import residual_deficit
    from cukernels.backend import to_device, to_host
    ours = [to_device(a, device) for a in problem]
    seconds, got = best_of(lambda: residual_deficit(*ours), REPEATS)
    flow_seconds, _ = best_of(lambda: residual_deficit(*ours).flow, REPEATS)
    size = f"{len(problem[0])} counties, {len(problem[2])} corridors"
    total = float(got.total)
    rows = []
    for peer, name in (("ortools", "OR-tools max flow, total only"), ("highs", "HiGHS LP, total only")):
        theirs = _ask(peer, problem)
        # whole kW a region or corridor for OR-tools; HiGHS's feasibility tolerance is 1e-7 a row
        allowed = len(problem[0]) / PEER_UNITS if peer == "ortools" else 1e-6 * total
        if abs(theirs["total_mw"] - total) > allowed:
            raise AssertionError(f"unserved demand {total} MW here, {theirs['total_mw']} MW by {peer}")
        rows.append({"what": f"total and fair split, one hour, {size}", "ours_s": seconds, "peer": name, "peer_s": theirs["seconds"],
                     "ratio": theirs["seconds"] / seconds, "total_mw": total, "pockets": int(to_host(got.pocket).max()) + 1,
                     "check": f"total within {abs(theirs['total_mw'] / total - 1):.0e}"})
    rows.append({"what": f"the same and the least flow, {size}", "ours_s": flow_seconds, "peer": rows[0]["peer"], "peer_s": rows[0]["peer_s"],
                 "ratio": rows[0]["peer_s"] / flow_seconds, "check": _check_flow(problem, got)})
    return rows


def _check_flow(problem, got):
    from cukernels.backend import to_host
    supply, demand, tail, head, forward, backward = problem
    flow = to_host(got.flow)
    left = supply + np.bincount(head, flow, len(supply)) - np.bincount(tail, flow, len(supply)) - demand + to_host(got.unserved)
    worst = max(-left.min(), (flow - forward).max(), (-flow - backward).max())
    if worst > 1e-6:
        raise AssertionError(f"the flow misses its limits or its deliveries by {worst} MW")
    return f"limits and balances within {max(worst, 0):.0e} MW"


def _many_hours(problem, device):
    """Hours that differ: demand and supply scaled region by region. Compared with the same hours one at a time."""
    from cukernels import residual_deficit
    from cukernels.backend import to_device, to_host
    random = np.random.default_rng(0)
    supply, demand = (a * random.uniform(0.6, 1.1, (HOURS, len(a))) for a in problem[:2])
    hours = [to_device(a, device) for a in (supply, demand, *problem[2:])]
    rest = hours[2:]
    seconds, got = best_of(lambda: residual_deficit(*hours).unserved, 3)
    alone_seconds, alone = best_of(lambda: [residual_deficit(s, d, *rest).unserved for s, d in zip(hours[0], hours[1], strict=True)], 1)
    if not all((to_host(a) == to_host(b)).all() for a, b in zip(got, alone, strict=True)):
        raise AssertionError("an hour in a batch differs from the hour alone")
    return {"what": f"{HOURS} such hours at once", "ours_s": seconds, "peer": "one at a time", "peer_s": alone_seconds,
            "ratio": alone_seconds / seconds, "check": "same bits", "hours_a_second": HOURS / seconds}


def _ask(peer, problem):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "problem.npz"
        np.savez(path, *problem)
        done = subprocess.run([sys.executable, "-m", "benchmarks.flow", peer, str(path)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{peer}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _by_ortools(supply, demand, tail, head, forward, backward):
    from ortools.graph.python import max_flow
    R = len(supply)
    net = np.rint((supply - demand) * PEER_UNITS).astype(np.int64)  # a region serves itself first: the total is the same
    over, short = np.flatnonzero(net > 0), np.flatnonzero(net < 0)
    solver = max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(
        np.concatenate([tail, head, np.full(len(over), R), short]).astype(np.int32),
        np.concatenate([head, tail, over, np.full(len(short), R + 1)]).astype(np.int32),
        np.concatenate([np.rint(forward * PEER_UNITS), np.rint(backward * PEER_UNITS), net[over], -net[short]]).astype(np.int64))
    if solver.solve(R, R + 1) != solver.OPTIMAL:
        raise RuntimeError("OR-tools found no maximum flow")
    return (-net[short].sum() - solver.optimal_flow()) / PEER_UNITS


def _by_highs(supply, demand, tail, head, forward, backward):
    import highspy
    import scipy.sparse
    R, E = len(supply), len(tail)
    rows = np.concatenate([tail, head, np.arange(R), np.arange(R)])
    columns = np.concatenate([np.arange(E), np.arange(E), E + np.arange(2 * R)])
    matrix = scipy.sparse.csc_array((np.concatenate([-np.ones(E), np.ones(E + 2 * R)]), (rows, columns)), (R, E + 2 * R))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = E + 2 * R, R
    lp.col_cost_ = np.concatenate([np.zeros(E + R), np.ones(R)])
    lp.col_lower_, lp.col_upper_ = np.concatenate([-backward, np.zeros(2 * R)]), np.concatenate([forward, supply, demand])
    lp.row_lower_ = lp.row_upper_ = demand
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver = highspy.Highs()
    solver.silent()
    solver.passModel(lp)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError("HiGHS found no optimum")
    return solver.getObjectiveValue()


if __name__ == "__main__":
    peer, path = sys.argv[1:]
    arrays = list(np.load(path).values())
    function, repeats = {"ortools": (_by_ortools, REPEATS), "highs": (_by_highs, 3)}[peer]
    seconds, total = best_of(lambda: function(*arrays), repeats)
    print(json.dumps({"seconds": seconds, "total_mw": float(total)}))
