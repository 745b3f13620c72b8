"""Electrostatics of the picture: the capacitance matrix between its nets, and the field of one of them."""

import numpy as np
from cukernels.backend import NotConverged, array_module, to_host
from cukernels.threads import meanwhile

from chipmap import InputError
from chipmap.answer import Answer, Picture, by_object, nothing
from chipmap.memory import together
from chipmap.nets import find_nets
from chipmap.physics import BOUND, CLOSE, UNNAMED, conductivity, flux_density
from chipmap.solve import capacitance
from chipmap.uncertainty import energy_sigma

EPSILON_0 = 8.8541878128e-12    # F/m, CODATA 2018
MOST = 4            # nets that are conductors where the user names none


def charge(sample, named=None, margin=0):
    """Maxwell's capacitance matrix between nets, F a metre of depth, and the field with the first at 1 V, the others at 0.

    sample: `properties.Sample`. named: text as "3,17": objects whose nets are the conductors; None for the four nets of the
    largest area. All other conducting nets float without charge. margin: pixels of surroundings on every side, 0 for a
    closed box without field across its sides. Returns an Answer; raises InputError for what is no conductor or no
    permittivity.
    """
    if not sample.named:
        return nothing(f"no charge: {UNNAMED}")
    conducts = conductivity(sample).value > 0
    net = find_nets(sample.objects, conducts)
    area = np.bincount(to_host(sample.objects).ravel(), minlength=len(net))
    fixed = _named(named, net) if named else _largest(net, area)
    if len(fixed) < 2:
        return nothing("no charge: fewer than two nets of conductors")
    xp = array_module(sample.objects)
    others = [n for n in range(net.max() + 1) if n not in fixed]
    order = np.zeros(net.max() + 2, np.int32)  # the last for insulators, whose net is -1
    order[fixed + others] = np.arange(len(fixed) + len(others)) + 1
    number = order[net]
    epsilon = _permittivity(sample, conducts)
    dy, dx = sample.pixel_size_m
    relative, conductors = xp.asarray(epsilon)[sample.objects], xp.asarray(number)[sample.objects]
    try:
        solved = capacitance(relative, conductors, dx, dy, range(len(fixed) + 1, len(fixed) + len(others) + 1), margin, tolerance=CLOSE,
                             bound_tolerance=BOUND)
    except NotConverged as error:
        return nothing(f"no charge: {error}")
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        # the bounds' fluxes are solved for while the potentials are looked at
        with meanwhile(lambda: (EPSILON_0 * solved.lower, EPSILON_0 * solved.upper), together(relative)) as bounds:
            return _answer(sample, solved, bounds, relative, conductors, fixed, net, conducts, margin)
    except NotConverged as error:
        return nothing(f"no charge: {error}")


