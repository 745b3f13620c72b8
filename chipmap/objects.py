"""Connected pieces of one material, and their sizes with errors."""

import functools
from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces
from cukernels.zonal import label_count, label_max, label_min, label_sum

# Steps (along x, along y) between the two pixels of a pair; the lines through the pixels in these directions are what
# the perimeter is counted on. Steps of one row are mirror images and share a weight.
STEPS = (((1, 0),), ((0, 1),), ((1, 1), (1, -1)), ((2, 1), (2, -1)), ((1, 2), (1, -2)))
NEAR = 4    # pixels beside an edge whose doubt is about the edge; what lies deeper is doubt about the material
# A straight edge falls anywhere inside its pixel: uniform, standard deviation 1/sqrt(12) of a pixel.
ROUNDING_PX = 12 ** -0.5


@dataclass(frozen=True)
class Objects:
    """labels (H, W) int32, 0..K-1, the object of each pixel; table: dict of K-long NumPy columns, units in the names."""

    labels: object
    table: dict

    def __len__(self):
        return len(self.table["object"])


def find_objects(phases, names, pixel_size_m, confidence=None, edge_confidence=None):
    """Connected pieces (four neighbours) of each phase, numbered by their first pixel in reading order, and their sizes.

    phases: (H, W) int, 0..M-1, NumPy or CuPy. names: M material names. pixel_size_m: (dy, dx), m.
    confidence: (H, W) float, the probability that the pixel's material is right, or None where nothing is known.
    edge_confidence: the same for the borders between the phases, whatever their names; `confidence` if None.

    Returns Objects. Columns of the table, x to the right and y down from the picture's upper left corner:

    object, material        number (the value in `labels`) and name
    pixels, area_nm2        and area_sd_nm2 = width_sd_nm * perimeter_nm / 2: the error of the edges along the object
    left_nm .. bottom_nm    bounding box, outer pixel edges
    x_nm, y_nm              centroid
    perimeter_nm            length of the border to other objects (the picture's frame is not counted), by counting
                            crossings along eight directions (Cauchy-Crofton). The weights make it exact for long edges
                            at 0, 45 and 90 degrees and unbiased over all directions; the worst direction is 2.8 % off,
                            and each sharp corner is measured half a pixel short, as if it were rounded
    width_nm, length_nm     of the equal rectangle: the width is the smaller one of two, that of the rectangle with the
                            same second moments (exact for straight lines and blocks, too wide for bent ones), and that
                            with the same area and perimeter (`ribbon`; right for bent and branched lines, ill-conditioned
                            for compact ones; the frame counts as the end of a line cut off by it). length = area / width
    width_sd_nm             standard uncertainty of the width: two edges, each 1/sqrt(12) pixel (rounding) plus the
                            spread of the confidence across it, taken as the same all along the edge (the safe side)
    angle_deg               long axis of the second moments, counter-clockwise from x to the right, -90 < angle <= 90
    touches_border          the frame cuts it: its sizes are lower limits
    confidence              mean over the object, NaN where none is given

    Source of the perimeter: Serra, Image Analysis and Mathematical Morphology, 1982 (Crofton's formula on a grid).
    Raises ValueError for shapes that differ or phases outside 0..M-1.
    """
    xp = array_module(phases, confidence)
    dy, dx = (1e9 * float(size) for size in pixel_size_m)
    _check(xp, phases, names, confidence)
    labels, count = pieces(phases, connectivity=4, background=None)
    labels -= 1
    edge_confidence = confidence if edge_confidence is None else edge_confidence
    pixels = to_host(label_count(labels, count))
    centre, moments = _moments(xp, labels, pixels, dx, dy)
    sums = Sums(phase=to_host(label_min(labels, phases, count)).astype(int),     # all its pixels have the same
                pixels=pixels, box=_boxes(xp, labels, count), centre=centre, moments=moments,
                perimeter=_perimeter(xp, labels, count, dx, dy), frame=_frame(labels, count, dx, dy),
                doubt=np.zeros(count) if edge_confidence is None else _doubt(xp, labels, count, edge_confidence),
                confidence=np.full(count, np.nan) if confidence is None else _sum(labels, confidence, count))
    return Objects(labels, table_of(sums, names, pixel_size_m))


