"""Objects: sizes worked out by hand, laws of the perimeter, and equality with SciPy and scikit-image."""

import numpy as np
import pytest
from cukernels.backend import to_host
from scipy import ndimage

from chipmap.objects import STEPS, crofton_weights, find_objects, ribbon

NM = (1e-9, 1e-9)


def lines():
    """Two lines 6 pixels wide, one cut by the frame, and a ring, on a background."""
    phases = np.zeros((60, 80), np.int32)
    phases[10:16, 5:45] = 1
    phases[40:60, 60:66] = 1
    phases[25:45, 10:30] = 1
    phases[31:39, 16:24] = 0
    return phases


def test_sizes_by_hand(xp):
    found = find_objects(xp.asarray(lines()), ["SiO2", "Cu"], (2e-9, 2e-9))
    t = found.table
    assert list(t["material"]) == ["SiO2", "Cu", "Cu", "SiO2", "Cu"]
    line, ring, hole, cut = 1, 2, 3, 4
    assert t["area_nm2"][line] == 6 * 40 * 4
    assert t["area_nm2"][hole] == 8 * 8 * 4
    assert [t[side][line] for side in ("left_nm", "top_nm", "right_nm", "bottom_nm")] == [10, 20, 90, 32]
    assert (t["x_nm"][ring], t["y_nm"][ring]) == (40, 70)
    assert (t["angle_deg"][line], t["angle_deg"][cut]) == (0, 90)
    assert list(t["touches_border"]) == [True, False, False, False, True]
    corner = 0.54 * 2   # what a sharp corner loses, as the contract says
    assert t["perimeter_nm"][line] == pytest.approx(2 * (6 + 40) * 2 - 4 * corner, abs=0.1)
    assert t["perimeter_nm"][cut] == pytest.approx((6 + 20 + 20) * 2 - 2 * corner, abs=0.1)
    for k, length in ((line, 80), (cut, 40)):
        assert t["width_nm"][k] == pytest.approx(12)
        assert t["length_nm"][k] == pytest.approx(length)
    # the ring is bent: 6 pixels wide, 56 long round its middle; eight sharp corners make it a little wider
    assert t["width_nm"][ring] == pytest.approx(12, rel=0.25)
    assert t["width_nm"][hole] == t["length_nm"][hole] == pytest.approx(16)
    np.testing.assert_array_equal(to_host(found.labels)[lines() == 1] > 0, True)


def test_every_pixel_has_one_object_and_areas_add_up(xp):
    rng = np.random.default_rng(1)
    phases = (ndimage.gaussian_filter(rng.standard_normal((50, 70)), 2) * 30).astype(np.int32).clip(-1, 1) + 1
    found = find_objects(xp.asarray(phases), list("abc"), NM)
    labels = to_host(found.labels)
    for value, name in enumerate("abc"):
        ours = set(np.unique(labels[phases == value]))
        assert all(found.table["material"][k] == name for k in ours)
        assert len(ours) == ndimage.label(phases == value)[1]
    assert found.table["area_nm2"].sum() == phases.size


def test_equal_to_scikit_image():
    from skimage.measure import regionprops
    rng = np.random.default_rng(2)
    phases = (ndimage.gaussian_filter(rng.standard_normal((200, 300)), 4) > 0).astype(np.int32)
    found = find_objects(phases, ["a", "b"], (3e-9, 3e-9))
    for region in regionprops(found.labels + 1):
        k = region.label - 1
        assert found.table["pixels"][k] == region.area
        top, left, bottom, right = (3 * b for b in region.bbox)
        assert [found.table[s][k] for s in ("top_nm", "left_nm", "bottom_nm", "right_nm")] == [top, left, bottom, right]
        row, column = region.centroid
        assert found.table["y_nm"][k] == pytest.approx(3 * (row + 0.5))
        assert found.table["x_nm"][k] == pytest.approx(3 * (column + 0.5))
        if region.axis_major_length > 1.05 * region.axis_minor_length:
            # scikit-image measures from the row axis; modulo half a turn
            theirs = np.degrees(region.orientation) + 90
            assert abs((found.table["angle_deg"][k] - theirs + 90) % 180 - 90) < 1e-6


def edge_length(angle_deg, aspect=1.0, size=401, shift=0.0):
    """Measured over true length of a straight edge through a picture, its ends left to the frame."""
    rows, columns = np.mgrid[:size, :size]
    y, x = (rows - size / 2 + shift) * aspect, columns - size / 2 + 0.31 * shift
    a = np.radians(angle_deg)
    inside = (x * np.sin(a) - y * np.cos(a) > 0).astype(np.int32)
    found = find_objects(inside, ["a", "b"], (aspect * 1e-9, 1e-9))
    half = size / 2
    true = 2 * min(half / abs(np.cos(a)) if abs(np.cos(a)) > 1e-9 else np.inf,
                   half * aspect / abs(np.sin(a)) if abs(np.sin(a)) > 1e-9 else np.inf)
    return found.table["perimeter_nm"][0] / true


def test_perimeter_is_exact_along_pixels_and_diagonals_and_unbiased_over_directions():
    for angle in (0, 45, 90, 135):
        assert edge_length(angle) == pytest.approx(1, abs=0.003)
    every = np.array([edge_length(a, shift=a % 1) for a in np.arange(0.5, 180, 3)])
    assert abs(every.mean() - 1) < 0.003
    assert every.min() > 1 - 0.035 and every.max() < 1 + 0.02


