"""Pictures in the makers' own formats, through rosettasciio, which is GPL: loaded only when such a file is given.

Bruker (.bcf), Gatan DigitalMicrograph (.dm3, .dm4), EDAX (.spd). Installing the extra `vendor` is the user's choice.
"""

import importlib

import numpy as np

from chipmap import InputError, tags

READERS = {".bcf": "bruker", ".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".spd": "edax"}
MAKERS = {"bruker": "Bruker", "digitalmicrograph": "Gatan", "edax": "EDAX"}


def read_vendor_picture(path):
    """(pixels (H, W), facts as of `tags.from_text`) of the one picture of a file whose suffix is in READERS.

    Raises InputError where rosettasciio is not installed, the file can't be read, or holds no picture, or several.
    """
    kind = READERS[path.suffix.lower()]
    try:
        reader = importlib.import_module(f"rsciio.{kind}")
    except ImportError:
        raise InputError(f"{path}: reading {path.suffix} files needs rosettasciio (GPL): pip install rosettasciio, or export a TIFF") from None
    try:
        found = reader.file_reader(str(path))
    except Exception as error:  # the reader raises its own kinds, and all mean the same here
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: is no readable {path.suffix} file ({what}): export it again") from None
    pictures = [one for one in found if np.ndim(one["data"]) == 2 and min(np.shape(one["data"])) > 1]
    if len(pictures) != 1:
        names = ", ".join(_title(one) for one in pictures)
        raise InputError(f"{path}: holds {len(pictures)} pictures{f' ({names})' if names else ''}: export the one you mean as TIFF")
    return np.asarray(pictures[0]["data"]), _facts(pictures[0], kind, path)


def _facts(one, kind, path):
    instrument = one.get("metadata", {}).get("Acquisition_instrument", {})
    beam = instrument.get("SEM") or instrument.get("TEM") or {}
    facts = {"vendor": MAKERS[kind], "beam": "electron", "beam_kv": beam.get("beam_energy"), "working_distance_mm": beam.get("working_distance"),
             "detector": one.get("metadata", {}).get("Signal", {}).get("detector") or _title(one) or None}
    facts["signal"] = tags.signal_of(facts["detector"])
    try:
        facts["pixel_size_m"] = tuple(abs(tags.metres(axis["scale"], axis["units"])) for axis in one["axes"][-2:])
        facts["pixel_size_source"] = f"axes of the {path.suffix} file"
    except (KeyError, TypeError, ValueError, AttributeError):
        pass        # no unit of length: then there is no pixel size, and --pixel-size is asked for
    return {key: value for key, value in facts.items() if value is not None} | {"notes": []}


def _title(one):
    return str(one.get("metadata", {}).get("General", {}).get("title", ""))
