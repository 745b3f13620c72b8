"""Edges between objects: where they run, where the grey says they really are, and the picture with its edges moved there."""

from dataclasses import dataclass

import numpy as np

SMOOTH = 2.0        # pixels along an edge over which its place is averaged
REACH = 6           # pixels to each side of an edge in which its grey is gathered
AROUND = 3          # pixels around a face that say which way the edge runs
DEEP = 4            # pixels away from every edge, where a grey level is that of the material alone
ENOUGH = 30         # such pixels, for a level of an object's own
UNSEEN = 0.02       # doubt of a level that is nowhere seen away from edges, share of the range of levels
ROUNDING_PX = 12 ** -0.5


@dataclass(frozen=True)
class Edges:
    """F faces between neighbouring pixels of different objects, one for each row (or column) an edge crosses.

    inner, outer: (F,) objects on the two sides, inner left or above. row, column: (F,) of the inner pixel. across: (F,)
    axis of the step from inner to outer, 1 for x. normal: (F, 2) unit vector (x, y down) from inner to outer. weight: (F,)
    1 where the edge stands upright to the step, less to 0 where it is inclined by 30 to 60 degrees and is crossed along
    the other axis too: together each piece of an edge counts once.
    """

    inner: np.ndarray
    outer: np.ndarray
    row: np.ndarray
    column: np.ndarray
    across: np.ndarray
    normal: np.ndarray
    weight: np.ndarray

    @property
    def beyond(self):
        """(rows, columns) of the outer pixels."""
        return self.row + (self.across == 0), self.column + (self.across == 1)

    @property
    def steepness(self):
        """(F,) normal displacement for a unit displacement along the step."""
        return np.abs(np.where(self.across == 1, self.normal[:, 0], self.normal[:, 1]))


def find_edges(objects, aspect=1.0):
    """The `Edges` of (H, W) object numbers (NumPy); aspect: pixel height over width."""
    parts = []
    for across in (0, 1):
        first, second = (objects[:-1], objects[1:]) if across == 0 else (objects[:, :-1], objects[:, 1:])
        row, column = np.nonzero(first != second)
        inner, outer = first[row, column], second[row, column]
        parts.append((inner, outer, row, column, np.full(len(row), across), _normals(objects, inner, outer, row, column, across, aspect)))
    found = [np.concatenate(columns) for columns in zip(*parts)]
    upright = np.where(found[4] == 1, found[5][:, 0], found[5][:, 1]) ** 2
    weight = np.clip(2 * upright - 0.5, 0, 1)
    own = weight > 0
    return Edges(*(column[own] for column in (*found, weight)))


def smooth(edges, moved, scale=SMOOTH, straight=True):
    """The displacements (F,) again, with each edge's place smoothed along its course by a local straight line: less noise,
    and none of the steps that pixels draw. scale: standard deviation of the Gaussian weights, pixels. Returns (smoothed,
    matrix): the sparse (F, F) matrix that maps places to smoothed places."""
    from scipy import sparse
    from scipy.spatial import cKDTree
    along = np.where(edges.across == 1, edges.row, edges.column).astype(float)
    place = np.where(edges.across == 1, edges.column, edges.row) + 1.0 + moved
    kind = (edges.inner.astype(np.int64) * (int(edges.outer.max(initial=0)) + 1) + edges.outer) * 2 + edges.across
    apart = 1e6 * np.unique(kind, return_inverse=True)[1]
    tree = cKDTree(np.column_stack([edges.row, edges.column, apart]))
    near = tree.query_pairs(3 * scale, output_type="ndarray")
    i, j = np.concatenate([near, near[:, ::-1], np.arange(len(along))[:, None].repeat(2, 1)]).T
    away = along[j] - along[i]
    weight = np.exp(-0.5 * (away / scale) ** 2)
    s0, s1, s2 = (np.bincount(i, weight * away ** n, len(along)) for n in range(3))
    bent = s0 * s2 - s1 ** 2
    line = straight & (bent > 1e-9 * s0 ** 2)
    share = np.where(line[i], weight * (s2[i] - s1[i] * away) / np.where(line, bent, 1)[i], weight / s0[i])
    matrix = sparse.csr_matrix((share, (i, j)), shape=(len(along), len(along)))
    return matrix @ place - place + moved, matrix


def moved_tensors(edges, moved, k):
    """(3, H, W) conductivity tensors with every face displaced by `moved` (F,) pixels: pixels that an edge cuts conduct like
    layers, along the edge by the mean of both sides, across it by the mean of their inverses."""
    from chipmap.solve.laminate import tensors
    covered, products = np.zeros(k.shape), np.zeros((3, *k.shape))
    other, (height, width) = k.copy(), k.shape
    x, y = edges.normal.T
    for offset in range(-REACH, REACH):
        grown = np.clip(moved - offset, 0, 1) if offset >= 0 else np.clip(-moved + offset + 1, 0, 1)
        grown = grown * edges.weight
        row, column = _moved(edges, offset)
        cut = (grown > 0) & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        at = row[cut], column[cut]
        np.add.at(covered, at, grown[cut])
        for n, product in enumerate((x * x, y * y, x * y)):
            np.add.at(products[n], at, (grown * product)[cut])
        other[at] = (k[edges.row, edges.column] if offset >= 0 else k[edges.beyond])[cut]
    whole = np.where(covered > 0, covered, 1)
    return tensors(k, other, np.minimum(covered, 1), *products / whole)


