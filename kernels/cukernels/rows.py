"""One row of nodes under a nine-point stencil, in vector registers: what sweeps, residuals and products are made of.

Arrays come as one axis of numbers with the index of the row's first node: x and b at `o`, rows `width` apart; links c at
`k`, rows `step` and the four kinds (E, S, SE, SW, as in `coarsening`) `plane` apart; reaction (or nothing) and inverse at
`q`. A row has n nodes. Rows shorter than a vector, and all without a compiler, go node by node: that is the definition.
Where a row is longer, the last vector ends at its end and does some nodes twice; what is read is never what is written.
"""

import numpy as np
from numba import config, njit

from .lanes import add, evens, fill, load, madd, mul, odds, store, sub, total, zipped

_NEVER = 1 << 60
SINGLES, DOUBLES = (_NEVER, _NEVER) if config.DISABLE_JIT else (16, 8)   # numbers in a vector


@njit(cache=True)
def links_of(c, room=4):
    """(links, held, plane) for `row_links`: those of c, or, where c are pixels (1, ...), room for so many rows of links."""
    if c.shape[0] == 1:
        return np.empty(4 * room * c.shape[2], c.dtype), np.full(room, -1), room * c.shape[2]
    return c.reshape(-1), np.empty(0, np.int64), c.shape[1] * c.shape[2]


@njit(cache=True)
def row_links(links, held, pixels, i, width, along_x, along_y, across):
    """(k, step) of padded node row i; where c are pixels, its links and those of the row above are made, if they aren't held."""
    if held.size == 0:
        return i * width + 2, width
    room = held.size
    for row in (i - 1, i):
        if held[row % room] != row:
            held[row % room] = row
            _pixel_row(links, row % room * width, pixels, row * width, width, along_x, along_y, across)
    return i % room * width + 2, (i % room - (i - 1) % room) * width


@njit(cache=True)
def _pixel_row(out, m, k, o, width, along_x, along_y, across):
    """Links of one row of nodes from the pixels below it, at o, and above."""
    plane = out.size // 4
    east, south, southeast, southwest = m, m + plane, m + 2 * plane, m + 3 * plane
    size = SINGLES if k.itemsize == 4 else DOUBLES
    if width <= size:
        for j in range(1, width):
            out[east + j] = along_x * (k[o - width + j] + k[o + j])
            out[south + j] = along_y * (k[o + j - 1] + k[o + j])
            out[southeast + j] = across * k[o + j]
            out[southwest + j] = across * k[o + j - 1]
        return
    gx, gy, g = fill(along_x), fill(along_y), fill(across)
    j = 1
    while True:
        here, west = load(k, o + j), load(k, o + j - 1)
        store(out, east + j, mul(gx, add(load(k, o - width + j), here)))
        store(out, south + j, mul(gy, add(west, here)))
        store(out, southeast + j, mul(g, here))
        store(out, southwest + j, mul(g, west))
        if j == width - size:
            return
        j = min(j + size, width - size)


@njit(cache=True, forceinline=True)
def _outer(x, a, width, c, e, plane, step):
    """Sum of conductances times differences between node a of x and its neighbours in the rows above and below."""
    m = x[a]
    return (c[plane + e - step] * (x[a - width] - m) + c[2 * plane + e - step - 1] * (x[a - width - 1] - m)
            + c[3 * plane + e - step + 1] * (x[a - width + 1] - m) + c[plane + e] * (x[a + width] - m)
            + c[2 * plane + e] * (x[a + width + 1] - m) + c[3 * plane + e] * (x[a + width - 1] - m))


@njit(cache=True, forceinline=True)
def _outers(t, m, x, a, width, c, e, plane, step):
    """t + `_outer` at a vector of nodes, whose values are m."""
    t = madd(load(c, plane + e - step), sub(load(x, a - width), m), t)
    t = madd(load(c, 2 * plane + e - step - 1), sub(load(x, a - width - 1), m), t)
    t = madd(load(c, 3 * plane + e - step + 1), sub(load(x, a - width + 1), m), t)
    t = madd(load(c, plane + e), sub(load(x, a + width), m), t)
    t = madd(load(c, 2 * plane + e), sub(load(x, a + width + 1), m), t)
    return madd(load(c, 3 * plane + e), sub(load(x, a + width - 1), m), t)


