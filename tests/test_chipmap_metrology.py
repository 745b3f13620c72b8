"""Edges with known roughness and layers with known thickness, drawn with blur and noise, must be given back."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from chipmap.measure.lines import measure_lines
from chipmap.measure.metrology import edge_blur, edge_places, roughness, thin_layer
from chipmap.objects import find_objects


def rough(rng, traces, count, sigma, correlation, hurst):
    """Gaussian traces with autocorrelation sigma^2 exp(-(x/xi)^2h), by circulant embedding; unit steps."""
    size = 4 * count
    lag = np.minimum(np.arange(size), size - np.arange(size))
    power = np.fft.fft(np.exp(-(lag / correlation) ** (2 * hurst))).real.clip(0)
    noise = rng.standard_normal((traces, size)) + 1j * rng.standard_normal((traces, size))
    return sigma * np.fft.fft(np.sqrt(power / size) * noise, axis=1).real[:, :count]


def drawn(left, right, width, fine=4):
    """Share of each pixel inside a line whose edges are given `fine` times a row: (rows, width)."""
    columns = np.arange(width)
    inside = lambda edge: np.clip(columns + 1 - edge[:, None], 0, 1)  # noqa: E731
    share = inside(left) - inside(right)
    return share.reshape(-1, fine, width).mean(axis=1)


def lines_picture(rng, lines, rows, sigma=1.2, correlation=18.0, hurst=0.5, blur=1.2, snr=2.0, width=20.0, pitch=48):
    """A picture of upright rough lines at this signal-to-noise ratio, with the true edges at row centres."""
    traces = rough(rng, 2 * lines, 4 * rows, sigma, 4 * correlation, hurst)
    centre = pitch * (np.arange(lines) + 0.5)[:, None]
    left, right = centre - width / 2 + traces[:lines], centre + width / 2 + traces[lines:]
    share = np.hstack([drawn(l - i * pitch, r - i * pitch, pitch) for i, (l, r) in enumerate(zip(left, right))])
    picture = 60 + 100 * gaussian_filter(share, blur, mode="nearest")
    return picture + 100 / snr * rng.standard_normal(picture.shape), left[:, 2::4], right[:, 2::4]


def test_edges_are_found_without_bias():
    rng = np.random.default_rng(0)
    picture, left, right = lines_picture(rng, 1, 4000, correlation=60.0, snr=20)
    found = edge_places(picture, np.full(4000, 14.0), np.full(4000, 34.0))
    for got, true in zip(found, (left[0], right[0])):
        error = got - true
        assert abs(error.mean()) < 0.02
        # white noise of a window of 12 pixels at SNR 20: sqrt(12)/20 px, and a little smoothing by the blur
        assert error.std() == pytest.approx(np.sqrt(12) / 20, rel=0.25)


def test_lwr_of_simulated_lines_at_snr_2():
    """The bar: sigma and correlation length of the width within 5 %; the raw figure is 70 % too large. 64 lines of 4096
    rows, because chance alone leaves 2 % of the correlation length there (and 3 % of it in half as many)."""
    sigma, correlation, blur = 1.2, 18.0, 1.2
    picture, _, _ = lines_picture(np.random.default_rng(5), 64, 4096, sigma, correlation, blur=blur)
    widths = []
    for i in range(64):
        left, right = edge_places(picture[:, 48 * i:48 * (i + 1)], np.full(4096, 14.0), np.full(4096, 34.0))
        widths.append(right - left)
    got = roughness(np.array(widths), 1.0, blur=blur)
    true = np.sqrt(2) * sigma
    print(f"LWR {got.sigma:.3f} +- {got.sigma_sd:.3f} (true {true:.3f}, raw {got.raw_sigma:.3f}), "
          f"xi {got.correlation:.2f} +- {got.correlation_sd:.2f} (true {correlation}), hurst {got.hurst:.2f}")
    assert got.sigma == pytest.approx(true, rel=0.05)
    assert got.correlation == pytest.approx(correlation, rel=0.05)
    assert got.raw_sigma > 1.5 * true


@pytest.mark.parametrize("hurst", [0.5, 0.8])
def test_roughness_of_traces_and_its_stated_error(hurst):
    """The errors divided by their stated uncertainty: a few of 24 beyond two, none far out."""
    scores = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        fine = rough(rng, 20, 2048, 1.5, 48.0, hurst)       # a pixel sees the mean over its height
        traces = fine.reshape(20, 512, 4).mean(axis=2) + rng.standard_normal((20, 512))
        got = roughness(traces, 1.0, hurst)
        scores.append(((got.sigma - 1.5) / got.sigma_sd, (got.correlation - 12) / got.correlation_sd, (got.noise - 1) / got.noise_sd))
    scores = np.array(scores)
    assert (np.abs(scores).max(axis=0) < 4.5).all()
    assert ((scores ** 2).mean(axis=0) < 2.2).all()


def test_a_straight_edge_has_no_roughness_above_the_noise():
    got = roughness(np.random.default_rng(0).standard_normal((4, 1024)), 1.0, 0.5)
    assert got.sigma < 3 * got.sigma_sd or got.sigma < 0.1


def test_blur_is_found():
    picture, left, _ = lines_picture(np.random.default_rng(3), 1, 3000, sigma=0.8, blur=1.7, snr=8)
    assert edge_blur(picture, np.full(3000, 14.0), 0.8) == pytest.approx(1.7, abs=0.08)


def liner(rng, thickness, step, blur, snr, rows, place):
    """Mean and rows of profiles: oxide 60, liner 160, copper 110, each pixel the mean over its width."""
    fine = np.arange(24 * 64) / 64 * step
    grey = np.where(fine < place - thickness / 2, 60.0, np.where(fine < place + thickness / 2, 160.0, 110.0))
    profile = gaussian_filter(grey, blur * 64 / step, mode="nearest").reshape(24, 64).mean(axis=1)
    return profile + 100 / snr * rng.standard_normal((rows, 24))


def test_liner_of_5_nm_at_4_nm_pixels_snr_5():
    """The bar: +- 0.5 nm; 400 rows of a liner, 1.6 um of it, at 40 places inside the pixel."""
    error, score = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = liner(rng, 5.0, 4.0, 6.0, 5.0, 400, 48 + 4 * rng.random())
        got = thin_layer(rows, 20 / np.sqrt(400), 4.0, 60, 160, 110, 6.0)
        error.append(got.thickness - 5)
        score.append(error[-1] / got.thickness_sd)
    print(f"liner: error {np.mean(error):+.3f} +- {np.std(error):.3f} nm, largest {np.abs(error).max():.3f} nm")
    assert np.abs(error).max() < 0.5
    assert np.mean(np.square(score)) == pytest.approx(1, abs=0.6)


@pytest.mark.parametrize("thickness", [2.0, 12.0, 30.0])
def test_layers_thin_and_thick(thickness):
    rows = liner(np.random.default_rng(1), thickness, 4.0, 6.0, 50.0, 400, 50.0)
    got = thin_layer(rows, 2 / 20, 4.0, 60, 160, 110, 6.0)
    assert got.thickness == pytest.approx(thickness, abs=4 * got.thickness_sd + 0.02)


def test_a_layer_as_grey_as_its_neighbour_is_refused():
    with pytest.raises(ValueError, match="cannot be seen"):
        thin_layer(np.zeros(20), 1.0, 1.0, 60, 60, 110, 1.0)


def test_lines_of_a_picture():
    """The whole way from labels: critical dimension, pitch, roughness and direction of each line."""
    picture, left, right = lines_picture(np.random.default_rng(8), 4, 1500, snr=10)
    phases = (gaussian_filter(picture, 1.5) > 110).astype(np.int32)
    size = (2e-9, 2e-9)
    objects = find_objects(phases, ["SiO2", "Cu"], size)
    for grey, found in ((picture, objects), (picture.T, find_objects(phases.T.copy(), ["SiO2", "Cu"], size))):
        table = measure_lines(grey, found, size)
        copper = table["material"] == "Cu"
        assert copper.sum() == 4
        assert set(table["direction"][copper]) == {"y" if grey is picture else "x"}
        for i in np.flatnonzero(copper):
            truth = (right - left).mean(axis=1) * 2
            nearest = truth[np.argmin(np.abs(truth - table["cd_nm"][i]))]
            assert table["cd_nm"][i] == pytest.approx(nearest, abs=0.12)
            assert table["pitch_nm"][i] == pytest.approx(96, abs=5 * table["pitch_sd_nm"][i])
            assert table["lwr_nm"][i] == pytest.approx(1.2 * np.sqrt(2) * 2, abs=4 * table["lwr_sd_nm"][i])


def test_lines_that_lean():
    """Rows cross a line leaning by 4 degrees at 1.0024 times its width, and neighbours at as much more than their pitch."""
    import shapely

    from chipmap.comparison.cover import cover
    lines = [shapely.affinity.rotate(shapely.box(x, -100, x + 24, 1100), 4.0, origin=(120, 500)) for x in (60, 130, 200)]
    xy = [shapely.get_coordinates(shapely.orient_polygons(line)) for line in lines]
    grey = 60 + 100 * gaussian_filter(cover(np.concatenate(xy), np.cumsum([0, *map(len, xy)]), (1000, 300)), 1.0)
    grey += 2 * np.random.default_rng(0).standard_normal(grey.shape)
    size = (1e-9, 1e-9)
    table = measure_lines(grey, find_objects((grey > 110).astype(np.int32), ["SiO2", "Cu"], size), size)
    copper = table["material"] == "Cu"
    assert copper.sum() == 3
    np.testing.assert_allclose(table["cd_nm"][copper], 24, atol=0.02)
    np.testing.assert_allclose(table["pitch_nm"][copper], 70, atol=0.03)


def test_pictures_without_lines_give_an_empty_table():
    phases = np.zeros((40, 40), np.int32)
    phases[10:30, 10:30] = 1
    table = measure_lines(phases * 100.0, find_objects(phases, ["a", "b"], (1e-9, 1e-9)), (1e-9, 1e-9))
    assert len(table["object"]) == 0


def test_refusals():
    with pytest.raises(ValueError, match="at least 32"):
        roughness(np.zeros((3, 10)), 1.0)
    with pytest.raises(ValueError, match="no room"):
        edge_places(np.zeros((5, 6)), np.full(5, 2.0), np.full(5, 5.0))
