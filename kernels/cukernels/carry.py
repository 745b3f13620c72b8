"""The flow of least total |MW| that brings what regions have over to those that lack it."""

import numpy as np
from numba import njit

from .backend import NotConverged, launch, on_device
from .network import load_room
from .threads import in_threads

_BLOCKS = 1024  # each with its working memory


def least_flow(net, balance, forward, backward, scale):
    """Of all flows that meet every lack, one with the least sum of |flow| over the corridors.

    net: a `flow.Network` of R regions and E corridors. balance (T, R) int64 units of power: positive is what a region
    can send out (it may keep it), negative what it must get. forward, backward (1 or T, E) MW, most that flows
    tail -> head and head -> tail. scale (T,) units a MW. All NumPy or all CuPy.

    Returns (T, E) int64 units, positive tail -> head. Raises NotConverged where the network can't meet a lack of more
    than 2^-40 of the hour's whole lack (what a rounded input may leave).

    Source: the primal-dual method (Ford and Fulkerson 1957): lacks travel to the nearest supply, where turning back a
    flow costs -1; each pass moves them along all shortest ways at once. All whole numbers: both halves give the same.
    """
    arrays = *net[:4], forward, backward, scale, balance
    half = _least_cuda if on_device(balance) else _least_cpu
    flow, unmet = half(*arrays)
    lack = (-balance.clip(None, 0)).sum(1)
    bad = unmet > balance.shape[1] + (lack >> 40)
    if bool(bad.any()):
        h = int(bad.argmax())
        raise NotConverged(f"hour {h}: {int(unmet[h])} of {int(lack[h])} units find no way through the corridors")
    return flow


def _least_cpu(first, to, mate, slot, forward, backward, scale, balance):
    T, E = len(balance), slot.shape[1]
    flow, unmet = np.empty((T, E), np.int64), np.empty(T, np.int64)
    in_threads(_least_hours, T, first, to, mate, slot, forward, backward, scale, balance, flow, unmet, least=1)
    return flow, unmet


@njit(cache=True, nogil=True)
def _least_hours(first, to, mate, slot, forward, backward, scale, balance, result, unmet, start, stop):
    R = len(first) - 1
    room, flow = np.empty(len(to), np.int64), np.empty(len(to), np.int64)
    stock, lack, label = np.empty(R, np.int64), np.empty(R, np.int64), np.empty(R, np.int64)
    order, queue, queued = np.empty(R, np.int32), np.empty(R, np.int32), np.zeros(R, np.bool_)
    for h in range(start, stop):
        load_room(room, slot, forward[h % len(forward)], backward[h % len(backward)], scale[h])
        flow[:] = 0
        for i in range(R):
            stock[i], lack[i] = max(balance[h, i], 0), max(-balance[h, i], 0)
        while _find_labels(first, to, mate, room, flow, stock, lack, label, queue, queued):
            for j in order[:_from_the_far_end(label, order, queue)]:
                if lack[j] > 0:
                    _fetch(first, to, mate, room, flow, stock, lack, label, j)
        unmet[h] = lack.sum()
        for e in range(slot.shape[1]):
            result[h, e] = flow[slot[1, e]]


@njit(cache=True, nogil=True)
def _cost(flow, arc, R):
    """Of one more unit on the arc: 1, or -1 where it turns back a flow. A step more breaks ties: a label is cost * (R + 1) + steps."""
    return 1 - (R + 1) if flow[arc] < 0 else 1 + (R + 1)


@njit(cache=True, nogil=True)
def _find_labels(first, to, mate, room, flow, stock, lack, label, queue, queued):
    """The cheapest way from stock to each region (-1: none), shortest first-in first-out; True if a lack can be met."""
    R, a, n = len(label), 0, 0
    for i in range(R):
        label[i] = -1
        if stock[i] > 0:
            label[i], queue[n], queued[i] = 0, i, True
            n += 1
    while n:
        i = queue[a]
        a, n, queued[i] = (a + 1) % R, n - 1, False
        for p in range(first[i], first[i + 1]):
            j, new = to[p], label[i] + _cost(flow, mate[p], R)
            if room[mate[p]] > 0 and (label[j] < 0 or new < label[j]):
                label[j] = new
                if not queued[j]:
                    queue[(a + n) % R], queued[j] = j, True
                    n += 1
    for i in range(R):
        if lack[i] > 0 and label[i] >= 0:
            return True
    return False


@njit(cache=True, nogil=True)
def _from_the_far_end(label, order, start):
    """Regions with a label into `order`, those of most steps first (a counting sort); returns how many."""
    R = len(label)
    start[:] = 0
    n = 0
    for i in range(R):
        if label[i] >= 0:
            start[label[i] % (R + 1)] += 1
            n += 1
    end = n
    for s in range(R):
        end -= start[s]
        start[s] = end
    for i in range(R):
        if label[i] >= 0:
            s = label[i] % (R + 1)
            order[start[s]] = i
            start[s] += 1
    return n


@njit(cache=True, nogil=True)
def _fetch(first, to, mate, room, flow, stock, lack, label, j):
    """Meet the lack of region j from its own stock, or hand it on to the regions a step nearer to stock."""
    left = lack[j]
    if label[j] == 0:
        m = min(left, stock[j])
        stock[j] -= m
        lack[j] = left - m
        return
    R = len(label)
    for p in range(first[j], first[j + 1]):
        i, q = to[p], mate[p]
        if room[p] > 0 and label[i] >= 0 and label[i] + _cost(flow, p, R) == label[j]:
            m = min(left, -flow[p] if flow[p] < 0 else room[p])
            room[p] -= m
            room[q] += m
            flow[p] += m
            flow[q] -= m
            lack[i] += m
            left -= m
            if left == 0:
                break
    lack[j] = left


def _least_cuda(first, to, mate, slot, forward, backward, scale, balance):
    import cupy
    (T, R), E = balance.shape, slot.shape[1]
    flow, unmet = cupy.empty((T, E), np.int64), cupy.zeros(T, np.int64)
    blocks, units = min(T, _BLOCKS), 4 * E + 4 * R
    launch("carry", "least", blocks, min(256, -(-R // 32) * 32), np.int32(T), np.int32(R), np.int32(E), first, to, mate, slot,
           forward, backward, np.int32(len(forward)), scale, balance, flow, unmet, cupy.empty(blocks * units, np.int64), np.int32(units))
    return flow, unmet
