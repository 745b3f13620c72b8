"""Conduction (heat, current, flux) through a picture: the general problem, side to side, and periodic."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces
from cukernels.krylov import conjugate_gradients
from cukernels.multigrid import Multigrid
from cukernels.stencil import PAD, apply, check_conductivity, conduction, conducts, embed, gradient, interior, powers

from chipmap import InputError, inputs

from .confidence import CORRELATED, Doubtful, sampled
from .flux import periodic_bound, terminal_bound
from .layers import are_elements, corner_forces, mean_flux
from .ties import Ties, stiffened, tie

TOLERANCE = 1e-8


@dataclass(frozen=True)
class Solved:
    """S potentials of one conductor.

    potential: (S, H', W') at the nodes; 0 at `floating` ones. inflow: (S, H', W') what enters at each node from outside,
    sources included, conductance times potential. power: (S,) potential times inflow, summed over the nodes.
    iterations: of conjugate gradients. floating: (H', W') bool, nodes whose potential nothing determines: in insulators,
    and on islands without a fixed node, where no current flows.
    """

    potential: np.ndarray
    inflow: np.ndarray
    power: np.ndarray
    iterations: int
    floating: np.ndarray


@dataclass(frozen=True)
class Conductance:
    """value: conductance between two sides, per unit depth. field: (H + 1, W + 1) potential at the pixel corners, 1 at
    the first side (top or left) and 0 at the last; 0 where `floating`. iterations: of conjugate gradients.
    floating: (H + 1, W + 1) bool, corners in insulators and on islands joined to neither side.

    lower <= conductance of the pixel geometry <= upper, certified: `upper` is the power of an admissible potential (the
    value itself), `lower` the reciprocal of the power of an admissible flux, found by a second solve of the same kind,
    run when it is first asked for (`flux`). Pixels that touch at corners only conduct in the upper one alone. Both are None for
    the elements of `layered`, which are closer and bound nothing.
    sigma: standard deviation from where edges may lie, None without a confidence map.
    """

    value: float
    iterations: int
    field: np.ndarray
    floating: np.ndarray
    _dual: Callable = field(repr=False, compare=False)
    sigma: float | None = None
    certified: bool = True

    @property
    def upper(self):
        return self.value if self.certified else None

    @cached_property
    def lower(self):
        return self._dual()


@dataclass(frozen=True)
class Effective:
    """value: (2, 2) NumPy, [[xx, xy], [yx, yy]]. field: (2, H, W) at the top left corner of each pixel, what the picture
    adds to a mean gradient of 1 along x, and along y. iterations: of conjugate gradients.

    lower, upper: (2, 2), certified in the sense of quadratic forms, so on the diagonal too: as for `Conductance`; for
    uniform boundaries `lower` is None, for `layered` both. sigma: (2, 2) standard deviations from where edges may lie, or None.
    """

    value: np.ndarray
    iterations: int
    field: np.ndarray
    _dual: Callable = field(repr=False, compare=False)
    sigma: np.ndarray | None = None
    certified: bool = True

    @property
    def upper(self):
        return self.value if self.certified else None

    @cached_property
    def lower(self):
        return self._dual()


class Conductor:
    """A picture of conductivities with its fixed nodes; set up once, solved for any number of loads.

    k: (H, W), >= 0; 0 is an exact insulator; or tensors (3, H, W), as of `laminate`; or conductances (6, H, W), as of `layered`
    with the same dx and dy. dx, dy: pixel size. fixed: bool at the nodes whose potential will be given;
    nodes are pixel corners, (H + 1, W + 1), one fewer along an axis that wraps. periodic: (along y, along x).
    film: conductance from each node to a surrounding at potential 0, >= 0 (a convecting side: coefficient times length).
    tied: int at the nodes, 0 or 1 .. G: those of one number share their potential; k is not read in pixels between them.
    contrast: as of `Multigrid`. NumPy or CuPy. Raises ValueError for values or shapes out of this contract.
    """

    def __init__(self, k, dx=1.0, dy=1.0, fixed=None, periodic=(False, False), film=None, tied=None, contrast=None):
        if tied is not None:
            k, contrast = stiffened(k, tied, periodic)
        xp = array_module(k)
        check_conductivity(k)
        # a scale near 1, so that no unit (S/m, F/m, W/(m K)) leaves the range of single precision
        self._scale = float(k.max()) or 1.0
        whole = conduction(k / self._scale, dx, dy, periodic, fixed, None if film is None else film / self._scale)
        self.shape, self.periodic, self.dx, self.dy = whole.shape, whole.periodic, dx, dy
        fixed = xp.zeros(self.shape, bool) if fixed is None else fixed
        self.fixed = fixed
        held = fixed if film is None else fixed | (film > 0)
        island = self._islands(xp, k, held) if bool(held.any()) else None
        self.operator = whole if island is None else replace(whole, free=embed((interior(whole.free) > 0) & ~island, periodic).astype(np.uint8))
        self.floating = ~fixed & (interior(self.operator.free) == 0)
        multigrid = Multigrid(self.operator, contrast)
        self._apply, self._precondition, self._average = self.operator, multigrid, lambda a: a
        if tied is not None:
            self._apply, self._precondition, self._average = tie(Ties(tied), self.operator, multigrid)

    def warmed(self, k):
        """The same conductor, without ties, with other conductivities > 0 where it conducts. What was set up for the first
        ones stays and only preconditions: it serves while they change by a fraction."""
        other = copy(self)
        other.operator = conduction(k / self._scale, self.dx, self.dy, self.periodic, interior(self.operator.free) == 0,
                                    interior(self.operator.reaction) if self.operator.reaction.size else None)
        other._apply = other.operator
        return other

    def _islands(self, xp, k, held):
        """Nodes of conducting pieces that touch no held node, or None."""
        solid = conducts(k)
        if bool(solid.all()):
            return None
        rows, columns = solid.shape
        wrapped = [slice(None, n - (not wraps)) for n, wraps in zip(self.shape, self.periodic)]
        labels, count = _pieces(xp, solid, self.periodic)
        grounded = xp.zeros(count + 1, bool)
        for di in (0, 1):
            for dj in (0, 1):
                corner = xp.roll(held, (-di, -dj), axis=(0, 1))[wrapped[0], wrapped[1]]
                grounded[labels[corner]] = True
        grounded[0] = True
        island = ~grounded[labels]
        nodes = xp.zeros(self.shape, bool)
        for di in (0, 1):
            for dj in (0, 1):
                whole = xp.zeros(self.shape, bool)
                whole[:rows, :columns] = island
                nodes |= xp.roll(whole, (di, dj), axis=(0, 1))
        return nodes

    def solve(self, values=None, sources=None, start=None, tolerance=TOLERANCE):
        """Potentials for S loads, as a `Solved`.

        values: (S, H', W') potentials, read at fixed nodes. sources: (S, H', W') what is put in at each free node.
        start: (S, H', W') first guess of the potential, where both are given of the values' part of it. tolerance: relative error in the energy norm; where both
        values and sources are given, each part is solved to it.
        Raises ValueError where a source stands on a floating node, or nothing is held and sources do not cancel;
        cukernels' NotConverged where the iteration stalls.
        """
        if values is None and sources is None:
            raise InputError("nothing drives the conductor: give values at fixed nodes or sources")
        driven = None if values is None else self._driven(values, start, tolerance)
        fed = None if sources is None else self._fed(sources, start if values is None else None, tolerance)
        both = [part for part in (driven, fed) if part is not None]
        u = both[0].x
        if len(both) == 2:
            u += fed.x
        inflow, power = powers(self.operator, u, self._scale)
        return Solved(interior(u), interior(inflow), self._scale * to_host(power), max(part.iterations for part in both), self.floating)

    def _driven(self, values, start, tolerance):
        xp = array_module(self.operator.k)
        u = xp.zeros((len(values), *(n + 2 * PAD for n in self.shape)))
        inside = interior(u)
        if start is not None:
            xp.copyto(inside, start, where=~self.floating)
        inside[:, self.fixed] = values[:, self.fixed]
        return conjugate_gradients(self._apply, self._precondition, None, u, tolerance)

    def _fed(self, sources, start, tolerance):
        if bool((sources != 0)[..., self.floating].any()):
            raise InputError("a source stands on an insulator or an island without a fixed node: move it or join the island")
        b = embed(sources.astype(np.float64) / self._scale, (False, False)) * self.operator.free
        if not bool(self.fixed.any()) and self.operator.reaction.size == 0:
            total, size = abs(b.sum(axis=(1, 2))), abs(b).sum(axis=(1, 2))
            if bool((total > 1e-9 * size).any()):
                raise InputError("sources do not cancel and no node is fixed: what goes in has no way out, fix a node")
        b = self._average(b)
        if start is None:
            return conjugate_gradients(self._apply, self._precondition, b, None, tolerance)
        u = self._average(embed(start.astype(np.float64), self.periodic) * self.operator.free)
        inside = array_module(u).einsum("sij,sij->s", interior(u), interior(b))
        # the answer's energy, but for that of what it has more than the guess; a guess that says less than nothing is none
        energy = to_host(2 * inside - powers(self.operator, u)[1])
        if not (energy > 0).all():
            u, energy = None, None
        return conjugate_gradients(self._apply, self._precondition, b, u, tolerance, energy)

    def inflow(self, potential):
        """(S, H', W') what enters at each node from outside at these potentials, conductance times potential."""
        return interior(powers(self.operator, embed(potential, self.periodic), self._scale)[0])

    def flux(self, solved, k):
        """Mean flux in each pixel, (S, 2, H, W), x first, conductivity times potential over length: -k grad u."""
        if are_elements(k):
            u = solved.potential
            return mean_flux(corner_forces(k, (u[:, :-1, :-1], u[:, :-1, 1:], u[:, 1:, :-1], u[:, 1:, 1:])), self.dx, self.dy)
        return -times(k, gradient(self.operator, embed(solved.potential, self.periodic), self.dx, self.dy))


def times(k, gradient):
    """(S, 2, H, W) conductivities, numbers or tensors, times gradients of that shape."""
    if k.ndim == 2:
        return k * gradient
    x, y = gradient[:, 0], gradient[:, 1]
    return array_module(k).stack([k[0] * x + k[2] * y, k[2] * x + k[1] * y], axis=1)


def conductance(k, axis=0, dx=1.0, dy=1.0, tolerance=TOLERANCE, confidence=None, samples=0, correlated=CORRELATED, seed=0, bound_tolerance=None):
    """Conductance from side to side along an axis, the other two sides insulated, per unit depth: a `Conductance`.

    k: (H, W) conductivity of each pixel, >= 0, 0 an exact insulator. axis: 0, from the top to the bottom; 1, from left
    to right. dx, dy: pixel size along columns and rows. A uniform k gives k W dx / (H dy) along axis 0.
    The value is the dissipated power at unit drop, so its relative error from the iteration is about tolerance**2.
    confidence: (H, W), 0 .. 1, that each pixel is what it is, for `.sigma`: edges displaced as far as it is low about them,
    together over about `correlated` pixels of their course; to first order, or with samples > 1 by so many further solves.
    bound_tolerance: likewise of the flux of `.lower`, which falls by its square; None for `tolerance`, 1e-5 at least.
    Raises ValueError for a bad k, size or axis; cukernels' NotConverged where the iteration stalls. NumPy or CuPy.
    """
    if axis not in (0, 1):
        raise InputError(f"axis {axis} is unknown: use 0 (top to bottom) or 1 (left to right)")
    k, (dx, dy), tolerance = inputs.conductivity(k), inputs.pixel(dx, dy), inputs.tolerance(tolerance)
    inputs.draws(samples, correlated)
    xp = array_module(k)
    elements = are_elements(k)
    rows, columns = k.shape[-2:]
    shape = rows + 1, columns + 1
    fixed = xp.zeros(shape, bool)
    sides = fixed if axis == 0 else fixed.T
    sides[0] = sides[-1] = True
    ramp = xp.linspace(1.0, 0.0, shape[axis])
    ramp = xp.broadcast_to(ramp[:, None] if axis == 0 else ramp, shape)[None]
    conductor = Conductor(k, dx, dy, fixed)
    solved = conductor.solve(values=ramp, start=ramp, tolerance=tolerance)

    inflow = xp.where(fixed, solved.inflow, 0)

    def dual():
        if elements:
            return None
        # a row of terminal before the first and behind the last row of pixels
        wide = [(n, n) for n in (1 - axis, axis)]
        terminals = xp.zeros((rows + 2 * wide[0][0], columns + 2 * wide[1][0]), np.int32)
        ends = terminals if axis == 0 else terminals.T
        ends[0], ends[-1] = 1, 2
        return float(terminal_bound(xp.pad(k, [(0, 0)] * (k.ndim - 2) + wide), terminals, xp.pad(inflow, [(0, 0), *wide]), dx, dy,
                                    tolerance if bound_tolerance is None else inputs.tolerance(bound_tolerance))[0, 0])

    sigma = None
    if confidence is not None:
        _numbers_only(k)
        doubtful = Doubtful(k, confidence, dx, dy, None, correlated)
        if samples > 1:
            sigma = float(sampled(doubtful, samples, seed, lambda moved: conductance(xp.asarray(moved), axis, dx, dy, tolerance).value))
        else:
            sigma = float(doubtful.sigma(doubtful.changes(conductor.flux(solved, k)))[0, 0])
    return Conductance(float(solved.power[0]), solved.iterations, solved.potential[0], solved.floating, dual, sigma, not elements)


def effective_conductivity(k, dx=1.0, dy=1.0, tolerance=TOLERANCE, boundary="periodic", confidence=None, samples=0, correlated=CORRELATED, seed=0):
    """Effective conductivity tensor of the picture: an `Effective`.

    k: (H, W) conductivity of each pixel, >= 0. dx, dy: pixel size along columns and rows. boundary: "periodic", the
    picture repeated in both directions; "gradient", potentials g . x all round the picture, which no choice of
    surroundings exceeds; "flux", a uniform flux through every side, which none falls below.
    The tensor is the mean power at unit mean gradients, so its relative error from the iteration is about tolerance**2.
    confidence, samples, correlated, seed: as of `conductance`, for `.sigma`; with the periodic boundary.
    Raises as `conductance`. NumPy or CuPy; the tensor is NumPy.
    """
    k, (dx, dy), tolerance = inputs.conductivity(k), inputs.pixel(dx, dy), inputs.tolerance(tolerance)
    inputs.draws(samples, correlated)
    xp = array_module(k)
    if confidence is not None:
        _numbers_only(k)
    if boundary not in ("periodic", "gradient", "flux"):
        raise InputError(f"boundary {boundary!r} is unknown: use periodic, gradient or flux")
    if boundary != "periodic":
        if confidence is not None:
            raise InputError("a confidence map needs the periodic boundary: leave one of the two out")
        return _uniform(xp, k, dx, dy, tolerance, boundary)
    found, flux = _periodic(xp, k, dx, dy, tolerance)
    if confidence is None:
        return found
    doubtful = Doubtful(k, confidence, dx, dy, None, correlated)
    if samples > 1:
        sigma = sampled(doubtful, samples, seed, lambda moved: _periodic(xp, xp.asarray(moved), dx, dy, tolerance)[0].value)
    else:
        sigma = doubtful.sigma(doubtful.changes(flux())) / (k.size * dx * dy)
    return replace(found, sigma=sigma)


def _periodic(xp, k, dx, dy, tolerance):
    """(`Effective`, a function for the flux (2, 2, H, W), x first, at a unit mean gradient along x, and along y)."""
    elements, (height, width) = are_elements(k), k.shape[-2:]
    k = xp.tile(k, [1] * (k.ndim - 2) + [2 if n == 1 else 1 for n in k.shape[-2:]])  # a circle needs two nodes
    check_conductivity(k)
    scale = float(k.max())
    k, whole = k / scale, k
    operator = conduction(k, dx, dy, (True, True))
    area = dx * dy * k.shape[-2] * k.shape[-1]
    unit = xp.asarray(np.eye(2))[:, :, None, None]
    if are_elements(k):
        b, mean = _element_ramps(xp, k, dx, dy)
    elif k.ndim == 2:
        b, mean = _plain_ramps(xp, k, dx, dy), np.eye(2) * float(k.sum()) * dx * dy
    else:
        ramps = times(k, xp.broadcast_to(unit, (2, 2, *k.shape[-2:])))  # flux of the potentials x and y
        b = -_ramps(xp, ramps, dx, dy)
        mean = to_host(ramps.sum(axis=(2, 3))) * dx * dy
    load = embed(b, (False, False))  # residuals have a pad of zeros: inner products count each node once
    solution = conjugate_gradients(operator, Multigrid(operator), load, None, tolerance, np.diag(mean).copy())
    chi = solution.x
    # power of the sum of ramp and correction, all four terms: its error is the square of chi's
    cross = to_host(xp.einsum("aij,bij->ab", interior(chi), b))
    inner = to_host(xp.einsum("aij,bij->ab", interior(chi), interior(apply(operator, chi))))
    value = scale * (mean - cross - cross.T + inner) / area

    def flux():
        return times(whole, unit + gradient(operator, chi, dx, dy))[:, :, :height, :width]
    return Effective((value + value.T) / 2, solution.iterations, interior(chi)[:, :height, :width],
                     lambda: None if elements else periodic_bound(whole, dx, dy, tolerance), certified=not elements), flux


def _uniform(xp, k, dx, dy, tolerance, boundary):
    """An `Effective` under a uniform gradient, or a uniform flux, on all four sides."""
    rows, columns = k.shape[-2:]
    shape, area = (rows + 1, columns + 1), dx * dy * rows * columns
    x = xp.broadcast_to((xp.arange(shape[1]) - columns / 2) * dx, shape)
    y = xp.broadcast_to((xp.arange(shape[0])[:, None] - rows / 2) * dy, shape)
    ramps = xp.stack([x, y]).astype(np.float64)
    if boundary == "gradient":
        fixed = xp.ones(shape, bool)
        fixed[1:-1, 1:-1] = False
        solved = Conductor(k, dx, dy, fixed).solve(values=ramps, start=ramps, tolerance=tolerance)
        energy = to_host(xp.einsum("aij,bij->ab", solved.potential, solved.inflow)) / area
        value = (energy + energy.T) / 2
        return Effective(value, solved.iterations, (solved.potential - xp.where(solved.floating, 0, ramps))[:, :-1, :-1], lambda: None)
    if not bool(conducts(k).all()):
        raise InputError("a uniform flux can't leave through insulating pixels: use the periodic or the gradient boundary for pictures with voids")
    # one unit of mean flux along x, and along y: half a pixel's side of it at each node of a side, at its ends a quarter
    sources = xp.zeros((2, *shape))
    for i in (0, 1):
        sources[0, i:i + rows, 0] += dy / 2
        sources[0, i:i + rows, -1] -= dy / 2
        sources[1, 0, i:i + columns] += dx / 2
        sources[1, -1, i:i + columns] -= dx / 2
    solved = Conductor(k, dx, dy).solve(sources=sources, tolerance=tolerance)
    energy = to_host(xp.einsum("aij,bij->ab", solved.potential, sources)) / area
    value = np.linalg.inv((energy + energy.T) / 2)
    field = -to_host(xp.asarray(value)) @ to_host(solved.potential).reshape(2, -1)
    return Effective((value + value.T) / 2, solved.iterations, (xp.asarray(field).reshape(2, *shape) - ramps)[:, :-1, :-1], lambda: None)


def _element_ramps(xp, k, dx, dy):
    """(What the potentials x and y leave at the nodes of a periodic picture of conductances, (2, H, W); their powers, (2, 2))."""
    corner = np.array([(0, 0), (dx, 0), (0, dy), (dx, dy)])
    forces = xp.stack([corner_forces(k, corner[:, n]) for n in (0, 1)])
    power = to_host(forces.sum(axis=(2, 3))) @ corner
    return -sum(xp.roll(forces[:, n], (n // 2, n % 2), axis=(1, 2)) for n in range(4)), (power + power.T) / 2


def _numbers_only(k):
    if are_elements(k):
        raise InputError("a confidence map needs one conductivity a pixel: its edges are where that changes")


def _ramps(xp, flux, dx, dy):
    """What uniform fluxes (2, 2, H, W) in each pixel, x first, take out of the nodes of a periodic picture, (2, H, W)."""
    left, up = xp.roll(flux, 1, axis=3), xp.roll(flux, 1, axis=2)
    both = xp.roll(left, 1, axis=2)
    return (dy / 2 * (left + both - flux - up)[:, 0] + dx / 2 * (up + both - flux - left)[:, 1])


def _plain_ramps(xp, k, dx, dy):
    """What the potentials x and y leave at the nodes of a periodic picture of numbers, (2, H, W)."""
    left = xp.roll(k, 1, axis=1)
    falling, rising = k - xp.roll(left, 1, axis=0), xp.roll(k, 1, axis=0) - left
    return xp.stack([dy / 2 * (falling + rising), dx / 2 * (falling - rising)])


def _pieces(xp, mask, periodic):
    """Conducting pieces, pixels joined through edges or corners, round a side only where it wraps."""
    if periodic[0] == periodic[1]:
        return pieces(mask, connectivity=8, periodic=periodic[0])
    # one axis wraps: an empty row or column keeps the other from doing so
    rows, columns = mask.shape
    wider = xp.zeros((rows + (not periodic[0]), columns + (not periodic[1])), bool)
    wider[:rows, :columns] = mask
    labels, count = pieces(wider, connectivity=8, periodic=True)
    return labels[:rows, :columns], count
