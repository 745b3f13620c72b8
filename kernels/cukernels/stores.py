"""Stores (batteries, reservoirs, demand that waits) that fill from what is left over and empty where something is missing.

One rule, hour by hour, no foresight. In an hour that lacks power, stores give in the order of their rank, within a rank the
one that could go on longest first, each only what lowers the least unserved amount. Then those that gave nothing fill, the
highest rank first, within a rank the one that could go on shortest, from whatever does not raise that amount again. What
lowers and raises it is found by augmenting one maximum flow of the hour, so any number of regions will do. All amounts are
integers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host
from .threads import in_threads

MOST_STORES = 4096  # of one system: the next one is looked for among all


class Stores(NamedTuple):
    """G stores. NumPy or CuPy, all of one kind; power and energy in one unit, whole numbers, steps of an hour.

    region (G,) int32. give, take, room (G,) int64 >= 0: most given and taken in an hour, as the network sees it, and most
    held. there (G,) int64: held at the beginning. out_share, in_share, kept (G,) float64, 0 .. 1 (out_share above 0):
    what reaches the network of what leaves the store, what reaches the store of what is taken, what is left after an hour.
    rank (G,) int32: lower ranks empty first, higher ranks fill first. row (G,) int32: row of `inflow`, -1 for none.
    inflow (F, T) int64 >= 0: what runs in at the beginning of each hour, up to the room; the rest runs over.
    """

    region: np.ndarray
    give: np.ndarray
    take: np.ndarray
    room: np.ndarray
    there: np.ndarray
    out_share: np.ndarray
    in_share: np.ndarray
    kept: np.ndarray
    rank: np.ndarray
    row: np.ndarray
    inflow: np.ndarray


_KINDS = (np.int32, np.int64, np.int64, np.int64, np.int64, float, float, float, np.int32, np.int32, np.int64)


def run_stores(stores, lost, margin, tail, head, forward, backward):
    """What stores give through T hours: (given (S, R, T), held (S, G, T)), both int64.

    stores: `Stores`. lost: (S, R + 2 E + G, T) int32, as `chronology.lost_power` makes it: what is lost of each region,
    of each corridor tail -> head, then head -> tail, and for each store above 0 where it is out (it then keeps what it has).
    margin: (R, T) int64, what a region has over its load with everything in. tail, head: (E,) int32.
    forward, backward: (2, E) int64, the sum of all lines of a corridor, and the most it carries whatever is in.

    given: to each region. held: at the end of each hour. Power that is given rounds up what leaves a store, what is taken
    rounds down. Raises ValueError for shapes that don't fit, more than 4096 stores, and numbers out of their range.
    Source: the greedy order for emptying is that of M. P. Evans, S. H. Tindemans, D. Angeli, IEEE Trans. Smart Grid 10 (2019)
    4133; the flows are augmented along shortest ways (J. Edmonds, R. M. Karp, J. ACM 19 (1972) 248).
    """
    xp = array_module(*stores, lost, margin, tail, head, forward, backward)
    stores = Stores(*(xp.ascontiguousarray(xp.asarray(a, dtype=k)) for a, k in zip(stores, _KINDS, strict=True)))
    margin, forward, backward = (xp.ascontiguousarray(xp.asarray(a, dtype=np.int64)) for a in (margin, forward, backward))
    lost, tail, head = (xp.ascontiguousarray(xp.asarray(a, dtype=np.int32)) for a in (lost, tail, head))
    _check(xp, stores, lost, margin, tail, head, forward, backward)
    first, arc = (xp.asarray(a) for a in _arcs_by_region(to_host(tail), to_host(head), len(margin)))
    S, (R, T), G, E = len(lost), margin.shape, len(stores.region), len(tail)
    given, held = xp.zeros((S, R, T), np.int64), xp.zeros((S, G, T), np.int64)
    if on_device(lost):
        room, work, flags = xp.empty((S, 2 * E), np.int64), xp.empty((S, 5, R), np.int64), xp.empty((S, 2, G), np.uint8)
        launch("stores", "run_samples", grid(S, 64), 64, *stores, lost, margin, tail, head, forward, backward, first, arc, room, work, flags,
               given, held, np.int32(R), np.int32(E), np.int32(G), np.int32(T), np.int32(S))
    else:
        in_threads(_run_samples, S, stores, lost, margin, tail, head, forward, backward, first, arc, given, held, least=1)
    return given, held


def _check(xp, stores, lost, margin, tail, head, forward, backward):
    R, T = margin.shape
    E, G = len(tail), len(stores.region)
    if lost.shape[1:] != (R + 2 * E + G, T) or head.shape != (E,) or forward.shape != (2, E) or backward.shape != (2, E):
        raise ValueError(f"lost has shape {lost.shape} and the limits {forward.shape}: pass (S, {R + 2 * E + G}, {T}) and (2, {E})")
    if G > MOST_STORES:
        raise ValueError(f"there are {G} stores: join those of a region that are alike, to {MOST_STORES} at most")
    if stores.inflow.shape[1:] != (T,):
        raise ValueError(f"inflow has shape {stores.inflow.shape}: pass rows of {T} hours")
    share = lambda a: (a >= 0) & (a <= 1)  # noqa: E731
    for name, good in (("region", (stores.region >= 0) & (stores.region < R)), ("give", stores.give >= 0), ("take", stores.take >= 0),
                       ("room", stores.room >= 0), ("there", (stores.there >= 0) & (stores.there <= stores.room)),
                       ("out_share", share(stores.out_share) & (stores.out_share > 0)), ("in_share", share(stores.in_share)), ("kept", share(stores.kept)),
                       ("rank", stores.rank >= 0), ("row", (stores.row >= -1) & (stores.row < len(stores.inflow))),
                       ("inflow", (stores.inflow >= 0).all(axis=1)), ("tail", (tail >= 0) & (tail < R)), ("head", (head >= 0) & (head < R)),
                       ("forward", (forward >= 0).all(axis=0)), ("backward", (backward >= 0).all(axis=0))):
        if not bool(good.all()):
            raise ValueError(f"{name}[{int(np.argmin(to_host(good)))}] is out of its range: correct it")


def _arcs_by_region(tail, head, R):
    """first (R+1,), arc (2E,) int32: the arcs that leave each region; arc 2e leads from tail to head of e, 2e + 1 back."""
    ends = np.stack([tail, head], axis=1).ravel()
    return np.searchsorted(np.sort(ends, kind="stable"), np.arange(R + 1)).astype(np.int32), np.argsort(ends, kind="stable").astype(np.int32)


@njit(cache=True, nogil=True)
def _run_samples(stores, lost, margin, tail, head, forward, backward, first, arc, given, held, begin, end):
    (R, T), E, G = margin.shape, len(tail), len(stores.region)
    energy, free, used = np.empty(G, np.int64), np.empty(G, np.bool_), np.empty(G, np.bool_)
    lack, stock, room = np.empty(R, np.int64), np.empty(R, np.int64), np.empty(2 * E, np.int64)
    queue, via, near = np.empty(R, np.int64), np.empty(R, np.int64), np.empty(R, np.bool_)
    for s in range(begin, end):
        energy[:] = stores.there
        for t in range(T):
            short, full = False, True
            for r in range(R):
                over = margin[r, t] - lost[s, r, t]
                stock[r], lack[r] = max(over, 0), max(-over, 0)
                short |= over < 0
            for g in range(G):
                energy[g] = int(energy[g] * stores.kept[g])
                if stores.row[g] >= 0:
                    energy[g] = min(energy[g] + stores.inflow[stores.row[g], t], stores.room[g])
                used[g] = lost[s, R + 2 * E + g, t] > 0
                full &= energy[g] == stores.room[g]
            if short or not full:
                for e in range(E):
                    room[2 * e] = min(forward[0, e] - lost[s, R + e, t], forward[1, e])
                    room[2 * e + 1] = min(backward[0, e] - lost[s, R + E + e, t], backward[1, e])
                unserved = 0
                if short:
                    for r in range(R):
                        if lack[r] > 0:
                            lack[r] -= _fetch(r, lack[r], stock, room, tail, head, first, arc, queue, via)
                            unserved += lack[r]
                if unserved > 0:
                    _reach(lack, room, tail, head, first, arc, queue, near, 0)
                    _empty(stores, energy, used, free, near, unserved, lack, room, tail, head, first, arc, queue, via, given[s, :, t])
                _reach(stock, room, tail, head, first, arc, queue, near, 1)
                _fill(stores, energy, used, free, near, stock, room, tail, head, first, arc, queue, via)
            held[s, :, t] = energy


@njit(cache=True, nogil=True)
def _empty(stores, energy, used, free, near, unserved, lack, room, tail, head, first, arc, queue, via, given):
    """Stores that give, or are out, are `used`: they don't fill in this hour."""
    for g in range(len(energy)):
        free[g] = not used[g] and near[stores.region[g]]
    while unserved > 0:
        g = _next(stores, energy, free, True)
        if g < 0:
            return
        free[g] = False
        r, most = stores.region[g], min(stores.give[g], int(energy[g] * stores.out_share[g]))
        gives = _bring(r, most, lack, room, tail, head, first, arc, queue, via)
        energy[g] -= min(energy[g], int(np.ceil(gives / stores.out_share[g])))
        given[r] += gives
        used[g] = gives > 0
        unserved -= gives


