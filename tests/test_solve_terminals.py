import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap.solve import capacitance, conductance, effective_conductivity, network, resistance

EPSILON_0 = 8.8541878128e-12


def bend(n):
    """An L of width n with two arms of 3 squares, between a terminal above and one on the right."""
    k, terminals = np.zeros((4 * n + 1, 4 * n + 1)), np.zeros((4 * n + 1, 4 * n + 1), int)
    k[1:, :n] = k[-n:, :-1] = 1.0
    terminals[0, :n], terminals[-n:, -1] = 1, 2
    return k, terminals


def coax(n):
    """A square conductor of n / 2 pixels in a square of n."""
    terminals = np.ones((n + 2, n + 2), int)
    terminals[1:-1, 1:-1] = 0
    terminals[1 + n // 4:-1 - n // 4, 1 + n // 4:-1 - n // 4] = 2
    return np.ones(terminals.shape), terminals


def picture(seed, shape=(9, 11)):
    """Random pixels with voids, and four terminals, the first in two parts."""
    rng = np.random.default_rng(seed)
    k, terminals = rng.choice([0, 1.0, 5.0, 100.0], shape, p=[0.4, 0.3, 0.2, 0.1]), np.zeros(shape, int)
    for n, (i, j) in enumerate(((1, 1), (6, 2), (3, 8), (7, 9))):
        terminals[i:i + rng.integers(1, 3), j:j + rng.integers(1, 3)] = n + 1
    terminals[8, 5] = 1
    return k, terminals


def finer(a, m):
    return np.repeat(np.repeat(a, m, 0), m, 1)


def least(a):
    return np.linalg.eigvalsh(a)[0]


# resistance

def test_three_terminals_by_hand(xp):
    # a T of single bars, 2 pixels long at k = 4, that meet in the pixel of the middle, itself a fourth terminal
    k, terminals = np.zeros((6, 7)), np.zeros((6, 7), int)
    k[2, 1:6], k[3:5, 3] = 4.0, 4.0
    terminals[2, [0, 3, 6]], terminals[5, 3] = [1, 4, 2], 3
    got = resistance(xp.asarray(k), xp.asarray(terminals), dx=1.0, dy=0.5)
    along, down = 2 / (4 * 0.5), 2 * 0.5 / 4
    want = [[0, 2 * along, along + down, along], [2 * along, 0, along + down, along],
            [along + down, along + down, 0, down], [along, along, down, 0]]
    np.testing.assert_allclose(got.value, want, rtol=1e-9)
    np.testing.assert_allclose(got.upper, want, rtol=1e-9)
    potential = to_host(got.network.potential)
    assert potential.shape == (4, 7, 8)
    np.testing.assert_allclose(potential[0, 2, :7], [1, 1, 0.5, 0, 0, 0, 0], atol=1e-9)


def test_right_angle_bend_lies_inside_at_every_resolution(xp):
    exact, gaps = 6.558728799, []
    for n in (1, 2, 4, 8) if xp is not np else (1, 2, 4, 8, 32, 128):
        got = resistance(*(xp.asarray(a) for a in bend(n)))
        assert got.lower[0, 1] < exact < got.upper[0, 1]
        gaps.append(got.upper[0, 1] / got.lower[0, 1] - 1)
    assert gaps[-1] < (3e-3 if xp is np else 4e-3)                                # 512 pixels: four arms' widths
    order = np.log2(gaps[0] / gaps[-1]) / np.log2(n)
    assert order == pytest.approx(4 / 3, abs=0.12)                               # the corner's, 2 (pi / (3 pi / 2))


def test_parts_of_one_terminal_are_joined_outside():
    k, terminals = np.ones((1, 9)), np.array([[1, 0, 0, 2, 0, 0, 0, 0, 1]])
    got = resistance(k, terminals)
    assert got.value[0, 1] == pytest.approx(1 / (1 / 2 + 1 / 4), rel=1e-9)
    assert got.upper[0, 1] == pytest.approx(got.value[0, 1], rel=1e-9)


def test_what_nothing_joins_is_infinite_and_corners_are_doubtful():
    k, terminals = np.ones((1, 9)), np.array([[1, 0, 2, 0, 0, 0, 3, 0, 4]])
    k[0, 4] = 0
    got = resistance(k, terminals)
    np.testing.assert_array_equal(np.isinf(got.value), np.isinf(got.upper))
    np.testing.assert_array_equal(np.isinf(got.value), [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    assert got.value[2, 3] == pytest.approx(1)
    corner = resistance(np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]]), np.array([[1, 0, 0, 0], [0, 0, 0, 2]]))
    assert 0 < corner.lower[0, 1] < corner.upper[0, 1] == np.inf


