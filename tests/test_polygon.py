"""Every point has one home: by hand, as a law on tilings made to be hard, and against shapely."""

import numpy as np
import pytest
import shapely
from cukernels.backend import to_host
from cukernels.orientation import side
from cukernels.polygon import index_polygons, polygon_of, rasterise


def flat(geometries):
    """Flat arrays of shapely polygons, holes and parts included."""
    xy, ring_start, ring_polygon = [], [0], []
    for p, geometry in enumerate(geometries):
        for part in shapely.get_parts(geometry):
            for ring in shapely.get_rings(part):
                xy.append(shapely.get_coordinates(ring))
                ring_start.append(ring_start[-1] + len(xy[-1]))
                ring_polygon.append(p)
    return np.concatenate(xy), np.array(ring_start), np.array(ring_polygon)


def index_of(xp, geometries, cells=None):
    return index_polygons(*(xp.asarray(a) for a in flat(geometries)), cells=cells)


def homes(xp, geometries, points, cells=None):
    x, y = np.ascontiguousarray(np.asarray(points, float).T)
    return to_host(polygon_of(index_of(xp, geometries, cells), xp.asarray(x), xp.asarray(y)))


def by_shapely(geometries, points):
    """The lowest polygon that covers each point."""
    points = shapely.points(points)
    home = np.full(len(points), -1)
    for p in reversed(range(len(geometries))):
        shapely.prepare(geometries[p])
        home[shapely.covers(geometries[p], points)] = p
    return home


def turned(points, angle, offset=(0.0, 0.0)):
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points) @ np.array([[c, s], [-s, c]]) + offset


def lattice_tiles(n, angle=0.0, jitter=0.0, offset=(0.0, 0.0)):
    """n x n quadrangles with shared corners, every second walked the other way and cut into triangles along a diagonal."""
    rng = np.random.default_rng(3)
    j, i = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0))
    corner = turned(np.stack([j, i], -1) + jitter * rng.uniform(-0.3, 0.3, (n + 1, n + 1, 2)), angle, offset)
    tiles = []
    for a in range(n):
        for b in range(n):
            ring = [corner[a, b], corner[a, b + 1], corner[a + 1, b + 1], corner[a + 1, b]]
            if (a + b) % 2:
                tiles += [shapely.Polygon([ring[0], ring[2], ring[1]]), shapely.Polygon([ring[0], ring[2], ring[3]])]
            else:
                tiles.append(shapely.Polygon(ring[::-1] if a % 2 else ring))
    return [tiles[k] for k in rng.permutation(len(tiles))]


def points_on_edges(geometries, count, rng):
    """Points computed in floating point on the edges, so a hair to one side or the other of most, and all corners."""
    xy, ring_start, _ = flat(geometries)
    k = np.setdiff1d(np.arange(len(xy) - 1), ring_start[1:-1] - 1)
    k = rng.choice(k, count)
    t = rng.choice([0.5, 0.25, 1 / 3, 0.1, rng.random()], count)[:, None]
    return np.concatenate([xy[k] + t * (xy[k + 1] - xy[k]), xy])


SQUARE = shapely.box(0, 0, 2, 2)
RING = shapely.box(0, 0, 4, 4).difference(shapely.box(1, 1, 3, 3))


def test_by_hand(xp):
    polygons = [shapely.box(2, 0, 4, 2), SQUARE]  # the left square has the higher number
    points = [(1, 1), (3, 1), (2, 1), (2, 0), (2, 2), (0, 1), (4, 2), (4.1, 1), (-1e-300, 1), (1, np.nextafter(2, 3))]
    np.testing.assert_array_equal(homes(xp, polygons, points), [1, 0, 0, 0, 0, 1, 0, -1, -1, -1])


def test_holes_parts_and_enclaves(xp):
    polygons = [shapely.box(1.5, 1.5, 2, 2), RING, shapely.MultiPolygon([shapely.box(1, 1, 3, 3), shapely.box(9, 9, 10, 10)])]
    points = [(0.5, 0.5), (1, 2), (1.2, 1.2), (1.7, 1.7), (2, 1.8), (9.5, 9.5), (6, 6), (3, 3)]
    np.testing.assert_array_equal(homes(xp, polygons, points), [1, 1, 2, 0, 0, 2, -1, 1])


def test_overlap_goes_to_the_lowest(xp):
    big, small = shapely.box(0, 0, 10, 10), shapely.box(4, 4, 5, 5)
    points = [(1, 1), (4.5, 4.5), (4, 4.2)]
    np.testing.assert_array_equal(homes(xp, [big, small], points), [0, 0, 0])
    np.testing.assert_array_equal(homes(xp, [small, big], points), [1, 0, 0])