@njit(cache=True, nogil=True)
def _fill(stores, energy, used, free, near, stock, room, tail, head, first, arc, queue, via):
    some = False
    for g in range(len(energy)):
        free[g] = not used[g] and near[stores.region[g]] and energy[g] < stores.room[g] and stores.in_share[g] > 0 and stores.take[g] > 0
        some |= free[g]
    while some:
        g = _next(stores, energy, free, False)
        if g < 0:
            return
        free[g] = False
        takes = min(stores.take[g], int(np.ceil((stores.room[g] - energy[g]) / stores.in_share[g])))
        takes = _fetch(stores.region[g], takes, stock, room, tail, head, first, arc, queue, via)
        energy[g] = min(energy[g] + int(takes * stores.in_share[g]), stores.room[g])


@njit(cache=True, nogil=True)
def _reach(wanted, room, tail, head, first, arc, queue, near, against):
    """near: the regions from which `_search` finds something wanted. A flow more along such ways brings no region near."""
    n, k = 0, 0
    for i in range(len(near)):
        near[i] = wanted[i] > 0
        if near[i]:
            queue[n] = i
            n += 1
    while k < n:
        i = queue[k]
        k += 1
        for p in range(first[i], first[i + 1]):
            a = arc[p]
            j = head[a >> 1] if a & 1 == 0 else tail[a >> 1]
            if not near[j] and room[a ^ 1 ^ against] > 0:
                near[j] = True
                queue[n] = j
                n += 1


