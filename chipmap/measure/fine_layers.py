"""A picture's edges, where they have been measured, as elements of layers: distances of pixel corners from the edges near them."""

import math

import numpy as np
from numba import njit

from chipmap.measure.edges import moved_tensors
from chipmap.solve.layers import SMEAR, elements

NEAR = 2.2          # pixels about a corner within which faces say how far their edge is
SCALE = 1.0         # pixels: standard deviation of the weights they say it with
SPREAD = 0.15       # pixels squared: of the points of a line along it, for them to say how it runs
REACH = 2           # pixels from an edge beyond which it does not cut a pixel


def moved_elements(edges, moved, k, dx, dy):
    """(6, H, W) conductances, as of `stencil.conduction`, of a picture whose edges are displaced by `moved` (F,) pixels.

    edges: `edges.Edges` of the picture; k: (H, W) NumPy conductivity of each pixel, one an object. dx, dy: pixel size. Pixels
    that one edge cuts, or two of one object (a thin layer), bring the elements of layers; those where more meet, or an insulator, stay tensors (`edges.moved_tensors`).
    """
    tensors = moved_tensors(edges, moved, k)
    a, b = dy / dx, dx / dy
    xx, yy, xy = tensors
    across = (xx * a + yy * b) / 6
    out = np.stack([xx * (a / 3) - yy * (b / 6)] * 2 + [yy * (b / 3) - xx * (a / 6)] * 2 + [across + xy / 2, across - xy / 2])
    x = (edges.column + np.where(edges.across == 1, 1.0 + moved, 0.5)) * dx
    y = (edges.row + np.where(edges.across == 0, 1.0 + moved, 0.5)) * dy
    turned = edges.inner > edges.outer
    low, high = np.minimum(edges.inner, edges.outer), np.maximum(edges.inner, edges.outer)
    normal = np.where(turned[:, None], -edges.normal, edges.normal)
    at, count = _near(x / dx, y / dy, k.shape[0] + 1, k.shape[1] + 1)
    names, said = _corners(x, y, normal, low, high, edges.weight, at, count, dx, dy)
    value = np.zeros(int(high.max(initial=0)) + 1)
    value[edges.inner], value[edges.outer] = k[edges.row, edges.column], k[edges.beyond]
    row, column, layers, distance = _pixels(at, names, said, value, max(dx, dy))
    smear = SMEAR * max(dx, dy)
    crossed = ((distance.max(axis=0) > -smear) & (distance.min(axis=0) < smear)).any(axis=0)
    own = crossed & (layers.max(axis=0) > layers.min(axis=0)) & (layers.min(axis=0) > 0)
    out[:, row[own], column[own]] = elements(layers[:, own], np.ascontiguousarray(distance[:, :, own]), dx, dy)
    return out


@njit(cache=True)
def _near(x, y, rows, columns):
    """((R, C) number of each corner that a face is near, -1 elsewhere; how many): x, y in pixels."""
    at, count = np.full((rows, columns), -1, np.int32), 0
    for f in range(x.size):
        for i in range(max(0, int(math.ceil(y[f] - NEAR))), min(rows - 1, int(math.floor(y[f] + NEAR))) + 1):
            for j in range(max(0, int(math.ceil(x[f] - NEAR))), min(columns - 1, int(math.floor(x[f] + NEAR))) + 1):
                if at[i, j] < 0:
                    at[i, j] = count
                    count += 1
    return at, count


@njit(cache=True)
def _corners(x, y, normal, low, high, weight, at, count, dx, dy):
    """For each of N corners up to two edges near it: names (N, 2, 2) of their objects, -1 for none, -2 where there are more than two, and
    said (N, 2, 4): 1 where there is one, the distance from it, and which way it looks."""
    rows, columns = at.shape
    names, said, sums = np.full((count, 2, 2), -1, np.int64), np.zeros((count, 2, 4)), np.zeros((count, 2, 6))
    for f in range(x.size):
        at_i, at_j = y[f] / dy, x[f] / dx
        for i in range(max(0, int(math.ceil(at_i - NEAR))), min(rows - 1, int(math.floor(at_i + NEAR))) + 1):
            for j in range(max(0, int(math.ceil(at_j - NEAR))), min(columns - 1, int(math.floor(at_j + NEAR))) + 1):
                far = (i - at_i) ** 2 + (j - at_j) ** 2
                if far > NEAR * NEAR:
                    continue
                w = weight[f] * math.exp(-0.5 * far / (SCALE * SCALE))
                p = at[i, j]
                to_x, to_y = x[f] - j * dx, y[f] - i * dy
                slot = -1
                for s in range(2):
                    same = names[p, s, 0] == low[f] and names[p, s, 1] == high[f]
                    if names[p, s, 0] == -1 or same and said[p, s, 2] * normal[f, 0] + said[p, s, 3] * normal[f, 1] > 0:
                        slot = s
                        break
                if slot < 0:
                    if far < REACH:
                        names[p, 0, 0] = -2
                    continue
                if names[p, slot, 0] == -1:
                    names[p, slot, 0], names[p, slot, 1] = low[f], high[f]
                said[p, slot, 2] += w * normal[f, 0]
                said[p, slot, 3] += w * normal[f, 1]
                for n, part in enumerate((1.0, to_x, to_y, to_x * to_x, to_x * to_y, to_y * to_y)):
                    sums[p, slot, n] += w * part
    for p in range(count):
        for s in range(2):
            if sums[p, s, 0] > 0:
                said[p, s, 0], said[p, s, 1] = 1, _from_line(sums[p, s], said[p, s, 2], said[p, s, 3], dx * dy)
    return names, said


