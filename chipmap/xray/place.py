"""Where an X-ray map lies on the picture: stretch and shift at which kinds of spectra and edges fall on those of the picture.

Two marks, added. How much of the picture's grey and roughness the kinds of spectra explain (correlation ratio), and how
edges correlate. All shifts at once by Fourier transforms (D. Padfield, IEEE Trans. Image Process. 21, 2706 (2012)), then
refined between pixels. The map is looked for near the whole picture: up to 10 % larger or smaller in each direction and
12 % of its size aside; what lies elsewhere has to be said. Rotation is not looked for: one column scans both.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, optimize
from scipy.cluster.vq import kmeans2

from chipmap import InputError

KINDS = 6            # of spectra, that the map is divided into
STRETCH = 0.94, 1.0, 1.06
STARTS = 5           # of the stretches, best first, that are refined
REACH = 0.12         # of the map's size, largest shift
COARSE = 256         # pixels of the longer side, on which all shifts are tried
CLEAR, PLAIN = 1.1, 0.8  # times the best mark of the map turned over, that the map as it is must reach; or a mark that needs no such proof
LEAST_OVERLAP = 0.5  # of the map, on the picture
SMOOTH, ENOUGH = (0.7, 2.0), 10.0  # pixels by which a map is smoothed, and the photons that one then stands for
PRIOR = 0.02         # of the mark, that a stretch by 5 % costs: most maps show what the picture shows


@dataclass(frozen=True)
class Placement:
    """Row of the picture = top + scale_y * (row of the map), columns likewise; positions count from the corners.

    mark, null: sum of both measures, for the map as it is and the best for the map turned over. sd_px: pixels of the
    picture by which two halves of the map disagree, over 2. given: True where the user said it.
    """

    scale_y: float
    scale_x: float
    top: float
    left: float
    mark: float = np.nan
    null: float = np.nan
    sd_px: float = 0.0
    given: bool = False

    def as_dict(self):
        return {name: (bool(v) if name == "given" else float(v) if np.isfinite(v) else None) for name, v in vars(self).items()}


def parse_field(text, shape, map_shape):
    """`Placement` of a map whose field the user gives as "left,top,right,bottom" in pixels of the picture (H, W)."""
    try:
        left, top, right, bottom = (float(word) for word in str(text).split(","))
    except ValueError:
        raise InputError(f"X-ray field {text!r} can't be read: write left,top,right,bottom in pixels of the picture, as 0,0,1024,768") from None
    inside = min(right, shape[1]) - max(left, 0) > 0 and min(bottom, shape[0]) - max(top, 0) > 0
    if not (right > left and bottom > top and inside):
        raise InputError(f"X-ray field {text!r} does not lie on the picture of {shape[1]} x {shape[0]} pixels: write left,top,right,bottom")
    return Placement((bottom - top) / map_shape[0], (right - left) / map_shape[1], top, left, given=True)


def place(maps, image):
    """`Placement` of maps (L, h, w) of counts, h and w at least 8, on the picture image (H, W).

    Raises InputError where the map turned over fits the picture as well, with the remedy of saying where it lies.
    """
    maps, image = np.asarray(maps, np.float32), _without_streaks(np.asarray(image, np.float32))
    small = _binned(maps, int(np.ceil(max(maps.shape[1:]) / COARSE)))
    sigma = float(np.clip(np.sqrt(ENOUGH / (4 * np.pi * max(small.sum(0).mean(), 1e-9))), *SMOOTH))
    patterns = _patterns(small, sigma)
    turns = [[np.ascontiguousarray(p[turn]) for p in patterns] for turn in (np.s_[:, :], np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1])]
    seen = _channels(image, *(sigma * n / m for n, m in zip(image.shape, small.shape[1:])))
    found = [_best(turn, seen) for turn in turns]
    mark, null = -found[0][0], -min(f[0] for f in found[1:])
    if not (mark > CLEAR * null or mark > PLAIN):
        raise InputError(f"the X-ray maps can't be laid on the picture: turned over they fit about as well (mark {mark:.2f}, turned {null:.2f}); "
                         "say where they lie with --xray-field left,top,right,bottom")
    best = found[0][1]
    halves = [_refined(*patterns, seen, best, k)[1] for k in (0, 1)]
    spots = np.array([[y, x] for y in (0.25, 0.75) for x in (0.25, 0.75)]) * small.shape[1:]
    sd = np.sqrt(np.mean([((a[2:] + a[:2] * at - b[2:] - b[:2] * at) ** 2).sum() for a, b in [halves] for at in spots])) / 2
    scale = best[:2] * [n / m for n, m in zip(small.shape[1:], maps.shape[1:])]
    return Placement(*map(float, (*scale, *best[2:])), mark=float(mark), null=float(null), sd_px=float(sd))


def _best(patterns, seen):
    """(minus the mark, placement) of the best of all shifts, from every stretch refined between pixels."""
    starts = sorted((_best_shift(*patterns, seen, fy, fx) for fy in STRETCH for fx in STRETCH), key=lambda t: -t[0])
    return min((_refined(*patterns, seen, np.array(start[1:])) for start in starts[:STARTS]), key=lambda t: t[0])


def _without_streaks(image):
    """Rows that charging has brightened as a whole are brought to their neighbours' median."""
    middle = np.median(image, axis=1)
    return image - (middle - ndimage.median_filter(middle, 31, mode="nearest"))[:, None].astype(np.float32)