@njit(cache=True, forceinline=True)
def _inner(x, a, c, e, reaction, p):
    """Likewise within the row, less the node's reaction."""
    m = x[a]
    t = c[e] * (x[a + 1] - m) + c[e - 1] * (x[a - 1] - m)
    return t - reaction[p] * m if reaction.size > 0 else t


@njit(cache=True, forceinline=True)
def _inners(t, m, x, a, c, e, reaction, p):
    t = madd(load(c, e), sub(load(x, a + 1), m), t)
    t = madd(load(c, e - 1), sub(load(x, a - 1), m), t)
    return sub(t, mul(load(reaction, p), m)) if reaction.size > 0 else t


@njit(cache=True, forceinline=True)
def relax(x, o, width, b, c, k, plane, step, reaction, q, inverse, colours, n, forward, alone, blank, wraps, s, y):
    """Gauss-Seidel on a float32 row, colour by colour: forward even nodes, odd ones, the last of an odd circle; or back.

    colours: (3, n). alone: the rows beside it count as 0. blank: the row does, whatever it holds. wraps: refresh its pads.
    s, y: (n + 2,) for work.
    """
    third = colours[3 * n - 1] > 0
    if third and not forward:
        _last(x, o + n - 1, width, b, c, k + n - 1, plane, step, reaction, q + n - 1, inverse, alone)
        x[o - 1], x[o + n] = x[o + n - 1], x[o]
    first = 0 if forward else n
    if blank:
        x[o - 1], x[o + n] = 0, 0
    _start(x, o, width, b, c, k, plane, step, reaction, q, inverse, colours, first, n, alone, blank, s, y)
    y[0], y[n + 1] = (y[n], y[1]) if wraps else (x[o - 1], x[o + n])
    _finish(x, o, c, k, reaction, q, inverse, colours, n - first, n, s, y)
    if wraps:
        x[o - 1], x[o + n] = x[o + n - 1], x[o]
    if third and forward:
        _last(x, o + n - 1, width, b, c, k + n - 1, plane, step, reaction, q + n - 1, inverse, alone)
        x[o - 1], x[o + n] = x[o + n - 1], x[o]


@njit(cache=True, forceinline=True)
def _start(x, o, width, b, c, k, plane, step, reaction, q, inverse, colours, m, n, alone, blank, s, y):
    """The first colour of a row into y, from 1 on; s: the residual but for what comes from within the row."""
    if n < SINGLES:
        if blank:
            for j in range(n):
                x[o + j] = 0
        for j in range(n):
            s[j] = b[o + j] if alone else b[o + j] + _outer(x, o + j, width, c, k + j, plane, step)
            y[j + 1] = x[o + j] + colours[m + j] * (inverse[q + j] * (s[j] + _inner(x, o + j, c, k + j, reaction, q + j)))
        return
    j, zero = 0, fill(np.float32(0))
    while True:
        t = load(b, o + j)
        if blank:
            if not alone:
                t = _outers(t, zero, x, o + j, width, c, k + j, plane, step)
            store(s, j, t)
            store(y, j + 1, mul(mul(load(inverse, q + j), load(colours, m + j)), t))
        else:
            v = load(x, o + j)
            if not alone:
                t = _outers(t, v, x, o + j, width, c, k + j, plane, step)
            store(s, j, t)
            t = _inners(t, v, x, o + j, c, k + j, reaction, q + j)
            store(y, j + 1, madd(mul(load(inverse, q + j), load(colours, m + j)), t, v))
        if j == n - SINGLES:
            return
        j = min(j + SINGLES, n - SINGLES)


