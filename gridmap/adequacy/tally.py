"""Hours of shortage counted: by sample, by hour of the year, and by how long they last."""

import numpy as np
from numba import njit

HOURS, KWH, EVENTS, DAYS, PEAK_DAYS, WORST = range(6)  # columns of totals
LONGEST = 336  # hours; longer shortages count with this


class Tally:
    """Sums over samples for P places, each some of the R regions.

    totals (S, P, 6) int64 by sample: hours short, kWh, shortages that begin, days with any, days short at the peak hour,
    kW of the worst hour. count, kwh (P, T) int64 by hour; durations (P, 337) int64, shortages that last so many hours.
    """

    def __init__(self, samples, members, peak):
        """members (P, R) bool. peak (P, T) bool: the hour of each day that counts for PEAK_DAYS."""
        P, T = peak.shape
        self.totals = np.zeros((samples, P, 6), np.int64)
        self.count, self.kwh = np.zeros((2, P, T), np.int64)
        self.durations = np.zeros((P, LONGEST + 1), np.int64)
        self.peak = peak
        self.first = np.cumsum([0, *members.sum(1)])
        self.member = np.nonzero(members)[1]

    def add(self, sample, hour, unserved):
        """sample, hour (K,), sorted; unserved (K, R) kW."""
        _add(sample, hour, unserved, self.first, self.member, self.peak, self.totals, self.count, self.kwh, self.durations)


@njit(cache=True, nogil=True)
def _add(sample, hour, unserved, first, member, peak, totals, count, kwh, durations):
    P = len(first) - 1
    begun, last, now = np.zeros(P, np.int64), np.full(P, -2), -1
    for k in range(len(hour)):
        s, t = sample[k], hour[k]
        if s != now:
            _end_all(begun, last, durations)
            now = s
        for p in range(P):
            kw = 0
            for i in range(first[p], first[p + 1]):
                kw += unserved[k, member[i]]
            if kw == 0:
                continue
            total = totals[s, p]
            total[HOURS] += 1
            total[KWH] += kw
            total[WORST] = max(total[WORST], kw)
            total[PEAK_DAYS] += peak[p, t]
            total[DAYS] += last[p] < 0 or last[p] // 24 != t // 24
            if last[p] != t - 1:
                if last[p] >= 0:
                    durations[p, min(last[p] - begun[p] + 1, durations.shape[1] - 1)] += 1
                total[EVENTS] += 1
                begun[p] = t
            last[p] = t
            count[p, t] += 1
            kwh[p, t] += kw
    _end_all(begun, last, durations)


@njit(cache=True, nogil=True)
def _end_all(begun, last, durations):
    for p in range(len(last)):
        if last[p] >= 0:
            durations[p, min(last[p] - begun[p] + 1, durations.shape[1] - 1)] += 1
        last[p] = -2
