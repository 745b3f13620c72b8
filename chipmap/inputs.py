"""What a caller gives, refused in one sentence before anything is solved: kinds of array, shapes, sizes, tolerances."""

import numpy as np
from cukernels.backend import array_module
from cukernels.stencil import check_conductivity

from chipmap import InputError

LARGEST, LONGEST = 1e100, 1000.0    # of a property, in whatever unit; of a pixel, in its other side


def conductivity(values, name="conductivity", somewhere=True):
    """(H, W), tensors (3, H, W) or conductances (6, H, W), float64, above zero `somewhere`; NumPy or CuPy as given, else InputError."""
    k = numbers(values, name)
    try:
        check_conductivity(k)
    except ValueError as error:
        raise InputError(str(error)) from None
    _range(k, name)
    if somewhere and not bool(k.any()):
        raise InputError(f"{name} is 0 everywhere: nothing conducts, give some pixel a number above zero")
    return k


def modulus(values):
    """(H, W) Young's modulus, float64, some of it above zero, else InputError; what each pixel holds is looked at later."""
    E = numbers(values, "Young's modulus")
    if E.ndim != 2 or 0 in E.shape:
        raise InputError(f"Young's modulus has shape {E.shape}: give one number a pixel, (H, W) with at least one pixel")
    if not bool(E.any()):
        raise InputError("Young's modulus is 0 everywhere: the picture is all void, give some pixel a number above zero")
    _range(E, "Young's modulus")
    return E


def field(values, shape, name):
    """A number, or (H, W) numbers of that shape, float64, else InputError."""
    values = numbers(values, name)
    if values.ndim and values.shape != shape:
        raise InputError(f"{name} has shape {values.shape}: give a number, or one a pixel, {shape}")
    return values


def numbers(values, name):
    """An array of real numbers, float64, or InputError: no flags, texts, dates, complex or masked numbers."""
    if isinstance(values, np.ma.MaskedArray):
        if values.mask.any():
            raise InputError(f"{name} has masked pixels, which would be solved as what they hide: give a number for each")
        values = values.data
    try:
        xp = array_module(values)
        values = xp.asarray(values)
    except ValueError:  # rows of unequal length
        raise InputError(f"{name} is no array of numbers: give rows of equal length") from None
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} has dtype {values.dtype}: give real numbers")
    return xp.asarray(values, np.float64)


def pixel(dx, dy):
    """The two lengths as floats, or InputError."""
    for name, size in (("dx", dx), ("dy", dy)):
        if isinstance(size, (bool, str)) or np.ndim(size) or np.iscomplexobj(size) or size is None or not (np.isfinite(size) and size > 0):
            raise InputError(f"pixel size {name} = {size}: give a finite length above zero")
    if max(dx / dy, dy / dx) > LONGEST:
        raise InputError(f"pixel size dx = {dx}, dy = {dy}: more than {LONGEST:g} times as long as wide, give both in one unit")
    return float(dx), float(dy)


def tolerance(value):
    """A number between 0 and 1, or InputError."""
    if isinstance(value, (bool, str)) or np.ndim(value) or value is None or not 0 < value < 1:
        raise InputError(f"tolerance {value}: give a number between 0 and 1, such as 1e-8")
    return float(value)


def draws(samples, correlated):
    """How many pictures, and over how many pixels of an edge they err together; InputError."""
    if isinstance(samples, (bool, str)) or np.ndim(samples) or not (samples >= 0 and int(samples) == samples):
        raise InputError(f"samples {samples}: give how many pictures to draw, 0 for the first order")
    if isinstance(correlated, (bool, str)) or np.ndim(correlated) or not (np.isfinite(correlated) and correlated > 0):
        raise InputError(f"correlated {correlated}: give a length in pixels, above zero")


def _range(values, name):
    # squares of them are taken, and ratios, in double precision
    size = abs(values)
    largest = float(size.max())
    if np.isfinite(largest) and largest and not 1 / LARGEST < largest < LARGEST:
        raise InputError(f"{name} is {largest:g} at most: beyond what double precision holds, give it in another unit")
