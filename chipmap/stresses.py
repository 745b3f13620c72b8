"""Thermal stress of the picture: every material with its stiffness and expansion, under a change of temperature."""

from types import SimpleNamespace

import numpy as np
from cukernels.backend import NotConverged, array_module, to_host

from chipmap import InputError
from chipmap.answer import Answer, Picture, by_object, nothing
from chipmap.physics import UNNAMED
from chipmap.solve import Solid, effective_stiffness
from chipmap.strained_edges import energy_changes, thermal_energies
from chipmap.stress import is_hard_picture, plane_moduli
from chipmap.uncertainty import NO_GREY, edges_sigma
from chipmap.uniform import uniform_stiffness

GPA = 1e9
ROUGH = 1e-3        # of a displacement that sensitivities are read from
TOLERANCE = 1e-5    # of the displacement, in the energy norm


def stress(sample, temperature_change, fixed, plane, what="uniform change of temperature"):
    """Displacement and stress under a change of temperature.

    sample: `properties.Sample`. temperature_change: K, a number or (H, W). fixed: text as "left x,bottom y", sides held, as
    of `solve.thermal_stress`; "" for none. plane: "strain" or "stress". what: says where the temperature comes from.
    Returns an Answer; raises InputError for sides that are unknown and materials without the property.
    """
    if not sample.named:
        return nothing(f"no stress: {UNNAMED}")
    xp = array_module(sample.objects)
    dy, dx = sample.pixel_size_m
    modulus, ratio, expansion = _properties(sample)
    sides = tuple(part.strip() for part in fixed.split(",") if part.strip())
    # lengths in units of a pixel: metres would leave the range of single precision
    try:
        if (plane, sides) not in sample.solids:
            sample.solids[plane, sides] = Solid(modulus / GPA, ratio, 1.0, dy / dx, plane, sides)
        solved = sample.solids[plane, sides].thermal_stress(expansion, temperature_change, TOLERANCE)
    except NotConverged as error:
        return nothing(f"no stress: {error}")
    except ValueError as error:
        raise InputError(str(error)) from None
    mises = solved.von_mises * GPA
    columns = by_object(sample.objects, len(sample.phase), highest_von_mises_pa=mises, mean_von_mises_pa=mises,
                        highest_principal_stress_pa=solved.principal[0] * GPA)
    count = int(np.nanargmax(columns["highest_von_mises_pa"]))
    uniform = np.ndim(temperature_change) == 0
    facts = {
        "temperature_change": {"value": float(temperature_change) if uniform else None, "unit": "K", "what": what},
        "boundary": {"fixed": list(sides), "others": "free", "plane": plane},
        "largest_von_mises": {"value": float(mises.max()), "lower": None, "upper": None, "sigma": None, "unit": "Pa", "object": count,
                              "why_no_bounds": "stress is infinite at corners between materials: the largest grows as pixels shrink"},
        "mean_von_mises": {"value": float(mises.mean()), "lower": None, "upper": None, "sigma": None, "unit": "Pa"},
        "strain_energy": {"value": _energy(xp, solved, modulus / GPA, ratio, plane) * GPA * dx * dy, "lower": None, "upper": None,
                          **_energy_doubt(sample, plane, sides, expansion, temperature_change, solved), "unit": "J/m", "per": "metre of depth"},
        "largest_displacement": {"value": float(xp.hypot(*solved.displacement).max()) * dx, "lower": None, "upper": None,
                                 **_displacement_doubt(sample, plane, sides, expansion, temperature_change, solved), "unit": "m"},
        "iterations": int(solved.iterations),
    }
    tensors = {f"stress_{name}_pa": part * GPA for name, part in zip(("xx", "yy", "xy", "zz"), solved.stress)}
    title = f"stress: {temperature_change:+g} K" if uniform else f"stress: {what}"
    return Answer(facts, {"displacement_m": xp.moveaxis(solved.displacement, 0, 2) * dx},
                  {"von_mises_pa": mises, **tensors}, columns,
                  pictures=[Picture("von_mises.png", mises, "von Mises stress", "Pa", f"{title}, {fixed or 'nothing'} held", "magma", 0.999)])


