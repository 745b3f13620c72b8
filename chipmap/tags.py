"""What the microscope wrote into the file: pixel size, beam, detector, each with the tag it came from.

Tags read: FEI/Thermo 34680 and 34682 (INI text; also found by its first section where the TIFF directory is damaged),
Zeiss SmartSEM 34118 (lines "NAME = value unit"), Tescan 50431 (INI text). Sidecars, a .txt beside the picture: Hitachi
([SemImageFile]) and JEOL ($$SM_MICRON_BAR in pixels, $$SM_MICRON_MARKER as a length).
"""

import re
from xml.etree import ElementTree

FEI_TAGS, ZEISS_TAG, TESCAN_TAG = (34682, 34680), 34118, 50431

# what a detector's name says of its signal; a name that is not here says nothing
_BACKSCATTER = ("bsd", "bse", "cbs", "abs", "vcd", "asb", "rbsd", "esb", "aemb", "qbsd", "mbse", "pdbse", "ylbse")
_SECONDARY = ("etd", "tld", "se", "se1", "se2", "se(u)", "se(l)", "inlens", "lfd", "lvd", "gsed", "vpse", "hdasb se", "ice")

# where each fact stands: the tag or file, and the entries in it
_ENTRIES = {
    "FEI/Thermo": ("FEI tag 34682", {"beam_kv": "[EBeam or IBeam] HV", "detector": "[Detectors] Name", "working_distance_mm": "[EBeam or IBeam] WD",
                                     "field_width_m": "[Scan] HorFieldsize, else HFW", "pixel_size_m": "[Scan] PixelWidth, PixelHeight",
                                     "resolution": "[Image] ResolutionX, ResolutionY", "databar_height": "[PrivateFei] DatabarHeight"}),
    "Zeiss": ("Zeiss tag 34118", {"beam_kv": "AP_ACTUALKV, else AP_MANUALKV", "detector": "DP_DETECTOR_CHANNEL, else DP_DETECTOR_TYPE",
                                  "working_distance_mm": "AP_WD", "field_width_m": "AP_WIDTH", "pixel_size_m": "header, AP_IMAGE_PIXEL_SIZE or AP_PIXEL_SIZE",
                                  "resolution": "DP_IMAGE_STORE"}),
    "Tescan": ("Tescan tag 50431", {"beam_kv": "HV", "detector": "Detector, else Detector0", "working_distance_mm": "WD", "pixel_size_m": "PixelSizeX, PixelSizeY"}),
    "Hitachi": ("Hitachi sidecar", {"beam_kv": "AcceleratingVoltage", "detector": "SignalName", "working_distance_mm": "WorkingDistance",
                                    "pixel_size_m": "PixelSize", "resolution": "DataSize"}),
    "JEOL": ("JEOL sidecar", {"beam_kv": "CM_ACCEL_VOLT", "detector": "CM_SIGNAL", "working_distance_mm": "SM_WD",
                              "pixel_size_m": "SM_MICRON_MARKER / SM_MICRON_BAR"}),
}

_METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9, "pm": 1e-12, "å": 1e-10}


def metres(value, unit):
    """`value` of `unit` (m, cm, mm, um, nm, pm, in any case) in metres; ValueError for a unit it does not know."""
    try:
        return float(value) * _METRES[unit.strip().lower()]
    except KeyError:
        raise ValueError(f"unit {unit!r} of length is unknown: use pm, nm, um, mm or m") from None


def signal_of(detector):
    """"BSE", "SE" or None for a detector's name, as far as the name tells."""
    name = (detector or "").strip().lower()
    if name in _SECONDARY:
        return "SE"
    if name in _BACKSCATTER or "bse" in name or "bsd" in name:
        return "BSE"
    return None


def from_text(text):
    """Instrument facts from an FEI, Zeiss, Tescan, Hitachi or JEOL block of text, or {} where it is none of them.

    Keys as far as the text has them: vendor, beam ("electron"/"ion"), beam_kv, detector, signal, working_distance_mm,
    field_width_m, pixel_size_m (dy, dx), pixel_size_source, resolution (width, height), databar_height, notes (list), sources ({key: where it stands}).
    """
    if "[User]" in text or "[Scan]" in text:
        facts = _fei(_ini(text))
    elif "[SemImageFile]" in text:
        facts = _hitachi(_ini(text)["SemImageFile"])
    elif "$$SM_MICRON_BAR" in text:
        facts = _jeol(text)
    elif "PixelSizeX" in text:
        facts = _tescan(text)
    elif "AP_" in text or "DP_" in text:
        facts = _zeiss(text)
    else:
        return {}
    facts = {key: value for key, value in facts.items() if value is not None}
    facts["notes"] = field_width_agrees(facts)
    place, entries = _ENTRIES[facts["vendor"]]
    facts["sources"] = {key: f"{place} {entry}" for key, entry in entries.items() if key in facts}
    return facts


