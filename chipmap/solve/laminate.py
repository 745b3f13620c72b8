"""Pixels that hold two materials: thin layers and edges by the laminate rule, so that a 5 nm liner on 4 nm pixels counts as 5 nm."""

import numpy as np
from cukernels.backend import array_module

from chipmap import InputError


def laminate(first, second, share, normal):
    """Conductivity tensors (3, H, W), xx, yy, xy, of pixels that an interface cuts in two.

    first, second: conductivity of the two sides, numbers or (H, W), >= 0. share: (H, W), 0 .. 1, of each pixel that the
    second one covers. normal: (2, H, W) across the interface, x and y (down), of any length and sense; not read where share
    is 0 or 1. Along the interface conductivities average, across it their inverses do: exact for straight layers. Beside
    an exact insulator (0) currents run along the edge, and the pixel conducts by the average both ways.
    Raises ValueError where a share or a normal is none. NumPy or CuPy.
    """
    xp = array_module(share)
    share, normal = xp.asarray(share, np.float64), xp.asarray(normal, np.float64)
    first, second = (xp.broadcast_to(xp.asarray(k, np.float64), share.shape) for k in (first, second))
    cut = (share > 0) & (share < 1)
    if share.ndim != 2 or normal.shape != (2, *share.shape) or not bool(((share >= 0) & (share <= 1)).all()):
        raise InputError(f"shares have shape {share.shape} and normals {normal.shape}: give a number from 0 to 1 a pixel, and (2, H, W)")
    length = xp.hypot(normal[0], normal[1])
    if not bool((xp.isfinite(length) & (length > 0) | ~cut).all()):
        row, column = np.unravel_index(int((~(length > 0) & cut).argmax()), cut.shape)
        raise InputError(f"the normal at row {row}, column {column} has no direction: every pixel that is cut needs one")
    x, y = (xp.where(cut, part / xp.where(cut, length, 1), 0) for part in normal)
    return tensors(first, second, share, x * x, y * y, x * y)


def tensors(first, second, share, xx, yy, xy):
    """(3, H, W) of the laminate rule; xx, yy, xy: mean of the normal's products with itself, of trace 1 where a pixel is cut."""
    xp = array_module(share)
    along = (1 - share) * first + share * second
    either = (first > 0) & (second > 0)
    across = xp.where(either, first * second / xp.where(either, (1 - share) * second + share * first, 1), along)
    return xp.stack([along + (across - along) * xx, along + (across - along) * yy, (across - along) * xy])
