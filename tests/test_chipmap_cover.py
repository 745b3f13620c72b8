"""Covered shares of pixels: by hand, equal to shapely on random polygons with holes, and adding up."""

import numpy as np
import pytest
import shapely

from chipmap.comparison.cover import cover


def covered(polygon, shape):
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(polygon)))
    xy = [shapely.get_coordinates(ring) for ring in rings]
    return cover(np.concatenate(xy), np.concatenate([[0], np.cumsum([len(r) for r in xy])]), shape)


def test_by_hand():
    got = covered(shapely.box(1.25, 0.5, 3.5, 2), (3, 5))
    np.testing.assert_allclose(got, [[0, 0.375, 0.5, 0.25, 0], [0, 0.75, 1, 0.5, 0], [0, 0, 0, 0, 0]], atol=1e-7)
    np.testing.assert_allclose(covered(shapely.Polygon([(0, 0), (2, 0), (0, 2)]), (2, 2)), [[1, 0.5], [0.5, 0]], atol=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_shapely(seed):
    rng = np.random.default_rng(seed)
    shape = (9, 11)
    polygon = shapely.unary_union([shapely.convex_hull(shapely.MultiPoint(rng.uniform(-3, 14, (5, 2)))) for _ in range(3)])
    polygon = polygon.difference(shapely.Point(*rng.uniform(2, 8, 2)).buffer(1.3))
    got = covered(polygon, shape)
    want = [[shapely.intersection(polygon, shapely.box(j, i, j + 1, i + 1)).area for j in range(shape[1])] for i in range(shape[0])]
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_moving_a_polygon_moves_no_area():
    polygon = shapely.Polygon([(10, 7), (40, 11), (33, 30), (12, 24)], [[(20, 15), (24, 15), (24, 19), (20, 19)]])
    for dx in np.linspace(0, 1, 7):
        assert covered(shapely.transform(polygon, lambda at, dx=dx: at + dx), (50, 60)).sum() == pytest.approx(polygon.area, rel=1e-6)
