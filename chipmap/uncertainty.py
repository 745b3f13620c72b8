"""What the picture and the library leave open: edges are where the grey says, to within its noise, and properties lie in
their ranges; what both do to a result.

First order: a result that is an energy changes by the jump of the energy density across an edge times the area that the
edge sweeps, so one solve serves all edges (the shape derivative, whose adjoint is the solution itself; G. Allaire,
Conception optimale de structures, 2007, chapter 6). Or by sampling: edges are displaced by draws that are correlated
along their course, and the problem is solved again.
"""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import to_host
from cukernels.philox import normal, uniform

from chipmap.measure.edges import SMOOTH, displacement, find_edges, smooth
from chipmap.measure.fine_layers import moved_elements

DRAWS = 4000        # of properties, for the interval
EDGES, LEVELS, PROPERTIES, REST = range(4)     # what each stream of chance is for
NO_GREY = "no grey values to measure the edges by"
UNSEEN = "the picture does not show the edges: the phases' grey levels differ by less than the noise"


@dataclass(frozen=True)
class Measured:
    """The edges of a picture as the grey shows them: `edges.Edges`, `edges.Displacement`, the smoothed displacements (F,)
    with the matrix that smooths, and those smoothed over twice the length."""

    edges: object
    seen: object
    moved: np.ndarray
    matrix: object
    smoother: np.ndarray


@dataclass(frozen=True)
class Doubt:
    """value: the result at the edges that the grey shows. edges_sd: from where these are. sigma, interval: with the
    properties' ranges too, 95 %. edges_interval: without them. by_object: (K,) relative change of the result for each
    metre that an object's whole edge moves outwards. samples: (S,) results of displaced edges, () where none was asked for."""

    value: float
    edges_sd: float
    edges_interval: tuple
    sigma: float
    interval: tuple
    by_object: np.ndarray
    samples: np.ndarray


def measure(image, objects, phase, phase_level, noise_sigma, pixel_size_m):
    """`Measured` of (H, W) grey values and object numbers, both NumPy; the rest as of `edges.displacement`."""
    edges = find_edges(objects, pixel_size_m[0] / pixel_size_m[1])
    seen = displacement(edges, image, objects, phase, phase_level, noise_sigma)
    moved, matrix = smooth(edges, seen.mean)
    return Measured(edges, seen, moved, matrix, smooth(edges, seen.mean, 2 * SMOOTH)[0])


def doubt(measured, k, density, spread, shares, phase, pixel_size_m, solve, samples=0, seed=0):
    """`Doubt` of a conductance; None where more than half of what edges do to it is done by edges that the grey does not show.

    measured: `Measured`. k: (H, W) conductivity, NumPy. density: (H, W, 2) flux density at unit drop. spread:
    `properties.Spread` of the conductivities of the K objects; shares: (K,) of the power; phase: (K,). solve: from a
    conductances (6, H, W), as of `fine_layers.moved_elements`, to the conductance. samples: how many times to solve again with displaced edges (0: first
    order).

    The value is solved with pixels that edges cut as layers (`fine_layers.moved_elements`). How far edges are averaged along
    their course is a choice between noise and roughness: what doubling it changes counts as one standard deviation's half.
    """
    edges, seen = measured.edges, measured.seen
    jump = energies(edges, k, density)
    change = jump * edges.weight * np.where(edges.across == 1, pixel_size_m[0], pixel_size_m[1])
    in_pixels = change * np.where(edges.across == 1, pixel_size_m[1], pixel_size_m[0])
    if np.abs(in_pixels[~seen.measured]).sum() > 0.5 * np.abs(in_pixels).sum():
        return None
    dy, dx = pixel_size_m

    def again(moved):
        return solve(moved_elements(edges, moved, k, dx, dy))

    value = again(measured.moved)
    choice = (again(measured.smoother) - value) / 2
    drawn = np.array([again(moved) for moved in displaced(measured, samples, seed)])
    spread_sd = float(drawn.std(ddof=1)) if samples > 1 else seen.doubt(in_pixels)
    edges_sd = float(np.hypot(spread_sd, choice))
    results = value * property_factors(spread, shares, phase, seed) + edges_sd * normal(seed, REST, np.arange(DRAWS))
    quantiles = (0.025, 0.975)
    outer = tuple(float(q) for q in np.quantile(results, quantiles))
    inner = (value - 1.959964 * edges_sd, value + 1.959964 * edges_sd)
    return Doubt(float(value), edges_sd, inner, float(results.std()), (min(outer[0], inner[0]), max(outer[1], inner[1])),
                 by_object(edges, change, len(phase)) / value, drawn)


