"""Thin layers askew in the pixels: exact along and across at any angle, and curved ones against the coated disc."""

import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap.solve import Conductor, conductance, effective_conductivity, layered
from chipmap.solve.layers import elements, even

N = 40
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def stripes(p, q, width, k0, k1, dx=1.0, dy=1.0, at=0.37):
    """((6, N, N) of a periodic picture of layers whose normal is (p / (N dx), q / (N dy)), normal, share of the layer)."""
    wave = np.array([p / dx, q / dy]) / N
    period, normal = 1 / np.hypot(*wave), wave / np.hypot(*wave)
    x, y = dx * np.arange(N + 1.0), dy * np.arange(N + 1.0)[:, None]
    place = normal[0] * x + normal[1] * y - at
    middle = (place[:-1, :-1] + place[1:, 1:]) / 2
    own = np.stack([place[i:i + N, j:j + N] - np.round(middle / period) * period for i, j in CORNERS])
    distance = np.stack([own + width / 2, own - width / 2], axis=1).reshape(4, 2, -1)
    return elements(np.array([k0, k1, k0])[:, None] * np.ones((3, N * N)), distance, dx, dy).reshape(6, N, N), normal, width / period


def along_and_across(value, normal):
    turned = np.array([-normal[1], normal[0]])
    return turned @ value @ turned, 1 / (normal @ np.linalg.inv(value) @ normal)


@pytest.mark.parametrize("width", [3 / 4, 5 / 4, 12 / 4])
@pytest.mark.parametrize("p, q", [(1, 1), (1, 2), (1, 5), (2, -3), (0, 2)])
def test_inclined_layers_count_as_thick_as_they_are(p, q, width):
    """Layers of 3, 5 and 12 nm on pixels of 4 nm, at 0, 11, 27, 34 and 45 degrees, ten to ten thousand times better and worse
    conducting than what is about them: along and across within 0.1 %; at 1e4 the asked-for accuracy was 2 %."""
    for k0, k1 in ((1.0, 10.0), (1.0, 1e4), (100.0, 1.0), (1e4, 1.0)):
        k, normal, f = stripes(p, q, width, k0, k1)
        got = effective_conductivity(k)
        along, across = along_and_across(got.value, normal)
        assert along == pytest.approx((1 - f) * k0 + f * k1, rel=1e-3)
        assert across == pytest.approx(1 / ((1 - f) / k0 + f / k1), rel=1e-3)
        assert got.iterations <= 30 and got.lower is None and got.upper is None


def test_oblong_pixels():
    k, normal, f = stripes(2, 1, 1.1, 1.0, 300.0, 0.8, 1.3)
    along, across = along_and_across(effective_conductivity(k, 0.8, 1.3).value, normal)
    assert along == pytest.approx(1 + 299 * f, rel=1e-3) and across == pytest.approx(1 / (1 - f + f / 300), rel=1e-3)


def ring(n, radius, thick, core, coat, off=(0.2, 0.3)):
    """(effective conductivity of a coated disc in the matrix in which it can't be seen, that matrix's, and what it would be
    without the coating): Z. Hashin's neutral inclusion."""
    outer = radius + thick
    c = (radius / outer) ** 2
    matrix = coat * ((core + coat) + c * (core - coat)) / ((core + coat) - c * (core - coat))
    r = np.hypot(np.arange(n + 1.0) - n / 2 - off[0], (np.arange(n + 1.0) - n / 2 - off[1])[:, None])
    k = np.array([core, coat, matrix])[:, None, None] * np.ones((3, n, n))
    got = effective_conductivity(layered(k, np.stack([r - radius, r - outer])))
    share, contrast = np.pi * outer ** 2 / n ** 2, (core - matrix) / (core + matrix)
    return got, matrix, matrix * (1 + 2 * share * contrast / (1 - share * contrast))


@pytest.mark.parametrize("core, coat, most", [(1.0, 100.0, 0.005), (100.0, 1.0, 0.005), (1.0, 1e4, 0.02), (1e4, 1.0, 0.02)])
def test_a_coating_of_a_disc_that_makes_it_invisible(core, coat, most):
    """A coating of 3 nm at pixels of 4 nm about a disc of 160 nm: within 2 % of what it does, where whole pixels miss 60 to 76 %."""
    got, matrix, bare = ring(64, 20.0, 0.75, core, coat)
    assert np.abs(np.diag(got.value) - matrix).max() < most * abs(bare - matrix)
    assert abs(got.value[0, 1]) < most * abs(bare - matrix)
    if coat == 100.0:
        error = [abs(ring(n, r, t, core, coat)[0].value[0, 0] / ring(n, r, t, core, coat)[1] - 1) for n, r, t in ((32, 10.0, 1.5), (128, 40.0, 6.0))]
        assert error[1] < error[0] / 4          # between first and second order: four times finer


