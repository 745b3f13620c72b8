"""Sparse factors of a coarse level: the same matrix as the dense one, exact, and an order that keeps every node once."""

import numpy as np
import pytest
from cukernels import rigid
from cukernels.backend import to_host
from cukernels.elastic import interior
from cukernels.rigid_coarsening import dense_inverse
from cukernels.rigid_direct import Factors, dissection, matrix
from small_elastic import WAYS, moduli, operator


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (6, 6), (23, 40)])
def test_an_order_holds_every_node_once(shape):
    np.testing.assert_array_equal(np.sort(dissection(*shape)), np.arange(shape[0] * shape[1]))


@pytest.mark.parametrize("periodic", WAYS)
def test_factors_solve_what_the_dense_inverse_solves(xp, monkeypatch, periodic):
    """Where motions are free, up to those: forces are made of displacements, and energies compared."""
    kept = []
    monkeypatch.setattr(rigid, "Factors", lambda elements: kept.append(elements) or Factors(elements))
    lam, mu = moduli((23, 18), 1e3, 0.1)
    rigid.RigidMultigrid(operator(xp, lam, mu, periodic=periodic))
    elements, = kept
    inverse, (NY, NX) = dense_inverse(elements), elements.nodes
    b = np.random.default_rng(0).normal(size=(2, len(inverse))) @ np.linalg.pinv(inverse, hermitian=True)
    x, padded = (xp.zeros((2, 3, NY + 2, NX + 2)) for _ in range(2))
    interior(padded)[...] = xp.asarray(b.reshape(2, 3, NY, NX))
    Factors(elements)(padded, x)
    got = to_host(interior(x)).reshape(2, -1)
    np.testing.assert_allclose((b * got).sum(axis=1), np.einsum("sn,nm,sm->s", b, inverse, b), rtol=1e-5)   # the shift


def test_its_matrix_has_no_force_under_shifts(xp, monkeypatch):
    kept = []
    monkeypatch.setattr(rigid, "Factors", lambda elements: kept.append(elements) or Factors(elements))
    lam, mu = moduli((25, 25), 1e3)
    rigid.RigidMultigrid(operator(xp, lam, mu))
    for shift in (0, 1):
        motion = np.zeros((*kept[0].nodes, 3))
        motion[..., shift] = 1
        assert np.abs(matrix(kept[0]) @ motion.ravel()).max() < 1e-7 * float(lam.max())      # the finest level's weights are single
