"""Monte Carlo: outages drawn, hours of shortage split among regions, and counted."""

import numpy as np
from cukernels import residual_deficit
from cukernels.backend import array_module, to_device, to_host
from cukernels.chronology import Items, lost_power, short_hours
from cukernels.cuts import MOST_REGIONS, split_shortage
from cukernels.stores import MOST_STORES, Stores, run_stores

from gridmap import InputError
from gridmap.adequacy import draws, partial
from gridmap.adequacy.result import NAMES, Place, Result
from gridmap.adequacy.system import KW
from gridmap.adequacy.tally import Tally

SYSTEM = "system"
_BLOCK = 2**23  # samples x regions x hours worked on at a time
_FIRST_LOOK = 100  # samples before the error is looked at; then each time there are half as many more


def simulate(system, samples, seed=0, *, sequential=True, groups=None, relative_error=None, metric="eue_mwh", device="cpu", keep=None, say=None):
    """Loss-of-load indices of a `System` by `samples` drawn years (2 or more; the years are the hours of the load).

    Every unit and corridor is in or out in each hour: it fails and returns with the constant chances an hour that make its
    outage rate and mttr_h, from a state drawn at the rate. sequential False: every hour is drawn anew, which leaves the
    means and makes durations meaningless. What then is short is the least the corridors allow, in the fair split of
    `residual_deficit` (equal shares of demand within a pocket): exact, in kW, for up to 12 regions by every set of them,
    for more by maximum flows. The draws are a function of (seed, sample, unit), so neither the device nor the number of
    processors nor the size of the blocks changes any number. Stores run by `cukernels.stores`, without foresight.

    groups: {name: regions}. relative_error: stop once the error of the system's `metric` is at most this share of it,
    looked at after 100 samples and each time there are half as many more. device: "cpu", "cuda" or a `backend.Device`.
    keep: a file for the sums so far. A run that is started again with the same system and seed goes on from there (also to
    more samples) and ends with the same numbers. say: called with the samples done so far.

    Returns a `Result`. Raises InputError for samples below 2, an unknown region in a group, an unknown metric.
    """
    if samples < 2:
        raise InputError(f"{samples} samples have no error: draw 2 or more")
    if metric not in NAMES:
        raise InputError(f"metric {metric!r} is unknown: use one of {', '.join(NAMES)}")
    if len(system.storage) + len(system.responses) > MOST_STORES:
        raise InputError(f"{len(system.storage) + len(system.responses)} stores: {MOST_STORES} are run; join those of a region that are alike")
    problem = draws.problem(system, sequential)
    names, members = _places(system, groups or {})
    tally = Tally(samples, members, _peaks(problem.margin, members))
    energy = members @ problem.demand.sum(1) / KW
    there = _Device(problem, device)
    found = lambda n: Result(names, len(system.regions), n, seed, tally.totals[:n], tally.count, tally.kwh, tally.durations, energy)  # noqa: E731
    enough = lambda n: relative_error is not None and _is_look(n) and _within(getattr(Place(found(n), len(names) - 1), metric), relative_error)  # noqa: E731
    kept = partial.Partial(keep, problem, seed, members) if keep else None
    done = kept.load(tally) if kept else 0
    if enough(done):
        return found(done)
    for first, last in _blocks(done, samples, problem.columns * len(system.load), relative_error is not None):
        tally.add(*there.shortages(seed, first, last))
        if kept:
            kept.save(tally, last, whole=last == samples)
        if say:
            say(last)
        if enough(last):
            return found(last)
    return found(samples)


def _looks():
    look = _FIRST_LOOK
    while True:
        yield look
        look += look // 2


def _is_look(done):
    return done == next(look for look in _looks() if look >= done)


def _within(estimate, relative_error):
    return 0 < estimate.error <= relative_error * estimate.value