def fei_block(data):
    """The INI text an FEI microscope appends to its TIFF, found in the raw bytes of a damaged file; "" if absent."""
    start = max(data.find(b"[User]\r"), data.find(b"[User]\n"))
    if start < 0:
        return ""
    return re.split(rb"[^\x09\x0a\x0d\x20-\x7e]", data[start:], maxsplit=1)[0].decode("ascii", "replace")


def _ini(text):
    sections, current = {}, {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
        elif "=" in line:
            key, value = line.split("=", 1)
            current[key.strip()] = value.strip()
    return sections


def _fei(ini):
    scan, image, private = ini.get("Scan", {}), ini.get("Image", {}), ini.get("PrivateFei", {})
    beam = ini.get("Beam", {}).get("Beam") or next((name for name in ("EBeam", "IBeam") if name in ini), "EBeam")
    column = ini.get(beam, {})
    detector = ini.get("Detectors", {}).get("Name") or next(
        (name for name, section in ini.items() if "Signal" in section and "Contrast" in section), None)
    said = ini.get(detector, {}).get("Signal") if detector else None
    width, height = _number(scan.get("PixelWidth")), _number(scan.get("PixelHeight"))
    return {
        "vendor": "FEI/Thermo",
        "beam": "ion" if beam.startswith("I") else "electron",
        "beam_kv": _scaled(column.get("HV"), 1e-3),
        "detector": detector,
        "signal": {"SE": "SE", "BSE": "BSE"}.get(said) or signal_of(detector),
        "working_distance_mm": _scaled(column.get("WD"), 1e3),
        "field_width_m": _number(scan.get("HorFieldsize")) or _number(column.get("HFW")),
        "pixel_size_m": (height or width, width) if width else None,
        "pixel_size_source": "FEI tag [Scan] PixelWidth" if width else None,
        "resolution": _pair(image.get("ResolutionX"), image.get("ResolutionY")),
        "databar_height": int(_number(private.get("DatabarHeight")) or 0) or None,
    }


def _zeiss(text):
    entries = dict(re.findall(r"^((?:AP|DP|SV)_\w+)\s*\r?\n(.*)$", text, re.MULTILINE))
    values = {key: line.split("=", 1)[1].strip() for key, line in entries.items() if "=" in line}
    pixel, source = _zeiss_pixel(text, values)
    detector = values.get("DP_DETECTOR_CHANNEL") or values.get("DP_DETECTOR_TYPE")
    resolution = re.match(r"(\d+)\s*\*\s*(\d+)", values.get("DP_IMAGE_STORE", ""))
    kilovolts = values.get("AP_ACTUALKV") or values.get("AP_MANUALKV")
    return {
        "vendor": "Zeiss",
        "beam": "ion" if "fib" in (values.get("DP_BEAM_IMAGING", "") or "").lower() else "electron",
        "beam_kv": _number(kilovolts.split()[0]) if kilovolts else None,
        "detector": detector,
        "signal": signal_of(detector),
        "working_distance_mm": _scaled_length(values.get("AP_WD"), 1e3),
        "field_width_m": _scaled_length(values.get("AP_WIDTH"), 1.0),
        "pixel_size_m": (pixel, pixel) if pixel else None,
        "pixel_size_source": source,
        "resolution": _pair(*resolution.groups()) if resolution else None,
    }


def _zeiss_pixel(text, values):
    """The stored picture's pixel size: the header's number has all its digits, the named entries only three."""
    named = next((n for n in ("AP_IMAGE_PIXEL_SIZE", "AP_PIXEL_SIZE") if _scaled_length(values.get(n), 1.0)), None)
    rounded = _scaled_length(values[named], 1.0) if named else None
    header = re.split(r"(?:AP|DP|SV)_", text, maxsplit=1)[0].split()
    exact = _number(header[3]) if len(header) > 3 else None
    if rounded and exact and abs(exact - rounded) < 0.01 * rounded:
        return exact, f"Zeiss tag 34118 header, as {named}"
    return (rounded, f"Zeiss tag 34118 {named}") if rounded else (None, None)


def _tescan(text):
    values = _pairs(text, r"(\w+)\s*=\s*(.*)")
    dx = _number(values.get("PixelSizeX"))
    dy = _number(values.get("PixelSizeY")) or dx
    return _common("Tescan", values.get("Detector") or values.get("Detector0"), (dy, dx) if dx else None, "Tescan tag 50431 PixelSizeX",
                   beam_kv=_scaled(values.get("HV"), 1e-3), working_distance_mm=_scaled(values.get("WD"), 1e3))


def _hitachi(values):
    size = _number((values.get("PixelSize") or "").split(" ")[0])
    size = size and size * 1e-9
    resolution = re.match(r"(\d+)\s*x\s*(\d+)", values.get("DataSize", ""))
    return _common("Hitachi", values.get("SignalName"), (size, size) if size else None, "Hitachi sidecar PixelSize",
                   beam_kv=_scaled((values.get("AcceleratingVoltage") or "").split(" ")[0], 1e-3),
                   working_distance_mm=_scaled_length(values.get("WorkingDistance"), 1e3),
                   resolution=_pair(*resolution.groups()) if resolution else None)


def _jeol(text):
    values = _pairs(text, r"\$+(\w+)\s+(.*)")
    bar = _number(values.get("SM_MICRON_BAR"))
    marker = re.match(r"([\d.]+)\s*(\w+)", values.get("SM_MICRON_MARKER", ""))
    length = _scaled_length(" ".join(marker.groups()), 1.0) if marker else None
    size = length / bar if length and bar else None
    return _common("JEOL", values.get("CM_SIGNAL") or values.get("CM_SIGNAL_NAME"), (size, size) if size else None,
                   "JEOL sidecar $$SM_MICRON_MARKER / $$SM_MICRON_BAR", beam_kv=_number(values.get("CM_ACCEL_VOLT")),
                   working_distance_mm=_number(values.get("SM_WD")))


def _pairs(text, pattern):
    """{name: value} of the lines that the pattern matches."""
    return {m[1]: m[2].strip() for m in (re.match(r"\s*" + pattern, line) for line in text.splitlines()) if m}


def _common(vendor, detector, pixel, source, **more):
    return {"vendor": vendor, "beam": "electron", "detector": detector, "signal": signal_of(detector), "pixel_size_m": pixel,
            "pixel_size_source": source if pixel else None, **more}


def field_width_agrees(facts):
    """A note where field width / pixels is not the pixel size (microscopes round the width to three digits or so)."""
    pixel, width, resolution = (facts.get(k) for k in ("pixel_size_m", "field_width_m", "resolution"))
    if not (pixel and width and resolution):
        return []
    computed = width / resolution[0]
    if abs(computed / pixel[1] - 1) <= 0.005:
        return []
    return [f"field width {width * 1e6:.4g} um / {resolution[0]} px is {computed * 1e9:.4g} nm, "
            f"but the pixel size tag says {pixel[1] * 1e9:.4g} nm"]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _scaled(text, factor):
    value = _number(text)
    return None if value is None else value * factor


def _scaled_length(text, factor):
    parts = (text or "").split()
    if len(parts) != 2 or not _number(parts[0]):
        return None
    try:
        return metres(parts[0], parts[1]) * factor
    except ValueError:
        return None


def _pair(a, b):
    return (int(a), int(b)) if a and b else None


def from_tiff(tiff):
    """What the tags of an open `tifffile.TiffFile` say (`from_text`), from the vendors' tags or the OME text; or {}."""
    page = tiff.pages[0]
    for code in (*FEI_TAGS, ZEISS_TAG, TESCAN_TAG):
        tag = page.tags.get(code)
        if tag is not None:
            tiff.filehandle.seek(tag.valueoffset)
            facts = from_text(tiff.filehandle.read(tag.valuebytecount).decode("cp1252", "replace"))
            if facts:
                return facts
    return ome_facts(tiff.ome_metadata) if tiff.is_ome else {}


def ome_facts(text):
    """{pixel_size_m, pixel_size_source, vendor} of an OME text, as far as it has them."""
    try:
        pixels = next((node for node in ElementTree.fromstring(text).iter() if node.tag.endswith("}Pixels")), None)
        size = [metres(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"]
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError):
        return {}
    return {"pixel_size_m": tuple(size), "pixel_size_source": "OME PhysicalSizeX", "notes": []}
