"""Heat and current through the picture: from side to side, or between terminals the user names."""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import NotConverged, array_module, to_host
from cukernels.components import pieces
from cukernels.threads import meanwhile

from chipmap import InputError, terminals
from chipmap.answer import Answer, Picture, at_pixels, by_object, nothing
from chipmap.memory import together
from chipmap.solve import Conductor, conductance, effective_conductivity
from chipmap.solve.flux import terminal_bound
from chipmap.uncertainty import doubt

CONDUCTOR_OHM_M = 1e-3      # what resists more is insulating here: its conductivity is exactly 0
SIDES = {0: "top to bottom", 1: "left to right"}
HEAT_K = 1.0                # between the two sides; everything is linear in it
CURRENT_V = 1e-3
# of a field, whose energy is then right to the square of it, far closer than pixels make either; for an interval; of the flux that bounds
CLOSE, ROUGH, BOUND = 1e-5, 2e-3, 1e-3
MOST = 20                   # edge sensitivities in results.json
UNNAMED = "not every phase has a material, name them with --materials, --legend or --process"


@dataclass
class Driven:
    """A solved side-to-side problem, for what looks at it afterwards.

    k: `properties.Spread` of the objects' conductivity. potential: (H+1, W+1), the drop times the unit solution. density:
    (H, W, 2) mean flux of each pixel, x and y (down). shares: (K,) each object's share of the dissipated power. sensitivity: (K,) relative change
    of the conductance for each metre that an object's edge moves outwards.
    """

    k: object
    potential: object
    density: object
    shares: np.ndarray
    sensitivity: np.ndarray | None = None


def heat(sample):
    """Steady conduction of heat: 1 K between left and right, top and bottom insulated; and the periodic tensor.

    sample: `properties.Sample`. Returns an Answer; its note says why where a phase is unknown. Raises InputError where the
    library lacks a conductivity.
    """
    if not sample.named:
        return nothing(f"no heat: {UNNAMED}"), None
    k = sample.thermal_conductivity()
    if not (k.value > 0).all():
        names = sorted({sample.candidates[m][0] for m in sample.phase[k.value <= 0]})
        raise InputError(f"thermal conductivity of {', '.join(names)} is not above zero: set it with --set {names[0]}.thermal_conductivity=NUMBER")
    facts, driven = _drive(sample, k, (1,), HEAT_K, "W/(m K)", "K", "W/m2")
    if driven is None:
        return nothing(facts), None
    rise = at_pixels(driven.potential)
    columns = by_object(sample.objects, len(sample.phase), mean_temperature_rise_k=rise, highest_temperature_rise_k=rise) | _sensitivity("heat", driven)
    return Answer(facts, {"temperature_rise_k": driven.potential},
                  {"thermal_conductivity_w_mk": _map(sample, k.value), "heat_flux_w_m2": driven.density}, columns,
                  pictures=[Picture("temperature.png", rise, "temperature rise", "K",
                                    f"heat: {HEAT_K:g} K {facts['field']['direction']}, other sides insulated")]), driven


def current(sample, named_terminals=None, volts=CURRENT_V):
    """Direct current between terminals: sides or objects, the first at `volts`, the others at 0.

    named_terminals: as of `terminals.parse`, or None: left and right, else, where no path leads there, top and bottom.
    What resists more than 1e-3 ohm m is an exact insulator. Returns an Answer; where no conductor joins two opposite
    sides it has no fields and says so. Raises InputError for terminals that can't be used.
    """
    if not sample.named:
        return nothing(f"no current: {UNNAMED}"), None
    k = conductivity(sample)
    if not (k.value > 0).any():
        if named_terminals:
            raise InputError(f"terminals {named_terminals!r}: none of the materials conducts (resistivity below 1e-3 ohm m), leave them out or name a metal")
        return nothing("no current: none of the materials conducts (resistivity below 1e-3 ohm m)"), None
    if named_terminals:
        facts, driven = _between(sample, k, named_terminals, volts)
    else:
        facts, driven = _drive(sample, k, (1, 0), volts, "S/m", "V", "A/m2")
    if driven is None:
        return nothing(facts), None
    facts |= _islands(sample, k, driven)
    return Answer(facts, {"potential_v": driven.potential},
                  {"electrical_conductivity_s_m": _map(sample, k.value), "current_density_a_m2": driven.density},
                  _current_columns(sample, k, driven), {"terminals.csv": facts.pop("table")} if "table" in facts else {},
                  [Picture("current_density.png", _size(driven.density), "current density", "A/m²",
                           f"current: {volts * 1e3:g} mV {facts['field']['direction']}, all else insulated", "magma", 0.999)],
                  _told(facts["islands"]["objects"])), driven


