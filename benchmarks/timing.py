"""One way to time, for all benchmarks."""

import time

import numpy as np


def best_of(function, repeats=3):
    """(seconds of the fastest of `repeats` calls, the last answer); waits for the device where the answer is on one."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        answer = function()
        _wait(answer)
        best = min(best, time.perf_counter() - started)
    return best, answer


def memory_bandwidth(megabytes=256):
    """Bytes a second of a large copy (read + written) with all of numba's threads: this machine's practical limit."""
    from numba import njit, prange

    @njit(parallel=True)
    def copy(a, b):
        for i in prange(a.size):
            b[i] = a[i]

    a = np.ones(megabytes * 1_000_000 // 8)
    b = np.empty_like(a)
    copy(a, b)
    seconds, _ = best_of(lambda: copy(a, b), 7)
    return 2 * a.nbytes / seconds


def _wait(answer):
    if type(answer).__module__.partition(".")[0] == "cupy":
        import cupy
        cupy.cuda.Device().synchronize()
