"""Coarse levels chosen by the links alone, whatever the grid: classical algebraic multigrid, its set-up on processors.

J. W. Ruge, K. Stueben, "Algebraic multigrid", in S. F. McCormick (ed.), "Multigrid methods", SIAM 1987, ch. 4: strong links,
the split into coarse and fine nodes in two passes, weights that follow a fine neighbour to the coarse nodes both have.
The second pass is what small pieces need that touch at corners: no two fine nodes that hold together strongly are left
without a coarse node in common, so that nothing conductive is out of reach of the weights.

A level is a `Graph`: links (conductances, what leaves the diagonal negative) and what each node loses. As in `coarsening` the
diagonal is never rounded apart from them. The sums are made in float64 and the links stored in float32, the same both ways.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .stencil import chunks
from .threads import in_pieces

STRONG = 0.25          # of the largest link of a node
_ROUNDING = 1e-13      # of the diagonal
_UNDECIDED, _COARSE, _FINE = 0, 1, 2
_DEPENDS, _SERVES = 1, 2


@dataclass(frozen=True)
class Graph:
    """Links of node i: to other[start[i]:start[i + 1]], of conductance link[...] (float32), each in both its rows.

    start: (N + 1,) int64. other: int32. loss: (N,) float32, conductance from each node to a surrounding at 0.
    """

    start: np.ndarray
    other: np.ndarray
    link: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True)
class Rows:
    """A sparse matrix by rows: entries value[start[i]:start[i + 1]] in columns other[...]; int64, int32, float64."""

    start: np.ndarray
    other: np.ndarray
    value: np.ndarray


def graph(c, reaction, shape, periodic):
    """The `Graph` of nine-point links as `coarsening.links` makes them. Nodes are numbered as in the padded array."""
    rows, columns = reaction.shape
    count = np.zeros(rows * columns + 1, np.int64)
    args = c, *periodic, *shape
    nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
    in_pieces(_grid_rows, chunks(shape[0]), *args, count, *nothing, False)
    start = np.cumsum(count, out=count)
    other, link = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    in_pieces(_grid_rows, chunks(shape[0]), *args, start, other, link, True)
    loss = np.zeros((rows, columns), np.float32)
    inside = np.s_[2:-2, 2:-2]
    loss[inside] = reaction[inside]
    return Graph(start, other, link, loss.ravel())


def coarsen(g):
    """(next coarser graph, weights as `Rows` from its nodes to those of g, the same transposed), or None where no node would be coarse."""
    pieces = _pieces(len(g.loss))
    strong, top = np.empty(len(g.other), np.uint8), np.empty(len(g.loss), np.float32)
    in_pieces(_largest, pieces, g.start, g.link, top)
    in_pieces(_flag, pieces, g.start, g.other, g.link, top, np.float32(STRONG), strong)
    del top
    kind = np.zeros(len(g.loss), np.uint8)
    _first_pass(g.start, g.other, strong, kind)
    _second_pass(g.start, g.other, strong, kind)
    number = np.cumsum(kind == _COARSE, dtype=np.int32) - 1
    coarse = int(number[-1]) + 1
    if not 0 < coarse < len(kind):
        return None
    weights, whole = _interpolation(g, strong, kind, number, coarse, pieces)
    del strong, kind, number
    back = transposed(weights, coarse)
    return _galerkin(g, weights, back, whole), weights, back


def transposed(m, columns):
    """`Rows` of the transposed matrix, (columns, N)."""
    start = np.zeros(columns + 1, np.int64)
    np.cumsum(np.bincount(m.other, minlength=columns), out=start[1:])
    other, value = np.empty(len(m.other), np.int32), np.empty(len(m.value), m.value.dtype)
    _turn(m.start, m.other, m.value, start[:-1].copy(), other, value)
    return Rows(start, other, value)


def colours(g):
    """(nodes ordered by colour int32, bounds of the colours): nodes of one colour have no links to one another."""
    colour = _greedy(g.start, g.other, np.full(len(g.loss), -1, np.int32))
    bounds = np.append(0, np.cumsum(np.bincount(colour)))
    return np.argsort(colour, kind="stable").astype(np.int32), [int(n) for n in bounds]


def reordered(g, order):
    """The rows of g in another order; columns keep their numbers."""
    start = np.append(0, np.cumsum(np.diff(g.start)[order]))
    other, link = np.empty_like(g.other), np.empty_like(g.link)
    in_pieces(_gather, _pieces(len(order)), g.start, g.other, g.link, order, start, other, link)
    return Graph(start, other, link, g.loss[order])


def diagonal(g):
    """(N,) float32: sum of the links of each node and its loss."""
    d = np.empty(len(g.loss), np.float32)
    in_pieces(_sum_links, _pieces(len(d)), g.start, g.link, g.loss, d)
    return d


def dense(g):
    """(N, N) float64 links of a small graph."""
    links = np.zeros((len(g.loss), len(g.loss)))
    links[np.repeat(np.arange(len(g.loss)), np.diff(g.start)), g.other] = g.link
    return links


def _pieces(n):
    return chunks(n, 1 << 14)


def _interpolation(g, strong, kind, number, coarse, pieces):
    """(weights, what a constant 1 on the coarse nodes becomes: exactly 1 where there is no loss)."""
    start = np.zeros(len(kind) + 1, np.int64)
    in_pieces(_count_weights, pieces, g.start, g.other, strong, kind, start)
    np.cumsum(start, out=start)
    weights = Rows(start, np.empty(start[-1], np.int32), np.empty(start[-1]))
    whole = np.zeros(len(kind))
    in_pieces(_fill_weights, pieces, g.start, g.other, g.link, g.loss, strong, kind, number, coarse,
              weights.start, weights.other, weights.value, whole)
    return weights, whole


def _galerkin(g, weights, back, whole):
    """P^T A P as a graph."""
    coarse = len(back.start) - 1
    pieces, loss = _pieces(coarse), np.zeros(coarse, np.float32)
    parts = in_pieces(_galerkin_rows, pieces, g.start, g.other, g.link, g.loss, weights.start, weights.other, weights.value,
                      back.start, back.other, back.value, whole, loss)
    start = np.append(0, np.cumsum(np.concatenate([part[0] for part in parts])))
    other, link = np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])
    del parts
    in_pieces(_even_out, pieces, start, other, link)
    return Graph(start, other, link, loss)


@njit(cache=True)
def _round_seam(i, wraps, n):
    if wraps and i < 2:
        return i + n
    if wraps and i >= n + 2:
        return i - n
    return i


@njit(cache=True, nogil=True)
def _grid_rows(c, wrap_y, wrap_x, ny, nx, start, other, link, fill, first, last):
    """Count each node's links into start[p + 1], or write them from start[p] on."""
    columns = c.shape[2]
    for i in range(first + 2, last + 2):
        for j in range(2, nx + 2):
            p, found = i * columns + j, 0
            for n in range(8):
                # E, S, SE, SW, and back
                di, dj = (0, 1, 1, 1)[n % 4], (1, 0, 1, -1)[n % 4]
                if n < 4:
                    y, x, size = i + di, j + dj, c[n, i, j]
                else:
                    y, x = i - di, j - dj
                    size = c[n - 4, y, x]
                if size == 0:
                    continue
                if fill:
                    at = start[p] + found
                    other[at] = _round_seam(y, wrap_y, ny) * columns + _round_seam(x, wrap_x, nx)
                    link[at] = size
                found += 1
            if not fill:
                start[p + 1] = found


