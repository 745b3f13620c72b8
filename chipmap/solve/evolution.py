"""Heat in time: implicit steps whose length follows an estimate of their error.

The singly diagonally implicit Runge-Kutta method of two stages, order 2, that damps what is stiff (R. Alexander, SIAM J.
Numer. Anal. 14 (1977) 1006); both stages meet one matrix, conduction with heat capacity as a film. The error of a step is
taken from the method of order 1 that shares its first stage. Steps halve and double only, so a few matrices serve all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cukernels.backend import NotConverged, array_module
from cukernels.stencil import apply, conduction, embed, interior

from chipmap import InputError

from .conduction import Conductor

_GAMMA = 1 - 0.5**0.5
_FIRST, _HALVINGS = 6, 40
_CLOSE = 1e-7  # of every linear solve, relative to what the step changes


@dataclass(frozen=True)
class Transient:
    """times: (M,) as asked for, s. temperature: (M, H + 1, W + 1) at the nodes then. steps: (N, 2) NumPy, the end of each
    step and the highest temperature of any node at it. rejected: steps that were tried and taken again shorter."""

    times: np.ndarray
    temperature: np.ndarray
    steps: np.ndarray
    rejected: int


def transient(conductivity, capacity, source: Callable, times, dx=1.0, dy=1.0, fixed=None, film=None, start=None, breaks=(), tolerance=1e-3):
    """Temperature over time from a source that changes with it, as a `Transient`.

    conductivity: (H, W), >= 0, W/(m K). capacity: (H, W), >= 0, heat capacity by volume, J/(m3 K). source(t): what is put
    in at each node, (H + 1, W + 1), W per metre of depth. times: increasing, above 0, when to keep the temperature.
    fixed: (H + 1, W + 1) bool, nodes that stay as they start. film: (H + 1, W + 1), conductance from each node to
    surroundings at 0, >= 0. start: (H + 1, W + 1), 0 if None. breaks: times at which the source jumps: steps end there.
    tolerance: largest estimated error of a step as a share of the largest change since the start.
    Raises ValueError for times or arrays out of this contract; cukernels' NotConverged where the steps shrink to nothing
    or a solve stalls. NumPy or CuPy.
    """
    xp = array_module(conductivity, capacity)
    times = np.asarray(times, np.float64)
    if times.ndim != 1 or not times.size or not (np.diff(times, prepend=0) > 0).all():
        raise InputError("times must rise from above 0: give the moments whose temperature is wanted")
    body = _Body(xp.asarray(conductivity), xp.asarray(capacity), dx, dy, fixed, film)
    now = xp.zeros(body.shape) if start is None else xp.asarray(start).astype(np.float64)
    if now.shape != body.shape:
        raise InputError(f"start has shape {now.shape}: give one temperature a node, {body.shape}")
    first, kept, steps, rejected, largest, at, h = now, [], [], 0, 0.0, 0.0, None
    for until in sorted({float(t) for t in (*times, *breaks) if 0 < t <= times[-1]}):
        # from a jump of the source on with small steps, else with those that have been good
        length, place = until - at, 0
        halved = _FIRST if h is None else max(0, int(np.ceil(np.log2(length / h) - 1e-6)))
        while place < 2**halved:
            h = length / 2**halved
            t = at + place * h
            # just inside the interval: at its ends the source may jump
            new, error = body.step(now, source(t + _GAMMA * h), source(min(t + h, until - 1e-9 * h)), h)
            change = float(abs(new - first).max())
            if error > tolerance * max(change, largest):
                halved, place, rejected = halved + 1, 2 * place, rejected + 1
                body.check(halved, t)
                continue
            now, place, largest = new, place + 1, max(largest, change)
            steps.append((t + h, float(now.max())))
            # the estimate falls with the square of the step
            while halved > 0 and place % 2 == 0 and error < tolerance * largest / 6:
                halved, place, error = halved - 1, place // 2, 4 * error
        at, h = until, None if until in breaks else h
        if at in times:
            kept.append(now)
    return Transient(times, xp.stack(kept), np.array(steps), rejected)


class _Body:
    """What conducts and stores, with the matrices of the last few steps."""

    def __init__(self, k, capacity, dx, dy, fixed, film):
        self.xp = array_module(k)
        self.k, self.dx, self.dy, self.fixed, self.film = k, dx, dy, fixed, film
        self.operator = conduction(k, dx, dy, (False, False), None, film)
        self.shape = self.operator.shape
        if capacity.shape != k.shape or not bool((capacity >= 0).all() & self.xp.isfinite(capacity).all()):
            raise InputError(f"capacity must be finite, >= 0 and one number a pixel, {k.shape}: it has shape {capacity.shape}")
        self.capacity = self.xp.zeros(self.shape)
        for i in (0, 1):
            for j in (0, 1):
                self.capacity[i:i + k.shape[0], j:j + k.shape[1]] += capacity * (dx * dy / 4)
        self._matrices = {}

    def step(self, now, early, late, h):
        """(temperature after h, largest estimated error); early and late: the sources of the two stages."""
        xp, storing = self.xp, self.capacity / (_GAMMA * h)
        lost = interior(apply(self.operator, embed(now[None], (False, False))))[0]
        conductor = self._matrix(h, storing)
        there = ~(conductor.fixed | conductor.floating)
        one = self._change(conductor, xp.where(there, early - lost, 0))
        two = self._change(conductor, xp.where(there, late - lost + storing * ((1 - _GAMMA) / _GAMMA) * one, 0))
        # slopes of the stages, times gamma h; their difference is the two methods'
        error = two - one * ((1 - _GAMMA) / _GAMMA) - one
        return now + two, float(abs(error).max())

    def _change(self, conductor, load):
        if not bool((load != 0).any()):
            return self.xp.zeros_like(load)
        return conductor.solve(sources=load[None], tolerance=_CLOSE).potential[0]

    def _matrix(self, h, storing):
        h = float(f"{h:.9g}")  # steps between equally spaced times differ by rounding
        if h not in self._matrices:
            if len(self._matrices) == 3:
                del self._matrices[next(iter(self._matrices))]
            film = storing if self.film is None else storing + self.film
            self._matrices[h] = Conductor(self.k, self.dx, self.dy, self.fixed, (False, False), film)
        return self._matrices[h]

    def check(self, halved, t):
        if halved > _HALVINGS:
            raise NotConverged(f"steps shrink to nothing at {t:.3g} s: is the source finite, and do its jumps stand in breaks?")