def test_kirchhoff_and_the_value_do_not_mind_the_unit():
    k, terminals = picture(3)
    net, other = network(k, terminals), network(k * 6e7, terminals)
    np.testing.assert_allclose(other.upper, 6e7 * net.upper, rtol=1e-10, atol=1e-3)
    np.testing.assert_allclose(other.lower, 6e7 * net.lower, rtol=1e-7, atol=1e-3)
    for matrix in (net.upper, net.lower):
        assert np.abs(matrix.sum(axis=1)).max() < 1e-9 and np.abs(matrix - matrix.T).max() < 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_bounds_of_one_geometry_nest_as_pixels_are_halved(seed):
    """Spaces of potentials and of fluxes only grow: upper falls, lower rises, and they never cross."""
    k, terminals = picture(seed)
    nets = [network(finer(k, m), finer(terminals, m), 1.0, 0.8) for m in (1, 2, 4)]
    for coarse, fine in zip(nets, nets[1:]):
        size = np.abs(coarse.upper).max()
        for smaller, larger in ((coarse.lower, fine.lower), (fine.lower, fine.upper), (fine.upper, coarse.upper)):
            assert least(larger - smaller) > -1e-9 * size
    for matrix in (lambda k: effective_conductivity(k, 1.0, 0.8), lambda k: conductance(k, 0, 1.0, 0.8)):
        coarse, fine = matrix(k), matrix(finer(k, 2))
        for smaller, larger in ((coarse.lower, fine.lower), (fine.lower, fine.upper), (fine.upper, coarse.upper)):
            assert least(np.atleast_2d(larger) - np.atleast_2d(smaller)) > -1e-7


def test_more_loads_than_are_solved_at_once():
    k = np.ones((3, 41))
    terminals = np.zeros((3, 41), int)
    terminals[:, ::4] = np.arange(1, 12)
    got = resistance(k, terminals)
    where = np.arange(11)
    np.testing.assert_allclose(got.value, np.abs(where[:, None] - where), rtol=1e-9)
    np.testing.assert_allclose(got.upper, np.abs(where[:, None] - where), rtol=1e-8)


# bounds with voids, from side to side and periodic

@pytest.mark.parametrize("k, most", [(0.0, 1e-2), (0.01, 5e-3)])
def test_array_of_voids(xp, k, most):
    n = 32 if xp is not np else 128
    x = (np.arange(n) + 0.5) / n - 0.5
    hole = x[:, None]**2 + x**2 < 0.3 / np.pi
    got = effective_conductivity(xp.asarray(np.where(hole, k, 1.0)))
    assert got.lower[0, 0] < got.upper[0, 0] < got.lower[0, 0] * (1 + most * 128 / n)
    known = {0.0: 1 / 1.86018831, 0.01: 0.544686305}[k]                           # Keller: the inverse of infinite discs
    assert got.upper[0, 0] == pytest.approx(known, rel=1.28 / n)


