"""Certified lower bounds of conductance: the least power of the fluxes that are divergence-free pixel by pixel.

By Thomson's principle the power of *any* flux that goes in and out at the terminals, loses nothing on its way and stays
out of insulators bounds the resistance from above. Here a flux is what crosses each pixel edge, linear inside a pixel
(the lowest Raviart-Thomas element, which is what the curl of a bilinear stream function is). The best of them is one
start, carried along trees through the picture, plus the curl of a stream function, and that is the problem of
conduction again: resistivities for conductivities, insulators for floating perfect conductors (nodes tied, exactly),
terminals for insulators. (J. L. Synge, "The hypercircle in mathematical physics", 1957; P. A. Raviart, J. M. Thomas,
Lect. Notes Math. 606 (1977) 292.)
"""

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces
from cukernels.krylov import conjugate_gradients
from cukernels.multigrid import Multigrid
from cukernels.stencil import conduction, conducts, embed, interior
from numba import njit

from .edge_power import gathered, powers
from .ties import Ties, at_nodes, stiffness, tie

_STIFFEST = 1e7  # times the least resistivity, where the rest itself spans so much that single precision would suffer
_BATCH = 8  # fluxes relaxed side by side


def terminal_bound(k, terminals, inflow, dx, dy, tolerance):
    """(K, K) NumPy, below the conductance matrix between K terminals in the sense of quadratic forms.

    k: (H, W) conductivity, >= 0, infinite in a perfect conductor that is no terminal, or tensors (3, H, W). terminals: (H, W) int, 0 or 1 .. K,
    perfect conductors, none touching another; all else about the picture is insulated. inflow: (L, H + 1, W + 1) current into the nodes of the terminals, in L
    patterns that should nearly span all that can flow: only how it splits over the parts of a terminal is used.
    """
    host_terminals, host_k = to_host(terminals), to_host(k)
    across, down = _carried(conducts(host_k), host_terminals, to_host(inflow))
    injected = _injected(across, down, host_terminals, int(host_terminals.max()))
    power = _bound_of(k, terminals, across, down, dx, dy, tolerance)[0]
    # any combination c of the patterns bounds v.G v >= 2 c.(I v) - c.(P c); the best one gives I' P^-1 I
    size, direction = np.linalg.eigh(power)
    kept = size > 1e-11 * max(size[-1], 0)
    root = (direction[:, kept] / np.sqrt(size[kept])).T @ injected
    return root.T @ root


def _bound_of(k, terminals, across, down, dx, dy, tolerance):
    """((L, L) NumPy least powers of fluxes through pixel edges, the fluxes then); across, down: NumPy, (L, H, W + 1) to the right and (L, H + 1, W) down."""
    xp = array_module(k)
    resistivity, void = _inverse(xp.where(terminals > 0, 0, k))
    void &= terminals == 0
    labels, _ = pieces(void, connectivity=8)
    nodes = at_nodes(labels)
    held = xp.zeros(nodes.shape, bool)
    held[[0, -1]] = True
    held[:, [0, -1]] = True
    outside = xp.zeros(int(labels.max()) + 1, bool)
    outside[nodes[held]] = True
    outside[0] = False
    held |= outside[nodes]
    across, down = xp.asarray(across), xp.asarray(down)
    power = _least_power(resistivity, across, down, void & ~outside[labels], xp.where(held, 0, nodes), held, dx, dy, (False, False), tolerance)
    return power, across, down


