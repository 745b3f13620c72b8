"""On which side of a line a point lies, decided exactly.

A floating-point determinant with a proven error bound settles nearly every case; the rest is summed without rounding
(J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric predicates", 1997). The CUDA
twin is `orientation.cuh`: the same operations in the same order, so both give the same answer to the bit.
"""

import numpy as np
from numba import njit

_BOUND = (3.0 + 16.0 * 2.0**-53) * 2.0**-53  # of |left| + |right|, Shewchuk's "A" bound
_SPLITTER = 134217729.0  # 2**27 + 1
LARGEST = 1e100  # coordinates beyond this could overflow the exact sum


@njit(cache=True, nogil=True)
def side(ax, ay, bx, by, px, py):
    """1 if p lies left of the line a -> b, -1 if right of it, 0 if exactly on it. Coordinates up to 1e100."""
    left = (ax - px) * (by - py)
    right = (ay - py) * (bx - px)
    determinant = left - right
    if abs(determinant) > _BOUND * (abs(left) + abs(right)):
        return 1 if determinant > 0.0 else -1
    return _exact_side(ax, ay, bx, by, px, py)


@njit(cache=True, nogil=True)
def _exact_side(ax, ay, bx, by, px, py):
    # the determinant multiplied out, six products without rounding: ax by - ay bx - ax py + ay px - px by + py bx
    sum_ = np.zeros(12)
    n = _add_product(sum_, 0, ax, by)
    n = _add_product(sum_, n, -ay, bx)
    n = _add_product(sum_, n, -ax, py)
    n = _add_product(sum_, n, ay, px)
    n = _add_product(sum_, n, -px, by)
    n = _add_product(sum_, n, py, bx)
    for i in range(11, -1, -1):  # parts grow in size and don't overlap: the last that is not zero has the sign
        if sum_[i] != 0.0:
            return 1 if sum_[i] > 0.0 else -1
    return 0


@njit(cache=True, nogil=True)
def _add_product(sum_, n, a, b):
    high = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    low = a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low)
    _grow(sum_, n, low)
    _grow(sum_, n + 1, high)
    return n + 2


@njit(cache=True, nogil=True)
def _halves(a):
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


@njit(cache=True, nogil=True)
def _grow(sum_, n, b):
    for i in range(n):
        total = b + sum_[i]
        virtual = total - b
        sum_[i] = (b - (total - virtual)) + (sum_[i] - virtual)
        b = total
    sum_[n] = b
