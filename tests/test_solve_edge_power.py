"""The power of fluxes through pixel edges: by hand, and that it falls with a stream function as it says."""

import numpy as np
import pytest

from chipmap.solve import edge_power
from chipmap.solve.flux import _curl

HALVES = [(edge_power.gathered, edge_power.powers), (edge_power._gathered_device, edge_power._powers_device)]


@pytest.mark.parametrize("gathered, powers", HALVES)
def test_a_uniform_flux_by_hand(gathered, powers):
    """3 through every one of 4 rows of 5 pixels of 2 by 1, resistivity 7: 7 x (3 / 1)^2 x 4 x 5 x 2."""
    across, down = np.full((1, 4, 6), 3.0), np.zeros((1, 5, 5))
    how = np.full((1, 4, 5), 7.0), 2 / 1 / 6, 1 / 2 / 6
    assert powers(*how, across, down)[0, 0] == pytest.approx(7 * 9 * 4 * 5 * 2, rel=1e-14)
    load, own = gathered(*how, across, down)
    assert own[0] == pytest.approx(7 * 9 * 40, rel=1e-14)
    assert abs(load[:, 1:-1]).max() < 1e-12 < abs(load[:, [0, -1]]).min()     # nothing to gain inside


@pytest.mark.parametrize("gathered, powers", HALVES)
@pytest.mark.parametrize("components", [1, 3])
def test_what_a_stream_function_gains(gathered, powers, components):
    """The power of flux plus curl is quadratic in the stream function, its linear part twice the load."""
    rng = np.random.default_rng(components)
    resistivity = rng.random((components, 150, 70)) + 1
    resistivity[2:] -= 1.5
    across, down, stream = rng.standard_normal((3, 150, 71)), rng.standard_normal((3, 151, 70)), rng.standard_normal((3, 151, 71))
    how = resistivity, 0.2, 0.3
    curl = _curl(stream, (False, False))
    load, own = gathered(*how, across, down)
    before, more, after = powers(*how, across, down), powers(*how, *curl), powers(*how, across + curl[0], down + curl[1])
    np.testing.assert_allclose(own, np.diag(before), rtol=1e-13)
    np.testing.assert_allclose(np.diag(after), np.diag(before + more) - 2 * (load * stream).sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(after, after.T, rtol=1e-10, atol=1e-9 * abs(after).max())