def source_bound(k, source, cold, film, dx, dy, tolerance):
    """Not below the power at which `source` flows to the sides, the resistance times the source's square; inf without a way.

    k: (H, W) conductivity, >= 0. source: (H, W) NumPy, what each pixel gives off, spread evenly in it. cold: names of sides at
    0. film: dict of convecting ones, name to coefficient h; what leaves through a pixel's edge of length s takes F^2 / (h s) more.
    One sink runs all round, so that the flux is free to choose its side; before it lies a row of pixels: of the sink on a cold side, of
    insulator on an insulated one, and as resistive as the film on a convecting one, whose own power is then taken exactly.
    """
    xp, resistivity = array_module(k), _inverse(k)[0]
    k, source, sink = xp.pad(k, 2), np.pad(source, 2), np.pad(np.zeros(k.shape, bool), 2)
    sink[[0, -1]] = sink[:, [0, -1]] = True
    inside = np.s_[2:-2]
    beside = {"top": (1, inside), "bottom": (-2, inside), "left": (inside, 1), "right": (inside, -2)}
    for side, place in beside.items():
        sink[place] = side in cold
        k[place] = film.get(side, 0.0) * (dy if side in ("top", "bottom") else dx)
    terminals = sink.astype(np.int32)
    host_k = to_host(k)
    reach = ((host_k > 0) | sink).astype(np.uint8)
    order, parent = _trees(sink, reach)
    load = source.ravel().copy()
    if (load[parent == -2] != 0).any():
        return np.inf
    across, down = np.zeros((1, k.shape[0], k.shape[1] + 1)), np.zeros((1, k.shape[0] + 1, k.shape[1]))
    _carry(order, parent, load, across[0], down[0])
    power, across, down = _bound_of(k, xp.asarray(terminals), across, down, dx, dy, tolerance)
    if not film:
        return float(power[0, 0])
    across, down = across[:, 2:-2, 2:-2], down[:, 2:-2, 2:-2]
    leaving = {"top": (down[0, 0], dx), "bottom": (down[0, -1], dx), "left": (across[0, :, 0], dy), "right": (across[0, :, -1], dy)}
    own = powers(resistivity[None], dx / dy / 6, dy / dx / 6, xp.ascontiguousarray(across), xp.ascontiguousarray(down))[0, 0]
    return float(own) + sum(float((leaving[side][0] ** 2).sum()) / (h * leaving[side][1]) for side, h in film.items())


def periodic_bound(k, dx, dy, tolerance):
    """(2, 2) NumPy, below the effective conductivity of the picture k repeated both ways; at least 2 x 2 pixels."""
    xp = array_module(k)
    rows, columns = k.shape[-2:]
    resistivity, void = _inverse(k)
    labels, _ = pieces(void, connectivity=8, periodic=True)
    turns, winding = _unwind(to_host(labels)) if bool(void.any()) else (None, np.zeros((1, 2)))
    # no mean flux across an endless insulator: the mean gradient of the stream function must not climb along it
    climb = winding * np.array([rows * dy, columns * dx])
    free = [np.eye(2), _normal(climb), np.zeros((0, 2))][np.linalg.matrix_rank(climb)]
    if len(free) == 0:
        return np.zeros((2, 2))
    potential = xp.zeros((len(free), rows, columns))
    if turns is not None:
        potential = xp.asarray(-np.tensordot(free, _unwound_nodes(turns, dx, dy), 1))
    across, down = _curl(potential, (True, True))
    across += xp.asarray(free[:, 0] * dy)[:, None, None]
    down -= xp.asarray(free[:, 1] * dx)[:, None, None]
    for part in (across[:, :, :-1], across[:, :, 1:], down[:, :-1], down[:, 1:]):
        part[:, void] = 0  # but for rounding it is
    power = _least_power(resistivity, across, down, void, at_nodes(labels, (True, True)), None, dx, dy, (True, True), tolerance)
    # a stream function that climbs by g carries the mean flux (g_y, -g_x)
    mean = free * np.array([1.0, -1.0])
    return mean.T @ np.linalg.solve(power / (rows * dy * columns * dx), mean)


def _inverse(k):
    """(resistivity, void): numbers or tensors as k is; 0 in voids, which pixels are too that conduct one way only."""
    xp = array_module(k)
    if k.ndim == 2:
        return xp.where(k > 0, 1 / xp.where(k > 0, k, 1), 0), k == 0
    size = k[0] * k[1] - k[2] * k[2]
    void = size <= 1e-12 * k[0] * k[1]
    size = xp.where(void, 1, size)
    return xp.where(void, 0, xp.stack([k[1] / size, k[0] / size, -k[2] / size])), void