def test_perimeter_on_pixels_that_are_not_square():
    every = np.array([edge_length(a, aspect=1.3, shift=a % 1) for a in np.arange(0.5, 180, 3)])
    assert abs(every.mean() - 1) < 0.01
    assert edge_length(0, 1.3) == pytest.approx(1, abs=0.006)
    assert edge_length(90, 1.3) == pytest.approx(1, abs=0.006)


def test_perimeter_of_discs():
    for radius in (8, 15, 40):
        rows, columns = np.mgrid[:100, :100]
        disc = (np.hypot(rows - 50.3, columns - 49.6) < radius).astype(np.int32)
        found = find_objects(disc, ["a", "b"], NM)
        assert found.table["perimeter_nm"][1] == pytest.approx(2 * np.pi * radius, rel=0.02)


def test_weights_are_positive_for_square_pixels_and_sum_to_half_a_turn():
    weights = crofton_weights(1.0)
    assert min(weights) > 0
    assert sum(w * len(steps) for w, steps in zip(weights, STEPS)) == pytest.approx(np.pi / 2)


def test_width_of_rectangles_at_any_angle_and_aspect():
    rows, columns = np.mgrid[:200, :200] + 0.5
    for angle in (0, 17, 45, 76):
        for length in (30, 60, 150):
            a = np.radians(angle)
            x, y = columns - 100.3, rows - 99.8
            inside = (np.abs(x * np.cos(a) - y * np.sin(a)) < length / 2) & (np.abs(x * np.sin(a) + y * np.cos(a)) < 10)
            t = find_objects(inside.astype(np.int32), ["a", "b"], NM).table
            assert abs(t["width_nm"][1] - 20) < 2 * t["width_sd_nm"][1]
            if length > 30:
                assert abs((t["angle_deg"][1] - angle + 90) % 180 - 90) < 0.6


def test_width_of_a_bent_line():
    """Three quarters of a circle, 8 wide on a radius of 40: second moments alone would say 80."""
    rows, columns = np.mgrid[:120, :120] - 59.7
    radius = np.hypot(rows, columns)
    bent = (np.abs(radius - 40) < 4) & ~((rows > 0) & (columns > 0))
    t = find_objects(bent.astype(np.int32), ["a", "b"], NM).table
    assert t["width_nm"][1] == pytest.approx(8, rel=0.04)
    assert t["length_nm"][1] == pytest.approx(1.5 * np.pi * 40, rel=0.04)


def test_ribbon():
    width, length = ribbon(np.array([60.0, 36.0, np.pi * 9]), np.array([32.0, 24.0, 6 * np.pi]))
    np.testing.assert_allclose(width[:2], [6, 6])
    np.testing.assert_allclose(length[:2], [10, 6])
    assert width[2] == length[2] == pytest.approx(np.sqrt(np.pi) * 3)


@pytest.mark.parametrize("spread", [0.8, 1.5])
def test_width_error_is_the_spread_of_the_edge(spread):
    """Pictures whose confidence says that each edge is normal(0, spread px): the table must give it back.

    The integral across an edge is a sum over whole pixels; over all places of the edge inside its pixel it is unbiased.
    """
    from scipy.special import ndtr
    measured = []
    for shift in np.arange(0.05, 1, 0.1):
        columns = np.arange(80) + 0.5
        inside = ndtr((columns - 20 - shift) / spread) * ndtr((50 + shift - columns) / spread)
        confidence = np.tile(np.maximum(inside, 1 - inside), (60, 1))
        phases = np.tile((inside > 0.5).astype(np.int32), (60, 1))
        table = find_objects(phases, ["a", "b"], NM, confidence).table
        measured.append(table["width_sd_nm"][1] ** 2)
        assert table["area_sd_nm2"][1] == pytest.approx(table["width_sd_nm"][1] * 60)
    # four pixels each side are summed, whose doubt falls short of the whole tail at 1.5 px by a per cent
    assert np.mean(measured) == pytest.approx(2 * (1 / 12 + spread ** 2), rel=0.03)


def test_true_widths_lie_within_the_stated_error():
    """Lines of every true width and place, sampled at pixel centres: 95 % lie within two standard errors."""
    misses = []
    for start in np.arange(10, 11, 0.1) + 0.03:
        for width in np.arange(5, 8, 0.1) + 0.01:
            columns = np.arange(40) + 0.5
            phases = np.tile(((columns > start) & (columns < start + width)).astype(np.int32), (60, 1))
            table = find_objects(phases, ["a", "b"], NM).table
            misses.append(abs(table["width_nm"][1] - width) > 2 * table["width_sd_nm"][1])
    assert 0 < np.mean(misses) < 0.05


def test_bad_arguments():
    with pytest.raises(ValueError, match="2 names"):
        find_objects(np.full((4, 4), 2), ["a", "b"], NM)
    with pytest.raises(ValueError, match="differ in shape"):
        find_objects(np.zeros((4, 4), int), ["a"], NM, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="integer array"):
        find_objects(np.zeros((4, 4)), ["a"], NM)