def conductivity(sample):
    """`Spread` of the electrical conductivity of each object, S/m; zeros for an insulator."""
    from chipmap.properties import Spread
    rho = sample.resistivity()
    if not (rho.low > 0).all():
        names = sorted({sample.candidates[m][0] for m in sample.phase[rho.low <= 0]})
        raise InputError(f"resistivity of {', '.join(names)} is not above zero: set it with --set {names[0]}.resistivity=NUMBER")
    conducts = rho.value < CONDUCTOR_OHM_M
    return Spread(*(np.where(conducts, 1 / r, 0.0) for r in (rho.value, rho.high, rho.low)))


def flux_density(k, potential, dx, dy):
    """Mean flux of each pixel, -k grad u at its centre, (H, W, 2): along x, along y (down)."""
    xp = array_module(potential)
    flux = xp.empty((*k.shape, 2))
    one, other = potential[:-1, 1:] - potential[1:, :-1], potential[1:, 1:] - potential[:-1, :-1]
    flux[..., 0] = -k * (one + other) / (2 * dx)
    flux[..., 1] = -k * (other - one) / (2 * dy)
    return flux


def _drive(sample, k, axes, drop, unit, drop_unit, flux_unit):
    """(facts, Driven), or (why not, None)."""
    dy, dx = sample.pixel_size_m
    field = _map(sample, k.value)
    for axis in axes:
        if float(field.min()) > 0 or _spans(field > 0, axis):
            break
    else:
        return "no current: no conductor leads from one side of the picture to the opposite one", None
    length, across = (field.shape[axis] * (dy, dx)[axis], field.shape[1 - axis] * (dy, dx)[1 - axis])
    try:
        solved = conductance(field, axis=axis, dx=dx, dy=dy, tolerance=CLOSE, bound_tolerance=BOUND)
        with meanwhile(lambda: solved.lower, together(field)) as bound:
            # a tensor depends on the shape of the pixel only
            tensor = np.asarray(to_host(effective_conductivity(field, dx=1.0, dy=dy / dx, tolerance=CLOSE).value))
            density = flux_density(field, drop * solved.field, dx, dy)
            driven = Driven(k, drop * solved.field, density, _shares(sample, field, density))
            doubt = _doubt(sample, driven, field, drop, _Again(dx, dy, _sides(array_module(field), field.shape, axis), solved.field, _contrast(field)), length / across)
            lower = bound()
    except NotConverged as error:
        return f"no field in {unit}: {error}", None
    side = float(solved.value) * length / across
    facts = {
        "unit": unit,
        "side_to_side": {"value": side, "lower": lower * length / across, "upper": side, **doubt, "unit": unit, "direction": SIDES[axis],
                         "boundary": "two sides fixed, the others insulated",
                         "lower_and_upper": "certified bounds of the finite elements on this geometry with these properties",
                         "over_materials": {**_over_materials(side, k, driven.shares),
                                            "meaning": "bounds for every choice of properties within the materials' ranges"}},
        "tensor": {"xx": tensor[0, 0], "xy": tensor[0, 1], "yy": tensor[1, 1], "unit": unit, "boundary": "periodic",
                   "axes": "x to the right, y down"},
        "field": {"drop": drop, "unit": drop_unit, "direction": SIDES[axis], "flux_unit": flux_unit, "largest_flux": float(_size(density).max())},
        "dissipation_share": np.bincount(sample.phase, driven.shares, len(sample.candidates)).tolist(),
        "iterations": int(solved.iterations),
    }
    return facts, driven


def _doubt(sample, driven, field, drop, solve, factor=1.0):
    """What results.json says of a conductance's doubt, times `factor`; sets the objects' sensitivities in `driven`."""
    if sample.measured is None:
        return {"sigma": None, "why_no_sigma": "no grey values to measure the edges by"}
    xp = array_module(field)
    found = doubt(sample.measured, to_host(field), to_host(driven.density) / drop, driven.k, driven.shares, sample.phase, sample.pixel_size_m,
                  lambda k: float(solve(xp.asarray(k))), sample.samples)
    if found is None:
        return {"sigma": None, "why_no_sigma": "the picture does not show the edges: the phases' grey levels differ by less than the noise"}
    driven.sensitivity = found.by_object
    scaled = lambda pair: [factor * end for end in pair]  # noqa: E731
    most = np.argsort(-np.abs(found.by_object), kind="stable")[:MOST]
    return {"edge_sensitivity": {"objects": most.tolist(), "relative_change_per_nm": (found.by_object[most] * 1e-9).tolist(), "table": "objects.csv",
                                 "meaning": "first order, of the object's whole edge moving outwards; the largest, all of them in the table"},
            "sigma": factor * found.sigma, "interval_95": scaled(found.interval), "centre": factor * found.value,
            "value_and_centre": "value, lower, upper and the fields: of whole pixels, certified; centre and the intervals: the best estimate, with every "
                                "edge where the grey puts it and cut pixels as layers, which is not certified and may lie outside lower and upper",
            "edges": {"sigma": factor * found.edges_sd, "interval_95": scaled(found.edges_interval), "samples": len(found.samples),
                      "meaning": "of the edges alone: centre is the result with every edge where the grey puts it"}}


