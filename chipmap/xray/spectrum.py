"""X-ray spectra as microscopes write them: EMSA/MAS text and the spectra inside Velox EMD files."""

import json
import pathlib
from dataclasses import dataclass, field

import numpy as np

from chipmap import InputError

SPECTRUM_FILES = ".emd", ".rpl"  # that hold a spectrum for every pixel


@dataclass(frozen=True)
class Spectrum:
    """counts: (N,) float64. energy_ev: (N,) middle of each channel. kv: beam energy or None. title: as written.

    take_off_deg, live_time_s, probe_na: None where the file doesn't say. header: every entry of the file, as text.
    """

    counts: np.ndarray
    energy_ev: np.ndarray
    kv: float | None = None
    title: str = ""
    take_off_deg: float | None = None
    live_time_s: float | None = None
    probe_na: float | None = None
    header: dict = field(default_factory=dict)


def read_msa(path):
    """A `Spectrum` from an EMSA/MAS file (ISO 22029), y or xy data, energies in eV or keV.

    Raises InputError for a file that can't be read, is no such file, or whose spectrum is not as long as it says.
    """
    path = pathlib.Path(path)
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    header, start = _msa_header(lines)
    if "EMSA" not in header.get("FORMAT", "").upper() or start is None:
        raise InputError(f"{path}: is no EMSA/MAS spectrum (no #FORMAT or no #SPECTRUM): export it as .msa")
    try:
        numbers = np.array(" ".join(line for line in lines[start:] if not line.startswith("#")).replace(",", " ").split(), float)
        wanted, step, offset = (float(header[key].split()[0]) for key in ("NPOINTS", "XPERCHAN", "OFFSET"))
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: the spectrum is damaged ({error}): export it again") from None
    if header.get("DATATYPE", "Y").upper().startswith("XY"):
        numbers = numbers[1::2]
    if len(numbers) != int(wanted) or not np.isfinite(numbers).all() or not step > 0:
        raise InputError(f"{path}: holds {len(numbers)} values of {int(wanted)} promised, or not numbers: export it again")
    unit = 1e3 if header.get("XUNITS", "eV").strip().lower() == "kev" else 1.0
    energy = unit * (offset + step * np.arange(len(numbers)))
    return Spectrum(numbers, energy, _number(header.get("BEAMKV")), header.get("TITLE", ""), _number(header.get("ELEVANGLE")),
                    _number(header.get("LIVETIME")), _number(header.get("PROBECUR")), header)


def read_emd(path):
    """The spectra of a Velox EMD file (HDF5): a list of `Spectrum`, those stored whole, in the file's order.

    Needs h5py. Raises InputError for a file that can't be read or holds no stored spectrum (a compressed stream of
    single photons is not one).
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: reading EMD files needs h5py: pip install h5py") from None
    try:
        with h5py.File(path) as file:
            group = file.get("Data/Spectrum", {})
            found = [_velox(group[key]["Data"][:, 0], group[key]["Metadata"][:, 0]) for key in group]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is no readable Velox EMD file ({error}): export it again") from None
    if not found:
        raise InputError(f"{path}: holds no stored spectrum: sum the spectrum image in Velox and save it, or export .msa")
    return found


def _msa_header(lines):
    header = {}
    for number, line in enumerate(lines):
        if not line.startswith("#"):
            continue
        key, _, value = line.lstrip("#").partition(":")
        header[key.strip().upper()] = value.strip()
        if key.strip().upper() == "SPECTRUM":
            return header, number + 1
    return header, None


def _velox(counts, metadata):
    facts = json.loads(bytes(metadata).split(b"\0", 1)[0])
    detector = _detector(facts)
    energy, kv = energies_of(facts, len(counts))
    elevation = _number(detector.get("ElevationAngle"))
    return Spectrum(counts.astype(float), energy, kv, facts.get("BinaryResult", {}).get("Detector", ""),
                    elevation and float(np.degrees(elevation)), _number(detector.get("LiveTime")), None, {"detector": detector.get("DetectorName", "")})


def energies_of(facts, channels):
    """((N,) eV of the channels, beam energy in keV or None) from Velox' metadata."""
    detector, volts = _detector(facts), _number(facts.get("Optics", {}).get("AccelerationVoltage"))
    return float(detector["OffsetEnergy"]) + float(detector["Dispersion"]) * np.arange(channels), volts and volts / 1e3


def _detector(facts):
    detectors = facts.get("Detectors", {})
    own = facts.get("BinaryResult", {}).get("Detector", "")
    own = next((d for d in detectors.values() if d.get("DetectorName") == own and "Dispersion" in d), None)
    return own or next(d for d in detectors.values() if "Dispersion" in d)


def _number(text):
    try:
        return float(str(text).split()[0])
    except (ValueError, IndexError):
        return None
