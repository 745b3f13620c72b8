"""The grey levels of a picture: smooth as much as the noise asks for, look at flat pixels only, fit levels and drift."""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.filters import gaussian, noise_of

from chipmap.mixture import field_basis, fit_mixtures, sharpen

MAX_LEVELS = 8
SAMPLE = 40_000  # flat pixels that the mixture is fitted to
SCALES = (1.4, 2.0, 2.8, 4.0)  # of the smoothing, pixels
FINE = 2.0  # a smoothing below this is for levels spread by little but white noise; texture asks for more
TEXTURED = 5.0  # spread of a level, standard deviations of the noise left, from which it counts as textured
CLEAR = 6.0  # levels stand clear of the noise when they are so many standard deviations apart


@dataclass
class Levels:
    """smooth: (H, W) float32 the picture smoothed by `scale` pixels, drift: (H, W) float32 its brightness background.

    mixture: `mixture.Mixture` of the levels, dark to bright. evidence: {number of levels: nats}. noise, noise_left:
    standard deviation of the white noise before and after smoothing.
    """

    smooth: np.ndarray
    drift: np.ndarray
    mixture: object
    evidence: dict
    scale: float
    noise: float
    noise_left: float


def find_levels(grey, least=1, noise=None):
    """`Levels` of a picture: grey (H, W) float32, NumPy or CuPy, finite; at least `least` levels; noise: sigma or None.

    The smoothing grows until the levels stand clear of the noise, and of their texture's finest grain. An edge, a bright rim (SE) or a pixel that two
    phases share is not flat, so it makes no level.
    """
    xp = array_module(grey)
    # stored values are rounded, and a drawn or denoised picture has no noise at all
    noise = max(noise_of(grey) if noise is None else float(noise), 1e-3 * float(grey.max() - grey.min()))
    for scale in SCALES:
        smooth = _smooth(grey, scale)
        left = noise / _reduction(scale)
        mixture, evidence = _fit(xp, smooth, left, scale, least)
        gap = np.diff(mixture.mean).min() if len(mixture.mean) > 1 else np.inf
        textured = mixture.sigma.max() > TEXTURED * left
        if gap > CLEAR * left and (scale >= FINE or not textured):
            break
    return Levels(smooth, _drift(xp, mixture.field, grey.shape), mixture, evidence, scale, noise, left)


def _smooth(grey, scale):
    """Gaussian smoothing that leaves parabolas alone (twicing: 2 G - G * G), so that narrow gaps stay open."""
    once = gaussian(grey, scale)
    return 2 * once - gaussian(once, scale)


def _reduction(scale):
    """By how much `_smooth` lowers white noise."""
    return scale * np.sqrt(4 * np.pi / (4 - 8 / 3 + 1 / 2))


def _fit(xp, smooth, noise, scale, least):
    """Mixture of the flat pixels with the best evidence, and the evidence of every number of phases tried."""
    grey, y, x, trust = _flat_sample(xp, smooth, noise, scale)
    basis = field_basis(y, x, smooth.shape)
    floor = max(noise, np.ptp(np.quantile(grey, [0.01, 0.99])) / 100)
    fits = []
    for count in range(1, MAX_LEVELS + 1):
        fits += fit_mixtures(grey, basis, floor, [count], 1 / (4 * np.pi * scale**2))
        if count > least + 1 and max(f.evidence for f in fits[-2:]) < max(f.evidence for f in fits[least - 1:]):
            break  # two more levels in a row explain less
    best = max(range(least - 1, len(fits)), key=lambda i: fits[i].evidence)
    return sharpen(fits[best], grey, basis, trust), {i + 1: fit.evidence for i, fit in enumerate(fits)}


def _flat_sample(xp, smooth, noise, scale):
    """Grey, row, column and trust of up to SAMPLE pixels whose surroundings are flat: little slope, little curvature."""
    rng = np.random.default_rng(0)
    height, width = smooth.shape
    count = 4 * SAMPLE
    if height * width <= count:
        y, x = np.divmod(np.arange(height * width), width)
    else:
        y, x = rng.integers(0, height, count), rng.integers(0, width, count)
    here, up, down, left, right = (to_host(smooth[xp.asarray(np.clip(y + dy, 0, height - 1)), xp.asarray(np.clip(x + dx, 0, width - 1))])
                                   .astype(float) for dy, dx in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)))
    slope = np.hypot(down - up, right - left) / 2 * scale
    curvature = np.abs(up + down + left + right - 4 * here) / 2 * scale**2
    bend = np.hypot(slope, curvature)
    limit = max(2 * noise, 0.04 * np.ptp(np.quantile(here, [0.01, 0.99])))
    flat = np.flatnonzero(bend < limit)
    if len(flat) < 1000:
        flat = np.argsort(bend)[:max(1000, len(bend) // 10)]
    flat = rng.permutation(flat)[:SAMPLE]
    return here[flat], y[flat], x[flat], np.exp(-4.5 * (bend[flat] / limit) ** 2)


def _drift(xp, coefficients, shape):
    y, x = xp.arange(shape[0], dtype=np.float32)[:, None], xp.arange(shape[1], dtype=np.float32)[None, :]
    total = xp.zeros(shape, np.float32)
    u, v = 2 * x / max(shape[1] - 1, 1) - 1, 2 * y / max(shape[0] - 1, 1) - 1
    for c, term in zip(coefficients, (u, v, u * u - np.float32(1 / 3), u * v, v * v - np.float32(1 / 3))):
        total += np.float32(c) * term
    return total
