"""How far a result may be off because edges may lie elsewhere, from a map of the confidence in each pixel.

Where a pixel near an edge belongs to the other side with probability 1 - confidence, and that falls off like a Gaussian's
tail, the edge is known to a standard deviation of the sum of 1 - confidence across it over sqrt(2 / pi). Displacements are
correlated along their edge. To first order a result that is an energy changes by the jump of the energy density times
the area swept (see `chipmap.uncertainty`), so the solution at hand serves all edges.
"""

import numpy as np
from cukernels.backend import to_host
from cukernels.components import pieces
from cukernels.philox import normal

from chipmap import InputError, inputs
from chipmap.measure.edges import REACH, _moved, _room, find_edges, moved_tensors, smooth

NEAR = 10.0         # pixels from a point source over which what it feeds in between the two sides of an edge tells
CORRELATED = 8.0    # pixels along an edge over which it is displaced as one, unless told otherwise
_TAIL = (2 / np.pi) ** 0.5


class Doubtful:
    """The edges of a picture of conductivities with what a confidence map says of them.

    k: (H, W) >= 0, of each pixel; edges are where it changes. confidence: (H, W), 0 .. 1, of each pixel's being what it
    is. dx, dy: pixel size. perfect: (H, W) int, 0, or a number per perfect conductor, or None. correlated: pixels.
    Raises ValueError for a map that is none.
    """

    def __init__(self, k, confidence, dx, dy, perfect=None, correlated=CORRELATED):
        self.k, confidence = np.asarray(to_host(k), np.float64), inputs.numbers(to_host(confidence), "confidence")
        if confidence.shape != self.k.shape or not ((confidence >= 0) & (confidence <= 1)).all():
            raise InputError(f"confidence must be one number from 0 to 1 a pixel, {self.k.shape}: it has shape {confidence.shape}")
        self.perfect = np.zeros(self.k.shape, bool) if perfect is None else to_host(perfect) > 0
        kind = np.unique(np.where(self.perfect, -1.0, self.k), return_inverse=True)[1].reshape(self.k.shape)
        objects = pieces(kind.astype(np.int32), background=None)[0] - 1
        self.edges = find_edges(objects, dy / dx)
        self.area = self.edges.weight * dx * dy
        self.sd = _spread(self.edges, objects, confidence)
        self._along = _correlation(self.edges, correlated)

    def changes(self, flux):
        """(F, L, L) change of the energies of L fields, and of each two of them, for each pixel that an edge moves.

        flux: (L, 2, H, W), x first, of fields with their potentials held.
        """
        return energy_changes(self.edges, self.k, self.perfect, self.area, flux)

    def sigma(self, changes):
        """Standard deviation of results with these changes (F, ...) for each pixel that an edge moves."""
        moved = (changes * self.sd.reshape(-1, *[1] * (changes.ndim - 1))).reshape(len(changes), -1)
        return np.sqrt(((self._along.T @ moved) ** 2).sum(axis=0)).reshape(changes.shape[1:])

    def pictures(self, count, seed=0):
        """`count` pictures (3, H, W) of the conductivity with displaced edges; pixels that an edge cuts are laminates."""
        for n in range(count):
            moved = self.sd * (self._along @ normal(seed, n, np.arange(len(self.sd))))
            yield moved_tensors(self.edges, moved.clip(-REACH, REACH), self.k)


def energy_changes(edges, k, perfect, area, flux, near=None):
    """(F, L, L) change of the energies of L fields, and of each two of them, for each pixel that a face of the edges moves.

    edges: `chipmap.measure.edges.Edges`. k: (H, W) NumPy conductivity. perfect: (H, W) bool NumPy, perfect conductors, where k is not
    read. area: (F,), that each face sweeps. flux: L times (2, H, W), x first, of fields with their potentials held. near: (F,) bool, as of `near_source`:
    there the poorer conductor alone says what passes the edge, the better one what runs along it.
    """
    inside, outside = (edges.row, edges.column), edges.beyond
    one, other = (np.array([to_host(q)[:, at[0], at[1]].T for q in flux]) for at in (inside, outside))
    ka, kb, hard_a, hard_b = k[inside], k[outside], perfect[inside], perfect[outside]
    inverse_a, inverse_b = (np.divide(1.0, side, out=np.zeros_like(side), where=(side > 0) & ~hard) for side, hard in ((ka, hard_a), (kb, hard_b)))
    turned = edges.normal[:, ::-1] * (1, -1)
    across_a, across_b = (np.einsum("lfc,fc->fl", q, edges.normal) for q in (one, other))
    along_a, along_b = (np.einsum("lfc,fc->fl", q, turned) * r[:, None] for q, r in ((one, inverse_a), (other, inverse_b)))
    # a perfect conductor has the flux of its neighbour, an insulator its neighbour's field
    across_a, across_b = np.where(hard_a[:, None], across_b, across_a), np.where(hard_b[:, None], across_a, across_b)
    along_a, along_b = (np.where((hard_a | hard_b)[:, None], 0, a) for a in (along_a, along_b))
    blank_a, blank_b = (ka == 0) & ~hard_a, (kb == 0) & ~hard_b
    along_a, along_b = np.where(blank_a[:, None], along_b, along_a), np.where(blank_b[:, None], along_a, along_b)
    if near is not None:
        poor_a, poor_b = (near & (ka < kb))[:, None], (near & (ka > kb))[:, None]
        across_a, across_b = np.where(poor_b, across_b, across_a), np.where(poor_a, across_a, across_b)
        along_a, along_b = np.where(poor_a, along_b, along_a), np.where(poor_b, along_a, along_b)
    along, through = _products(along_a, along_b), _products(across_a, across_b) * ~(blank_a | blank_b)[:, None, None]
    jump = np.where(hard_a | hard_b, 0, ka - kb)
    return (jump[:, None, None] * along + (inverse_b - inverse_a)[:, None, None] * through) * area[:, None, None]


def near_source(edges, node):
    """(F,) bool: faces so near a node (row, column) at which a field is fed in that the means of their two pixels differ by that."""
    return np.hypot(edges.row + 0.5 - node[0], edges.column + 0.5 - node[1]) < NEAR


def sampled(doubtful, samples, seed, solve):
    """Standard deviation of solve(k) over pictures with displaced edges."""
    return np.std([solve(k) for k in doubtful.pictures(samples, seed)], axis=0, ddof=1)


def _products(a, b):
    """(F, L, L) symmetric products of what two sides say of L fields, (F, L) each: their noise is independent."""
    product = np.einsum("fl,fm->flm", a, b)
    return (product + product.swapaxes(1, 2)) / 2


def _spread(edges, objects, confidence):
    """(F,) standard deviation of each edge along its step, pixels."""
    room = [_room(edges, objects, side, REACH) for side in (-1, 1)]
    total = np.zeros(len(edges.row))
    for offset in range(-REACH, REACH):
        inside = np.clip(room[0] + offset + 1 if offset < 0 else room[1] - offset, 0, 1)
        row, column = _moved(edges, offset)
        total += inside * (1 - confidence[row.clip(0, confidence.shape[0] - 1), column.clip(0, confidence.shape[1] - 1)])
    return total / _TAIL


def _correlation(edges, length):
    """Sparse (F, F) that makes of independent numbers ones of standard deviation 1, correlated over `length` pixels."""
    from scipy import sparse
    matrix = smooth(edges, np.zeros(len(edges.row)), length, straight=False)[1]
    return sparse.diags(1 / np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())) @ matrix
