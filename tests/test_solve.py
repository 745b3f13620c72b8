import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap import InputError
from chipmap.solve import Conductor, conductance, effective_conductivity


def disc(n, f, k):
    """A disc of area fraction f and conductivity k in a unit cell of n x n pixels of conductivity 1, by pixel centres."""
    x = (np.arange(n) + 0.5) / n - 0.5
    return np.where(x[:, None]**2 + x**2 < f / np.pi, float(k), 1.0)


def blocks(n, size, values, seed=0):
    m = -(-n // size)
    picture = np.random.default_rng(seed).choice(values, (m, m))
    return np.repeat(np.repeat(picture, size, 0), size, 1)[:n, :n]


# side to side

def test_uniform_and_layers_by_hand(xp):
    k = np.ones((10, 6))
    k[4:7] = 8.0
    got = conductance(xp.asarray(k), 0, dx=2.0, dy=0.5)
    assert got.value == pytest.approx(6 * 2.0 / (0.5 * (7 + 3 / 8)), rel=1e-12)          # in series
    field = to_host(got.field)
    assert field[0, 0] == 1 and field[-1, 0] == 0
    np.testing.assert_allclose(field[4], 1 - 4 / (7 + 3 / 8), atol=1e-9)
    assert conductance(xp.asarray(k), 1, dx=2.0, dy=0.5).value == pytest.approx(0.5 * (7 + 3 * 8) / 12, rel=1e-12)


def test_voids_and_islands_are_exact(xp):
    k = np.zeros((12, 20))
    k[:, 2:7], k[4:6, 12:15] = 3.0, 5.0
    got = conductance(xp.asarray(k), 0)
    assert got.value == pytest.approx(3 * 5 / 12, rel=1e-12)
    floating = to_host(got.floating)
    assert floating[4:7, 12:16].all() and not floating[:, 2:8].any() and floating[1:-1, 9].all()
    assert not to_host(got.field)[floating].any()
    assert conductance(xp.asarray(k), 1).value == 0
    assert got.lower == pytest.approx(got.value, rel=1e-9)                       # straight bars: the bounds meet


def test_power_is_drop_times_current():
    k = blocks(70, 7, [1.0, 30.0, 1000.0])
    fixed = np.zeros((71, 71), bool)
    fixed[10:14, 20:30], fixed[50:60, 40:44] = True, True
    values = np.where(fixed, 0.0, 0.0)[None]
    values[0, 10:14, 20:30] = 2.5
    solved = Conductor(k, 1.0, 0.7, fixed).solve(values=values)
    inflow, outflow = solved.inflow[0, 10:14, 20:30].sum(), solved.inflow[0, 50:60, 40:44].sum()
    assert solved.power[0] == pytest.approx(2.5 * inflow, rel=1e-8)
    assert inflow == pytest.approx(-outflow, rel=1e-8)
    assert np.abs(solved.inflow[0][~fixed]).max() < 1e-5 * inflow


def test_linear_in_conductivity_and_in_the_unit():
    k = blocks(40, 5, [1.0, 50.0])
    one = conductance(k, 0).value
    assert conductance(k * 6e7, 0).value == pytest.approx(6e7 * one, rel=1e-12)
    assert conductance(k * 8.9e-12, 0, dx=4e-9, dy=4e-9).value == pytest.approx(8.9e-12 * one, rel=1e-12)
    assert conductance(k[::-1, ::-1], 0).value == pytest.approx(one, rel=1e-10)
    assert conductance(k.T, 1).value == pytest.approx(one, rel=1e-10)


def test_equals_scikit_fem_on_a_random_picture(xp):
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import dot, grad
    k, dx, dy = np.random.default_rng(4).choice([1.0, 40.0, 900.0], (13, 17)), 1.0, 0.6
    mesh = skfem.MeshQuad.init_tensor(np.arange(18) * dx, np.arange(14) * dy)
    centre = mesh.p[:, mesh.t].mean(axis=1)
    each = k[(centre[1] / dy).astype(int), (centre[0] / dx).astype(int)]
    form = skfem.BilinearForm(lambda u, v, w: each[:, None] * dot(grad(u), grad(v)))
    a = form.assemble(skfem.Basis(mesh, skfem.ElementQuad1()))
    row = np.rint(mesh.p[1] / dy).astype(int)
    u = skfem.solve(*skfem.condense(a, x=np.where(row == 0, 1.0, 0.0), D=np.flatnonzero((row == 0) | (row == 13))))
    got = conductance(xp.asarray(k), 0, dx, dy)
    assert got.value == pytest.approx(u @ a @ u, rel=1e-10)
    np.testing.assert_allclose(to_host(got.field)[row, np.rint(mesh.p[0]).astype(int)], u, atol=1e-7)


def test_sources_against_a_sum_by_hand(xp):
    # a bar, cold at the top: every node below puts in 1 a column of nodes, so the drops add up
    fixed = np.zeros((5, 4), bool)
    fixed[0] = True
    sources = np.where(fixed, 0.0, 1.0)[None]
    sources[:, :, [0, -1]] /= 2                                                   # half a column's width
    solved = Conductor(xp.full((4, 3), 2.0), fixed=xp.asarray(fixed)).solve(sources=xp.asarray(sources))
    np.testing.assert_allclose(to_host(solved.potential)[0], np.repeat([[0], [2.0], [3.5], [4.5], [5.0]], 4, 1), atol=1e-7)
    assert to_host(solved.inflow)[0].sum() == pytest.approx(0, abs=1e-7)


def test_a_film_in_series_with_a_bar(xp):
    # held at 1 above, convecting to 0 below: bar 4 lengths at k = 2, film of coefficient 0.5 a length
    fixed, film = np.zeros((5, 4), bool), np.zeros((5, 4))
    fixed[0], film[-1] = True, [0.25, 0.5, 0.5, 0.25]
    conductor = Conductor(xp.full((4, 3), 2.0), fixed=xp.asarray(fixed), film=xp.asarray(film))
    solved = conductor.solve(values=xp.ones((1, 5, 4)))
    assert to_host(solved.inflow)[0, 0].sum() == pytest.approx(3 / (4 / 2 + 1 / 0.5), rel=1e-8)


def test_flux_of_a_bar_by_hand(xp):
    k = xp.full((4, 3), 2.0)
    fixed = np.zeros((5, 4), bool)
    fixed[[0, -1]] = True
    conductor = Conductor(k, 1.0, 0.5, xp.asarray(fixed))
    solved = conductor.solve(values=xp.asarray(np.repeat(np.linspace(6, 0, 5)[:, None], 4, 1)[None]))
    np.testing.assert_allclose(to_host(conductor.flux(solved, k))[0], [np.zeros((4, 3)), np.full((4, 3), 6.0)], atol=1e-6)


def test_several_loads_at_once_are_each_alone():
    k = blocks(50, 5, [1.0, 100.0])
    fixed = np.zeros((51, 51), bool)
    fixed[[0, -1]] = True
    conductor = Conductor(k, fixed=fixed)
    values = np.random.default_rng(0).random((5, 51, 51))
    together = conductor.solve(values=values)
    for n in range(5):
        alone = conductor.solve(values=values[n:n + 1])
        np.testing.assert_allclose(together.potential[n], alone.potential[0], atol=1e-6)
    mixed = conductor.solve(values=values.sum(axis=0, keepdims=True))
    np.testing.assert_allclose(mixed.potential[0], together.potential.sum(axis=0), atol=1e-6)


# periodic

def test_laminates_are_exact(xp):
    k = np.ones((12, 9))
    k[3:7] = 10.0
    value = effective_conductivity(xp.asarray(k), dx=1.3, dy=0.4).value
    np.testing.assert_allclose(value, np.diag([(8 + 40) / 12, 12 / (8 + 0.4)]), atol=1e-9)
    np.testing.assert_allclose(effective_conductivity(xp.asarray(k.T)).value, np.diag([12 / 8.4, 4.0]), atol=1e-9)


def test_one_pixel_and_one_row(xp):
    np.testing.assert_allclose(effective_conductivity(xp.asarray([[7.0]])).value, 7 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(effective_conductivity(xp.asarray([[1.0, 3.0]])).value, np.diag([1.5, 2.0]), atol=1e-9)


def test_laminate_at_an_angle_converges():
    # 45 degrees, f = 0.5, 10:1; the staircase's error is first order
    par, perp = 5.5, 2 / 1.1
    want = np.array([[par + perp, par - perp], [par - perp, par + perp]]) / 2
    errors = []
    for n in (64, 128, 256):
        i, j = np.indices((n, n))
        got = effective_conductivity(np.where((j - i) % n < n // 2, 10.0, 1.0))
        errors.append(abs(got.value[0, 0] / want[0, 0] - 1))
        assert got.value[0, 1] == pytest.approx(want[0, 1], rel=0.02)             # downhill to the right, y down
    np.testing.assert_allclose(errors, [3.0e-3, 1.5e-3, 7.5e-4], rtol=0.1)


@pytest.mark.parametrize("k, exact, known", [(10, 1.65203601, (5.2e-3, 2.5e-3, 1.7e-3)), (100, 1.83591912, (1.0e-2, 5.0e-3, 3.0e-3))])
def test_disc_array(k, exact, known):
    for n, error in zip((64, 128, 256), known):
        got = effective_conductivity(disc(n, 0.3, k))
        assert got.value[0, 0] / exact - 1 == pytest.approx(error, rel=0.1)
        assert got.lower[0, 0] < got.upper[0, 0]


def test_disc_bounds_close_to_a_tenth_of_a_percent():
    got = effective_conductivity(disc(512, 0.3, 10))
    assert got.lower[0, 0] == pytest.approx(1.652332, abs=2e-6)
    assert got.upper[0, 0] == pytest.approx(1.653258, abs=2e-6)
    assert got.upper[0, 0] / got.lower[0, 0] - 1 < 1e-3


@pytest.mark.parametrize("contrast", [2.0, 100.0])
def test_checkerboard_bounds_enclose_and_meet_at_the_root(contrast):
    k = np.where(np.add.outer(np.arange(64) // 32, np.arange(64) // 32) % 2, contrast, 1.0)
    got = effective_conductivity(k)
    assert got.lower[0, 0] < np.sqrt(contrast) < got.upper[0, 0]
    assert np.sqrt(got.lower[0, 0] * got.upper[0, 0]) == pytest.approx(np.sqrt(contrast), rel=1e-9)
    known = {2.0: 2.3e-4, 100.0: 0.69}[contrast]
    assert got.upper[0, 0] / np.sqrt(contrast) - 1 == pytest.approx(known, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_random_pictures_keep_every_bound(xp, seed):
    rng = np.random.default_rng(seed)
    k = np.where(rng.random((12, 15)) < 0.4, 10.0, 1.0)
    swapped = 11.0 - k                                                            # phases exchanged
    got, other = effective_conductivity(xp.asarray(k)), effective_conductivity(xp.asarray(swapped))
    assert abs(got.value[0, 1] - got.value[1, 0]) < 1e-12
    assert np.linalg.eigvalsh(got.value - got.lower)[0] > 0
    low, high = 1 / (1 / k).mean(), k.mean()                                      # Wiener
    assert low < np.linalg.eigvalsh(got.lower)[0] and np.linalg.eigvalsh(got.upper)[1] < high
    # Keller: kx(k1, k2) ky(k2, k1) = k1 k2 between the products of the bounds
    assert got.lower[0, 0] * other.lower[1, 1] < 10 < got.upper[0, 0] * other.upper[1, 1]
    # and exactly where one factor is the dual: lower(k) is k1 k2 over the transposed upper of the swapped picture
    np.testing.assert_allclose(got.lower, 10 * other.value / np.linalg.det(other.value), rtol=1e-9)


def test_effective_of_voids(xp):
    k = np.zeros((8, 8))
    k[:, 2:4], k[5, 6] = 4.0, 9.0
    np.testing.assert_allclose(effective_conductivity(xp.asarray(k)).value, [[0, 0], [0, 1]], atol=1e-12)
    with pytest.raises(InputError, match="0 everywhere"):
        effective_conductivity(xp.zeros((3, 3)))


# bends, iterations, refusals

@pytest.mark.parametrize("n", [32, 128])
def test_right_angle_bend(n):
    # an L of two arms of 3 squares: 6.558728799 squares
    k = np.zeros((4 * n, 4 * n))
    k[:, :n] = k[-n:, :] = 1.0
    fixed = np.zeros((4 * n + 1, 4 * n + 1), bool)
    fixed[0, :n + 1] = fixed[-n - 1:, -1] = True
    values = np.zeros((1, 4 * n + 1, 4 * n + 1))
    values[0, 0] = 1.0
    squares = 1 / Conductor(k, fixed=fixed).solve(values=values).power[0]
    assert squares < 6.558728799                                                  # Q1 conducts too well
    assert squares == pytest.approx(6.558728799, rel={32: 2e-3, 128: 3e-4}[n])


@pytest.mark.parametrize("size", [5, 8, 16, 64])
@pytest.mark.parametrize("contrast, most", [(1e2, 12), (1e3, 12), (1e4, 25), (1e6, 25)])
def test_iterations_do_not_mind_contrast(size, contrast, most):
    for values in ([1.0, contrast], [1.0, contrast**0.5, contrast]):
        assert conductance(blocks(256, size, values, seed=size)).iterations <= most


@pytest.mark.parametrize("dx, most", [(2.0, 12), (4.0, 24), (0.2, 30)])
def test_iterations_with_long_pixels(dx, most):
    from scipy.ndimage import gaussian_filter
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((256, 256)), 8, mode="wrap")
    k = np.array([1.0, 17.0, 300.0])[np.digitize(rough / rough.std(), [-0.4, 0.5])]
    for axis in (0, 1):
        assert conductance(k, axis, dx).iterations <= most


def test_uniform_takes_no_iteration():
    assert conductance(np.ones((300, 200))).iterations == 0


@pytest.mark.parametrize("k", [np.ones(4), np.ones((0, 4)), np.array([[1.0, np.nan]]), np.array([[np.inf]]), np.array([[-1.0]])])
def test_bad_pictures(xp, k):
    for call in (conductance, effective_conductivity):
        with pytest.raises(ValueError):
            call(xp.asarray(k))


def test_bad_questions(xp):
    k = xp.ones((3, 3))
    with pytest.raises(ValueError, match="axis"):
        conductance(k, axis=2)
    with pytest.raises(ValueError, match="no way out"):
        Conductor(k).solve(sources=xp.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="nothing drives"):
        Conductor(k).solve()
    island, fixed, source = np.zeros((5, 5)), np.zeros((6, 6), bool), np.zeros((1, 6, 6))
    island[0], island[3:, 3:], fixed[0], source[0, 5, 5] = 1, 1, True, 1
    with pytest.raises(ValueError, match="island"):
        Conductor(xp.asarray(island), fixed=xp.asarray(fixed)).solve(sources=xp.asarray(source))


def test_stubs_on_a_fixed_side_do_not_overflow():
    """A real porous picture: pieces that hang on one terminal only, by less and less on every coarser grid."""
    import pathlib

    from chipmap.read import read_picture
    picture = read_picture(pathlib.Path(__file__).parent.parent / "chipmap" / "data" / "nanoporous_gold_zeiss.tif")
    grey = picture.image[:691]
    k = np.where(grey > grey.mean(), 4.4e7, 0.0)
    for axis in (0, 1):
        solved = conductance(k, axis=axis)
        assert 0 < solved.value < 4.4e7 * 1024 / 691 and solved.iterations <= 25


# a first guess, and looser bounds

def test_sources_from_a_first_guess(xp):
    """The same answer from near in fewer iterations, and from anywhere: a guess that is no use is left out."""
    k = xp.asarray(blocks(48, 4, [1.0, 30.0]))
    fixed = xp.zeros((49, 49), bool)
    fixed[0] = True
    conductor = Conductor(k, 1.0, 1.2, fixed)
    source = np.zeros((2, 49, 49))
    source[0, 30, 30], source[1, 20:40, 10] = 2.0, -0.3
    source = xp.asarray(source)
    want = conductor.solve(sources=source, tolerance=1e-10)
    near = conductor.solve(sources=source, start=want.potential * 1.0001, tolerance=1e-8)
    np.testing.assert_allclose(to_host(near.potential), to_host(want.potential), atol=1e-7 * float(abs(want.potential).max()))
    assert near.iterations < conductor.solve(sources=source, tolerance=1e-8).iterations
    for bad in (-5 * want.potential, 1e3 * want.potential, 0 * want.potential):
        far = conductor.solve(sources=source, start=bad, tolerance=1e-8)
        np.testing.assert_allclose(to_host(far.potential), to_host(want.potential), atol=1e-6 * float(abs(want.potential).max()))


def test_a_looser_flux_bounds_a_little_lower():
    k = blocks(64, 4, [0.0, 1.0, 30.0], 3)
    tight, loose = (conductance(k, 1, 1.0, 0.7, bound_tolerance=t).lower for t in (None, 1e-2))
    assert 0 < tight * (1 - 2e-4) < loose < tight * (1 + 1e-12)
    with pytest.raises(InputError, match="tolerance"):
        conductance(k, 1, bound_tolerance=-1.0).lower  # noqa: B018
