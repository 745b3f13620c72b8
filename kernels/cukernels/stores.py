"""Stores (batteries, reservoirs) that fill from what is left over and empty where something is missing, hour by hour.

One rule, no foresight. In an hour that lacks power, stores give in the order of how long they could go on, longest first,
each only what lowers the least unserved amount (the worst set of regions, see `cuts`). Then those that gave nothing fill,
the one that could go on shortest first, from whatever does not raise that amount again. All amounts are integers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host
from .cuts import MOST_REGIONS
from .threads import in_threads

MOST_STORES = 256  # as in stores.cu

class Stores(NamedTuple):
    """G stores. NumPy or CuPy, all of one kind; power and energy in one unit, whole numbers, steps of an hour.

    region (G,) int32. give, take, room (G,) int64 >= 0: most given and taken in an hour, as the network sees it, and most
    held. there (G,) int64: held at the beginning. out_share, in_share, kept (G,) float64, 0 .. 1 (out_share above 0):
    what reaches the network of what leaves the store, what reaches the store of what is taken, what is left after an hour.
    """

    region: np.ndarray
    give: np.ndarray
    take: np.ndarray
    room: np.ndarray
    there: np.ndarray
    out_share: np.ndarray
    in_share: np.ndarray
    kept: np.ndarray


def run_stores(stores, lost, margin, tail, head, forward, backward):
    """What stores give through T hours: (given (S, R, T), held (S, G, T)), both int64.

    stores: `Stores`. lost: (S, R + 2 E + G, T) int32, as `chronology.lost_power` makes it: what is lost of each region,
    of each corridor tail -> head, then head -> tail, and for each store above 0 where it is out (it then keeps what it has).
    margin: (R, T) int64, what a region has over its load with everything in; R <= 12. tail, head: (E,) int32.
    forward, backward: (2, E) int64, the sum of all lines of a corridor, and the most it carries whatever is in.

    given: to each region. held: at the end of each hour. Power that is given rounds up what leaves a store, what is taken
    rounds down. Raises ValueError for shapes that don't fit, more than 12 regions or 256 stores, and numbers out of their range.
    Source: the greedy order for emptying is that of M. P. Evans, S. H. Tindemans, D. Angeli, IEEE Trans. Smart Grid 10 (2019) 4133.
    """
    xp = array_module(*stores, lost, margin, tail, head, forward, backward)
    kinds = (np.int32, np.int64, np.int64, np.int64, np.int64, float, float, float)
    stores = Stores(*(xp.ascontiguousarray(xp.asarray(a, dtype=k)) for a, k in zip(stores, kinds, strict=True)))
    margin, forward, backward = (xp.ascontiguousarray(xp.asarray(a, dtype=np.int64)) for a in (margin, forward, backward))
    lost, tail, head = (xp.ascontiguousarray(xp.asarray(a, dtype=np.int32)) for a in (lost, tail, head))
    _check(stores, lost, margin, tail, head, forward, backward)
    S, (R, T), G = len(lost), margin.shape, len(stores.region)
    given, held = xp.zeros((S, R, T), np.int64), xp.zeros((S, G, T), np.int64)
    if on_device(lost):
        launch("stores", "run_samples", grid(S, 64), 64, *stores, lost, margin, tail, head, forward, backward, given, held,
               np.int32(R), np.int32(len(tail)), np.int32(G), np.int32(T), np.int32(S))
    else:
        in_threads(_run_samples, S, stores, lost, margin, tail, head, forward, backward, given, held, least=1)
    return given, held


def _check(stores, lost, margin, tail, head, forward, backward):
    R, T = margin.shape
    E, G = len(tail), len(stores.region)
    if not 1 <= R <= MOST_REGIONS:
        raise ValueError(f"there are {R} regions: stores run in 1 to {MOST_REGIONS}, whose sets are enumerated")
    if lost.shape[1:] != (R + 2 * E + G, T) or head.shape != (E,) or forward.shape != (2, E) or backward.shape != (2, E):
        raise ValueError(f"lost has shape {lost.shape} and the limits {forward.shape}: pass (S, {R + 2 * E + G}, {T}) and (2, {E})")
    if G > MOST_STORES:
        raise ValueError(f"there are {G} stores: join those of a region that are alike, to {MOST_STORES} at most")
    share = lambda a: (a >= 0) & (a <= 1)  # noqa: E731
    for name, good in (("region", (stores.region >= 0) & (stores.region < R)), ("give", stores.give >= 0), ("take", stores.take >= 0),
                       ("room", stores.room >= 0), ("there", (stores.there >= 0) & (stores.there <= stores.room)),
                       ("out_share", share(stores.out_share) & (stores.out_share > 0)), ("in_share", share(stores.in_share)), ("kept", share(stores.kept)),
                       ("tail", (tail >= 0) & (tail < R)), ("head", (head >= 0) & (head < R)),
                       ("forward", (forward >= 0).all(axis=0)), ("backward", (backward >= 0).all(axis=0))):
        if not bool(good.all()):
            raise ValueError(f"{name}[{int(np.argmin(to_host(good)))}] is out of its range: correct it")


@njit(cache=True, nogil=True)
def _run_samples(stores, lost, margin, tail, head, forward, backward, given, held, first, last):
    (R, T), E, G = margin.shape, len(tail), len(stores.region)
    lack, limit, energy, used = np.empty(R, np.int64), np.empty((2, E), np.int64), np.empty(G, np.int64), np.empty(G, np.bool_)
    for s in range(first, last):
        energy[:] = stores.there
        for t in range(T):
            short, full = False, True
            for r in range(R):
                lack[r] = lost[s, r, t] - margin[r, t]
                short |= lack[r] > 0
            for g in range(G):
                energy[g] = int(energy[g] * stores.kept[g])
                used[g] = lost[s, R + 2 * E + g, t] > 0
                full &= energy[g] == stores.room[g]
            if short or not full:
                for e in range(E):
                    limit[0, e] = min(forward[0, e] - lost[s, R + e, t], forward[1, e])
                    limit[1, e] = min(backward[0, e] - lost[s, R + E + e, t], backward[1, e])
                unserved = _unserved(lack, tail, head, limit) if short else 0
                if unserved > 0:
                    unserved = _empty(stores, energy, used, lack, tail, head, limit, unserved, given[s, :, t])
                _fill(stores, energy, used, lack, tail, head, limit, unserved, short)
            held[s, :, t] = energy


@njit(cache=True, nogil=True)
def _empty(stores, energy, used, lack, tail, head, limit, unserved, given):
    """Stores that give are `used`; returns what stays unserved. The others are free to fill."""
    free = ~used
    for _ in range(len(energy)):
        if unserved == 0:
            break
        g = _next(energy, stores.give, free, True)
        if g < 0:
            break
        free[g] = False
        r, most = stores.region[g], min(stores.give[g], int(energy[g] * stores.out_share[g]))
        lack[r] -= most
        now = _unserved(lack, tail, head, limit)
        gives = unserved - now
        lack[r] += most - gives
        energy[g] -= min(energy[g], int(np.ceil(gives / stores.out_share[g])))
        given[r] += gives
        used[g] = gives > 0
        unserved = now
    return unserved


@njit(cache=True, nogil=True)
def _fill(stores, energy, used, lack, tail, head, limit, unserved, short):
    free, some = ~used, False
    for g in range(len(energy)):
        free[g] &= energy[g] < stores.room[g] and stores.in_share[g] > 0
        some |= free[g]
    while some:
        g = _next(energy, stores.give, free, False)
        if g < 0:
            return
        free[g] = False
        r, takes = stores.region[g], min(stores.take[g], int(np.ceil((stores.room[g] - energy[g]) / stores.in_share[g])))
        lack[r] += takes
        if short or lack[r] > 0:  # else everybody still has enough of their own
            missing = _unserved(lack, tail, head, limit) - unserved
            lack[r] -= missing
            takes -= missing
            short = True
        energy[g] = min(energy[g] + int(takes * stores.in_share[g]), stores.room[g])


@njit(cache=True, nogil=True)
def _next(energy, give, free, longest):
    """The free store that can go on longest (or shortest) at its full power, the first of equals; -1 for none."""
    best = -1
    for g in range(len(energy)):
        if free[g] and give[g] > 0 and (longest is False or energy[g] > 0):
            if best < 0:
                best = g
            else:
                more = energy[g] * give[best] - energy[best] * give[g]
                if (more > 0) if longest else (more < 0):
                    best = g
    return best


@njit(cache=True, nogil=True)
def _unserved(lack, tail, head, limit):
    """The most that a set of regions lacks beyond what can flow in: sets in Gray order."""
    member, own, worst = 0, np.int64(0), np.int64(0)
    for i in range(1, 1 << len(lack)):
        r = 0
        while not i >> r & 1:
            r += 1
        own += -lack[r] if member >> r & 1 else lack[r]
        member ^= 1 << r
        if own > worst:
            cut = np.int64(0)
            for e in range(len(tail)):
                a, b = member >> tail[e] & 1, member >> head[e] & 1
                if b > a:
                    cut += limit[0, e]
                elif a > b:
                    cut += limit[1, e]
            worst = max(worst, own - cut)
    return worst
