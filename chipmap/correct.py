"""What scanning and milling write over a picture, taken off again: streaks along scan lines, curtains down columns, jitter of lines.

A streak changes every phase of the sample alike, by an amount that follows its line slowly and differs from line to line. So
it is read off the flat pixels of all phases together. What the sample itself has of that shape, and fainter than a quarter of
the step between two phases, is taken for a streak: that is why none of this is done unasked.
"""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.filters import gaussian, noise_of

from chipmap.levels import find_levels

ALONG = 16          # pixels along a line that are averaged before anything else
FLAT = 0.25         # of the smallest step between levels: a pixel farther than that from its level is on an edge
ROUNDS = 2          # the second one sees the levels without the streaks of the first
CLEAR = 1.0         # streaks are there where their variance is at least that which noise alone gives them
MOST = 10.0         # times that one phase may feel them more than another
FIT = 3             # alternations between the streaks and how much more bright phases feel them
REACH = 4           # rows on either side that a jittering row is compared with


@dataclass
class Stripes:
    """image (H, W) float32 without them. rms: what was taken off, grey levels. ratio: how much more the brightest level felt
    than the darkest one; 1 where charge adds to the grey, their ratio where it multiplies it."""

    image: np.ndarray
    rms: float
    ratio: float


def without_streaks(image, along=None, across=12.0):
    """`Stripes` of a picture freed from streaks along its rows, as charging leaves them.

    image: (H, W) float32. along: pixels over which a streak changes along its row (standard deviation of a Gaussian),
    default a fortieth of the row. across: rows over which the background changes; slower things are not touched.

    Grey less its level = streak * (1 + (ratio - 1) * height of the level between the darkest and the brightest one), least
    squares over flat pixels under a Gaussian along the row, and as much less as its noise is of its variance (N. Wiener): a
    picture without streaks stays as it is.
    """
    xp = array_module(image)
    start, ratio = image, None
    for _ in range(ROUNDS):
        levels = find_levels(image)
        mean = levels.fit.mixture.mean
        flat = levels.smooth - levels.drift
        height = xp.clip((flat - np.float32(mean[0])) / np.float32(max(np.ptp(mean), 1e-12)), 0, 1)
        off, trusted = _off_level(xp, image - levels.drift, flat, mean)
        streak, ratio = _streak(xp, off, trusted, height, noise_of(image), along or image.shape[1] / 40, across, ratio)
        if streak is None:
            break
        image = image - streak * (1 + np.float32(ratio - 1) * height)
    return Stripes(image, float(xp.sqrt(((image - start).astype(np.float64) ** 2).mean())), float(ratio or 1))


def without_curtain(image, across=24.0):
    """`without_streaks` for streaks that run down whole columns, as ion milling leaves them."""
    xp = array_module(image)
    found = without_streaks(xp.ascontiguousarray(image.T), image.shape[0] / 2, across)
    found.image = xp.ascontiguousarray(found.image.T)
    return found


def without_jitter(image, rounds=4, most=3.0):
    """(image with its rows moved back, (H,) float64 NumPy pixels by which each had been moved to the right).

    Each row is compared with the mean of its neighbours (4 above and below, weighed by a Gaussian): the least-squares shift
    that explains the difference by their slope along the row. Straight lines, slanted ones too, stay where they are; the
    mean shift and slow wandering of the rows are not seen. Rows are moved by cubic interpolation, once, by the sum of what
    was found. A row whose surroundings have no edges stays. Shifts beyond `most` pixels are held to be no jitter.
    """
    xp = array_module(image)
    shift = xp.zeros(len(image), np.float64)
    smooth = gaussian(image, (0, 1.0))
    for _ in range(rounds):
        lag, chance = _lag(xp, _moved(xp, smooth, shift))
        signal = float((lag**2).mean()) - float(chance.mean())
        if signal <= CLEAR * float(chance.mean()):
            break
        shift = xp.clip(shift + lag * signal / (signal + chance), -most, most)
    if not bool(shift.any()):
        return image, to_host(shift)
    shift -= shift.mean()
    return _moved(xp, image, shift), to_host(shift)


def _off_level(xp, image, smooth, mean):
    """(grey less the level next to the smoothed grey, where that is near a level): (H, W) float32 twice."""
    nearest = xp.full(smooth.shape, np.float32(mean[0]))
    for below, above in zip(mean, mean[1:]):
        nearest[smooth > np.float32((below + above) / 2)] = np.float32(above)
    room = FLAT * float(np.diff(mean).min()) if len(mean) > 1 else np.inf
    return image - nearest, (xp.abs(smooth - nearest) < np.float32(room)).astype(np.float32)


