"""Black-box multigrid for nine-point stencils: the preconditioner that does not mind where copper meets oxide.

Levels are made by `coarsening` and worked on by `relaxation`; here is the order in which a cycle visits them. Where pieces of
a few pixels touch at corners at a high contrast, all levels but the finest are `algebraic`. A cycle is linear, symmetric and
positive.
"""

import numpy as np

from .algebraic import Algebraic
from .backend import array_module, to_host
from .classical import graph
from .coarsening import dense_inverse, galerkin, interpolation, links
from .relaxation import Level, combine, make_level, prolong, residual, restrict, scratch, smooth
from .stencil import PAD, interior, wrap

DIRECT = 200          # nodes at which a dense inverse takes over

# Where small pieces touch at corners, a single coarse cycle loses a little on every level. Two, joined by the Chebyshev
# polynomial for eigenvalues in [_LOWEST, 1], keep the rate of two grids (O. Axelsson, P. S. Vassilevski, "Algebraic
# multilevel preconditioning methods I", Numer. Math. 56 (1989) 157), at twice the work of the finest level in all.
# Above a contrast of _HIGH two sweeps either way keep more of it than a third cycle would, at half the work. What is left
# there are single modes: a node of a coarse grid may be tied to a piece that touches at a corner and has none of the node's
# coarse neighbours in it, so that no interpolation between those follows it. Where more than _MANY of the nodes are such
# corners, three steps are joined into one by the polynomial for [_LOWER, 1]: fewer iterations, each with its products in
# double precision, for the same work. Between insulators that begins at _HIGH_BETWEEN for more than _MORE (pieces of three
# pixels), and for more than _MOST (pieces of a single pixel) without any other contrast. Above _HIGHEST, above _HIGH
# between insulators, and with single pixels above _HIGH_SINGLE (_HIGH_BETWEEN between insulators), those modes add up from
# level to level. There the links choose the coarse nodes (`algebraic`), which takes longer to set up and then a dozen
# iterations whatever the contrast. Not so with the links of tensors, many of them negative, which say little about who
# follows whom: those take three cycles a level, each of one sweep, joined for [_LOWER, 1]. So do, below the finest level,
# pictures of rarer corners (more than FEW: pieces of up to thirty pixels) above _HIGHEST: else each doubling of the picture
# costs a third more iterations. Between insulators the links choose in those too.
_LOWEST, _LOWER = 0.25, 0.12
_HIGH, _HIGH_BETWEEN, _HIGH_SINGLE, _HIGHEST = 500, 100, 5e3, 1e5
FEW, _MANY, _MORE, _MOST = 0.0001, 0.0015, 0.01, 0.06
_STRONGER = 10.0      # times the other two: then the two pixels across a corner are one piece


