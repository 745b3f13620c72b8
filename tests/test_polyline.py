"""Lines cut at borders: by hand, with the length kept, and against shapely's intersections."""

import numpy as np
import pytest
import shapely
from cukernels.backend import to_host
from cukernels.polygon import polygon_of
from cukernels.polyline import piece_lengths, segment_lengths, split_polylines
from test_polygon import index_of, lattice_tiles


def pieces(xp, polygons, lines, cells=None):
    """[(polygon, length), ...] of each line."""
    index = index_of(xp, polygons, cells)
    xy = np.concatenate([np.asarray(line, float) for line in lines])
    start = np.concatenate([[0], np.cumsum([len(line) for line in lines])])
    x, y, start = xp.asarray(xy[:, 0].copy()), xp.asarray(xy[:, 1].copy()), xp.asarray(start)
    found = split_polylines(index, x, y, start)
    line, polygon, length = (to_host(a) for a in (found.line, found.polygon, piece_lengths(found, segment_lengths(x, y))))
    return [list(zip(polygon[line == k].tolist(), length[line == k].tolist())) for k in range(len(lines))]


def about(pairs):
    # a length is a difference of two rounded fractions, times a rounded length: good to a few last places
    return [(polygon, pytest.approx(length, rel=1e-14)) for polygon, length in pairs]


LEFT, RIGHT = shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2)


def test_by_hand(xp):
    lines = [
        [(-1, 1), (5, 1)],  # in, across, out
        [(1, 0.5), (3, 0.5), (3, 1.5), (1, 1.5)],  # there and back
        [(2, -1), (2, 3)],  # along the shared border: the lower number's
        [(4, 0), (4, 2)],  # along the outer border: covered
        [(0.5, 0.5), (1.5, 1.5)],  # all inside
        [(5, 5), (6, 6), (7, 5)],  # all outside
        [(1, 3), (3, 1)],  # through the corner point (2, 2) from outside
        [(1, 2), (1, 2)],  # no length
        [(3, 1)],  # one vertex
    ]
    got = pieces(xp, [LEFT, RIGHT], lines)
    assert got[0] == about([(-1, 1), (0, 2), (1, 2), (-1, 1)])
    assert got[1] == about([(0, 1), (1, 3), (0, 1)])
    assert got[2] == about([(-1, 1), (0, 2), (-1, 1)])
    assert got[3] == about([(1, 2)])
    assert got[4] == about([(0, np.sqrt(2))])
    assert got[5] == about([(-1, 2 * np.sqrt(2))])
    assert got[6] == about([(-1, np.sqrt(2)), (1, np.sqrt(2))])
    assert got[7] == got[8] == []
    assert pieces(xp, [RIGHT, LEFT], lines)[2] == about([(-1, 1), (0, 2), (-1, 1)])