def _least_power(resistivity, across, down, stiff, groups, held, dx, dy, periodic, tolerance):
    """(L, L) powers of the L fluxes once each has taken on the curl that lessens its power most, to the tolerance squared:
    every curl gives a bound, so 1e-5 is enough.

    across (L, H, W + 1), down (L, H + 1, W): what crosses each pixel edge to the right and down; changed.
    """
    xp, tolerance = array_module(resistivity), max(tolerance, 1e-5)
    scale = float(resistivity.max()) or 1.0
    resistivity = resistivity / scale
    least = float(xp.where(resistivity > 0, resistivity, 1).min())
    high = min(stiffness(stiff, periodic), max(_STIFFEST * least, 3.0))
    if resistivity.ndim == 2:
        dual = xp.where(stiff, high, resistivity)
    else:  # the stream function's derivatives are the flux turned by a quarter
        dual = xp.stack([xp.where(stiff, high, resistivity[1]), xp.where(stiff, high, resistivity[0]), -resistivity[2]])
    operator = conduction(dual, dx, dy, periodic, held)
    ties = Ties(groups)
    # of numbers; the links of tensors speak for themselves
    contrast = 1 / least if resistivity.ndim == 2 else None
    apply, precondition, _ = tie(ties, operator, Multigrid(operator, contrast))
    how = resistivity[None] if resistivity.ndim == 2 else resistivity, dx / dy / 6, dy / dx / 6
    for first in range(0, len(across), _BATCH):
        some = across[first:first + _BATCH], down[first:first + _BATCH]
        load, start = gathered(*how, *some)
        b = embed(_wrapped(load, periodic), (False, False)) * operator.free
        solution = conjugate_gradients(apply, precondition, ties.average(b), None, tolerance, start)
        for part, more in zip(some, _curl(interior(ties.average(solution.x)), periodic)):
            part += more
    power = powers(*how, across, down)
    return scale * (power + power.T) / 2


def _wrapped(load, periodic):
    """A load at the (H + 1, W + 1) nodes of a picture at the nodes that there are where sides wrap."""
    if periodic[0]:
        load[:, 0] += load[:, -1]
        load = load[:, :-1]
    if periodic[1]:
        load[:, :, 0] += load[:, :, -1]
        load = load[:, :, :-1]
    return load


def _curl(stream, periodic):
    """What the stream function at the nodes sends across pixel edges: (L, H, W + 1) to the right, (L, H + 1, W) down."""
    xp = array_module(stream)
    if periodic[0]:
        stream = xp.concatenate([stream, stream[:, :1]], axis=1)
    if periodic[1]:
        stream = xp.concatenate([stream, stream[:, :, :1]], axis=2)
    return stream[:, 1:] - stream[:, :-1], stream[:, :, :-1] - stream[:, :, 1:]


def _normal(climb):
    """The unit vector across the last row, (1, 2)."""
    y, x = climb[-1]
    return np.array([[-x, y]]) / max(np.hypot(x, y), 1e-300)


def _carried(conducting, terminals, inflow):
    """Fluxes (L, H, W + 1) to the right and (L, H + 1, W) down that carry the inflow of all terminals.

    Pixel to pixel through their edges, along trees that grow from one part of a terminal in each piece of the picture;
    what does not cancel leaves there.
    """
    reach = (conducting | (terminals > 0)).astype(np.uint8)
    piece, count = pieces(reach, connectivity=4)
    part, parts = pieces(terminals, connectivity=4)
    sizes = np.bincount(part.ravel(), minlength=parts + 1)
    home = np.zeros(parts + 1, np.int64)
    home[part.ravel()] = piece.ravel()
    root = np.zeros(count + 1, np.int64)
    for n in np.argsort(sizes[1:], kind="stable") + 1:
        root[home[n]] = n
    demand = _demand(terminals > 0, inflow)
    root[0] = -1
    order, parent = _trees((part > 0) & (root[piece] == part), reach)
    across, down = np.zeros((len(inflow), *reach.shape)), np.zeros((len(inflow), *reach.shape))
    across, down = np.pad(across, ((0, 0), (0, 0), (0, 1))), np.pad(down, ((0, 0), (0, 1), (0, 0)))
    for n in range(len(inflow)):
        _carry(order, parent, demand[n].ravel(), across[n], down[n])
    return across, down


@njit(cache=True)
def _demand(inside, inflow):
    """The inflow of each node of the terminals, given to one pixel of theirs that has it for a corner: (L, H, W)."""
    rows, columns = inside.shape
    demand = np.zeros((len(inflow), rows, columns))
    for i in range(rows + 1):
        for j in range(columns + 1):
            for y, x in ((i, j), (i, j - 1), (i - 1, j), (i - 1, j - 1)):
                if 0 <= y < rows and 0 <= x < columns and inside[y, x]:
                    for n in range(len(inflow)):
                        demand[n, y, x] += inflow[n, i, j]
                    break
    return demand


