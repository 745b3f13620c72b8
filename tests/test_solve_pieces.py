"""Pieces of a few pixels that touch at corners: iterations at any contrast, the residual looked at in double precision."""

import numpy as np
import pytest
from cukernels.multigrid import Multigrid
from cukernels.stencil import apply, conduction, interior

from chipmap.solve import Conductor, conductance


def pieces(size, values, n=256):
    m = -(-n // size)
    return np.random.default_rng(size).choice(values, (m, m)).repeat(size, 0).repeat(size, 1)[:n, :n]


def settled(k, most):
    """Iterations of a solve from side to side, whose residual is checked where it says that it has converged."""
    found = conductance(k)
    assert found.iterations <= most, found.iterations
    sides = np.zeros(found.field.shape, bool)
    sides[[0, -1]] = True
    operator = conduction(k / k.max(), fixed=sides | found.floating)
    field = np.zeros((1, *(n + 4 for n in sides.shape)))
    interior(field)[0] = found.field
    left = interior(apply(operator, field))[0]
    # what is left at the nodes solved for, against what flows through the sides
    assert abs(left[~sides]).max() < 1e-6 * abs(left[sides]).sum()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("contrast", [1e2, 1e4, 1e6, 1e8])
def test_small_pieces(size, contrast):
    settled(pieces(size, [1.0, contrast]), 25)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("values", [[0.0, 1.0], [0.0, 1.0, 1e2], [0.0, 1.0, 3e2], [0.0, 1.0, 1e4], [0.0, 1.0, 1e6], [1.0, 1e2, 1e4], [1.0, 1e3, 1e6]])
def test_small_pieces_of_three_kinds(size, values):
    settled(pieces(size, values), 25)


@pytest.mark.parametrize("size", [1, 3])
def test_small_pieces_round_a_circle_and_of_long_pixels(size):
    k = pieces(size, [1.0, 1e6], 129)                                            # odd circles
    fixed = np.zeros((129, 129), bool)
    fixed[40:50, 60] = True
    values = np.random.default_rng(0).random((2, 129, 129))
    for dx in (1.0, 4.0):
        solved = Conductor(k, dx, 1.0, fixed=fixed, periodic=(True, True)).solve(values=values)
        assert solved.iterations <= 25
        left = np.where(fixed, 0, solved.inflow)
        assert abs(left).max() < 1e-6 * abs(solved.inflow).max()


def test_only_hard_pictures_have_coarse_nodes_chosen_by_links():
    def way(size, *values):
        cycle = Multigrid(conduction(pieces(size, values)))
        return "links" if cycle.algebraic else len(cycle._top[0])
    assert [way(size, 1.0, 1e4) for size in (1, 2, 3, 16)] == ["links", 3, 3, 1]
    assert [way(size, 1.0, 1e6) for size in (1, 2, 3, 5, 16)] == ["links"] * 4 + [1]
    assert [len(Multigrid(conduction(pieces(16, [1.0, c])))._below[0]) for c in (1e4, 1e6)] == [2, 3]
    assert [way(size, 1.0, 1e2) for size in (1, 16)] == [1, 1]
    assert [way(size, 0.0, 1.0) for size in (1, 3, 16)] == [3, 1, 1]
    assert [way(size, 0.0, 1.0, 3e2) for size in (1, 3, 16)] == ["links", 3, 1]
    assert [way(size, 0.0, 1.0, 1e4) for size in (1, 3, 16)] == ["links", "links", 1]
    assert [way(size, 0.0, 1.0, 1e6) for size in (1, 3, 16)] == ["links"] * 3


def test_several_loads_are_what_each_is_alone():
    k = pieces(16, [1.0, 17.0, 300.0], 192)
    fixed = np.zeros((193, 193), bool)
    fixed[[0, -1]] = True
    values = np.random.default_rng(0).random((5, 193, 193))
    conductor = Conductor(k, fixed=fixed)
    together = conductor.solve(values=values).potential
    for n in range(5):
        np.testing.assert_allclose(together[n], conductor.solve(values=values[n:n + 1]).potential[0], atol=1e-7)
