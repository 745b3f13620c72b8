"""Supply within reach of each region, by electrical distance: the two-step floating catchment of access studies.

Electrical distance is 1 / limit, added along the way that makes it least, the way power goes: a corridor of 100 MW is 0.01
away, two of 200 MW one after the other as far. First every region's supply is divided among the demand in its reach, near
demand counting more; then every region adds up what it gets from all (W. Luo, F. Wang, Environment and Planning B 30 (2003)
865). So demand times access adds up to the supply that has any demand in reach.
"""

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

ROWS = 1000                     # of the weights held at a time
REACH = 0.01                    # 1/MW: nothing of the weight is left there
NO_LIMIT_MW = 1e9               # an unlimited corridor is as good as this


def weights(tail, head, forward, backward, count, reach=REACH, rows=None):
    """(R, R) float64, row j, column k: 1 - distance / reach from supply at j to demand at k, 0 beyond; 1 on the diagonal.
    rows: (n,) the rows wanted, or None for all."""
    ends = np.concatenate([[tail, head], [head, tail]], axis=1)
    limit = np.minimum(np.concatenate([forward, backward]), NO_LIMIT_MW)
    ways = scipy.sparse.coo_array((limit[limit > 0], ends[:, limit > 0]), shape=(count, count)).tocsr()  # parallel corridors add
    ways.data = 1 / ways.data
    distance = scipy.sparse.csgraph.dijkstra(ways, limit=reach, indices=rows)
    return np.clip(1 - distance / reach, 0, 1)


def access(supply, demand, tail, head, forward, backward, reach=REACH):
    """(R,) MW of supply within reach for each MW of demand; supply, demand (R,) MW, the corridors as everywhere.

    Above 1 is more than enough. A region without demand has the access that demand there would have. Raises ValueError for
    a reach that is not above zero.
    """
    if not reach > 0:
        raise ValueError(f"reach {reach}: give a distance above zero, in 1/MW")
    found = np.zeros(len(demand))
    for rows in np.array_split(np.arange(len(demand)), max(1, len(demand) // ROWS)):  # all at once is R x R: a gigabyte for cells
        weight = weights(tail, head, forward, backward, len(demand), reach, rows)
        asked = weight @ demand
        found += weight.T @ np.divide(supply[rows], asked, out=np.zeros(len(rows)), where=asked > 0)
    return found