def _binned(maps, factor):
    h, w = (n // factor for n in maps.shape[1:])
    return maps[:, :h * factor, :w * factor].reshape(len(maps), h, factor, w, factor).sum((2, 4))


def _patterns(maps, sigma):
    """(kind of spectrum (h, w) int, edge strength (h, w) float32) of maps of counts smoothed by sigma pixels."""
    smooth = np.stack([np.sqrt(ndimage.gaussian_filter(m, sigma)) for m in maps])
    columns = smooth.reshape(len(maps), -1).T
    kinds = kmeans2(columns, KINDS, minit="++", seed=0, iter=25, missing="warn")[1].reshape(maps.shape[1:]) if np.ptp(columns) else np.zeros(maps.shape[1:], int)
    edges = np.sqrt(sum(ndimage.gaussian_gradient_magnitude(s, 1.0) ** 2 for s in smooth))
    return kinds, _above_noise(edges)


def _above_noise(edges):
    """Logarithm of what stands out: a few very bright edges (SE) must not outweigh all others, nor noise count."""
    middle = np.median(edges)
    spread = 1.4826 * np.median(np.abs(edges - middle)) + 1e-9 * (1 + middle)
    return np.log1p(np.maximum(edges - middle, 0) / spread).astype(np.float32)


def _channels(image, sy, sx):
    """(grey as ranks, roughness, edge strength), (H, W) each, as coarse as a map smoothed by sy and sx picture pixels."""
    rank = (np.searchsorted(np.sort(image[::3, ::3].ravel()), image) / image[::3, ::3].size).astype(np.float32)
    wide = 0.6 * sy, 0.6 * sx
    mean = ndimage.gaussian_filter(rank, 3)
    rough = np.log(np.sqrt(np.maximum(ndimage.gaussian_filter(rank**2, 3) - mean**2, 0)) + 0.01)
    edges = ndimage.gaussian_gradient_magnitude(ndimage.gaussian_filter(image, (sy, sx)), (0.25 * sy, 0.25 * sx))
    return ndimage.gaussian_filter(rank, wide), ndimage.gaussian_filter(rough, wide), _above_noise(edges)


def _best_shift(kinds, edges, channels, fy, fx):
    """(mark, scale_y, scale_x, top, left) of the best shift within reach, the map stretched by fy and fx."""
    h, w = kinds.shape
    size = channels[0].shape
    sy, sx = fy * size[0] / h, fx * size[1] / w
    grid = np.meshgrid(*((np.arange(int(n / s)) + 0.5) * s - 0.5 for n, s in zip(size, (sy, sx))), indexing="ij")
    seen = [ndimage.map_coordinates(c, grid, order=1, mode="nearest") for c in channels]
    shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in zip((h, w), grid[0].shape))
    forward, back = lambda a: fft.rfft2(a, shape), lambda a, b: fft.irfft2(a * np.conj(b), shape)  # noqa: E731
    masks = [forward((kinds == k).astype(np.float32)) for k in range(KINDS)]
    ones = forward(np.ones_like(seen[0]))
    count = [np.maximum(back(m, ones), 1e-3) for m in masks]
    mark = sum(_explained(masks, count, forward(c), forward(c * c), back) for c in seen[:2]) / 2
    mark = mark + _correlated([forward(a) for a in (edges, edges**2)], [forward(a) for a in (seen[2], seen[2] ** 2)], sum(masks), ones, back)
    rows, columns = (np.fft.fftfreq(n, 1 / n) for n in shape)
    off_y, off_x = (h - h / fy) / 2, (w - w / fx) / 2  # of the picture's corner on the map, where both have one middle
    mark = mark - _cost(fy, fx)
    near = (np.abs(rows - off_y) <= REACH * h)[:, None] & (np.abs(columns - off_x) <= REACH * w)[None]
    mark = np.where(near & (sum(count) > LEAST_OVERLAP * h * w), mark, -1)
    best = np.unravel_index(int(mark.argmax()), shape)
    return float(mark[best]), sy, sx, -rows[best[0]] * sy, -columns[best[1]] * sx


