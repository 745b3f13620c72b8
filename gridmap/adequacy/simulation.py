"""Monte Carlo: outages drawn, hours of shortage split among regions, and counted."""

import numpy as np
from cukernels.stores import MOST_STORES

from gridmap import InputError
from gridmap.adequacy import draws, partial, plate, spread
from gridmap.adequacy.result import NAMES, Place, Result
from gridmap.adequacy.solver import Solver
from gridmap.adequacy.system import KW
from gridmap.adequacy.tally import Tally

SYSTEM = "system"
_FIRST_LOOK = 100  # samples before the error is looked at; then each time there are half as many more


def simulate(system, samples, seed=0, *, sequential=True, groups=None, relative_error=None, metric="eue_mwh", control=False, device="cpu", scheduler=None,
             keep=None, say=None):
    """Loss-of-load indices of a `System` by `samples` drawn years (2 or more; the years are the hours of the load).

    Every unit and corridor is in or out (or derated) in each hour: it fails and returns with the constant chances an hour that
    make its outage rate and mttr_h, from a state drawn at the rate. sequential False: every hour is drawn anew, which leaves
    the means and makes durations meaningless (and refuses stores); a derated unit keeps its level until it is in again. What then is short is the least the corridors allow, in the
    fair split of `residual_deficit` (equal shares of demand within a pocket; what is left of the last kW goes to the first
    regions): exact, in kW, for up to 12 regions by every set of them, for more by maximum flows. The draws are a function of
    (seed, sample, unit), so neither the device nor the number of processors and machines nor the size of the blocks changes
    any number. Stores run by `cukernels.stores`, without foresight.

    groups: {name: regions}. relative_error: stop once the error of the system's `metric` is at most this share of it,
    looked at after 100 samples and each time there are half as many more; control: look at the error after the control
    variate (`Place.controlled`). device: "cpu", "cuda" or a `backend.Device`.
    scheduler: spread the samples over processes or machines by dask.distributed (extra `scale`): "local" or "local:4" for a
    cluster of this machine, the address of a scheduler, or a Client. A worker that dies costs time and nothing else.
    keep: a file for the sums so far. A run that is started again with the same system and seed goes on from there (also to
    more samples) and ends with the same numbers. say: called with the samples done so far.

    Returns a `Result`. Raises InputError for samples below 2, an unknown region in a group, an unknown metric.
    """
    if samples < 2:
        raise InputError(f"{samples} samples have no error: draw 2 or more")
    if metric not in NAMES:
        raise InputError(f"metric {metric!r} is unknown: use one of {', '.join(NAMES)}")
    stores = len(system.storage) + len(system.responses)
    if stores > MOST_STORES:
        raise InputError(f"{stores} stores: {MOST_STORES} are run; join those of a region that are alike")
    if stores and not sequential:
        raise InputError("stores need hours in their order: simulate with sequential=True, or leave out storage and responses")
    problem = draws.problem(system, sequential)
    names, members = places(system, groups or {})
    peak = peaks(problem.margin, members)
    make = lambda first, last: Tally(last - first, members, peak, problem.demand.sum(0).max(), first)  # noqa: E731
    tally, energy = make(0, samples), members @ problem.demand.sum(1) / KW
    expected = plate.Later(problem)
    found = lambda n: Result.of(names, len(system.regions), n, seed, tally, energy, expected)  # noqa: E731
    enough = lambda n: relative_error is not None and _is_look(n) and _within(found(n), len(names) - 1, metric, control, relative_error)  # noqa: E731
    kept = partial.Partial(keep, problem, seed, members) if keep else None
    done = kept.load(tally) if kept else 0
    if done and enough(done):
        return found(done)
    looks = _looks if relative_error is not None else None
    with spread.parts(scheduler, Solver(problem, device), make, tally, seed, done, samples, looks) as parts:
        for last in parts:
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


def _within(result, row, metric, control, relative_error):
    place = Place(result, row)
    estimate = place.controlled(metric) if control else getattr(place, metric)
    return 0 < estimate.error <= relative_error * estimate.value


def places(system, groups):
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


def peaks(margin, members):
    """(P, T) bool: the hour of least margin of each day of 24 hours, the first of equals."""
    margin = np.stack([margin[rows].sum(axis=0) for rows in members])  # a product of whole numbers is no BLAS's: minutes for counties
    peak = np.zeros(margin.shape, bool)
    for day in range(0, margin.shape[1], 24):
        peak[np.arange(len(margin)), day + margin[:, day:day + 24].argmin(1)] = True
    return peak
