"""A picture file -> grey values, pixel size and what the instrument wrote, each with where it comes from."""

import pathlib
import re
from dataclasses import dataclass, field

import numpy as np

from chipmap import InputError, decode, tags
from chipmap.big.pyramid import open_pyramid

ASK = "pass --pixel-size, for example --pixel-size 1.65nm"


@dataclass
class Picture:
    """A picture as stored: `image` (H, W) float32 grey values, nothing corrected, nothing resampled.

    pixel_size_m: (dy, dx) in metres; pixel_size_source: a phrase that names the tag or the option it comes from.
    bits: of the stored grey values. instrument: facts from the tags (see `tags.from_text`), {} without.
    databar_rows: rows at the bottom that the tags say are a databar, or None. notes: sentences for the report.
    """

    image: np.ndarray
    pixel_size_m: tuple
    pixel_size_source: str
    bits: int
    path: pathlib.Path
    instrument: dict = field(default_factory=dict)
    databar_rows: int | None = None
    notes: list = field(default_factory=list)


def read_picture(path, pixel_size_m=None):
    """Read a PNG, TIFF or JPEG of 8, 16 or 32 bits, grey or with equal colour channels; the picture of a Velox EMD, an OME-Zarr,
    or, where rosettasciio is installed, of a Bruker, Gatan or EDAX file.

    pixel_size_m: metres as one number or (dy, dx); it overrides the tags, and a conflict with them becomes a note.
    Returns a `Picture`. Raises `chipmap.InputError` for a file that is missing, unreadable, no picture, damaged (with
    the metadata that survives), empty, constant, coloured, or not finite, and where no pixel size is to be had: a plain
    resolution in dpi is the printer's, not the microscope's, and is never taken for one.
    """
    path = pathlib.Path(path)
    pixels, instrument = _pixels(path)
    instrument = _with_sidecar(path, instrument)
    grey = decode.grey(path, pixels)
    size, source, notes = _pixel_size(path, pixel_size_m, instrument)
    return Picture(grey.astype(np.float32), size, source, grey.dtype.itemsize * 8, path, instrument,
                   _databar_rows(grey, instrument), notes)


def read_grey(path):
    """The grey values (H, W) of a picture as stored, whatever its scale; raises InputError as `read_picture` does."""
    path = pathlib.Path(path)
    return decode.grey(path, _pixels(path)[0])


def parse_pixel_size(text):
    """Metres from text such as "1.65 nm", "0.5um" or "2.2x2.4 nm" (height x width of a pixel): (dy, dx).

    Raises InputError where the text has no unit or makes no sense.
    """
    match = re.fullmatch(r"\s*([\d.eE+-]+)\s*(?:[x×]\s*([\d.eE+-]+)\s*)?([a-zA-Zµμ]+)\s*", str(text))
    try:
        first, second, unit = match.groups()
        size = tags.metres(first, unit), tags.metres(second or first, unit)
    except (AttributeError, ValueError):
        raise InputError(f"pixel size {text!r} is not a length: write a number and a unit, for example 1.65nm or 0.5um") from None
    return _sensible(size)


def _pixels(path):
    """(pixels as stored, facts of the instrument) of a file of any kind."""
    if path.suffix == ".zarr" and path.is_dir():
        return _zarr(path)
    return decode.stored(path)


def _zarr(path):
    with open_pyramid(path) as picture:
        facts = {"pixel_size_m": picture.pixel_size_m, "pixel_size_source": picture.pixel_size_source} if picture.pixel_size_m else {}
        return picture.read(0, 0, *picture.shape), facts


def _with_sidecar(path, instrument):
    """Facts of the .txt beside the picture (Hitachi, JEOL), where the picture's own tags say less; conflicts are noted."""
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        return instrument
    raw = beside.read_bytes()
    facts = tags.from_text(raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace"))
    notes = [*instrument.get("notes", []), *facts.get("notes", [])]
    for key in ("pixel_size_m", "beam_kv"):
        a, b = (np.atleast_1d(f[key])[-1] if key in f else None for f in (instrument, facts))
        if a and b and abs(a / b - 1) > 0.005:
            notes.append(f"{key}: the picture's tags say {a:.6g}, {beside.name} says {b:.6g}: the tags are taken")
    return {**facts, **instrument, "notes": notes} if facts else instrument


def _pixel_size(path, given, instrument):
    notes = list(instrument.get("notes", []))
    tagged, source = instrument.get("pixel_size_m"), instrument.get("pixel_size_source")
    if given is None and tagged is None:
        raise InputError(f"{path}: no tag of the file gives a pixel size (a resolution in dpi is no calibration): {ASK}")
    if given is None:
        return _sensible(tagged), source, notes
    size = _sensible((given, given) if np.isscalar(given) else tuple(given))
    if tagged is not None and max(abs(a / b - 1) for a, b in zip(size, tagged)) > 0.005:
        notes.append(f"--pixel-size {size[1] * 1e9:.6g} nm overrides {tagged[1] * 1e9:.6g} nm of {source}")
    return size, "given by --pixel-size", notes


def _sensible(size):
    if len(size) != 2 or not all(np.isfinite(s) and 1e-12 <= s <= 1e-3 for s in size):
        raise InputError(f"pixel size {size} is not between 1 pm and 1 mm: {ASK}")
    return float(size[0]), float(size[1])


def _databar_rows(grey, instrument):
    """Rows that the tags say lie below the scanned field (FEI stores field and databar in one picture)."""
    resolution, height = instrument.get("resolution"), instrument.get("databar_height")
    if resolution and resolution[0] == grey.shape[1] and 0 < grey.shape[0] - resolution[1] <= grey.shape[0] // 4:
        return grey.shape[0] - resolution[1]
    return height if height and not resolution else None