def _streak(xp, off, trusted, height, noise, along, across, known_ratio):
    """((H, W) streaks on the darkest level, ratio), or (None, the ratio known) where they do not rise above the noise."""
    ratio, sigma = known_ratio or 1.0, max(along / ALONG, 0.5)
    samples = float(ALONG * 2 * np.sqrt(np.pi) * min(sigma, off.shape[1] / ALONG / 2 / np.sqrt(np.pi)))     # pixels that a value rests on
    for _ in range(FIT):
        felt = 1 + np.float32(ratio - 1) * height
        pull = gaussian(_blocks(xp, trusted * felt * off), (0, sigma))
        weight = gaussian(_blocks(xp, trusted * felt * felt), (0, sigma))
        least = np.float32(1 / samples)
        raw = pull / xp.maximum(weight, least)
        raw = raw - gaussian(raw, (across, 0))
        chance = noise**2 / samples / xp.maximum(weight, least)
        known = weight > 0.1
        if not bool(known.any()):
            return None, known_ratio
        signal = float((raw[known].astype(np.float64) ** 2).mean()) - float(chance[known].mean())
        if signal <= CLEAR * float(chance[known].mean()):
            return None, known_ratio
        streak = _stretched(xp, raw * np.float32(signal) / (np.float32(signal) + chance), off.shape[1])
        ratio = known_ratio or float(np.clip(_ratio(off * trusted, streak * trusted, height), 1 / MOST, MOST))
    return streak, ratio


def _ratio(off, streak, height):
    """Least squares of off = streak * (1 + (ratio - 1) * height)."""
    lever = (streak * height).astype(np.float64)
    square = float((lever * lever).sum())
    return 1.0 + float((lever * (off - streak)).sum()) / square if square else 1.0


def _blocks(xp, image):
    """(H, w) means of ALONG pixels of each row; the last, ragged one is filled up with its last pixel."""
    height, width = image.shape
    wide = xp.pad(image, [(0, 0), (0, -width % ALONG)], mode="edge")
    return wide.reshape(height, -1, ALONG).mean(2)


def _stretched(xp, blocks, width):
    """Linear between the middles of the blocks: (H, width)."""
    place = xp.clip((xp.arange(width, dtype=np.float32) - np.float32((ALONG - 1) / 2)) / np.float32(ALONG), 0, blocks.shape[1] - 1)
    before = xp.minimum(place.astype(np.int32), max(blocks.shape[1] - 2, 0))
    share = place - before.astype(np.float32)
    after = xp.minimum(before + 1, blocks.shape[1] - 1)
    return blocks[:, before] * (1 - share) + blocks[:, after] * share


def _lag(xp, image):
    """(shift of each row to the right of the mean of its neighbours, its variance by noise alone): (H,) float64, pixels."""
    around, own = gaussian(image, (REACH / 2, 0)), np.float32(_own_weight())
    around = (around - own * image) / (1 - own)     # a row is no witness of its own place
    slope = gaussian(around, (0, 1.0), order=(0, 1))
    differs = image - around
    typical = float(xp.median(xp.abs(differs)))
    # a pixel off by more than the slope explains is no shifted edge
    fair = (xp.abs(differs) <= 3 * xp.abs(slope) + np.float32(3 * typical)).astype(np.float64)
    seen = xp.maximum((fair * slope * slope).sum(1), 1e-12)
    noise = (typical / 0.6745) ** 2 * 2     # smoothing along the row makes two neighbours alike
    return -(fair * slope * differs).sum(1) / seen * float(1 - own), xp.minimum(noise / seen, 1e6)


def _own_weight():
    line = np.zeros((33, 1), np.float32)
    line[16] = 1
    return float(gaussian(line, (REACH / 2, 0))[16, 0])


def _moved(xp, image, shift):
    """Every row moved to the left by its shift, cubic (R. Keys, IEEE Trans. ASSP 29, 1153 (1981)), its ends repeated."""
    width = image.shape[1]
    whole = xp.floor(shift)
    t = (shift - whole).astype(np.float32)[:, None]
    weights = (((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t)
    columns = xp.arange(width)[None, :] + whole.astype(np.int64)[:, None]
    out = xp.zeros(image.shape, np.float32)
    for k, weight in enumerate(weights):
        out += weight * xp.take_along_axis(image, xp.clip(columns + (k - 1), 0, width - 1), 1)
    return out