@njit(cache=True, nogil=True)
def _largest(start, link, top, first, last):
    for i in range(first, last):
        largest = np.float32(0)
        for e in range(start[i], start[i + 1]):
            largest = max(largest, link[e])
        top[i] = largest


@njit(cache=True, nogil=True)
def _flag(start, other, link, top, share, strong, first, last):
    for i in range(first, last):
        for e in range(start[i], start[i + 1]):
            flag = 0
            if link[e] > 0:
                if link[e] >= share * top[i]:
                    flag |= _DEPENDS
                if link[e] >= share * top[other[e]]:
                    flag |= _SERVES
            strong[e] = flag


@njit(cache=True)
def _first_pass(start, other, strong, kind):
    """Coarse is who serves most of those not decided yet, and those who already are fine; whom it serves is fine."""
    n = len(kind)
    worth = np.zeros(n, np.int32)
    most = 0
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            if strong[e] & _SERVES:
                worth[i] += 1
        most = max(most, worth[i])
    head = np.full(2 * most + 2, -1, np.int32)                     # first of a list of the nodes of each worth
    after, before = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    for i in range(n - 1, -1, -1):
        if worth[i] == 0:
            kind[i] = _FINE
        else:
            _enter(i, worth[i], head, after, before)
    best = most
    while best > 0:
        i = head[best]
        if i < 0:
            best -= 1
            continue
        _leave(i, worth[i], head, after, before)
        kind[i] = _COARSE
        for e in range(start[i], start[i + 1]):
            j = other[e]
            if not strong[e] & _SERVES or kind[j] != _UNDECIDED:
                continue
            kind[j] = _FINE
            _leave(j, worth[j], head, after, before)
            for f in range(start[j], start[j + 1]):
                k = other[f]
                if strong[f] & _DEPENDS and kind[k] == _UNDECIDED:
                    best = max(best, _revalue(k, 1, worth, head, after, before))
        for e in range(start[i], start[i + 1]):
            if strong[e] & _DEPENDS and kind[other[e]] == _UNDECIDED:
                _revalue(other[e], -1, worth, head, after, before)
    for i in range(n):
        if kind[i] == _UNDECIDED:
            kind[i] = _FINE


