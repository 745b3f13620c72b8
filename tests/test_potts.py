import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.potts import label_posterior, relax_labels


def energy(unary, guide, strength, contrast, labels):
    """The definition, by whole arrays: every pair once."""
    rows, columns = np.indices(labels.shape)
    total = unary[labels, rows, columns].sum(dtype=float)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = np.s_[:labels.shape[0] - dy, max(-dx, 0):labels.shape[1] - max(dx, 0)]
        b = np.s_[dy:, max(dx, 0):labels.shape[1] - max(-dx, 0)]
        weight = strength / np.hypot(dy, dx) / (1 + ((guide[a] - guide[b]) / contrast) ** 2)
        total += (weight * (labels[a] != labels[b])).sum()
    return total


def random_case(rng, count=3, shape=(21, 34)):
    return (rng.random((count, *shape), np.float32) * 3, rng.random(shape, np.float32) * 10)


def test_lone_pixel_joins_its_neighbours(xp):
    unary = np.zeros((2, 3, 3), np.float32)
    unary[1], unary[:, 1, 1] = 1.0, (1.0, 0.0)
    guide = xp.asarray(np.zeros((3, 3), np.float32))
    labels, _ = relax_labels(xp.asarray(unary), guide, 0.5, 1.0)
    np.testing.assert_array_equal(to_host(labels), 0)
    # eight neighbours weigh 0.1 (4 + 4 / sqrt 2) = 0.68, less than the pixel's own 1.0: it stays
    labels, _ = relax_labels(xp.asarray(unary), guide, 0.1, 1.0)
    np.testing.assert_array_equal(to_host(labels), np.eye(3)[1][:, None] * np.eye(3)[1])


def test_posterior_by_hand(xp):
    unary = np.array([[[0.0, 0.0]], [[0.5, 2.0]]], np.float32)
    labels = np.array([[0, 1]], np.int32)
    guide = np.array([[0.0, 3.0]], np.float32)  # weight 2 / (1 + 3^2) = 0.2 with contrast 1
    got = to_host(label_posterior(xp.asarray(unary), xp.asarray(labels), xp.asarray(guide), 2.0, 1.0))
    left = np.exp([-0.2, -0.5])    # its neighbour is 1: label 0 pays the weight
    right = np.exp([0.0, -2.2])
    want = np.stack([left / left.sum(), right / right.sum()], 1)[:, None]
    np.testing.assert_allclose(got, want, rtol=2e-6)  # float32


def test_energy_falls_and_no_single_change_lowers_it(xp):
    rng = np.random.default_rng(1)
    unary, guide = random_case(rng)
    labels, sweeps = relax_labels(xp.asarray(unary), xp.asarray(guide), 0.7, 4.0, sweeps=50)
    labels = to_host(labels)
    assert sweeps < 50
    best = energy(unary, guide, 0.7, 4.0, labels)
    assert best < energy(unary, guide, 0.7, 4.0, unary.argmin(0))
    for _ in range(200):
        other = labels.copy()
        other[rng.integers(21), rng.integers(34)] = rng.integers(3)
        assert energy(unary, guide, 0.7, 4.0, other) >= best - 1e-4  # float32 sums of about ten terms


def test_without_strength_the_pixelwise_best_wins(xp):
    unary, guide = random_case(np.random.default_rng(2), count=5)
    labels, _ = relax_labels(xp.asarray(unary), xp.asarray(guide), 0.0, 1.0)
    np.testing.assert_array_equal(to_host(labels), unary.argmin(0))


def test_every_device_gives_the_same_labels(xp):
    unary, guide = random_case(np.random.default_rng(3), count=4, shape=(33, 18))
    labels, _ = relax_labels(xp.asarray(unary), xp.asarray(guide), 0.6, 3.0)
    want, _ = relax_labels(unary, guide, 0.6, 3.0)
    np.testing.assert_array_equal(to_host(labels), want)
    posterior = to_host(label_posterior(xp.asarray(unary), labels, xp.asarray(guide), 0.6, 3.0))
    np.testing.assert_allclose(posterior.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(posterior, label_posterior(unary, want, guide, 0.6, 3.0), atol=2e-6)  # two exp of float32


@pytest.mark.parametrize("change", ["dtype", "shape", "nan", "strength", "many"])
def test_bad_arguments_are_named(xp, change):
    unary, guide = random_case(np.random.default_rng(4))
    strength = 1.0
    if change == "dtype":
        unary = unary.astype(float)
    elif change == "shape":
        guide = guide[1:]
    elif change == "nan":
        unary[0, 0, 0] = np.nan
    elif change == "strength":
        strength = -1.0
    else:
        unary = np.zeros((17, *guide.shape), np.float32)
    with pytest.raises(ValueError, match="must"):
        relax_labels(xp.asarray(unary), xp.asarray(guide), strength, 1.0)