@njit(cache=True, forceinline=True)
def _finish(x, o, c, k, reaction, q, inverse, colours, m, n, s, y):
    """The other colour, from y into x."""
    if n < SINGLES:
        for j in range(n):
            x[o + j] = y[j + 1] + colours[m + j] * (inverse[q + j] * (s[j] + _inner(y, j + 1, c, k + j, reaction, q + j)))
        return
    j = 0
    while True:
        v = load(y, j + 1)
        t = _inners(load(s, j), v, y, j + 1, c, k + j, reaction, q + j)
        store(x, o + j, madd(mul(load(inverse, q + j), load(colours, m + j)), t, v))
        if j == n - SINGLES:
            return
        j = min(j + SINGLES, n - SINGLES)


@njit(cache=True, forceinline=True)
def _last(x, a, width, b, c, e, plane, step, reaction, p, inverse, alone):
    t = b[a] if alone else b[a] + _outer(x, a, width, c, e, plane, step)
    x[a] += inverse[p] * (t + _inner(x, a, c, e, reaction, p))


@njit(cache=True, forceinline=True)
def residual_row(out, m, x, o, width, b, c, k, plane, step, reaction, q, n, factor):
    """out[m:] = b - factor A x, float32."""
    if n < SINGLES:
        for j in range(n):
            out[m + j] = b[o + j] + factor * (_outer(x, o + j, width, c, k + j, plane, step) + _inner(x, o + j, c, k + j, reaction, q + j))
        return
    factors, zero = fill(factor), fill(np.float32(0))
    j = 0
    while True:
        v = load(x, o + j)
        t = _outers(zero, v, x, o + j, width, c, k + j, plane, step)
        t = _inners(t, v, x, o + j, c, k + j, reaction, q + j)
        store(out, m + j, madd(factors, t, load(b, o + j)))
        if j == n - SINGLES:
            return
        j = min(j + SINGLES, n - SINGLES)


@njit(cache=True, forceinline=True)
def product_row(out, x, o, width, c, k, plane, step, reaction, q, n):
    """out = - A x, float64; returns x A x over the row."""
    dot, whole = 0.0, n // DOUBLES * DOUBLES
    if whole > 0:
        zero = fill(0.0)
        dots = zero
        for j in range(0, whole, DOUBLES):
            v = load(x, o + j)
            t = _outers(zero, v, x, o + j, width, c, k + j, plane, step)
            t = _inners(t, v, x, o + j, c, k + j, reaction, q + j)
            store(out, j, t)
            dots = madd(v, t, dots)
        dot = -total(dots)
    for j in range(whole, n):
        out[j] = _outer(x, o + j, width, c, k + j, plane, step) + _inner(x, o + j, c, k + j, reaction, q + j)
        dot -= x[o + j] * out[j]
    return dot