def stiffness(sample, plane, uniform=False):
    """Effective stiffness and thermal expansion of the picture repeated both ways, as an Answer without fields.

    sample: `properties.Sample`. plane: "strain" or "stress". uniform: under uniform strain and stress too. Raises InputError for materials without the property.
    """
    if not sample.named:
        return nothing(f"no stiffness: {UNNAMED}")
    modulus, ratio, expansion = _properties(sample)
    dy, dx = sample.pixel_size_m
    try:
        solved = effective_stiffness(modulus / GPA, ratio, 1.0, dy / dx, plane, expansion)
    except NotConverged as error:
        return nothing(f"no stiffness: {error}")
    except ValueError as error:
        raise InputError(str(error)) from None
    lower, upper = (GPA * bound for bound in mean_bounds(modulus / GPA, ratio, plane))
    facts = {"stiffness": {"value": (solved.value * GPA).tolist(), "lower": lower.tolist(), "upper": (solved.value * GPA).tolist(),
                           "lower_and_upper": "in the sense of quadratic forms, for this geometry: Reuss's mean of the compliances, far below, and "
                                              "the value itself, the energy of an admissible displacement",
                           "voigt": upper.tolist(), **_stiffness_doubt(sample, plane, modulus, ratio, solved), "unit": "Pa",
                           "order": "xx, yy, xy with engineering shear; x right, y down", "boundary": "periodic", "plane": plane},
             "expansion": {"value": solved.expansion.tolist(), "unit": "1/K", "order": "xx, yy, xy"}, "iterations": int(solved.iterations)}
    if uniform:
        facts["stiffness_uniform"] = uniform_stiffness(modulus / GPA, ratio, dy / dx, plane, GPA)
    pair = np.indices((3, 3)).reshape(2, -1)
    names = np.array(["xx", "yy", "xy"])
    return Answer(facts, tables={"stiffness.csv": {"row": names[pair[0]], "column": names[pair[1]], "stiffness_pa": solved.value.ravel() * GPA}})


def mean_bounds(E, nu, plane):
    """((3, 3) Reuss's lower, (3, 3) Voigt's upper bound) of the effective stiffness, NumPy: the inverse of the mean compliance, and the
    mean stiffness; 0 below where there are voids."""
    lam, mu = (to_host(part) for part in plane_moduli(E, nu, plane))
    stiff, soft = np.zeros((3, 3)), np.zeros((3, 3))
    solid = mu > 0
    size = np.where(solid, 4 * mu * (lam + mu), 1.0)
    stiff[0, 0] = stiff[1, 1] = (lam + 2 * mu).mean()
    stiff[0, 1] = stiff[1, 0] = lam.mean()
    stiff[2, 2] = mu.mean()
    if not solid.all():
        return soft, stiff
    soft[0, 0] = soft[1, 1] = ((lam + 2 * mu) / size).mean()
    soft[0, 1] = soft[1, 0] = -(lam / size).mean()
    soft[2, 2] = (1 / mu).mean()
    return np.linalg.inv(soft), stiff


def _energy_doubt(sample, plane, sides, expansion, temperature_change, solved):
    """Standard deviation of the strain energy from where the edges are, J a metre of depth."""
    if sample.measured is None:
        return {"sigma": None, "why_no_sigma": NO_GREY}
    beside = _Beside(sample, plane, sides, expansion, temperature_change, solved)
    return _told_sigma(sample, GPA * sample.pixel_size_m[1] ** 2 * beside.energy_changes())


def _displacement_doubt(sample, plane, sides, expansion, temperature_change, solved):
    """Standard deviation of the largest displacement, at its place and along it, m, from where the edges are: the energy's, as
    a force there grows from nothing, which takes a further solve."""
    if sample.measured is None:
        return {"sigma": None, "why_no_sigma": NO_GREY}
    if not sample.samples or np.ndim(temperature_change):
        return {"sigma": None, "why_no_sigma": "it takes a further elastic solve: asked for by --samples, for a uniform change of temperature"}
    size = to_host(array_module(solved.displacement).hypot(*solved.displacement))
    row, column = np.unravel_index(int(size.argmax()), size.shape)
    if not size[row, column] > 0:
        return {"sigma": None, "why_no_sigma": "nothing moves"}
    beside = _Beside(sample, plane, sides, expansion, temperature_change, solved)
    try:
        pulled = beside.solid.pull(row, column, to_host(solved.displacement[:, row, column]) / size[row, column], ROUGH)
    except NotConverged:
        return {"sigma": None, "why_no_sigma": "nothing holds the picture in this direction: the displacement has a rigid motion of no meaning"}
    strain = to_host(pulled[:, beside.rows, beside.columns])[:, None]
    force = np.abs(beside.strain).max() / max(np.abs(strain).max(), 1e-300)      # quadratic in it: any does, this keeps the digits
    moved = (beside.energy_changes(-force * strain) - beside.energy_changes(force * strain)) / (2 * force)
    return _told_sigma(sample, moved * sample.pixel_size_m[1])