def test_rings_open_or_closed_and_in_any_direction_are_the_same(xp):
    points = np.random.default_rng(0).uniform(-1, 5, (300, 2))
    expected = homes(xp, [RING], points)
    xy, start, owner = flat([RING])
    for rings in ([xy[:5][::-1], xy[5:]], [xy[:4], xy[5:9]], [xy[[1, 2, 3, 0]], xy[5:][::-1]]):
        starts = np.cumsum([0, *(len(r) for r in rings)])
        index = index_polygons(*(xp.asarray(a) for a in (np.concatenate(rings), starts, owner)))
        np.testing.assert_array_equal(to_host(polygon_of(index, *(xp.asarray(c.copy()) for c in points.T))), expected)


@pytest.mark.parametrize("cells", [1, 40, 3000])
@pytest.mark.parametrize("angle, jitter, offset", [(0.0, 0, (0, 0)), (np.pi / 4, 0, (0, 0)), (0.3, 1, (0, 0)), (1.1, 1, (1e6, -3e6))])
def test_every_point_of_a_tiling_has_one_home(xp, cells, angle, jitter, offset):
    """Points on shared edges and corners, on 45 degree edges and computed with rounding: exactly the rule, never -1 inside."""
    tiles = lattice_tiles(5, angle, jitter, offset)
    rng = np.random.default_rng(1)
    inside = turned(rng.uniform(0.5, 4.5, (200, 2)), angle, offset)
    edges = points_on_edges(tiles, 300, rng)
    points = np.concatenate([inside, edges])
    got = homes(xp, tiles, points, cells)
    np.testing.assert_array_equal(got, by_shapely(tiles, points))
    if not jitter:  # then this is surely the inside of the whole
        back = turned(points - np.array(offset), -angle)
        assert (got[((back > 0.01) & (back < 4.99)).all(axis=1)] >= 0).all()


