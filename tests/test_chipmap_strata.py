"""Layers one above the other: borders by hand, smooth under noise, order kept, wrong orders refused."""

import itertools

import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap import InputError
from chipmap.strata import _surface, stacked


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
