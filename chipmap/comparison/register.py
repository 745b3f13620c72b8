"""A layout laid over a picture to a fraction of a pixel: where, how turned, how scaled, and how well that is known.

First the layout is looked for: correlation of the picture with the drawn layout, normalised by both, over all shifts and,
in turn, over turns and scales. Then least squares on the grey of the edges (B. D. Lucas, T. Kanade, IJCAI 1981), from
coarse to fine, with weights that leave out what differs (defects, dirt).
"""

from dataclasses import dataclass

import numpy as np
from cukernels.filters import gaussian

from chipmap import InputError
from chipmap.comparison.cover import cover

TURN_DEG = 2.0      # the layout may be turned against the picture by so much
SCALE = 0.03        # and larger or smaller by this share
COARSE = 256        # pixels of the picture's longer side in the first search
AROUND = 2          # steps of turn and scale to each side that are tried
LARGEST = 2048      # pixels of the layout's longer side in it
BLURS = (4.0, 2.0)  # pixels, of both pictures in the least squares
STEPS = 40
FLOOR = 0.02        # pixels: the least standard uncertainty
ALIKE = 0.25        # correlation below which picture and layout have nothing to do with each other
RIVAL = 0.97        # of the best correlation: another place that reaches it is as good
GRATING = 2e-3      # share of the edges' weight that must stand across every direction
TILE = 64           # pixels: what differs is taken as independent beyond
TUKEY = 4.685       # K. P. Biweight of 95 % efficiency: P. J. Huber, E. M. Ronchetti, Robust Statistics, 2009
FITS = {"shift": 2, "similarity": 4, "affine": 6}


@dataclass(frozen=True)
class Placement:
    """pixel (x right, y down, corners of pixels at integers) = matrix @ place + shift for a place of the layout in nm.

    scale, turn_deg: of the layout against the picture's nominal pixels, counter-clockwise as seen. stretch, shear: of an
    affine fit, 0 else. sd: standard uncertainties of x and y (pixels, in the middle of the picture), scale, turn (degrees),
    stretch, shear. correlation: of picture and layout, 1 at best. local: (n, 4) x, y, dx, dy pixels: how far parts of
    the picture are shifted beyond the fit (distortion).
    """

    matrix: np.ndarray
    shift: np.ndarray
    scale: float
    turn_deg: float
    stretch: float
    shear: float
    sd: dict
    correlation: float
    local: np.ndarray

    def pixels(self, places):
        """(N, 2) nm of the layout -> pixels of the picture."""
        return places @ self.matrix.T + self.shift

    def places(self, pixels):
        """(N, 2) pixels of the picture -> nm of the layout."""
        return (pixels - self.shift) @ np.linalg.inv(self.matrix).T


def register(found, polygons, pixel_size_m, near=None, fit="similarity"):
    """The `Placement` of a layout on a picture.

    found: (H, W) float, 0..1, how surely a pixel is drawn on the layout's layer. polygons: (P,) shapely, nm, y up.
    pixel_size_m: (dy, dx). near: (x, y) in nm, the layout's place at the picture's middle, to within a quarter of the
    picture, or None to search everywhere. fit: "shift", "similarity" (turn and scale too) or "affine" (stretch and shear
    too). Within 2 degrees and 3 % of scale, more is not looked for.
    Raises InputError where nothing matches, where several places match equally, or where the shapes leave a shift open
    (a grating along its lines).
    """
    rings = _Rings(polygons, pixel_size_m)
    found = np.ascontiguousarray(found, np.float32)
    start = _search(found, rings, near, pixel_size_m, fit)
    a, t = _refine(found, rings, start, pixel_size_m, fit)
    return _placement(found, rings, a, t, pixel_size_m, fit)


def coverage(rings, matrix, shift, shape, step=1):
    """(H, W) float32, share of each pixel that polygons cover; pixels `step` times larger than those of the coordinates."""
    xy = rings.xy @ matrix.T + shift
    near = rings.near(xy, shape, step)
    if not near.any():
        return np.zeros(shape, np.float32)
    return cover(*rings.of(xy / step, near), shape)


