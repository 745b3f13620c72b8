"""Edges where the grey says, the sensitivity of a result to moving them, and intervals that hold the truth."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.coverage import coverage
from chipmap.measure.edges import displacement, find_edges, moved_tensors, smooth
from chipmap.physics import flux_density
from chipmap.properties import Spread
from chipmap.solve import conductance
from chipmap.uncertainty import by_object, displaced, energies, measure, property_factors


def line(shift=0.0, slope=0.0, shape=(40, 60), width=10, fine=8):
    """Share of each pixel inside a line of this width, moved down by `shift` pixels."""
    y = (np.arange(shape[0] * fine)[:, None] + 0.5) / fine
    x = (np.arange(shape[1] * fine) + 0.5) / fine
    middle = shape[0] / 2 + shift + slope * (x - shape[1] / 2)
    return (np.abs(y - middle) < width / 2).reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))


@pytest.mark.parametrize("shift, slope", [(0.0, 0.0), (0.25, 0.0), (-0.25, 0.1), (0.125, 0.35)])
def test_edges_are_found_to_a_hundredth_of_a_pixel_without_noise(shift, slope):
    share = line(shift, slope)
    labels = (share > 0.5).astype(int)
    edges = find_edges(labels)
    seen = displacement(edges, 50 + 80 * gaussian_filter(share, 1.0, mode="nearest"), labels, np.array([0, 1]), np.array([50.0, 130.0]), 0.01)
    assert seen.measured.all() and (edges.across == 0).all() and len(edges.row) == 120
    place = edges.row + 1 + seen.mean
    lower = edges.inner == 1
    truth = 20 + shift + slope * (edges.column + 0.5 - 30) + np.where(lower, 5, -5)
    assert np.abs(place - truth)[(edges.column > 5) & (edges.column < 54)].max() < 0.01 + 0.05 * abs(slope)


def test_claimed_noise_is_the_noise_there_is():
    rng = np.random.default_rng(0)
    share = line(0.25)
    labels = (share > 0.5).astype(int)
    edges = find_edges(labels)
    clean = 50 + 80 * gaussian_filter(share, 1.0, mode="nearest")
    found = [displacement(edges, clean + 8 * rng.standard_normal(clean.shape), labels, np.array([0, 1]), np.array([50.0, 130.0]), 8.0) for _ in range(60)]
    spread = np.std([f.mean for f in found], axis=0).mean()
    assert spread == pytest.approx(found[0].sd.mean(), rel=0.1)
    total = np.std([f.mean[edges.inner == 0].mean() - f.mean[edges.inner == 1].mean() for f in found])
    change = np.where(edges.inner == 0, 1, -1) / 60
    assert total == pytest.approx(found[0].doubt(change), rel=0.3)     # 60 draws know their own spread to 9 %


def test_edges_of_two_materials_in_every_direction_move_the_answer_as_foretold():
    """A disc of another material, its radius larger and smaller by three pixels: the derivative by edges against solving
    again, for a better and a worse conductor inside, contrast to 100."""
    y, x = np.indices((96, 96)) - 47.5
    radius = 24.0
    labels = (np.hypot(x, y) < radius).astype(int)
    edges = find_edges(labels)
    for inside, outside in ((5.0, 1.0), (1.0, 5.0), (100.0, 1.0), (1.0, 100.0)):
        k = np.where(labels == 1, inside, outside)
        solved = conductance(k, axis=1)
        change = edges.weight * energies(edges, k, flux_density(k, solved.field, 1.0, 1.0))
        foretold = by_object(edges, change, 2)
        radii = (radius - 3, radius + 3)
        values = [conductance(np.where(np.hypot(x, y) < r, inside, outside), axis=1).value for r in radii]
        assert foretold[1] == pytest.approx((values[1] - values[0]) / 6, rel=0.1)
        assert foretold[0] == -foretold[1]


def test_pixels_cut_by_an_edge_give_the_answer_of_the_true_edge():
    share = line(0.3, 0.05)
    labels = (share > 0.5).astype(int)
    edges = find_edges(labels)
    seen = displacement(edges, 50 + 80 * gaussian_filter(share, 1.0, mode="nearest"), labels, np.array([0, 1]), np.array([50.0, 130.0]), 0.01)
    moved, _ = smooth(edges, seen.mean)
    k = labels.astype(float)
    better = conductance(moved_tensors(edges, moved, k), axis=1).value
    truth = conductance(share, axis=1).value
    assert abs(better / truth - 1) < 0.002 < abs(conductance(k, axis=1).value / truth - 1)


def test_drawn_edges_vary_as_the_first_order_says():
    """Solved again with 60 draws of correlated edges: mean and spread of the resistance as foretold by one solution."""
    rng = np.random.default_rng(5)
    share = line(0.25, 0.04)
    labels = (share > 0.5).astype(int)
    grey = 50 + 80 * gaussian_filter(share, 1.0, mode="nearest") + 10 * rng.standard_normal(share.shape)
    measured = measure(grey, labels, np.array([0, 1]), np.array([50.0, 130.0]), 10.0, (1.0, 1.0))
    k = labels.astype(float)
    change = energies(measured.edges, k, flux_density(k, conductance(k, axis=1).field, 1.0, 1.0))
    values = [conductance(moved_tensors(measured.edges, moved, k), axis=1).value for moved in displaced(measured, 60, seed=3)]
    assert np.std(values) == pytest.approx(measured.seen.doubt(change), rel=0.35)
    again = list(displaced(measured, 2, seed=3))
    np.testing.assert_array_equal(again[0], next(iter(displaced(measured, 1, seed=3))))
    step = again[0] - measured.moved
    neighbours = (measured.edges.inner[1:] == measured.edges.inner[:-1])
    assert np.corrcoef(step[1:][neighbours], step[:-1][neighbours])[0, 1] > 0.5     # along the edge, not pixel noise


def test_properties_vary_within_their_ranges_and_together():
    spread = Spread(np.array([2.0, 2.0, 5.0]), np.array([1.0, 1.0, 5.0]), np.array([3.0, 3.0, 5.0]))
    factors = property_factors(spread, np.array([0.5, 0.5, 0.0]), np.array([0, 0, 1]))
    assert factors.min() > 0.5 and factors.max() < 1.5 and factors.std() > 0.1
    assert np.median(factors) == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(property_factors(spread, np.array([0.0, 0.0, 1.0]), np.array([0, 0, 1])), 1)


def test_the_truth_lies_in_the_interval():
    """The benchmark of 200 pictures, on 12: the pixels' own answer is off by more than the interval, the centre is not."""
    facts = coverage(12)
    assert facts["inside_95"] >= 10 / 12     # fewer has a chance of 2 % if the true coverage is 95 %
    assert facts["error_of_centre_rms"] < facts["error_of_pixels_rms"] / 2
    assert facts["without_interval"] == 0