@njit(cache=True)
def _enter(i, worth, head, after, before):
    after[i], before[i] = head[worth], -1
    if head[worth] >= 0:
        before[head[worth]] = i
    head[worth] = i


@njit(cache=True)
def _leave(i, worth, head, after, before):
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[worth] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]


@njit(cache=True)
def _revalue(i, change, worth, head, after, before):
    _leave(i, worth[i], head, after, before)
    worth[i] += change
    _enter(i, worth[i], head, after, before)
    return worth[i]


@njit(cache=True)
def _second_pass(start, other, strong, kind):
    """Two fine nodes, one strongly dependent on the other, get a coarse node on which both depend."""
    mark = np.full(len(kind), -1, np.int32)
    for i in range(len(kind)):
        if kind[i] != _FINE:
            continue
        for e in range(start[i], start[i + 1]):
            if strong[e] & _DEPENDS and kind[other[e]] == _COARSE:
                mark[other[e]] = i
        tried = -1
        for e in range(start[i], start[i + 1]):
            j = other[e]
            if not strong[e] & _DEPENDS or kind[j] != _FINE or _meets(start, other, strong, mark, j, i):
                continue
            if tried >= 0:  # a second one without: the node itself serves both
                kind[tried], kind[i] = _FINE, _COARSE
                break
            tried = j
            kind[j] = _COARSE
            mark[j] = i


@njit(cache=True)
def _meets(start, other, strong, mark, j, i):
    for f in range(start[j], start[j + 1]):
        if strong[f] & _DEPENDS and mark[other[f]] == i:
            return True
    return False


@njit(cache=True, nogil=True)
def _count_weights(start, other, strong, kind, count, first, last):
    for i in range(first, last):
        found = 0
        if kind[i] == _COARSE:
            found = 1
        else:
            for e in range(start[i], start[i + 1]):
                if strong[e] & _DEPENDS and kind[other[e]] == _COARSE:
                    found += 1
        count[i + 1] = found


@njit(cache=True, nogil=True)
def _fill_weights(start, other, link, loss, strong, kind, number, coarse, wstart, wother, weight, whole, first, last):
    place = np.full(coarse, -1, np.int64)                           # of a coarse node among the weights of this row
    for i in range(first, last):
        a, b = wstart[i], wstart[i + 1]
        if kind[i] == _COARSE:
            wother[a], weight[a], whole[i] = number[i], 1.0, 1.0
            continue
        at = a
        for e in range(start[i], start[i + 1]):
            if strong[e] & _DEPENDS and kind[other[e]] == _COARSE:
                wother[at], weight[at] = number[other[e]], link[e]
                place[wother[at]] = at
                at += 1
        if a == b:
            continue
        for e in range(start[i], start[i + 1]):
            j, total = other[e], 0.0
            if not strong[e] & _DEPENDS or kind[j] != _FINE:
                continue
            # what ties the node to its fine neighbour j goes to those of its coarse ones that j has too, as j is tied to them
            for f in range(start[j], start[j + 1]):
                if link[f] > 0 and kind[other[f]] == _COARSE and place[number[other[f]]] >= a:
                    total += link[f]
            for f in range(start[j], start[j + 1]):
                if link[f] > 0 and kind[other[f]] == _COARSE and place[number[other[f]]] >= a:
                    weight[place[number[other[f]]]] += link[e] * link[f] / total
        total, lost = weight[a:b].sum(), max(np.float64(loss[i]), 0.0)
        weight[a:b] /= total + lost
        whole[i] = total / (total + lost) if lost > 0 else 1.0


