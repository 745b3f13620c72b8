"""Nodes that share one unknown potential: floating perfect conductors, without a large number in the operator."""

import numpy as np
from cukernels.backend import array_module
from cukernels.stencil import PAD, wrap


def at_nodes(a, periodic=(False, False)):
    """The largest of the values of the four pixels round each node: (H, W) -> (H', W'), outside counts as 0."""
    xp = array_module(a)
    for wraps in periodic:
        before = a[-1:] if wraps else xp.zeros_like(a[:1])
        a = xp.concatenate([before, a] if wraps else [before, a, before])
        a = xp.maximum(a[:-1], a[1:]).swapaxes(0, 1)
    return a


# The multigrid, which only preconditions, sees what is tied as so much stiffer than all the rest: for each pixel of its
# width, so that a long strip is stiff against what lies beside it, and small pieces that touch at corners, which cycles
# find hard, are not stiffer than they need be. Wide pieces need none of the longer cycles that their contrast calls for.
STIFF, STIFFEST = 300.0, 1e4


def stiffness(inside, periodic=(False, False)):
    """How stiff to make the pixels (H, W) bool that perfect conductors fill: by their mean width, twice the area over the rim."""
    xp = array_module(inside)
    rim = 0
    for axis, wraps in zip((0, 1), periodic):
        a = inside.swapaxes(0, axis)
        rim += int(xp.count_nonzero(a[1:] != a[:-1])) + (int(xp.count_nonzero(a[0] != a[-1])) if wraps else 0)
    return float(np.clip(2 * STIFF * int(xp.count_nonzero(inside)) / max(rim, 1), STIFF, STIFFEST))


def stiffened(k, tied, periodic):
    """(k with pixels whose four corners are tied to one another stiffer than the largest of the others, which carry nothing;
    the contrast of the others)."""
    xp = array_module(k)
    corners = [xp.roll(tied, (-i, -j), axis=(0, 1))[:k.shape[0], :k.shape[1]] for i in (0, 1) for j in (0, 1)]
    inside = corners[0] > 0
    for corner in corners[1:]:
        inside = inside & (corner == corners[0])
    others = xp.where(inside, 0, k)
    highest = float(others.max())
    return xp.where(inside, stiffness(inside, periodic) * highest, k), highest / float(xp.where(others > 0, others, np.inf).min())


def tie(ties, operator, multigrid):
    """(operator, precondition, average) for an operator whose tied nodes are one unknown each group."""
    if not ties.place.size:
        return operator, multigrid, lambda a: a
    return Tied(ties, operator), lambda r: wrap(ties.average(multigrid(r)), operator.periodic), ties.average


class Tied:
    """average A average, for `conjugate_gradients`: of all it is given, only the residual after a step has to be averaged."""

    def __init__(self, ties, operator):
        self.ties, self.operator = ties, operator

    def apply(self, p, q):
        dots = self.operator.apply(p, q)
        self.ties.average(q)
        return dots

    def search(self, p, z, scale, beta):
        return self.operator.search(p, z, scale, beta)

    def advance(self, x, r, p, alpha, scale, short):
        self.operator.advance(x, r, p, alpha, scale, short)
        self.ties.average(r)
        self.ties.shorten(r, scale, short)


class Ties:
    """Groups of nodes with one value each.

    labels: (H', W') int at the nodes, 0 for a node by itself, 1 .. G for the groups.
    """

    def __init__(self, labels):
        xp = array_module(labels)
        row, column = xp.nonzero(labels)
        self.group = labels[row, column].astype(np.int64) - 1
        self.place = (row + PAD) * (labels.shape[1] + 2 * PAD) + column + PAD
        self.size = xp.maximum(xp.bincount(self.group, minlength=1), 1).astype(np.float64)

    def average(self, a):
        """Every group of a (S, H' + 4, W' + 4), padded and C-contiguous, gets its mean, in place: a projection.

        Of an operator A on single nodes, average A average is the one on tied nodes, in the same arrays.
        """
        xp = array_module(a)
        if self.place.size:
            for field in a.reshape(len(a), -1):
                mean = xp.bincount(self.group, field[self.place]) / self.size
                field[self.place] = mean.astype(a.dtype)[self.group]
        return a

    def shorten(self, a, scale, short):
        """short = a scale, (S,), where nodes are tied."""
        for field, factor, less in zip(a.reshape(len(a), -1), scale, short.reshape(len(short), -1)):
            less[self.place] = field[self.place] * factor
