"""The exact solve at the end of a cycle in hard pictures: sparse factors of a coarse level of `rigid`.

Where voids leave threads, or stiff pieces touch at corners, a few motions of a coarse grid (two threads that share a coarse
node, a part that hangs on a corner) are followed by no coarser one. So the grids end early there. Unknowns are numbered by
nested dissection (A. George, SIAM J. Numer. Anal. 10 (1973) 345), which keeps factors of N nodes near N log N numbers.
"""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from .backend import array_module, to_host
from .margin import interior
from .rigid_coarsening import PLACE

_LEAF = 6      # rows and columns of nodes that are not divided further


class Factors:
    """Of the matrix of `Elements` with three unknowns a node, motions that nothing resists left out. On the host."""

    def __init__(self, elements):
        a = matrix(elements)
        # for motions of several nodes that nothing resists; elsewhere it makes the preconditioner a little stiffer than it need be
        shift = elements.tiny
        order = dissection(*elements.nodes)
        order = (3 * order[:, None] + np.arange(3)).ravel()
        self.kept = order[a.diagonal()[order] > shift]
        self.matrix = a[self.kept][:, self.kept].tocsc()
        shifted = self.matrix + shift * scipy.sparse.identity(len(self.kept), format="csc")
        # symmetric and positive: rows need not change places
        self.factors = scipy.sparse.linalg.splu(shifted, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        self.singular = self._is_singular(shift)

    def _is_singular(self, shift):
        """Whether some motion has no more energy than the shift: two steps of inverse iteration find it."""
        x = np.random.default_rng(0).normal(size=len(self.kept))
        for _ in range(2):
            x = self.factors.solve(x / np.sqrt(x @ x))
        return bool(x @ (self.matrix @ x) < shift * (x @ x))

    def _solve(self, b):
        """Where there are free motions the shift alone would blow up what rounding leaves along them: they are taken out."""
        x = self.factors.solve(b)
        return self.factors.solve(self.matrix @ x) if self.singular else x

    def __call__(self, b, x):
        """x = A^-1 b, without the pad of either: (S, 3, NY + 2, NX + 2) float64."""
        rows = np.moveaxis(to_host(interior(b)), 1, 3).reshape(len(b), -1)
        out = np.zeros(rows.shape)
        for r, o in zip(rows, out):
            o[self.kept] = self._solve(r[self.kept])
        NY, NX = (n - 2 for n in b.shape[2:])
        interior(x)[...] = array_module(b).asarray(np.moveaxis(out.reshape(len(b), NY, NX, 3), 3, 1))


def matrix(elements):
    """(3 N, 3 N) sparse, the unknowns of a node side by side; rows and columns of what is fixed are empty."""
    (NY, NX), (ny, nx) = elements.nodes, elements.shape
    i, j = np.mgrid[:ny, :nx]
    node = np.stack([(i + p) % NY * NX + (j + q) % NX for p in (0, 1) for q in (0, 1)], axis=-1)
    unknown = (3 * node[..., None] + np.arange(3)).reshape(ny, nx, 12).astype(np.int32)
    fixed = to_host(elements.fixed).ravel()
    free = np.stack([fixed & 1 == 0, fixed & 2 == 0, np.ones(NY * NX, bool)], axis=1).ravel()[unknown]
    values = to_host(elements.packed)[:, :, PLACE]
    values *= free[..., :, None]
    values *= free[..., None, :]
    row, column = (np.broadcast_to(u, values.shape).ravel() for u in (unknown[..., :, None], unknown[..., None, :]))
    return scipy.sparse.coo_matrix((values.ravel(), (row, column)), shape=(3 * NY * NX,) * 2).tocsr()


def dissection(rows, columns):
    """The nodes of a grid, (rows columns,) int64 row-major numbers: both halves, then the line between them, and so on inside."""
    grid = np.arange(rows * columns).reshape(rows, columns)

    def divide(part):
        if max(part.shape) <= _LEAF:
            return [part.ravel()]
        part = part if part.shape[0] >= part.shape[1] else part.T
        middle = len(part) // 2
        return [*divide(part[:middle]), *divide(part[middle + 1:]), part[middle]]

    return np.concatenate(divide(grid))
