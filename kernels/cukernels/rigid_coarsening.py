"""Coarse levels of the multigrid that keeps rigid motions: element matrices, weights, Galerkin's elements; see `rigid`."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host
from .margin import wrap
from .rigid_relaxation import Level, precision
from .threads import in_threads

_PART = 30_000     # nodes a thread should have at least
_KINDS = 16        # materials whose insides are worked out once

# place of entry (a, b) of a symmetric 12 x 12 element in its packed upper triangle
PLACE = np.array([[min(a, b) * 12 - min(a, b) * (min(a, b) - 1) // 2 + abs(a - b) for b in range(12)] for a in range(12)])


@dataclass
class Elements:
    """The element matrices of a level: of pixels (packed is empty), or packed (ny, nx, 78) for three unknowns a node.

    height (ny,), width (nx,): sizes of the rows and columns of elements, 1 for the usual one. fixed: (NY, NX) uint8, bit
    0 where the x displacement is given, bit 1 where y is. tiny: a stiffness that is none. kind: (ny, nx) int8, on the host,
    equal where elements are equal, -1 where that isn't known; empty on a device.
    """

    shape: tuple
    lam: np.ndarray
    mu: np.ndarray
    k_lam: np.ndarray
    k_mu: np.ndarray
    packed: np.ndarray
    height: np.ndarray
    width: np.ndarray
    fixed: np.ndarray
    periodic: tuple
    tiny: float
    kind: np.ndarray

    @property
    def nodes(self):
        return tuple(n + (not wraps) for n, wraps in zip(self.shape, self.periodic))

    @property
    def unknowns(self):
        return 3 if self.packed.size else 2

    def args(self):
        return (self.lam, self.mu, self.k_lam, self.k_mu, self.packed, self.height, self.width, self.fixed, *self.periodic, self.tiny)


def pixel_matrices(dx, dy):
    """The 8 x 8 element matrices of lam and of mu: corners NW, NE, SW, SE, displacement x before y."""
    xi, eta = np.array([-1.0, 1, -1, 1]), np.array([-1.0, -1, 1, 1])
    xx = (np.outer(xi, xi) * (1 + np.outer(eta, eta) / 3)) / 4 * dy / dx
    yy = (np.outer(eta, eta) * (1 + np.outer(xi, xi) / 3)) / 4 * dx / dy
    xy = np.outer(xi, eta) / 4
    k_lam, k_mu = np.empty((4, 2, 4, 2)), np.empty((4, 2, 4, 2))
    k_lam[:, 0, :, 0], k_lam[:, 0, :, 1], k_lam[:, 1, :, 0], k_lam[:, 1, :, 1] = xx, xy, xy.T, yy
    k_mu[:, 0, :, 0], k_mu[:, 0, :, 1], k_mu[:, 1, :, 0], k_mu[:, 1, :, 1] = 2 * xx + yy, xy.T, xy, 2 * yy + xx
    return k_lam.reshape(8, 8), k_mu.reshape(8, 8)


def kinds(lam, mu):
    """(H, W) int8: number of each pixel's pair of moduli, -1 for those met after the first _KINDS."""
    if on_device(lam):
        return np.zeros((0, 0), np.int8)
    found, table = np.empty(lam.shape, np.int8), np.zeros((_KINDS, 2))
    _number_kinds(lam, mu, table, found)
    return found


