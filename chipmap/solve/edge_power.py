"""The power of fluxes given by what crosses each pixel edge, and how it falls with a stream function.

In a pixel of size dx times dy a flux is linear between its edges (the lowest Raviart-Thomas element): with l and r what
crosses the left and the right edge, u and d the upper and the lower, its power is

    xx dx/dy / 3 (l l + l r + r r) + yy dy/dx / 3 (u u + u d + d d) + xy / 2 (l + r) (u + d)

for the resistivity xx, yy, xy. Here `drop` is what drives the flux across an edge, half the derivative of the power.
"""

import numpy as np
from cukernels.backend import array_module, on_device, to_host
from cukernels.stencil import chunks
from cukernels.threads import in_pieces
from numba import njit


def gathered(resistivity, x, y, across, down):
    """(half of how much the power of each flux falls with its stream function at the nodes, (L, H + 1, W + 1); the powers (L,) NumPy).

    resistivity: (1, H, W) numbers, or (3, H, W) tensors xx, yy, xy. x, y: dx / dy / 6 and dy / dx / 6. across (L, H, W + 1),
    down (L, H + 1, W): fluxes to the right and down. NumPy or CuPy.
    """
    if on_device(across):
        return _gathered_device(resistivity, x, y, across, down)
    out = np.empty((len(across), down.shape[1], across.shape[2]))
    own = in_pieces(_gather_rows, chunks(down.shape[1]), resistivity, x, y, across, down, out)
    return out, np.sum(own, axis=0)


def powers(resistivity, x, y, across, down):
    """(L, L) NumPy, integrals of the resistivity times each two of the fluxes. Arguments as of `gathered`."""
    if on_device(across):
        return _powers_device(resistivity, x, y, across, down)
    return np.sum(in_pieces(_power_rows, chunks(across.shape[1]), resistivity, x, y, across, down), axis=0)


@njit(cache=True)
def _drop_row(resistivity, i, x, y, across, down, drop):
    """drop (4, W): across the left, right, upper and lower edges of pixel row i."""
    row, upper, lower = across[i], down[i], down[i + 1]
    if len(resistivity) == 1:
        own = resistivity[0, i]
        for j in range(own.size):
            drop[0, j] = x * own[j] * (2 * row[j] + row[j + 1])
            drop[1, j] = x * own[j] * (2 * row[j + 1] + row[j])
            drop[2, j] = y * own[j] * (2 * upper[j] + lower[j])
            drop[3, j] = y * own[j] * (2 * lower[j] + upper[j])
        return
    along_x, along_y, turned = resistivity[0, i], resistivity[1, i], resistivity[2, i]
    for j in range(along_x.size):
        upright, sideways = turned[j] / 4 * (upper[j] + lower[j]), turned[j] / 4 * (row[j] + row[j + 1])
        drop[0, j] = x * along_x[j] * (2 * row[j] + row[j + 1]) + upright
        drop[1, j] = x * along_x[j] * (2 * row[j + 1] + row[j]) + upright
        drop[2, j] = y * along_y[j] * (2 * upper[j] + lower[j]) + sideways
        drop[3, j] = y * along_y[j] * (2 * lower[j] + upper[j]) + sideways


@njit(cache=True)
def _corners(out, above, below):
    """out (W + 1,): what the pixel rows above and below a row of nodes give to it, from their drops."""
    out[:] = 0
    for j in range(above.shape[1]):
        out[j] += below[0, j] - below[2, j] - above[0, j] - above[3, j]
        out[j + 1] += below[1, j] + below[2, j] + above[3, j] - above[1, j]


@njit(cache=True)
def _product(drop, across, upper, lower):
    total, other = 0.0, 0.0
    for j in range(drop.shape[1]):
        total += drop[0, j] * across[j] + drop[1, j] * across[j + 1]
        other += drop[2, j] * upper[j] + drop[3, j] * lower[j]
    return total + other


@njit(cache=True, nogil=True)
def _gather_rows(resistivity, x, y, across, down, out, first, last):
    """Node rows first .. last - 1; returns the powers in the pixel rows of the same numbers."""
    rows, columns = resistivity.shape[1:]
    above, below, own = np.zeros((4, columns)), np.zeros((4, columns)), np.zeros(len(across))
    for n in range(len(across)):
        below[:] = 0
        if first > 0:
            _drop_row(resistivity, first - 1, x, y, across[n], down[n], below)
        for i in range(first, last):
            above, below = below, above
            if i < rows:
                _drop_row(resistivity, i, x, y, across[n], down[n], below)
                own[n] += _product(below, across[n, i], down[n, i], down[n, i + 1])
            else:
                below[:] = 0
            _corners(out[n, i], above, below)
    return own


@njit(cache=True, nogil=True)
def _power_rows(resistivity, x, y, across, down, first, last):
    drop, total = np.zeros((4, resistivity.shape[2])), np.zeros((len(across), len(across)))
    for i in range(first, last):
        for n in range(len(across)):
            _drop_row(resistivity, i, x, y, across[n], down[n], drop)
            for m in range(len(across)):
                total[m, n] += _product(drop, across[m, i], down[m, i], down[m, i + 1])
    return total


def _drop_device(resistivity, x, y, across, down):
    left, right, upper, lower = across[:, :, :-1], across[:, :, 1:], down[:, :-1], down[:, 1:]
    x, y = x * resistivity[0], y * resistivity[0 if len(resistivity) == 1 else 1]
    drops = x * (2 * left + right), x * (2 * right + left), y * (2 * upper + lower), y * (2 * lower + upper)
    if len(resistivity) == 1:
        return drops
    sideways, upright = resistivity[2] / 4 * (left + right), resistivity[2] / 4 * (upper + lower)
    return drops[0] + upright, drops[1] + upright, drops[2] + sideways, drops[3] + sideways


def _gathered_device(resistivity, x, y, across, down):
    left, right, upper, lower = _drop_device(resistivity, x, y, across, down)
    corners = (left - upper, right + upper), (-left - lower, lower - right)
    rows, columns = left.shape[1:]
    out = array_module(left).zeros((len(left), rows + 1, columns + 1))
    for i in (0, 1):
        for j in (0, 1):
            out[:, i:i + rows, j:j + columns] += corners[i][j]
    return out, np.diag(_powers_device(resistivity, x, y, across, down)).copy()


def _powers_device(resistivity, x, y, across, down):
    xp, edges = array_module(across), (across[:, :, :-1], across[:, :, 1:], down[:, :-1], down[:, 1:])
    drop = _drop_device(resistivity, x, y, across, down)
    return to_host(sum(xp.einsum("aij,bij->ab", a, b, optimize=True) for a, b in zip(edges, drop)))