def test_border_shared_with_a_lower_number(xp):
    low_right = pieces(xp, [RIGHT, LEFT], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
    assert low_right == [about([(1, 1), (0, 1), (1, 1)])]


def test_touching_a_corner_is_no_piece(xp):
    assert pieces(xp, [RIGHT, LEFT], [[(1, 1), (2, 2), (1, 3)]]) == [about([(1, np.sqrt(2)), (-1, np.sqrt(2))])]


def test_a_border_that_leaves_the_floating_point_lattice(xp):
    """Along a slanted border shared by two: no rounding of a middle may hand the stretch to the higher number."""
    a, b = np.array([0.1, 0.2]), np.array([3.7, 1.3])
    low, high = shapely.Polygon([a, b, (0, 9)]), shapely.Polygon([b, a, (3, -9)])
    for polygons in ([low, high], [high, low]):
        assert pieces(xp, polygons, [[a, b]], cells=500) == [about([(0, np.hypot(*(b - a)))])]


def random_walks(rng, count, low, high):
    walks = []
    for _ in range(count):
        steps = rng.normal(0, (high - low) / 8, (rng.integers(2, 9), 2))
        walks.append(np.cumsum(steps, axis=0) + rng.uniform(low, high, 2))
    return walks


@pytest.mark.parametrize("cells", [1, 200, 4000])
@pytest.mark.parametrize("jitter", [0, 1])
def test_length_is_kept_and_equals_shapely(xp, jitter, cells):
    tiles = lattice_tiles(5, 0.4, jitter)
    lines = random_walks(np.random.default_rng(5), 25, -2, 6)
    for line, found in zip(lines, pieces(xp, tiles, lines, cells)):
        whole = shapely.LineString(line)
        assert sum(length for _, length in found) == pytest.approx(whole.length, rel=1e-13)  # sums of at most some 50 pieces
        per_tile = np.zeros(len(tiles) + 1)
        for polygon, length in found:
            per_tile[polygon] += length
        expected = shapely.length(shapely.intersection(np.array(tiles), whole))
        np.testing.assert_allclose(per_tile[:-1], expected, atol=1e-12)  # both cut with rounding of the coordinates
        assert all(a[0] != b[0] for a, b in zip(found, found[1:]))


def test_lines_that_follow_borders(xp):
    """Walks from corner to corner along edges and diagonals: each part belongs to the lowest tile that covers it."""
    tiles = lattice_tiles(4)
    rng = np.random.default_rng(8)
    steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)])
    lines = [np.clip(np.cumsum(np.concatenate([[[2, 2]], steps[rng.integers(0, 6, 7)]]), axis=0), -1, 5).astype(float) for _ in range(20)]
    for line, found in zip(lines, pieces(xp, tiles, lines)):
        expected = []
        for a, b in zip(line, line[1:]):
            for part in np.linspace(0, 1, 3)[:-1]:  # diagonals of a doubled step may pass a corner half way
                p, q = a + part * (b - a), a + (part + 0.5) * (b - a)
                if (p != q).any():
                    stretch = shapely.LineString([p, q])
                    home = next((k for k, t in enumerate(tiles) if shapely.covers(t, stretch)), -1)
                    length = np.hypot(*(q - p))
                    if expected and expected[-1][0] == home:
                        expected[-1] = (home, expected[-1][1] + length)
                    else:
                        expected.append((home, length))
        assert [p for p, _ in found] == [p for p, _ in expected]
        np.testing.assert_allclose([l for _, l in found], [l for _, l in expected], rtol=1e-14)


def test_pieces_agree_with_points_and_join(xp):
    tiles = lattice_tiles(5, 0.2, 1)
    index = index_of(xp, tiles)
    walks = random_walks(np.random.default_rng(1), 10, -1, 5)
    xy, start = np.concatenate(walks), np.concatenate([[0], np.cumsum([len(w) for w in walks])])
    x, y = (xp.asarray(c.copy()) for c in xy.T)
    found = split_polylines(index, x, y, xp.asarray(start))
    line, polygon, first, begin, last, end = (to_host(getattr(found, name)) for name in ("line", "polygon", "first", "begin", "last", "end"))
    for t, s in ((0.7 * begin + 0.3 * np.where(first == last, end, 1), first), (0.3 * np.where(first == last, begin, 0) + 0.7 * end, last)):
        x_at, y_at = xy[s].T + (xy[s + 1] - xy[s]).T * t
        np.testing.assert_array_equal(to_host(polygon_of(index, xp.asarray(x_at), xp.asarray(y_at))), polygon)
    same = line[1:] == line[:-1]
    np.testing.assert_array_equal((last + end)[:-1][same], (first + begin)[1:][same])
    assert (polygon[1:] != polygon[:-1])[same].all()
    np.testing.assert_array_equal((first + begin)[np.r_[True, ~same]], start[:-1])
    np.testing.assert_array_equal((last + end)[np.r_[~same, True]], start[1:] - 1)


def test_same_pieces_on_every_side(xp):
    tiles = lattice_tiles(5, 0.4, 1)
    walks = random_walks(np.random.default_rng(3), 40, -2, 6)
    arrays = np.concatenate(walks)[:, 0].copy(), np.concatenate(walks)[:, 1].copy(), np.concatenate([[0], np.cumsum([len(w) for w in walks])])
    there, here = split_polylines(index_of(xp, tiles), *(xp.asarray(a) for a in arrays)), split_polylines(index_of(np, tiles), *arrays)
    for name in ("line", "polygon", "first", "begin", "last", "end"):
        np.testing.assert_array_equal(to_host(getattr(there, name)), getattr(here, name))


def test_bad_arguments(xp):
    index = index_of(xp, [LEFT])
    x = xp.asarray(np.array([0.0, np.inf]))
    with pytest.raises(ValueError, match="vertex 1 is .inf, inf."):
        split_polylines(index, x, x, xp.asarray(np.array([0, 2])))
    with pytest.raises(ValueError, match="rise from 0 to 2"):
        split_polylines(index, x, x, xp.asarray(np.array([0, 3])))