@njit(cache=True)
def _injected(across, down, terminals, count):
    """(L, K) what the terminals give off."""
    total = np.zeros((len(across), count))
    for n in range(len(across)):
        for i in range(terminals.shape[0]):
            for j in range(terminals.shape[1]):
                if terminals[i, j] > 0:
                    total[n, terminals[i, j] - 1] += across[n, i, j + 1] - across[n, i, j] + down[n, i + 1, j] - down[n, i, j]
    return total


def _unwound_nodes(turns, dx, dy):
    """(2, H, W) y and x of the corners of unwound pixels, laid out in the plane; 0 at other nodes."""
    place = np.zeros((2, *turns.shape[1:]))
    for i in (0, 1):
        for j in (0, 1):
            y, x = np.indices(place.shape[1:]) + np.array([i, j])[:, None, None]
            corner = np.stack([(y + turns[0] * place.shape[1]) * dy, (x + turns[1] * place.shape[2]) * dx])
            place = np.where(np.roll(turns[2], (i, j), (0, 1)) > 0, np.roll(corner, (i, j), (1, 2)), place)
    return place


@njit(cache=True)
def _trees(root, reach):
    """(order, parent): pixels reached from the roots edge by edge, nearest first, and from which pixel; -1 for a root."""
    rows, columns = reach.shape
    order, parent = np.empty(rows * columns, np.int32), np.full(rows * columns, -2, np.int32)
    end = 0
    for n in range(rows * columns):
        if root[n // columns, n % columns]:
            order[end], parent[n] = n, -1
            end += 1
    begin = 0
    while begin < end:
        n = order[begin]
        begin += 1
        i, j = n // columns, n % columns
        for y, x in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            if 0 <= y < rows and 0 <= x < columns and reach[y, x] and parent[y * columns + x] == -2:
                parent[y * columns + x] = n
                order[end] = y * columns + x
                end += 1
    return order[:end], parent


@njit(cache=True)
def _carry(order, parent, load, across, down):
    """Send the load of every pixel to the root of its tree; load is used up."""
    columns = down.shape[1]
    for m in range(order.size - 1, -1, -1):
        n = order[m]
        p = parent[n]
        if p < 0 or load[n] == 0:
            continue
        i, j = n // columns, n % columns
        # rows first: in a picture one pixel wide the next pixel is the one below
        if p == n + columns:
            down[i + 1, j] += load[n]
        elif p == n - columns:
            down[i, j] -= load[n]
        elif p > n:
            across[i, j + 1] += load[n]
        else:
            across[i, j] -= load[n]
        load[p] += load[n]


@njit(cache=True)
def _unwind(labels):
    """Periodic pieces laid out in the plane, joined through edges and corners.

    ((3, H, W) how often each pixel's place has gone round the picture along y, along x, and 1 where that is set;
    (M, 2) ways round the picture, in turns along y and x, on which a piece meets itself).
    """
    rows, columns = labels.shape
    turns, stack = np.zeros((3, rows, columns), np.int64), np.empty(rows * columns, np.int64)
    winding = [(0, 0)]
    for first in range(rows * columns):
        if labels[first // columns, first % columns] == 0 or turns[2, first // columns, first % columns]:
            continue
        stack[0], end = first, 1
        turns[2, first // columns, first % columns] = 1
        while end > 0:
            end -= 1
            i, j = stack[end] // columns, stack[end] % columns
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    ty, y = turns[0, i, j] + (i + di) // rows, (i + di) % rows
                    tx, x = turns[1, i, j] + (j + dj) // columns, (j + dj) % columns
                    if labels[y, x] == 0:
                        continue
                    if turns[2, y, x] == 0:
                        turns[0, y, x], turns[1, y, x], turns[2, y, x] = ty, tx, 1
                        stack[end] = y * columns + x
                        end += 1
                    elif turns[0, y, x] != ty or turns[1, y, x] != tx:
                        way = (ty - turns[0, y, x], tx - turns[1, y, x])
                        if len(winding) == 1 or (len(winding) == 2 and way[0] * winding[1][1] != way[1] * winding[1][0]):
                            winding.append(way)
    return turns, np.array(winding)