@njit(cache=True)
def _from_line(sums, looks_x, looks_y, area):
    """Distance of the origin from the straight line through weighed points, positive on the side that the normals look to. Where the
    points lie too close together to say how it runs, the normals do."""
    x, y = sums[1] / sums[0], sums[2] / sums[0]
    xx, xy, yy = sums[3] / sums[0] - x * x, sums[4] / sums[0] - x * y, sums[5] / sums[0] - y * y
    half = math.hypot((xx - yy) / 2, xy)
    if (xx + yy) / 2 + half < SPREAD * area:
        length = math.hypot(looks_x, looks_y)
        return -(x * looks_x + y * looks_y) / length
    angle = 0.5 * math.atan2(2 * xy, xx - yy)          # of the line
    across_x, across_y = -math.sin(angle), math.cos(angle)
    if across_x * looks_x + across_y * looks_y < 0:
        across_x, across_y = -across_x, -across_y
    return -(x * across_x + y * across_y)


def _pixels(at, names, said, value, pixel):
    """(row, column, k (3, M), distance (4, 2, M)) of the pixels that one edge or two of one object cut."""
    row, column, layers, distance = _pixels_of(at, names, said, value, pixel)
    return row, column, layers.T.copy(), distance.transpose(1, 2, 0).copy()


@njit(cache=True)
def _pixels_of(at, names, said, value, pixel):
    rows, columns, most = at.shape[0] - 1, at.shape[1] - 1, len(names)
    row, column = np.empty(most, np.int32), np.empty(most, np.int32)
    layers, distance = np.empty((most, 3)), np.empty((most, 4, 2))
    found = 0
    near, own, sign = np.empty((2, 4)), np.empty((2, 2), np.int64), np.empty((2, 2))
    for i in range(rows):
        for j in range(columns):
            p = at[i, j]
            if p < 0 or at[i + 1, j] < 0 or at[i, j + 1] < 0 or at[i + 1, j + 1] < 0:
                continue
            count, clean = 0, names[p, 0, 0] != -2
            for s in range(2):
                if not clean or names[p, s, 0] < 0 or said[p, s, 0] <= 0:
                    continue
                close = False
                for c in range(4):
                    q, slot = at[i + c // 2, j + c % 2], -1
                    if names[q, 0, 0] == -2:
                        clean = False
                    for t in range(2):
                        if names[q, t, 0] == names[p, s, 0] and names[q, t, 1] == names[p, s, 1] and said[q, t, 0] > 0 and (
                                said[q, t, 2] * said[p, s, 2] + said[q, t, 3] * said[p, s, 3] > 0):
                            slot = t
                    if slot < 0:
                        near[count, c] = np.nan
                    else:
                        near[count, c] = said[q, slot, 1]
                        close |= abs(near[count, c]) < REACH * pixel
                whole = not np.isnan(near[count].sum())
                if not whole and close:
                    clean = clean and not abs(near[count, 0]) < pixel
                elif whole:
                    own[count, 0], own[count, 1] = names[p, s, 0], names[p, s, 1]
                    sign[count, 0], sign[count, 1] = said[p, s, 2], said[p, s, 3]
                    count += 1
            if not clean or count == 0:
                continue
            first = 0
            if count == 2:
                if sign[0, 0] * sign[1, 0] + sign[0, 1] * sign[1, 1] < 0:
                    own[1, 0], own[1, 1] = own[1, 1], own[1, 0]
                    near[1] = -near[1]
                first = 0 if near[0].sum() >= near[1].sum() else 1
                ordered = True
                for c in range(4):
                    ordered &= near[first, c] >= near[1 - first, c]
                if not ordered or own[first, 1] != own[1 - first, 0]:
                    continue
            row[found], column[found] = i, j
            layers[found, 0], layers[found, 1] = value[own[first, 0]], value[own[first, 1]]
            layers[found, 2] = value[own[1 - first, 1]] if count == 2 else layers[found, 1]
            for c in range(4):
                distance[found, c, 0] = near[first, c]
                distance[found, c, 1] = near[1 - first, c] if count == 2 else near[first, c]
            found += 1
    return row[:found], column[:found], layers[:found], distance[:found]