@dataclass(frozen=True)
class Displacement:
    """mean, sd: (F,) pixels, of each edge along its step, outwards from `inner`; sd: of noise, from face to face
    independent. measured: (F,) bool; where False there is no room for a measurement and the mean is 0.
    source: (2, F) which grey level stands on the inner and on the outer side; by_source: (2, F) pixels that the edge moves
    by where that level is one standard deviation too high: common to all faces with this source."""

    mean: np.ndarray
    sd: np.ndarray
    measured: np.ndarray
    source: np.ndarray
    by_source: np.ndarray

    def doubt(self, change):
        """Standard deviation of a sum of change (F,) x displacement, from the noise and from the levels."""
        noise = (change * self.sd) @ (change * self.sd)
        levels = np.bincount(self.source.ravel(), (change * self.by_source).ravel())
        return float(np.sqrt(noise + levels @ levels))


def displacement(edges, image, objects, phase, phase_level, noise_sigma, reach=REACH):
    """Where the grey says the edges are, against where the labels draw them: a `Displacement`.

    image: (H, W) grey values as they were taken. objects: (H, W). phase: (K,) of each object. phase_level: (M,) grey of
    each phase, for objects that are nowhere far from an edge. noise_sigma: of one pixel. Between the flat levels of its
    two objects the sum of grey across an edge is the place of the edge, whatever the (symmetric) blur; what lies
    between two edges is shared half and half, so that the width of a line narrower than the blur comes out right.
    """
    level, level_sd, source = _levels(image, objects, phase, phase_level, noise_sigma)
    room = [_room(edges, objects, side, reach) for side in (-1, 1)]
    step = level[edges.inner] - level[edges.outer]
    apart = np.abs(phase_level[phase[edges.inner]] - phase_level[phase[edges.outer]])    # objects' own levels may be chance
    measured = (room[0] >= 1) & (room[1] >= 1) & (np.minimum(np.abs(step), apart) > noise_sigma)
    step = np.where(measured, step, 1.0)
    total, weight = np.zeros(len(step)), np.zeros(len(step))
    for offset in range(-reach, reach):
        inside = np.clip(room[0] + offset + 1 if offset < 0 else room[1] - offset, 0, 1)
        row, column = _moved(edges, offset)
        there = image[row.clip(0, image.shape[0] - 1), column.clip(0, image.shape[1] - 1)]
        total += inside * (there - level[edges.outer]) / step
        weight += inside ** 2
    mean = np.where(measured, total - room[0], 0.0).clip(-reach, reach)
    sd = np.where(measured, noise_sigma * np.sqrt(weight) / np.abs(step), ROUNDING_PX)
    sides = np.stack([edges.inner, edges.outer])
    return Displacement(mean, sd, measured, source[sides], np.where(measured, np.stack(room) * level_sd[sides] / step, 0.0))


def _normals(objects, inner, outer, row, column, across, aspect):
    """Unit vectors from the pixels of `inner` to those of `outer` around each face."""
    height, width = objects.shape
    total = np.zeros((len(row), 2))
    for i in range(-AROUND, AROUND + 1 + (across == 0)):
        for j in range(-AROUND, AROUND + 1 + (across == 1)):
            y, x = i - 0.5 * (across == 0), j - 0.5 * (across == 1)
            there = objects[np.clip(row + i, 0, height - 1), np.clip(column + j, 0, width - 1)]
            side = (there == outer).astype(float) - (there == inner)
            total += side[:, None] * (x, y * aspect) if x * x + y * y <= (AROUND + 0.5) ** 2 else 0.0
    total[:, 1 - across] += 1e-9
    return total / np.hypot(total[:, 0], total[:, 1])[:, None]


def _levels(image, objects, phase, phase_level, noise_sigma):
    """(level, its sd, number of the estimate) of each object: from its pixels away from every edge, else from those of its phase, else given."""
    from scipy.ndimage import maximum_filter, minimum_filter
    size = 2 * DEEP + 1
    deep = maximum_filter(objects, size, mode="nearest") == minimum_filter(objects, size, mode="nearest")
    count = len(phase)
    pixels = np.bincount(objects[deep], minlength=count)
    total = np.bincount(objects[deep], image[deep], count)
    all_pixels, all_total = (np.bincount(phase, one, len(phase_level)) for one in (pixels, total))
    span = np.ptp(phase_level) if len(phase_level) > 1 else 0.0
    level = np.where(all_pixels >= ENOUGH, all_total / np.maximum(all_pixels, 1), phase_level)[phase]
    sd = np.where(all_pixels >= ENOUGH, noise_sigma / np.sqrt(np.maximum(all_pixels, 1)), UNSEEN * span)[phase]
    own = (pixels >= ENOUGH) & (noise_sigma < UNSEEN / 4 * span * np.sqrt(pixels))
    return (np.where(own, total / np.maximum(pixels, 1), level), np.where(own, noise_sigma / np.sqrt(np.maximum(pixels, 1)), sd),
            np.where(own, np.arange(count), count + phase))


def _room(edges, objects, side, reach):
    """(F,) pixels on one side (-1 inner, 1 outer) that belong to the edge: half of those before the next edge, all before
    the frame, `reach` at most."""
    height, width = objects.shape
    own = edges.inner if side < 0 else edges.outer
    room = np.full(len(own), float(reach))
    for n in range(2 * reach, 0, -1):
        row, column = _moved(edges, -n if side < 0 else n - 1)
        outside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
        there = objects[row.clip(0, height - 1), column.clip(0, width - 1)]
        room = np.where(outside, min(n - 1, reach), np.where(there != own, min((n - 1) / 2, reach), room))
    return room


def _moved(edges, offset):
    """(row, column) `offset` pixels beyond the outer pixel of each face (-1 is the inner pixel)."""
    return edges.row + (offset + 1) * (edges.across == 0), edges.column + (offset + 1) * (edges.across == 1)
