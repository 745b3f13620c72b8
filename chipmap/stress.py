"""Thermo-elasticity on the picture: effective stiffness and expansion, displacement and stress under a temperature change.

One bilinear element a pixel, plane strain or plane stress. Voigt order xx, yy, xy with engineering shear (2 exy). Units
are those given: stiffness of E, stress of E, displacement of dx.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from cukernels.backend import array_module, on_device, to_host
from cukernels.elastic import divergence, elasticity, interior, solve, strain
from cukernels.rigid import RigidMultigrid, extra_bytes, is_hard
from cukernels.threads import in_pieces

from chipmap import InputError, inputs

SIDES = {"top": np.s_[:, 0], "bottom": np.s_[:, -1], "left": np.s_[:, :, 0], "right": np.s_[:, :, -1]}
TOLERANCE = 1e-8
ROWS = 32


@dataclass(frozen=True)
class Stiffness:
    """value: (3, 3) effective stiffness, Voigt. iterations: of conjugate gradients. expansion: (3,) effective strain a
    kelvin of the free composite, None without an expansion coefficient (in plane strain it includes what the held
    thickness adds). fields: gives strain and stress, (3, 3, H, W) each, of the pixels under each of the three unit strains."""

    value: np.ndarray
    iterations: int
    expansion: np.ndarray | None = None
    fields: Callable | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Stress:
    """displacement: (2, H + 1, W + 1) x and y at the pixel corners. stress: (4, H, W) xx, yy, xy and zz, the mean of each
    pixel. von_mises: (H, W). principal: (2, H, W) in-plane, larger first. iterations: of conjugate gradients."""

    displacement: np.ndarray
    stress: np.ndarray
    von_mises: np.ndarray
    principal: np.ndarray
    iterations: int


def effective_stiffness(E, nu, dx=1.0, dy=1.0, plane="strain", alpha=None, boundary="periodic"):
    """Effective stiffness of the picture.

    E, nu: (H, W) Young's modulus and Poisson's ratio of each pixel, nu also a number; E = 0 is a void. plane: "strain" or
    "stress". boundary: "periodic", the picture repeated for ever in both directions; "displacement", of a uniform strain on all
    sides, which no choice of surroundings exceeds; "traction", of a uniform stress on all sides, which none falls below.
    alpha: (H, W) linear expansion, 1/K, for `.expansion`, with the periodic boundary. Returns `Stiffness`; NumPy or CuPy in,
    NumPy out.
    Raises ValueError for a property or a boundary out of range, NotConverged where the solver stops early.
    """
    if boundary not in ("periodic", "displacement", "traction"):
        raise InputError(f"boundary {boundary!r} is unknown: use periodic, displacement or traction")
    if boundary != "periodic":
        if alpha is not None:
            raise InputError("the expansion needs the periodic boundary: leave alpha out, or the boundary")
        return _uniform(E, nu, dx, dy, plane, boundary)
    E, nu, (dx, dy) = inputs.modulus(E), inputs.numbers(nu, "Poisson's ratio"), inputs.pixel(dx, dy)
    alpha = alpha if alpha is None else inputs.field(alpha, E.shape, "expansion")
    xp = array_module(E, nu)
    height, width = E.shape
    repeat = [2 if n == 1 else 1 for n in np.shape(E)]  # a circle needs two nodes
    E, nu = xp.tile(xp.asarray(E), repeat), nu if np.ndim(nu) == 0 else xp.tile(xp.asarray(nu), repeat)
    alpha = alpha if alpha is None or np.ndim(alpha) == 0 else xp.tile(xp.asarray(alpha), repeat)
    lam, mu = plane_moduli(E, nu, plane)
    operator = elasticity(lam, mu, dx, dy, periodic=(True, True))
    unit = xp.broadcast_to(xp.eye(3)[:, :, None, None], (3, 3, *lam.shape))
    given = _stress(lam, mu, unit)  # of the three unit strains
    cases = given if alpha is None else xp.concatenate([given, -_free_stress(E, nu, alpha, 1.0, plane)[None]])
    u, iterations = solve(operator, -divergence(operator, cases), tolerance=TOLERANCE, least=_rounding(cases, operator))
    mean = to_host((cases + _stress(lam, mu, strain(operator, u))).mean(axis=(2, 3))).T

    def fields():
        whole = unit + strain(operator, u[:3])
        return tuple(part[..., :height, :width] for part in (whole, _stress(lam, mu, whole)))
    value = (mean[:, :3] + mean[:, :3].T) / 2
    return Stiffness(value, iterations, None if alpha is None else -np.linalg.solve(value, mean[:, 3]), fields)


def _uniform(E, nu, dx, dy, plane, boundary):
    """`Stiffness` under a uniform strain, or a uniform stress, on all four sides."""
    E, nu, (dx, dy) = inputs.modulus(E), inputs.numbers(nu, "Poisson's ratio"), inputs.pixel(dx, dy)
    xp = array_module(E, nu)
    lam, mu = plane_moduli(E, nu, plane)
    unit = xp.broadcast_to(xp.eye(3)[:, :, None, None], (3, 3, *lam.shape))
    if boundary == "displacement":
        operator, given = elasticity(lam, mu, dx, dy, fixed=_held(xp, lam.shape, tuple(SIDES))), _stress(lam, mu, unit)
        u, iterations = solve(operator, -divergence(operator, given), tolerance=TOLERANCE, least=_rounding(given, operator))
        whole = unit + strain(operator, u)
        value = to_host(_stress(lam, mu, whole).mean(axis=(2, 3)))
    else:
        edge = xp.concatenate([mu[0], mu[-1], mu[:, 0], mu[:, -1]])
        if not bool((edge > 0).all()):
            raise InputError("a uniform stress can't act on a side with voids: use the periodic or the displacement boundary")
        # in the unit of the stiffest pixel, so that displacements are of the order of a pixel
        scale = float(mu.max())
        operator = elasticity(lam, mu, dx, dy)
        load = divergence(operator, scale * unit)
        u, iterations = solve(operator, load, tolerance=TOLERANCE, least=_rounding(scale * unit, operator))
        whole = strain(operator, u) / scale
        value = np.linalg.inv(to_host(whole.mean(axis=(2, 3))))
        whole = xp.tensordot(xp.asarray(value), whole, 1)
    return Stiffness((value + value.T) / 2, iterations, None, lambda: (whole, _stress(lam, mu, whole)))


class Solid:
    """A picture of elastic properties with its held sides; set up once, for any number of loads. Arguments as of `thermal_stress`."""

    def __init__(self, E, nu, dx=1.0, dy=1.0, plane="strain", fixed=()):
        E, nu, (dx, dy) = inputs.modulus(E), inputs.numbers(nu, "Poisson's ratio"), inputs.pixel(dx, dy)
        self.lam, self.mu = plane_moduli(E, nu, plane)
        self.E, self.nu, self.plane = E, nu, plane
        self.operator = elasticity(self.lam, self.mu, dx, dy, fixed=_held(array_module(self.lam), self.lam.shape, fixed))
        self._multigrid = None

    def thermal_stress(self, alpha, temperature_change, tolerance=TOLERANCE):
        """`Stress` under a change of temperature, as of `thermal_stress`."""
        xp = array_module(self.lam)
        E, nu = self.E, self.nu
        alpha, temperature_change = inputs.field(alpha, E.shape, "expansion"), inputs.field(temperature_change, E.shape, "temperature change")
        free = _free_stress(E, nu, alpha, temperature_change, self.plane)
        load = divergence(self.operator, free[None])
        if self._multigrid is None:
            self._multigrid = RigidMultigrid(self.operator)
        u, iterations = solve(self.operator, load, tolerance=tolerance, multigrid=self._multigrid, least=_rounding(free, self.operator))
        H, W = self.lam.shape
        stress, mises, principal = xp.empty((4, H, W)), xp.empty((H, W)), xp.empty((2, H, W))
        nu, alpha, change = (xp.broadcast_to(xp.asarray(part), (H, W)) for part in (nu, alpha, temperature_change))

        def fill(first, last):
            rows = np.s_[first:last]
            xx, yy, xy = _stress(self.lam[rows], self.mu[rows], strain(self.operator, u, first, last))[0] - free[:, rows]
            zz = xp.zeros_like(xx)
            if self.plane == "strain":
                zz = xp.where(E[rows] != 0, nu[rows] * (xx + yy) - E[rows] * alpha[rows] * change[rows], 0.0)
            mean, radius = (xx + yy) / 2, xp.sqrt(((xx - yy) / 2) ** 2 + xy**2)
            mises[rows] = xp.sqrt(((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 2 + 3 * xy**2)
            for whole, parts in ((stress, (xx, yy, xy, zz)), (principal, (mean + radius, mean - radius))):
                for place, part in zip(whole, parts):
                    place[rows] = part

        # few rows at a time: what is in between stays in the processor's own memory
        in_pieces(fill, [0, H] if on_device(u) else [*range(0, H, ROWS), H])
        return Stress(interior(u)[0].copy(), stress, mises, principal, iterations)


    def pull(self, row, column, direction, tolerance=TOLERANCE):
        """(3, H, W) strain of a unit force at a node along (x, y), after `thermal_stress`. Raises NotConverged where nothing holds it."""
        xp = array_module(self.lam)
        load = xp.zeros((1, 2, *(n + 2 for n in self.operator.shape)))
        load[0, :, 1 + row, 1 + column] = xp.asarray(direction)
        return strain(self.operator, solve(self.operator, load, tolerance=tolerance, multigrid=self._multigrid)[0])[0]


def thermal_stress(E, nu, alpha, temperature_change, dx=1.0, dy=1.0, plane="strain", fixed=()):
    """Displacement and stress under a change of temperature.

    E, nu, alpha: (H, W) Young's modulus, Poisson's ratio and linear expansion (1/K) of each pixel; E = 0 is a void.
    temperature_change: K, a number or (H, W). plane: "strain" (thickness held) or "stress" (free to thicken).
    fixed: sides that are held, of "left", "right", "top", "bottom", each alone or with the direction held, as in
    "bottom y"; other sides are free. A part that nothing holds comes back with a rigid motion of no meaning, its stress
    is exact. Returns `Stress` (arrays of the kind given). Raises ValueError, NotConverged. `Solid` serves several loads.
    """
    return Solid(E, nu, dx, dy, plane, fixed).thermal_stress(alpha, temperature_change)


def plane_moduli(E, nu, plane):
    """The two Lame moduli of plane elasticity, (H, W) each; 0 where E is 0."""
    xp = array_module(E, nu)
    E, nu = inputs.numbers(E, "Young's modulus"), inputs.numbers(nu, "Poisson's ratio")
    nu = xp.broadcast_to(nu, E.shape) if nu.ndim == 0 else nu
    if plane not in ("strain", "stress"):
        raise InputError(f"plane {plane!r} is unknown: use strain or stress")
    if E.ndim != 2 or E.shape != nu.shape:
        raise InputError(f"E and nu have shapes {E.shape} and {nu.shape}: give one number a pixel, (H, W) each")
    solid = E != 0
    _check(xp.isfinite(E) & (E >= 0), E, "Young's modulus is negative or not a number", "give numbers >= 0, 0 for a void")
    # a thin sheet of an incompressible material thins where it is stretched; a thick slab can't
    good = (nu > -1) & ((nu < 0.5) | (nu == 0.5) & (plane == "stress"))
    _check(good | ~solid, nu, "Poisson's ratio is outside -1 .. 0.5", "give less than 0.5, with which bilinear elements of plane strain lock")
    nu = xp.where(solid, nu, 0.0)
    return E * nu / ((1 + nu) * (1 - 2 * nu if plane == "strain" else 1 - nu)), E / (2 * (1 + nu))


def peak_bytes(shape, loads=1, hard=False):
    """Memory that a solve on a picture of shape (H, W) takes at most beside its inputs: `thermal_stress` solves for one
    load, `effective_stiffness` for three, four with expansion. Measured; the hierarchy takes most of it.

    hard: with voids or high contrast, as `is_hard_picture` tells."""
    return (shape[0] + 16) * (shape[1] + 16) * (390 + 135 * loads) + (extra_bytes(shape) if hard else 0)


def is_hard_picture(E, nu, plane="strain"):
    """Whether voids or the contrast of stiffness ask for the solver that takes more memory."""
    return is_hard(*plane_moduli(E, nu, plane))


def _rounding(stress, operator):
    """What rounding leaves of nodal forces of stresses that balance."""
    return 1e-14 * float(abs(stress).max()) * max(operator.dx, operator.dy)


def _check(good, values, what, remedy):
    if not bool(good.all()):
        row, column = (int(n) for n in np.unravel_index(int((~good).argmax()), good.shape))
        raise InputError(f"{what} at row {row}, column {column} ({float(values[row, column]):g}): {remedy}")


def _free_stress(E, nu, alpha, temperature_change, plane):
    """(3, H, W): the in-plane stress that would undo the free expansion."""
    xp = array_module(E, nu, alpha)
    E, solid = xp.asarray(E), xp.asarray(E) != 0
    nu = xp.where(solid, xp.asarray(nu), 0.0)
    pressure = xp.where(solid, E * alpha * temperature_change, 0.0) / (1 - 2 * nu if plane == "strain" else 1 - nu)
    if pressure.shape != E.shape or not bool(xp.isfinite(pressure).all()):
        raise InputError("expansion or temperature change is not a number, or not one a pixel: check alpha and temperature_change")
    return xp.stack([pressure, pressure, xp.zeros_like(pressure)])


def _stress(lam, mu, e):
    """In-plane stress (S, 3, H, W) of a strain (S, 3, H, W)."""
    xp = array_module(lam)
    trace = lam * (e[:, 0] + e[:, 1])
    return xp.stack([trace + 2 * mu * e[:, 0], trace + 2 * mu * e[:, 1], mu * e[:, 2]], axis=1)


def _held(xp, shape, sides):
    held = xp.zeros((2, shape[0] + 1, shape[1] + 1), bool)
    for text in (sides,) if isinstance(sides, str) else sides or ():
        side, _, direction = str(text).partition(" ")
        if side not in SIDES or direction not in ("", "x", "y"):
            raise InputError(f"fixed side {text!r} is unknown: use left, right, top or bottom, alone or with x or y")
        for n, name in enumerate("xy"):
            if direction in ("", name):
                held[n:n + 1][SIDES[side]] = True
    return held