def _answer(sample, solved, bounds, relative, conductors, fixed, net, conducts, margin):
    xp = array_module(sample.objects)
    dy, dx = sample.pixel_size_m
    inside = np.s_[margin:-margin, margin:-margin] if margin else np.s_[:, :]
    potential = solved.network.potential[0][inside].copy()      # the others go
    field = _field(xp, potential, dx, dy)
    size = xp.hypot(field[..., 0], field[..., 1])
    value = EPSILON_0 * solved.value
    sigma, why = _doubt(sample, solved, relative, conductors, inside)
    columns = {name: np.where(conducts, np.nan, column) for name, column in by_object(
        sample.objects, len(net), highest_electric_field_v_m=size).items()}
    lower, upper = bounds()
    titles = [f"net {n}" for n in fixed]
    objects = [int(np.flatnonzero(net == n)[0]) for n in fixed]
    facts = {
        "capacitance_matrix": {"value": value.tolist(), "lower": lower.tolist(), "upper": upper.tolist(), **({"sigma": None, "why_no_sigma": why} if why else {"sigma": sigma.tolist()}),
                               "unit": "F/m", "table": "capacitance.csv",
                               "meaning": "charge on conductor i at 1 V on conductor j and 0 V on the others, a metre of depth"},
        "conductors": [{"net": int(n), "first_object": o} for n, o in zip(fixed, objects)],
        "floating_nets": int(len(set(net[net >= 0].tolist())) - len(fixed)),
        "floating_by": "one potential each and no charge",
        "boundary": "closed box without field across its sides" if not margin else f"open: {margin} pixels of surroundings on every side",
        "truncation": None if solved.truncation is None else (EPSILON_0 * solved.truncation).tolist(),
        "largest_field": {"value": float(size.max()), "unit": "V/m at 1 V", "lower": None, "upper": None, "sigma": None,
                          "why_no_bounds": "the field is infinite at corners of conductors: the largest grows as pixels shrink"},
    }
    if sample.thickness_m:
        facts["capacitance_matrix"] |= {"of_the_layer_f": (value * sample.thickness_m).tolist(), "thickness_m": sample.thickness_m}
    pair = np.indices(value.shape).reshape(2, -1)
    table = {"net_a": [fixed[i] for i in pair[0]], "net_b": [fixed[i] for i in pair[1]], "object_a": [objects[i] for i in pair[0]],
             "object_b": [objects[i] for i in pair[1]], "capacitance_f_m": value.ravel(), "lower_f_m": lower.ravel(), "upper_f_m": upper.ravel()}
    return Answer(facts, {"electrostatic_potential_v": potential}, {"electric_field_v_m": field}, columns, {"capacitance.csv": table},
                  [Picture("electric_field.png", size, "electric field", "V/m", f"charge: {titles[0]} at 1 V, {', '.join(titles[1:])} at 0", "magma", 0.999)])


def _doubt(sample, solved, relative, conductors, inside):
    """((K, K) standard deviations from where edges are, F/m, "") to first order, or (None, why)."""
    xp, (dy, dx) = array_module(relative), sample.pixel_size_m
    k = xp.where(conductors > 0, 0, relative)
    fluxes = [xp.moveaxis(flux_density(k, u[inside], dx, dy), -1, 0) for u in solved.network.potential]
    sigma, why = energy_sigma(sample, k, conductors > 0, fluxes)
    return (None if sigma is None else EPSILON_0 * sigma), why


def _field(xp, potential, dx, dy):
    return flux_density(xp.ones(tuple(n - 1 for n in potential.shape)), potential, dx, dy)


def _named(text, net):
    fixed = []
    for part in text.split(","):
        part = part.strip()
        if not part.isdecimal() or int(part) >= len(net):
            raise InputError(f"conductor {part!r} is no object of objects.csv (0 to {len(net) - 1})")
        if net[int(part)] < 0:
            raise InputError(f"conductor {part} is an insulator: name a conducting object")
        if net[int(part)] in fixed:
            raise InputError(f"conductor {part} belongs to a net that is named already: name one object a net")
        fixed.append(int(net[int(part)]))
    if len(fixed) < 2:
        raise InputError(f"conductors {text!r}: name at least two objects")
    return fixed


def _largest(net, area):
    if not (net >= 0).any():
        return []
    size = np.bincount(net[net >= 0], area[net >= 0])
    return sorted(int(n) for n in np.argsort(-size, kind="stable")[:MOST])


def _permittivity(sample, conducts):
    """(K,) relative permittivity, 1 in conductors, where it is not read."""
    epsilon = np.zeros(len(conducts))
    for m, names in enumerate(sample.candidates):
        own = (sample.phase == m) & ~conducts
        if own.any():
            epsilon[own] = sample.properties.spread(names, "relative_permittivity")[0]
    if (epsilon[~conducts] <= 0).any():
        raise InputError("a relative permittivity is not above zero: give it with --set MATERIAL.relative_permittivity=NUMBER")
    epsilon[conducts] = 1.0
    return epsilon