def test_insulating_stripes_leave_one_direction(xp):
    # 45 degrees, half of it void: k / 2 along the stripes and nothing across
    k = np.where(np.add.outer(np.arange(16), np.arange(16)) % 16 < 8, 4.0, 0.0)
    got = effective_conductivity(xp.asarray(k))
    assert least(got.upper - got.lower) > -1e-9 and np.linalg.matrix_rank(got.lower, 1e-9) == 1
    np.testing.assert_allclose(got.lower / got.lower[0, 0], [[1, -1], [-1, 1]], atol=1e-9)
    assert 0.9 < got.lower[0, 0] < 1.0 + 1e-9                                     # k_par cos sin, less the staircase
    straight = np.zeros((6, 5))
    straight[2:4] = 3.0
    np.testing.assert_allclose(effective_conductivity(xp.asarray(straight)).lower, [[1, 0], [0, 0]], atol=1e-12)
    cross = np.zeros((6, 6))
    cross[1:3, 1:3] = 1.0
    np.testing.assert_array_equal(effective_conductivity(xp.asarray(cross)).lower, np.zeros((2, 2)))


def test_bounds_of_a_real_porous_picture():
    import pathlib

    from chipmap.read import read_picture
    grey = read_picture(pathlib.Path(__file__).parent.parent / "chipmap" / "data" / "nanoporous_gold_zeiss.tif").image[:256, :256]
    got = conductance(np.where(grey > grey.mean(), 4.4e7, 0.0), axis=1)
    assert 0 < got.lower < got.upper < 1.2 * got.lower


# capacitance

def test_plates_are_exact(xp):
    conductors = np.zeros((7, 5), int)
    conductors[0], conductors[-1] = 1, 2
    k = np.full((7, 5), 2.0)
    k[3:] = 6.0
    got = capacitance(xp.asarray(EPSILON_0 * k), xp.asarray(conductors), dx=3e-9, dy=2e-9)
    want = EPSILON_0 * 15e-9 / (2e-9 * (2 / 2 + 3 / 6))
    np.testing.assert_allclose(got.value, want * np.array([[1, -1], [-1, 1]]), rtol=1e-9)
    np.testing.assert_allclose(got.lower, got.value, rtol=1e-8)
    np.testing.assert_allclose(got.upper, got.value, rtol=1e-8)
    assert got.truncation is None


def test_square_coax_lies_inside_and_converges():
    exact, gaps = 10.234092569, []
    for n in (16, 64, 256):
        got = capacitance(*coax(n))
        assert got.lower[1, 1] < exact < got.upper[1, 1] and got.lower[0, 1] < -exact < got.upper[0, 1]
        gaps.append(got.upper[1, 1] / got.lower[1, 1] - 1)
    np.testing.assert_allclose(np.log(np.array(gaps[:-1]) / gaps[1:]) / np.log(4), 4 / 3, atol=0.05)
    assert gaps[-1] < 5e-3 / (1024 / 256)


def test_maxwell_matrix_of_random_conductors_has_its_laws(xp):
    k, conductors = picture(5)
    k = k + 0.5
    got = capacitance(xp.asarray(k), xp.asarray(conductors), 1.0, 0.7)
    off = ~np.eye(4, dtype=bool)
    for matrix in (got.value, got.lower, got.upper):
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    assert np.abs(got.value.sum(axis=1)).max() < 1e-12 and (got.value[off] <= 0).all() and (got.upper[off] <= 0).all()
    assert (got.lower <= got.value + 1e-12).all() and (got.value <= got.upper + 1e-12).all()


def test_a_floating_conductor_splits_a_capacitor(xp):
    conductors = np.zeros((9, 4), int)
    conductors[0], conductors[4], conductors[-1] = 1, 2, 3
    got = capacitance(xp.asarray(np.ones((9, 4))), xp.asarray(conductors), floating=[2])
    np.testing.assert_allclose(got.value, 4 / 6 * np.array([[1, -1], [-1, 1]]), rtol=1e-9)   # 3 + 3 pixels in series
    np.testing.assert_allclose(got.lower, got.value, rtol=1e-8)


