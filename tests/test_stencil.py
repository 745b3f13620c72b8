import numpy as np
import pytest
from cukernels import stencil
from cukernels.backend import to_host
from cukernels.stencil import apply, chunks, conduction, embed, gradient, interior


def times(xp, k, u, **how):
    operator = conduction(xp.asarray(k), **how)
    return to_host(interior(apply(operator, embed(xp.asarray(u)[None], operator.periodic)))[0])


def matrix(k, xp=np, **how):
    operator = conduction(xp.asarray(k), **how)
    count = operator.shape[0] * operator.shape[1]
    units = embed(xp.asarray(np.eye(count).reshape(count, *operator.shape)), operator.periodic)
    return to_host(interior(apply(operator, units))).reshape(count, count).T


def test_one_pixel_by_hand(xp):
    # the element matrix of a unit square: 2/3 on the diagonal, -1/6 along an edge, -1/3 across
    got = times(xp, [[6.0]], [[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(got, [[4, -1], [-1, -2]], rtol=1e-15)


def test_a_ramp_carries_k_times_width(xp):
    got = times(xp, np.full((3, 4), 5.0), np.repeat(np.arange(4.0)[:, None], 5, 1), dx=2.0, dy=0.5)
    np.testing.assert_allclose(got.sum(axis=1), [-5 * 4 * 2 / 0.5, 0, 0, 5 * 4 * 2 / 0.5], atol=1e-12)


@pytest.mark.parametrize("periodic", [(False, False), (True, False), (False, True), (True, True)])
def test_symmetric_and_blind_to_constants(xp, periodic):
    k = np.random.default_rng(0).choice([0, 1.0, 1e6], (3, 4))
    a = matrix(k, xp, dx=1.0, dy=1.7, periodic=periodic)
    np.testing.assert_allclose(a, a.T, atol=1e-9)                                # entries of 1e6, rounded once each
    assert np.abs(a.sum(axis=1)).max() < 1e-8
    assert np.linalg.eigvalsh(a)[0] > -1e-8
    flat = times(xp, k, np.full(tuple(n + (not w) for n, w in zip(k.shape, periodic)), 0.1), periodic=periodic)
    assert not flat.any()                                                        # exact: differences only


def test_equals_scikit_fem(xp):
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import dot, grad
    k, dx, dy = np.random.default_rng(1).random((4, 5)), 0.7, 1.3
    mesh = skfem.MeshQuad.init_tensor(np.arange(6) * dx, np.arange(5) * dy)
    centre = mesh.p[:, mesh.t].mean(axis=1)
    each = k[(centre[1] / dy).astype(int), (centre[0] / dx).astype(int)]
    basis = skfem.Basis(mesh, skfem.ElementQuad1())
    form = skfem.BilinearForm(lambda u, v, w: each[:, None] * dot(grad(u), grad(v)))
    node = np.rint(mesh.p[1] / dy).astype(int) * 6 + np.rint(mesh.p[0] / dx).astype(int)
    want = np.zeros((30, 30))
    want[np.ix_(node, node)] = form.assemble(basis).toarray()
    np.testing.assert_allclose(matrix(k, xp, dx=dx, dy=dy), want, atol=1e-13)


def test_fixed_nodes_and_reactions(xp):
    k, fixed, reaction = np.ones((2, 2)), np.zeros((3, 3), bool), np.zeros((3, 3))
    fixed[0], reaction[2] = True, 2.0
    operator = conduction(xp.asarray(k), fixed=xp.asarray(fixed), reaction=xp.asarray(reaction))
    p = embed(xp.asarray(np.where(fixed, 0.0, 1.0)[None]), operator.periodic)
    q = xp.zeros_like(p)
    dots = to_host(operator.apply(p, q))
    got = to_host(interior(q)[0])
    # the row below the fixed one loses all of its three conductances up; the last row only its reaction
    np.testing.assert_allclose(got, [[0, 0, 0], [0.5, 1, 0.5], [2, 2, 2]], atol=1e-15)
    np.testing.assert_allclose(dots, [8.0])


def test_gradient_of_a_plane(xp):
    y, x = np.mgrid[:4, :5]
    operator = conduction(xp.ones((3, 4)))
    got = to_host(gradient(operator, embed(xp.asarray((2.0 * x - 3.0 * y)[None]), operator.periodic), 0.5, 2.0))
    np.testing.assert_allclose(got[0], [np.full((3, 4), 4.0), np.full((3, 4), -1.5)])


@pytest.mark.parametrize("k, word", [
    (np.ones(3), "shape"), (np.ones((0, 3)), "shape"), (np.array([[1.0, np.nan]]), "row 0, column 1"),
    (np.array([[1.0], [np.inf]]), "row 1, column 0"), (np.array([[-1.0]]), "row 0, column 0")])
def test_bad_conductivity_is_one_sentence(xp, k, word):
    with pytest.raises(ValueError, match=word):
        conduction(xp.asarray(k))


def test_bad_sizes(xp):
    k = xp.ones((2, 2))
    for how in ({"dx": 0.0}, {"dy": np.nan}, {"fixed": xp.zeros((2, 2), bool)}):
        with pytest.raises(ValueError):
            conduction(k, **how)
    with pytest.raises(ValueError, match="repeat"):
        conduction(k[:1], periodic=(True, True))


@pytest.mark.parametrize("periodic", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("tensors", [False, True])
def test_steps_of_conjugate_gradients_in_one_pass(monkeypatch, periodic, tensors):
    """`search` and `advance`, with rows shared out, are what `apply` and sums of arrays give."""
    monkeypatch.setattr(stencil, "chunks", lambda rows, least=64: chunks(rows, 5))
    random = np.random.default_rng(2)
    k = random.choice([0, 1.0, 50.0], (23, 17))
    k = np.stack([k, 2 * k, 0.5 * k]) if tensors else k
    shape = tuple(n + (not w) for n, w in zip(k.shape[-2:], periodic))
    fixed = random.random(shape) < 0.1
    operator = conduction(k, 1.0, 1.3, periodic, fixed, random.random(shape))
    p, z, x, r = (embed(random.standard_normal((3, *shape)) * interior(operator.free), periodic) for _ in range(4))
    short = z.astype(np.float32)
    scale, beta, alpha = random.random(3), random.random(3), random.random(3)
    turned = scale[:, None, None] * short + beta[:, None, None] * p
    q = np.zeros_like(p)
    want = operator.apply(turned, q)
    np.testing.assert_allclose(operator.search(p, short, scale, beta), want, rtol=1e-12)
    np.testing.assert_allclose(p, turned, atol=1e-14)
    x_want, r_want = x + alpha[:, None, None] * turned, r - alpha[:, None, None] * q
    operator.advance(x, r, p, alpha, scale, short)
    np.testing.assert_allclose(interior(x), interior(x_want), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(interior(r), interior(r_want), rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(interior(short), interior(r * scale[:, None, None]).astype(np.float32))


def test_elements_that_give_power_back_are_found_one_by_one():
    """The compiled check says what the one in arrays says, of sums of positive elements and of any six numbers."""
    random = np.random.default_rng(5)
    any_six = random.standard_normal((6, 400, 1)) * random.choice([0, 1e-12, 1.0], (6, 400, 1)) + random.choice([0, 0.5, 1.5], (400, 1))
    want = stencil._not_negative(any_six)[:, 0]
    assert want.sum() > 50 and (~want).sum() > 50
    got = [stencil._good_rows(any_six, n, n + 1) for n in range(400)]
    np.testing.assert_array_equal(got, want)
