"""Layers one above the other: borders by hand, smooth under noise, order kept, wrong orders refused."""

import itertools

import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap import InputError
from chipmap.strata import Strata, _surface, learn, stacked


def test_the_path_of_least_cost_against_all_paths():
    cost = np.random.default_rng(0).random((5, 4))
    paths = [p for p in itertools.product(range(5), repeat=4) if all(abs(a - b) <= 2 for a, b in itertools.pairwise(p))]
    price = lambda p: sum(cost[y, x] for x, y in enumerate(p)) + 0.3 * sum(abs(a - b) for a, b in itertools.pairwise(p))  # noqa: E731
    assert price(_surface(cost, 2, 0.3)) == pytest.approx(min(map(price, paths)))


def test_three_layers_under_noise(xp):
    rows, columns = np.mgrid[:90, :60]
    top, bottom = 30 + 0.1 * columns, 62 - 0.05 * columns
    truth = (rows >= top).astype(int) + (rows >= bottom)
    rng = np.random.default_rng(0)
    p = np.full((3, 90, 60), 0.2, np.float32)
    seen = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, 3, truth.shape), truth)
    np.put_along_axis(p, seen[None], 0.6, 0)
    assert (seen != truth).mean() > 0.15
    labels, weighed = stacked(xp.asarray(p), [0, 1, 2])
    assert (to_host(labels) == truth).mean() > 0.95
    np.testing.assert_allclose(to_host(weighed).sum(0), 1, rtol=1e-5)
    upside = stacked(xp.asarray(p[::-1].copy()), [2, 1, 0])[0]
    np.testing.assert_array_equal(to_host(upside), 2 - to_host(labels))


def test_a_layer_may_be_missing():
    p = np.full((3, 40, 30), 0.1, np.float32)
    p[0, :20], p[2, 20:] = 0.8, 0.8
    labels, _ = stacked(p, [0, 1, 2])
    assert not (labels == 1).any() and (labels[:20] == 0).all() and (labels[20:] == 2).all()


@pytest.mark.parametrize("order", [[0, 1], [0, 0, 1], [1, 2, 3]])
def test_wrong_orders_are_refused(order):
    with pytest.raises(InputError, match="each of the 3 classes once"):
        stacked(np.full((3, 8, 8), 1 / 3, np.float32), order)


def layered(top, bottom, seed, lines=()):
    """(picture scaled to its levels, probabilities by a border 30 rows too high): below a bright layer two of one grey, whose
    border shows by a little dark above it and a little light below; further such lines end half-way across."""
    rows, columns = np.mgrid[:240, :120]
    image = np.where(rows < top, 1.0, 0.0) + np.random.default_rng(seed).normal(0, 0.05, rows.shape)
    for at, share in [(bottom, 1.0), *lines]:
        image += 0.1 * np.sign(rows + 0.5 - at) * np.exp(-np.abs(rows - at) / 8) * (columns < share * 120)
    p = np.full((3, 240, 120), 0.15, np.float32)
    np.put_along_axis(p, ((rows >= top).astype(int) + (rows >= bottom - 30))[None], 0.7, 0)
    return image.astype(np.float32), p


def test_a_border_between_equals_is_found_by_how_it_looked_in_training(xp):
    image, p = layered(60, 140, 0)
    near = p.copy()
    near[1, 110:132], near[2, 110:132] = 0.7, 0.15      # in training strokes leave eight rows of doubt
    learnt = learn(xp.asarray(near), [0, 1, 2], xp.asarray(image))
    assert learnt.sign == [-1, 1] and abs(learnt.usual[1] - 0.2) < 0.1 and abs(learnt.thickness[0] - 80) < 4
    other, p = layered(70, 165, 1, lines=[(120, 0.5)])
    blind = to_host(stacked(xp.asarray(p), [0, 1, 2])[0])
    seeing = to_host(stacked(xp.asarray(p), [0, 1, 2], xp.asarray(other), learnt)[0])
    assert np.abs((blind < 2).sum(0) - 135).max() <= 2   # the probabilities are off by 30 rows
    assert np.abs((seeing < 2).sum(0) - 165).max() <= 3 and np.abs((seeing < 1).sum(0) - 70).max() <= 3
    wrong = Strata(learnt.order, [-1, -1], learnt.least, learnt.usual, learnt.thickness)
    assert np.abs(np.median((to_host(stacked(xp.asarray(p), [0, 1, 2], xp.asarray(other), wrong)[0]) < 2).sum(0)) - 165) > 3


def test_a_layer_keeps_about_the_thickness_it_is_used_to():
    image, p = np.zeros((200, 40), np.float32), np.full((3, 200, 40), 1 / 3, np.float32)
    p[0, :50], p[2, 150:] = 0.9, 0.9
    p /= p.sum(0)
    labels, _ = stacked(p, [0, 1, 2], image, Strata([0, 1, 2], [1, 1], [0.1, 0.1], [0.2, 0.2], [60.0]))
    thickness = (labels == 1).sum(0)
    assert np.abs(thickness - 60).max() <= 12
