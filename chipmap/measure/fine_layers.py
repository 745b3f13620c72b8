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
    names, said = _corners(x, y, normal, low, high, edges.weight, k.shape[0] + 1, k.shape[1] + 1, dx, dy)
    value = np.zeros(int(high.max(initial=0)) + 1)
    value[edges.inner], value[edges.outer] = k[edges.row, edges.column], k[edges.beyond]
    row, column, layers, distance = _pixels(names, said, value, max(dx, dy))
    smear = SMEAR * max(dx, dy)
    crossed = ((distance.max(axis=0) > -smear) & (distance.min(axis=0) < smear)).any(axis=0)
    own = crossed & (layers.max(axis=0) > layers.min(axis=0)) & (layers.min(axis=0) > 0)
    out[:, row[own], column[own]] = elements(layers[:, own], np.ascontiguousarray(distance[:, :, own]), dx, dy)
    return out


@njit(cache=True)
def _corners(x, y, normal, low, high, weight, rows, columns, dx, dy):
    """For each corner up to two edges near it: names (R, C, 2, 2) of their objects, -1 for none, -2 where there are more than two, and
    said (R, C, 2, 4): 1 where there is one, the distance from it, and which way it looks."""
    names, said, sums = np.full((rows, columns, 2, 2), -1, np.int64), np.zeros((rows, columns, 2, 4)), np.zeros((rows, columns, 2, 6))
    for f in range(x.size):
        at_i, at_j = y[f] / dy, x[f] / dx
        for i in range(max(0, int(math.ceil(at_i - NEAR))), min(rows - 1, int(math.floor(at_i + NEAR))) + 1):
            for j in range(max(0, int(math.ceil(at_j - NEAR))), min(columns - 1, int(math.floor(at_j + NEAR))) + 1):
                far = (i - at_i) ** 2 + (j - at_j) ** 2
                if far > NEAR * NEAR:
                    continue
                w = weight[f] * math.exp(-0.5 * far / (SCALE * SCALE))
                to_x, to_y = x[f] - j * dx, y[f] - i * dy
                slot = -1
                for s in range(2):
                    same = names[i, j, s, 0] == low[f] and names[i, j, s, 1] == high[f]
                    if names[i, j, s, 0] == -1 or same and said[i, j, s, 2] * normal[f, 0] + said[i, j, s, 3] * normal[f, 1] > 0:
                        slot = s
                        break
                if slot < 0:
                    if far < REACH:
                        names[i, j, 0, 0] = -2
                    continue
                if names[i, j, slot, 0] == -1:
                    names[i, j, slot, 0], names[i, j, slot, 1] = low[f], high[f]
                said[i, j, slot, 2] += w * normal[f, 0]
                said[i, j, slot, 3] += w * normal[f, 1]
                for n, part in enumerate((1.0, to_x, to_y, to_x * to_x, to_x * to_y, to_y * to_y)):
                    sums[i, j, slot, n] += w * part
    for i in range(rows):
        for j in range(columns):
            for s in range(2):
                if sums[i, j, s, 0] > 0:
                    said[i, j, s, 0], said[i, j, s, 1] = 1, _from_line(sums[i, j, s], said[i, j, s, 2], said[i, j, s, 3], dx * dy)
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


def _pixels(names, said, value, pixel):
    """(row, column, k (3, M), distance (4, 2, M)) of the pixels that one edge or two of one object cut."""
    row, column, layers, distance = _pixels_of(names, said, value, pixel)
    return row, column, layers.T.copy(), distance.transpose(1, 2, 0).copy()


@njit(cache=True)
def _pixels_of(names, said, value, pixel):
    rows, columns = names.shape[0] - 1, names.shape[1] - 1
    row, column = np.empty(rows * columns, np.int32), np.empty(rows * columns, np.int32)
    layers, distance = np.empty((rows * columns, 3)), np.empty((rows * columns, 4, 2))
    found = 0
    near, own, sign = np.empty((2, 4)), np.empty((2, 2), np.int64), np.empty((2, 2))
    for i in range(rows):
        for j in range(columns):
            count, clean = 0, names[i, j, 0, 0] != -2
            for s in range(2):
                if not clean or names[i, j, s, 0] < 0 or said[i, j, s, 0] <= 0:
                    continue
                close = False
                for c in range(4):
                    y, x, slot = i + c // 2, j + c % 2, -1
                    if names[y, x, 0, 0] == -2:
                        clean = False
                    for t in range(2):
                        if names[y, x, t, 0] == names[i, j, s, 0] and names[y, x, t, 1] == names[i, j, s, 1] and said[y, x, t, 0] > 0 and (
                                said[y, x, t, 2] * said[i, j, s, 2] + said[y, x, t, 3] * said[i, j, s, 3] > 0):
                            slot = t
                    if slot < 0:
                        near[count, c] = np.nan
                    else:
                        near[count, c] = said[y, x, slot, 1]
                        close |= abs(near[count, c]) < REACH * pixel
                whole = not np.isnan(near[count].sum())
                if not whole and close:
                    clean = clean and not abs(near[count, 0]) < pixel
                elif whole:
                    own[count, 0], own[count, 1] = names[i, j, s, 0], names[i, j, s, 1]
                    sign[count, 0], sign[count, 1] = said[i, j, s, 2], said[i, j, s, 3]
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
