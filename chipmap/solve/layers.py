"""Elements of thin layers that lie askew in the pixels: exact along and across them, however thin, at any angle and contrast.

A tensor a pixel is not enough there: what flows along an inclined layer has to pass from pixel to pixel, whose shares of the
layer differ, and a barrier leaks between them. So pixels near interfaces bring an element matrix of their own. Two
fields of layers are known in closed form: along them, u = t . x with the flux k t, and across, u = the integral of the
resistivity r along the normal n, with the flux n. The matrix is the symmetric one that gives both exactly,

    A = f f' / (f . u_t) + g g' / (g . u_n) + c h h'

with the nodal forces f of the first field, spread from each edge of the pixel to its ends as the second field falls along
that edge, the forces g of the second, spread linearly, and a small stiffness c against the warping h that neither has.
f follows from the distances of the four corners from the interfaces alone, so neighbours spread the forces of their common
edge alike and they balance. f . u_n is the power of k t on a field whose values on the edges are u_n's, and g . u_t that of n
on a linear one: both are zero, so both fields are solutions. Curved layers differ by the square of pixel over radius.

Profiles are smeared along the normal by half a pixel to each side, k and r each for itself, which keeps both integrals:
layers stay as thick as they are.
"""

import numpy as np
from cukernels.backend import array_module

from chipmap import InputError

SMEAR = 0.5                 # half width of the smearing in pixels, measured along the normal
FLOOR = 1e-5                # of the best conductor of a pixel's layers: what an insulator among them counts as there
LEAST = 0.1                 # cosine between the forces along the layers and the field that makes them
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_CORNERS = ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))             # nw, ne, sw, se: x, y
_ROUND = ((0, 1), (1, 3), (3, 2), (2, 0))                                   # the edges
_PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))


def layered(k, distance, dx=1.0, dy=1.0):
    """Conductances (6, H, W) between the corners of pixels that layers cross, as of `stencil.conduction`.

    k: (L + 1, H, W) conductivity, >= 0, of the layers one after the other in the sense of the distances, 0 an insulator, which
    counts as 1e-5 of the best of them within a pixel of an interface. distance: (L, H + 1, W + 1) from each interface to the
    pixels' corners, in the unit of dx and dy, not rising from one to the next; layers are nearly parallel where they are
    near. Where all k of a pixel are equal distances are not read.
    Raises ValueError for what is out of this contract. NumPy or CuPy.
    """
    xp = array_module(k)
    k, distance = xp.asarray(k, np.float64), xp.asarray(distance, np.float64)
    if k.ndim != 3 or distance.shape != (len(k) - 1, k.shape[1] + 1, k.shape[2] + 1):
        raise InputError(f"layers have shapes {k.shape} and {distance.shape}: give k (L + 1, H, W) and distances (L, H + 1, W + 1)")
    if not bool((xp.isfinite(k) & (k >= 0)).all()):
        raise InputError("a layer's conductivity is negative or not a number: give finite numbers >= 0")
    cut = (k != k[0]).any(axis=0)
    corners = xp.stack([distance[:, i:i + k.shape[1], j:j + k.shape[2]][:, cut] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))])
    if not bool(xp.isfinite(corners).all() & (xp.diff(corners, axis=1) <= 0).all()):
        raise InputError("a distance is not a number, or rises from one interface to the next: give them in the order of the layers")
    if not bool((abs(xp.diff(corners[:, 0], axis=0)).max(axis=0, initial=0) > 0).all()):
        raise InputError("an interface is equally far from all corners of a pixel: give signed distances, negative on its one side")
    out = even(k[0], dx, dy)
    out[:, cut] = elements(k[:, cut], corners, dx, dy)
    return out


def are_elements(k):
    """Whether a picture of conductivities is one of conductances (6, H, W)."""
    return k.ndim == 3 and len(k) == 6


def corner_forces(k, corners):
    """(4, ...) what potentials at the corners nw, ne, sw, se, (4, ...), send into pixels of conductances k (6, ...)."""
    nw, ne, sw, se = corners
    top, bottom, left, right, down, up = k
    top, bottom, left, right, down, up = top * (nw - ne), bottom * (sw - se), left * (nw - sw), right * (ne - se), down * (nw - se), up * (sw - ne)
    return array_module(k).stack([top + left + down, right - top - up, bottom - left + up, -bottom - right - down])


def mean_flux(forces, dx, dy):
    """(S, 2, H, W) mean flux of pixels from what goes in at their corners (4, S, H, W), x first."""
    nw, ne, sw, se = forces
    return array_module(forces).stack([(nw + sw - ne - se) / (2 * dy), (nw + ne - sw - se) / (2 * dx)], axis=1)


def even(k, dx, dy):
    """(6, ...) conductances of pixels of one conductivity each: the bilinear element."""
    a, b = dy / dx, dx / dy
    across = k * ((a + b) / 6)
    return array_module(k).stack([k * (a / 3 - b / 6)] * 2 + [k * (b / 3 - a / 6)] * 2 + [across] * 2)


