"""Values under labels: by hand, as laws, and against scipy.ndimage, numpy and exact sums."""

import math

import numpy as np
import pytest
import scipy.ndimage
from cukernels.backend import to_host
from cukernels.zonal import label_count, label_histogram, label_max, label_mean, label_min, label_sum

LABELS = np.array([[0, 1, 1], [-1, 3, 1]], np.int32)
VALUES = np.array([[1.5, 2.0, -4.0], [np.nan, 0.25, 1.0]])


def picture(count, shape=(70, 90), runs=True, dtype=np.float64):
    """Labels in runs as in a picture (or at random) with -1 among them, values of both signs and of many sizes."""
    rng = np.random.default_rng(count)
    labels = rng.integers(-1, count, (shape[0] // 7 + 1, shape[1] // 9 + 1) if runs else shape)
    labels = np.kron(labels, np.ones((7, 9), int))[:shape[0], :shape[1]] if runs else labels
    return labels.astype(np.int32), (rng.normal(size=shape) * 10.0 ** rng.integers(-6, 7, shape)).astype(dtype)


CASES = [(3, True, np.float64), (40, False, np.float64), (1500, False, np.float64), (5, True, np.float32)]  # 1500: no shared memory


def test_by_hand(xp):
    labels, values = xp.asarray(LABELS), xp.asarray(VALUES)
    np.testing.assert_array_equal(to_host(label_count(labels, 4)), [1, 3, 0, 1])
    np.testing.assert_array_equal(to_host(label_sum(labels, values, 4)), [1.5, -1, 0, 0.25])
    np.testing.assert_array_equal(to_host(label_mean(labels, values, 4)), [1.5, -1 / 3, np.nan, 0.25])
    np.testing.assert_array_equal(to_host(label_min(labels, values, 4)), [1.5, -4, np.nan, 0.25])
    np.testing.assert_array_equal(to_host(label_max(labels, values, 4)), [1.5, 2, np.nan, 0.25])
    np.testing.assert_array_equal(to_host(label_histogram(labels, values, 4, 2, 0, 2)), [[0, 1], [0, 2], [0, 0], [1, 0]])


@pytest.mark.parametrize("count, runs, dtype", CASES)
def test_equal_to_scipy(xp, count, runs, dtype):
    labels, values = picture(count, runs=runs, dtype=dtype)
    number = np.arange(count)
    here = xp.asarray(labels), xp.asarray(values), count
    present = np.bincount(labels.ravel() + 1, minlength=count + 1)[1:]
    np.testing.assert_array_equal(to_host(label_count(here[0], count)), present)
    assert (present[:3] > 0).all()
    doubles = values.astype(float)
    # scipy adds up in float64, one after the other: its own error, not ours
    near = {"rtol": 1e-12, "atol": 1e-16 * np.abs(doubles).sum()}
    np.testing.assert_allclose(to_host(label_sum(*here)), scipy.ndimage.sum_labels(doubles, labels, number), **near)
    known = present > 0
    np.testing.assert_allclose(to_host(label_mean(*here))[known], scipy.ndimage.mean(doubles, labels, number[known]), **near)
    np.testing.assert_array_equal(to_host(label_min(*here))[known], scipy.ndimage.minimum(values, labels, number)[known])
    np.testing.assert_array_equal(to_host(label_max(*here))[known], scipy.ndimage.maximum(values, labels, number)[known])
    assert np.isnan(to_host(label_mean(*here))[~known]).all() and np.isnan(to_host(label_min(*here))[~known]).all()


@pytest.mark.parametrize("count, runs, dtype", CASES)
def test_sums_are_the_true_sums(xp, count, runs, dtype):
    """Against sums without any rounding; not only near: never more than one unit of the last place off."""
    labels, values = picture(count, runs=runs, dtype=dtype)
    got = to_host(label_sum(xp.asarray(labels), xp.asarray(values), count))
    for k in range(min(count, 60)):
        true = math.fsum(values[labels == k].astype(float).tolist())
        assert abs(got[k] - true) <= np.spacing(abs(true)) + 1e-20 * np.abs(values).max()


def test_the_same_bits_in_any_order_and_on_every_device(xp):
    labels, values = picture(40, runs=False)
    order = np.random.default_rng(0).permutation(labels.size)
    expected = label_sum(labels, values, 40)
    got = label_sum(xp.asarray(labels.ravel()[order]), xp.asarray(values.ravel()[order]), 40)
    np.testing.assert_array_equal(to_host(got), expected)


def test_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(1)
    labels, values = rng.integers(0, 7, 400_000), rng.normal(size=400_000) * 1e6
    halves = [label_sum(labels[s], np.rint(values[s]), 7) for s in (slice(0, 1000), slice(1000, None))]
    np.testing.assert_array_equal(label_sum(labels, np.rint(values), 7), halves[0] + halves[1])
    np.testing.assert_array_equal(label_sum(labels[::-1], values[::-1], 7), label_sum(labels, values, 7))


def test_cancelling_and_tiny_and_huge_values(xp):
    labels = xp.asarray(np.zeros(4, int))
    for values, total in (([1e17, 1, -1e17, 1], 2.0), ([1e300, 1e300, -1e300, 0], 1e300), ([5e-260, 1e-260, 0, 0], 6e-260), ([0, -0.0, 0, 0], 0.0)):
        assert to_host(label_sum(labels, xp.asarray(np.array(values)), 1))[0] == total


@pytest.mark.parametrize("count, bins", [(3, 1), (4, 10), (40, 7), (60, 90)])
def test_histogram_equals_numpy(xp, count, bins):
    """Values on the edges among them, where a rounded quotient falls into the wrong bin."""
    rng = np.random.default_rng(bins)
    edges = np.linspace(-0.3, 1.1, bins + 1)
    labels = rng.integers(-1, count, 6000).astype(np.int32)
    values = np.where(rng.random(6000) < 0.5, rng.choice(edges, 6000), rng.uniform(-0.5, 1.3, 6000))
    got = to_host(label_histogram(xp.asarray(labels), xp.asarray(values), count, bins, -0.3, 1.1))
    expected = [np.histogram(values[labels == k], bins, (-0.3, 1.1))[0] for k in range(count)]
    np.testing.assert_array_equal(got, expected)
    assert got.sum() == ((labels >= 0) & (values >= -0.3) & (values <= 1.1)).sum()


def test_integers_bytes_and_strides(xp):
    rng = np.random.default_rng(0)
    labels, values = rng.integers(0, 5, (40, 60)).astype(np.uint8), rng.integers(0, 255, (40, 60)).astype(np.uint8)
    expected = np.bincount(labels[::2, 1::3].ravel(), values[::2, 1::3].ravel(), 5)
    got = label_sum(xp.asarray(labels)[::2, 1::3], xp.asarray(values)[::2, 1::3], 5)
    np.testing.assert_array_equal(to_host(got), expected)


def test_nothing(xp):
    none = xp.asarray(np.zeros((0, 3), int))
    assert to_host(label_sum(none, xp.asarray(np.zeros((0, 3))), 2)).tolist() == [0, 0]
    assert to_host(label_count(none, 2)).tolist() == [0, 0]
    assert np.isnan(to_host(label_max(none, xp.asarray(np.zeros((0, 3))), 2))).all()
    assert to_host(label_histogram(none, xp.asarray(np.zeros((0, 3))), 2, 3, 0, 1)).tolist() == [[0, 0, 0]] * 2
    assert label_sum(xp.asarray(np.full(3, -1)), xp.asarray(np.full(3, np.nan)), 0).shape == (0,)


def test_bad_arguments(xp):
    labels, values = xp.asarray(np.array([0, 1, 1])), xp.asarray(np.array([1.0, 2.0, np.nan]))
    for function in (label_sum, label_mean, label_min, label_max, lambda *a: label_histogram(*a, 4, 0, 1)):
        with pytest.raises(ValueError, match="element 2 .label 1. is nan"):
            function(labels, values, 2)
        with pytest.raises(ValueError, match="element 0 .label 0. is -inf"):
            function(labels, xp.asarray(np.array([-np.inf, 0, 0])), 2)
        with pytest.raises(ValueError, match="run from 0 to 1"):
            function(labels, values, 1)
    with pytest.raises(ValueError, match="run from -2"):
        label_count(xp.asarray(np.array([-2, 0])), 2)
    with pytest.raises(TypeError, match="pass integers"):
        label_count(xp.asarray(np.array([0.0])), 2)
    with pytest.raises(ValueError, match="one value an element"):
        label_sum(labels, values[:2], 2)
    with pytest.raises(ValueError, match="low < high"):
        label_histogram(labels, values, 2, 4, 1, 1)
