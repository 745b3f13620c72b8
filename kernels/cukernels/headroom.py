"""How much more each region could take, everybody else as before: one residual network, a question for each region."""

import numpy as np
from numba import njit

from .backend import array_module, launch, on_device
from .flow import _Problem, bring
from .network import load_room
from .threads import in_threads

_BLOCKS = 1024  # each with its working memory
_NO_LIMIT = 2**61


def headroom(supply, demand, tail, head, forward, backward, hour, region, sides=False):
    """The largest new demand that region[n] alone could be served in hour[n] with the least total unserved unchanged.

    supply ... backward: as for `flow.residual_deficit`. hour, region: (N,) integers, the questions (hour 0 where there is
    only one). NumPy or CuPy, all of one kind.

    Returns (N,) MW; with sides (N, R) bool too: the fewest regions around region[n] whose supply and corridors inward are
    then used up: of all cuts that set the answer the one nearest to the region. The answer is what these bring less what
    the demand inside takes; nothing comes from regions beyond that have none to spare. A region that no spare supply
    reaches has 0 and an empty row of `sides`.

    With the total unchanged, nobody's unserved demand changes: what a set of regions can be served is a polymatroid, in
    which the served demand grows by the region's alone (N. Megiddo, Math. Program. 7 (1974) 97); so this is also the
    largest new demand that leaves every share as it was. The total as a function of new demand here has slope 0 up to the
    answer and 1 beyond. Turned round - supply and demand, and forward and backward, exchanged - the same answers are the
    largest new supply of which every MW lowers the total.

    Amounts are rounded as in `residual_deficit` and then exact. Raises as that does, and ValueError for questions about
    hours or regions that are not there.
    """
    xp = array_module(supply, demand, tail, head, forward, backward, hour, region)
    problem = _Problem.of(xp, supply, demand, tail, head, forward, backward)
    hour, region = (xp.asarray(a) for a in (hour, region))
    _check(xp, problem, hour, region)
    order = xp.argsort(hour)  # the questions of an hour share its base
    hour, region = (a[order].astype(np.int32) for a in (hour, region))
    half = _ask_cuda if on_device(problem.demand) else _ask_cpu
    most, side = half(problem, hour, region, sides)
    mw = xp.empty(len(hour))
    mw[order] = most * problem.unit[hour]
    if not sides:
        return mw
    placed = xp.empty(side.shape, np.bool_)
    placed[order] = side
    return mw, placed


def _check(xp, problem, hour, region):
    T, R = problem.demand.shape
    for name, a, most in (("hour", hour, T), ("region", region, R)):
        if a.ndim != 1 or len(a) != len(hour):
            raise ValueError(f"{name} has shape {a.shape}: pass one number for each question")
        if a.dtype.kind not in "iu" and a.size:
            raise TypeError(f"{name} has dtype {a.dtype}: pass numbers as integers")
        bad = (a < 0) | (a >= most)
        if bool(bad.any()):
            row = int(bad.argmax())
            raise ValueError(f"{name}[{row}] is {int(a[row])}: they are 0 to {most - 1}")


def _ask_cpu(problem, hour, region, sides):
    N, R = len(hour), problem.demand.shape[1]
    most, side = np.zeros(N, np.int64), np.zeros((N if sides else 0, R), np.bool_)
    in_threads(_ask, N, *problem.arrays, problem.supply, problem.demand, hour, region, most, side, least=64)
    return most, side


@njit(cache=True, nogil=True)
def _ask(first, to, mate, slot, forward, backward, scale, supply, demand, hour, region, most, side, start, stop):
    R = len(first) - 1
    base, room = np.empty(len(to), np.int64), np.empty(len(to), np.int64)
    spare, stock, lack = np.empty(R, np.int64), np.empty(R, np.int64), np.empty(R, np.int64)
    depth, queue, queued = np.empty(R, np.int32), np.empty(R, np.int32), np.zeros(R, np.bool_)
    reached, live, now = np.empty(R, np.bool_), np.arange(R).astype(np.int32), -1
    for n in range(start, stop):
        if hour[n] != now:
            now = hour[n]
            load_room(base, slot, forward[now % len(forward)], backward[now % len(backward)], scale[now])
            for i in range(R):
                spare[i], lack[i] = max(supply[now, i] - demand[now, i], 0), max(demand[now, i] - supply[now, i], 0)
            bring(first, to, mate, base, lack, spare, depth, queue, queued, live)
            for i in range(R):
                reached[i] = depth[i] < R
        r = region[n]
        if not reached[r]:
            continue
        room[:], stock[:], lack[:] = base, spare, 0
        asked = _most_there_can_be(first, room, stock, r)
        lack[r] = asked
        bring(first, to, mate, room, lack, stock, depth, queue, queued, live)
        most[n] = asked - lack.sum()
        if len(side):
            stock[:], stock[r] = 0, lack.sum()  # what found no supply goes back to r: then the flow is one that there can be
            bring(first, to, mate, room, lack, stock, depth, queue, queued, live)
            _find_side(first, to, room, reached, r, side[n], queue)


@njit(cache=True, nogil=True)
def _most_there_can_be(first, room, stock, r):
    """Units: what region r and its corridors have, or all stock where that is less."""
    own, everything = stock[r], stock.sum()
    for p in range(first[r], first[r + 1]):
        own = min(own + room[p], _NO_LIMIT)  # a sum of unlimited corridors would be past the last integer
    return min(own, everything)


@njit(cache=True, nogil=True)
def _find_side(first, to, room, reached, r, side, stack):
    """Mark the regions that could still bring something to r; those that nothing reached have nothing to bring."""
    side[r], stack[0], n = True, r, 1
    while n:
        n -= 1
        j = stack[n]
        for p in range(first[j], first[j + 1]):
            if room[p] > 0 and reached[to[p]] and not side[to[p]]:
                side[to[p]], stack[n] = True, to[p]
                n += 1


def _ask_cuda(problem, hour, region, sides):
    import cupy
    R, E, N = problem.demand.shape[1], len(problem.net.tail), len(hour)
    most, side = cupy.zeros(N, np.int64), cupy.zeros((N if sides else 0, R), np.bool_)
    *network, forward, backward, scale = problem.arrays
    blocks, units = max(1, min(N, _BLOCKS)), 4 * E + 5 * R
    launch("headroom", "ask", blocks, min(256, -(-R // 32) * 32), np.int32(N), np.int32(R), np.int32(E), *network, forward, backward,
           np.int32(len(forward)), scale, problem.supply, problem.demand, hour, region, most, side,
           np.int32(sides), cupy.empty(blocks * units, np.int64), np.int32(units))
    return most, side