def test_two_wires_in_the_open():
    """pi / acosh(d / 2a), d / a = 4: discs of pixels, so to the staircase's percent."""
    a = 12
    y, x = np.mgrid[:4 * a, :8 * a] + 0.5
    conductors = np.zeros(y.shape, int)
    for n, centre in enumerate((2 * a, 6 * a)):
        conductors[(x - centre)**2 + (y - 2 * a)**2 < a * a] = n + 1
    exact, cut = 2.385492096, []
    for margin in (4 * a, 12 * a):
        got = capacitance(np.ones(y.shape), conductors, margin=margin)
        cut.append(got.truncation[0, 0])
        assert got.lower[0, 0] < exact < got.upper[0, 0]
    assert got.value[0, 0] == pytest.approx(exact, rel=1e-2)
    assert cut[1] < cut[0] / 4 and cut[1] < 0.02 * exact                           # a dipole's: the square of the size


# refusals

@pytest.mark.parametrize("change, words", [
    (lambda k, t: t.__setitem__((2, 2), 2), "touch at row 2, column 2"),
    (lambda k, t: t.__setitem__(t == 2, 3), "2 of 3 has no pixel"),
    (lambda k, t: t.__setitem__(t == 2, 0), "nothing is fixed"),
    (lambda k, t: t.__setitem__(t > 0, 0), "there is no"),
    (lambda k, t: t.__setitem__((0, 0), -1), "below zero"),
    (lambda k, t: k.__setitem__((3, 3), np.nan), "row 3, column 3"),
    (lambda k, t: k.__setitem__((3, 3), -1.0), "row 3, column 3")])
def test_bad_pictures_are_one_sentence(xp, change, words):
    k, terminals = np.ones((6, 7)), np.zeros((6, 7), int)
    terminals[:2, :2], terminals[5, 4:] = 1, 2
    change(k, terminals)
    for call in (resistance, capacitance):
        with pytest.raises(ValueError, match=words) as problem:
            call(xp.asarray(k), xp.asarray(terminals))
        assert "\n" not in str(problem.value)


def test_other_bad_questions():
    k, terminals = np.ones((5, 5)), np.zeros((5, 5), int)
    terminals[0], terminals[4] = 1, 2
    with pytest.raises(ValueError, match="integers"):
        resistance(k, terminals.astype(float))
    with pytest.raises(ValueError, match="integers"):
        resistance(k, terminals[:4])
    with pytest.raises(ValueError, match="floating conductor 3"):
        capacitance(k, terminals, floating=[3])
    with pytest.raises(ValueError, match="nothing is fixed"):
        capacitance(k, terminals, floating=[2])
    with pytest.raises(ValueError, match="margin"):
        capacitance(k, terminals, margin=1)
    k[2] = 0
    with pytest.raises(ValueError, match="terminal 1 is an island"):
        resistance(k, terminals)
    with pytest.raises(ValueError, match="permittivity 0.0 at row 2"):
        capacitance(k, terminals)


def test_many_floating_conductors_are_schurs_complement(xp):
    """Tied nodes against the matrix of all conductors, reduced by hand; one floats in two parts."""
    rng = np.random.default_rng(2)
    k, conductors = rng.choice([1.0, 4.0], (15, 18)), np.zeros((15, 18), int)
    for n, (i, j) in enumerate(((1, 1), (11, 14), (2, 7), (7, 3), (8, 9), (12, 3))):
        conductors[i:i + 2, j:j + 3] = min(n + 1, 5)
    whole = capacitance(xp.asarray(k), xp.asarray(conductors), 1.0, 0.8)
    got = capacitance(xp.asarray(k), xp.asarray(conductors), 1.0, 0.8, floating=[3, 4, 5])
    a, b, c = whole.value[:2, :2], whole.value[:2, 2:], whole.value[2:, 2:]
    np.testing.assert_allclose(got.value, a - b @ np.linalg.solve(c, b.T), rtol=1e-9)
    assert (got.lower <= got.value + 1e-12).all() and (got.value <= got.upper + 1e-12).all()
    assert got.upper[0, 0] / got.lower[0, 0] < 1.6
    assert to_host(got.network.potential)[0][2:5, 7:11].std() < 1e-9              # one potential each
    assert to_host(got.network.potential).shape[0] == 2
