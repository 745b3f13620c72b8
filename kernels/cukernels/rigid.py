"""Multigrid for plane elasticity that keeps rigid motions: the preconditioner that does not mind stiff grains in a soft
matrix, nor voids.

Below the finest grid a node carries three unknowns, a displacement and a rotation, so that a stiff grain held by one
coarse node can still move and turn as a body. Interpolation follows the material, as in black-box multigrid (J. E.
Dendy, J. Comput. Phys. 48 (1982) 366), with rigid columns in the place of constant ones:

* a node between two coarse nodes of its row moves so that the energy of the four elements around it is least, the
  columns of three nodes at the two coarse nodes moving as rigid bodies and those above and below it as they like;
  likewise between two of a column;
* a node in the middle of four moves so that no force is left on it.

Rigid motions are reproduced exactly, whatever the material, and a void needs no rule. Coarse elements are Galerkin's,
each from the pixels it covers, so every level is positive and a stress-free motion stays one. Coarse nodes are those of
even row and column, and the last where nothing wraps, so the last element may be half as wide as the others.

Smoothing is block Gauss-Seidel in four colours, one way on the way down and the other way on the way up.

Pictures with voids or with a contrast above _HIGH are hard, and what works in benign ones loses there what it is there for:

* rounded to single precision, stiff pieces on soft ground are held by what rounding leaves, and r . M r may be negative. All
  but the finest level is in double precision; the finest meets local corrections only, and stays in single;
* threads and corners are lost level by level (`rigid_direct`). Sparse factors of the first coarse level keep them; where it
  has more than FACTORS nodes, cycles are joined two by two, as in `multigrid`, down to factors of a small level.

On the CPU what is the same everywhere inside one material is worked out once: most of a picture of a chip is.
"""

import numpy as np

from .backend import array_module
from .margin import interior, wrap
from .multigrid import chebyshev
from .rigid_coarsening import Elements, assemble, coarsen, dense_inverse, kinds, pixel_matrices
from .rigid_direct import Factors
from .rigid_relaxation import prolong, residual, restrict, scratch, smooth

DIRECT = 120       # nodes at which a dense inverse takes over
FACTORS, SMALL = 270_000, 17_000  # nodes of the first coarse level, and of a later one, that sparse factors may have
_FACTOR_BYTES = 13_000            # a node, at most
_HIGH = 300        # contrast above which a picture is hard
_LOWEST = 0.25     # least eigenvalue of a cycle, as far as two joined ones care
# Less than this part of the stiffest pixel is a motion that nothing resists. Weights rounded to single precision leave
# (6e-8)^2 a pixel of the energy of a free part's rigid motion, and a part of a coarse cell's size has thousands of them.
_TINY = 1e-9


class RigidMultigrid:
    """A hierarchy for one operator (`elastic.Elasticity`), used for any number of right-hand sides."""

    def __init__(self, operator):
        xp = array_module(operator.lam)
        k_lam, k_mu = (xp.asarray(k) for k in pixel_matrices(operator.dx, operator.dy))
        free = interior(operator.free)
        fixed = ((free[0] == 0) + 2 * (free[1] == 0)).astype(np.uint8)
        unit = max(operator.dx, operator.dy)
        H, W = operator.lam.shape
        elements = Elements((H, W), operator.lam, operator.mu, k_lam, k_mu, xp.zeros((0, 0, 0)),
                            xp.full(H, operator.dy / unit), xp.full(W, operator.dx / unit), fixed, operator.periodic,
                            _TINY * float((operator.lam + 2 * operator.mu).max()), kinds(operator.lam, operator.mu))
        self.hard = is_hard(operator.lam, operator.mu)
        self.levels = [assemble(elements)]
        while elements.nodes[0] * elements.nodes[1] > (_most(len(self.levels) - 1) if self.hard else DIRECT):
            elements = coarsen(elements, self.levels[-1])
            self.levels.append(assemble(elements, np.float64 if self.hard else np.float32))
        self.factors = Factors(elements) if self.hard and len(self.levels) > 1 else None
        self.direct = xp.asarray(dense_inverse(elements), np.float32) if self.factors is None else None

    def __call__(self, b):
        """One cycle from zero: (S, 2, NY, NX) float32 padded in (zero where nothing is solved for) and out.

        The returned array is reused by the next call.
        """
        return self._cycle(0, b) if len(self.levels) > 1 else self._solve(0, b)

    def _solve(self, n, b):
        """The coarsest level's inverse; above it a cycle, or two joined."""
        level = self.levels[n]
        if n == len(self.levels) - 1:
            x = scratch(level, "x", b)
            if self.factors is not None:
                self.factors(b, x)
            else:
                interior(x)[...] = (interior(b).reshape(len(b), -1) @ self.direct).reshape(interior(x).shape)
            return wrap(x, level.periodic)
        x = self._cycle(n, b)
        if self.hard:
            (first, second), peak = chebyshev(2, _LOWEST)
            x *= first
            y = self._cycle(n, residual(level, x, b, "left"), "y")
            y *= second
            x += y
            x /= peak
        return x

    def _cycle(self, n, b, name="x"):
        level = self.levels[n]
        x = scratch(level, name, b)
        x[...] = 0
        smooth(level, x, b, True, True)
        below = self.levels[n + 1]
        coarse = scratch(below, "b", b)
        restrict(level, x, b, coarse)
        prolong(level, x, self._solve(n + 1, coarse))
        smooth(level, x, b, False)
        return x


def is_hard(lam, mu):
    """Whether there are voids, or a stiffness far above the least."""
    stiffness = lam + 2 * mu
    return float(stiffness.max()) > _HIGH * float(stiffness.min())


def extra_bytes(shape):
    """What a hard picture of shape (H, W) takes at most beside what a benign one does: its factors, and doubles for singles."""
    nodes, n = (shape[0] + 1) * (shape[1] + 1), 0
    rows, columns = shape
    while (rows + 1) * (columns + 1) > _most(n):
        rows, columns, n = (rows + 1) // 2, (columns + 1) // 2, n + 1
    return _FACTOR_BYTES * (rows + 1) * (columns + 1) + 120 * nodes


def _most(level):
    """Nodes at which the levels of a hard picture end."""
    return (DIRECT, FACTORS, SMALL)[min(level, 2)]
