"""Picture -> picture worth looking at: databar cut, and what is asked for corrected; each step says what it changed."""

import re
from dataclasses import dataclass, field

import numpy as np
from cukernels.backend import array_module, to_device
from cukernels.filters import denoise as nonlocal_means
from cukernels.filters import noise_of

from chipmap import InputError
from chipmap.correct import without_curtain, without_jitter, without_streaks
from chipmap.databar import against_pixel_size, databar_start, scale_bar
from chipmap.levels import find_levels


@dataclass
class Prepared:
    """image: (H, W) float32 grey values of what is left; nothing is ever resampled.

    noise_sigma: standard deviation of a pixel's noise, grey levels. crop: (top, bottom, left, right) kept of the stored
    picture. report: one dict a step, {"step", "done": bool, "what": sentence, "changed": rms change in grey levels}. notes: sentences
    for the report, where the drawn scale bar contradicts the pixel size.
    """

    image: np.ndarray
    noise_sigma: float
    crop: tuple
    report: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def prepare(picture, crop=None, databar=True, correct=(), device="cpu"):
    """Prepare a `read.Picture` for segmentation.

    crop: (top, bottom, left, right), or text as "0:700,0:1024" (rows, columns); without it the databar is looked for
    and cut where `databar`. correct: names of CORRECTIONS, as a list or "streaks,noise"; whatever their order, they are done
    in that of CORRECTIONS. device: a `backend.Device`, "cpu" or "cuda"; the image comes back there.

    Returns `Prepared`. Raises InputError for a crop outside the picture, or one that leaves less than 4 x 4 pixels,
    and for a correction it does not know.
    """
    names = _names(correct)
    box, found, notes = _box(picture, crop, databar)
    top, bottom, left, right = box
    image = to_device(np.ascontiguousarray(picture.image[top:bottom, left:right]), device)
    if float(image.min()) == float(image.max()):
        raise InputError(f"{picture.path}: every pixel of rows {top}-{bottom}, columns {left}-{right} has one value: crop elsewhere")
    report = [found]
    for name in names:
        before = image
        image, done, what = CORRECTIONS[name](image)
        report.append(_row(name, done, what, _rms(image - before)))
    noise = noise_of(image)
    report.append(_row("noise", False, f"white noise of {noise:.3g} grey levels", 0.0))
    return Prepared(image, noise, box, report, notes)


def _streaks(image):
    got = without_streaks(image)
    return got.image, got.rms > 0, f"charging streaks along the rows, {_strength(got)}" if got.rms else "no streaks above the noise"


def _curtain(image):
    got = without_curtain(image)
    return got.image, got.rms > 0, f"curtaining down the columns, {_strength(got)}" if got.rms else "no curtaining above the noise"


def _strength(got):
    return f"rms {got.rms:.3g} grey levels, {got.ratio:.2g} times as strong on the brightest level as on the darkest"


def _jitter(image):
    got, shift = without_jitter(image)
    if not shift.any():
        return image, False, "no jitter of the rows above the noise"
    return got, True, f"rows moved back by rms {shift.std():.2g}, at most {np.abs(shift).max():.2g} pixels, resampled by cubic interpolation"


def _background(image):
    field_ = find_levels(image).drift
    return image - field_, True, f"brightness background of {_span(field_):.3g} grey levels taken off"


def _noise(image):
    noise = noise_of(image)
    return nonlocal_means(image, noise), True, f"non-local means at noise {noise:.3g}"


CORRECTIONS = {"streaks": _streaks, "curtain": _curtain, "jitter": _jitter, "background": _background, "noise": _noise}


def _names(correct):
    wanted = [name.strip() for name in correct.split(",")] if isinstance(correct, str) else list(correct or ())
    unknown = [name for name in wanted if name not in CORRECTIONS]
    if unknown:
        raise InputError(f"correction {unknown[0]!r} is unknown: use {', '.join(CORRECTIONS)}")
    return [name for name in CORRECTIONS if name in wanted]


def _box(picture, crop, databar):
    height, width = picture.image.shape
    if crop is not None:
        box = parse_crop(crop, height, width)
        return box, _row("crop", True, f"kept rows {box[0]}-{box[1]}, columns {box[2]}-{box[3]}, as asked", 0.0), []
    start = source = None
    if databar and picture.databar_rows:
        start, source = height - picture.databar_rows, "the microscope's tags"
    elif databar:
        start, source = databar_start(picture.image), "its drawn rows"
    if start is None:
        return (0, height, 0, width), _row("databar", False, "no databar found" if databar else "databar not looked for", 0.0), []
    bar = picture.pixel_size_source and scale_bar(picture.image[start:])
    agrees, drawn = against_pixel_size(bar, picture.pixel_size_m[1]) if bar else (True, "")
    what = f"cut {height - start} rows at the foot, by {source}" + (f"; {drawn}" if bar else "")
    return (0, start, 0, width), _row("databar", True, what, 0.0), [] if agrees else [f"databar: {drawn}"]


def parse_crop(crop, height, width):
    """(top, bottom, left, right) of a crop given as text or numbers; InputError where it is not inside (height, width)."""
    if isinstance(crop, str):
        match = re.fullmatch(r"\s*(\d*):(\d*)\s*,\s*(\d*):(\d*)\s*", crop)
        if not match:
            raise InputError(f"crop {crop!r} can't be read: write rows and columns to keep, for example 0:700,0:1024")
        crop = [int(t) if t else d for t, d in zip(match.groups(), (0, height, 0, width))]
    top, bottom, left, right = crop
    if not (0 <= top <= bottom - 4 <= height - 4 and 0 <= left <= right - 4 <= width - 4):
        raise InputError(f"crop rows {top}:{bottom}, columns {left}:{right} is not 4 x 4 pixels or more inside {height} x {width}: "
                         "give rows and columns within the picture")
    return int(top), int(bottom), int(left), int(right)


def _row(step, done, what, changed):
    return {"step": step, "done": done, "what": what, "changed": float(changed)}


def _rms(array):
    return float(array_module(array).sqrt((array.astype(np.float64) ** 2).mean()))


def _span(array):
    return float(array.max() - array.min())