class Multigrid:
    """A hierarchy for one operator (`stencil.Conduction`), used for any number of right-hand sides.

    contrast: largest over least conductivity, by which it takes its cycles; None for that of operator.k. The links of
    tensors say more than there is: they are as small as you like where an edge cuts a pixel.
    """

    def __init__(self, operator, contrast=None):
        xp = array_module(operator.k)
        if contrast is None:
            contrast = float(operator.k.max()) / float(xp.where(operator.k > 0, operator.k, np.inf).min())
        self.sweeps = 1 if contrast <= _HIGH else 2
        c, reaction = links(operator)
        level = make_level(operator.shape, operator.periodic, c, reaction)
        if len(operator.k) == 1:  # pixels, in which links to fixed nodes lead to zeros
            level = Level(level.shape, level.periodic, operator.k.astype(np.float32), operator.weights, operator.reaction.astype(np.float32),
                          level.inverse, None, level.colours)
        self.levels, self.algebraic = [level], None
        self._below, self._top = chebyshev(2, _LOWEST), ([1.0], 1.0)
        insulates = _insulates(operator)
        high = contrast > (_HIGH_BETWEEN if insulates else _HIGH)
        corners = _corners(operator) if high or insulates else 0.0
        if high and corners > (_MANY if contrast > _HIGH else _MORE) or corners > _MOST:
            self._top = chebyshev(3, _LOWER)
        if contrast > _HIGHEST and corners > FEW:
            self.sweeps, self._below = 1, chebyshev(3, _LOWER)
        hardest = contrast > (_HIGH if insulates else _HIGHEST)
        single = corners > _MOST and contrast > (_HIGH_BETWEEN if insulates else _HIGH_SINGLE)
        if len(operator.k) == 1 and (single or hardest and corners > (FEW if insulates and contrast > _HIGHEST else _MANY)):
            g = graph(to_host(c), to_host(reaction), operator.shape, operator.periodic)
            del c, reaction
            self.algebraic = Algebraic(g, DIRECT, xp)
            return
        shape, periodic = operator.shape, operator.periodic
        while shape[0] * shape[1] > DIRECT:
            inverse = self.levels[-1].inverse
            weight = interpolation(c, reaction, inverse, shape, periodic)
            c, reaction, periodic = galerkin(c, reaction, inverse, weight, shape, periodic)
            shape = tuple((n + 1) // 2 for n in shape)
            self.levels[-1].weight = weight.astype(np.float32)
            self.levels.append(make_level(shape, periodic, c, reaction))
        self.direct = xp.asarray(dense_inverse(to_host(c), to_host(reaction), shape, periodic))

    def __call__(self, b):
        """One step from zero: (S, NY, NX) float32 padded in (zero where there is no unknown) and out, pads refreshed.

        The returned array is reused by the next call.
        """
        return self._joined(0, b) if self.algebraic is None else self._above_algebraic(b)

    def _above_algebraic(self, b):
        level = self.levels[0]
        x = scratch(level, "x", b.shape, b)
        smooth(level, x, b, forward=True, from_zero=True)
        self.algebraic.correct(x, residual(level, x, b, scratch(level, "r", b.shape, b), 1.0))
        wrap(x, level.periodic)
        smooth(level, x, b, forward=False, from_zero=False)
        return x

    def _cycle(self, n, b, name):
        level, coarser = self.levels[n], self.levels[n + 1]
        x = scratch(level, name, b.shape, b)
        for sweep in range(self.sweeps):
            smooth(level, x, b, forward=True, from_zero=sweep == 0)
        coarse = scratch(coarser, "b", (len(b), *(m + 2 * PAD for m in coarser.shape)), b)
        restrict(level, x, b, coarse)
        prolong(level, x, self._joined(n + 1, coarse))
        for _ in range(self.sweeps):
            smooth(level, x, b, forward=False, from_zero=False)
        return x

    def _joined(self, n, b):
        """Cycles joined by the Chebyshev polynomial of this level."""
        if n == len(self.levels) - 1:
            return self._direct(b)
        steps, peak = self._below if n else self._top
        level, x, factor = self.levels[n], self._cycle(n, b, "x"), steps[0]
        for m in range(1, len(steps)):
            r = residual(level, x, b, scratch(level, "r", b.shape, b), factor)
            last = peak if m == len(steps) - 1 else 1.0
            combine(x, factor / last, self._cycle(n, r, "y"), steps[m] / last)
            factor = 1.0
        return x

    def _direct(self, b):
        level = self.levels[-1]
        x = scratch(level, "x", b.shape, b)
        flat = interior(b).astype(np.float64).reshape(len(b), -1)
        interior(x)[...] = (flat @ self.direct).reshape(len(b), *level.shape)
        return wrap(x, level.periodic)


def chebyshev(degree, lowest):
    """(steps, peak): cycles of these lengths have eigenvalues up to `peak`, to be brought back to 1."""
    middle, half = (1 + lowest) / 2, (1 - lowest) / 2
    steps = [1 / (middle + half * np.cos(np.pi * (2 * i + 1) / (2 * degree))) for i in range(degree)]
    return steps, 1 + 1 / np.cosh(degree * np.arccosh(middle / half))


def _insulates(operator):
    """Whether there are pixels that do not conduct at all; never where links are all there is."""
    rows, columns = (n - (not wraps) for n, wraps in zip(operator.shape, operator.periodic))
    return len(operator.k) == 1 and bool((interior(operator.k)[0, :rows, :columns] == 0).any())


def _corners(operator):
    """Share of the nodes at which two pixels touch across the corner, each far more conductive than the other two.

    All of them where links are all there is: those of cut pixels are as hard.
    """
    if len(operator.k) > 1:
        return 1.0
    xp, k = array_module(operator.k), interior(operator.k)[0]
    nw, ne, sw, se = k[:-1, :-1], k[:-1, 1:], k[1:, :-1], k[1:, 1:]
    falling, rising = xp.minimum(nw, se), xp.minimum(ne, sw)
    across = (falling > _STRONGER * xp.maximum(ne, sw)) | (rising > _STRONGER * xp.maximum(nw, se))
    return float(across.sum()) / max(across.size, 1)
