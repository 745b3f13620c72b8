"""Greys of thin objects against greys that were drawn: blur and shining edges taken off."""

import numpy as np
import pytest
from cukernels.filters import gaussian

from chipmap import object_grey, unmix


def _stack(thin, blur, shine, seed=0):
    """A dark and a bright thick layer with thin bright ones between dark: (labels, picture, true greys)."""
    labels = np.zeros((160, 120), int)
    labels[40:80] = 1
    labels[110:110 + thin] = 2
    labels[110 + thin:] = 3
    true = np.array([1000.0, 3000.0, 4000.0, 1500.0])
    sharp = true[labels]
    for k, rows in ((1, (40, 79)), (2, (110, 109 + thin))):
        y = np.arange(160)
        depth = np.minimum(abs(y - rows[0]), abs(y - rows[1]))
        sharp += shine * sharp * np.exp(-depth / 2)[:, None] * (labels == k)
    noise = np.random.default_rng(seed).normal(0, 20, labels.shape)
    return labels, gaussian(sharp.astype(np.float32), blur).astype(float) + noise, true


@pytest.mark.parametrize("blur,shine", [(1.0, 0.0), (1.0, 0.1), (1.7, 0.1)])
def test_a_layer_of_five_pixels_shows_its_own_grey(blur, shine):
    labels, image, true = _stack(5, blur, shine)
    plain, error = object_grey.object_greys(labels, image)
    seen = object_grey.own_greys(labels, image, plain, error, 0.0)
    own, doubt = seen.mean, seen.error
    assert abs(own[2] - true[2]) < 0.02 * true[2]
    assert abs(own[2] - true[2]) < 3 * doubt[2]
    assert abs(plain[2] - true[2]) > 1.5 * abs(own[2] - true[2])
    assert np.allclose(own[[0, 1, 3]], true[[0, 1, 3]], rtol=0.005)


def test_without_a_thick_object_the_picture_stays_as_it_is():
    labels = np.repeat(np.arange(8) % 2, 5)[:, None] * np.ones((1, 40), int)
    image = labels * 100.0 + 50
    depth = unmix.border_depth(labels)
    assert np.array_equal(unmix.sharp(labels, image, depth, np.array([50.0, 150.0]), np.ones(2), 0.0), image)
