"""Conjugate gradients with a preconditioner, for several right-hand sides at once.

M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. NBS 49 (1952) 409.
Double precision throughout; the preconditioner works in single precision and only has to be symmetric and positive.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .backend import NotConverged, array_module, grid, launch, on_device
from .threads import in_pieces, processors


@dataclass(frozen=True)
class Solution:
    """x: (S, ...) float64. iterations: int. error: (S,) estimated error of x in the energy norm, relative."""

    x: np.ndarray
    iterations: int
    error: np.ndarray


def conjugate_gradients(apply, precondition, b, x=None, tolerance=1e-8, start=None, limit=500):
    """Solve A x = b for S right-hand sides with one symmetric positive (semi-)definite A.

    apply(p, q): writes A p into q, both (S, ...) float64, and returns the S inner products p . q. Or an operator with that
        method and, for processors, `search` and `advance`, which pass over memory once where `_Apart` does twice.
    precondition(r): (S, ...) float32 in, an approximation of A^-1 r out, float32, linear, symmetric and positive.
    b: (S, ...) float64, C-contiguous, overwritten (it becomes the residual); None for 0, where x holds given values that
        apply feels and no p ever changes. x: starting point, overwritten; 0 if None.
    tolerance: stop when sqrt(r . M r), the estimate of |x - A^-1 b| in the energy norm, is at most tolerance times the
        energy norm of the answer, for each right-hand side. With g = the energy gained since the start (its squared
        error less the present one), that is sqrt(start - g) where b comes from fixed values alone and start (S,) is
        the energy of the starting point, fixed values included; and sqrt(g) where start is None.
    Raises NotConverged after `limit` iterations, or where a number is not finite, or A or M is not positive.
    """
    like = x if b is None else b
    xp = array_module(like)
    if x is None:
        x, r = xp.zeros(like.shape), b
    else:
        r = xp.zeros(like.shape)
        energy = _per_field(getattr(apply, "apply", apply)(x, r))
        start = energy if b is None else start
        r = _negate(r) if b is None else xp.subtract(b, r, out=b)
    steps = apply if hasattr(apply, "search") and not on_device(like) else _Apart(getattr(apply, "apply", apply), like)
    # zeros that are made as they are met, by the threads that meet them
    p, short = xp.zeros(like.shape), xp.zeros(like.shape, np.float32)
    largest = _largest(r)
    # the cycle works in single precision: bring each residual near 1, so that neither end of the range is met
    scale = 1.0 / np.where(largest > 0, largest, 1.0)
    _shorten(r, scale, short)
    z = precondition(short)
    rz = _dot(short, z) / scale**2
    if ((rz == 0) & (largest > 0)).any():
        raise NotConverged("the preconditioner returns nothing for what is left to solve: properties differ by more than single precision holds")
    gained, done, error, before = np.zeros(len(x)), np.zeros(len(x), bool), np.abs(rz), None
    for iteration in range(limit + 1):
        if not np.isfinite(rz).all() or (rz[~done] < 0).any():
            raise NotConverged(f"conjugate gradients broke down at iteration {iteration}: r . M r = {rz.min():.3g}")
        # never below what rounding leaves of the start: a picture that does not conduct at all has energy 0
        energy = gained if start is None else np.maximum(start - gained, 1e-10 * start)
        error = np.where(done, error, np.abs(rz))
        # a right-hand side that is done stands still: beyond its rounding error there is nothing to follow
        done |= rz <= tolerance**2 * energy
        if done.all():
            return Solution(x, iteration, np.sqrt(error / np.where(energy > 0, energy, 1.0)))
        if iteration == limit:
            break
        pq = _per_field(steps.search(p, z, 1.0 / scale, rz / before if iteration else np.zeros(len(x))))
        if not np.isfinite(pq).all() or (pq[~done] <= 0).any():
            raise NotConverged(f"conjugate gradients broke down at iteration {iteration}: p . A p = {pq.min():.3g}")
        alpha = np.where(done, 0.0, rz / np.where(pq > 0, pq, 1.0))
        steps.advance(x, r, p, alpha, scale, short)
        gained += alpha * rz
        z = precondition(short)
        before, rz = np.where(rz > 0, rz, 1.0), _dot(short, z) / scale**2
    raise NotConverged(f"conjugate gradients reached {np.sqrt((rz / np.maximum(energy, 1e-300)).max()):.2g} in {limit} iterations, not {tolerance:.2g}")


class _Apart:
    """The two steps of an iteration for any operator, with an array for A p between them."""

    def __init__(self, apply, like):
        self.apply, self.q = apply, array_module(like).zeros(like.shape)

    def search(self, p, z, scale, beta):
        """p = z scale + beta p; the S inner products of p and A p."""
        _turn(p, z, scale, beta)
        return self.apply(p, self.q)

    def advance(self, x, r, p, alpha, scale, short):
        """x += alpha p, r -= alpha A p, short = r scale, a number each for every right-hand side."""
        _advance(x, r, p, self.q, alpha, scale, short)


def _per_field(a):
    return np.asarray(a.get() if hasattr(a, "get") else a, np.float64)


def _largest(r):
    """Largest size in each right-hand side; NaN where there is one."""
    if on_device(r):
        return np.array([float(abs(a).max()) for a in r])
    return np.max(in_pieces(_largest_pieces, _cuts(r), r.reshape(len(r), -1)), axis=0)


def _negate(r):
    """-r, in place."""
    if on_device(r):
        return array_module(r).negative(r, out=r)
    in_pieces(_negate_piece, _cuts(r), r.reshape(len(r), -1))
    return r


def _shorten(r, scale, short):
    """short = r scale, in single precision."""
    if on_device(r):
        short[...] = r * array_module(r).asarray(scale).reshape(-1, *(1,) * (r.ndim - 1))
        return
    in_pieces(_shorten_pieces, _cuts(r), r.reshape(len(r), -1), scale, short.reshape(len(r), -1))


def _advance(x, r, p, q, alpha, scale, short):
    """x += alpha p, r -= alpha q, short = r scale, a number each for every right-hand side."""
    if on_device(x):
        return _advance_cuda(x, r, p, q, alpha, scale, short)
    fields = len(x)
    return in_pieces(_advance_pieces, _cuts(x), *(a.reshape(fields, -1) for a in (x, r, p, q)), alpha, scale, short.reshape(fields, -1))


def _turn(p, z, scale, beta):
    """p = z scale + beta p."""
    if on_device(p):
        return _turn_cuda(p, z, scale, beta)
    return in_pieces(_turn_pieces, _cuts(p), p.reshape(len(p), -1), z.reshape(len(p), -1), scale, beta)


def _dot(r, z):
    """The S inner products of r and z, both float32, in float64, on the host."""
    if on_device(r):
        return _per_field((r.astype(np.float64) * z).sum(axis=tuple(range(1, r.ndim))))
    return np.sum(in_pieces(_dot_pieces, _cuts(r), r.reshape(len(r), -1), z.reshape(len(r), -1)), axis=0)


def _cuts(a):
    length = a[0].size
    pieces = max(1, min(length // 65536, 2 * processors()))
    return np.arange(pieces + 1) * length // pieces


@njit(cache=True, nogil=True)
def _largest_pieces(r, a, b):
    largest = np.zeros(r.shape[0])
    for f in range(r.shape[0]):
        for j in range(a, b):
            size = abs(r[f, j])
            if not size <= largest[f]:
                largest[f] = size
    return largest


@njit(cache=True, nogil=True)
def _negate_piece(r, a, b):
    for f in range(r.shape[0]):
        for j in range(a, b):
            r[f, j] = -r[f, j]


@njit(cache=True, nogil=True)
def _shorten_pieces(r, scale, short, a, b):
    for f in range(r.shape[0]):
        _shorten_piece(r[f, a:b], scale[f], short[f, a:b])


@njit(cache=True)
def _shorten_piece(r, scale, short):
    for j in range(r.size):
        short[j] = r[j] * scale


@njit(cache=True)
def _advance_piece(x, r, p, q, alpha, scale, short):
    for j in range(x.size):
        x[j] += alpha * p[j]
    for j in range(x.size):
        r[j] -= alpha * q[j]
        short[j] = r[j] * scale


@njit(cache=True, nogil=True)
def _advance_pieces(x, r, p, q, alpha, scale, short, a, b):
    for f in range(x.shape[0]):
        _advance_piece(x[f, a:b], r[f, a:b], p[f, a:b], q[f, a:b], alpha[f], scale[f], short[f, a:b])


@njit(cache=True)
def _turn_piece(p, z, scale, beta):
    for j in range(p.size):
        p[j] = scale * z[j] + beta * p[j]


@njit(cache=True, nogil=True)
def _turn_pieces(p, z, scale, beta, a, b):
    for f in range(p.shape[0]):
        _turn_piece(p[f, a:b], z[f, a:b], scale[f], beta[f])


@njit(cache=True)
def _dot_piece(r, z):
    # eight partial sums: the loop keeps its order and still fills a vector register
    total, n = np.zeros(8), r.size // 8 * 8
    for j in range(0, n, 8):
        for m in range(8):
            total[m] += np.float64(r[j + m]) * z[j + m]
    for j in range(n, r.size):
        total[0] += np.float64(r[j]) * z[j]
    return total.sum()


@njit(cache=True, nogil=True)
def _dot_pieces(r, z, a, b):
    dots = np.zeros(r.shape[0])
    for f in range(r.shape[0]):
        dots[f] = _dot_piece(r[f, a:b], z[f, a:b])
    return dots


def _advance_cuda(x, r, p, q, alpha, scale, short):
    import cupy
    n = x[0].size
    launch("krylov", "cg_advance", (grid(n), len(x)), 256, x, r, p, q, cupy.asarray(alpha), cupy.asarray(scale), short, np.int64(n))


def _turn_cuda(p, z, scale, beta):
    import cupy
    n = p[0].size
    launch("krylov", "cg_turn", (grid(n), len(p)), 256, p, z, cupy.asarray(scale), cupy.asarray(beta), np.int64(n))