def assemble(elements, dtype=np.float32):
    """The stencils of a level from its elements, in numbers of this dtype."""
    xp, d, (NY, NX) = array_module(elements.fixed), elements.unknowns, elements.nodes
    link = xp.zeros((4 * d * d, NY + 2, NX + 2), dtype)
    diagonal, inverse = xp.zeros((d * d, NY + 2, NX + 2), dtype), xp.zeros((d * d, NY + 2, NX + 2), dtype)
    if on_device(elements.fixed):
        launch("rigid_coarsening", f"assemble{d}{precision(dtype)}", grid(NY * NX, 64), 64, *_arguments(elements), link, diagonal, inverse)
    else:
        in_threads(_assemble_rows, NY, d, PLACE, *elements.args(), elements.kind, link, diagonal, inverse, least=1 + _PART // NX)
    for a in (link, diagonal, inverse):
        wrap(a, elements.periodic)
    colour = np.arange(NX) % 2
    if elements.periodic[1] and NX % 2:
        colour[-1] = 2  # an odd circle: the last column is a neighbour of the first and of the same parity
    masks = np.stack([colour == c for c in range(colour.max() + 1)]).astype(dtype)  # on the host: launches are planned there
    return Level((NY, NX), elements.periodic, d, link, diagonal, inverse, masks)


def coarsen(elements, level):
    """Put the weights into the level; returns the coarse elements."""
    xp, d = array_module(elements.fixed), elements.unknowns
    shape = tuple((n + 1) // 2 for n in elements.shape)
    NYc, NXc = (n + (not wraps) for n, wraps in zip(shape, elements.periodic))
    level.along, level.down = (xp.zeros((6 * d, NYc + 2, NXc + 2), level.link.dtype) for _ in range(2))
    level.middle = xp.zeros((12 * d, NYc + 2, NXc + 2), level.link.dtype)
    packed, kind = xp.empty((*shape, 78)), np.zeros((0, 0), np.int8)
    rows, columns = (np.minimum(2 * np.arange(n), N - 1) for n, N in zip((NYc, NXc), elements.nodes))
    if on_device(elements.fixed):
        sizes, suffix = (np.int32(NYc), np.int32(NXc)), precision(level.link.dtype)
        launch("rigid_coarsening", f"edge_weights{d}{suffix}", grid(2 * NYc * NXc, 64), 64, *_arguments(elements), *sizes, level.along, level.down)
        wrap(level.along, level.periodic), wrap(level.down, level.periodic)
        launch("rigid_coarsening", f"coarse_elements{d}{suffix}", grid(shape[0] * shape[1], 64), 64, *_arguments(elements), *sizes, level.along,
               level.down, level.middle, packed)
    else:
        least = 1 + _PART // (4 * NXc)
        same = np.full((2, NYc + 1, NXc + 1), -1, np.int8)
        in_threads(_edge_rows, NYc, d, PLACE, *elements.args(), elements.kind, NXc, level.along, level.down, same, least=least)
        wrap(level.along, level.periodic), wrap(level.down, level.periodic)
        kind = np.empty(shape, np.int8)
        in_threads(_cell_rows, shape[0], d, PLACE, *elements.args(), elements.kind, same, NXc, level.along, level.down, level.middle, packed,
                   kind, least=least)
    wrap(level.middle, level.periodic)
    none = xp.zeros((0, 0))
    fixed = xp.ascontiguousarray(elements.fixed[xp.asarray(rows)][:, xp.asarray(columns)])
    sizes = (xp.asarray(np.add.reduceat(to_host(s), np.arange(0, len(s), 2)) / 2) for s in (elements.height, elements.width))
    return Elements(shape, none, none, elements.k_lam, elements.k_mu, packed, *sizes, fixed, elements.periodic, elements.tiny, kind)


def dense_inverse(elements):
    """Of the coarsest level's matrix, motions without resistance left out: (d NY NX, d NY NX), unknown-major."""
    d, (NY, NX), (ny, nx) = elements.unknowns, elements.nodes, elements.shape
    packed, fixed = to_host(elements.packed), to_host(elements.fixed)
    if d == 3:
        k = packed[:, :, PLACE]
    else:
        k = np.einsum("ij,ab->ijab", to_host(elements.lam), to_host(elements.k_lam))
        k += np.einsum("ij,ab->ijab", to_host(elements.mu), to_host(elements.k_mu))
    i, j = np.mgrid[:ny, :nx]
    node = np.stack([(i + p) % NY * NX + (j + q) % NX for p in (0, 1) for q in (0, 1)], axis=-1)
    unknown = (node[..., None] + NY * NX * np.arange(d)).reshape(ny, nx, 4 * d)
    a = np.zeros((d * NY * NX, d * NY * NX))
    np.add.at(a, (unknown[..., :, None], unknown[..., None, :]), k)
    free = np.concatenate([(fixed.ravel() & 1) == 0, (fixed.ravel() & 2) == 0, np.ones(NY * NX, bool)])[:len(a)]
    a *= np.outer(free, free)
    values, vectors = np.linalg.eigh(a)
    kept = values > elements.tiny
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T


@njit(cache=True, nogil=True)
def _element(d, place, lam, mu, k_lam, k_mu, packed, i, j, k):
    """k (4 d, 4 d) = the matrix of element (i, j)."""
    for a in range(4 * d):
        for b in range(4 * d):
            if d == 2:
                k[a, b] = lam[i, j] * k_lam[a, b] + mu[i, j] * k_mu[a, b]
            else:
                k[a, b] = packed[i, j, place[a, b]]


@njit(cache=True, nogil=True)
def _generalised_inverse(a, n, tiny):
    """Replace the symmetric positive semi-definite (n, n) matrix by its inverse; what nothing resists becomes zero."""
    for k in range(n):
        pivot = a[k, k]
        if not pivot > tiny:
            for i in range(n):
                a[i, k], a[k, i] = 0.0, 0.0
            continue
        for i in range(n):
            for j in range(n):
                if i != k and j != k:
                    a[i, j] -= a[i, k] * a[k, j] / pivot
        for i in range(n):
            if i != k:
                a[i, k] /= pivot
                a[k, i] = a[i, k]
        a[k, k] = -1.0 / pivot
    for i in range(n):
        for j in range(n):
            a[i, j] = -a[i, j]


@njit(cache=True, nogil=True)
def _is_fixed(fixed, i, j, unknown):
    return unknown < 2 and fixed[i % fixed.shape[0], j % fixed.shape[1]] >> unknown & 1 == 1


@njit(cache=True, nogil=True)
def _assemble_rows(d, place, lam, mu, k_lam, k_mu, packed, height, width, fixed, wrap_y, wrap_x, tiny, kind, link, diagonal, inverse,
                   first, last):
    ny, nx = len(height), len(width)
    k, sums, own = np.empty((4 * d, 4 * d)), np.empty((4, d, d)), np.empty((d, d))
    known = np.full((_KINDS, 2), -1)  # a node that has been done, for each kind
    for i in range(first, last):
        for j in range(fixed.shape[1]):
            n = _inside(kind, fixed, i, j)
            if n >= 0:
                if known[n, 0] >= 0:
                    _repeat(link, known[n, 0], known[n, 1], i + 1, j + 1)
                    _repeat(diagonal, known[n, 0], known[n, 1], i + 1, j + 1)
                    _repeat(inverse, known[n, 0], known[n, 1], i + 1, j + 1)
                    continue
                known[n] = i + 1, j + 1
            sums[:], own[:] = 0, 0
            for p in range(2):
                for q in range(2):  # the element in which this node is corner (p, q)
                    y, x = i - p, j - q
                    if (y < 0 and not wrap_y) or y >= ny or (x < 0 and not wrap_x) or x >= nx:
                        continue
                    _element(d, place, lam, mu, k_lam, k_mu, packed, y % ny, x % nx, k)
                    for a in range(d):
                        for b in range(d):
                            me = (2 * p + q) * d + a
                            own[a, b] += k[me, (2 * p + q) * d + b]
                            if q == 0:
                                sums[0, a, b] += k[me, (2 * p + 1) * d + b]
                            if p == 0:
                                sums[1, a, b] += k[me, (2 + q) * d + b]
                                sums[2 + q, a, b] += k[me, (3 - q) * d + b]
            _store(d, fixed, tiny, i, j, sums, own, link, diagonal, inverse)


@njit(cache=True, nogil=True)
def _number_kinds(lam, mu, table, found):
    count, last = 0, 0
    for i in range(lam.shape[0]):
        for j in range(lam.shape[1]):
            if count == 0 or table[last, 0] != lam[i, j] or table[last, 1] != mu[i, j]:
                last = 0
                while last < count and not (table[last, 0] == lam[i, j] and table[last, 1] == mu[i, j]):
                    last += 1
                if last == count < len(table):
                    table[last] = lam[i, j], mu[i, j]
                    count += 1
            found[i, j] = last if last < count else -1
            last = min(last, count - 1)


@njit(cache=True, nogil=True)
def _inside(kind, fixed, i, j):
    """The kind of all four elements around node (i, j), with nothing fixed about it; else -1. Not across sides that wrap."""
    if i < 1 or j < 1 or i >= kind.shape[0] or j >= kind.shape[1] or i + 1 >= fixed.shape[0] or j + 1 >= fixed.shape[1]:
        return -1
    n = kind[i, j]
    if kind[i - 1, j - 1] != n or kind[i - 1, j] != n or kind[i, j - 1] != n:
        return -1
    for y in range(i - 1, i + 2):
        for x in range(j - 1, j + 2):
            if fixed[y, x] != 0:
                return -1
    return n


@njit(cache=True, nogil=True)
def _repeat(planes, row, column, i, j):
    for n in range(planes.shape[0]):
        planes[n, i, j] = planes[n, row, column]


@njit(cache=True, nogil=True)
def _store(d, fixed, tiny, i, j, sums, own, link, diagonal, inverse):
    for a in range(d):
        for b in range(d):
            gone = _is_fixed(fixed, i, j, a)
            for n in range(4):
                down, right = (0, 1, 1, 1)[n], (1, 0, 1, -1)[n]
                if not (gone or _is_fixed(fixed, i + down, j + right, b)):
                    link[(n * d + a) * d + b, i + 1, j + 1] = sums[n, a, b]
            if gone or _is_fixed(fixed, i, j, b):
                own[a, b] = 0
            diagonal[a * d + b, i + 1, j + 1] = own[a, b]
    _generalised_inverse(own, d, tiny)
    for a in range(d):
        for b in range(d):
            inverse[a * d + b, i + 1, j + 1] = own[a, b]


@njit(cache=True, nogil=True)
def _edge_rows(d, place, lam, mu, k_lam, k_mu, packed, height, width, fixed, wrap_y, wrap_x, tiny, kind, coarse_columns, along, down,
               same, first, last):
    NY, NX = fixed.shape
    known = np.full((2, _KINDS, 2), -1)
    k, own, sums, t = np.empty((4 * d, 4 * d)), np.empty((3 * d, 3 * d)), np.empty((3 * d, 6)), np.zeros((d, 3))
    for I in range(first, last):
        for J in range(coarse_columns):
            for way in range(2):
                i, j = min(2 * I, NY - 1), min(2 * J, NX - 1)
                if way == 0:
                    j = 2 * J + 1
                    if j >= NX - (not wrap_x):
                        continue
                else:
                    i = 2 * I + 1
                    if i >= NY - (not wrap_y):
                        continue
                n = _inside(kind, fixed, i, j)
                same[way, I, J] = n
                if n >= 0:
                    if known[way, n, 0] >= 0:
                        _repeat(along if way == 0 else down, known[way, n, 0], known[way, n, 1], I + 1, J + 1)
                        continue
                    known[way, n] = I + 1, J + 1
                _edge(d, place, lam, mu, k_lam, k_mu, packed, height, width, fixed, wrap_y, wrap_x, i, j, way, k, own, sums, t)
                _generalised_inverse(own, 3 * d, tiny)
                for a in range(d):
                    for n in range(6):
                        value = 0.0
                        for b in range(3 * d):
                            value -= own[d + a, b] * sums[b, n]
                        if way == 0:
                            along[a * 6 + n, I + 1, J + 1] = value
                        else:
                            down[a * 6 + n, I + 1, J + 1] = value


@njit(cache=True, nogil=True)
def _edge(d, place, lam, mu, k_lam, k_mu, packed, height, width, fixed, wrap_y, wrap_x, i, j, way, k, own, sums, t):
    """own (3 d, 3 d), sums (3 d, 6): the forces on the column of three nodes through node (i, j), of its displacements
    and of the rigid motions of the columns beside it."""
    ny, nx = len(height), len(width)
    own[:], sums[:] = 0, 0
    for p in range(2):
        for q in range(2):
            y, x = i - 1 + p, j - 1 + q
            if (y < 0 and not wrap_y) or y >= ny or (x < 0 and not wrap_x) or x >= nx:
                continue
            y, x = y % ny, x % nx
            _element(d, place, lam, mu, k_lam, k_mu, packed, y, x, k)
            for m in range(4):
                if (q - 1 + m % 2 if way == 0 else p - 1 + m // 2) != 0:
                    continue
                for n in range(4):
                    down, right = p - 1 + n // 2, q - 1 + n % 2
                    if (right if way == 0 else down) == 0:
                        _add_own(d, fixed, k, m, n, i + p - 1, j + q - 1, p + m // 2 if way == 0 else q + m % 2,
                                 p + n // 2 if way == 0 else q + n % 2, own)
                    else:
                        _rigid(d, fixed, i, j, down, right, way, height[y], width[x], t)
                        _add_pull(d, k, m, n, t, p + m // 2 if way == 0 else q + m % 2, 0 if (q if way == 0 else p) == 0 else 3, sums)


@njit(cache=True, nogil=True)
def _add_own(d, fixed, k, m, n, i, j, me, other, own):
    """own[me, other] += k[m, n] of the element whose first corner is node (i, j), without fixed unknowns."""
    for a in range(d):
        for b in range(d):
            if not (_is_fixed(fixed, i + m // 2, j + m % 2, a) or _is_fixed(fixed, i + n // 2, j + n % 2, b)):
                own[me * d + a, other * d + b] += k[m * d + a, n * d + b]


@njit(cache=True, nogil=True)
def _add_pull(d, k, m, n, t, me, first, sums):
    """sums[me] += k[m, n] t for the three rigid motions from `first` on."""
    for a in range(d):
        for b in range(d):
            for c in range(3):
                sums[me * d + a, first + c] += k[m * d + a, n * d + b] * t[b, c]


@njit(cache=True, nogil=True)
def _rigid(d, fixed, i, j, down, right, way, height, width, t):
    """t (d, 3): how node (i + down, j + right) follows the rigid motion of the coarse node of its column (way 0) or row."""
    t[:] = 0
    if not _is_fixed(fixed, i + down, j + right, 0):
        t[0, 0], t[0, 2] = 1.0, -0.5 * down * height if way == 0 else 0.0
    if not _is_fixed(fixed, i + down, j + right, 1):
        t[1, 1], t[1, 2] = 1.0, 0.5 * right * width if way == 1 else 0.0
    if d == 3:
        t[2, 2] = 0.5


@njit(cache=True, nogil=True)
def _cell_rows(d, place, lam, mu, k_lam, k_mu, packed, height, width, fixed, wrap_y, wrap_x, tiny, kind, same, coarse_columns, along,
               down, middle, out, coarse_kind, first, last):
    k, p, kp = np.empty((4 * d, 4 * d)), np.empty((9, d, 12)), np.empty((4 * d, 12))
    own, sums, result = np.empty((d, d)), np.empty((d, 12)), np.empty((12, 12))
    known = np.full((_KINDS, 2), -1)
    for I in range(first, last):
        for J in range((len(width) + 1) // 2):
            m = same[0, I, J]
            if not (same[0, I + 1, J] == m and same[1, I, J] == m and same[1, I, J + 1] == m):
                m = -1
            coarse_kind[I, J] = m
            if m >= 0:
                if known[m, 0] >= 0:
                    _repeat(middle, known[m, 0] + 1, known[m, 1] + 1, I + 1, J + 1)
                    out[I, J] = out[known[m, 0], known[m, 1]]
                    continue
                known[m] = I, J
            high, wide = min(2, len(height) - 2 * I), min(2, len(width) - 2 * J)
            _known_rows(d, fixed, I, J, high, wide, along, down, p)
            if high == 2 and wide == 2:
                own[:], sums[:] = 0, 0
                for m in range(4):
                    _element(d, place, lam, mu, k_lam, k_mu, packed, 2 * I + m // 2, 2 * J + m % 2, k)
                    _pull(d, k, m, p, own, sums)
                _settle(d, fixed, tiny, 2 * I + 1, 2 * J + 1, own, sums, p[4])
                for a in range(d):
                    for n in range(12):
                        middle[a * 12 + n, I + 1, J + 1] = p[4, a, n]
                        p[4, a, n] = middle[a * 12 + n, I + 1, J + 1]  # as rounded: the coarse operator is that of the cycle
            result[:] = 0
            for y in range(high):
                for x in range(wide):
                    _element(d, place, lam, mu, k_lam, k_mu, packed, 2 * I + y, 2 * J + x, k)
                    _galerkin(d, k, 3 * y + x, p, kp, result)
            for a in range(12):
                for b in range(a, 12):
                    out[I, J, place[a, b]] = result[a, b]


@njit(cache=True, nogil=True)
def _known_rows(d, fixed, I, J, high, wide, along, down, p):
    """Weights p (node 3 y + x, unknown, 12) of a coarse cell's corners and edges."""
    p[:] = 0
    for n in range(4):
        y, x = high * (n // 2), wide * (n % 2)
        for a in range(d):
            if not _is_fixed(fixed, 2 * I + y, 2 * J + x, a):
                p[3 * y + x, a, 3 * n + a] = 0.5 if a == 2 else 1.0
    for a in range(d):
        for n in range(6):
            half = n // 3
            if wide == 2:
                p[1, a, n] = along[a * 6 + n, I + 1, J + 1]
                p[3 * high + 1, a, 6 + n] = along[a * 6 + n, I + 2, J + 1]
            if high == 2:
                p[3, a, 6 * half + n % 3] = down[a * 6 + n, I + 1, J + 1]
                p[3 + wide, a, 3 + 6 * half + n % 3] = down[a * 6 + n, I + 1, J + 2]


@njit(cache=True, nogil=True)
def _pull(d, k, m, p, own, sums):
    """What element m of a cell adds to the block of the middle node and to its pull towards the coarse unknowns."""
    me = 3 - m
    for a in range(d):
        for n in range(4):
            node = 3 * (m // 2 + n // 2) + m % 2 + n % 2
            for b in range(d):
                value = k[me * d + a, n * d + b]
                if n == me:
                    own[a, b] += value
                else:
                    for c in range(12):
                        sums[a, c] += value * p[node, b, c]


@njit(cache=True, nogil=True)
def _settle(d, fixed, tiny, i, j, own, sums, p):
    """p (d, 12) = - own^-1 sums, without the fixed unknowns."""
    for a in range(d):
        for b in range(d):
            if _is_fixed(fixed, i, j, a) or _is_fixed(fixed, i, j, b):
                own[a, b] = 0
    _generalised_inverse(own, d, tiny)
    for a in range(d):
        for c in range(12):
            total = 0.0
            for b in range(d):
                total -= own[a, b] * sums[b, c]
            p[a, c] = total


@njit(cache=True, nogil=True)
def _galerkin(d, k, corner, p, kp, result):
    """result (its upper triangle) += p^T k p for the element whose first corner is node `corner` of the cell."""
    kp[:] = 0
    for a in range(4 * d):
        for b in range(4 * d):
            value, node = k[a, b], corner + 3 * (b // d // 2) + b // d % 2
            for c in range(12):
                kp[a, c] += value * p[node, b % d, c]
    for a in range(4 * d):
        node = corner + 3 * (a // d // 2) + a // d % 2
        for r in range(12):
            value = p[node, a % d, r]
            if value != 0.0:
                for c in range(12):
                    result[r, c] += value * kp[a, c]


def _arguments(elements):
    """The element matrices as kernel arguments; arrays a level doesn't have are stood in for by another."""
    full = elements.k_lam
    return (*(a if a.size else full for a in (elements.lam, elements.mu)), elements.k_lam, elements.k_mu,
            elements.packed if elements.packed.size else full, elements.height, elements.width, elements.fixed,
            *(np.int32(n) for n in (*elements.shape, *elements.nodes, *elements.periodic)), np.float64(elements.tiny))