@njit(cache=True, forceinline=True)
def part(r, o, t, n, wraps):
    """r, from o on: the even nodes of the row t of n; from (n + 1) // 2 + 1 on the odd ones, after what is to the left of
    node 0 round a circle; where it is not one, 0 stands there, and at the end of an odd row."""
    odd = o + (n + 1) // 2 + 1
    half, j = n // 2, 0
    if half < SINGLES:
        for j in range(half):
            r[o + j] = t[2 * j]
            r[odd + j + 1] = t[2 * j + 1]
    else:
        while True:
            a, b = load(t, 2 * j), load(t, 2 * j + SINGLES)
            store(r, o + j, evens(a, b))
            store(r, odd + j + 1, odds(a, b))
            if j == half - SINGLES:
                break
            j = min(j + SINGLES, half - SINGLES)
    r[odd] = t[n - 1] if wraps else 0
    if n % 2:
        r[odd - 2] = t[n - 1]
        r[odd + (n + 1) // 2] = t[0] if wraps else 0


@njit(cache=True, forceinline=True)
def gather(out, o, up, middle, down, m, own, w, plane, above, here, n):
    """One coarse row of P^T r from the fine rows of residuals above, at and below it, each parted as of `part`, from m on.

    own: 1 where the coarse node is a fine one with an unknown. w: as `Level.weight`, kinds `plane` apart, the coarse row's
    first node at `here`, that of the row above at `above`.
    """
    odd = m + n + 1
    if n < SINGLES:
        for j in range(n):
            a, h = above + j, here + j
            out[o + j] = (own[h] * middle[m + j] + w[h] * middle[odd + j + 1] + w[plane + h - 1] * middle[odd + j]
                          + w[2 * plane + h] * down[m + j] + w[4 * plane + h] * down[odd + j + 1] + w[5 * plane + h - 1] * down[odd + j]
                          + w[3 * plane + a] * up[m + j] + w[6 * plane + a] * up[odd + j + 1] + w[7 * plane + a - 1] * up[odd + j])
        return
    j = 0
    while True:
        a, h = above + j, here + j
        t = mul(load(own, h), load(middle, m + j))
        t = madd(load(w, h), load(middle, odd + j + 1), t)
        t = madd(load(w, plane + h - 1), load(middle, odd + j), t)
        t = madd(load(w, 2 * plane + h), load(down, m + j), t)
        t = madd(load(w, 4 * plane + h), load(down, odd + j + 1), t)
        t = madd(load(w, 5 * plane + h - 1), load(down, odd + j), t)
        t = madd(load(w, 3 * plane + a), load(up, m + j), t)
        t = madd(load(w, 6 * plane + a), load(up, odd + j + 1), t)
        t = madd(load(w, 7 * plane + a - 1), load(up, odd + j), t)
        store(out, o + j, t)
        if j == n - SINGLES:
            return
        j = min(j + SINGLES, n - SINGLES)


@njit(cache=True, forceinline=True)
def spread_even(x, o, n, coarse, m, own, w, plane, h):
    """x += P coarse in a row of even number, whose coarse row begins at m. own, w, plane as of `gather`, its row at h."""
    whole = n // 2 // SINGLES * SINGLES
    for j in range(0, whole, SINGLES):
        near = load(coarse, m + j)
        even = mul(load(own, h + j), near)
        odd = madd(load(w, plane + h + j), load(coarse, m + j + 1), mul(load(w, h + j), near))
        _add_pairs(x, o + 2 * j, even, odd)
    for j in range(whole, n // 2):
        x[o + 2 * j] += own[h + j] * coarse[m + j]
        x[o + 2 * j + 1] += w[h + j] * coarse[m + j] + w[plane + h + j] * coarse[m + j + 1]
    if n % 2:
        x[o + n - 1] += own[h + n // 2] * coarse[m + n // 2]


@njit(cache=True, forceinline=True)
def spread_odd(x, o, n, coarse, m, step, w, plane, h):
    """Likewise in a row of odd number, between the coarse rows at m and m + step."""
    whole = n // 2 // SINGLES * SINGLES
    for j in range(0, whole, SINGLES):
        near, far = load(coarse, m + j), load(coarse, m + step + j)
        even = madd(load(w, 3 * plane + h + j), far, mul(load(w, 2 * plane + h + j), near))
        odd = madd(load(w, 6 * plane + h + j), far, mul(load(w, 4 * plane + h + j), near))
        odd = madd(load(w, 5 * plane + h + j), load(coarse, m + j + 1), odd)
        _add_pairs(x, o + 2 * j, even, madd(load(w, 7 * plane + h + j), load(coarse, m + step + j + 1), odd))
    for j in range(whole, n // 2):
        near, far, e = m + j, m + step + j, h + j
        x[o + 2 * j] += w[2 * plane + e] * coarse[near] + w[3 * plane + e] * coarse[far]
        x[o + 2 * j + 1] += (w[4 * plane + e] * coarse[near] + w[5 * plane + e] * coarse[near + 1]
                             + w[6 * plane + e] * coarse[far] + w[7 * plane + e] * coarse[far + 1])
    if n % 2:
        near, far, e = m + n // 2, m + step + n // 2, h + n // 2
        x[o + n - 1] += w[2 * plane + e] * coarse[near] + w[3 * plane + e] * coarse[far]


@njit(cache=True, forceinline=True)
def _add_pairs(x, o, even, odd):
    store(x, o, add(load(x, o), zipped(even, odd, 0)))
    store(x, o + SINGLES, add(load(x, o + SINGLES), zipped(even, odd, 1)))
