"""The picture inside a Velox EMD file (HDF5), and what its metadata say of it."""

import json

import numpy as np

from chipmap import InputError, tags


def read_emd_picture(path):
    """(pixels (H, W), facts as of `tags.from_text`) of the one picture of a Velox EMD file; frames are averaged, with a note.

    Needs h5py. Raises InputError for a file that can't be read, or holds no picture, or several.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: reading EMD files needs h5py: pip install h5py") from None
    try:
        with h5py.File(path) as file:
            groups = list(file.get("Data/Image", {}).values())
            found = [(group["Data"][()], _metadata(group)) for group in groups]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is no readable Velox EMD file ({error}): export it again") from None
    if len(found) != 1:
        names = ", ".join(meta.get("BinaryResult", {}).get("Detector", "?") for _, meta in found)
        raise InputError(f"{path}: holds {len(found)} pictures{f' ({names})' if names else ''}: export the one you mean from Velox as TIFF")
    frames, meta = found[0]
    if frames.ndim != 3 or not frames.size:
        raise InputError(f"{path}: its picture has shape {frames.shape}, not rows x columns x frames: export it from Velox as TIFF")
    return _one(frames), _facts(meta, frames)


def _metadata(group):
    return json.loads(bytes(group["Metadata"][:, 0]).split(b"\0", 1)[0])


def _one(frames):
    return frames[..., 0] if frames.shape[2] == 1 else frames.mean(2, dtype=np.float32)


def _facts(meta, frames):
    result, optics, scan = (meta.get(name, {}) for name in ("BinaryResult", "Optics", "Scan"))
    height, width, count = frames.shape
    facts = {"vendor": "FEI/Thermo", "beam": "electron", "detector": result.get("Detector") or None, "resolution": (width, height)}
    facts["signal"] = tags.signal_of(facts["detector"])
    facts["beam_kv"] = _number(optics.get("AccelerationVoltage"), 1e-3)
    facts["field_width_m"] = _field_width(optics, scan)
    try:
        facts["pixel_size_m"] = tuple(tags.metres(result["PixelSize"][side], result[unit]) for side, unit in (("height", "PixelUnitY"), ("width", "PixelUnitX")))
        facts["pixel_size_source"] = "Velox BinaryResult PixelSize"
    except (KeyError, TypeError, ValueError):
        pass
    facts = {key: value for key, value in facts.items() if value is not None}
    facts["notes"] = tags.field_width_agrees(facts) + ([f"mean of {count} frames"] if count > 1 else [])
    return facts


def _field_width(optics, scan):
    """Field of view of the full scan times the share of it that was scanned."""
    try:
        area = scan["ScanArea"]
        return float(optics["FullScanFieldOfView"]["x"]) * (float(area["right"]) - float(area["left"]))
    except (KeyError, TypeError, ValueError):
        return None


def _number(text, factor):
    try:
        return float(text) * factor
    except (TypeError, ValueError):
        return None
