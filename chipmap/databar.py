"""The databar at the foot of a picture: where it starts, and whether its drawn scale bar agrees with the pixel size."""

import math

import numpy as np
from cukernels.backend import to_host

LENGTHS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)     # times a power of ten: what microscopes draw bars of
SLACK = 2.0                                       # pixels by which a drawn bar may miss its length


def databar_start(image):
    """First row of a databar at the foot of the picture, or None.

    A databar is drawn: in almost each of its rows most pixels have one and the same value, which no detector gives. It
    is 2-25 % of the height, and the rows above it are not like that. image: (H, W).
    """
    image = to_host(image)
    height = len(image)
    drawn = np.array([_commonest_share(row) > 0.5 for row in image[height - height // 4:]])
    like = np.cumsum(drawn[::-1])[::-1] / np.arange(len(drawn), 0, -1)
    starts = np.flatnonzero(drawn & (like > 0.8))
    if not len(starts) or len(drawn) - starts[0] < max(6, height // 50):
        return None
    start = height - len(drawn) + int(starts[0])
    above = [_commonest_share(row) > 0.5 for row in image[max(0, start - 2 * (height - start)):start - 2]]
    return None if np.mean(above) > 0.2 else start


def _commonest_share(row):
    _, counts = np.unique(row, return_counts=True)
    return counts.max() / len(row)


def scale_bar(bar):
    """Length of the scale bar drawn in a databar, pixels, or None where none is seen.

    bar: (h, W) grey values of the databar. A scale bar is a thin line, in one piece or parted in its middle by its text, with a tick
    at both ends; from the middle of one tick to the middle of the other. The longest such line counts.
    """
    bar = to_host(bar)
    values, counts = np.unique(bar, return_counts=True)
    ink = np.abs(bar.astype(float) - float(values[counts.argmax()])) > 0.5 * float(np.ptp(values))
    tall = _runs_through(ink)
    tick, thin = (tall >= 5) & (tall < 0.8 * len(bar)), (tall > 0) & (tall <= 4)
    lengths = [0]
    for row in range(len(bar)):
        edges = np.flatnonzero(np.diff(np.r_[0, ink[row].astype(np.int8), 0]))
        pieces = [(a, b) for a, b in edges.reshape(-1, 2) if b - a >= 12 and a > 0 and b < ink.shape[1] and thin[row, a + 4:b - 4].all()]
        left, right = [tick[row, a:a + 4].sum() for a, _ in pieces], [tick[row, b - 4:b].sum() for _, b in pieces]   # how wide each tick is
        lengths += [b - a - (i + j) / 2 for (a, b), i, j in zip(pieces, left, right) if i and j]
        lengths += [pieces[n + 1][1] - pieces[n][0] - (left[n] + right[n + 1]) / 2 for n in range(len(pieces) - 1)
                    if left[n] and right[n + 1] and not right[n] and not left[n + 1] and abs(np.ptp(pieces[n]) - np.ptp(pieces[n + 1])) <= 3]
    return float(max(lengths)) if 20 <= max(lengths) <= 0.9 * bar.shape[1] else None


def _runs_through(ink):
    """(h, W) how many inked pixels stand above one another through each inked pixel; 0 elsewhere."""
    down, up = np.zeros(ink.shape, int), np.zeros(ink.shape, int)
    for row in range(len(ink)):
        down[row] = (down[row - 1] + 1 if row else 1) * ink[row]
        up[-1 - row] = (up[-row] + 1 if row else 1) * ink[-1 - row]
    return np.maximum(down + up - 1, 0)


def against_pixel_size(pixels, size_m):
    """(agrees, sentence): a bar of `pixels` at `size_m` metres a pixel, against the round lengths that microscopes draw."""
    nm = pixels * size_m * 1e9
    decade = 10.0**math.floor(math.log10(nm))
    nearest = min((m * decade for m in LENGTHS), key=lambda length: abs(length - nm))
    agrees = abs(nearest - nm) <= SLACK * size_m * 1e9
    if agrees:
        return True, f"its scale bar of {pixels:.0f} pixels is {nm:.4g} nm by the pixel size, {nearest:g} nm within its drawing"
    return False, f"its scale bar of {pixels:.0f} pixels would be {nm:.4g} nm by the pixel size, no round length: check the pixel size"
