"""The least unserved demand of up to twelve regions, exactly, by looking at every set of them.

What a set S lacks can't be less than its own lack minus the limits into it, and the worst set is binding (max flow =
min cut). All numbers are integers, so every comparison is exact and both halves give the same answer to the unit.
"""

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host
from .threads import in_threads

MOST_REGIONS = 12
_NO_LIMIT = 2**58  # more than any demand; some of them added up stay within int64
_MOST = 3_000_000_000  # demand of an hour: its square fits into int64


def split_shortage(lack, demand, tail, head, forward, backward):
    """Unserved demand of K hours, least in total and split in the one lexicographically fair way (see `flow`).

    lack: (K, R) integers, demand less what is there to serve it, negative where something is left; R <= 12.
    demand: (K, R) integers >= lack and >= 0, all of one hour at most 3e9. tail, head: (E,) integers, the regions that
    corridors join. forward, backward: (E,) or (K, E), the most that flows tail -> head and head -> tail; amounts are
    floored, infinity is no limit. NumPy or CuPy, all of one kind.

    Returns unserved (K, R) int64 and pocket (K,) int32, bit r set where region r lies in a set that lacks. The corridors
    into the pocket are the bottleneck. Shares are equal within each set that the split finds; a remainder of less than one
    unit a region goes to its first regions, so the total is exact.

    Raises ValueError for more than 12 regions, demand out of its range, lack above demand, negative or NaN limits, ends
    that are no region, and shapes that don't fit.
    Source: as `flow.residual_deficit`; the sets are enumerated in Gray order (F. Gray, US patent 2632058, 1953).
    """
    xp = array_module(lack, demand, tail, head, forward, backward)
    lack, demand = (xp.ascontiguousarray(xp.asarray(a).astype(np.int64)) for a in (lack, demand))
    tail, head, forward, backward = (xp.asarray(a) for a in (tail, head, forward, backward))
    _check(xp, lack, demand, tail, head, forward, backward)
    cuts, which = _cut_tables(xp, tail, head, forward, backward, *lack.shape)
    unserved, pocket = xp.zeros(lack.shape, np.int64), xp.zeros(len(lack), np.int32)
    if on_device(lack):
        K, R = lack.shape
        if K:
            launch("cuts", "split_hours", grid(K, 128), 128, lack, demand, cuts, which, unserved, pocket, np.int32(R), np.int64(K))
        return unserved, pocket
    in_threads(_split_hours, len(lack), lack, demand, cuts, which, unserved, pocket, least=2000)
    return unserved, pocket


def _check(xp, lack, demand, tail, head, forward, backward):
    if lack.ndim != 2 or lack.shape != demand.shape:
        raise ValueError(f"lack and demand have shapes {lack.shape} and {demand.shape}: pass two (K, R)")
    K, R = lack.shape
    if not 1 <= R <= MOST_REGIONS:
        raise ValueError(f"there are {R} regions: sets of 1 to {MOST_REGIONS} are enumerated, use flow.residual_deficit for more")
    if any(a.shape not in ((len(tail),), (K, len(tail))) for a in (forward, backward)) or head.shape != tail.shape:
        raise ValueError(f"the corridors have shapes {tail.shape}, {head.shape}, {forward.shape}, {backward.shape}: pass (E,) or ({K}, E)")
    for name, good in (("demand", (demand >= 0) & (demand <= _MOST)), ("lack", lack <= demand), ("forward", forward >= 0),
                       ("backward", backward >= 0), ("tail", (tail >= 0) & (tail < R)), ("head", (head >= 0) & (head < R))):
        if not bool(good.all()):
            raise ValueError(f"{name}[{', '.join(map(str, np.argwhere(~to_host(good))[0]))}] is out of its range: correct it")
    if K and int(demand.sum(axis=1).max()) > _MOST:
        raise ValueError(f"the demand of an hour is more than {_MOST}: use a larger unit of power")


