"""Small elastic operators for the tests of the multigrid that keeps rigid motions, and of its parts."""

import numpy as np
from cukernels import rigid
from cukernels.elastic import elasticity

WAYS = [(False, False), (True, True), (True, False)]


def many_levels(monkeypatch, hard):
    """The contrast to take; in hard pictures small levels are made too, as in large pictures, in double precision."""
    monkeypatch.setattr(rigid, "FACTORS", 120)
    monkeypatch.setattr(rigid, "SMALL", 120)
    return 1e4 if hard else 1e2


def moduli(shape, contrast=100.0, voids=0.0, seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.choice([1.0, np.sqrt(contrast), contrast], (-(-shape[0] // 3), -(-shape[1] // 3)))
    young = np.kron(blocks, np.ones((3, 3)))[:shape[0], :shape[1]]
    if voids:
        young[np.kron(rng.random(blocks.shape) < voids, np.ones((3, 3), bool))[:shape[0], :shape[1]]] = 0
    return 0.3 * young / (1.3 * 0.4), young / 2.6


def operator(xp, lam, mu, fixed=None, **how):
    return elasticity(xp.asarray(lam), xp.asarray(mu), fixed=None if fixed is None else xp.asarray(fixed), **how)
