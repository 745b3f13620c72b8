"""What neighbours can send: the least unserved demand of a network of regions, and its one fair split.

All flows are whole multiples of one tiny unit of power an hour (a power of two, below the last digit of the hour's
total), so sums are exact in any order: both halves do the same steps and give the same bits.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device, to_host
from .carry import least_flow
from .network import load_room
from .threads import in_threads

_BITS = 60  # an hour's total is below 2**(_BITS+1) units: sums of a few of them stay within int64
_SAME_BITS = 40  # shares nearer than 2**-_SAME_BITS are one share
_SHARED_UNITS = 44 * 128  # working memory of fair_small, as in flow.cu
_BLOCKS = 1024  # blocks of fair_large, each with its working memory


@dataclass(frozen=True)
class Deficit:
    """What `residual_deficit` returns; T leads where the input had hours. All but `total` of one hour are arrays.

    unserved (R,) MW; share (R,) unserved / demand, 0 where there is no demand; total MW, a float for one hour.

    pocket (R,) int32: the pocket of each region, -1 for none. A pocket is a connected set of regions with one share
    above zero. Every corridor into it from pockets with less share and from regions in none is at its limit, and every
    corridor from it to them is empty, in every flow that carries the split. Pockets are numbered 0, 1 ... by falling
    share. A region without demand has no share of its own: it lies in a pocket next to it so that this holds.

    spare (R,) bool: one more MW of demand here could be served. Outside the pockets, False means that supply is just
    enough.

    binding (E,) int8: 1 where tail -> head is at its limit in every flow that carries the split (head's pocket
    has more share than tail's, none counts as zero), -1 where head -> tail is, 0 elsewhere.
    worth (E,): MW by which `total` falls per MW more limit in the binding direction: 1 from a region with spare supply
    into a pocket, else 0 (between two pockets a MW only moves the lack to the smaller share). A MW more supply in any
    region with demand of a pocket is always worth 1, and lowers the pocket's share by 1 / its demand.

    flow (E,) MW, positive tail -> head: of all flows that carry the split, one with the least sum of |flow|; computed
    when first asked for. Only corridors that bind have a forced flow.
    """

    unserved: np.ndarray
    share: np.ndarray
    pocket: np.ndarray
    total: np.ndarray
    spare: np.ndarray
    _level: np.ndarray = field(repr=False)  # (T, R) share of the pocket, for members without demand too
    _problem: "_Problem" = field(repr=False)
    _served: np.ndarray = field(repr=False)  # (T, R) int64 units

    @cached_property
    def binding(self):
        xp, net, level = array_module(self.share), self._problem.net, self._level
        rise = level[:, net.head] - level[:, net.tail]
        limit = xp.where(rise > 0, self._problem.forward, self._problem.backward)
        return self._problem.squeeze((xp.sign(rise) * (limit > 0)).astype(np.int8))

    @cached_property
    def worth(self):
        net = self._problem.net
        level, spare = self._level, self.spare.reshape(self._level.shape)
        inward = spare[:, net.tail] & (level[:, net.head] > 0)
        outward = spare[:, net.head] & (level[:, net.tail] > 0)
        return self._problem.squeeze((inward | outward).astype(float))

    @cached_property
    def flow(self):
        problem = self._problem
        flow = least_flow(problem.net, problem.supply - self._served, problem.forward, problem.backward, 1 / problem.unit)
        return problem.squeeze(flow * problem.unit[:, None])


def residual_deficit(supply, demand, tail, head, forward, backward):
    """The least unserved demand of regions joined by corridors with limits, split in the one lexicographically fair way.

    supply, demand: (R,) or (T, R) MW, finite and not negative; supply that isn't needed is not used. tail, head: (E,)
    integers, the regions each corridor joins; several may join one pair, and one from a region to itself carries
    nothing. forward, backward: (E,) or (T, E) MW, most that flows tail -> head and head -> tail; infinity is no limit.
    NumPy or CuPy, all of one kind; T hours are solved side by side (threads of the CPU, blocks of the GPU).

    Returns a `Deficit`. Its unserved demand u has the largest share u/demand as small as the network allows, then the
    second largest, and so on. That u is unique, its total is the least there is (demand less the maximum flow), and it
    alone minimises sum u^2/demand. A region shares its own supply like any other.

    Amounts are rounded to 2^-60 of the hour's total supply or demand, whichever is more; after that the maximum flow
    and its cuts are exact. Two shares nearer than 1e-12 are one share, and a share below 1e-12 is none.

    Raises ValueError naming array and place for NaN, infinite or negative supply or demand, NaN or negative limits,
    ends outside 0 .. R-1 and shapes that don't fit; TypeError for ends that are not integers or arrays of two kinds.

    Source: N. Megiddo, Math. Program. 7 (1974) 97; S. Fujishige, Math. Oper. Res. 5 (1980) 186 (the decomposition);
    A. V. Goldberg, R. E. Tarjan, J. ACM 35 (1988) 921 (preflows; here in sweeps from the farthest level down).
    """
    xp = array_module(supply, demand, tail, head, forward, backward)
    problem = _Problem.of(xp, supply, demand, tail, head, forward, backward)
    if on_device(problem.demand):
        level, root, spare, served = _fair_cuda(problem)
    else:
        level, root, spare, served = _fair_cpu(problem)
    return _deficit(xp, problem, level, root, spare, served)


class Network(NamedTuple):
    """Corridors by region. Each corridor is two arcs, one at each end; arcs of a region stand together, in corridor order.

    first (R+1,): where a region's arcs begin. to (2E,): the region an arc leads to. mate (2E,): the same corridor seen
    from there. slot (2, E): the arcs of each corridor at its tail and at its head. All int32.
    """

    first: np.ndarray
    to: np.ndarray
    mate: np.ndarray
    slot: np.ndarray
    tail: np.ndarray
    head: np.ndarray

    @classmethod
    def of(cls, xp, tail, head, R):
        E = len(tail)
        ends = xp.stack([tail, head])
        first, to, mate, slot = (xp.empty(n, np.int32) for n in (R + 1, 2 * E, 2 * E, 2 * E))
        slot = slot.reshape(2, E)
        if on_device(ends):
            order = xp.argsort((ends.astype(np.int64) * E + xp.arange(E)).reshape(-1))
            slot.reshape(-1)[order] = xp.arange(2 * E, dtype=np.int32)
            first[:] = xp.searchsorted(ends.reshape(-1)[order], xp.arange(R + 1, dtype=np.int32))
            to[slot], mate[slot] = ends[::-1], slot[::-1]
        else:
            _arcs(ends, first, to, mate, slot)
        return cls(first, to, mate, slot, tail, head)


@njit(cache=True)
def _arcs(ends, first, to, mate, slot):
    first[:] = 0
    for i in ends.flat:
        first[i + 1] += 1
    for i in range(1, len(first)):
        first[i] += first[i - 1]
    place = first[:-1].copy()
    for e in range(ends.shape[1]):
        for side in range(2):
            i = ends[side, e]
            slot[side, e] = place[i]
            to[place[i]] = ends[1 - side, e]
            place[i] += 1
        mate[slot[0, e]], mate[slot[1, e]] = slot[1, e], slot[0, e]


@dataclass(frozen=True)
class _Problem:
    """The checked input of T hours: supply and demand (T, R) int64 in units, limits (1 or T, E) MW, unit (T,) MW."""

    net: Network
    supply: np.ndarray
    demand: np.ndarray
    demand_mw: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    unit: np.ndarray
    one_hour: bool

    @classmethod
    def of(cls, xp, supply, demand, tail, head, forward, backward):
        supply, demand, forward, backward = (xp.asarray(a, dtype=float) for a in (supply, demand, forward, backward))
        tail, head = xp.asarray(tail), xp.asarray(head)
        _check_shapes(supply, demand, tail, head, forward, backward)
        _check_values(xp, supply, demand, tail, head, forward, backward)
        one_hour = max(supply.ndim, demand.ndim, forward.ndim, backward.ndim) == 1
        supply, demand, forward, backward = (xp.atleast_2d(a) for a in (supply, demand, forward, backward))
        T, R, E = max(map(len, (supply, demand, forward, backward))), demand.shape[1], len(tail)
        limits = (len(forward) if len(forward) == len(backward) else T), E
        forward, backward = (xp.ascontiguousarray(xp.broadcast_to(a, limits)) for a in (forward, backward))
        # a unit is a power of two: multiplying by it and its inverse is exact
        scale = xp.ldexp(1.0, _BITS - xp.maximum(xp.frexp(xp.maximum(supply.sum(1), demand.sum(1)))[1], -900))
        scale = xp.ascontiguousarray(xp.broadcast_to(scale, (T,)))
        supply, demand = (xp.broadcast_to(a, (T, R)) for a in (supply, demand))
        whole = [xp.rint(a * scale[:, None]).astype(np.int64) for a in (supply, demand)]
        net = Network.of(xp, tail.astype(np.int32), head.astype(np.int32), R)
        return cls(net, *whole, demand, forward, backward, 1 / scale, one_hour)

    @property
    def arrays(self):
        """What the loops of both halves take, in their order."""
        net = self.net
        return net.first, net.to, net.mate, net.slot, self.forward, self.backward, 1 / self.unit

    def squeeze(self, array):
        return array[0] if self.one_hour else array


def _check_shapes(supply, demand, tail, head, forward, backward):
    for name, a in (("supply", supply), ("demand", demand), ("forward", forward), ("backward", backward)):
        if a.ndim not in (1, 2):
            raise ValueError(f"{name} has shape {a.shape}: pass one value for each region or corridor, or hours of them")
    for name, a in (("tail", tail), ("head", head)):
        if a.ndim != 1:
            raise ValueError(f"{name} has shape {a.shape}: pass one region number for each corridor")
        if a.dtype.kind not in "iu" and a.size:
            raise TypeError(f"{name} has dtype {a.dtype}: pass region numbers as integers")
    for one, other, a, b in (("supply", "demand", supply, demand), ("head", "tail", head, tail),
                             ("forward", "tail", forward, tail), ("backward", "tail", backward, tail)):
        if a.shape[-1] != b.shape[-1]:
            raise ValueError(f"{one} has {a.shape[-1]} entries and {other} {b.shape[-1]}: they must be as many")
    if demand.size == 0 or supply.size == 0:
        raise ValueError("supply or demand is empty: pass at least one region and one hour")
    hours = {len(a) for a in (supply, demand, forward, backward) if a.ndim == 2 and len(a) != 1}
    if len(hours) > 1:
        raise ValueError(f"supply, demand and limits have {sorted(hours)} hours: they must be as many")


def _check_values(xp, supply, demand, tail, head, forward, backward):
    R = demand.shape[-1]
    for name, a, good, remedy in (
            ("supply", supply, xp.isfinite(supply) & (supply >= 0), "pass MW that are finite and not negative"),
            ("demand", demand, xp.isfinite(demand) & (demand >= 0), "pass MW that are finite and not negative"),
            ("forward", forward, forward >= 0, "pass MW that are not negative (infinity is no limit)"),
            ("backward", backward, backward >= 0, "pass MW that are not negative (infinity is no limit)"),
            ("tail", tail, (tail >= 0) & (tail < R), f"regions are 0 to {R - 1}"),
            ("head", head, (head >= 0) & (head < R), f"regions are 0 to {R - 1}")):
        if not bool(good.all()):
            where = np.argwhere(~to_host(good))[0]
            raise ValueError(f"{name}[{', '.join(map(str, where))}] is {to_host(a)[tuple(where)]}: {remedy}")
    most = np.finfo(float).max / (4 * R)
    if not bool((supply.max() < most) & (demand.max() < most)):
        raise ValueError("supply and demand may add up to more than the largest float: give them in a larger unit")


def _deficit(xp, problem, level, root, spare, served):
    share = xp.where((root >= 0) & (problem.demand > 0), level, 0.0)
    unserved = share * problem.demand_mw
    total = unserved.sum(1)
    out = [problem.squeeze(a) for a in (unserved, share, _numbered(xp, level, root), spare)]
    total = float(total[0]) if problem.one_hour else total
    return Deficit(*out[:3], total, out[3], level, problem, served)


def _numbered(xp, level, root):
    """Pockets of each hour as 0, 1 ... by falling share, equal shares by their first region."""
    T, R = root.shape
    pocket = xp.full((T, R), -1, np.int32)
    hour, first = xp.nonzero(root == xp.arange(R, dtype=np.int32))
    order = xp.lexsort(xp.stack([first, -level[hour, first], hour]))
    start = xp.searchsorted(hour, xp.arange(T))  # hour is sorted, before and after `order`
    rank = xp.empty((T, R), np.int32)
    rank[hour[order], first[order]] = (xp.arange(len(hour)) - start[hour]).astype(np.int32)
    hour, member = xp.nonzero(root >= 0)
    pocket[hour, member] = rank[hour, root[hour, member]]
    return pocket


def _results(xp, problem):
    shape = problem.demand.shape
    return xp.zeros(shape), xp.full(shape, -1, np.int32), xp.zeros(shape, np.bool_), xp.zeros(shape, np.int64)


def _fair_cpu(problem):
    results = _results(np, problem)
    in_threads(_fair_hours, len(problem.demand), *problem.arrays, problem.supply, problem.demand, *results, least=1)
    return results


@njit(cache=True, nogil=True)
def _fair_hours(first, to, mate, slot, forward, backward, scale, supply, demand, level, root, spare, served, start, stop):
    R = len(first) - 1
    room, sums = np.empty(len(to), np.int64), np.empty((3, R), np.int64)
    lack, stock, depth, order = np.empty(R, np.int64), np.empty(R, np.int64), np.empty(R, np.int32), np.empty(R, np.int32)
    live, group, side, queued = np.empty(R, np.int32), np.empty(R, np.int32), np.empty(R, np.int8), np.zeros(R, np.bool_)
    for h in range(start, stop):
        load_room(room, slot, forward[h % len(forward)], backward[h % len(backward)], scale[h])
        for i in range(R):
            stock[i], lack[i] = max(supply[h, i] - demand[h, i], 0), max(demand[h, i] - supply[h, i], 0)
            served[h, i], live[i], group[i] = demand[h, i], i, 0
        bring(first, to, mate, room, lack, stock, depth, order, queued, live)
        for i in range(R):
            spare[h, i] = depth[i] < R
            side[i] = depth[i] >= R
        now = _divide(first, to, mate, room, live, group, side, order)
        while len(now):
            _share_out(now, group, demand[h], lack, stock, served[h], level[h], sums)
            bring(first, to, mate, room, lack, stock, depth, order, queued, now)
            _settle(now, group, depth, lack, stock, served[h], level[h], root[h], side, sums)
            _rejoin(first, to, mate, room, now, demand[h], side, order)
            now = _divide(first, to, mate, room, now, group, side, order)


@njit(cache=True, nogil=True)
def bring(first, to, mate, room, lack, stock, depth, queue, queued, live):
    """Meet as much lack from stock as the arcs between the `live` regions can carry.

    Lack travels: it moves over an arc to a region that can send, against the power, each step one down in `depth` (how
    many arcs a region is from stock at least; len(depth) and more: out of reach). A region whose lack can't go down
    sinks below its highest neighbour; now and then all depths are measured anew. At the end no lack can reach stock:
    the regions out of reach are the largest short side of a minimum cut, and every arc into it is full.
    """
    while True:
        n = _measure(first, to, mate, room, lack, stock, depth, queue, queued, live)
        if n == 0:
            return
        a, sunk = 0, 0
        while n and sunk < len(live):
            j = queue[a]
            a = a + 1 if a + 1 < len(queue) else 0
            n -= 1
            queued[j] = False
            n, steps = _pass_on(first, to, mate, room, lack, stock, depth, queue, queued, a, n, j)
            sunk += steps
        while n:
            queued[queue[a]] = False
            a = a + 1 if a + 1 < len(queue) else 0
            n -= 1


@njit(cache=True, nogil=True)
def _measure(first, to, mate, room, lack, stock, depth, queue, queued, live):
    """Breadth first from stock, with the power. Leaves in `queue` the regions with lack in reach, nearest first; how many."""
    n, far = 0, len(depth)
    for i in live:
        depth[i] = far
        if stock[i] > 0:
            depth[i] = 0
            queue[n] = i
            n += 1
    k = 0
    while k < n:
        i = queue[k]
        k += 1
        for p in range(first[i], first[i + 1]):
            j = to[p]
            if depth[j] == far and room[mate[p]] > 0:
                depth[j] = depth[i] + 1
                queue[n] = j
                n += 1
    count = 0
    for i in queue[:n]:
        if lack[i] > 0:
            queue[count] = i
            queued[i] = True
            count += 1
    return count


@njit(cache=True, nogil=True)
def _pass_on(first, to, mate, room, lack, stock, depth, queue, queued, a, n, j):
    """Meet the lack of region j from its own stock or hand it down, sinking where it must. The queue's new length; steps sunk."""
    left, far, steps = lack[j], len(depth), 0
    m = min(left, stock[j])
    stock[j] -= m
    left -= m
    while left > 0 and depth[j] < far:
        lowest = far
        for p in range(first[j], first[j + 1]):
            if room[p] > 0:
                i = to[p]
                if depth[i] < depth[j]:
                    m = min(left, room[p])
                    room[p] -= m
                    room[mate[p]] += m
                    lack[i] += m
                    left -= m
                    if not queued[i]:
                        queued[i] = True
                        queue[(a + n) % len(queue)] = i
                        n += 1
                    if left == 0:
                        break
                if room[p] > 0:
                    lowest = min(lowest, depth[i])
        if left > 0:
            depth[j] = min(lowest + 1, far)
            steps += 1
    lack[j] = left
    return n, steps


@njit(cache=True, nogil=True)
def _divide(first, to, mate, room, live, group, side, order):
    """Cut the corridors between groups and sides (side 0 is done), and make each connected piece a group.

    A group's number is its lowest region. Returns the regions that still live, in rising order.
    """
    for i in live:
        for p in range(first[i], first[i + 1]):
            if side[i] == 0 or side[to[p]] != side[i] or group[to[p]] != group[i]:
                room[p], room[mate[p]] = 0, 0
    left = np.empty(len(live), np.int32)
    n = 0
    for i in live:
        group[i] = -1
        if side[i] > 0:
            left[n] = i
            n += 1
    for root in left[:n]:
        if group[root] < 0:
            _spread(first, to, mate, room, group, root, order)
    return left[:n]


@njit(cache=True, nogil=True)
def _spread(first, to, mate, room, group, root, stack):
    group[root] = root
    stack[0], n = root, 1
    while n:
        n -= 1
        i = stack[n]
        for p in range(first[i], first[i + 1]):
            # the sum of both ways is the corridor's limits, whatever flows
            if group[to[p]] < 0 and room[p] + room[mate[p]] > 0:
                group[to[p]] = root
                stack[n] = to[p]
                n += 1


@njit(cache=True, nogil=True)
def _share_out(live, group, demand, lack, stock, served, level, sums):
    """Give every group the one share that its means allow, and make what regions hold above or below it stock or lack."""
    held, wanted, given = sums
    for i in live:
        held[i], wanted[i], given[i] = 0, 0, 0
    for i in live:
        held[group[i]] += served[i] + stock[i] - lack[i]
        wanted[group[i]] += demand[i]
    for i in live:
        stock[i] += served[i] - lack[i]  # what it holds, for now
        g = group[i]
        level[i] = max(wanted[g] - held[g], 0) / max(wanted[g], 1)
        served[i] = np.int64(np.floor((1.0 - level[i]) * demand[i]))
        given[g] += served[i]
    for i in live:
        g = group[i]
        if demand[i] > 0:  # the group's first such region takes the units lost by rounding; where none is wanted, none is lost
            served[i] += held[g] - given[g]
            given[g] = held[g]
        over = stock[i] - served[i]
        stock[i], lack[i] = max(over, 0), max(-over, 0)


@njit(cache=True, nogil=True)
def _settle(live, group, depth, lack, stock, served, level, root, side, sums):
    """A group whose lack is met is a pocket and done (side 0); the others part in what has stock in reach (1) and the rest (2)."""
    wanted, unmet = sums[1], sums[2]
    for i in live:
        unmet[i] = 0
    for i in live:
        unmet[group[i]] += lack[i]
    for i in live:
        g = group[i]
        if unmet[g] > len(root) + (wanted[g] >> _SAME_BITS):
            side[i] = 1 if depth[i] < len(depth) else 2
            continue
        side[i] = 0
        served[i] -= lack[i]
        stock[i], lack[i] = 0, 0
        if level[i] * 2.0**_SAME_BITS > 1.0:
            root[i] = g
        else:
            level[i] = 0.0


@njit(cache=True, nogil=True)
def _rejoin(first, to, mate, room, live, demand, side, stack):
    """Regions that the cut would part from all demand of side 2 go to side 1, where more power of theirs would go.

    Every piece then has demand, and so a share: side 1 needs no such care, for stock is only where demand is.
    """
    adrift = 3
    for i in live:
        if side[i] == 2 and demand[i] == 0:
            side[i] = adrift
    for root in live:
        if side[root] != adrift:
            continue
        joined = False
        for p in range(first[root], first[root + 1]):
            joined |= side[to[p]] == 2 and room[p] + room[mate[p]] > 0
        if not joined:
            continue
        side[root] = 2
        stack[0], n = root, 1
        while n:
            n -= 1
            i = stack[n]
            for p in range(first[i], first[i + 1]):
                if side[to[p]] == adrift and room[p] + room[mate[p]] > 0:
                    side[to[p]] = 2
                    stack[n] = to[p]
                    n += 1
    for i in live:
        if side[i] == adrift:
            side[i] = 1


def _fair_cuda(problem):
    import cupy
    T, R = problem.demand.shape
    E = len(problem.net.tail)
    results = _results(cupy, problem)
    *network, forward, backward, scale = problem.arrays
    arguments = (np.int32(T), np.int32(R), np.int32(E), *network, forward, backward, np.int32(len(forward)), scale,
                 problem.supply, problem.demand, *results)
    units = 2 * E + 7 * R
    threads = min(256, -(-R // 32) * 32)
    if units <= _SHARED_UNITS:
        launch("flow", "fair_small", min(T, 65535), threads, *arguments)
    else:
        blocks = min(T, _BLOCKS)
        launch("flow", "fair_large", blocks, threads, *arguments, cupy.empty(blocks * units, np.int64), np.int32(units))
    return results
