"""Tiles of 512 pixels: the picture, and what has been found in it, drawn when asked for.

The page lays pixels on the square of the Mercator map: at zoom 6 a tile shows 512 x 512 pixels as they are, at each zoom
below half as many a side. A layer is an array the size of the analysed field, with its halves made when first asked for.
"""

import functools
import threading
from dataclasses import dataclass, field

import numpy as np

from chipmap.page.pictures import halved

TILE, FULL = 512, 6
MOST_PROBABLE = 255


@functools.cache
def empty_tile():
    """A tile that shows nothing."""
    return _png(np.zeros((TILE, TILE, 4), np.uint8))


def picture_tile(opened, zoom, x, y):
    """PNG bytes of the picture itself; transparent beyond its rim."""
    grey = opened.window(FULL - zoom, y * TILE, x * TILE, TILE, TILE)
    if grey is None:
        return empty_tile()
    if grey.shape == (TILE, TILE):
        return _png(grey)
    tile = np.zeros((TILE, TILE, 2), np.uint8)
    tile[:grey.shape[0], :grey.shape[1], 0] = grey
    tile[:grey.shape[0], :grey.shape[1], 1] = 255
    return _png(tile)


@dataclass
class Layer:
    """Something drawn over the picture.

    base: (H, W) uint8 to be looked up in `colours` (256, 4) uint8 RGBA; or (H, W, 4) uint8 itself, colours multiplied by
    alpha, with colours None. corner: (top, left) of the field in the picture.
    """

    base: object
    colours: object
    corner: tuple = (0, 0)
    _levels: list = field(default_factory=list)
    _lock: object = field(default_factory=threading.Lock)

    def level(self, number):
        """The base `number` times halved."""
        with self._lock:
            if not self._levels:
                self._levels.append(self.base)
            while len(self._levels) <= number:
                self._levels.append(halved(self._levels[-1]))
            return self._levels[number]

    def tile(self, zoom, x, y):
        """PNG bytes of a tile."""
        number = FULL - zoom
        values = self.level(number)
        top, left = y * TILE - (self.corner[0] >> number), x * TILE - (self.corner[1] >> number)
        part = values[max(top, 0):max(top + TILE, 0), max(left, 0):max(left + TILE, 0)]
        if not part.size:
            return empty_tile()
        rgba = self.colours[part] if self.colours is not None else _unmultiplied(part)
        if not rgba[..., 3].any():
            return empty_tile()
        tile = np.zeros((TILE, TILE, 4), np.uint8)
        at = max(-top, 0), max(-left, 0)
        tile[at[0]:at[0] + part.shape[0], at[1]:at[1] + part.shape[1]] = rgba
        return _png(tile)


def material_layer(labels, number, colour, corner):
    """Where the material is: its colour, opaque; the page sets how much of it shows."""
    colours = np.zeros((256, 4), np.uint8)
    colours[:, :3] = rgb(colour)
    colours[:, 3] = np.arange(256)
    return Layer(np.where(labels == number, np.uint8(255), np.uint8(0)), colours, corner)


def confidence_layer(confidence, table, corner):
    """Confidence, 0.5 or less to 1, through the colour table (256, 3)."""
    return scalar_layer(confidence, 0.5, 1.0, table, corner)


def scalar_layer(values, low, high, table, corner):
    """A field (H, W) between `low` and `high` through the colour table (256, 3); opaque. Not a number is drawn as `low`."""
    share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-300)
    base = np.rint(255 * np.nan_to_num(share).clip(0, 1)).astype(np.uint8)
    return Layer(base, np.concatenate([table, np.full((256, 1), 255, np.uint8)], axis=1), corner)


def runner_up_layer(second, probability, colours, corner):
    """The second likeliest material of each pixel in its colour, the more opaque the nearer it comes to even odds."""
    alpha = np.rint((np.asarray(probability, np.float32) * 2).clip(0, 1) * MOST_PROBABLE).astype(np.uint16)
    base = np.empty((*second.shape, 4), np.uint8)
    table = np.array([rgb(colour) for colour in colours], np.uint16)
    for c in range(3):
        base[..., c] = table[:, c][second] * alpha // 255
    base[..., 3] = alpha
    return Layer(base, None, corner)


def rgb(colour):
    """[r, g, b] of "#rrggbb"."""
    return [int(colour[i:i + 2], 16) for i in (1, 3, 5)]


def _unmultiplied(part):
    alpha = part[..., 3:].astype(np.uint16)
    colours = np.minimum(part[..., :3] * np.uint16(255) // np.maximum(alpha, 1), 255)
    return np.concatenate([colours, alpha], axis=2).astype(np.uint8)


def _png(array):
    import imagecodecs
    return imagecodecs.png_encode(array, level=1)
