"""Matrices between several terminals: resistance, and Maxwell's capacitance, with certified bounds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces
from cukernels.stencil import conducts

from chipmap import InputError, inputs

from .conduction import TOLERANCE, Conductor
from .confidence import CORRELATED, Doubtful
from .flux import terminal_bound
from .layers import are_elements
from .ties import at_nodes

_BATCH = 8  # loads solved side by side: what they need beside their potentials is that many fields


@dataclass(frozen=True)
class Network:
    """K terminals in one picture, each a perfect conductor.

    upper: (K, K) NumPy, current into terminal i when j is at potential 1 and the others at 0, per unit depth: symmetric,
    rows sum to zero; from admissible potentials, so not below the true matrix in the sense of quadratic forms.
    lower: likewise not above it, from admissible fluxes; solved when it is first asked for.
    potential: (K, H + 1, W + 1) at the nodes. floating: (H + 1, W + 1) bool, nodes that no path joins to a terminal,
    potential 0 there. iterations: of conjugate gradients. pairs, certain_pairs: (K, K) bool, joined through pixel edges
    or corners; joined through edges, so certainly.
    """

    upper: np.ndarray
    potential: np.ndarray
    floating: np.ndarray
    iterations: int
    pairs: np.ndarray
    certain_pairs: np.ndarray
    _dual: Callable = field(repr=False, compare=False)

    @cached_property
    def lower(self):
        return self._dual()


@dataclass(frozen=True)
class Resistance:
    """value: (K, K) NumPy, resistance between two terminals while no net current leaves the others, inf where nothing
    joins them; for a unit of depth: ohm m for conductivity in S/m, to be divided by the depth. network: a `Network`,
    with the potentials.

    lower <= resistance of the pixel geometry <= upper, entry by entry, certified: `lower` is the value itself, the power
    of an admissible potential; `upper` that of an admissible flux, found when it is first asked for. It is inf where
    two terminals are joined through corners of pixels only. sigma: (K, K) standard deviations from where edges may lie, to
    first order; None without a confidence map.
    """

    value: np.ndarray
    network: Network
    sigma: np.ndarray | None = None

    @property
    def lower(self):
        return self.value

    @cached_property
    def upper(self):
        return _pairwise(self.network.lower, self.network.certain_pairs)


@dataclass(frozen=True)
class Capacitance:
    """value: (K, K) NumPy, Maxwell's matrix: charge on conductor i when j is at potential 1 and the others at 0, per
    unit depth, F/m for permittivity in F/m. Symmetric, rows sum to zero, off-diagonals <= 0. truncation: (K, K), how far
    the value may be from that of open surroundings because they are cut off; None where the box is a real one.
    network: a `Network` of the conductors that do not float, with the potentials; in open surroundings with the padding.

    lower <= capacitance of the pixel geometry <= upper, entry by entry, certified, the cut included; solved when first
    asked for. sigma: as of `Resistance`.
    """

    value: np.ndarray
    truncation: np.ndarray | None
    network: Network
    _reduced: Callable = field(repr=False, compare=False)
    sigma: np.ndarray | None = None

    @cached_property
    def _bounds(self):
        return _entries(*self._reduced())

    @property
    def lower(self):
        return self._bounds[0]

    @property
    def upper(self):
        return self._bounds[1]


def resistance(conductivity, terminals, dx=1.0, dy=1.0, tolerance=TOLERANCE, confidence=None, correlated=CORRELATED):
    """Resistance between every two of K terminals, the picture's sides insulated: a `Resistance`.

    conductivity: (H, W), >= 0, of each pixel, 0 an exact insulator; not read in terminals. terminals: (H, W) int, 0, or
    1 .. K for the pixels of each terminal, a perfect conductor of one or several parts. dx, dy: pixel size along columns
    and rows. confidence, correlated: as of `conductance`, for `.sigma`.
    Raises ValueError where terminals touch, one has no pixel or no path to any other, and as `Conductor`; cukernels'
    NotConverged where the iteration stalls. NumPy or CuPy; matrices are NumPy.
    """
    inputs.draws(0, correlated)
    net = network(conductivity, terminals, dx, dy, tolerance)
    alone = np.flatnonzero(net.pairs.sum(axis=1) == 1)
    if alone.size:
        raise InputError(f"terminal {alone[0] + 1} is an island: no conducting pixels lead from it to another terminal; "
                         "join it or leave it out")
    value = _pairwise(net.upper, net.pairs)
    if confidence is None:
        return Resistance(value, net)
    inverse = np.linalg.pinv(net.upper, 1e-12, True)
    ends = np.eye(len(value))[:, None] - np.eye(len(value))
    drops = (ends @ inverse).reshape(-1, len(value))  # potentials of the terminals at a unit current between two
    sigma = _sigma(conductivity, terminals, net, confidence, dx, dy, correlated, lambda g: np.einsum("pm,fmn,pn->fp", drops, g, drops))
    return Resistance(value, net, np.where(np.isfinite(value), sigma.reshape(value.shape), np.inf))


def capacitance(permittivity, conductors, dx=1.0, dy=1.0, floating=(), margin=0, outside=None, tolerance=TOLERANCE, confidence=None,
                correlated=CORRELATED, bound_tolerance=None):
    """Maxwell's capacitance matrix of K conductors in a box without field across its sides: a `Capacitance`.

    permittivity: (H, W), > 0, of each pixel (F/m: 8.8541878128e-12 times the relative one); not read in conductors.
    conductors: (H, W) int, 0, or 1 .. K for the pixels of each. dx, dy: pixel size along columns and rows.
    floating: conductors that carry no charge, whatever their potential; they leave the matrix, which keeps the order
    of the others. margin: > 0 for open surroundings, that many pixels of them on every side. Charges sum to zero, so
    the field far away is a dipole's; the true matrix lies between those of an insulating frame and of a floating
    conducting one, the value halfway. outside: their permittivity, or None to carry on the pixels of the sides.
    bound_tolerance: as of `conductance`.
    Raises ValueError where conductors touch, one has no pixel, fewer than two are left, permittivity is not above zero,
    and as `Conductor`; cukernels' NotConverged where the iteration stalls. NumPy or CuPy; matrices are NumPy.
    """
    permittivity, (dx, dy) = inputs.numbers(permittivity, "permittivity"), inputs.pixel(dx, dy)
    inputs.draws(0, correlated)
    xp = array_module(permittivity, conductors)
    conductors = xp.asarray(conductors)
    count = _count(conductors, permittivity, "conductor")
    kept = _kept(count, floating)
    void = ~(permittivity > 0) & (conductors == 0)
    if bool(void.any()):
        row, column = np.argwhere(to_host(void))[0]
        raise InputError(f"permittivity {float(permittivity[row, column])} at row {row}, column {column}: give numbers above zero, vacuum is 8.854e-12 F/m")
    order = np.zeros(count + 1, np.int32)
    order[np.array(kept) + 1] = np.arange(len(kept)) + 1
    terminals, perfect = xp.asarray(order)[conductors], xp.where(xp.asarray(order)[conductors] > 0, 0, conductors)
    how = dx, dy, tolerance, "conductor"
    if margin == 0:
        net = network(permittivity, terminals, *how, perfect, bound_tolerance)
        sigma = None if confidence is None else _sigma(permittivity, conductors, net, confidence, dx, dy, correlated, lambda g: g)
        return Capacitance(_signed(net.upper), None, net, lambda: (net.lower, net.upper), sigma)
    if np.ndim(margin) or not (margin >= 2 and np.isfinite(margin) and int(margin) == margin):
        raise InputError(f"margin {margin}: give a number of pixels, 2 or more, or 0 for a closed box")
    margin = int(margin)
    if outside is not None and not (np.isfinite(outside) and outside > 0):
        raise InputError(f"permittivity {outside} outside: give a finite number above zero, vacuum is 8.854e-12 F/m")
    wide, terminals, perfect = _opened(xp, permittivity, margin, outside), xp.pad(terminals, margin), xp.pad(perfect, margin)
    insulated = network(wide, terminals, *how, perfect, bound_tolerance)
    frame = perfect.copy()
    frame[[0, -1]] = count + 1
    frame[:, [0, -1]] = count + 1
    framed = network(wide, terminals, *how, frame)
    sigma = None
    if confidence is not None:
        sure = np.pad(to_host(confidence), margin, constant_values=1.0)
        sigma = _sigma(wide, xp.pad(conductors, margin), insulated, sure, dx, dy, correlated, lambda g: g)
    return Capacitance(_signed((insulated.upper + framed.upper) / 2), abs(framed.upper - insulated.upper) / 2, framed,
                       lambda: (insulated.lower, framed.upper), sigma)


def network(k, terminals, dx=1.0, dy=1.0, tolerance=TOLERANCE, word="terminal", perfect=None, bound_tolerance=None):
    """The conductance matrix between terminals and the potentials that go with it: a `Network`.

    Arguments as of `resistance`. perfect: (H, W) int, 0 or a number for the pixels of each perfect conductor that floats,
    where k is not read; None without any. K - 1 loads are solved: the last follows, since potentials sum to 1.
    """
    name = "conductivity" if word == "terminal" else "permittivity"
    k, (dx, dy), tolerance = inputs.numbers(k, name), inputs.pixel(dx, dy), inputs.tolerance(tolerance)
    xp = array_module(k, terminals)
    terminals = xp.asarray(terminals)
    if are_elements(k):
        raise InputError("terminals have no elements of layers: give one conductivity a pixel or tensors (3, H, W), or use Conductor")
    count = _count(terminals, k, word)
    k = xp.where(terminals > 0, 0, k)  # every corner of a terminal is fixed
    at = at_nodes(terminals)
    tied = None
    if perfect is None or not bool((perfect > 0).any()):
        inputs.conductivity(k, name, somewhere=False)
    else:
        inputs.conductivity(xp.where(perfect > 0, 0, k), name, somewhere=False)
        tied, k = at_nodes(perfect), xp.where(perfect > 0, np.inf, k)
    conductor = Conductor(xp.where(xp.isinf(k), 1, k) if tied is not None else k, dx, dy, at > 0, tied=tied)
    potential, inflow, iterations = xp.empty((count, *at.shape)), [], 0
    matrix = np.zeros((count - 1, count - 1))
    for first in range(0, count - 1, _BATCH):
        wanted = xp.arange(first, min(first + _BATCH, count - 1))
        solved = conductor.solve(values=(at == wanted[:, None, None] + 1).astype(np.float64), tolerance=tolerance)
        iterations = max(iterations, solved.iterations)
        potential[first:first + _BATCH][:len(wanted)] = solved.potential
        inflow.append(to_host(xp.where(at > 0, solved.inflow, 0)))
        # potential times inflow over all nodes, not the charge on one terminal: the error is then squared
        cross = to_host(xp.einsum("aij,bij->ab", potential[:first + len(wanted)], solved.inflow))
        matrix[:len(cross), first:first + cross.shape[1]] = cross
    matrix = np.triu(matrix) + np.triu(matrix, 1).T
    potential[-1] = xp.where(conductor.floating, 0, 1 - potential[:-1].sum(axis=0))
    pairs = [_pairs(xp, conducts(k) | (terminals > 0), terminals, connectivity) for connectivity in (8, 4)]
    return Network(_closed(matrix), potential, conductor.floating, iterations, *pairs,
                   lambda: terminal_bound(k, terminals, np.concatenate(inflow), dx, dy,
                                          tolerance if bound_tolerance is None else inputs.tolerance(bound_tolerance)))


def _sigma(k, terminals, net, confidence, dx, dy, correlated, told):
    """Standard deviations of told(changes), linear, of the changes (F, K, K) of the conductance matrix."""
    doubtful = Doubtful(k, confidence, dx, dy, terminals, correlated)
    conductor = np.where(doubtful.perfect, 0, doubtful.k)
    u = to_host(net.potential)
    x, y = (np.diff(u[:, :-1], axis=2) + np.diff(u[:, 1:], axis=2)) / (2 * dx), (np.diff(u[:, :, :-1], axis=1) + np.diff(u[:, :, 1:], axis=1)) / (2 * dy)
    return doubtful.sigma(told(doubtful.changes(-conductor * np.stack([x, y], axis=1))))


def _count(terminals, k, word):
    """How many terminals there are, once they are what they should be."""
    xp = array_module(terminals)
    if terminals.shape != k.shape[-2:] or terminals.ndim != 2 or terminals.dtype.kind not in "iu":
        raise InputError(f"{word}s have shape {terminals.shape} and dtype {terminals.dtype}: give integers, one a pixel of the picture, {k.shape[-2:]}")
    if int(terminals.min()) < 0:
        raise InputError(f"{word} {int(terminals.min())} is below zero: give 0 for none and 1 .. K")
    count = int(terminals.max())
    if count < 2:
        raise InputError(f"there {'is one' if count else 'is no'} {word}: nothing is fixed, give at least two")
    empty = np.flatnonzero(to_host(xp.bincount(terminals.ravel(), minlength=count + 1))[1:] == 0)
    if empty.size:
        raise InputError(f"{word} {empty[0] + 1} of {count} has no pixel: number them without a gap")
    highest, lowest = at_nodes(terminals.astype(np.int64)), at_nodes(xp.where(terminals > 0, -terminals.astype(np.int64), -count - 1) + count + 1)
    clash = (highest > 0) & (highest != count + 1 - lowest)
    if bool(clash.any()):
        row, column = np.argwhere(to_host(clash))[0]
        raise InputError(f"{word}s {count + 1 - int(lowest[row, column])} and {int(highest[row, column])} touch at row {row}, "
                         f"column {column}: make them one or leave a pixel between them")
    return count


def _kept(count, floating):
    floating = [floating] if np.ndim(floating) == 0 else floating
    unknown = [n for n in floating if n not in range(1, count + 1)]
    if unknown:
        raise InputError(f"floating conductor {unknown[0]} does not exist: give numbers 1 .. {count}")
    kept = [n for n in range(count) if n + 1 not in floating]
    if len(kept) < 2:
        raise InputError(f"{len(kept)} of {count} conductors would not float: nothing is fixed, leave at least two")
    return kept


def _opened(xp, permittivity, margin, outside):
    """The picture with `margin` pixels more on every side."""
    wide = xp.pad(permittivity.astype(np.float64), margin, mode="edge")
    if outside is not None:
        inside = xp.pad(xp.ones(permittivity.shape, bool), margin)
        wide = xp.where(inside, wide, float(outside))
    return wide


def _pairs(xp, reach, terminals, connectivity):
    """(K, K) bool: which terminals pieces of `reach` join, straight or by way of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    labels, pieces_count = pieces(reach, connectivity=connectivity)
    there = terminals > 0
    piece, terminal = to_host(labels[there]).astype(np.int64) - 1, to_host(terminals[there]).astype(np.int64) - 1
    count = int(terminal.max()) + 1
    links = coo_array((np.ones(piece.size), (terminal, count + piece)), (count + pieces_count,) * 2)
    _, group = connected_components(links, directed=False)
    return group[:count, None] == group[:count]