def _blocks(first, samples, size, looks):
    """Bounds of blocks of samples; every count at which the error is looked at ends a block."""
    most = max(_BLOCK // size, 1)
    while first < samples:
        last = min(first + most, samples)
        if looks:
            last = min(last, next(look for look in _looks() if look > first))
        yield first, last
        first = last


def _places(system, groups):
    """Names of regions, groups and the system, and (P, R) bool: the regions of each."""
    R = len(system.regions)
    names, members = [*system.regions, *map(str, groups), SYSTEM], [*np.eye(R, dtype=bool)]
    if len(set(names)) < len(names):
        raise InputError(f"two places have one name among {', '.join(names[R:])} and the regions: rename one")
    for name, regions in groups.items():
        rows = system.row([str(r) for r in regions])
        if len(rows) == 0 or (rows < 0).any():
            raise InputError(f"group {name!r} names a region that the system lacks, or none: regions are {', '.join(system.regions[:20])}")
        members.append(np.isin(np.arange(R), rows))
    return tuple(names), np.array([*members, np.ones(R, bool)])


def _peaks(margin, members):
    """(P, T) bool: the hour of least margin of each day of 24 hours, the first of equals."""
    margin = members @ margin
    peak = np.zeros(margin.shape, bool)
    for day in range(0, margin.shape[1], 24):
        peak[np.arange(len(margin)), day + margin[:, day:day + 24].argmin(1)] = True
    return peak


class _Device:
    """A problem where it is solved; what comes back is on the host."""

    def __init__(self, problem, device):
        move = lambda a: to_device(a, device)  # noqa: E731
        self.problem, self.move = problem, move
        self.items, self.stores = Items(*map(move, problem.items)), Stores(*map(move, problem.stores))
        self.margin, self.demand = move(problem.margin), move(problem.demand)
        self.ends = move(problem.tail), move(problem.head)
        self.limits = [move(a) for a in (problem.forward, problem.backward, problem.most_forward, problem.most_backward)]

    def shortages(self, seed, first, last):
        """sample, hour (K,) and unserved (K, R) kW of the hours in which some region lacks power of its own."""
        R, samples = len(self.margin), self.move(np.arange(first, last))
        if len(self.stores.region):
            sample, hour, lost = self._short_despite_stores(seed, samples)
        else:
            sample, hour, lost = short_hours(self.items, seed, samples, self.margin, self.problem.columns)
        lack, demand = lost[:, :R] - self.margin[:, hour].T, self.demand[:, hour].T
        ways = self._limits(lost[:, R:R + 2 * len(self.ends[0])])
        if R <= MOST_REGIONS:
            unserved = split_shortage(lack, demand, *self.ends, *ways)[0]
        elif len(hour) == 0:
            unserved = demand
        else:
            fair = residual_deficit((demand - lack) / KW, demand / KW, *self.ends, *(way / KW for way in ways))
            unserved = (fair.unserved * KW).round().astype(np.int64)
        return first + to_host(sample), to_host(hour), to_host(unserved)

    def _short_despite_stores(self, seed, samples):
        """As `short_hours`, with what the stores give taken off what is lost."""
        (R, T), xp = self.margin.shape, array_module(self.margin)
        forward, backward, most_forward, most_backward = self.limits
        lost = lost_power(self.items, seed, samples, T, self.problem.columns)
        given, _ = run_stores(self.stores, lost, self.margin, *self.ends, xp.stack([forward, most_forward]), xp.stack([backward, most_backward]))
        lost[:, :R] -= given.astype(lost.dtype)
        sample, hour = xp.nonzero((lost[:, :R] > self.margin).any(axis=1))
        return sample, hour, lost[sample, :, hour]

    def _limits(self, lost):
        """What the pairs carry in each hour; one row where nothing of them fails."""
        E = len(self.ends[0])
        forward, backward, most_forward, most_backward = self.limits
        R = len(self.margin)
        if not bool(((self.items.column >= R) & (self.items.column < R + 2 * E)).any()):
            return forward.clip(max=most_forward), backward.clip(max=most_backward)
        return [(all_in - out).clip(max=most) for all_in, out, most in
                ((forward, lost[:, :E], most_forward), (backward, lost[:, E:], most_backward))]
