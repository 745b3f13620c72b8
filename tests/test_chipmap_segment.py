import numpy as np
import pytest
from cukernels.backend import to_host
from scipy import ndimage

from benchmarks.segmentation import PEERS, best_shift_iou, load_metal, load_silicon, metal_scores
from chipmap import InputError
from chipmap.mixture import field_basis, fit_mixtures
from chipmap.segment import find_phases, segment


def stripes(levels, width=24, height=120):
    """Truth (H, W) and grey: vertical stripes of the levels, in order, twice."""
    truth = np.tile(np.repeat(np.arange(len(levels)), width), (height, 2))
    return truth, np.array(levels, float)[truth]


def seen(grey, blur=1.0, noise=4.0, seed=0):
    return ndimage.gaussian_filter(grey, blur) + np.random.default_rng(seed).normal(0, noise, grey.shape)


@pytest.mark.parametrize("levels", [(60, 140), (40, 90, 200), (30, 80, 130, 220)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_as_many_phases_as_there_are_each_in_its_place(levels, dtype):
    truth, grey = stripes(levels)
    image = seen(grey)
    image = np.rint(np.clip(image * (200 if dtype == np.uint16 else 1), 0, None)).astype(dtype)
    found = segment(image)
    assert len(found.level) == len(levels) and found.chosen
    assert max(found.evidence, key=found.evidence.get) == len(levels)
    assert (found.labels == truth).mean() > 0.98  # the rest are border pixels
    np.testing.assert_allclose(found.level, np.array(levels) * (200 if dtype == np.uint16 else 1), rtol=0.03)
    np.testing.assert_allclose(found.posterior.sum(0), 1, rtol=1e-5)
    assert found.labels.dtype == np.int32 and found.posterior.dtype == np.float32


@pytest.mark.parametrize("noise", [4, 15, 30])
def test_noise_is_smoothed_as_much_as_it_asks_for(noise):
    truth, grey = stripes((60, 140))
    labels = find_phases(seen(grey, noise=noise), 2)
    assert (labels == truth).mean() > {4: 0.99, 15: 0.98, 30: 0.95}[noise]
    threshold = (seen(grey, noise=noise) > 100).astype(int)
    assert (labels != truth).mean() <= (threshold != truth).mean()


def test_a_drifting_background_is_allowed_for():
    truth, grey = stripes((60, 100, 60, 100))
    truth = truth % 2
    y, x = np.mgrid[-1:1:grey.shape[0] * 1j, -1:1:grey.shape[1] * 1j]
    found = segment(seen(grey + 30 * x - 20 * y * y))
    assert len(found.level) == 2 and (found.labels == truth).mean() > 0.98
    assert 55 < np.ptp(found.drift) < 85
    assert any("drifts" in note for note in found.notes)


def test_a_bright_rim_is_no_phase():
    """Secondary electrons: an edge shines, 4 px wide and far brighter than either side."""
    truth = np.zeros((200, 200), int)
    truth[40:160, 50:150] = 1
    inside = ndimage.distance_transform_edt(truth)
    grey = np.where(truth, np.where(inside <= 4, 190, 130), 60.0)
    found = segment(seen(grey))
    assert len(found.level) == 2
    assert (found.labels == truth).mean() > 0.985


def test_a_level_an_edge_passes_through_is_not_there():
    """Islands of the brightest level in the darkest: their edges cross the middle level, which lies elsewhere."""
    truth, grey = np.zeros((200, 200), int), np.full((200, 200), 40.0)
    truth[:, 120:] = 1
    truth[30:90, 30:90], truth[120:170, 20:70] = 2, 2
    grey = np.array([40.0, 120.0, 200.0])[truth]
    found = segment(seen(grey, blur=1.3, noise=2), 3)
    ring = ndimage.binary_dilation(truth == 2, iterations=6) & (np.arange(200) < 110)
    assert (found.labels[ring] == 1).mean() < 0.01
    assert (found.labels == truth).mean() > 0.985


def test_bright_vias_join_their_track_when_two_phases_are_asked_for():
    truth = np.zeros((200, 200), int)
    for row in (30, 80, 130):
        truth[row:row + 14, 20:180] = 1
    grey = np.where(truth, 90.0, 45.0)
    y, x = np.mgrid[:200, :200]
    for cy in (37, 87, 137):
        for cx in range(30, 180, 24):
            grey[(y - cy) ** 2 + (x - cx) ** 2 < 25] = 250
    image = seen(grey, blur=1.5, noise=2)
    two = segment(image, 2)
    assert (two.labels == truth).mean() > 0.97 and not two.chosen
    assert ((segment(image).labels > 0) == truth).mean() > 0.97


@pytest.mark.parametrize("number", [0, 1])
def test_delayered_metal(number):
    """The bar: one setting for both, mean IoU 0.90, every track found, no short."""
    image, tracks = load_metal(number)
    for phases in (None, 2):
        scores = metal_scores(find_phases(image, phases) > 0, tracks)
        assert scores["iou"] >= 0.90
        assert (scores["shorts"], scores["opens"], scores["missed"], scores["invented"]) == (0, 0, 0, 0)


def test_etched_silicon_is_not_below_the_peers():
    image, design = load_silicon()
    found = find_phases(image)
    assert found.max() == 1
    ours = best_shift_iou(found > 0, design)
    for peer in ("Otsu", "Li", "multi-Otsu, three classes"):  # Chan-Vese takes long: `python -m benchmarks chip-accuracy`
        assert ours >= best_shift_iou(PEERS[peer](image), design)


def test_scale_and_offset_of_grey_do_not_matter():
    _, grey = stripes((60, 140, 200))
    image = seen(grey).astype(np.float32)
    first = find_phases(image)
    assert (find_phases(image * 3 + 500) == first).mean() > 0.999  # float32 rounds differently


@pytest.mark.parametrize("noise, blur", [(4, 1), (15, 2), (30, 1), (30, 2)])
def test_confidence_is_as_sure_as_it_is_right(noise, blur):
    """Expected calibration error over 20 bins; blobs, so that borders run in every direction."""
    rng = np.random.default_rng(5)
    truth = (ndimage.gaussian_filter(rng.normal(size=(400, 400)), 8) > 0).astype(int)
    found = segment(seen(60 + 80.0 * truth, blur, noise), 2)
    confidence, right = found.confidence.ravel(), (found.labels == truth).ravel()
    bins = np.minimum((confidence * 20).astype(int), 19)
    error = np.abs(np.bincount(bins, confidence - right)).sum() / right.size
    assert error < 0.02
    border = ndimage.binary_dilation(truth) & ndimage.binary_dilation(1 - truth)
    assert found.confidence[border].mean() < 0.95 < found.confidence[~border].mean()


def test_device_and_host_agree(xp):
    truth, grey = stripes((40, 90, 200), width=12, height=40)
    image = seen(grey).astype(np.float32)
    got = segment(xp.asarray(image), 3)
    labels = to_host(got.labels)
    assert (labels == segment(image, 3).labels).mean() > 0.995  # sums of float32 in another order
    assert (labels == truth).mean() > 0.95
    np.testing.assert_allclose(to_host(got.posterior).sum(0), 1, rtol=1e-5)


def test_one_phase_is_one_phase():
    found = segment(np.random.default_rng(0).normal(100, 3, (80, 80)))
    assert len(found.level) == 1 and not found.labels.any()


def test_a_drawn_picture_without_noise():
    truth, grey = stripes((10, 250))
    np.testing.assert_array_equal(find_phases(grey.astype(np.uint8)), truth)


@pytest.mark.parametrize("image, phases, says", [
    (np.zeros((20, 20)), None, "same value"), (np.full((20, 20), np.nan), None, "not numbers"),
    (np.zeros((20, 20, 3)), None, "rows x columns"), (np.eye(3), None, "at least 4 x 4"),
    (np.eye(20), 0, "1 to 8"), (np.eye(20), 9, "1 to 8"),
])
def test_bad_pictures_are_refused(image, phases, says):
    with pytest.raises(InputError, match=says):
        find_phases(image, phases)


def test_mixture_finds_levels_weights_and_drift_by_hand():
    rng = np.random.default_rng(3)
    truth = rng.random(20_000) < 0.3
    y, x = rng.integers(0, 100, (2, 20_000))
    basis = field_basis(y, x, (100, 100))
    grey = np.where(truth, 150.0, 60.0) + rng.normal(0, 5, 20_000) + 8 * basis[0]
    one, two, three = fit_mixtures(grey, basis, 0.1, (1, 2, 3), 1.0)
    assert two.evidence > max(one.evidence, three.evidence)
    np.testing.assert_allclose(two.mean, [60, 150], atol=0.5)
    np.testing.assert_allclose(two.sigma, [5, 5], atol=0.2)
    np.testing.assert_allclose(two.weight, [0.7, 0.3], atol=0.02)
    np.testing.assert_allclose(two.field, [8, 0, 0, 0, 0], atol=0.3)
