"""Random numbers as a function of (seed, sample, item): the same bits on CPU and GPU, in any order, in any chunks.

Philox4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11):
the key is the seed, the counter is (sample, item), each 64 bits, low word first.

Other kernels draw inline: numba loops call `philox` and `unit`, CUDA kernels include `philox.cuh`.
"""

import math

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device

_LOW, _32, _20, _12 = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(20), np.uint64(12)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

# Normal quantile: M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988) 477. One row each for the
# middle, the tails and the far tails; 8 numerator then 8 denominator coefficients, constant first.
_QUANTILE = np.array([
    [3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
     1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3],
    [1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
     1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9],
    [6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
     1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15],
])


def words(seed, sample, item):
    """Four random 32-bit words for each (sample, item).

    seed: int, 0 .. 2**64-1. sample, item: integers >= 0 or integer arrays that broadcast to a shape S (NumPy or CuPy).
    Returns (*S, 4) uint32. Raises ValueError for a negative number, TypeError for one that is not an integer.
    """
    return _draw("words", seed, sample, item)


def uniform(seed, sample, item):
    """One number in (0, 1), ends excluded, for each (sample, item): arguments as in `words`; returns S, float64.

    52 bits from words 0 and 1: (bits + 1/2) / 2**52.
    """
    return _draw("uniform", seed, sample, item)


def normal(seed, sample, item):
    """One standard normal number for each (sample, item): arguments as in `words`; returns S, float64.

    The quantile of `uniform` (AS 241, relative error about 1e-15), so it is monotone in it; at most 8.3 in size.
    """
    return _draw("normal", seed, sample, item)


@njit(cache=True, nogil=True)
def philox(seed, sample, item):
    """The four words (as uint64 below 2**32) of one (seed, sample, item), each np.uint64: for use inside numba loops."""
    return _rounds(sample & _LOW, sample >> _32, item & _LOW, item >> _32, seed & _LOW, seed >> _32)


@njit(cache=True, nogil=True)
def unit(high, low):
    """A number in (0, 1) from two words of `philox`."""
    return (float((high << _20) | (low >> _12)) + 0.5) * (1.0 / 4503599627370496.0)


@njit(cache=True, nogil=True)
def _rounds(c0, c1, c2, c3, k0, k1):
    for _ in range(10):
        p, q = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (q >> _32) ^ c1 ^ k0, q & _LOW, (p >> _32) ^ c3 ^ k1, p & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def _draw(what, seed, sample, item):
    xp = array_module(*(a for a in (sample, item) if hasattr(a, "dtype") and a.ndim))
    sample, item = xp.broadcast_arrays(_counter(xp, sample, "sample"), _counter(xp, item, "item"))
    seed = int(seed)
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed {seed} is outside 0 .. 2**64-1: choose another")
    shape, seed = sample.shape, np.uint64(seed)
    sample, item = xp.ascontiguousarray(sample).ravel(), xp.ascontiguousarray(item).ravel()
    out = xp.empty((sample.size, 4), np.uint32) if what == "words" else xp.empty(sample.size, np.float64)
    if on_device(sample, item):
        _draw_cuda(what, seed, sample, item, out)
    else:
        _FILL[what](seed, sample, item, out)
    return out.reshape(shape + (4,) if what == "words" else shape)


def _counter(xp, numbers, name):
    numbers = xp.asarray(numbers)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {numbers.dtype}: pass integers")
    if numbers.dtype.kind == "i" and numbers.size and int(numbers.min()) < 0:
        raise ValueError(f"{name} has the negative number {int(numbers.min())}: counters start at 0")
    return numbers.astype(np.uint64)


@njit(cache=True, nogil=True)
def _words_cpu(seed, sample, item, out):
    for i in range(len(sample)):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = philox(seed, sample[i], item[i])


@njit(cache=True, nogil=True)
def _uniform_cpu(seed, sample, item, out):
    for i in range(len(sample)):
        high, low, _, _ = philox(seed, sample[i], item[i])
        out[i] = unit(high, low)


@njit(cache=True, nogil=True)
def _normal_cpu(seed, sample, item, out):
    for i in range(len(sample)):
        high, low, _, _ = philox(seed, sample[i], item[i])
        out[i] = quantile(unit(high, low))


_FILL = {"words": _words_cpu, "uniform": _uniform_cpu, "normal": _normal_cpu}


@njit(cache=True, nogil=True)
def quantile(u):
    """The standard normal quantile of u in (0, 1), for use inside numba loops."""
    q = u - 0.5
    if abs(q) <= 0.425:
        return q * _ratio(_QUANTILE[0], 0.180625 - q * q)
    r = math.sqrt(-log_same_bits(u if q < 0.0 else 1.0 - u))
    x = _ratio(_QUANTILE[1], r - 1.6) if r <= 5.0 else _ratio(_QUANTILE[2], r - 5.0)
    return -x if q < 0.0 else x


@njit(cache=True, nogil=True)
def log_same_bits(x):
    """The natural logarithm of x > 0, the same bits on every machine, for use inside numba loops."""
    # libm's last bit differs from machine to machine, + - * / and sqrt don't: log by 2 atanh((m-1)/(m+1))
    m, e = math.frexp(x)
    if m < 0.70710678118654752:
        m *= 2.0
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    total = 0.0
    for k in range(25, 2, -2):
        total = (total + 1.0 / k) * z
    return (2.0 * s + 2.0 * s * total) + e * 0.69314718055994531


@njit(cache=True, nogil=True)
def _ratio(t, r):
    a, b = t[7], t[15]
    for i in range(6, -1, -1):
        a = a * r + t[i]
        b = b * r + t[8 + i]
    return a / b


def _draw_cuda(what, seed, sample, item, out):
    import cupy
    tables = (cupy.asarray(_QUANTILE.ravel()),) if what == "normal" else ()
    launch("philox", f"philox_fill_{what}", grid(sample.size), 256, seed, sample, item, *tables, out, np.int64(sample.size))