@njit(cache=True, nogil=True)
def _next(stores, energy, free, empties):
    """The free store whose turn it is, the first of equals; -1 for none."""
    best = -1
    for g in range(len(energy)):
        if not free[g] or stores.give[g] <= 0 or (empties and energy[g] <= 0):
            continue
        if best < 0:
            best = g
            continue
        rank = stores.rank[best] - stores.rank[g]
        more = energy[g] * stores.give[best] - energy[best] * stores.give[g]
        if (rank > 0 or rank == 0 and more > 0) if empties else (rank < 0 or rank == 0 and more < 0):
            best = g
    return best


@njit(cache=True, nogil=True)
def _bring(r, most, lack, room, tail, head, first, arc, queue, via):
    """Send up to `most` from region r to those who lack; how much arrived."""
    left = most
    while left > 0:
        goal = _search(r, lack, room, tail, head, first, arc, queue, via, 0)
        if goal < 0:
            break
        m, i = min(left, lack[goal]), goal
        while i != r:
            m = min(m, room[via[i]])
            i = tail[via[i] >> 1] if via[i] & 1 == 0 else head[via[i] >> 1]
        i = goal
        while i != r:
            a = via[i]
            room[a] -= m
            room[a ^ 1] += m
            i = tail[a >> 1] if a & 1 == 0 else head[a >> 1]
        lack[goal] -= m
        left -= m
    return most - left


@njit(cache=True, nogil=True)
def _fetch(r, most, stock, room, tail, head, first, arc, queue, via):
    """Bring up to `most` into region r from what others, or itself, have left; how much came."""
    left = most
    while left > 0:
        source = _search(r, stock, room, tail, head, first, arc, queue, via, 1)
        if source < 0:
            break
        m, i = min(left, stock[source]), source
        while i != r:  # via leads away from r: the power comes the other way
            m = min(m, room[via[i] ^ 1])
            i = tail[via[i] >> 1] if via[i] & 1 == 0 else head[via[i] >> 1]
        i = source
        while i != r:
            a = via[i]
            room[a ^ 1] -= m
            room[a] += m
            i = tail[a >> 1] if a & 1 == 0 else head[a >> 1]
        stock[source] -= m
        left -= m
    return most - left


@njit(cache=True, nogil=True)
def _search(r, wanted, room, tail, head, first, arc, queue, via, against):
    """The region with something wanted that is the fewest corridors from r, -1 for none; via: the arc that led to each.

    against 0: along arcs with room; 1: against them, the arcs back having room.
    """
    if wanted[r] > 0:
        return r
    via[:] = -1
    via[r] = -2
    queue[0] = r
    n, k = 1, 0
    while k < n:
        i = queue[k]
        k += 1
        for p in range(first[i], first[i + 1]):
            a = arc[p]
            j = head[a >> 1] if a & 1 == 0 else tail[a >> 1]
            if via[j] != -1 or room[a ^ against] <= 0:
                continue
            via[j] = a
            if wanted[j] > 0:
                return j
            queue[n] = j
            n += 1
    return -1