def coverage_of(polygons, placed, shape, pixel_size_m):
    """(H, W) float32, share of each pixel that polygons (nm) cover where a `Placement` puts them."""
    rings = _Rings(polygons, pixel_size_m)
    return coverage(rings, placed.matrix @ np.linalg.inv(rings.nominal), placed.shift, shape)


class _Rings:
    """Polygons as flat arrays, in pixels of nominal size with y down."""

    def __init__(self, polygons, pixel_size_m):
        import shapely
        # outer rings one way round, holes the other, as `cover` wants them
        parts, owner = shapely.get_parts(shapely.orient_polygons(polygons), return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        nm, ring = shapely.get_coordinates(rings, return_index=True)
        dy, dx = (1e9 * size for size in pixel_size_m)
        self.nominal = np.array([[1 / dx, 0], [0, -1 / dy]])
        self.xy = nm @ self.nominal.T
        self.start = np.concatenate([[0], np.cumsum(np.bincount(ring, minlength=len(rings)))])
        self.polygon = owner[part]

    def near(self, xy, shape, step):
        """Which polygons come near the picture."""
        count = int(self.polygon.max()) + 1
        box = np.full((count, 4), [np.inf, np.inf, -np.inf, -np.inf])
        of = np.repeat(self.polygon, np.diff(self.start))
        np.minimum.at(box[:, :2], of, xy)
        np.maximum.at(box[:, 2:], of, xy)
        return (box[:, 2:] > 0).all(axis=1) & (box[:, :2] < np.array([shape[1], shape[0]]) * step).all(axis=1)

    def of(self, xy, wanted):
        """(vertices, starts) of the rings of some polygons."""
        keep = wanted[self.polygon]
        length = np.diff(self.start)
        return xy[np.repeat(keep, length)], np.concatenate([[0], np.cumsum(length[keep])])


def _search(found, rings, near, pixel_size_m, fit):
    """(matrix, shift) to start from: the layout's pixels of nominal size -> the picture's. Looked for in a small picture
    first, and in one of twice the pixels where that does not tell."""
    height, width = found.shape
    middle = np.array([width, height]) / 2
    low, high = rings.xy.min(0), rings.xy.max(0)
    if near is not None:
        near = np.array(near) @ rings.nominal.T
        low, high = (np.clip(side, near - 1.5 * middle, near + 1.5 * middle) for side in (low, high))
    for pixels in (COARSE, 2 * COARSE, 4 * COARSE):
        step = max(1, int(np.ceil(max(height, width) / pixels)))
        shape = tuple(int(n) for n in np.maximum(np.ceil((high - low) / step), 1)[::-1])
        if max(shape) > LARGEST:
            break
        search = _Search(coverage(rings, np.eye(2), -low, shape, step), _blocks(found, step), pixel_size_m, near is None)
        correlation, turn, scale, at, rivals = search.everything(fit)
        if step == 1 or (correlation >= ALIKE and not rivals):
            break
    if pixels == COARSE and max(shape) > LARGEST:
        raise InputError(f"the layout is {max(high - low) / max(height, width):.0f} times as wide as the picture: say with --near where to look, or name a --cell")
    if correlation < ALIKE:
        raise InputError(f"picture and layout do not match anywhere (correlation {correlation:.2f}): check the pixel size, the layers, "
                         "which phase is drawn, --turn and --mirror")
    # a shift found is that of the corner of the unturned picture's frame; its middle keeps its place
    places = np.array([at, *rivals])[:, ::-1] * step + low + middle
    place = _chosen(places, near, rings.nominal)
    a = _similarity(turn, scale, pixel_size_m[0] / pixel_size_m[1])
    return a, middle - a @ place


def _chosen(places, near, nominal):
    """The only place of the picture's middle in the layout, or the one that is clearly the nearest to where it should be."""
    if len(places) == 1:
        return places[0]
    if near is not None:
        order = np.argsort(np.hypot(*(places - near).T))
        away = np.hypot(*(places[order[:2]] - near).T)
        if 2 * away[0] < away[1]:
            return places[order[0]]
    told = "; ".join(f"{x / 1e3:.3f},{y / 1e3:.3f} um" for x, y in places[:3] @ np.linalg.inv(nominal))
    raise InputError(f"the picture fits the layout equally well in several places (such as {told}): say with --near which is meant"
                     + (", more exactly" if near is not None else ""))


class _Search:
    """Normalised correlation of a small picture, turned and scaled, with a drawn layout, over all whole shifts."""

    def __init__(self, drawn, small, pixel_size_m, beyond=True):
        from scipy.fft import next_fast_len
        self.small, self.aspect = small, pixel_size_m[0] / pixel_size_m[1]
        # the picture may stick out of the whole layout by up to half, but not out of a window of it
        self.pad = np.array(small.shape) if beyond else np.zeros(2, int)
        size = np.array(drawn.shape) + 2 * (self.pad // 2) + np.array(small.shape)
        self.size = tuple(next_fast_len(int(n), real=True) for n in size)
        layout = np.zeros(self.size, np.float32)
        top, left = self.pad // 2
        layout[top:top + drawn.shape[0], left:left + drawn.shape[1]] = drawn
        self.shifts = tuple(np.maximum(np.array(drawn.shape) + 2 * (self.pad // 2) - np.array(small.shape) + 1, 1))
        self.layout, self.square = self._spectrum(layout), self._spectrum(layout ** 2)

    def everything(self, fit):
        """The best of all shifts, and, unless `fit` is "shift", of turns and scales in turn; as `of` returns it."""
        best = self.of(0.0, 0.0)
        for turns in (True, False, True) if fit != "shift" else ():
            steps = np.linspace(-1, 1, 2 * AROUND + 1) * (TURN_DEG if turns else SCALE)
            best = max([best, *(self.of(*((angle, best[2]) if turns else (best[1], angle))) for angle in steps)], key=lambda b: b[0])
        return best

    def of(self, turn, scale):
        """(correlation, turn, scale, (row, column) of the best shift, shifts that are as good)."""
        picture, mask = _turned(self.small, _similarity(turn, scale, self.aspect))
        count = mask.sum()
        picture = np.where(mask > 0, picture - (picture * mask).sum() / count, 0) * mask
        inside, over = self._spectrum(mask), self._spectrum(picture)
        product, mean, square = (self._correlated(a, b) for a, b in ((self.layout, over), (self.layout, inside), (self.square, inside)))
        spread = np.maximum(square - mean ** 2 / count, 1e-3 * count) * (picture ** 2).sum()
        value = product / np.sqrt(np.maximum(spread, 1e-12))
        at = np.unravel_index(value.argmax(), value.shape)
        best = float(value[at])
        return best, turn, scale, tuple(np.array(at) - self.pad // 2), self._rivals(value, best, at)

    def _rivals(self, value, best, at):
        """Other maxima as high as the best, away from its own hill."""
        from scipy.ndimage import maximum_filter
        high = (value == maximum_filter(value, 9)) & (value > RIVAL * best)
        places = np.argwhere(high)
        away = np.abs(places - np.array(at)).max(axis=1) > 8
        order = np.argsort(-value[tuple(places[away].T)])
        return [tuple(p - self.pad // 2) for p in places[away][order]]

    def _spectrum(self, array):
        from scipy.fft import rfft2
        return rfft2(array, self.size)

    def _correlated(self, one, other):
        from scipy.fft import irfft2
        return irfft2(one * np.conj(other), self.size)[:self.shifts[0], :self.shifts[1]]


def _turned(small, a):
    """The small picture as it would be if the layout were turned by `a`, about its middle, and where it is known."""
    from scipy.ndimage import affine_transform
    matrix = a[::-1, ::-1]      # rows before columns
    middle = (np.array(small.shape) - 1) / 2
    offset = middle - matrix @ middle
    turn = lambda array: affine_transform(array, matrix, offset, order=1, mode="constant")  # noqa: E731
    return turn(small), (turn(np.ones_like(small)) > 0.99).astype(np.float32)


def _similarity(turn_deg, scale, aspect):
    """2 x 2, pixels with y down: the layout turned counter-clockwise as seen and enlarged by the share `scale`."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    return (1 + scale) * np.array([[c, s * aspect], [-s / aspect, c]])


def _refine(found, rings, start, pixel_size_m, fit):
    """(matrix, shift) by least squares, from coarse to fine."""
    a, t = start
    first = max(1, int(np.ceil(max(found.shape) / COARSE)))
    levels = [(step, BLURS[0]) for step in sorted({first, max(1, first // 2)}, reverse=True) if step > 1] + [(1, blur) for blur in BLURS]
    for step, blur in levels:
        small = gaussian(_blocks(found, step), blur)
        tight = 2e-3 if (step, blur) == levels[-1] else 0.05
        for _ in range(STEPS):
            delta, _, _ = _update(small, rings, a, t, step, blur, pixel_size_m, fit, found.shape)
            a, t, moved = _moved(a, t, delta, found.shape, pixel_size_m)
            if moved < tight * step:
                break
        else:
            raise InputError("the layout does not settle on the picture: too little in it is drawn in the layout; check the layers, or say --near")
    return a, t


def _update(small, rings, a, t, step, blur, pixel_size_m, fit, shape):
    """(change of the parameters, their covariance, local facts) from one least-squares step."""
    drawn = gaussian(coverage(rings, a, t, small.shape, step), blur)
    down, right = np.gradient(drawn)
    edge = np.hypot(down, right) > 0.1 / (blur * np.sqrt(2 * np.pi))
    edge[:2], edge[-2:], edge[:, :2], edge[:, -2:] = False, False, False, False
    row, column = np.nonzero(edge)
    if len(row) < 50:
        raise InputError("fewer than 50 pixels of the picture lie at edges of the layout: too few to register; check the layers, or say --near")
    x = (column + 0.5) * step - shape[1] / 2
    y = (row + 0.5) * step - shape[0] / 2
    gx, gy = right[edge] / step, down[edge] / step
    aspect = pixel_size_m[0] / pixel_size_m[1]
    basis = [gx, gy, gx * x + gy * y, gx * aspect * y - gy * x / aspect, gx * x - gy * y, gx * aspect * y + gy * x / aspect][:FITS[fit]]
    # two more, for the picture's contrast and level against the layout's
    design = np.column_stack([-np.array(b) for b in basis] + [drawn[edge], np.ones(len(row))])
    grey = small[edge].astype(float)
    beta, weight = _solve(design, grey, np.ones(len(row))), np.ones(len(row))
    for _ in range(5):
        rest = grey - design @ beta
        spread = 1.4826 * np.median(np.abs(rest)) + 1e-6
        weight = np.clip(1 - (rest / (TUKEY * spread)) ** 2, 0, None) ** 2
        beta = _solve(design, grey, weight)
    _refuse_a_grating(gx, gy, weight)
    contrast = beta[FITS[fit]]
    if contrast <= 0.05:
        raise InputError("where the layout has edges the picture has none: check the layers, which phase is drawn, or say --near")
    rest = grey - design @ beta
    far = np.clip((rest / (TUKEY * spread)) ** 2, 0, 1)
    normal = np.linalg.pinv(design.T @ (design * ((1 - far) * (1 - 5 * far))[:, None]))     # slope of the influence
    place = (row * step // TILE) * (small.shape[1] * step // TILE + 1) + column * step // TILE
    scores = np.stack([np.bincount(place, design[:, j] * weight * rest) for j in range(design.shape[1])])
    covariance = (normal @ (scores @ scores.T) @ normal)[:FITS[fit], :FITS[fit]] / contrast ** 2
    return beta[:FITS[fit]] / contrast, covariance, (x, y, gx, gy, rest / contrast, weight)


def _refuse_a_grating(gx, gy, weight):
    """Raise where next to no edge stands across some direction: a shift along it cannot be seen."""
    across = np.linalg.eigvalsh([[(weight * gx * gx).sum(), (weight * gx * gy).sum()], [(weight * gx * gy).sum(), (weight * gy * gy).sum()]])
    if across[0] < GRATING * across[1]:
        raise InputError("the shapes leave the shift open, as lines do along themselves: take a picture with ends or corners")


def _solve(design, grey, weight):
    weighed = design * weight[:, None]
    return np.linalg.pinv(design.T @ weighed, hermitian=True) @ (weighed.T @ grey)


def _moved(a, t, delta, shape, pixel_size_m):
    """The transform with a change of its parameters about the picture's middle, and how far that moves a corner."""
    dx, dy, *rest = delta
    scale, turn, stretch, shear = (*rest, *[0.0] * (4 - len(rest)))
    middle = np.array([shape[1], shape[0]]) / 2
    aspect = pixel_size_m[0] / pixel_size_m[1]
    change = np.array([[scale + stretch, (turn + shear) * aspect], [(shear - turn) / aspect, scale - stretch]])
    grown = np.eye(2) + change
    moved = np.abs(change) @ middle + np.abs([dx, dy])
    return grown @ a, grown @ (t - middle) + middle + np.array([dx, dy]), float(moved.max())


def _placement(found, rings, a, t, pixel_size_m, fit):
    small = gaussian(found, BLURS[-1])
    _, covariance, local = _update(small, rings, a, t, 1, BLURS[-1], pixel_size_m, fit, found.shape)
    sd = np.sqrt(np.diag(covariance))
    turn, grown = _polar(a, pixel_size_m)
    scale, stretch, shear = (grown[0, 0] + grown[1, 1]) / 2 - 1, (grown[0, 0] - grown[1, 1]) / 2, grown[0, 1]
    names = ("x_px", "y_px", "scale", "turn_deg", "stretch", "shear")[:FITS[fit]]
    # what bright edges, streaks and vias leave on simulated pictures; at a corner, for what turns and stretches
    sd = np.hypot(sd, [FLOOR if name in ("x_px", "y_px") else 2 * FLOOR / max(found.shape) for name in names])
    told = {name: float(np.degrees(s) if name == "turn_deg" else s) for name, s in zip(names, sd)}
    if max(told["x_px"], told["y_px"]) > 1:
        raise InputError(f"the shift is found to {told['x_px']:.1f} x {told['y_px']:.1f} pixels only: take a picture with more ends and corners")
    drawn = gaussian(coverage(rings, a, t, found.shape), BLURS[-1])
    correlation = float(np.corrcoef(drawn.ravel(), small.ravel())[0, 1])
    return Placement(a @ rings.nominal, t, float(scale), float(np.degrees(turn)), float(stretch), float(shear), told, correlation, _local(local, found.shape))


def _polar(a, pixel_size_m):
    """(turn, symmetric rest) of a transform between pixels with y down, in space with y up; radians."""
    to_space = np.diag([pixel_size_m[1], -pixel_size_m[0]])
    a = to_space @ a @ np.linalg.inv(to_space)
    turn = np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1])
    c, s = np.cos(turn), np.sin(turn)
    return turn, np.array([[c, s], [-s, c]]) @ a


def _local(facts, shape, parts=4):
    """(n, 4): middle of each of 4 x 4 parts and the shift of its edges beyond the fit, where it holds enough of them."""
    x, y, gx, gy, rest, weight = facts
    column = np.clip(((x / shape[1] + 0.5) * parts).astype(int), 0, parts - 1)
    row = np.clip(((y / shape[0] + 0.5) * parts).astype(int), 0, parts - 1)
    rows = []
    for k in np.unique(row * parts + column):
        own = row * parts + column == k
        slope = np.column_stack([gx, gy])[own]
        normal = slope.T @ (slope * weight[own, None])
        if own.sum() < 200 or np.linalg.cond(normal) > 30:
            continue
        shift = -np.linalg.solve(normal, slope.T @ (weight[own] * rest[own]))
        rows.append(((k % parts + 0.5) * shape[1] / parts, (k // parts + 0.5) * shape[0] / parts, *shift))
    return np.array(rows).reshape(-1, 4)


def _blocks(array, step):
    """Means over blocks of step x step pixels; the ragged rest at the far sides is left out."""
    if step == 1:
        return np.ascontiguousarray(array, np.float32)
    height, width = (n // step * step for n in array.shape)
    return np.ascontiguousarray(array[:height, :width].reshape(height // step, step, width // step, step).mean(axis=(1, 3)), np.float32)
