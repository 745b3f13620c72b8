"""Materials to conductivities, and the heat and the current that flow through the picture from side to side."""

from dataclasses import dataclass, field

import numpy as np
from cukernels.backend import NotConverged, array_module, to_host

from chipmap import InputError, materials
from chipmap.solve import conductance, effective_conductivity

CONDUCTOR_OHM_M = 1e-3      # what resists more is insulating here: its conductivity is exactly 0
SIDES = {0: "top to bottom", 1: "left to right"}
HEAT_K = 1.0                # between the two sides; everything is linear in it
CURRENT_V = 1e-3


@dataclass
class Flow:
    """One driven problem. Arrays are None where nothing flows.

    potential: (H+1, W+1) at pixel corners, temperature rise (K) or electric potential (V), 0 where nothing determines
    it. conductivity: M values, of each phase. density: (H, W, 2), mean flux in each pixel along x and y (down), W/m2 or A/m2. facts: what results.json says
    about it. note: why there is no field, or "".
    """

    potential: object
    density: object
    conductivity: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    note: str = ""

    def host(self):
        """The same with NumPy arrays."""
        move = lambda a: None if a is None else to_host(a)  # noqa: E731
        return Flow(move(self.potential), move(self.density), self.conductivity, self.facts, self.note)


def heat(phases, candidates, pixel_size_m):
    """Steady conduction of heat: 1 K between left and right, top and bottom insulated; and the periodic tensor.

    phases: (H, W) int, 0..M-1. candidates: M lists of materials that may be it, the likeliest first; [] for unknown.
    pixel_size_m: (dy, dx). Returns a Flow, arrays of the kind of `phases`; its note says why where a phase is unknown.
    Raises InputError where the library lacks a conductivity.
    """
    if not all(candidates):
        return _nothing("no heat: not every phase has a material, name them with --materials or --process")
    spread = [_range(names, "thermal_conductivity_w_mk") for names in candidates]
    return _drive(phases, spread, pixel_size_m, (1,), HEAT_K, "W/(m K)", "K", "W/m2")


def current(phases, candidates, pixel_size_m):
    """Direct current: 1 mV between left and right, else, where no path leads there, between top and bottom.

    What resists more than 1e-3 ohm m is an exact insulator. Arguments and errors as of `heat`; where no conductor joins
    two opposite sides the Flow has no arrays and says so.
    """
    if not all(candidates):
        return _nothing("no current: not every phase has a material, name them with --materials or --process")
    spread = [_conductivity(names) for names in candidates]
    if not any(value > 0 for value, _, _ in spread):
        return _nothing("no current: none of the materials conducts (resistivity below 1e-3 ohm m)")
    return _drive(phases, spread, pixel_size_m, (1, 0), CURRENT_V, "S/m", "V", "A/m2")


def _drive(phases, spread, pixel_size_m, axes, drop, unit, drop_unit, flux_unit):
    xp = array_module(phases)
    dy, dx = pixel_size_m
    k = xp.asarray(np.array([value for value, _, _ in spread]))[phases]
    for axis in axes:
        if float(k.min()) > 0 or _spans(k > 0, axis):
            break
    else:
        return _nothing("no current: no conductor leads from one side of the picture to the opposite one")
    try:
        solved = conductance(k, axis=axis, dx=dx, dy=dy)
        # a tensor depends on the shape of the pixel only
        tensor = np.asarray(to_host(effective_conductivity(k, dx=1.0, dy=dy / dx).value))
    except NotConverged as error:
        return _nothing(f"no field in {unit}: {error}")
    potential = drop * solved.field
    density = _density(xp, k, potential, dx, dy)
    length, across = (k.shape[axis] * (dy, dx)[axis], k.shape[1 - axis] * (dy, dx)[1 - axis])
    shares = _shares(xp, phases, k, density, len(spread))
    side = float(solved.value) * length / across
    facts = {
        "unit": unit,
        "side_to_side": {"value": side, **_bounds(side, spread, shares), "unit": unit, "direction": SIDES[axis],
                         "boundary": "two sides fixed, the others insulated",
                         "lower_and_upper": "bounds for every choice of properties within the materials' ranges, on this geometry"},
        "tensor": {"xx": tensor[0, 0], "xy": tensor[0, 1], "yy": tensor[1, 1], "unit": unit, "boundary": "periodic",
                   "axes": "x to the right, y down"},
        "field": {"drop": drop, "unit": drop_unit, "direction": SIDES[axis], "flux_unit": flux_unit,
                  "largest_flux": float(xp.sqrt((density ** 2).sum(axis=2)).max())},
        "dissipation_share": shares,
        "iterations": int(solved.iterations),
    }
    return Flow(potential, density, [value for value, _, _ in spread], facts)


def _nothing(note):
    return Flow(None, None, [], {"note": note}, note)


def _spans(mask, axis):
    """Whether a piece of `mask`, joined through pixel edges or corners, reaches from one side to the other along `axis`."""
    from cukernels.components import pieces
    labels, _ = pieces(mask, connectivity=8)
    first, last = (labels[0], labels[-1]) if axis == 0 else (labels[:, 0], labels[:, -1])
    return bool(set(to_host(first).tolist()) & set(to_host(last).tolist()) - {0})


def _density(xp, k, potential, dx, dy):
    """Mean flux of each pixel, -k grad u at its centre, (H, W, 2): along x, along y (down)."""
    step_x = (potential[:-1, 1:] + potential[1:, 1:] - potential[:-1, :-1] - potential[1:, :-1]) / (2 * dx)
    step_y = (potential[1:, :-1] + potential[1:, 1:] - potential[:-1, :-1] - potential[:-1, 1:]) / (2 * dy)
    return xp.stack([-k * step_x, -k * step_y], axis=2)


def _shares(xp, phases, k, density, count):
    """Share of the dissipated power in each phase: also how much of the answer's relative change its property makes."""
    power = xp.where(k > 0, (density ** 2).sum(axis=2) / xp.where(k > 0, k, 1), 0)
    total = to_host(xp.bincount(phases.ravel(), weights=power.ravel(), minlength=count))
    return (total / total.sum()).tolist()


def _bounds(value, spread, shares):
    """{"lower", "upper"} of the effective conductivity over the ranges of the phases' conductivities.

    By the minimum principles, with the field found as the trial for all other properties: the upper one from Dirichlet's
    (its power with every conductivity at its highest), the lower one from Thomson's (with every one at its lowest).
    """
    parts = [(share, *facts) for share, facts in zip(shares, spread) if facts[0] > 0]
    upper = value * sum(share * high / k for share, k, _, high in parts)
    if any(share > 0 and low == 0 for share, _, low, _ in parts):
        return {"lower": 0.0, "upper": upper}
    return {"lower": value / sum(share * k / low for share, k, low, _ in parts if low > 0), "upper": upper}


def _range(names, quantity):
    """(value of the likeliest, lowest, highest) over the materials that may be it."""
    facts = [materials.property_of(name, quantity) for name in names]
    if facts[0].value <= 0:
        raise InputError(f"material {names[0]} has {quantity} {facts[0].value:g}: it must be above zero")
    return facts[0].value, min(f.low for f in facts), max(f.value if f.high is None else f.high for f in facts)


def _conductivity(names):
    """(value, lowest, highest) electrical conductivity, S/m; zeros for an insulator."""
    value, low, high = _range(names, "resistivity_ohm_m")
    return (1 / value, 1 / high, 1 / low) if value < CONDUCTOR_OHM_M else (0.0, 0.0, 0.0)
