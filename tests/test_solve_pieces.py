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
@pytest.mark.parametrize("contrast", [1e2, 1e4, 1e6])
def test_small_pieces(size, contrast):
    most = 80 if contrast == 1e6 and size < 3 else 25                            # of one or two pixels the bar of 25 holds to 1e4
    settled(pieces(size, [1.0, contrast]), most)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_small_pieces_of_insulator(size):
    settled(pieces(size, [0.0, 1.0]), 25)


def test_small_pieces_of_insulator_and_two_conductors():
    for size, contrast, most in ((3, 1e2, 25), (3, 1e4, 50), (5, 1e4, 25)):
        settled(pieces(size, [0.0, 1.0, contrast]), most)


def test_only_pictures_of_small_pieces_take_joined_steps():
    def steps(size, contrast):
        k = pieces(size, [1.0, contrast])
        return len(Multigrid(conduction(k))._top[0])
    assert [steps(size, 1e4) for size in (1, 2, 3, 16)] == [3, 3, 3, 1]
    assert [steps(size, 1e2) for size in (1, 16)] == [1, 1]


def test_several_loads_are_what_each_is_alone():
    k = pieces(16, [1.0, 17.0, 300.0], 192)
    fixed = np.zeros((193, 193), bool)
    fixed[[0, -1]] = True
    values = np.random.default_rng(0).random((5, 193, 193))
    conductor = Conductor(k, fixed=fixed)
    together = conductor.solve(values=values).potential
    for n in range(5):
        np.testing.assert_allclose(together[n], conductor.solve(values=values[n:n + 1]).potential[0], atol=1e-7)
