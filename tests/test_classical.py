"""The split by links alone: strong links, both passes, weights, Galerkin's operator, against the definitions."""

import numpy as np
import pytest
from cukernels import classical
from cukernels.classical import coarsen, colours, dense, diagonal, graph
from cukernels.coarsening import links
from cukernels.stencil import apply, embed, interior
from small_operators import SIDES, problem


def matrix(g):
    return np.diag(g.loss.astype(float)) + np.diag(dense(g).sum(axis=1)) - dense(g)


def full(rows, columns):
    out = np.zeros((len(rows.start) - 1, columns))
    np.add.at(out, (np.repeat(np.arange(len(out)), np.diff(rows.start)), rows.other), rows.value)
    return out


def pictures():
    for periodic in SIDES:
        for values in ((1.0, 1e6), (0.0, 1.0, 1e4), (1.0, 20.0, 1000.0)):
            operator = problem(np, 3, (18, 21), periodic, values=values)
            yield operator, graph(*links(operator), operator.shape, periodic)


def test_the_graph_is_the_operator():
    for operator, g in pictures():
        free = interior(operator.free).ravel() > 0
        units = embed(np.eye(free.size)[free].reshape(-1, *operator.shape), operator.periodic)
        want = interior(apply(operator, units)).reshape(len(units), -1)[:, free]
        inside = interior(np.arange(operator.free.size).reshape(operator.free.shape)).ravel()[free]
        np.testing.assert_allclose(matrix(g)[np.ix_(inside, inside)], want, rtol=1e-6, atol=1e-6 * want.max())      # float32 links


def test_a_line_by_hand():
    """Seven nodes in a row, equal links: every second one is coarse, the ones between take half of either side."""
    start = np.array([0, 1, 3, 5, 7, 9, 11, 12])
    other = np.array([1, 0, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5], np.int32)
    loss = np.array([1, 0, 0, 0, 0, 0, 1], np.float32)
    coarse, weights, _ = coarsen(classical.Graph(start, other, np.ones(12, np.float32), loss))
    np.testing.assert_allclose(full(weights, 3), [[.5, 0, 0], [1, 0, 0], [.5, .5, 0], [0, 1, 0], [0, .5, .5], [0, 0, 1], [0, 0, .5]])
    # at the ends a link of 1 and a loss of 1 in a row; between, two links
    np.testing.assert_allclose(matrix(coarse), [[1, -.5, 0], [-.5, 1, -.5], [0, -.5, 1]])


def test_both_fine_nodes_of_a_strong_link_share_a_coarse_one():
    for _, g in pictures():
        coarse, weights, _ = coarsen(g)
        p, c = full(weights, len(coarse.loss)) > 0, dense(g)
        strong = (c > 0) & (c >= classical.STRONG * c.max(axis=1, keepdims=True))
        fine = ~((p.sum(axis=1) == 1) & (full(weights, len(coarse.loss)).max(axis=1) == 1.0)) | ~strong.any(axis=1)
        served = strong[:, ~fine]
        for i, j in zip(*np.nonzero(strong & fine[:, None] & fine)):
            assert (served[i] & served[j]).any()


def test_galerkin_by_matrices():
    for _, g in pictures():
        coarse, weights, back = coarsen(g)
        p = full(weights, len(coarse.loss))
        want = p.T @ matrix(g) @ p
        np.testing.assert_allclose(matrix(coarse), want, atol=1e-6 * abs(want).max())                   # float32 links
        np.testing.assert_array_equal(dense(coarse), dense(coarse).T)
        np.testing.assert_allclose(diagonal(coarse), np.diag(matrix(coarse)), rtol=1e-6)
        np.testing.assert_array_equal(full(back, len(p)), p.T)


@pytest.mark.parametrize("contrast", [1e6, 1e12])
def test_a_constant_stays_one_on_every_level(contrast):
    """Where nothing is lost, nothing is lost on coarse levels either, at any contrast."""
    k = np.random.default_rng(1).choice([1.0, contrast], (40, 40)) / contrast
    from cukernels.stencil import conduction
    operator = conduction(k, periodic=(True, True))
    g = graph(*links(operator), operator.shape, operator.periodic)
    for _ in range(3):
        g, weights, _ = coarsen(g)
        assert not g.loss.any()
        sums = np.add.reduceat(weights.value, weights.start[:-1][np.diff(weights.start) > 0])
        np.testing.assert_allclose(sums, 1, rtol=1e-14)


def test_colours_are_apart():
    for _, g in pictures():
        order, bounds = colours(g)
        assert sorted(order) == list(range(len(g.loss)))
        for first, last in zip(bounds, bounds[1:]):
            assert not dense(g)[np.ix_(order[first:last], order[first:last])].any()


def test_in_pieces_as_in_one(monkeypatch):
    operator = problem(np, 3, (40, 41), (True, False), values=(0.0, 1.0, 1e4))
    g = graph(*links(operator), operator.shape, operator.periodic)
    one, weights, back = coarsen(g)
    monkeypatch.setattr(classical, "_pieces", lambda n: np.array([0, n // 3, n // 2, n]))
    other, same, turned = coarsen(g)
    for a, b in ((one, other), (weights, same), (back, turned)):
        for name in vars(a):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_nothing_to_split():
    g = classical.Graph(np.zeros(5, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.ones(4, np.float32))
    assert coarsen(g) is None