def _told_sigma(sample, moved):
    sigma, why = edges_sigma(sample, moved)
    return {"sigma": None, "why_no_sigma": why} if why else {"sigma": float(sigma[0, 0]), "sigma_from": "where the edges are, first order"}


class _Beside:
    """The pixels beside the edges alone, one row of them, and what is in them; lengths in pixels, stiffness in GPa."""

    def __init__(self, sample, plane, sides, expansion, temperature_change, solved):
        self.solid, (dy, dx), edges = sample.solids[plane, sides], sample.pixel_size_m, sample.measured.edges
        count, self.rows, self.columns = len(edges.row), *(np.concatenate(pair) for pair in zip((edges.row, edges.column), edges.beyond))
        solid, at = self.solid, (self.rows, self.columns)
        self.lam, self.mu, E, nu, alpha, change = (to_host(part if np.ndim(part) < 2 else part[at][None])
                                                   for part in (solid.lam, solid.mu, solid.E, solid.nu, expansion, temperature_change))
        self.edges = SimpleNamespace(normal=edges.normal, row=np.zeros(count, int), column=np.arange(count), beyond=(np.zeros(count, int), np.arange(count, 2 * count)))
        self.area = edges.weight * (dy / dx)
        self.pressure, self.resting = thermal_energies(E, nu, alpha, change, plane)
        self.stress = to_host(solved.stress[:3, self.rows, self.columns])[:, None]
        xx, yy = self.stress[0] + self.pressure, self.stress[1] + self.pressure
        lam, mu = self.lam, self.mu
        size, shear = np.where(mu > 0, 4 * mu * (lam + mu), 1.0), np.where(mu > 0, mu, 1.0)
        self.strain = np.stack([((lam + 2 * mu) * xx - lam * yy) / size, ((lam + 2 * mu) * yy - lam * xx) / size, self.stress[2] / shear])

    def energy_changes(self, more=0.0):
        """(F, 1, 1) change of the energy for each pixel that a face moves, with a further strain (3, 1, 2F)."""
        further = 0.0
        if np.ndim(more):
            trace = self.lam * (more[0] + more[1])
            further = np.stack([trace + 2 * self.mu * more[0], trace + 2 * self.mu * more[1], self.mu * more[2]])
        return energy_changes(self.edges, self.lam, self.mu, (self.strain + more)[None], (self.stress + further)[None], self.area, self.pressure, self.resting) / 2


def _stiffness_doubt(sample, plane, modulus, ratio, solved):
    """Standard deviations of the effective stiffness from where the edges are, Pa."""
    if sample.measured is None:
        return {"sigma": None, "why_no_sigma": NO_GREY}
    lam, mu = plane_moduli(modulus / GPA, ratio, plane)
    edges = sample.measured.edges
    moved = energy_changes(edges, lam, mu, *solved.fields(), edges.weight * (GPA / modulus.size))
    sigma, why = edges_sigma(sample, moved)
    return {"sigma": None, "why_no_sigma": why} if why else {"sigma": sigma.tolist(), "sigma_from": "where the edges are, first order"}


def is_hard(sample):
    """Whether the stiffness of this picture asks for more memory; of unnamed pictures nothing is solved."""
    if not sample.named:
        return False
    modulus, ratio, _ = _properties(sample)
    return is_hard_picture(modulus / GPA, ratio, "stress")     # takes any ratio


def _properties(sample):
    """Young's modulus in Pa, Poisson's ratio and expansion in 1/K of each pixel."""
    xp = array_module(sample.objects)
    return (xp.asarray(sample.per_object(name).value * scale)[sample.objects] for name, scale in
            (("youngs_modulus_gpa", GPA), ("poisson_ratio", 1.0), ("expansion_1e6_per_k", 1e-6)))


def _energy(xp, solved, modulus, ratio, plane):
    """Elastic energy of the means of the pixels, in the unit of the modulus times a pixel's width squared per depth."""
    xx, yy, xy, zz = solved.stress
    stiff = xp.where(modulus > 0, modulus, 1.0)
    density = ((xx * xx + yy * yy + zz * zz - 2 * ratio * (xx * yy + yy * zz + zz * xx)) / 2 + (1 + ratio) * xy * xy) / stiff
    return float(density.sum())