def _between(sample, k, named, volts):
    """(facts, Driven) of current between terminals: conductance and resistance matrices, field of the first against the rest."""
    xp = array_module(sample.objects)
    names = terminals.parse(named, len(sample.phase))
    if len(names) < 2:
        raise InputError(f"terminals {named!r}: name at least two, as left,right or 3,17")
    dy, dx = sample.pixel_size_m
    field = _map(sample, k.value)
    held = terminals.nodes(names, sample.objects, field > 0)
    conductor = Conductor(field, dx, dy, held.any(axis=0))
    try:
        solved = conductor.solve(values=held.astype(np.float64))
    except NotConverged as error:
        return f"no current: {error}", None
    G = to_host(xp.einsum("sij,tij->st", solved.inflow, held.astype(np.float64)))
    G = (G + G.T) / 2
    resistance = _resistances(G)
    if not np.isfinite(resistance).all():
        i, j = np.argwhere(~np.isfinite(resistance))[0]
        raise InputError(f"no conductor joins terminals {names[i]} and {names[j]}: name terminals of one net (column net of objects.csv)")
    potential = volts * solved.potential[0]
    density = flux_density(field, potential, dx, dy)
    driven = Driven(k, potential, density, _shares(sample, field, density))
    drive = held[:1].astype(np.float64)
    low = _between_bound(names, sample.objects, field, to_host(xp.where(held.any(axis=0), solved.inflow, 0)), dx, dy)
    told_doubt = _doubt(sample, driven, field, volts, _Again(dx, dy, held.any(axis=0), solved.potential[0], _contrast(field), drive[0]))
    texts = [str(name) for name in names]
    shown = f"{texts[0]} against {', '.join(texts[1:])}"
    facts = {
        "unit": "S", "per": "metre of depth", "terminals": texts,
        "conductance_matrix": {"value": G.tolist(), "unit": "S/m", "meaning": "current into terminal i at 1 V on terminal j, a metre of depth",
                               "upper": G.tolist(), "lower": low.tolist(), "lower_and_upper": "certified in the sense of quadratic forms"},
        "resistance": {"value": resistance.tolist(), "lower": resistance.tolist(), "upper": _finite(_resistances(low)), "unit": "ohm m",
                       "meaning": "between two terminals, the others left open; divide by the depth",
                       "why_no_upper": "null: joined through corners of pixels only"},
        "field": {"drop": volts, "unit": "V", "direction": shown, "flux_unit": "A/m2", "largest_flux": float(_size(density).max())},
        "first_against_the_others": {"value": float(G[0, 0]), "lower": float(low[0, 0]), "upper": float(G[0, 0]), "unit": "S/m", **told_doubt},
        "energy": {"dissipated_w_m": float(volts ** 2 * solved.power[0]), "v_times_i_w_m": float(volts ** 2 * G[0, 0])},
        "iterations": int(solved.iterations),
        "table": {"terminal_a": [a for a in texts for _ in texts], "terminal_b": texts * len(texts),
                  "resistance_ohm_m": resistance.ravel(), "conductance_matrix_s_m": G.ravel()},
    }
    if sample.thickness_m:
        facts["resistance"] |= {"of_the_layer_ohm": (resistance / sample.thickness_m).tolist(), "thickness_m": sample.thickness_m}
    return facts, driven


class _Again:
    """The power at unit drop of one drive after another conductivity, each solve from where the last one ended.

    fixed: bool at the nodes that are held at `values`; potential: of the first conductivity; contrast: of the materials;
    values: None for the potential's own.
    """

    def __init__(self, dx, dy, fixed, potential, contrast, values=None):
        self.dx, self.dy, self.fixed, self.contrast, self.potential = dx, dy, fixed, contrast, potential[None]
        self.values = self.potential if values is None else values[None]

    def __call__(self, k):
        solved = Conductor(k, self.dx, self.dy, self.fixed, contrast=self.contrast).solve(values=self.values, start=self.potential, tolerance=ROUGH)
        self.potential = solved.potential
        return solved.power[0]


def _contrast(k):
    return float(k.max()) / float(k[k > 0].min())


def _sides(xp, shape, axis):
    """(H+1, W+1) bool: the corners on the two sides that `axis` leads to."""
    fixed = xp.zeros(tuple(n + 1 for n in shape), bool)
    ends = fixed if axis == 0 else fixed.T
    ends[0] = ends[-1] = True
    return fixed


