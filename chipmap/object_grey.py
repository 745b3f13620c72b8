"""The grey of each object of a picture and how well it is known: chance, streaks, curtains, and what blur and shine leave."""

from dataclasses import dataclass

import numpy as np

from chipmap import InputError, unmix

RIM = 2         # pixels from its border to its middle that an object needs, or it is all blur and bright edge
DEEP = 8        # pixels from a border beyond which neither is to be expected
TILE = 8        # pixels: side of the tiles that are compared
STILL = 0.75    # of the change of grey from the shell to the core, that the core may still be off
LAGS = 4        # rows or columns whose streaks may hang together in one object
APART = 16      # rows or columns that are held to be shifted alike in the picture
MIXED = 0.25    # standard uncertainty of an object too thin to have more than rim, share of the contrast of the picture
DOUBTED = 0.25  # of what blur and shining edges seem to have changed
UNEVEN_PIXELS = 50  # deep in objects, that a row or column needs to tell how it is shifted


def object_greys(labels, image):
    """(mean, standard error) of each object's grey, (K,) each, from its inner half (at most `DEEP` pixels from a border).

    The error joins chance (the largest of white noise, rows that differ: streaks, columns that differ: curtains, and
    tiles that differ: a second material) with how much the grey still changes with depth: blur, bright edges.
    An object that is all rim gets a quarter of the picture's contrast on top: its grey is mixed with its neighbours'.
    """
    from scipy import ndimage
    contrast = float(np.ptp(np.quantile(image, [0.02, 0.98])))
    mean, error = np.empty(labels.max() + 1), np.empty(labels.max() + 1)
    for k, frame in enumerate(_boxes(labels)):
        depth = ndimage.distance_transform_edt(np.pad(labels[frame] == k, DEEP, "edge"))[DEEP:-DEEP, DEEP:-DEEP]
        mean[k], error[k] = _mean_and_error(image[frame], depth, contrast)
    return mean, error


@dataclass(frozen=True)
class OwnGreys:
    """(K,) each, grey levels. mean: of an object. chance: its standard error. alike: of what unmixing leaves, which it
    leaves in all objects of one kind."""

    mean: np.ndarray
    chance: np.ndarray
    alike: np.ndarray

    @property
    def error(self):
        return np.hypot(self.chance, self.alike)


def own_greys(labels, image, mean, error, zero):
    """`OwnGreys` of the picture that `unmix.sharp` makes.

    mean, error: of `object_greys`. zero: the grey of nothing.

    How much grey still changes with depth is told by all objects together: by one alone, chance looks like change.
    A part of it, and a part of what unmixing takes off, may still be in the mean. Objects too narrow to show how streaks
    and curtains shift them have the error that the picture's broad ones show.
    """
    depth = unmix.border_depth(labels)
    less = unmix.sharp(labels, image, depth, mean, error, zero)
    boxes = _boxes(labels)
    own, chance, change, doubt, deepest = np.array([_parts(less[box], np.where(labels[box] == k, depth[box], 0)) for k, box in enumerate(boxes)]).T
    left = np.where(np.isfinite(change) & (deepest >= RIM), STILL * np.sqrt(_square(change, doubt)), MIXED * float(np.ptp(np.quantile(image, [0.02, 0.98]))))
    chance = np.maximum(chance, _uneven(labels, less, depth, own, zero, boxes) * np.abs(own - zero))
    return OwnGreys(own, chance, np.hypot(left, DOUBTED * (own - mean)))


def _square(change, doubt):
    """(K,) expected square of each change with depth, seen with an error of `doubt`, that is 0 give or take what is usual in the picture."""
    seen = np.isfinite(change)
    usual = 0.0
    for _ in range(50):  # moments weighed as they deserve at the last guess; converges fast
        weight = 1 / np.maximum(usual + doubt[seen] ** 2, 1e-30) ** 2
        usual = max(0.0, float(weight @ (change[seen] ** 2 - doubt[seen] ** 2) / weight.sum())) if seen.any() else 0.0
    if seen.any():
        usual += np.sqrt(2 / weight.sum())  # its standard error: few or noisy objects don't tell that there is no change
    trust = usual / np.maximum(usual + doubt**2, 1e-30)
    return np.where(seen, (trust * change) ** 2 + trust * doubt**2, np.inf)


