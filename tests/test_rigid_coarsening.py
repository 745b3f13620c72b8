"""The set-up of the rigid-motion multigrid: the same on every device; pixels move as bodies without a force."""

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.rigid import RigidMultigrid
from cukernels.rigid_coarsening import pixel_matrices
from small_elastic import WAYS, many_levels, moduli, operator


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("periodic", WAYS)
def test_every_device_makes_the_same_hierarchy(xp, monkeypatch, periodic, hard):
    lam, mu = moduli((41, 34), many_levels(monkeypatch, hard), 0.1 * hard)
    ours, theirs = (RigidMultigrid(operator(m, lam, mu, periodic=periodic)) for m in (xp, np))
    assert len(ours.levels) == 3 and ours.levels[1].link.dtype == (np.float64 if hard else np.float32)
    for a, c in zip(ours.levels, theirs.levels):
        for name in ("link", "diagonal", "inverse", "along", "down", "middle"):
            if getattr(c, name) is not None:
                scale = np.abs(getattr(c, name)).max()
                np.testing.assert_allclose(to_host(getattr(a, name)), getattr(c, name), atol=1e-5 * scale)


def test_pixel_matrices_have_no_force_under_rigid_motion():
    k_lam, k_mu = pixel_matrices(1.3, 0.7)
    corner = np.array([[0, 0], [1.3, 0], [0, 0.7], [1.3, 0.7]])
    for motion in (np.tile([1.0, 0], 4), np.tile([0, 1.0], 4), np.stack([-corner[:, 1], corner[:, 0]], 1).ravel()):
        np.testing.assert_allclose([k_lam @ motion, k_mu @ motion], 0, atol=1e-15)
