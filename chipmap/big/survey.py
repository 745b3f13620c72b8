"""The first look at a big picture: how often each grey value comes, and how much neighbours differ. Whole numbers, so exact."""

from dataclasses import dataclass

import numpy as np

from chipmap import InputError

BAND = 512      # rows looked at together


@dataclass
class Survey:
    """values (V,): pixels of grey value 0, 1 ..; differences: pixels whose mixed second difference has size 0, 1 .."""

    values: np.ndarray
    differences: np.ndarray

    @property
    def low(self):
        return int(np.flatnonzero(self.values)[0])

    @property
    def high(self):
        return int(np.flatnonzero(self.values)[-1])

    @property
    def noise(self):
        """As `cukernels.filters.noise_of` of the whole picture."""
        return float(np.float32(middle(self.differences))) / (2 * 0.6744897501960817)

    def grey(self):
        """(values, how often) of the grey values that come at all."""
        present = np.flatnonzero(self.values)
        return present.astype(np.float32), self.values[present]


def look(picture, each=lambda rows: None):
    """The `Survey` of anything with shape, dtype and read(top, left, height, width). each: called with the rows done.

    Raises InputError for values that are not whole numbers of 8 or 16 bits, and for a picture of one value.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise InputError(f"the picture holds {picture.dtype} values: a mosaic needs whole grey values of 8 or 16 bits, convert it")
    height, width = picture.shape
    most = np.iinfo(picture.dtype).max
    values, differences = np.zeros(most + 1, np.int64), np.zeros(2 * most + 1, np.int64)
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        band = picture.read(top, 0, min(rows + 1, height - top), width)
        values += np.bincount(band[:rows].ravel(), minlength=most + 1)
        across = np.diff(band.astype(np.int32), axis=1)
        mixed = np.abs(across[1:] - across[:-1])
        differences += np.bincount(mixed.ravel(), minlength=2 * most + 1)
        each(rows)
    found = Survey(values, differences)
    if found.low == found.high:
        raise InputError(f"every pixel of the picture has the value {found.low}: there is nothing to see")
    return found


def middle(count):
    """Median of whole numbers of which count[n] are n; the mean of the two in the middle where they are even."""
    total = np.cumsum(count)
    low, high = (int(np.searchsorted(total, rank, side="right")) for rank in ((total[-1] - 1) // 2, total[-1] // 2))
    return (low + high) / 2


def median_and_spread(values, count):
    """(median, median size of the departure from it) of `values` that come `count` times."""
    order = np.argsort(values)
    median = _weighted(values[order], count[order])
    departure = np.abs(values - median)
    order = np.argsort(departure)
    return median, _weighted(departure[order], count[order])


def _weighted(values, count):
    total = np.cumsum(count)
    low, high = (values[np.searchsorted(total, rank, side="right")] for rank in ((total[-1] - 1) // 2, total[-1] // 2))
    return (float(low) + float(high)) / 2
