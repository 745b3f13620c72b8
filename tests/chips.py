"""Small drawn pictures for the tests of the page: two tungsten pads joined by a copper line, a second copper line, oxide around."""

import imagecodecs
import numpy as np

SIZE = 160, 224             # rows, columns
LINE = 60, 76, 40, 184      # of the joined line: top, bottom, left, right
OTHER = 110, 126, 20, 204   # of the line below
PAD = 20                    # pixels of the joined line at either end that are tungsten
GREY = {"SiO2": 50, "Cu": 130, "W": 210}
PIXEL_NM = 4.0


def truth():
    """(H, W) of 0 oxide, 1 copper, 2 tungsten."""
    labels = np.zeros(SIZE, np.uint8)
    for top, bottom, left, right in (LINE, OTHER):
        labels[top:bottom, left:right] = 1
    top, bottom, left, right = LINE
    labels[top:bottom, left:left + PAD] = labels[top:bottom, right - PAD:right] = 2
    return labels


def drawn(noise=3.0, seed=0):
    """8-bit grey values of it."""
    grey = np.array(list(GREY.values()), float)[truth()]
    return (grey + np.random.default_rng(seed).normal(0, noise, SIZE)).clip(0, 255).astype(np.uint8)


def png(array=None):
    return imagecodecs.png_encode(drawn() if array is None else array)
