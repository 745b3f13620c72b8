"""Resistivity of thin metal: scattering at surfaces (Fuchs, Sondheimer) and at grain boundaries (Mayadas, Shatzkes).

The constants stand in `size_effect.csv`, at 300 K, with their ranges. Sources: Gall16 is D. Gall, J. Appl. Phys. 119,
085101 (2016), doi 10.1063/1.4942216 (its table as remembered, in line with its abstract); VP is VirtualPlatform3D;
PL is PLaSK; Islam25 is arXiv 2505.07613; GK is general knowledge, and a row that rests on it says `checked = no`.
"""

import csv
import functools
import pathlib
from dataclasses import dataclass, fields, replace

import numpy as np

from chipmap import InputError

ROOM_K = 300.0
LORENZ = 2.44e-8    # W ohm/K2, Sommerfeld's value
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


@dataclass(frozen=True)
class Metal:
    """A row of `size_effect.csv`; every number may be replaced (`dataclasses.replace`)."""

    metal: str
    resistivity_ohm_m: float
    mean_free_path_nm: float
    specularity: float
    specularity_low: float
    specularity_high: float
    reflection: float
    reflection_low: float
    reflection_high: float
    temperature_coefficient_per_k: float
    lorenz_factor: float
    source: str
    checked: bool


@dataclass(frozen=True)
class Resistivity:
    """value, low, high in ohm m: low and high from the ranges of specularity and reflection; arrays or floats."""

    value: object
    low: object
    high: object


@functools.cache
def metals():
    """name -> Metal."""
    with open(pathlib.Path(__file__).parent / "size_effect.csv", newline="", encoding="utf-8") as file:
        return {row["metal"]: Metal(**{key: _cell(key, text) for key, text in row.items()}) for row in csv.DictReader(file)}


def resistivity(metal, width_m, height_m=np.inf, grain_m=None, temperature_k=ROOM_K, **override):
    """Resistivity of a line `width_m` wide and `height_m` high; a film where the height is infinite.

    metal: a name of the table, or a `Metal`. width_m, height_m, grain_m: arrays or floats, m; the grain defaults to the
    smaller of width and height, as in damascene lines. override: any column of the table, for this call; an overridden
    specularity or reflection has no range left.
    Returns Resistivity. Matthiessen's rule adds the bulk (which alone changes with temperature), the surface and the
    grain term; the surface term of a line takes 1/width + 1/height for 1/thickness, right for both terms to first order.
    Raises InputError for a metal that is not in the table, ValueError for sizes that are not above zero.
    """
    facts = _overridden(metal, override)
    width, height = np.asarray(width_m, float), np.asarray(height_m, float)
    grain = np.minimum(width, height) if grain_m is None else np.asarray(grain_m, float)
    if not all((np.asarray(size) > 0).all() for size in (width, height, grain)):
        raise ValueError("width, height and grain must be above zero, in metres")
    if not (np.isfinite(temperature_k) & (np.asarray(temperature_k) > 0)).all():
        raise InputError(f"temperature {temperature_k}: give kelvins above zero")
    path = facts.mean_free_path_nm * 1e-9
    # where surface and grains count, phonons add what the bulk says: the other two terms do not change with temperature
    warm = facts.temperature_coefficient_per_k * (temperature_k - ROOM_K)
    thin = path * (1 / width + 1 / height)

    def total(specularity, reflection):
        surface = fuchs_sondheimer(1 / thin, specularity) - 1
        grains = mayadas_shatzkes(path / grain * reflection / (1 - reflection)) - 1
        return (facts.resistivity_ohm_m * (1 + warm + surface + grains))[()]

    return Resistivity(total(facts.specularity, facts.reflection),
                       total(facts.specularity_high, facts.reflection_low),
                       total(facts.specularity_low, facts.reflection_high))


def thermal_conductivity(metal, resistivity_ohm_m, temperature_k=ROOM_K):
    """W/(m K) from Wiedemann and Franz, with the metal's Lorenz factor (films of Ru and W carry heat by phonons too)."""
    return _metal(metal).lorenz_factor * LORENZ * temperature_k / np.asarray(resistivity_ohm_m)[()]


def fuchs_sondheimer(thickness, specularity):
    """Resistivity of a film over that of the bulk; `thickness` in mean free paths, an array.

    1 / (1 - 3/(2 k) (1-p) Int_1^inf (t^-3 - t^-5) (1 - e^-kt) / (1 - p e^-kt) dt), k the thickness, p the specularity:
    K. Fuchs, Proc. Camb. Phil. Soc. 34, 100 (1938); E. H. Sondheimer, Adv. Phys. 1, 1 (1952).
    """
    thickness = np.asarray(thickness, float)
    # t = 1/u^2: smooth on 0 < u < 1, also for films much thinner than the mean free path
    u = (NODES + 1) / 2
    s = u * u
    decay = np.exp(-thickness[..., None] / s)
    inner = (s - s ** 3) * (1 - decay) / (1 - specularity * decay)
    integral = (inner * 2 * u * WEIGHTS / 2).sum(axis=-1)
    return 1 / (1 - 1.5 / thickness * (1 - specularity) * integral)


def mayadas_shatzkes(a):
    """Resistivity of a polycrystal over that of the crystal; a = (mean free path / grain) R / (1 - R), an array.

    1 / (3 (1/3 - a/2 + a^2 - a^3 ln(1 + 1/a))): A. F. Mayadas, M. Shatzkes, Phys. Rev. B 1, 1382 (1970).
    """
    a = np.asarray(a, float)
    small = np.where(a > 0, a, 1.0)
    crystal = 1 - 1.5 * small + 3 * small ** 2 - 3 * small ** 3 * np.log1p(1 / small)
    # large a: the terms cancel to 3/(4a); the series of the logarithm goes on where doubles lose it
    large = np.maximum(a, 10.0)
    series = sum(3 * (-1) ** (m + 1) / (m + 3) / large ** m for m in range(1, 17))
    return np.where(a > 0, 1 / np.where(a > 10, series, crystal), 1.0)


def _overridden(metal, override):
    facts = _metal(metal)
    for name in ("specularity", "reflection"):
        if name in override:
            override = {f"{name}_low": override[name], f"{name}_high": override[name], **override}
    unknown = set(override) - {field.name for field in fields(Metal)}
    if unknown:
        raise InputError(f"{min(unknown)} is no column of size_effect.csv: use one of {', '.join(field.name for field in fields(Metal))}")
    facts = replace(facts, **override)
    for name, good, words in (("resistivity_ohm_m", facts.resistivity_ohm_m > 0, "above zero"), ("mean_free_path_nm", facts.mean_free_path_nm > 0, "above zero"),
                              ("specularity", 0 <= facts.specularity <= 1, "from 0 to 1"), ("reflection", 0 <= facts.reflection < 1, "from 0 to below 1")):
        if not (good and np.isfinite(getattr(facts, name))):
            raise InputError(f"{name} {getattr(facts, name)} of {facts.metal}: give a finite number {words}")
    return facts


def _metal(metal):
    if isinstance(metal, Metal):
        return metal
    if metal not in metals():
        raise InputError(f"metal {metal!r} is not in size_effect.csv: use one of {', '.join(metals())}, or add a row with its source")
    return metals()[metal]


def _cell(key, text):
    if key in ("metal", "source"):
        return text
    return text == "yes" if key == "checked" else float(text)