@dataclass
class Sums:
    """What is added up over the pixels of K objects; every member is (K,) or a few of them, x and y in nm.

    phase, pixels. box: left, top, right, bottom pixel edges. centre: x, y. moments: xx, yy, xy, mean squares of the distance
    from it. perimeter: nm of border to other objects; frame: nm on the picture's frame. doubt: of 1 - confidence near the
    edges; confidence: of it everywhere.
    """

    phase: np.ndarray
    pixels: np.ndarray
    box: tuple
    centre: tuple
    moments: tuple
    perimeter: np.ndarray
    frame: np.ndarray
    doubt: np.ndarray
    confidence: np.ndarray


def table_of(sums, names, pixel_size_m):
    """The columns of `find_objects` from `Sums`."""
    dy, dx = (1e9 * float(size) for size in pixel_size_m)
    angle, thin = _axes(*sums.moments)
    area = sums.pixels * (dx * dy)
    width = np.minimum(thin, ribbon(area, sums.perimeter + sums.frame)[0])
    edge_sd = _edge_sd(sums.doubt * (dx * dy), sums.perimeter)
    width_sd = np.sqrt(2 * ((ROUNDING_PX ** 2) * dx * dy + edge_sd ** 2))
    left, top, right, bottom = sums.box
    return {
        "object": np.arange(len(area)), "material": np.array([names[p] for p in sums.phase], dtype=object), "phase": sums.phase,
        "pixels": sums.pixels, "area_nm2": area, "area_sd_nm2": width_sd * sums.perimeter / 2,
        "left_nm": left * dx, "top_nm": top * dy, "right_nm": right * dx, "bottom_nm": bottom * dy,
        "x_nm": sums.centre[0], "y_nm": sums.centre[1], "perimeter_nm": sums.perimeter,
        "width_nm": width, "width_sd_nm": width_sd, "length_nm": area / width,
        "angle_deg": angle, "touches_border": sums.frame > 0, "confidence": sums.confidence / sums.pixels,
    }


def ribbon(area, perimeter):
    """(width, length) of the rectangle with this area and perimeter; both sqrt(area) where only a rounder shape has them."""
    half = np.asarray(perimeter) / 2
    width = (half - np.sqrt(np.maximum(half ** 2 - 4 * area, 0))) / 2
    compact = half ** 2 <= 4 * area
    width = np.where(compact, np.sqrt(area), width)
    return width, area / width


def _check(xp, phases, names, confidence):
    if phases.ndim != 2 or phases.size == 0 or phases.dtype.kind not in "iu":
        raise ValueError(f"phases must be a filled (H, W) integer array, not {phases.dtype} {phases.shape}")
    if confidence is not None and confidence.shape != phases.shape:
        raise ValueError(f"confidence {confidence.shape} and phases {phases.shape} differ in shape")
    low, high = int(phases.min()), int(phases.max())
    if low < 0 or high >= len(names):
        raise ValueError(f"phases run from {low} to {high} but {len(names)} names are given")


def _sum(labels, values, count):
    return to_host(label_sum(labels, values, count))


def _boxes(xp, labels, count):
    """(left, top, right, bottom) pixel edges of each label."""
    height, width = labels.shape
    rows = xp.ascontiguousarray(xp.broadcast_to(xp.arange(height, dtype=np.float32)[:, None], labels.shape))
    columns = xp.ascontiguousarray(xp.broadcast_to(xp.arange(width, dtype=np.float32)[None, :], labels.shape))
    low = [to_host(label_min(labels, at, count)) for at in (columns, rows)]
    return *low, *(to_host(label_max(labels, at, count)) + 1 for at in (columns, rows))


def _moments(xp, labels, pixels, dx, dy):
    """Centroid (x, y) and second moments about it (xx, yy, xy), by label."""
    count = len(pixels)
    height, width = labels.shape
    column = xp.ascontiguousarray(xp.broadcast_to(((xp.arange(width) + 0.5) * dx)[None, :], labels.shape))
    row = xp.ascontiguousarray(xp.broadcast_to(((xp.arange(height) + 0.5) * dy)[:, None], labels.shape))
    x, y = (_sum(labels, at, count) / pixels for at in (column, row))
    off_x = column - xp.asarray(x)[labels]
    off_y = row - xp.asarray(y)[labels]
    xx, yy, xy = (_sum(labels, product, count) / pixels for product in (off_x * off_x, off_y * off_y, off_x * off_y))
    return (x, y), (xx + dx * dx / 12, yy + dy * dy / 12, xy)       # a pixel is a filled box, not a point