def _between_bound(names, objects, field, inflow, dx, dy):
    """(T, T) NumPy, certified below the conductance matrix: sides are terminals in a row of pixels of their own."""
    xp = array_module(field)
    field, objects, number = xp.pad(field, 1), xp.pad(objects, 1, constant_values=-1), xp.zeros(tuple(n + 2 for n in field.shape), np.int32)
    inner = {"top": np.s_[0, 1:-1], "bottom": np.s_[-1, 1:-1], "left": np.s_[1:-1, 0], "right": np.s_[1:-1, -1]}
    for t, name in enumerate(names):
        if isinstance(name, int):
            number[(objects == name) & (field > 0)] = t + 1
        else:
            number[inner[name]] = t + 1
    return terminal_bound(field, number, np.pad(inflow, ((0, 0), (1, 1), (1, 1))), dx, dy, BOUND)


def _finite(matrix):
    """Lists with None where a number is infinite."""
    return [[float(v) if np.isfinite(v) else None for v in row] for row in matrix]


def _resistances(G):
    """Two-terminal resistances of a conductance matrix; infinite where nothing joins the two."""
    from scipy.sparse.csgraph import connected_components
    scale = np.abs(G).max()
    _, net = connected_components(np.abs(G) > 1e-12 * scale)
    inverse = np.linalg.pinv(G, rcond=1e-12, hermitian=True)
    own = np.diag(inverse)
    return np.where(net[:, None] == net, own[:, None] + own - 2 * inverse, np.inf)


def _islands(sample, k, driven):
    """Conducting objects that no terminal reaches, whose potential nothing determines."""
    adrift = np.flatnonzero((k.value > 0) & (driven.shares == 0))
    return {"islands": {"objects": adrift.tolist(), "meaning": "joined to no terminal: no current, potential undetermined and written as 0"}}


def _told(islands):
    if not islands:
        return ""
    shown = ", ".join(map(str, islands[:8])) + (f" and {len(islands) - 8} more" if len(islands) > 8 else "")
    return f"no current in object{'s' * (len(islands) > 1)} {shown}: joined to no terminal, potential undetermined (written as 0)"


def _map(sample, values):
    xp = array_module(sample.objects)
    return xp.asarray(values)[sample.objects]


def _size(density):
    xp = array_module(density)
    return xp.hypot(density[..., 0], density[..., 1])


def _spans(mask, axis):
    """Whether a piece of `mask`, joined through pixel edges or corners, reaches from one side to the other along `axis`."""
    labels, _ = pieces(mask, connectivity=8)
    first, last = (labels[0], labels[-1]) if axis == 0 else (labels[:, 0], labels[:, -1])
    return bool(set(to_host(first).tolist()) & set(to_host(last).tolist()) - {0})


def _shares(sample, k, density):
    """(K,) share of the dissipated power in each object: also how much of the answer's relative change its property makes."""
    xp = array_module(k)
    power = (density[..., 0] ** 2 + density[..., 1] ** 2) / xp.where(k > 0, k, 1)
    total = to_host(xp.bincount(sample.objects.ravel(), weights=power.ravel(), minlength=len(sample.phase)))
    return total / total.sum()


def _over_materials(value, k, shares):
    """{"lower", "upper"} of the effective conductivity over the ranges of the objects' conductivities.

    By the minimum principles, with the field found as the trial for all other properties: the upper one from Dirichlet's
    (its power with every conductivity at its highest), the lower one from Thomson's (with every one at its lowest).
    """
    own = k.value > 0
    share, value_k, low, high = shares[own], k.value[own], k.low[own], k.high[own]
    upper = value * float((share * high / value_k).sum())
    if ((share > 0) & (low == 0)).any():
        return {"lower": 0.0, "upper": upper}
    return {"lower": value / float((share[low > 0] * value_k[low > 0] / low[low > 0]).sum()), "upper": upper}


def _current_columns(sample, k, driven):
    """IR drop and current crowding of each conducting object."""
    count = len(sample.phase)
    size, volts = _size(driven.density), at_pixels(driven.potential)
    columns = by_object(sample.objects, count, highest_current_density_a_m2=size, mean_current_density_a_m2=size,
                        lowest_potential_v=volts, highest_potential_v=volts)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns["current_crowding"] = columns["highest_current_density_a_m2"] / columns["mean_current_density_a_m2"]
    columns["ir_drop_v"] = columns["highest_potential_v"] - columns["lowest_potential_v"]
    return {name: np.where(k.value > 0, column, np.nan) for name, column in columns.items()} | _sensitivity("current", driven)


def _sensitivity(name, driven):
    if driven.sensitivity is None:
        return {}
    return {f"{name}_change_per_nm_of_edge": driven.sensitivity * 1e-9}
