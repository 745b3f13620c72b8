"""Hours of shortage counted: by sample, by hour of the year, by how long they last and how deep they go; the worst kept."""

import numpy as np
from numba import njit

HOURS, KWH, EVENTS, DAYS, PEAK_DAYS, WORST = range(6)  # columns of totals
LONGEST = 336  # hours; longer shortages count with this
DEPTHS_KW = np.array([m * 10**e for e in range(3, 9) for m in (1, 2, 5)])  # classes of depth begin at 0 and at each of these
KEPT = 100  # worst hours
_STEPS = 2**20  # of a place's peak demand: shortages are squared in these, so that sums of squares stay whole numbers


class Tally:
    """Sums over the samples first .. last for P places, each some of the R regions. Every sum is of whole numbers, so that
    neither order nor division into parts changes any.

    totals (S, P, 6) int64 by sample: hours short, kWh, shortages that begin, days with any, days short at the peak hour,
    kW of the worst hour. plate (S, 2): hours short and kWh of the same draws were the system one area without limits and
    stores. count, kwh (P, T) int64 by hour; square (T,) int64, of the system's shortage in `step` kW. durations (P, 337)
    and depths (P, 19) int64: shortages that last so many hours, hours short by so many kW; and the sums over samples of
    the squares of each sample's. worst (N, 3) int64: kW of the system, sample, hour of the N worst hours, worst_kw (N, R).
    """

    SUMS = ("count", "kwh", "square", "durations", "durations_square", "depths", "depths_square")
    BY_SAMPLE = ("totals", "plate")
    KEPT = ("worst", "worst_kw")

    def __init__(self, samples, members, peak, peak_kw, first=0):
        """members (P, R) bool, the last the whole system. peak (P, T) bool: the hour of each day that counts for PEAK_DAYS.
        peak_kw: the highest demand of the system."""
        P, T = peak.shape
        self.first = first
        self.totals, self.plate = np.zeros((samples, P, 6), np.int64), np.zeros((samples, 2), np.int64)
        self.count, self.kwh = np.zeros((2, P, T), np.int64)
        self.square, self.step = np.zeros(T, np.int64), max(1, -(-int(peak_kw) // _STEPS))
        self.durations, self.durations_square = np.zeros((2, P, LONGEST + 1), np.int64)
        self.depths, self.depths_square = np.zeros((2, P, len(DEPTHS_KW) + 1), np.int64)
        self.worst, self.worst_kw = np.zeros((0, 3), np.int64), np.zeros((0, members.shape[1]), np.int64)
        self.peak = peak
        self._begin = np.cumsum([0, *members.sum(1)])
        self._member = np.nonzero(members)[1]

    def add(self, sample, hour, unserved, plate):
        """sample, hour (K,), sorted, whole samples; unserved (K, R) kW; plate (K,) kW, what the copper plate lacks."""
        _add(sample - self.first, hour, unserved, plate, self._begin, self._member, self.peak, self.step, DEPTHS_KW, self.totals, self.plate, self.count,
             self.kwh, self.square, self.durations, self.durations_square, self.depths, self.depths_square)
        self._keep(np.stack([unserved.sum(1), sample, hour], axis=1), unserved)

    def absorb(self, part):
        """Take in a Tally of some of the samples."""
        rows = slice(part.first - self.first, part.first - self.first + len(part.totals))
        for name in self.BY_SAMPLE:
            getattr(self, name)[rows] = getattr(part, name)
        for name in self.SUMS:
            getattr(self, name)[:] += getattr(part, name)
        self._keep(part.worst, part.worst_kw)

    def _keep(self, worst, kw):
        """The worst hours of those kept and these: by kW, then the earlier sample and hour."""
        if len(self.worst) == KEPT:
            some = worst[:, 0] >= self.worst[-1, 0]
            worst, kw = worst[some], kw[some]
        worst, kw = np.concatenate([self.worst, worst]), np.concatenate([self.worst_kw, kw])
        order = np.lexsort([worst[:, 2], worst[:, 1], -worst[:, 0]])
        order = order[worst[order, 0] > 0][:KEPT]
        self.worst, self.worst_kw = worst[order], kw[order]

    def state(self, done):
        """{name: array} of the first `done` samples."""
        return {n: getattr(self, n)[:done] for n in self.BY_SAMPLE} | {n: getattr(self, n) for n in (*self.SUMS, *self.KEPT)}

    def __getstate__(self):
        """To travel to a worker and back: most sums are 0."""
        return {name: _thin(value) for name, value in vars(self).items()}

    def __setstate__(self, state):
        vars(self).update({name: _full(value) for name, value in state.items()})

    def restore(self, state):
        """Put in what `state` told; how many samples that is."""
        for name in self.BY_SAMPLE:
            getattr(self, name)[:len(state[name])] = state[name]
        for name in self.SUMS:
            getattr(self, name)[:] = state[name]
        self.worst, self.worst_kw = state["worst"], state["worst_kw"]
        return len(state["totals"])


def _thin(value):
    """An array as its shape, kind and what of it is not 0, where that is less."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == bool:
        return "bits", value.shape, np.packbits(value)
    there = np.flatnonzero(value)
    return ("some", value.shape, value.dtype, there, value.ravel()[there]) if 2 * len(there) < value.size else value


def _full(value):
    if not isinstance(value, tuple):
        return value
    if value[0] == "bits":
        return np.unpackbits(value[2], count=int(np.prod(value[1]))).astype(bool).reshape(value[1])
    _, shape, dtype, there, values = value
    whole = np.zeros(shape, dtype)
    whole.ravel()[there] = values
    return whole


@njit(cache=True, nogil=True)
def _add(sample, hour, unserved, plate, first, member, peak, step, edges, totals, plates, count, kwh, square, durations, durations2, depths, depths2):
    P = len(first) - 1
    begun, last, now = np.zeros(P, np.int64), np.full(P, -2), -1
    lasted, deep = np.zeros(durations.shape, np.int64), np.zeros(depths.shape, np.int64)
    for k in range(len(hour)):
        s, t = sample[k], hour[k]
        if s != now:
            _end_sample(begun, last, lasted, deep, durations, durations2, depths, depths2)
            now = s
        plates[s, 0] += plate[k] > 0
        plates[s, 1] += max(plate[k], 0)
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
                    lasted[p, min(last[p] - begun[p] + 1, lasted.shape[1] - 1)] += 1
                total[EVENTS] += 1
                begun[p] = t
            last[p] = t
            deep[p, np.searchsorted(edges, kw, side="right")] += 1
            count[p, t] += 1
            kwh[p, t] += kw
            if p == P - 1:
                square[t] += (kw // step) ** 2
    _end_sample(begun, last, lasted, deep, durations, durations2, depths, depths2)


@njit(cache=True, nogil=True)
def _end_sample(begun, last, lasted, deep, durations, durations2, depths, depths2):
    for p in range(len(last)):
        if last[p] < 0:
            continue
        lasted[p, min(last[p] - begun[p] + 1, lasted.shape[1] - 1)] += 1
        last[p] = -2
        for here, total, squares in ((lasted[p], durations[p], durations2[p]), (deep[p], depths[p], depths2[p])):
            for i in range(len(here)):
                if here[i]:
                    total[i] += here[i]
                    squares[i] += here[i] ** 2
                    here[i] = 0