def test_corner_on_a_straight_border(xp):
    """T-junctions, exact in the numbers: the long side has no corner where the two small tiles meet it."""
    tiles = [shapely.box(0, 0, 4, 1), shapely.box(0, 1, 2, 2), shapely.box(2, 1, 4, 2)]
    points = [(2, 1), (1, 1), (3, 1), (2, 1.5), (2, np.nextafter(1, 2)), (2, np.nextafter(1, 0))]
    np.testing.assert_array_equal(homes(xp, tiles, points), [0, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(homes(xp, tiles[::-1], points), [0, 1, 0, 0, 0, 2])


def test_many_polygons_at_one_corner(xp):
    angle = np.linspace(0, 2 * np.pi, 25)
    rim = np.stack([np.cos(angle), np.sin(angle)], -1)
    rim[-1] = rim[0]
    wedges = [shapely.Polygon([(0, 0), rim[k], rim[k + 1]]) for k in range(24)]
    points = np.concatenate([np.random.default_rng(0).normal(0, 1e-9, (300, 2)), [(0, 0)], rim, 0.5 * rim])
    np.testing.assert_array_equal(homes(xp, wedges, points), by_shapely(wedges, points))


@pytest.mark.parametrize("seed", range(4))
def test_random_polygons_against_shapely(xp, seed):
    """Stars with holes that overlap at random, and points on an integer lattice so that many lie on corners and edges."""
    rng = np.random.default_rng(seed)
    polygons = []
    while len(polygons) < 12:
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
        ring = np.rint(rng.uniform(4, 15, len(angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1) + rng.integers(-20, 20, 2))
        star = shapely.Polygon(ring).buffer(0)
        if star.area > 1:
            polygons.append(star.difference(shapely.box(*star.representative_point().buffer(0.5).bounds)))
    points = np.concatenate([rng.integers(-30, 30, (700, 2)).astype(float), points_on_edges(polygons, 200, rng)])
    np.testing.assert_array_equal(homes(xp, polygons, points, cells=int(rng.integers(1, 2000))), by_shapely(polygons, points))


def test_moving_everything_by_a_power_of_two_changes_nothing(xp):
    tiles = lattice_tiles(4, 0.7, 1)
    points = np.random.default_rng(2).uniform(-1, 5, (400, 2))
    expected = homes(xp, tiles, points)
    scaled = [shapely.transform(t, lambda xy: xy * 2.0**40) for t in tiles]
    np.testing.assert_array_equal(homes(xp, scaled, points * 2.0**40), expected)


def test_pixels_of_a_tiling_are_taken_once(xp):
    """The slip this rule is made against: half-open edges that lose a pixel where two neighbours round differently."""
    tiles = lattice_tiles(7, 0.0, 1.0)
    hull = shapely.union_all(tiles)
    origin, step, shape = (0.0, 7.0), (0.1, -0.1), (70, 70)
    label = to_host(rasterise(index_of(xp, tiles), origin, step, shape))
    i, j = np.indices(shape)
    centres = np.stack([origin[0] + (j + 0.5) * step[0], origin[1] + (i + 0.5) * step[1]], -1).reshape(-1, 2)
    np.testing.assert_array_equal(label.ravel(), by_shapely(tiles, centres))
    assert (label >= 0).sum() == shapely.covers(hull, shapely.points(centres)).sum()
    one_by_one = sum(to_host(rasterise(index_of(xp, [t]), origin, step, shape)) + 1 for t in tiles)
    assert one_by_one.max() == 1  # no centre lies on a border here, so no tile may take another's pixel


def test_pixel_centres_on_borders_are_taken_once(xp):
    tiles = lattice_tiles(6, np.pi / 4)  # every border runs through pixel centres
    half = np.sqrt(0.5)
    label = to_host(rasterise(index_of(xp, tiles), (-half / 2 * 9, -half / 2), (half, half), (13, 9)))
    i, j = np.indices(label.shape)
    centres = np.stack([-half / 2 * 9 + (j + 0.5) * half, -half / 2 + (i + 0.5) * half], -1).reshape(-1, 2)
    np.testing.assert_array_equal(label.ravel(), by_shapely(tiles, centres))


def test_side_is_exact():
    """Against integers without bounds: points within a few last places of a line, where the plain determinant errs."""
    rng = np.random.default_rng(0)
    wrong_without = 0
    for _ in range(1500):
        a, b = rng.uniform(0, 40, 2), rng.uniform(0, 40, 2)
        p = a + rng.uniform(-1, 2) * (b - a)
        p = [np.nextafter(p[0], rng.choice([-99, 99])), p[1]]
        whole = [int(v * 2.0**60) for v in (*a, *b, *p)]  # exact: no value here has bits below 2**-60
        assert [w / 2**60 for w in whole] == [*a, *b, *p]
        ax, ay, bx, by, px, py = whole
        truth = np.sign((ax - px) * (by - py) - (ay - py) * (bx - px))
        assert side(*a, *b, *p) == truth
        wrong_without += np.sign((a[0] - p[0]) * (b[1] - p[1]) - (a[1] - p[1]) * (b[0] - p[0])) != truth
    assert wrong_without > 0  # else the input does not bite


def test_sizes_of_nothing(xp):
    empty = index_polygons(xp.asarray(np.zeros((0, 2))), xp.asarray(np.array([0])), xp.asarray(np.zeros(0, int)))
    assert to_host(polygon_of(empty, xp.asarray(np.array([0.5])), xp.asarray(np.array([0.5])))).tolist() == [-1]
    one = index_of(xp, [SQUARE])
    assert polygon_of(one, xp.asarray(np.zeros(0)), xp.asarray(np.zeros(0))).shape == (0,)
    assert rasterise(one, (0, 0), (1, 1), (0, 3)).shape == (0, 3)
    # a polygon without area still covers its own border
    flat_one = index_polygons(*(xp.asarray(a) for a in (np.array([[0.0, 0], [1, 0], [0, 0]]), np.array([0, 3]), np.array([0]))))
    got = polygon_of(flat_one, xp.asarray(np.array([0.5, 0.5])), xp.asarray(np.array([0.0, 1e-9])))
    np.testing.assert_array_equal(to_host(got), [0, -1])


def test_bad_arguments(xp):
    index = index_of(xp, [SQUARE])
    with pytest.raises(ValueError, match="point 1 is .nan, 1.0."):
        polygon_of(index, xp.asarray(np.array([0.5, np.nan])), xp.asarray(np.ones(2)))
    with pytest.raises(ValueError, match="point 0 is .1.0, -inf."):
        polygon_of(index, xp.asarray(np.ones(1)), xp.asarray(np.array([-np.inf])))
    with pytest.raises(ValueError, match="vertex 2"):
        index_polygons(xp.asarray(np.array([[0.0, 0], [1, 0], [np.nan, 1]])), xp.asarray(np.array([0, 3])), xp.asarray(np.array([0])))
    with pytest.raises(ValueError, match="rise from 0 to 3"):
        index_polygons(xp.asarray(np.zeros((3, 2))), xp.asarray(np.array([0, 2])), xp.asarray(np.array([0])))
    with pytest.raises(ValueError, match="numbers outside 0 .. 0"):
        index_polygons(xp.asarray(np.zeros((3, 2))), xp.asarray(np.array([0, 3])), xp.asarray(np.array([1])), polygons=1)
    with pytest.raises(ValueError, match="describe no grid"):
        rasterise(index, (0, 0), (0, 1), (3, 3))
