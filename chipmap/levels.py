"""The grey levels of a picture: smooth as much as the noise asks for, look at flat pixels only, fit levels and drift."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.filters import gaussian, noise_of, radius

from chipmap.mixture import field_basis, fit_mixtures, sharpen

MAX_LEVELS = 8
SAMPLE = 40_000  # flat pixels that the mixture is fitted to
SCALES = (1.4, 2.0, 2.4, 2.8, 3.4, 4.0)  # of the smoothing, pixels
FINE = 2.0  # a smoothing below this is for levels spread by little but white noise; texture asks for more
TEXTURED = 5.0  # spread of a level, standard deviations of the noise left, from which it counts as textured
CLEAR = 6.0  # levels closer than so many standard deviations of the noise never stand clear of it


@dataclass(frozen=True)
class Fit:
    """What the flat pixels of a picture say. mixture: `mixture.Mixture` of the levels, dark to bright. evidence: {number of
    levels: nats}. noise, noise_left: standard deviation of the white noise before and after smoothing by `scale` pixels.
    shape: (H, W) of the picture."""

    mixture: object
    evidence: dict
    scale: float
    noise: float
    noise_left: float
    shape: tuple


@dataclass
class Levels:
    """smooth: (H, W) float32 the picture smoothed by `fit.scale` pixels, drift: (H, W) float32 its brightness background."""

    smooth: np.ndarray
    drift: np.ndarray
    fit: Fit


def find_levels(grey, least=1, noise=None):
    """`Levels` of a picture: grey (H, W) float32, NumPy or CuPy, finite; at least `least` levels; noise: sigma or None.

    The smoothing grows until the levels stand clear of the noise, and of their texture's finest grain. An edge, a bright rim (SE) or a pixel that two
    phases share is not flat, so it makes no level.
    """
    xp = array_module(grey)
    last = {}

    def smoothed(scale):
        last["smooth"] = smooth(grey, scale)
        return lambda y, x: to_host(last["smooth"][xp.asarray(y), xp.asarray(x)])

    fit = fit_levels(smoothed, grey.shape, float(grey.max() - grey.min()), noise_of(grey) if noise is None else float(noise), least)
    return Levels(last["smooth"], drift(xp, fit), fit)


def fit_levels(smoothed, shape, span, noise, least=1):
    """The `Fit` of a picture of which only single pixels need be seen.

    smoothed: function scale -> function (y, x) -> grey values there of the picture after `smooth`. shape: (H, W). span:
    its brightest less its darkest value. noise: standard deviation of its white noise.
    """
    # stored values are rounded, and a drawn or denoised picture has no noise at all
    noise = max(noise, 1e-3 * span)
    for scale in SCALES:
        left = noise / _reduction(scale)
        mixture, evidence = _fit(smoothed(scale), shape, left, scale, least)
        gap = np.diff(mixture.mean).min() if len(mixture.mean) > 1 else np.inf
        textured = mixture.sigma.max() > TEXTURED * left
        if gap > _clear(shape, scale) * left and (scale >= FINE or not textured):
            break
    return Fit(mixture, evidence, scale, noise, left, tuple(shape))


def _clear(shape, scale):
    """Distance of two levels, standard deviations of the noise, from which no spot of the picture should pass half-way by chance."""
    spots = shape[0] * shape[1] / (4 * np.pi * scale**2)  # that are independent of each other
    return max(CLEAR, 2 * NormalDist().inv_cdf(1 - min(1 / spots, 0.5)))


def smooth(grey, scale):
    """Gaussian smoothing that leaves parabolas alone (twicing: 2 G - G * G), so that narrow gaps stay open."""
    once = gaussian(grey, scale)
    return 2 * once - gaussian(once, scale)


def smoothing_reach(scale):
    """How many pixels around it a pixel of `smooth` depends on."""
    return 2 * radius(scale)


def _reduction(scale):
    """By how much `smooth` lowers white noise."""
    return scale * np.sqrt(4 * np.pi / (4 - 8 / 3 + 1 / 2))


def _fit(at, shape, noise, scale, least):
    """Mixture of the flat pixels with the best evidence, and the evidence of every number of phases tried."""
    grey, y, x, trust = _flat_sample(at, shape, noise, scale)
    basis = field_basis(y, x, shape)
    floor = max(noise, np.ptp(np.quantile(grey, [0.01, 0.99])) / 100)
    fits = []
    for count in range(1, MAX_LEVELS + 1):
        fits += fit_mixtures(grey, basis, floor, [count], 1 / (4 * np.pi * scale**2))
        if count > least + 1 and max(f.evidence for f in fits[-2:]) < max(f.evidence for f in fits[least - 1:]):
            break  # two more levels in a row explain less
    best = max(range(least - 1, len(fits)), key=lambda i: fits[i].evidence)
    return sharpen(fits[best], grey, basis, trust), {i + 1: fit.evidence for i, fit in enumerate(fits)}


def _flat_sample(at, shape, noise, scale):
    """Grey, row, column and trust of up to SAMPLE pixels whose surroundings are flat: little slope, little curvature."""
    rng = np.random.default_rng(0)
    height, width = shape
    count = 4 * SAMPLE
    if height * width <= count:
        y, x = np.divmod(np.arange(height * width), width)
    else:
        y, x = rng.integers(0, height, count), rng.integers(0, width, count)
    around = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    rows, columns = (np.concatenate([np.clip(here + step[axis], 0, shape[axis] - 1) for step in around]) for axis, here in enumerate((y, x)))
    here, up, down, left, right = at(rows, columns).astype(float).reshape(len(around), -1)
    slope = np.hypot(down - up, right - left) / 2 * scale
    curvature = np.abs(up + down + left + right - 4 * here) / 2 * scale**2
    bend = np.hypot(slope, curvature)
    limit = max(2 * noise, 0.04 * np.ptp(np.quantile(here, [0.01, 0.99])))
    flat = np.flatnonzero(bend < limit)
    if len(flat) < 1000:
        flat = np.argsort(bend)[:max(1000, len(bend) // 10)]
    flat = rng.permutation(flat)[:SAMPLE]
    return here[flat], y[flat], x[flat], np.exp(-4.5 * (bend[flat] / limit) ** 2)


def drift(xp, fit, top=0, left=0, height=None, width=None):
    """The brightness background (h, w) float32 of the picture that `fit` is of, or of the part from row `top`, column `left` on."""
    rows, columns = fit.shape
    y = xp.arange(top, rows if height is None else top + height, dtype=np.float32)[:, None]
    x = xp.arange(left, columns if width is None else left + width, dtype=np.float32)[None, :]
    total = xp.zeros((y.size, x.size), np.float32)
    u, v = 2 * x / max(columns - 1, 1) - 1, 2 * y / max(rows - 1, 1) - 1
    for c, term in zip(fit.mixture.field, (u, v, u * u - np.float32(1 / 3), u * v, v * v - np.float32(1 / 3))):
        total += np.float32(c) * term
    return total
