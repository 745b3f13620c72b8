"""Small conduction operators for the tests of the multigrid and its parts."""

import numpy as np
from cukernels.stencil import conduction

SIDES = [(False, False), (True, False), (False, True), (True, True)]


def picture(seed, shape, values=(0.0, 1.0, 300.0)):
    return np.random.default_rng(seed).choice(values, shape)


def problem(xp, seed, shape, periodic, hold=True, values=(0.0, 1.0, 300.0)):
    nodes = tuple(n + (not w) for n, w in zip(shape, periodic))
    fixed = np.zeros(nodes, bool)
    fixed[nodes[0] // 2, : nodes[1] // 2] = hold
    return conduction(xp.asarray(picture(seed, shape, values)), 1.0, 0.8, periodic, xp.asarray(fixed))
