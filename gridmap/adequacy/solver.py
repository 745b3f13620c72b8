"""A block of samples drawn and solved where the arrays live: the hours short, and what each region lacks in them."""

import numpy as np
from cukernels import residual_deficit
from cukernels.backend import array_module, to_device, to_host
from cukernels.chronology import Items, lost_power, short_hours
from cukernels.cuts import MOST_REGIONS, split_shortage
from cukernels.stores import Stores, run_stores

from gridmap.adequacy.system import KW

BATCH = 2048  # hours whose flows are solved side by side
BLOCK = 2**23  # samples x columns x hours worked on at a time


class Solver:
    """A `draws.Problem` on a device; what comes back is on the host."""

    def __init__(self, problem, device="cpu"):
        move = lambda a: to_device(a, device)  # noqa: E731
        self.problem, self.move, self.kind = problem, move, getattr(device, "kind", device)
        self.items, self.stores = Items(*map(move, problem.items)), Stores(*map(move, problem.stores))
        self.margin = move(problem.margin)
        self._margin, self._demand = (move(np.ascontiguousarray(a.T)) for a in (problem.margin, problem.demand))  # an hour a row
        self.ends = move(problem.tail), move(problem.head)
        self.limits = [move(a) for a in (problem.forward, problem.backward, problem.most_forward, problem.most_backward)]

    def shortages(self, seed, first, last):
        """sample, hour (K,), unserved (K, R) kW and what one area without limits and stores would lack, (K,) kW, of the hours
        in which some region lacks power of its own."""
        samples = self.move(np.arange(first, last))
        if len(self.stores.region):
            sample, hour, lost, plate = self._short_despite_stores(seed, samples)
            lack = self.lack(hour, lost)
        else:
            sample, hour, lost = short_hours(self.items, seed, samples, self.margin, self.problem.columns)
            lack = self.lack(hour, lost)
            plate = lack.sum(axis=1)
        unserved = self.split(lack, hour, lost)
        return first + to_host(sample), to_host(hour), to_host(unserved), to_host(plate)

    def lack(self, hour, lost):
        """(K, R) kW: what each region lacks of its own in the hours, negative where it has some left; lost (K, columns)."""
        return lost[:, :len(self.margin)] - self._margin[hour]

    def split(self, lack, hour, lost):
        """(K, R) kW unserved of what regions lack of their own; lost (K, columns)."""
        R, E = len(self.margin), len(self.ends[0])
        demand = self._demand[hour]
        if len(lack) == 0:
            return demand
        if R == 1:
            return lack.clip(min=0)
        ways = self._limits(lost[:, R:R + 2 * E])
        if R <= MOST_REGIONS:
            return split_shortage(lack, demand, *self.ends, *ways)[0]
        xp, batches = array_module(lack), []
        for first in range(0, len(lack), BATCH):
            some = slice(first, first + BATCH)
            limits = (way / KW if way.ndim == 1 else way[some] / KW for way in ways)
            fair = residual_deficit((demand[some] - lack[some]) / KW, demand[some] / KW, *self.ends, *limits)
            batches.append((fair.unserved * KW).round().astype(np.int64))
        return xp.concatenate(batches)

    def _short_despite_stores(self, seed, samples):
        """As `short_hours`, with what the stores give taken off what is lost; and the plate."""
        (R, T), xp = self.margin.shape, array_module(self.margin)
        forward, backward, most_forward, most_backward = self.limits
        lost = lost_power(self.items, seed, samples, T, self.problem.columns)
        plate = lost[:, :R].sum(axis=1, dtype=np.int64) - self.margin.sum(axis=0)
        given, _ = run_stores(self.stores, lost, self.margin, *self.ends, xp.stack([forward, most_forward]), xp.stack([backward, most_backward]))
        lost[:, :R] -= given.astype(lost.dtype)
        sample, hour = xp.nonzero((lost[:, :R] > self.margin).any(axis=1) | (plate > 0))
        return sample, hour, lost[sample, :, hour], plate[sample, hour]

    def _limits(self, lost):
        """What the pairs carry in each hour; one row where nothing of them fails."""
        E = len(self.ends[0])
        forward, backward, most_forward, most_backward = self.limits
        if not self.problem.lines_fail:
            return forward.clip(max=most_forward), backward.clip(max=most_backward)
        return [(all_in - out).clip(max=most) for all_in, out, most in
                ((forward, lost[:, :E], most_forward), (backward, lost[:, E:], most_backward))]
