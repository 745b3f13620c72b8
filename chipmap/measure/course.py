"""The course of an object's border where it runs straight for a while, and the grey across it: a profile in fractions of a pixel."""

from dataclasses import dataclass

import numpy as np

from chipmap.measure.edges import find_edges

AROUND = 20.0       # pixels along the border to each side that its local line is fitted to: a shorter line follows the noise, and
                    # profiles that are lined up by their noise look sharper than they are
OWN = 5.0           # pixels along the border that are left out of its own line, for the same reason
STRAIGHT = 0.7      # pixels: largest rms departure from that line; beyond it, the border bends
SIDES = ("right", "bottom", "left", "top")      # of the object; y points down


@dataclass(frozen=True)
class Course:
    """place: (Q, 2) x, y in pixels on the border's local lines. normal: (Q, 2) unit vectors outwards. outer: (Q,) object
    outside. side: (Q,) index into SIDES by the normal. room: (Q,) pixels to each side before another object comes."""

    place: np.ndarray
    normal: np.ndarray
    outer: np.ndarray
    side: np.ndarray
    room: np.ndarray

    def only(self, which):
        return Course(*(column[which] for column in (self.place, self.normal, self.outer, self.side, self.room)))


def course_of(labels, k, reach):
    """The `Course` of the border of object `k` in (H, W) object numbers, where it is straight and `reach` pixels inside and
    outside belong to the same two objects (`room` says how many do, at most `reach`)."""
    from scipy.spatial import cKDTree
    edges = find_edges((labels == k).astype(np.int32))
    sign = np.where(edges.inner == 1, 1.0, -1.0)
    outer = np.where(edges.inner == 1, labels[edges.beyond], labels[edges.row, edges.column])
    place = np.column_stack([edges.column + np.where(edges.across == 1, 1.0, 0.5), edges.row + np.where(edges.across == 1, 0.5, 1.0)])
    rough = edges.normal * sign[:, None]
    if len(place) < 2 * AROUND:
        return Course(np.zeros((0, 2)), np.zeros((0, 2)), *(np.zeros(0, int) for _ in range(3)))
    near = cKDTree(place).query_pairs(AROUND, output_type="ndarray")
    near = near[(rough[near[:, 0]] * rough[near[:, 1]]).sum(axis=1) > 0.5]
    near = near[np.hypot(*(place[near[:, 0]] - place[near[:, 1]]).T) > OWN]
    i, j = np.concatenate([near, near[:, ::-1]]).T
    count = np.maximum(np.bincount(i, minlength=len(place)), 1)
    mean = np.column_stack([np.bincount(i, place[j, n], len(place)) / count for n in (0, 1)])
    off = place[j] - mean[i]
    xx, yy, xy = (np.bincount(i, off[:, a] * off[:, b], len(place)) / count for a, b in ((0, 0), (1, 1), (0, 1)))
    along = np.arctan2(2 * xy, xx - yy) / 2
    normal = np.column_stack([-np.sin(along), np.cos(along)])
    normal *= np.sign((normal * rough).sum(axis=1))[:, None]
    spread = np.sqrt(np.maximum((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy), 0))
    away = ((place - mean) * normal).sum(axis=1)
    tangent = np.abs(((place - mean) * normal[:, ::-1] * (1, -1)).sum(axis=1))
    # away from the ends of a straight run, where the line leans on one side only
    good = (spread < STRAIGHT) & (count > 1.2 * AROUND) & (tangent < AROUND / 3)
    place, normal, outer = place[good] - away[good, None] * normal[good], normal[good], outer[good]
    room = np.minimum(_room(labels, place, -normal, k, reach), _room(labels, place, normal, outer, reach))
    side = np.round(np.arctan2(normal[:, 1], normal[:, 0]) / (np.pi / 2)).astype(int) % 4
    return Course(place, normal, outer, side, room)


def profile(grey, course, reach, bin_px=0.5):
    """(distance, mean grey, count) of the bins across a course, from -reach (inside) to reach: only pixels whose nearest
    place of the course is right beside them."""
    from scipy.spatial import cKDTree
    low = np.maximum(np.floor(course.place.min(axis=0)).astype(int) - reach - 1, 0)
    high = np.minimum(np.ceil(course.place.max(axis=0)).astype(int) + reach + 2, grey.shape[::-1])
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    at = np.column_stack([x.ravel(), y.ravel()])
    away, nearest = cKDTree(course.place).query(at, distance_upper_bound=reach + 1.5)
    seen = np.isfinite(away)
    at, nearest = at[seen], nearest[seen]
    off, normal = at - course.place[nearest], course.normal[nearest]
    distance = (off * normal).sum(axis=1)
    beside = np.abs(off[:, 0] * normal[:, 1] - off[:, 1] * normal[:, 0])
    kept = (beside <= 0.75) & (np.abs(distance) < np.minimum(reach, course.room[nearest]))
    at, distance = at[kept].astype(int), distance[kept]
    bins = np.floor((distance + reach) / bin_px).astype(int)
    size = int(np.ceil(2 * reach / bin_px))
    count = np.bincount(bins, minlength=size)[:size]
    filled = count > 0
    value = np.bincount(bins, grey[at[:, 1], at[:, 0]], size)[:size]
    middle = np.bincount(bins, distance, size)[:size]
    return middle[filled] / count[filled], value[filled] / count[filled], count[filled]


def _room(labels, place, direction, owner, reach):
    """(Q,) how many pixels from a place along a direction belong to its owner, from the second on."""
    room = np.full(len(place), float(reach))
    for step in range(reach, 1, -1):
        at = np.floor(place + (step - 0.25) * direction).astype(int)
        inside = (at >= 0).all(axis=1) & (at < labels.shape[::-1]).all(axis=1)
        there = labels[at[:, 1].clip(0, labels.shape[0] - 1), at[:, 0].clip(0, labels.shape[1] - 1)]
        room = np.where(inside & (there == owner), room, step - 1)
    return room
