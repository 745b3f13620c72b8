"""What is out in every hour: items that fail, wholly or in part, and come back, walked from change to change.

Time is whole hours. An item that is in at hour t is out at t + 1 with a chance that depends on the item (and, where asked,
on t); one that is out comes back likewise. So its stays are geometric, and one logarithm a stay is all the chance needed.
The draws are a function of (seed, sample, stream, number of the draw): any split of the samples gives the same hours.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host
from .philox import log_same_bits, philox, unit
from .threads import in_threads

_32, _ONE, _LEVEL = np.uint64(32), np.uint64(1), np.uint64(2**31)


_BLOCK = 64  # hours


class Items(NamedTuple):
    """N items that fail. NumPy or CuPy, all of one kind.

    column (N,) int32: where the item's power is lost, 0 .. C-1. stream (N,) int64, 0 .. 2**32-1: its random numbers;
    items of one stream with the same chances fail and return together. start (N,) float64: chance of being out in hour 0.
    fail, back (N,) float64: hazard an hour, -log(1 - chance of failing, of coming back), 0 .. infinity.
    season (N,) int32: row of `seasons` that takes the place of `fail`, -1 for none.
    first (N+1,) int32: where each item's pieces begin. begin (P,) int32: first hour of a piece, 0 for an item's first.
    power (P,) int32 >= 0: what is lost in an hour of the piece while the item is out.
    seasons (B, T+1) float64: sums of failure hazards over the hours before each, from 0.
    level (N+1,) int32: where each item's derated levels begin; most items have none. chance (L,) float64, 0 .. 1: the chance
    that a stay out is at this level of the item or one before it; with what is left to 1 everything is out. left (L,)
    float64, 0 .. 1: the share of the power that a level leaves.
    """

    column: np.ndarray
    stream: np.ndarray
    start: np.ndarray
    fail: np.ndarray
    back: np.ndarray
    season: np.ndarray
    first: np.ndarray
    begin: np.ndarray
    power: np.ndarray
    seasons: np.ndarray
    level: np.ndarray
    chance: np.ndarray
    left: np.ndarray


def lost_power(items, seed, samples, hours, columns):
    """What is out: (S, C, T) int32, C = columns and T = hours, for each of samples (S,) int64.

    items: `Items`. seed: 0 .. 2**64-1. Sums are of integers, so they are the same on every device and in any order.
    Raises ValueError for a chance or power outside its range, a column or stream there is none of, NaN, pieces that don't
    begin at 0 and rise, and for a column whose items add up to more than 2**31-1.
    """
    xp, items, samples = _checked(items, seed, samples, hours, columns)
    lost = xp.zeros((len(samples), columns, hours), np.int32)
    if on_device(lost):
        return _lost_power_cuda(items, np.uint64(seed), samples, lost)
    in_threads(_lost_samples, len(samples), items, np.uint64(seed), samples, lost, least=1)
    return lost


def short_hours(items, seed, samples, margin, columns):
    """The hours in which some region lacks power of its own.

    margin: (R, T) int64, what a region has over its load with everything in; the first R of `columns` are regions.
    Returns sample (K,) int64, a row of `samples`; hour (K,) int64; lost (K, C) int32: the hours in which
    lost > margin for at least one region, by sample, then by hour. Otherwise as `lost_power`.
    """
    R, T = margin.shape
    xp, items, samples = _checked(items, seed, samples, T, columns)
    if R > columns:
        raise ValueError(f"margin has {R} regions and there are {columns} columns: the first columns are the regions")
    margin = xp.ascontiguousarray(margin.astype(np.int64))
    if on_device(margin):
        return _short_hours_cuda(items, seed, samples, margin, columns)
    parts = in_threads(_short_samples, len(samples), items, np.uint64(seed), samples, margin, columns, least=1)
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _checked(items, seed, samples, hours, columns):
    xp = array_module(*items, samples)
    if not 0 <= int(seed) < 2**64:
        raise ValueError(f"seed {seed} is outside 0 .. 2**64-1: choose another")
    kinds = (np.int32, np.int64, float, float, float, np.int32, np.int32, np.int32, np.int32, float, np.int32, float, float)
    items = Items(*(xp.ascontiguousarray(xp.asarray(a, dtype=kind)) for a, kind in zip(items, kinds, strict=True)))
    N, B = len(items.column), len(items.seasons)
    if items.seasons.shape != (B, hours + 1):
        raise ValueError(f"seasons have shape {items.seasons.shape}: pass rows of {hours + 1} sums for {hours} hours")
    for name, good in (("column", (items.column >= 0) & (items.column < columns)), ("stream", (items.stream >= 0) & (items.stream < 2**32)),
                       ("start", (items.start >= 0) & (items.start <= 1)), ("fail", items.fail >= 0), ("back", items.back >= 0),
                       ("season", (items.season >= -1) & (items.season < B)), ("power", items.power >= 0),
                       ("seasons", xp.isfinite(items.seasons).all(axis=1) & (items.seasons[:, :1] == 0).all(axis=1) & (xp.diff(items.seasons, axis=1) >= 0).all(axis=1)),
                       ("chance", (items.chance >= 0) & (items.chance <= 1)), ("left", (items.left >= 0) & (items.left <= 1))):
        if not bool(good.all()):
            raise ValueError(f"{name}[{int(np.argmin(to_host(good)))}] is out of its range: correct it")
    level = to_host(items.level)
    if len(level) != N + 1 or level[0] != 0 or level[-1] != len(items.chance) or (np.diff(level) < 0).any() or len(items.left) != len(items.chance):
        raise ValueError("the levels of the items don't follow each other: give where each item's begin, the same number twice for none")
    _check_pieces(N, columns, *(to_host(a) for a in (items.first, items.begin, items.power, items.column)))
    return xp, items, xp.ascontiguousarray(xp.asarray(samples).astype(np.int64))


def _check_pieces(N, columns, first, begin, power, column):
    if len(first) != N + 1 or (N and (first[0] != 0 or first[-1] != len(begin) or (np.diff(first) < 1).any())) or len(power) != len(begin):
        raise ValueError("the pieces of the items don't follow each other: every item has at least one")
    rises = np.diff(begin) > 0
    rises[first[1:-1] - 1] = True
    if N and ((begin[first[:-1]] != 0).any() or not rises.all()):
        raise ValueError("the pieces of an item must begin at hour 0 and rise")
    if N and np.bincount(column, np.maximum.reduceat(power, first[:-1]), columns).max() >= 2**31:
        raise ValueError("the items of a column add up to more than 2**31-1: use a larger unit of power")


@njit(cache=True, nogil=True)
def _lost_samples(items, seed, samples, lost, start, stop):
    for s in range(start, stop):
        _walk_all(items, seed, np.uint64(samples[s]), lost[s])


@njit(cache=True, nogil=True)
def _short_samples(items, seed, samples, margin, columns, start, stop):
    R, T = margin.shape
    lost, short = np.empty((columns, T), np.int32), np.empty(T, np.bool_)
    sample, hour, out = np.empty(64, np.int64), np.empty(64, np.int64), np.empty((64, columns), np.int32)
    count = 0
    for s in range(start, stop):
        lost[:] = 0
        _walk_all(items, seed, np.uint64(samples[s]), lost)
        short[:] = False
        for r in range(R):
            for t in range(T):
                short[t] |= lost[r, t] > margin[r, t]
        begin, many = count, short.sum()
        while count + many > len(hour):
            sample, hour, out = _longer(sample), _longer(hour), _longer(out)
        for t in range(T):
            if short[t]:
                sample[count], hour[count] = s, t
                count += 1
        # columns of `lost` in blocks of hours: what is read and written stays in the cache
        for b in range(begin, count, _BLOCK):
            for c in range(columns):
                for k in range(b, min(b + _BLOCK, count)):
                    out[k, c] = lost[c, hour[k]]
    return sample[:count], hour[:count], out[:count]


@njit(cache=True, nogil=True)
def _longer(a):
    return np.concatenate((a, np.empty_like(a)))


@njit(cache=True, nogil=True)
def _walk_all(items, seed, sample, lost):
    """One sample: changes into `lost` (C, T), then their sums along the hours."""
    for i in range(len(items.column)):
        _walk(items, seed, sample, i, lost[items.column[i]])
    for c in range(lost.shape[0]):
        for t in range(1, lost.shape[1]):
            lost[c, t] += lost[c, t - 1]


@njit(cache=True, nogil=True)
def _walk(items, seed, sample, i, change):
    T, t, draw = len(change), 0, np.uint64(1)
    begin, power = items.begin[items.first[i]:items.first[i + 1]], items.power[items.first[i]:items.first[i + 1]]
    chance, left = items.chance[items.level[i]:items.level[i + 1]], items.left[items.level[i]:items.level[i + 1]]
    fail, back, season, piece = items.fail[i], items.back[i], items.season[i], 0
    base = np.uint64(items.stream[i]) << _32
    a, b, c, d = philox(seed, sample, base)
    out = unit(a, b) < items.start[i]
    while t < T:
        if not draw & _ONE:
            a, b, c, d = philox(seed, sample, base | (draw >> _ONE))
        wait = -log_same_bits(unit(c, d) if draw & _ONE else unit(a, b))
        draw += _ONE
        if out:
            until = _leave(t, wait, back, T)
            share = _left(chance, left, seed, sample, base | _LEVEL | draw) if len(chance) else 0.0
            piece = _mark(begin, power, piece, t, until, change, share)
        elif season >= 0:
            until = _leave_season(t, wait, items.seasons[season])
        else:
            until = _leave(t, wait, fail, T)
        t, out = until, not out


@njit(cache=True, nogil=True)
def _left(chance, left, seed, sample, number):
    """The share of its power that an item with derated levels keeps through this stay out."""
    a, b, _, _ = philox(seed, sample, number)
    u = unit(a, b)
    for level in range(len(chance)):
        if u < chance[level]:
            return left[level]
    return 0.0


@njit(cache=True, nogil=True)
def _leave(t, wait, hazard, T):
    """The first hour of the other state: each hour uses up `hazard` of `wait`."""
    if hazard * (T - t) <= wait:
        return T
    return min(t + 1 + int(wait / hazard), T)


@njit(cache=True, nogil=True)
def _leave_season(t, wait, sums):
    """Likewise with a hazard for each hour: the first hour by which their sum exceeds `wait`, T for none."""
    goal, low, high = sums[t] + wait, t + 1, len(sums)
    while low < high:
        middle = (low + high) // 2
        if sums[middle] > goal:
            high = middle
        else:
            low = middle + 1
    return min(low, len(sums) - 1)


@njit(cache=True, nogil=True)
def _mark(begin, power, piece, t, until, change, left):
    """Power lost in hours t .. until, as changes. Returns the piece of hour t, from which the next search goes on."""
    last, T = len(begin) - 1, len(change)
    while piece < last and begin[piece + 1] <= t:
        piece += 1
    p, now = piece, np.int32(0)
    while True:
        lost = power[p] - np.int32(power[p] * left + 0.5) if left > 0.0 else power[p]
        change[t] += lost - now
        now = lost
        if p == last or begin[p + 1] >= until:
            break
        p += 1
        t = begin[p]
    if until < T:
        change[until] -= now
    return piece


def _lost_power_cuda(items, seed, samples, lost):
    import cupy
    S, C, T = lost.shape
    count = S * len(items.column)
    if count:
        launch("chronology", "walk", grid(count, 128), 128, *items, seed, samples, lost, np.int32(len(items.column)), np.int32(C), np.int32(T),
               np.int64(count))
    return cupy.cumsum(lost, axis=2, dtype=np.int32)


def _short_hours_cuda(items, seed, samples, margin, columns):
    import cupy
    R, T = margin.shape
    lost = _lost_power_cuda(items, np.uint64(seed), samples, cupy.zeros((len(samples), columns, T), np.int32))
    sample, hour = cupy.nonzero((lost[:, :R] > margin).any(axis=1))
    return sample, hour, cupy.ascontiguousarray(lost[sample, :, hour])
