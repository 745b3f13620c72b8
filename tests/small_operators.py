"""Small conduction operators for the tests of the multigrid and its parts."""

import numpy as np
from cukernels.stencil import conduction

SIDES = [(False, False), (True, False), (False, True), (True, True)]


def picture(seed, shape, values=(0.0, 1.0, 300.0)):
    return np.random.default_rng(seed).choice(values, shape)


def problem(xp, seed, shape, periodic, hold=True, values=(0.0, 1.0, 300.0), tensors=False):
    nodes = tuple(n + (not w) for n, w in zip(shape, periodic))
    fixed = np.zeros(nodes, bool)
    fixed[nodes[0] // 2, : nodes[1] // 2] = hold
    k = picture(seed, shape, values)
    k = np.stack([k, 2 * k, 0.5 * k]) if tensors else k
    return conduction(xp.asarray(k), 1.0, 0.8, periodic, xp.asarray(fixed))