def test_one_material_is_the_bilinear_element(xp):
    k = np.random.default_rng(0).uniform(1, 3, (6, 7))
    one = effective_conductivity(xp.asarray(even(k, 0.7, 1.0)), 0.7)
    np.testing.assert_allclose(one.value, effective_conductivity(xp.asarray(k), 0.7).value, rtol=1e-9)
    same = layered(xp.asarray(np.full((3, 6, 7), 2.0)), xp.asarray(np.full((2, 7, 8), np.nan)))      # distances are not read
    np.testing.assert_allclose(to_host(same), even(np.full((6, 7), 2.0), 1, 1))
    level = np.arange(8.0) + 0.3 * np.arange(7.0)[:, None]
    near = layered(xp.asarray(np.stack([np.full((6, 7), 2.0), np.full((6, 7), 2.0 + 1e-9)])), xp.asarray(level[None]))
    np.testing.assert_allclose(to_host(near), even(np.full((6, 7), 2.0), 1, 1), atol=1e-7)


def test_from_side_to_side_with_its_flux(xp):
    """A straight liner through the picture at 45 degrees between insulated sides: as much goes in as comes out, and the flux
    of the pixels is what flows."""
    n = 24
    level = (np.arange(n + 1.0) - np.arange(n + 1.0)[:, None]) / 2 ** 0.5
    k = np.array([1.0, 200.0, 1.0])[:, None, None] * np.ones((3, n, n))
    pixels = layered(xp.asarray(k), xp.asarray(np.stack([level + 0.6, level - 0.6])))
    got = conductance(pixels, 1)
    assert got.lower is None and got.upper is None
    fixed = np.zeros((n + 1, n + 1), bool)
    fixed[:, [0, -1]] = True
    values = np.zeros((1, n + 1, n + 1))
    values[0, :, 0] = 1
    conductor = Conductor(pixels, fixed=xp.asarray(fixed))
    solved = conductor.solve(values=xp.asarray(values))
    assert solved.power[0] == pytest.approx(got.value, rel=1e-8)
    flux = to_host(conductor.flux(solved, pixels))
    np.testing.assert_allclose(flux[0, 0].sum(axis=0), got.value, rtol=0.02)
    assert flux[0, 0].sum() / n == pytest.approx(got.value, rel=1e-8)


def test_insulators_among_layers():
    k, normal, f = stripes(1, 2, 1.25, 0.0, 1.0)
    along, across = along_and_across(effective_conductivity(k).value, normal)
    assert along == pytest.approx(f, rel=1e-3) and across < 1e-4


def test_elements_are_not_negative_with_layers_at_random():
    rng = np.random.default_rng(1)
    m = 4000
    k = 10.0 ** rng.uniform(-6, 6, (4, m))
    angle, first = rng.uniform(0, 2 * np.pi, m), rng.uniform(-2, 2, m)
    gaps = np.cumsum(np.concatenate([first[None], rng.uniform(0, 1.5, (2, m))]), axis=0)
    level = np.stack([(i - 0.5) * np.sin(angle) + (j - 0.5) * np.cos(angle) for i, j in CORNERS])
    got = elements(k, level[:, None] - gaps + 0.02 * rng.standard_normal((4, 1, m)), 1.0, 1.0)
    matrix = np.zeros((m, 4, 4))
    for g, (a, b) in zip(got, ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))):
        matrix[:, a, b] = matrix[:, b, a] = -g
    matrix[:, range(4), range(4)] = -matrix.sum(axis=2)
    assert (np.linalg.eigvalsh(matrix)[:, 0] > -1e-9 * np.abs(matrix).max(axis=(1, 2))).all()


def test_bad_arguments():
    k, d = np.ones((3, 2, 2)), np.stack([np.ones((3, 3)), np.zeros((3, 3))])
    k[1] = 5
    d = d + np.arange(3)
    for bad_k, bad_d, words in ((k, d[:1], "layers have shapes"), (-k, d, "finite numbers >= 0"), (k * np.nan, d, "finite numbers >= 0"),
                                (k, d[::-1], "order of the layers"), (k, d * np.nan, "order of the layers"), (k, d * 0, "equally far")):
        with pytest.raises(ValueError, match=words):
            layered(bad_k, bad_d)
    with pytest.raises(ValueError, match="one conductivity a pixel"):
        conductance(layered(k, d), confidence=np.ones((2, 2)))
    wrong = even(np.ones((3, 3)), 1.0, 1.0)
    wrong[:4, 1, 2] = -1
    with pytest.raises(ValueError, match="row 1, column 2"):
        conductance(wrong)
