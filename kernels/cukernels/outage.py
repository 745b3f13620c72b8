"""Units that fail independently: the exact distribution of what they have out, and what that means for a load."""

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_host

MOST_STEPS = 50_000_000  # longest table: 800 MB


def outage_table(out, probability, rate):
    """Convolve units into the probability of every amount that can be out at once.

    out: (U, M) integers >= 0, steps of power that each of M states of a unit has out. probability: (U, M), each row
    adds up to 1. rate: (U, M) an hour, how often the state is left for one with less out, minus for one with more.
    NumPy or CuPy, all of one kind. A unit with fewer states repeats one with probability 0.

    Returns (2, K) float64, K - 1 the sum of the largest outages: row 0 the probability that k steps are out, row 1
    probability times rate, whose sum from k on is how often an hour the outage rises to k steps or more.

    Raises ValueError naming the unit for a probability outside 0 .. 1, a row that does not add up to 1 within 1e-9, NaN,
    a negative outage, or more than 50 million steps.
    Source: R. Billinton, R. N. Allan, Reliability Evaluation of Power Systems (1996), ch. 2 and 3.
    """
    xp = array_module(out, probability, rate)
    out, probability, rate = xp.asarray(out), xp.asarray(probability, dtype=float), xp.asarray(rate, dtype=float)
    _check(xp, out, probability, rate)
    out = xp.ascontiguousarray(out.astype(np.int64))
    steps = int(out.max(axis=1).sum()) if len(out) else 0
    if steps > MOST_STEPS:
        raise ValueError(f"the units have {steps} steps of power in all, more than {MOST_STEPS}: use a longer step")
    table = xp.zeros((2, steps + 1))
    table[0, 0] = 1.0
    if on_device(out):
        return _convolve_cuda(table, out, probability, rate)
    return _convolve_cpu(table, out, probability, rate)


def shortfall(table, available, load):
    """What a table says of a load: (3, T) with the probability that load exceeds what is left, the mean shortfall (in the
    unit of `load`) and how often an hour a failure brings the shortfall on.

    table: (2, K) of `outage_table`, one step of power a unit of `load`. available: everything, nothing out. load: (T,).
    """
    xp = array_module(table, load)
    reserve = available - xp.asarray(load, dtype=float)
    # short when out > reserve: the first such step
    K = table.shape[1]
    first = xp.clip(xp.floor(reserve) + 1, 0, K).astype(np.int64)
    # sums from the far end, where the small numbers are
    tails = xp.zeros((3, K + 1))
    tails[:2, :K] = xp.cumsum(table[:, ::-1], axis=1)[:, ::-1]
    tails[2, :K] = xp.cumsum((table[0] * xp.arange(K))[::-1])[::-1]
    probability, often, mean_out = tails[0][first], tails[1][first], tails[2][first]
    return xp.stack([probability, mean_out - probability * reserve, often])


def _check(xp, out, probability, rate):
    if out.ndim != 2 or out.shape != probability.shape or out.shape != rate.shape:
        raise ValueError(f"out, probability and rate have shapes {out.shape}, {probability.shape} and {rate.shape}: pass three (U, M)")
    if out.dtype.kind not in "iu":
        raise TypeError(f"out has dtype {out.dtype}: pass whole steps")
    for name, good in (("an outage below 0", out >= 0), ("a probability outside 0 .. 1", (probability >= 0) & (probability <= 1)),
                       ("a rate that is not finite", xp.isfinite(rate))):
        if not bool(good.all()):
            raise ValueError(f"unit {int(np.argwhere(~to_host(good))[0][0])} has {name}: correct it")
    total = abs(probability.sum(axis=1) - 1) < 1e-9
    if not bool(total.all()):
        raise ValueError(f"unit {int(np.argmin(to_host(total)))}: the probabilities of its states don't add up to 1")


def _convolve_cpu(table, out, probability, rate):
    _convolve(table, out, probability, rate)
    return table


@njit(cache=True, nogil=True)
def _convolve(table, out, probability, rate):
    """In place from the top down: a step takes only from those below it, and from itself last."""
    reach = 0
    for u in range(out.shape[0]):
        reach += out[u].max()
        for k in range(reach, -1, -1):
            p, often = 0.0, 0.0
            for m in range(out.shape[1]):
                j = k - out[u, m]
                if j >= 0:
                    p += probability[u, m] * table[0, j]
                    often += probability[u, m] * (table[1, j] + rate[u, m] * table[0, j])
            table[0, k], table[1, k] = p, often


def _convolve_cuda(table, out, probability, rate):
    import cupy
    other, (U, M), K = cupy.zeros_like(table), out.shape, table.shape[1]
    reach = np.cumsum(to_host(out.max(axis=1)))
    for u in range(U):
        launch("outage", "convolve_unit", grid(reach[u] + 1), 256, table, other, np.int64(K), np.int64(reach[u] + 1),
               out[u], probability[u], rate[u], np.int32(M))
        table, other = other, table
    return table