def _uneven(labels, image, depth, own, zero, boxes):
    """(K,) share of its grey by which curtains and streaks shift an object as broad and high as each, from pixels deep in objects."""
    own_grey = own[labels] - zero
    deep = (depth > DEEP) & (np.abs(own_grey) > 0)
    y, x = np.nonzero(deep)
    share = (image[y, x] - own[labels[y, x]]) / own_grey[y, x]
    size = np.array([[side.stop - side.start for side in box] for box in boxes])
    core = np.maximum(size - 2 * np.minimum(size / 4, DEEP), 1)
    total = np.zeros(len(own))
    for axis, place in enumerate((y, x)):
        total += _variance_of_mean(place, share, labels.shape[axis], core[:, axis])
    return np.sqrt(total)


def _variance_of_mean(place, share, length, breadth):
    """(K,) variance of the mean over `breadth` neighbouring rows (columns), by how like rows are that lie apart."""
    count = np.bincount(place, minlength=length)
    full = count > UNEVEN_PIXELS
    if full.sum() < 4 * APART:
        return np.zeros(len(breadth))
    line = np.where(full, np.bincount(place, share, length) / np.maximum(count, 1), 0)
    alike = np.array([(line[lag:] * line[:length - lag]).sum() / max((full[lag:] & full[:length - lag]).sum(), 1) for lag in range(APART)])
    alike[0] -= share.var() * (full / np.maximum(count, 1)).sum() / full.sum()  # white noise
    lag = np.arange(1, APART)
    weight = 2 * np.maximum(1 - lag / breadth[:, None], 0)
    return np.maximum(alike[0] + weight @ alike[1:], 0) / breadth


def _parts(window, depth):
    """(mean, its chance, change of grey from shell to core, its standard error, depth) of an object; NaN without a shell."""
    deepest = depth.max()
    core = depth > min(deepest / 2, DEEP)
    shell = (depth > min(deepest / 2, DEEP) / 2) & ~core
    mean, chance = _mean_and_chance(window, core)
    if not shell.any():
        return mean, chance, np.nan, np.nan, deepest
    outer, outer_chance = _mean_and_chance(window, shell)
    return mean, chance, outer - mean, np.hypot(chance, outer_chance), deepest


def _boxes(labels):
    """For each object the window that holds it, with a pixel of surroundings where there is one: the frame is no border."""
    from scipy import ndimage
    boxes = ndimage.find_objects(labels + 1)
    if None in boxes:
        raise InputError(f"object {boxes.index(None)} has no pixel: number objects 0 to K - 1 without gaps")
    return [tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box) for box in boxes]


def _mean_and_error(window, depth, contrast):
    mean, chance, change, doubt, deepest = _parts(window, depth)
    if not np.isfinite(change) or deepest < RIM:
        return mean, np.hypot(chance, MIXED * contrast)
    # a change that is small by chance says no more than how well it is known
    return mean, np.hypot(chance, STILL * max(abs(change), doubt))


def _mean_and_chance(window, mask):
    y, x = np.nonzero(mask)
    grey = window[y, x]
    mean = grey.mean()
    errors = [grey.std() / np.sqrt(len(grey))]
    for group, lags in ((y, LAGS), (x, LAGS), (y // TILE * window.shape[1] + x // TILE, 0)):
        count = np.bincount(group)
        sums = np.bincount(group, grey - mean)[count > 0]
        if len(sums) > 7:
            errors.append(np.sqrt(_variance_of_sum(sums, lags)) / len(grey))  # pixels of a group as one
    return mean, max(errors)


def _variance_of_sum(sums, lags):
    """Neighbouring rows (columns) are streaked alike: W. K. Newey, K. D. West, Econometrica 55, 703 (1987), Bartlett weights."""
    total = (sums**2).sum()
    alike = sum(2 * (1 - lag / (lags + 1)) * (sums[lag:] * sums[:-lag]).sum() for lag in range(1, lags + 1))
    return total + max(alike, 0.0)
