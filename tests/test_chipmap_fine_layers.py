"""Edges measured in a picture as elements of layers: a thin liner askew counts as thick as it is."""

import numpy as np
import pytest

from chipmap.measure.edges import find_edges, moved_tensors
from chipmap.measure.fine_layers import moved_elements
from chipmap.solve import conductance

N, FINE = 48, 6


def drawn(angle, width, fine=1):
    """(N fine, N fine) 0, 1 in a layer of `width` pixels across the picture, 2."""
    x = (np.arange(N * fine) + 0.5) / fine - N / 2
    across = (x - 0.2) * np.cos(angle) + (x[:, None] + 0.1) * np.sin(angle)
    return np.digitize(across, [-width / 2, width / 2])


def true_displacement(edges, angle, width):
    """(F,) pixels along the step from each face to the true edge."""
    x, y = edges.column + np.where(edges.across == 1, 1, 0.5) - N / 2 - 0.2, edges.row + np.where(edges.across == 0, 1, 0.5) - N / 2 + 0.1
    off = x * np.cos(angle) + y * np.sin(angle) - np.where(np.minimum(edges.inner, edges.outer) == 0, -width / 2, width / 2)
    return -off / np.where(edges.across == 1, np.cos(angle), np.sin(angle))


@pytest.mark.parametrize("degrees", [12, 27, 34])
@pytest.mark.parametrize("k, axis", [((60.0, 1.0, 60.0), 1), ((1.0, 300.0, 1.0), 0), ((60.0, 1.0, 10.0), 1)])
def test_a_liner_of_two_and_a_half_pixels_askew(degrees, k, axis):
    """A barrier and a conductor of 2.5 pixels: within 2 % of the picture on a grid six times finer, with the normals that the pixels show,
    where tensors are up to 15 % off."""
    angle = np.radians(degrees)
    labels = drawn(angle, 2.5)
    edges = find_edges(labels)
    moved, field = true_displacement(edges, angle, 2.5), np.array(k)[labels]
    fine = conductance(np.array(k)[drawn(angle, 2.5, FINE)], axis, 1 / FINE, 1 / FINE, 1e-5)
    true = np.sqrt(fine.value * fine.lower)
    got = conductance(moved_elements(edges, moved, field, 1.0, 1.0), axis)
    assert got.value == pytest.approx(true, rel=0.02) and got.iterations <= 15
    if k[0] == k[2] == 60.0 and degrees > 20:
        assert conductance(moved_tensors(edges, moved, field), axis).value > 1.1 * true


def test_without_conducting_neighbours_pixels_stay_tensors():
    """Beside an insulator nothing changes; nor where three objects meet does anything break."""
    labels = drawn(0.4, 6.0)
    edges = find_edges(labels)
    moved = true_displacement(edges, 0.4, 6.0)
    for k in ((0.0, 5.0, 0.0), (0.0, 5.0, 1.0)):
        field = np.array(k)[labels]
        one, other = (conductance(form, 0).value for form in (moved_elements(edges, moved, field, 1.0, 1.0), moved_tensors(edges, moved, field)))
        assert one == pytest.approx(other, rel=0.02 if k[2] else 1e-6)
    rng = np.random.default_rng(0)
    mixed = np.kron(rng.permutation(64).reshape(8, 8), np.ones((3, 3), int))
    edges, field = find_edges(mixed), 10.0 ** rng.uniform(-2, 2, 64)[mixed]
    got = conductance(moved_elements(edges, rng.uniform(-1, 1, len(edges.row)), field, 1e-9, 1.3e-9), 1, 1e-9, 1.3e-9)
    assert 0.3 < got.value / conductance(field, 1, 1e-9, 1.3e-9).value < 3
