"""Filters by hand, by laws (moments, polynomials, tiles), and against SciPy and scikit-image."""

import numpy as np
import pytest
import scipy.ndimage
from cukernels import filters
from cukernels.backend import to_host
from skimage import feature, restoration


def picture(shape=(50, 41), seed=0, dtype=np.float32):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def test_gaussian_of_a_spike_by_hand(xp):
    image = np.zeros((5, 5))
    image[2, 2] = 1
    got = to_host(filters.gaussian(xp.asarray(image), (0, 1), truncate=1))
    e = np.exp(-0.5)
    np.testing.assert_allclose(got[2], np.array([0, e, 1, e, 0]) / (1 + 2 * e), rtol=1e-15)  # one rounding a step
    assert not got[[0, 1, 3, 4]].any()


@pytest.mark.parametrize("sigma", [0.5, 1.3, 4.0])
@pytest.mark.parametrize("order", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (0, 2)])
def test_gaussian_equals_scipy(xp, sigma, order):
    image = picture(dtype=np.float64)
    theirs = scipy.ndimage.gaussian_filter(image, sigma, order, mode="reflect")
    got = to_host(filters.gaussian(xp.asarray(image), sigma, order))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, theirs, atol=1e-14)  # fp64 sums of numbers below 1, another order
    got = to_host(filters.gaussian(xp.asarray(image.astype(np.float32)), sigma, order))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, theirs, atol=2e-6 if sigma > 1 else 2e-5)  # fp32; a second derivative is of size 1/s^2


def test_kernel_wider_than_the_picture_equals_scipy(xp):
    image = picture((7, 30), dtype=np.float64)
    theirs = scipy.ndimage.gaussian_filter(image, (6, 2.5), mode="reflect")
    np.testing.assert_allclose(to_host(filters.gaussian(xp.asarray(image), (6, 2.5))), theirs, atol=1e-14)


def test_derivatives_of_a_paraboloid(xp):
    """Smoothing adds a constant to a quadratic, so derivatives are those of the polynomial, away from the borders."""
    y, x = np.mgrid[:40, :40] - 20.0
    image = 3 * x + 5 * y + 0.5 * x * x + 2 * x * y - 0.25 * y * y
    inner = np.s_[15:-15, 15:-15]
    f, fx, fy, fxx, fxy, fyy = to_host(filters.jet(xp.asarray(image), 2.0, truncate=6))[(slice(None), *inner)]
    y, x = y[inner], x[inner]
    np.testing.assert_allclose(fx, 3 + x + 2 * y, atol=1e-5)  # the kernel is sampled and cut at 6 sigma
    np.testing.assert_allclose(fy, 5 + 2 * x - 0.5 * y, atol=1e-5)
    np.testing.assert_allclose(fxx, 1, atol=1e-4)
    np.testing.assert_allclose(fxy, 2, atol=1e-4)
    np.testing.assert_allclose(fyy, -0.5, atol=1e-4)


def test_smoothing_keeps_the_sum(xp):
    image = picture(dtype=np.float64)
    assert to_host(filters.gaussian(xp.asarray(image), 3.0)).sum() == pytest.approx(image.sum(), rel=1e-13)


def test_hessian_and_structure_equal_scikit_image(xp):
    image = picture(dtype=np.float64)
    sigma = 1.5
    planes = dict(zip(filters.feature_names([sigma]), to_host(filters.features(xp.asarray(image), [sigma]))))
    d = {k: scipy.ndimage.gaussian_filter(image, sigma, o) for k, o in {"yy": (2, 0), "xy": (1, 1), "xx": (0, 2)}.items()}
    theirs = feature.hessian_matrix_eigvals([d["yy"], d["xy"], d["xx"]])
    np.testing.assert_allclose([planes["hessian0 s=1.5"], planes["hessian1 s=1.5"]], theirs, atol=2e-6)  # fp32
    np.testing.assert_allclose(planes["laplacian s=1.5"], scipy.ndimage.gaussian_laplace(image, sigma), atol=2e-6)
    np.testing.assert_allclose(planes["gradient s=1.5"], scipy.ndimage.gaussian_gradient_magnitude(image, sigma), atol=2e-6)
    gy, gx = (scipy.ndimage.gaussian_filter(image, sigma, o) for o in ((1, 0), (0, 1)))
    tensor = [scipy.ndimage.gaussian_filter(p, sigma / 2) for p in (gy * gy, gy * gx, gx * gx)]
    theirs = feature.structure_tensor_eigenvalues(np.array(tensor))
    np.testing.assert_allclose([planes["structure0 s=1.5"], planes["structure1 s=1.5"]], theirs, atol=2e-6)
    narrow = scipy.ndimage.gaussian_filter(image, 0.66 * sigma)
    np.testing.assert_allclose(planes["dog s=1.5"], planes["smooth s=1.5"] - narrow, atol=2e-6)


def test_features_are_the_same_bits_everywhere_and_in_tiles(xp):
    image, sigmas = picture((70, 60)), [0.7, 1.6]
    whole = filters.features(image, sigmas)
    np.testing.assert_array_equal(to_host(filters.features(xp.asarray(image), sigmas)), whole)
    edge = filters.halo(sigmas)
    tile = to_host(filters.features(xp.asarray(image[20 - edge:45 + edge, 25 - edge:40 + edge]), sigmas))
    np.testing.assert_array_equal(tile[:, edge:-edge, edge:-edge], whole[:, 20:45, 25:40])