def energy_sigma(sample, k, perfect, flux):
    """((L, L) standard deviations, from where edges are, of the energies of L fields and of each two of them, ""), to first
    order, or (None, why not).

    sample: `properties.Sample`. k: (H, W) conductivity. perfect: (H, W) bool, perfect conductors. flux: L times (2, H, W), x
    first, with the potentials held, or the sources, where the energy changes the other way round.
    """
    from chipmap.solve.confidence import energy_changes
    if sample.measured is None:
        return None, NO_GREY
    edges, (dy, dx) = sample.measured.edges, sample.pixel_size_m
    return edges_sigma(sample, energy_changes(edges, to_host(k), to_host(perfect), edges.weight * dx * dy, flux))


def edges_sigma(sample, change):
    """((L, L) standard deviations from where edges are, "") of what changes by (F, L, L) for each pixel that a face moves, or
    (None, why not): no grey to measure the edges by, or more than half of the change is done by edges that it does not show."""
    if sample.measured is None:
        return None, NO_GREY
    seen = sample.measured.seen
    own = np.abs(np.einsum("fkk->f", change))
    if own[~seen.measured].sum() > 0.5 * own.sum():
        return None, UNSEEN
    count = change.shape[1]
    return np.array([[seen.doubt(change[:, i, j]) for j in range(count)] for i in range(count)]), ""


def displaced(measured, count, seed=0):
    """`count` draws of the displacements (F,) of all faces, pixels: noise that the smoothing has correlated along each
    edge, and errors of the grey levels, which move all edges of an object together."""
    seen = measured.seen
    faces = np.arange(len(measured.moved))
    for n in range(count):
        noise = seen.sd * normal(seed, (n << 2) | EDGES, faces)
        level = (seen.by_source * normal(seed, (n << 2) | LEVELS, seen.source)).sum(axis=0)
        yield measured.moved + measured.matrix @ noise + level


def property_factors(spread, shares, phase, seed=0, draws=DRAWS):
    """(draws,) factors of the result as the conductivity of each phase varies within its range (the same for all its
    objects; triangular in the logarithm, the value its mode); to first order in the logarithm."""
    own = spread.value > 0
    total = np.zeros(draws)
    for m in np.unique(phase[own]):
        mine = own & (phase == m)
        if shares[mine].sum() == 0:
            continue
        u = uniform(seed, (int(m) << 2) | PROPERTIES, np.arange(draws))
        weight = shares[mine] / shares[mine].sum()
        low, high = (float((weight * np.log(np.maximum(end[mine], 1e-300) / spread.value[mine])).sum()) for end in (spread.low, spread.high))
        total += shares[mine].sum() * _triangular(u, low, high)
    return np.exp(total)


def energies(edges, k, density):
    """(F,) jump of the energy density across each face.

    It is (k_a - k_b) E_t^2 + (1/k_b - 1/k_a) q_n^2 for moving a, inner, into b, outer, with the potentials held,
    W/m3 where the power is in W. E_t, the field along the edge, and q_n, the flux through it, are the same on both
    sides in truth; their squares are taken as products of the two sides', which the steps of the pixels upset the least.
    """
    inside, outside = (edges.row, edges.column), edges.beyond
    ka, kb = k[inside], k[outside]
    normal, fluxes = edges.normal, (density[inside], density[outside])
    inverse = [np.divide(1.0, side, out=np.zeros_like(side), where=side > 0) for side in (ka, kb)]
    both = (ka > 0) & (kb > 0)
    field = [(q[:, 0] * normal[:, 1] - q[:, 1] * normal[:, 0]) * r for q, r in zip(fluxes, inverse)]
    along = np.where(both, field[0] * field[1], field[0] ** 2 + field[1] ** 2)     # an insulator has no flux to read it from
    through = np.where(both, (fluxes[0] * normal).sum(axis=1) * (fluxes[1] * normal).sum(axis=1), 0)
    return (ka - kb) * along + (inverse[1] - inverse[0]) * through


def by_object(edges, change, count):
    """(K,) change of the result for each metre that an object's whole edge moves outwards."""
    whole = change / edges.steepness
    return np.bincount(edges.inner, whole, count) - np.bincount(edges.outer, whole, count)


def _triangular(u, low, high):
    """Quantiles of the triangular distribution on low .. high with its mode at 0."""
    if high <= low:
        return np.zeros(len(u))
    middle = -low / (high - low)
    return np.where(u < middle, low + np.sqrt(u * (high - low) * -low), high - np.sqrt((1 - u) * (high - low) * high))
