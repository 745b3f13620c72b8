"""Thermal resistance from what gives off heat to the sides of the picture, with certified bounds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cukernels.backend import array_module, to_host

from chipmap import InputError, inputs

from .conduction import TOLERANCE, Conductor
from .flux import source_bound

SIDES = {"top": np.s_[0], "bottom": np.s_[-1], "left": np.s_[:, 0], "right": np.s_[:, -1]}


@dataclass(frozen=True)
class ThermalResistance:
    """value: mean temperature of the junction over the power that spreads evenly in it, K m/W for W/(m K): divide by the
    depth. peak: the same of its hottest node, at `hottest`, row and column. temperature: (H + 1, W + 1) at the nodes at unit power. floating: (H + 1,
    W + 1) bool, nodes that nothing joins to the junction or a side. iterations: of conjugate gradients.

    lower <= value of the pixel geometry <= upper, certified: `lower` is the value itself, from an admissible temperature,
    `upper` from an admissible flux, solved when it is first asked for; inf where the junction meets a side at corners of pixels only.
    warming(tolerance): (H + 1, W + 1) temperature at unit power in the hottest node alone: what power anywhere does to `peak`.
    """

    value: float
    peak: float
    hottest: tuple
    temperature: np.ndarray
    floating: np.ndarray
    iterations: int
    _dual: Callable = field(repr=False, compare=False)
    warming: Callable = field(repr=False, compare=False)

    @property
    def lower(self):
        return self.value

    @cached_property
    def upper(self):
        return self._dual()


def thermal_resistance(conductivity, junction, dx=1.0, dy=1.0, cold=("bottom",), film=None, tolerance=TOLERANCE):
    """Junction-to-side thermal resistance: a `ThermalResistance`.

    conductivity: (H, W), >= 0, of each pixel. junction: (H, W) bool, pixels in which the power spreads evenly. dx, dy: pixel
    size. cold: sides held at 0, of "left", "right", "top", "bottom". film: dict of convecting sides, name to coefficient,
    W/(m2 K) for W/(m K) and m; sides in neither are insulated.
    Raises ValueError where a side is unknown or in both, the junction has no pixel, lies in insulating ones or touches no
    path to a side, and as `Conductor`; cukernels' NotConverged where the iteration stalls. NumPy or CuPy.
    """
    k, (dx, dy), tolerance = inputs.conductivity(conductivity), inputs.pixel(dx, dy), inputs.tolerance(tolerance)
    xp = array_module(k, junction)
    junction, cold = xp.asarray(junction), (cold,) if isinstance(cold, str) else cold
    if junction.dtype.kind not in "biuf" or not bool(((junction == 0) | (junction == 1)).all()):
        raise InputError(f"the junction holds more than 0 and 1: give one flag a pixel, {k.shape}")
    junction = junction.astype(bool)
    if junction.shape != k.shape or not bool(junction.any()):
        raise InputError(f"the junction has shape {junction.shape} and {int(junction.sum())} pixels: give one flag a pixel, {k.shape}, at least one set")
    fixed, films = surroundings(xp, k.shape, dx, dy, cold, film)
    conductor = Conductor(k, dx, dy, fixed, film=films)
    power = junction / float(junction.sum())
    sources = spread(power)[None]
    if bool((k[junction] <= 0).any()) or bool((sources[0] > 0)[conductor.floating].any()):
        raise InputError("the junction lies in an insulator or on an island that no conducting pixels join to a cold or convecting side: "
                         "name another side or pixels that conduct")
    solved = conductor.solve(sources=xp.where(fixed, 0, sources), tolerance=tolerance)
    u = solved.potential[0]
    value = float((u * sources[0]).sum())

    def dual():
        return source_bound(k, to_host(power), cold, {name: h for name, h in (film or {}).items() if h}, dx, dy, tolerance)

    hottest = tuple(int(n) for n in np.unravel_index(int(xp.where(sources[0] > 0, u, -1).argmax()), u.shape))

    def warming(tolerance):
        at = xp.zeros(u.shape)
        at[hottest] = 1.0
        return conductor.solve(sources=xp.where(fixed, 0, at)[None], tolerance=tolerance).potential[0]

    return ThermalResistance(value, float(u[hottest]), hottest, u, solved.floating, solved.iterations, dual, warming)


def surroundings(xp, shape, dx, dy, cold, film):
    """(fixed, film) at the nodes: sides held at 0, and conductances to it; film is None where no side convects."""
    film = {name: value for name, value in (film or {}).items() if value}
    for name in (*cold, *film):
        if name not in SIDES:
            raise InputError(f"side {name!r} is unknown: use {', '.join(SIDES)}")
    both = set(cold) & set(film)
    if both:
        raise InputError(f"side {min(both)} is cold and convects: choose one of the two")
    if not cold and not film:
        raise InputError("no side is cold or convects: heat that goes in has no way out, name a side")
    nodes = tuple(n + 1 for n in shape)
    fixed, films = xp.zeros(nodes, bool), xp.zeros(nodes)
    for name, value in film.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"film coefficient {value} of the {name} side: give a finite number above zero")
        share = xp.ones(nodes[1] if name in ("top", "bottom") else nodes[0])
        share[0] = share[-1] = 0.5
        films[SIDES[name]] += value * (dx if name in ("top", "bottom") else dy) * share
    for name in cold:
        fixed[SIDES[name]] = True
    return fixed, films if film else None


def spread(pixels):
    """What pixels give off, shared out among their four corners: (H, W) -> (H + 1, W + 1)."""
    xp = array_module(pixels)
    H, W = pixels.shape
    out = xp.zeros((H + 1, W + 1))
    for i in (0, 1):
        for j in (0, 1):
            out[i:i + H, j:j + W] += pixels / 4
    return out
