"""What a classifier sees of a pixel: grey, slope, curvature and roughness at several scales, and what lies above and below.

Scales above 2 pixels are computed on a pyramid of halves and enlarged where they are wanted, so only a third as many
numbers as one feature at full size stands in memory for each scale; the rest is computed piece by piece. A piece has the
same bits as that part of the whole picture.
"""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.filters import feature_names, features, gaussian, halo, radius
from cukernels.resample import enlarged, halved

from chipmap import InputError

KINDS = "planar", "section"
FINE = (1.0, 2.0)             # scales at full size, pixels
HALVINGS = 4                  # the largest scale is 2 * 2**4 pixels
JET = "smooth", "gradient", "hessian"
CONTEXT = 3                   # halvings of the planes that look up and down
GREY_AT, ROUGH_AT = (4, 8, 12, 16, 24, 32, 48), (4, 8, 16, 24)  # how far, in pixels of these planes
STEP = 2**HALVINGS            # parts of a picture begin at multiples of it
LEVEL_BINS = 1024             # of the histogram that the two grey levels are read from
_FLOOR = np.float32(1e-2)     # roughness of a dead flat place, of the step from dark to bright


@dataclass(frozen=True)
class Bank:
    """The features of one kind of picture.

    kind: "planar" (seen from above: no direction is special) or "section" (a cross-section, layers one above the other:
    the grey and the roughness up to 384 pixels above and below belong to a pixel too).
    """

    kind: str = "planar"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"kind of picture {self.kind!r} is unknown: use {' or '.join(KINDS)}")

    def names(self):
        """The names of the features, in order; lengths in pixels."""
        fine = feature_names(FINE, JET) + [f"rough s={s:g}" for s in FINE]
        for n in range(1, HALVINGS + 1):
            fine += feature_names([2.0 * 2**n], JET) + [f"rough s={2 * 2**n}"]
        if self.kind == "section":
            steps = [("grey", d) for d in (0, *_both(GREY_AT))] + [("rough", d) for d in (0, *_both(ROUGH_AT))]
            fine += [f"{what} {d * 2**CONTEXT:+d} rows" for what, d in steps]
        return fine

    @property
    def reach(self):
        """How many pixels around it a pixel's features depend on: the kernels at the coarsest scale, and a pixel there for
        what lies between two; in a cross-section what lies above and below."""
        at_top = STEP * (radius(2.0) + 1)
        far = 2**CONTEXT * (max(max(GREY_AT) + radius(1.0), max(ROUGH_AT) + radius(2.0) + radius(1.0)) + 1)
        return max(halo(FINE), at_top, far if self.kind == "section" else 0)

    def coarse(self, image):
        """[(factor, planes (P, h, w) float32), ...] of the whole picture (H, W), for `tile`."""
        planes, small = [], image
        for n in range(1, HALVINGS + 1):
            small = halved(small)
            planes.append((2**n, _planes(small, (2.0,))))
            if n == CONTEXT and self.kind == "section":
                planes.append((2**n, _context(small)))
        return planes

    def tile(self, image, coarse, top, left, height, width):
        """Features (F, height, width) float32 of a part of the picture (H, W) float32."""
        edge = halo(FINE)
        box = [max(0, top - edge), min(image.shape[0], top + height + edge), max(0, left - edge), min(image.shape[1], left + width + edge)]
        fine = _planes(image[box[0]:box[1], box[2]:box[3]], FINE)
        xp = array_module(image)
        out = xp.empty((len(self.names()), height, width), np.float32)
        y, x = top - box[0], left - box[2]
        out[:len(fine)] = fine[:, y:y + height, x:x + width]
        first = len(fine)
        for factor, planes in coarse:
            enlarged(planes, factor, top, left, height, width, out=out[first:first + len(planes)])
            first += len(planes)
        return out


def grey_levels(image):
    """(dark, bright): medians of the pixels below and above the grey that parts them best (N. Otsu, 1979).

    image: (H, W) finite, not constant. By these two levels pictures of unequal gain and offset are made alike.
    """
    xp = array_module(image)
    low, high = float(image.min()), float(image.max())
    if not low < high:
        raise InputError("every pixel of the picture has the same value: there is nothing to tell apart")
    count, edges = xp.histogram(image, bins=LEVEL_BINS, range=(low, high))
    return two_levels(to_host(count).astype(float), to_host(edges).astype(float))


def two_levels(count, edges):
    """`grey_levels` from the histogram: count (B,) and edges (B + 1,) of its bins, NumPy float64."""
    centre = (edges[1:] + edges[:-1]) / 2
    mass, moment = np.cumsum(count), np.cumsum(count * centre)
    share = mass[:-1] * (mass[-1] - mass[:-1])
    between = (moment[-1] * mass[:-1] / mass[-1] - moment[:-1]) ** 2 / np.maximum(share, 1)
    cut = int(between.argmax()) + 1
    return tuple(float(centre[part][np.searchsorted(np.cumsum(count[part]), count[part].sum() / 2)])
                 for part in (slice(0, cut), slice(cut, None)))


def tiles(shape, height=256, width=512):
    """(top, left, height, width) of pieces that cover a picture of this shape once."""
    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            yield top, left, min(height, shape[0] - top), min(width, shape[1] - left)


def _planes(image, sigmas):
    """Jet features scale by scale, then the roughness of each scale."""
    xp = array_module(image)
    jets = features(image, sigmas, JET)
    squares = image * image
    rough = [_rough(xp, gaussian(squares, s), jets[4 * i]) for i, s in enumerate(sigmas)]
    return xp.concatenate([jets, xp.stack(rough)])


def _rough(xp, mean_square, mean):
    """Logarithm of the standard deviation of the grey around a pixel."""
    return xp.log(xp.sqrt(xp.maximum(mean_square - mean * mean, np.float32(0))) + _FLOOR)


def _context(small):
    xp = array_module(small)
    grey = gaussian(small, 1.0)
    wide = gaussian(small, 2.0)
    rough = gaussian(_rough(xp, gaussian(small * small, 2.0), wide), 1.0)
    rows = xp.arange(len(small))
    at = lambda plane, d: plane[xp.clip(rows + d, 0, len(small) - 1)]  # noqa: E731
    return xp.stack([at(grey, d) for d in (0, *_both(GREY_AT))] + [at(rough, d) for d in (0, *_both(ROUGH_AT))])


def _both(steps):
    return [s * d for d in steps for s in (-1, 1)]