def _cut_tables(xp, tail, head, forward, backward, K, R):
    """(L, 2**R) int64, the limits into every set for each pattern of limits, and (K,) int32, the pattern of each hour."""
    limits = [xp.minimum(xp.floor(a), float(_NO_LIMIT >> 6)).astype(np.int64) for a in (forward, backward)]
    rows = xp.concatenate([xp.broadcast_to(a, (K if forward.ndim + backward.ndim > 2 else 1, len(tail))) for a in limits], axis=1)
    which = np.zeros(K, np.int32)
    if len(rows) == K and K > 1:
        patterns, which = _patterns(to_host(rows))
        rows = xp.asarray(patterns)
    sets = xp.arange(2**R)
    cuts = xp.zeros((len(rows), 2**R), np.int64)
    ends = list(zip(to_host(tail).tolist(), to_host(head).tolist(), strict=True))
    for e, (a, b) in enumerate(ends):
        has_a, has_b = (sets >> a) & 1, (sets >> b) & 1
        cuts += rows[:, e, None] * (has_b > has_a) + rows[:, len(ends) + e, None] * (has_a > has_b)
    return xp.minimum(cuts, _NO_LIMIT), xp.asarray(which.ravel().astype(np.int32))


def _mix(count):
    """(count,) odd uint64 without pattern (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014: the finaliser of SplitMix)."""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z | np.uint64(1)


def _patterns(rows):
    """As np.unique of rows, in any order: by one number for each row, by all of them where two rows share it."""
    _, first, which = np.unique((rows.astype(np.uint64) * _mix(rows.shape[1])).sum(axis=1, dtype=np.uint64), return_index=True, return_inverse=True)
    if (rows[first][which] == rows).all():
        return rows[first], which
    return np.unique(rows, axis=0, return_inverse=True)


@njit(cache=True, nogil=True)
def _split_hours(lack, demand, cuts, which, unserved, pocket, first, last):
    for k in range(first, last):
        pocket[k] = _split(lack[k], demand[k], cuts[which[k]], unserved[k])


@njit(cache=True, nogil=True)
def _split(lack, demand, cut, unserved):
    """Fix the set with the largest share of its demand unserved, go on with the others; the sets fixed, as bits."""
    fixed = np.int64(0)
    while True:
        more, amount, whole = _worst(lack, demand, cut, fixed)
        if amount <= 0:
            return fixed
        rest = amount
        for r in range(len(lack)):
            if more >> r & 1:
                unserved[r] = amount * demand[r] // whole
                rest -= unserved[r]
        for r in range(len(lack)):
            if rest > 0 and more >> r & 1 and demand[r] > unserved[r]:
                unserved[r] += 1
                rest -= 1
        fixed |= more


@njit(cache=True, nogil=True)
def _worst(lack, demand, cut, fixed):
    """The largest set outside `fixed` with the largest share (amount / whole) that it lacks beyond what `fixed` does."""
    n, own, whole, member, chosen = 0, np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    best, best_whole = np.int64(0), np.int64(1)
    for r in range(len(lack)):
        n += not fixed >> r & 1
    for i in range(1, 1 << n):
        # bit of the Gray code that turns, counted among the regions that are not fixed
        flip, r = i & -i, 0
        while True:
            if not fixed >> r & 1:
                if flip == 1:
                    break
                flip >>= 1
            r += 1
        sign = -1 if member >> r & 1 else 1
        member ^= np.int64(1) << r
        own += sign * lack[r]
        whole += sign * demand[r]
        amount = own - cut[fixed | member] + cut[fixed]
        if whole == 0 or amount <= 0:
            continue
        gain = amount * best_whole - best * whole
        if gain > 0:
            best, best_whole, chosen = amount, whole, member
        elif gain == 0:
            chosen |= member  # sets with one share: so has their union
    own, whole = np.int64(0), np.int64(0)
    for r in range(len(lack)):
        if chosen >> r & 1:
            own, whole = own + lack[r], whole + demand[r]
    return chosen, own - cut[fixed | chosen] + cut[fixed], whole
