"""Pieces by hand, by laws (renaming, transposing, shifting), and against SciPy and scikit-image on random pictures."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse.csgraph
import skimage.measure
from cukernels.backend import to_host
from cukernels.components import graph_pieces, pieces

CROSS, SQUARE = scipy.ndimage.generate_binary_structure(2, 1), np.ones((3, 3))


def label(xp, image, **how):
    labels, count = pieces(xp.asarray(image), **how)
    assert labels.dtype == np.int32 and isinstance(count, int)
    return to_host(labels), count


def random_image(seed, shape, values, dtype=np.int32):
    """Blobs of a few pixels: noise near the percolation threshold makes long winding pieces."""
    return np.random.default_rng(seed).integers(0, values, shape).astype(dtype)


def test_by_hand(xp):
    image = np.array([[1, 1, 0, 2],
                      [0, 1, 2, 2],
                      [1, 0, 0, 1]])
    four, count = label(xp, image)
    np.testing.assert_array_equal(four, [[1, 1, 0, 2], [0, 1, 2, 2], [3, 0, 0, 4]])
    assert count == 4
    eight, count = label(xp, image, connectivity=8)
    np.testing.assert_array_equal(eight, [[1, 1, 0, 2], [0, 1, 2, 2], [1, 0, 0, 3]])
    assert count == 3
    every, count = label(xp, image, background=None)
    np.testing.assert_array_equal(every, [[1, 1, 2, 3], [4, 1, 3, 3], [5, 6, 6, 7]])
    assert count == 7


def test_by_hand_periodic(xp):
    mask = np.array([[1, 0, 0, 1],
                     [0, 0, 0, 0],
                     [0, 1, 0, 1]], bool)
    labels, count = label(xp, mask, periodic=True)
    np.testing.assert_array_equal(labels, [[1, 0, 0, 1], [0, 0, 0, 0], [0, 2, 0, 1]])
    assert count == 2
    labels, count = label(xp, mask, connectivity=8, periodic=True)
    np.testing.assert_array_equal(labels, [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]])
    assert count == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (70, 1), (33, 65), (100, 90)])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("density", [0.35, 0.6])
def test_masks_equal_scipy(xp, shape, connectivity, density):
    mask = np.random.default_rng(shape[0]).random(shape) < density
    labels, count = label(xp, mask, connectivity=connectivity)
    theirs, number = scipy.ndimage.label(mask, CROSS if connectivity == 4 else SQUARE)
    assert count == number
    np.testing.assert_array_equal(labels, theirs)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("background", [2, None])
def test_label_images_equal_scikit_image(xp, dtype, connectivity, background):
    image = random_image(4, (80, 97), 3, dtype)
    labels, count = label(xp, image, connectivity=connectivity, background=background)
    theirs, number = skimage.measure.label(image, background=-1 if background is None else background, return_num=True,
                                           connectivity=connectivity // 4)
    assert count == number
    np.testing.assert_array_equal(labels, theirs)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_periodic_pieces_do_not_see_where_the_picture_is_cut(xp, connectivity):
    image = random_image(5, (40, 50), 2)
    labels, count = label(xp, image, connectivity=connectivity, periodic=True)
    shifted, again = label(xp, np.roll(image, (13, 29), (0, 1)), connectivity=connectivity, periodic=True)
    assert again == count
    pairs = np.unique(np.stack([np.roll(labels, (13, 29), (0, 1)).ravel(), shifted.ravel()]), axis=1)
    assert pairs.shape[1] == count + 1  # a one-to-one map of the names, background to background


def test_a_spiral_is_one_piece(xp):
    """The longest way a union can have: one piece whose halves meet only in the middle."""
    size = 65
    mask, y, x, dy, dx = np.zeros((size, size), bool), 0, 0, 0, 1
    for steps in range(size - 1, 0, -2):
        for _ in range(2):
            for _ in range(steps):
                mask[y, x] = True
                y, x = y + dy, x + dx
            dy, dx = dx, -dy
    labels, count = label(xp, mask)
    assert count == 1
    np.testing.assert_array_equal(labels, mask)


def test_numbers_follow_raster_order(xp):
    labels, count = label(xp, random_image(6, (60, 60), 2), background=None)
    _, first = np.unique(labels, return_index=True)
    assert (np.diff(first) > 0).all() and len(first) == count


def test_a_tall_image_equals_scipy():
    mask = np.random.default_rng(7).random((700, 40)) < 0.6
    labels, count = pieces(mask)
    theirs, number = scipy.ndimage.label(mask)
    assert count == number
    np.testing.assert_array_equal(labels, theirs)


def test_graph_by_hand(xp):
    tail, head = np.array([1, 4, 4]), np.array([3, 0, 4])
    piece, count = graph_pieces(xp.asarray(tail), xp.asarray(head), 6)
    np.testing.assert_array_equal(to_host(piece), [0, 1, 2, 1, 0, 3])
    assert count == 4 and piece.dtype == np.int32


@pytest.mark.parametrize("edges", [0, 40, 150, 400])
def test_graphs_equal_scipy(xp, edges):
    tail, head = np.random.default_rng(edges).integers(0, 200, (2, edges))
    piece, count = graph_pieces(xp.asarray(tail), xp.asarray(head), 200)
    matrix = scipy.sparse.coo_array((np.ones(edges), (tail, head)), (200, 200))
    number, theirs = scipy.sparse.csgraph.connected_components(matrix, directed=False)
    assert count == number
    piece = to_host(piece)
    assert np.unique(np.stack([piece, theirs]), axis=1).shape[1] == number
    _, first = np.unique(piece, return_index=True)
    assert (np.diff(first) > 0).all()


def test_bad_arguments(xp):
    with pytest.raises(TypeError, match="float64"):
        pieces(xp.asarray(np.zeros((3, 3))))
    with pytest.raises(ValueError, match="shape"):
        pieces(xp.asarray(np.zeros(3, bool)))
    with pytest.raises(ValueError, match="use 4 or 8"):
        pieces(xp.asarray(np.zeros((3, 3), bool)), connectivity=6)
    with pytest.raises(ValueError, match="outside the nodes 0 .. 2"):
        graph_pieces(xp.asarray(np.array([0])), xp.asarray(np.array([3])), 3)
