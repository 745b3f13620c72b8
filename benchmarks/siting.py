"""Room for a new load in every county at the national peak hour, against a maximum flow for each county by SciPy (Dinic).

SciPy takes whole numbers (kW here) and a county at a time; it is asked about some, drawn at random, and its time is that of
all at this pace. Its answer is the maximum flow with a huge load there less the one without.
"""

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import maximum_flow

from .flow import national_problem
from .timing import best_of

ASKED = 24
KW = 1000
HUGE = 10**9


def run(device="cpu"):
    from cukernels.backend import to_device, to_host
    from cukernels.headroom import headroom
    problem = national_problem()
    R = len(problem[0])
    arrays = [to_device(a, device) for a in (*problem, np.zeros(R, int), np.arange(R))]
    seconds, mw = best_of(lambda: headroom(*arrays), 3)
    chosen = np.random.default_rng(5).choice(R, ASKED, replace=False)
    networks = [_with_load(_network(*problem), region) for region in chosen]  # building them is not counted
    base = maximum_flow(_network(*problem), R, R + 1).flow_value
    peer_s, theirs = best_of(lambda: [maximum_flow(network, R, R + 1).flow_value - base for network in networks], 1)
    off = np.abs(to_host(mw)[chosen] - np.array(theirs) / KW).max()
    if off > 2 * R / KW:  # every supply, demand and limit is rounded to a kW
        raise AssertionError(f"a county's room differs by {off} MW")
    return [{"what": f"the largest new load of each of {R:,} counties, one hour", "ours_s": seconds, "peer": "SciPy maximum flow, county by county",
             "peer_s": peer_s / ASKED * R, "ratio": peer_s / ASKED * R / seconds, "check": f"{ASKED} counties within {off:.1e} MW"}]


def _network(supply, demand, tail, head, forward, backward):
    """(R + 2)^2 sparse capacities in kW: source R, sink R + 1."""
    R = len(supply)
    every = np.arange(R)
    rows = np.concatenate([tail, head, np.full(R, R), every])
    columns = np.concatenate([head, tail, every, np.full(R, R + 1)])
    kw = np.minimum(np.rint(np.concatenate([forward, backward, supply, demand]) * KW), HUGE)
    return scipy.sparse.csr_array((kw.astype(np.int32), (rows, columns)), shape=(R + 2, R + 2))


def _with_load(network, region):
    network = network.tolil()
    network[region, network.shape[0] - 1] = HUGE
    return network.tocsr().astype(np.int32)