@njit(cache=True)
def _turn(start, other, value, end, tother, tvalue):
    for i in range(len(start) - 1):
        for e in range(start[i], start[i + 1]):
            at = end[other[e]]
            tother[at], tvalue[at] = i, value[e]
            end[other[e]] += 1


@njit(cache=True, nogil=True)
def _galerkin_rows(start, other, link, loss, wstart, wother, weight, bstart, bother, bvalue, whole, closs, first, last):
    """(links in each row, their columns, their conductances) of rows first .. last - 1."""
    count = np.zeros(last - first, np.int64)
    room = 12 * (last - first) + 64
    cother, clink, filled = np.empty(room, np.int32), np.empty(room, np.float32), 0
    # the columns of one row and their sums, and where a column stands there: place less base, where that is not negative
    columns, sums = np.empty(256, np.int32), np.empty(256)
    place, base = np.full(len(bstart) - 1, -1, np.int64), 0
    for a in range(first, last):
        columns[0], sums[0], place[a], found = a, 0.0, base, 1
        size = lost = 0.0
        for r in range(bstart[a], bstart[a + 1]):
            i, own = bother[r], bvalue[r]
            d = np.float64(loss[i])
            lost += own * d * whole[i]
            for e in range(start[i], start[i + 1] + 1):
                # the links of node i, and its diagonal behind them
                j, tie = (other[e], np.float64(link[e])) if e < start[i + 1] else (i, -d)
                if e < start[i + 1]:
                    d += tie
                    lost += own * tie * (whole[i] - whole[j])
                for w in range(wstart[j], wstart[j + 1]):
                    at = place[wother[w]] - base
                    if at < 0:
                        if found == len(sums):
                            columns, sums = np.append(columns, columns), np.append(sums, sums)
                        at, place[wother[w]], columns[found], sums[found] = found, base + found, wother[w], 0.0
                        found += 1
                    sums[at] += own * tie * weight[w]
            size += own * abs(d)
        if filled + found > len(cother):
            more = len(cother) // 4 + found
            cother, clink = np.append(cother, np.empty(more, np.int32)), np.append(clink, np.empty(more, np.float32))
        for m in range(1, found):
            cother[filled] = columns[m]
            clink[filled] = sums[m] if abs(sums[m]) > _ROUNDING * size else 0.0
            filled += 1
        closs[a] = lost if abs(lost) > _ROUNDING * size else 0.0
        count[a - first] = found - 1
        base += found
    return count, cother[:filled], clink[:filled]


@njit(cache=True, nogil=True)
def _even_out(start, other, link, first, last):
    """Both ends of a link have it alike, as that of the lower number has it; 0 where either has nothing but rounding."""
    for i in range(first, last):
        for e in range(start[i], start[i + 1]):
            j = other[e]
            if j <= i:
                continue
            for f in range(start[j], start[j + 1]):
                if other[f] == i:
                    if link[f] == 0:
                        link[e] = 0
                    link[f] = link[e]
                    break


@njit(cache=True)
def _greedy(start, other, colour):
    """Each node takes the first colour that none of its neighbours has."""
    taken = np.full(256, -1, np.int64)
    for i in range(len(colour)):
        for e in range(start[i], start[i + 1]):
            if colour[other[e]] >= 0:
                if colour[other[e]] >= len(taken):
                    taken = np.append(taken, np.full(len(taken), -1, np.int64))
                taken[colour[other[e]]] = i
        n = 0
        while n < len(taken) and taken[n] == i:
            n += 1
        colour[i] = n
    return colour


@njit(cache=True, nogil=True)
def _gather(start, other, link, order, gstart, gother, glink, first, last):
    for m in range(first, last):
        for n in range(start[order[m] + 1] - start[order[m]]):
            gother[gstart[m] + n], glink[gstart[m] + n] = other[start[order[m]] + n], link[start[order[m]] + n]


@njit(cache=True, nogil=True)
def _sum_links(start, link, loss, d, first, last):
    for i in range(first, last):
        total = np.float64(loss[i])
        for e in range(start[i], start[i + 1]):
            total += link[e]
        d[i] = total