def _cost(fy, fx):
    return PRIOR * (np.log(fy) ** 2 + np.log(fx) ** 2) / 0.05**2


def _explained(masks, count, g, g2, back):
    """Correlation ratio of a channel with the kinds, at every shift."""
    sums, n = [back(m, g) for m in masks], sum(count)
    mean = sum(sums) ** 2 / n
    total = np.maximum(back(sum(masks), g2) - mean, 1e-9 * n)
    return (sum(s * s / c for s, c in zip(sums, count)) - mean) / total


def _correlated(f, g, f1, g1, back):
    """Correlation of edges at every shift."""
    n = np.maximum(back(f1, g1), 1e-3)
    sum_f, sum_g = back(f[0], g1), back(f1, g[0])
    spread = np.maximum(back(f[1], g1) - sum_f**2 / n, 0) * np.maximum(back(f1, g[1]) - sum_g**2 / n, 0)
    return (back(f[0], g[0]) - sum_f * sum_g / n) / np.sqrt(np.maximum(spread, 1e-9))


def _refined(kinds, edges, channels, start, half=None):
    """(minus the mark, placement) at its best near `start`."""
    simplex = start + np.vstack([np.zeros(4), np.diag([0.02 * start[0], 0.02 * start[1], 2 * start[0], 2 * start[1]])])
    found = optimize.minimize(lambda p: _loss(p, kinds, edges, *channels, half), start, method="Nelder-Mead",
                              options={"initial_simplex": simplex, "xatol": 1e-2, "fatol": 1e-5, "maxiter": 200})
    return found.fun, found.x


def _loss(p, kinds, edges, grey, rough, strength, half=None):
    """Minus the mark at a placement; of every other 16 rows of the map where `half` is 0 or 1."""
    sy, sx, top, left = p
    y, x = top + sy * (np.arange(kinds.shape[0]) + 0.5) - 0.5, left + sx * (np.arange(kinds.shape[1]) + 0.5) - 0.5
    rows, columns = ((v > -0.5) & (v < n - 0.5) for v, n in zip((y, x), grey.shape))
    if half is not None:
        rows &= np.arange(len(rows)) // 16 % 2 == half
    if rows.sum() * columns.sum() < LEAST_OVERLAP * kinds.size / (1 if half is None else 2):
        return 1.0
    grid = np.meshgrid(y[rows], x[columns], indexing="ij")
    at = [ndimage.map_coordinates(c, grid, order=1, mode="nearest").ravel().astype(float) for c in (grey, rough, strength)]
    inside = (rows[:, None] & columns[None]).ravel()
    kind = kinds.ravel()[inside]
    count = np.bincount(kind, minlength=KINDS) + 1e-9
    ratio = [((np.bincount(kind, v, KINDS) ** 2 / count).sum() - v.sum() ** 2 / len(v)) / max(v.var() * len(v), 1e-12) for v in at[:2]]
    stretch = sy * kinds.shape[0] / grey.shape[0], sx * kinds.shape[1] / grey.shape[1]
    return -float(np.mean(ratio) + np.corrcoef(edges.ravel()[inside], at[2])[0, 1]) + _cost(*stretch)
