"""Scores worked out by hand, and against scikit-learn's and scikit-image's where these are defined alike."""

import numpy as np
import pytest
from skimage import measure

from chipmap.score import brier, calibration_error, electrical, iou, iou_by_class, mean_iou


def bars(*rows, width=30, height=60):
    mask = np.zeros((height, width), bool)
    for first, last in rows:
        mask[first:last] = True
    return mask


TRUTH = bars((5, 10), (20, 25), (40, 45))


def counts(found, **how):
    got = electrical(found, TRUTH, **how)
    return got.shorts, got.opens, got.false_positives, got.false_negatives


def test_electrical_differences_by_hand():
    assert counts(TRUTH) == (0, 0, 0, 0) and electrical(TRUTH, TRUTH).tracks == 3
    short = TRUTH.copy()
    short[10:20, 3:6] = True
    assert counts(short) == (1, 0, 0, 0)
    short[25:40, 3:6] = True
    assert counts(short) == (2, 0, 0, 0)
    broken = TRUTH.copy()
    broken[5:10, 14:16] = False
    broken[20:25, 14:16] = False
    assert counts(broken) == (0, 2, 0, 0)
    assert electrical(broken, TRUTH).rate == pytest.approx(2 / 3)
    assert counts(TRUTH | bars((50, 55))) == (0, 0, 1, 0)
    assert counts(bars((5, 10), (20, 25))) == (0, 0, 0, 1)
    assert counts(np.zeros_like(TRUTH)) == (0, 0, 0, 3)


def test_dust_and_the_frame_are_left_out():
    dusty = TRUTH.copy()
    dusty[50:55, 0:6] = True  # 30 pixels
    assert counts(dusty) == (0, 0, 0, 0) and counts(dusty, least=30) == (0, 0, 1, 0)
    assert counts(dusty, least=1, border=6) == (0, 0, 0, 0)
    assert electrical(TRUTH, TRUTH, border=12).tracks == 2  # the bar at rows 5-10 lies in the frame


def test_electrical_against_a_plain_count():
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter
    field = gaussian_filter(rng.normal(size=(150, 150)), 3)
    truth, found = field > 0.02, gaussian_filter(field + 0.01 * rng.normal(size=field.shape), 1) > 0.02
    got = electrical(found, truth, least=5)
    a, b = (measure.label(m, connectivity=1) for m in (found, truth))
    kept = [i for i in range(1, a.max() + 1) if (a == i).sum() >= 5]
    touches = [len(np.unique(b[(a == i) & (b > 0)])) for i in kept]
    touched = [len(set(np.unique(a[b == j])) & set(kept)) for j in range(1, b.max() + 1)]
    assert got.shorts == sum(max(t - 1, 0) for t in touches) and got.false_positives == touches.count(0)
    assert got.opens == sum(max(t - 1, 0) for t in touched) and got.false_negatives == touched.count(0)
    assert got.errors > 0


def test_overlap_by_hand():
    found, truth = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    np.testing.assert_allclose(iou_by_class(found, truth, 3), [1 / 2, 2 / 3, np.nan])
    assert mean_iou(found, truth, 3) == pytest.approx(7 / 12)
    assert iou(found == 1, truth == 1) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="outside"):
        iou_by_class(found, truth, 1)
    with pytest.raises(ValueError, match="shape"):
        iou(found == 1, np.ones((2, 2), bool))


def test_calibration_and_brier_by_hand():
    assert calibration_error([0.9, 0.9, 0.9, 0.9], [1, 1, 1, 0]) == pytest.approx(0.15)
    assert calibration_error([0.62, 0.68], [1, 0], bins=1) == pytest.approx(0.15)
    assert brier(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])) == 0
    assert brier(np.array([[0.7], [0.3]]), np.array([1])) == pytest.approx(0.7**2 + 0.7**2)
    with pytest.raises(ValueError):
        calibration_error([1.2], [1])
    with pytest.raises(ValueError):
        calibration_error([np.nan], [1])