def _closed(matrix):
    """One more row and column, so that rows sum to zero."""
    last = -matrix.sum(axis=1)
    return np.block([[matrix, last[:, None]], [last, -last.sum()]])


def _signed(matrix):
    """The matrix without off-diagonals above zero, which only discretisation and rounding make, rows still closed."""
    off = np.minimum(matrix, 0)
    np.fill_diagonal(off, 0)
    return off - np.diag(off.sum(axis=1))


def _pairwise(conductance, joined):
    """Resistance between every two terminals, the others open; inf where they are not joined."""
    count = len(conductance)
    value = np.full((count, count), np.inf)
    np.fill_diagonal(value, 0)
    for group in {tuple(np.flatnonzero(row)) for row in joined}:
        inside = np.ix_(group, group)
        part = conductance[inside]
        # the group's matrix with a conductance to ground that no current between its terminals feels
        inverse = np.linalg.inv(part + np.trace(part) / len(part)**2) if len(part) > 1 else np.zeros((1, 1))
        own = np.diag(inverse)
        value[inside] = own[:, None] + own - 2 * inverse
    return value


def _entries(low, high):
    """Bounds of each entry of every matrix between two others in the sense of quadratic forms, off-diagonals <= 0."""
    size = np.sqrt(np.maximum(np.diag(high - low), 0))
    middle = (low + high) / 2
    half = np.outer(size, size) / 2 + 4 * np.finfo(float).eps * np.abs(middle)     # where the two are one number, both are rounded
    off = ~np.eye(len(low), dtype=bool)
    upper = middle + half
    upper[off] = np.minimum(upper[off], 0)
    return middle - half, upper