def test_the_halo_is_not_wider_than_needed():
    image, sigmas = picture((90, 90)), [1.6]
    edge = filters.halo(sigmas) - 1
    tile = filters.features(image[30 - edge:60 + edge, 30 - edge:60 + edge], sigmas)
    assert (tile[:, edge:-edge, edge:-edge] != filters.features(image, sigmas)[:, 30:60, 30:60]).any()


def plain_non_local_means(image, noise, strength, patch, search):
    """The definition, pixel by pixel, fp64."""
    edge = patch + search
    p = np.pad(image.astype(float), edge, mode="symmetric")
    out = np.empty(image.shape)
    for y, x in np.ndindex(image.shape):
        here = p[y + search:y + search + 2 * patch + 1, x + search:x + search + 2 * patch + 1]
        mean = total = 0.0
        for dy in range(-search, search + 1):
            for dx in range(-search, search + 1):
                there = p[y + dy + search:y + dy + search + 2 * patch + 1, x + dx + search:x + dx + search + 2 * patch + 1]
                d = max(((here - there) ** 2).mean() / (2 * noise**2) - 1, 0)
                w = max(1 - d / strength, 0) ** 2
                mean, total = mean + w * p[y + dy + edge, x + dx + edge], total + w
        out[y, x] = mean / total
    return out


@pytest.mark.parametrize("patch, search", [(2, 3), (1, 2), (0, 1)])
def test_denoise_is_its_definition(xp, patch, search):
    image = picture((37, 20))
    got = to_host(filters.denoise(xp.asarray(image), 0.2, 3.0, patch, search))
    np.testing.assert_allclose(got, plain_non_local_means(image, 0.2, 3.0, patch, search), rtol=1e-5)  # fp32
    np.testing.assert_array_equal(got, filters.denoise(image, 0.2, 3.0, patch, search))


def test_denoise_in_tiles_is_the_same_bits(xp):
    image, edge = picture((80, 70)), 9
    whole = filters.denoise(image, 0.2)
    tile = to_host(filters.denoise(xp.asarray(image[30 - edge:50 + edge, 33 - edge:41 + edge]), 0.2))
    np.testing.assert_array_equal(tile[edge:-edge, edge:-edge], whole[30:50, 33:41])


def phantom(size=256):
    """Bars and discs of several greys, edges blurred by less than a pixel, and the same with shot and read noise."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:size, :size]
    image = np.where(x // 16 % 3 == 0, 0.6, 0.25)
    image[size // 2:] = 0.3
    for _ in range(12):
        cy, cx, r = rng.uniform(size / 2, size), rng.uniform(0, size), rng.uniform(4, 20)
        image[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice([0.45, 0.6, 0.8])
    image = scipy.ndimage.gaussian_filter(image, 0.8)
    return image, (rng.poisson(image * 100) / 100 + rng.normal(0, 0.02, image.shape)).astype(np.float32)


def psnr(image, truth):
    return -10 * np.log10(np.mean((image - truth) ** 2))


def test_denoise_beats_gaussian_total_variation_and_scikit_images_non_local_means():
    truth, noisy = phantom()
    noise = filters.noise_of(noisy)
    ours = psnr(filters.denoise(noisy), truth)
    gauss = max(psnr(filters.gaussian(noisy, s), truth) for s in (0.7, 1.0, 1.4, 2.0))
    tv = max(psnr(restoration.denoise_tv_chambolle(noisy, weight=w * noise), truth) for w in (0.5, 1, 1.5, 2, 3))
    nlm = max(psnr(restoration.denoise_nl_means(noisy, 5, 5, h=h * noise, sigma=noise), truth) for h in (0.6, 0.8, 1.0))
    assert ours > gauss + 3 and ours > tv + 1 and ours > nlm - 0.5, (ours, gauss, tv, nlm)


def test_noise_is_found_under_structure(xp):
    noise = np.random.default_rng(1).normal(0, 0.05, (200, 200))
    structure = np.where(np.arange(200) // 10 % 2, 0.8, 0.2)[None, :] + np.linspace(0, 1, 200)[:, None]
    assert filters.noise_of(xp.asarray(structure + noise)) == pytest.approx(0.05, rel=0.03)


def test_a_picture_without_noise_comes_back(xp):
    image = np.where(np.arange(40) < 20, 0.0, 1.0)[None, :].repeat(30, 0).astype(np.float32)
    np.testing.assert_array_equal(to_host(filters.denoise(xp.asarray(image))), image)
    np.testing.assert_array_equal(to_host(filters.denoise(xp.asarray(image), 0.01)), image)


def test_integers_are_taken_as_float32(xp):
    image = (picture() * 255).astype(np.uint8)
    got = to_host(filters.gaussian(xp.asarray(image), 1.0))
    np.testing.assert_array_equal(got, filters.gaussian(image.astype(np.float32), 1.0))


def test_nan_does_not_vanish(xp):
    image = picture()
    image[20, 20] = np.nan
    assert np.isnan(to_host(filters.gaussian(xp.asarray(image), 1.0))[20, 20])


def test_bad_arguments(xp):
    image = xp.asarray(picture())
    with pytest.raises(ValueError, match="order 3 is unknown"):
        filters.gaussian(image, 1.0, 3)
    with pytest.raises(ValueError, match="sigma -1.0 is negative"):
        filters.gaussian(image, -1.0)
    with pytest.raises(ValueError, match="not positive, as a derivative needs"):
        filters.gaussian(image, 0, 1)
    with pytest.raises(ValueError, match="'edges' is unknown"):
        filters.features(image, [1.0], ["edges"])
    with pytest.raises(ValueError, match=r"shape \(50,\)"):
        filters.gaussian(image[:, 0], 1.0)
    with pytest.raises(ValueError, match="none may be negative"):
        filters.denoise(image, -1.0)