def _axes(xx, yy, xy):
    """Angle of the long axis, and shorter side of the rectangle with the same second moments."""
    # y points down in the picture and up in the angle: hence the minus
    angle = np.degrees(np.arctan2(-2 * xy, xx - yy)) / 2
    least = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    return np.where(angle <= -90, 90.0, angle) + 0.0, np.sqrt(12 * least)


def _perimeter(xp, labels, count, dx, dy):
    """Border of each label to other labels, by Crofton's formula on the pairs of STEPS.

    The picture goes on beyond its frame as it ends there; pairs with one foot outside count half, so that a border that
    runs into the frame keeps its length.
    """
    length = np.zeros(count)
    labels = xp.pad(labels, 2, mode="edge")
    inside = xp.zeros(labels.shape, np.float64)
    inside[2:-2, 2:-2] = 0.5
    for steps, weight in zip(STEPS, crofton_weights(dy / dx)):
        for a, b in steps:
            spacing = dx * dy / np.hypot(a * dx, b * dy)    # between neighbouring lines of this direction
            one, other = _pairs(labels, a, b)
            differ = one != other
            share = sum(half[differ] for half in _pairs(inside, a, b))
            for side in (one[differ], other[differ]):
                length += weight * spacing * to_host(xp.bincount(side, weights=share, minlength=count))
    return length


def _pairs(array, a, b):
    """The array twice: every pixel that has a neighbour `a` columns and `b` rows on, and that neighbour."""
    height, width = array.shape
    a, b = min(a, width), max(-height, min(b, height))
    if b >= 0:
        return array[:height - b, :width - a], array[b:, a:]
    return array[-b:, :width - a], array[:height + b, a:]


@functools.cache
def crofton_weights(aspect):
    """Weight of each row of STEPS for pixels of height/width `aspect`: perimeter = sum of weight x spacing x crossings.

    An edge of direction phi crosses |sin(theta - phi)| / spacing lines of direction theta a unit of its length. Asked
    for: exact along x, along y and along the pixel's diagonal, and the right mean over all phi.
    """
    angles = [[np.arctan2(b * aspect, a) for a, b in steps] for steps in STEPS]
    exact = [[sum(abs(np.sin(t - phi)) for t in family) for family in angles] for phi in (0.0, np.pi / 2, np.arctan(aspect))]
    mean = [2 / np.pi * len(family) for family in angles]
    return tuple(np.linalg.lstsq(np.array([*exact, mean]), np.ones(4), rcond=None)[0])


def _frame(labels, count, dx, dy):
    """Length of each label's border on the picture's frame."""
    length = np.zeros(count)
    for side, step in ((labels[0], dx), (labels[-1], dx), (labels[:, 0], dy), (labels[:, -1], dy)):
        length += np.bincount(to_host(side), minlength=count) * step
    return length


def _doubt(xp, labels, count, confidence):
    """Sum of 1 - confidence over the pixels of each label that lie at most NEAR from another one along a row or column."""
    near = xp.zeros(labels.shape, bool)
    for step in range(1, NEAR + 1):
        for a, b in ((step, 0), (0, step)):
            one, other = _pairs(labels, a, b)
            for half in _pairs(near, a, b):
                half |= one != other
    return _sum(labels, xp.where(near, 1 - confidence, 0), count)


def _edge_sd(doubt_nm2, perimeter):
    """Standard deviation of an edge's place, from the doubt gathered in the NEAR pixels next to it.

    If the edge lies at a normal distance from where it is drawn, the pixels inside carry the doubt 1 - confidence whose
    integral across the edge is sd / sqrt(2 pi).
    """
    return np.divide(np.sqrt(2 * np.pi) * doubt_nm2, perimeter, out=np.zeros(len(perimeter)), where=perimeter > 0)
