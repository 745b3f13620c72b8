import numpy as np
import pytest
import scipy.ndimage
from cukernels.backend import to_host
from cukernels.resample import enlarged, halved


def test_halved_by_hand(xp):
    image = np.array([[0, 4, 8], [2, 6, 10], [1, 1, 5]], np.uint8)
    np.testing.assert_array_equal(to_host(halved(xp.asarray(image))), [[3, 9], [1, 5]])


def test_enlarged_by_hand(xp):
    """Two pixels become four each: centres at 1.5 and 5.5, a straight line between, constant outside."""
    got = to_host(enlarged(xp.asarray(np.array([[[0.0, 8.0]]], np.float32)), 4, 0, 0, 1, 8))
    np.testing.assert_array_equal(got, [[[0, 0, 1, 3, 5, 7, 8, 8]]])


def test_enlarged_keeps_planes_that_are_linear(xp):
    y, x = np.mgrid[:9, :7].astype(np.float32)
    got = to_host(enlarged(xp.asarray((3 * y - 2 * x)[None]), 2, 2, 2, 14, 10))
    want = 3 * ((np.arange(2, 16) + 0.5) / 2 - 0.5)[:, None] - 2 * ((np.arange(2, 12) + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(got[0], want, atol=1e-5)


def test_enlarged_equals_scipy_and_a_part_equals_the_whole(xp):
    planes = np.random.default_rng(0).normal(size=(3, 8, 11)).astype(np.float32)
    whole = to_host(enlarged(xp.asarray(planes), 4, 0, 0, 32, 44))
    places = np.meshgrid((np.arange(32) + 0.5) / 4 - 0.5, (np.arange(44) + 0.5) / 4 - 0.5, indexing="ij")
    for plane, got in zip(planes, whole):
        np.testing.assert_allclose(got, scipy.ndimage.map_coordinates(plane, places, order=1, mode="nearest"), atol=1e-6)
    part = xp.empty((3, 13, 9), np.float32)
    enlarged(xp.asarray(planes), 4, 5, 30, 13, 9, out=part)
    np.testing.assert_array_equal(to_host(part), whole[:, 5:18, 30:39])
    np.testing.assert_array_equal(whole, enlarged(planes, 4, 0, 0, 32, 44))


def test_bad_arguments_are_named(xp):
    planes = xp.asarray(np.zeros((1, 4, 4), np.float32))
    with pytest.raises(ValueError, match="not inside 4 x 4"):
        enlarged(planes, 2, 0, 0, 9, 8)
    with pytest.raises(ValueError, match="pass \\(P, h, w\\)"):
        enlarged(planes[0], 2, 0, 0, 8, 8)
    with pytest.raises(TypeError, match="float32"):
        enlarged(xp.asarray(np.zeros((1, 4, 4))), 2, 0, 0, 8, 8)
    with pytest.raises(ValueError, match="pass \\(H, W\\)"):
        halved(planes)
