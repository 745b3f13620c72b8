"""A layout laid over pictures of it at known places: shift, turn, scale and stretch come back, with honest uncertainties."""

import numpy as np
import pytest
import shapely
from scipy.ndimage import gaussian_filter

from chipmap import InputError
from chipmap.comparison.register import _Rings, _similarity, coverage, register

NM = (4e-9, 4e-9)


def tracks(seed, size=2400.0, count=60):
    """Rectangles at random, nm."""
    rng = np.random.default_rng(seed)
    at, long = rng.uniform(0, size, (count, 2)), rng.uniform(80, 500, count)
    wide, upright = rng.uniform(40, 90, count), rng.random(count) < 0.5
    return np.array([shapely.box(x, y, x + (w if u else l), y + (l if u else w)) for (x, y), l, w, u in zip(at, long, wide, upright)])


def photographed(seed, polygons, shape=(260, 320), size=NM, turn=0.0, scale=0.0, stretch=0.0, noise=0.3):
    """(sureness of the picture, place of its middle in the layout): blurred, noisy, and thresholded as a segmentation would."""
    rng = np.random.default_rng(seed)
    rings = _Rings(polygons, size)
    a = _similarity(turn, scale, size[0] / size[1]) @ np.diag([1 + stretch, 1 - stretch])
    middle = np.array(shape[::-1]) / 2
    low, high = rings.xy.min(0), rings.xy.max(0)
    place = low + 0.9 * middle + rng.random(2) * (high - low - 1.8 * middle)
    grey = gaussian_filter(coverage(rings, a, middle - a @ place, shape), 1.0) + noise * rng.standard_normal(shape)
    return (gaussian_filter(grey, 1.0) > 0.5).astype(np.float32), place @ np.linalg.inv(rings.nominal)


def test_known_places_turns_and_scales_with_their_uncertainty():
    """A tenth of a pixel is the bar; the errors divided by their stated uncertainty are about one."""
    score, error = [], []
    for seed in range(12):
        rng = np.random.default_rng(1000 + seed)
        turn, scale = rng.uniform(-1.8, 1.8), rng.uniform(-0.025, 0.025)
        polygons = tracks(seed)
        found, place = photographed(seed, polygons, turn=turn, scale=scale)
        got = register(found, polygons, NM)
        off = got.pixels(place[None])[0] - (160, 130)
        error.append([*off, got.scale - scale, got.turn_deg - turn])
        score.append(np.array(error[-1]) / [got.sd[n] for n in ("x_px", "y_px", "scale", "turn_deg")])
    error, score = np.array(error), np.sqrt((np.array(score) ** 2).mean(axis=0))
    print("rms", np.sqrt((error ** 2).mean(axis=0)), "in standard uncertainties", score)
    assert np.abs(error[:, :2]).max() < 0.1
    assert np.abs(error[:, 2]).max() < 1e-3 and np.abs(error[:, 3]).max() < 0.06
    assert (0.2 < score).all() and (score < 2).all()


def test_stretch_of_an_affine_fit_and_pixels_that_are_not_square():
    polygons, size = tracks(3), (4.4e-9, 4e-9)
    found, place = photographed(3, polygons, size=size, turn=0.5, stretch=0.006)
    got = register(found, polygons, size, fit="affine")
    assert got.stretch == pytest.approx(0.006, abs=5e-4) and got.shear == pytest.approx(0, abs=6e-4)
    assert got.turn_deg == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(got.pixels(place[None])[0], (160, 130), atol=0.1)
    np.testing.assert_allclose(got.places(got.pixels(place[None])), place[None], rtol=1e-9)


def test_defects_do_not_pull():
    polygons = tracks(5)
    found, place = photographed(5, polygons)
    found[100:150, 60:140] = 1
    found[20:60, 200:300] = 0
    got = register(found, polygons, NM, fit="shift")
    np.testing.assert_allclose(got.pixels(place[None])[0], (160, 130), atol=0.1)


def test_an_array_needs_a_place_and_a_grating_is_refused():
    array = np.array([shapely.box(x, y, x + 100, y + 60) for x in range(0, 3600, 300) for y in range(0, 3600, 200)])
    found, place = photographed(0, array)
    with pytest.raises(InputError, match="several places.*--near"):
        register(found, array, NM)
    near = place + (20, -20)
    got = register(found, array, NM, near=near, fit="shift")
    # all pieces of an array may be cut by their pixels alike: what a hard mask rounds does not average out
    np.testing.assert_allclose(got.pixels(place[None])[0], (160, 130), atol=0.2)
    grating = np.array([shapely.box(x, -9000, x + 37 + x % 31, 9000) for x in range(0, 3000, 130)])
    found, place = photographed(1, grating)
    with pytest.raises(InputError, match="several places|shift open"):
        register(found, grating, NM, near=place, fit="shift")


def test_what_does_not_match_is_refused():
    with pytest.raises(InputError, match="do not match|where the layout has edges|does not settle"):
        register(photographed(0, tracks(0))[0], tracks(99, count=300), NM)
    with pytest.raises(InputError, match="match"):
        register(np.zeros((200, 200), np.float32), tracks(0), NM)
    with pytest.raises(InputError, match="--near"):
        register(photographed(0, tracks(0))[0], tracks(0, size=2e6, count=50), NM)
