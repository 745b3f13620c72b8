"""Pictures on disk as the page reads them: any part at any zoom, without holding the whole."""

import json
import pathlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from cukernels.run import sha256

from chipmap.page.intake import open_file, size_of
from chipmap.read import Picture

BAND = 1024     # rows that are halved at a time


@dataclass
class Opened:
    """A picture in a folder of its own. name: the file's. levels: (H, W) maps of the disk, each half the one before.
    facts: what the tags say, as of `intake`."""

    name: str
    folder: pathlib.Path
    levels: list
    facts: dict

    @property
    def shape(self):
        return self.levels[0].shape

    @property
    def sized(self):
        """Whether the pixel size is known."""
        return self.facts["sized"]

    @cached_property
    def range(self):
        """(darkest, brightest) grey to show: all but half a percent at either end, from a level of few pixels."""
        coarse = np.asarray(next((level for level in self.levels if level.size <= 1 << 22), self.levels[-1]))
        low, high = np.percentile(coarse, (0.5, 99.5))
        return float(low), float(max(high, low + 1))

    def window(self, level, top, left, height, width):
        """8-bit grey of a part of a level, at most (height, width), less at its rim; None where there is nothing."""
        part = self.levels[level][top:top + height, left:left + width] if level < len(self.levels) else np.empty((0, 0))
        if not part.size:
            return None
        low, high = self.range
        return ((np.asarray(part, np.float32) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)

    def picture(self, box=None, pixel_size_m=None):
        """The part `box` (top, bottom, left, right) as a `read.Picture`; all of it without."""
        top, bottom, left, right = box or (0, self.shape[0], 0, self.shape[1])
        facts = self.facts
        size = pixel_size_m or tuple(facts["pixel_size_m"])
        source = "given on the page" if pixel_size_m else facts["pixel_size_source"]
        whole = (bottom, right) == self.shape
        return Picture(np.asarray(self.levels[0][top:bottom, left:right], np.float32), size, source, facts["bits"], pathlib.Path(self.name),
                       facts["instrument"], facts["databar_rows"] if whole and not top and not left else None, list(facts["notes"]))


def open_picture(path, folder, pixel_size=None, name=None):
    """Decode a file into `folder` and make its levels there: an `Opened`. Raises InputError as `intake.open_file`."""
    path, folder = pathlib.Path(path), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    open_file(path, folder, pixel_size, name)
    found = opened(folder, name or path.name)
    found.facts |= {"sha256": None if path.is_dir() else sha256(path), "bytes": size_of(path)}
    return found


def opened(folder, name):
    """The `Opened` of a folder with grey.npy and picture.json; levels that lack are made."""
    folder = pathlib.Path(folder)
    levels = [np.load(folder / "grey.npy", mmap_mode="r")]
    while max(levels[-1].shape) > 512:
        levels.append(_halved(levels[-1], folder / f"level{len(levels)}.npy"))
    return Opened(name, folder, levels, json.loads((folder / "picture.json").read_text()))


def _halved(above, path):
    """The level of means of 2 x 2 pixels below `above`, made band by band; a map of the disk."""
    if not path.exists():
        shape = tuple((n + 1) // 2 for n in above.shape)
        below = np.lib.format.open_memmap(path, mode="w+", dtype=above.dtype, shape=shape)
        for top in range(0, above.shape[0], BAND):
            band = np.asarray(above[top:top + BAND])
            below[top // 2:(top + BAND) // 2] = halved(band)
        below.flush()
        del below
    return np.load(path, mmap_mode="r")


def halved(image):
    """Means of 2 x 2 pixels in the image's own type, (ceil(H / 2), ceil(W / 2), ...); an odd last row or column is repeated."""
    wide = np.float32 if image.dtype.kind == "f" else np.uint32
    image = np.pad(image, [(0, n % 2) for n in image.shape[:2]] + [(0, 0)] * (image.ndim - 2), mode="edge")
    rows = image[::2].astype(wide) + image[1::2]
    total = rows[:, ::2] + rows[:, 1::2]
    return (total / 4 if wide is np.float32 else (total + 2) // 4).astype(image.dtype)