def elements(k, distance, dx, dy):
    """(6, M) of M pixels: k (L + 1, M) >= 0, one of them above 0, distance (4, L, M) of their corners nw, ne, sw, se."""
    xp = array_module(k)
    scale = k.max(axis=0)
    k = xp.maximum(k / scale, FLOOR)
    reach = SMEAR * max(dx, dy)
    level = distance.mean(axis=1)
    across = xp.stack([_steps(xp, 1 / k, level[c], distance[c] / reach, _ramp, reach) for c in range(4)])
    across -= across.mean(axis=0)
    x, y = (((level[1] - level[0]) + (level[3] - level[2])) / (2 * dx), ((level[2] - level[0]) + (level[3] - level[1])) / (2 * dy))
    along = xp.stack([i * dx * y - j * dy * x for i, j in _CORNERS])
    through = xp.stack([(np.sign(i) * x * dy + np.sign(j) * y * dx) / 2 for i, j in _CORNERS])
    force = _forces(xp, k, level, distance / reach, across, reach)
    force -= force.mean(axis=0)         # nothing, but for layers that are not quite parallel
    force -= across * ((force * across).sum(axis=0) / (across * across).sum(axis=0))    # what the quadrature misses
    # a layer that a pixel holds the fringe of alone may not bring it any power: then less than exact, but not negative
    least = _least(xp, force, along)
    power = xp.maximum((force * along).sum(axis=0), least), xp.maximum((through * across).sum(axis=0), _least(xp, through, across))
    warp = _warp(xp, along, across) * xp.sqrt((dx / dy + dy / dx) / 12 * _stiffness(xp, k, distance / reach))
    return -scale * xp.stack([force[a] * force[b] / power[0] + through[a] * through[b] / power[1] + warp[a] * warp[b] for a, b in _PAIRS])


def _least(xp, forces, field):
    return LEAST * xp.sqrt((forces * forces).sum(axis=0) * (field * field).sum(axis=0))


def _forces(xp, k, level, distance, across, reach):
    """(4, M) nodal forces of the flux along the layers, k times the turned gradient of the level: what crosses an edge is the
    integral of k over the levels along it."""
    force = xp.zeros_like(level)
    for a, b in _ROUND:
        rise, drop = level[b] - level[a], across[b] - across[a]
        flat = abs(drop) < 1e-9 * reach           # nothing crosses an edge that runs along the layers
        second, total = 0.0, _steps(xp, k, 1.0, zip(distance[a], distance[b]), _mean_step)
        for point, weight in zip((_POINTS + 1) / 2, _WEIGHTS / 2):
            there = distance[a] + point * (distance[b] - distance[a])
            here = _steps(xp, 1 / k, level[a] + point * rise, there, _ramp, reach)
            begin = _steps(xp, 1 / k, level[a], distance[a], _ramp, reach)
            share = xp.where(flat, point, (here - begin) / xp.where(flat, 1, drop))
            second = second + weight * share * _steps(xp, k, 1.0, there, _step)
        force[a] += rise * (total - second)
        force[b] += rise * second
    return force


def _steps(xp, values, first, distance, form, size=1.0):
    total = values[0] * first
    for n, at in enumerate(distance):
        total = total + (values[n + 1] - values[n]) * size * form(xp, at)
    return total


def _stiffness(xp, k, distance):
    """(M,) of the warping: what is joined by a barrier moves freely on its two sides, a conductor keeps its surroundings
    together."""
    soft = 1 / xp.stack([_steps(xp, 1 / k, 1.0, at, _step) for at in distance]).max(axis=0)
    hard = xp.stack([_steps(xp, k, 1.0, at, _step) for at in distance]).max(axis=0)
    middle, sides = (k[1:-1].mean(axis=0) if len(k) > 2 else xp.sqrt(k[0] * k[-1])), xp.sqrt(k[0] * k[-1])
    return xp.where(middle > sides, hard, xp.where(middle < sides, soft, xp.sqrt(soft * hard)))


def _warp(xp, along, across):
    """(4, M): what warps a bilinear element, less its parts in the two fields."""
    along = along / xp.sqrt((along * along).sum(axis=0))
    across = across - along * (along * across).sum(axis=0)
    across = across / xp.sqrt((across * across).sum(axis=0))
    warp = xp.asarray([1.0, -1.0, -1.0, 1.0])[:, None] + xp.zeros_like(along)
    for field in (along, across):
        warp = warp - field * (field * warp).sum(axis=0)
    return warp


def _mean_step(xp, ends):
    """Mean of `_step` between two ends."""
    a, b = ends
    close = abs(b - a) < 1e-6
    return xp.where(close, _step(xp, (a + b) / 2), (_ramp(xp, b) - _ramp(xp, a)) / xp.where(close, 1, b - a))


def _step(xp, z):
    """From 0 to 1 between -1 and 1, twice smooth: the integral of (15/16) (1 - z^2)^2."""
    z = z.clip(-1, 1)
    s = z * z
    return 0.5 + z * (15 - s * (10 - 3 * s)) / 16


def _ramp(xp, z):
    """The integral of `_step`."""
    inner = z.clip(-1, 1)
    s = inner * inner
    return xp.maximum(z - 1, 0) + (2.5 + inner * 8 + s * (7.5 - s * (2.5 - s / 2))) / 16
