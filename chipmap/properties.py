"""The numbers a run computes with: the table's, those the user sets instead, and those of thin metal, each with its source."""

import pathlib
import tomllib
from dataclasses import dataclass, field

import numpy as np

from chipmap import InputError, materials, size_effect

THIN = ("specularity", "reflection", "mean_free_path_nm", "temperature_coefficient_per_k", "lorenz_factor")
EXAMPLE = "Cu.thermal_conductivity=320, or =300,320,340 with its range, or a TOML file"


@dataclass(frozen=True)
class Spread:
    """value, low, high: arrays (K,), one entry an object."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Library:
    """The materials' properties as this run sees them.

    settings: texts "Cu.thermal_conductivity=320" (or "=low,value,high"), or paths of TOML files with a table a material
    ([Cu] thermal_conductivity = 320, or [low, value, high]); the last one wins. Columns of size_effect.csv
    (specularity, reflection ...) can be set in the same way. `used` gathers what has been asked for.
    Raises InputError for a text, material, property or number that can't be read.
    """

    def __init__(self, settings=()):
        self.used = {}
        self._own, self._thin = {}, {}
        for text in settings:
            for name, quantity, numbers in _read_toml(text) if text.endswith(".toml") else [_read_text(text)]:
                self._set(name, quantity, numbers, text)

    def fact(self, name, quantity):
        """`materials.Property` of a material; InputError with the remedy where neither table nor user has it."""
        material, quantity = materials.find(name).name, _full(quantity)
        own = self._own.get((material, quantity))
        if own is None and materials.find(material).kind == "void" and quantity in VOID:
            own = materials.Property(VOID[quantity], VOID[quantity], VOID[quantity], "nothing is there", True, "")
        try:
            found = own or materials.property_of(material, quantity)
        except InputError as error:
            raise InputError(f"{error}; or give it with --set {material}.{quantity}=NUMBER") from None
        self.used[material, quantity] = found
        return found

    def spread(self, names, quantity):
        """(value of the likeliest, lowest, highest) over the materials that may be it."""
        facts = [self.fact(name, quantity) for name in names]
        return facts[0].value, min(f.low for f in facts), max(f.value if f.high is None else f.high for f in facts)

    def resistivity(self, name, width_m, thickness_m):
        """`size_effect.Resistivity` of lines of a metal (widths an array); None where the table of thin metal lacks it, or
        the user has set the resistivity outright."""
        material = materials.find(name).name
        if material not in size_effect.metals() or (material, "resistivity_ohm_m") in self._own:
            return None
        metal, own = size_effect.metals()[material], self._thin.get(material, {})
        for column in ("resistivity_ohm_m", *THIN):
            value = own.get(column, getattr(metal, column))
            low, high = (value if column in own else getattr(metal, f"{column}_{end}", value) for end in ("low", "high"))
            self.used[material, f"thin film: {column}"] = materials.Property(
                value, low, high, "user" if column in own else metal.source, column in own or metal.checked, "size_effect.csv")
        return size_effect.resistivity(metal, width_m, thickness_m, **own)

    def temperature_coefficient(self, name):
        """Relative change of the resistivity a kelvin, 0 where size_effect.csv has no such metal and the user sets none."""
        material = materials.find(name).name
        value = self._thin.get(material, {}).get("temperature_coefficient_per_k")
        metal = size_effect.metals().get(material)
        if value is None and metal is None:
            return 0.0
        found = metal.temperature_coefficient_per_k if value is None else value
        self.used[material, "temperature_coefficient_per_k"] = materials.Property(
            found, found, found, metal.source if value is None else "user", value is not None or metal.checked, "")
        return found

    def is_set(self, material, quantity):
        """Whether the user has set this number."""
        return (material, quantity) in self._own

    def report(self):
        """What was used, for results.json: one dict a number."""
        return [{"material": name, "property": quantity, "value": p.value, "low": p.low, "high": p.high, "source": p.source,
                 "checked": p.checked, **({"note": p.note} if p.note else {})} for (name, quantity), p in sorted(self.used.items())]

    def _set(self, name, quantity, numbers, text):
        material = materials.find(name).name
        if quantity in THIN:
            if material not in size_effect.metals():
                raise InputError(f"--set {text}: {material} is not in size_effect.csv, which has {', '.join(size_effect.metals())}")
            self._thin.setdefault(material, {})[quantity] = numbers[1]
            return
        self._own[material, _full(quantity)] = materials.Property(numbers[1], numbers[0], numbers[2], "user", True, "")


VOID = {"youngs_modulus_gpa": 0.0, "poisson_ratio": 0.0, "expansion_1e6_per_k": 0.0}     # a void is stress-free


@dataclass
class Sample:
    """What the physics is done on: a picture whose every object has its numbers.

    objects: (H, W) int, the object of each pixel, NumPy or CuPy. phase: (K,) phase of each object. candidates: M lists of
    materials that may be a phase, likeliest first, [] for unknown. width_m: (K,) measured. pixel_size_m: (dy, dx).
    thickness_m: of the layer, into the picture, or None: then metals have the resistivity of the bulk. measured:
    `uncertainty.Measured` edges, or None; samples: how often to solve again with displaced edges. solids: `solve.Solid` by
    plane and held sides, for the next load on the same.
    """

    objects: object
    phase: np.ndarray
    candidates: list
    width_m: np.ndarray
    pixel_size_m: tuple
    properties: Library = field(default_factory=Library)
    thickness_m: float | None = None
    measured: object = None
    samples: int = 0
    solids: dict = field(default_factory=dict)

    @property
    def named(self):
        """Whether every phase has a material."""
        return all(self.candidates)

    def per_object(self, quantity):
        """`Spread` of a property, by the material of each object alone."""
        table = np.array([self.properties.spread(names, quantity) for names in self.candidates], float)
        return Spread(*table[self.phase].T)

    def resistivity(self):
        """`Spread` of the resistivity, ohm m, with the size effect where the thickness is known."""
        bulk = self.per_object("resistivity_ohm_m")
        if self.thickness_m is None:
            return bulk
        for m, names in enumerate(self.candidates):
            own = self.phase == m
            thin = self.properties.resistivity(names[0], self.width_m[own], self.thickness_m) if own.any() else None
            if thin is not None:
                bulk.value[own], bulk.low[own], bulk.high[own] = thin.value, thin.low, thin.high
        return bulk

    def thermal_conductivity(self):
        """`Spread`, W/(m K); of thin metal by Wiedemann and Franz, at most the table's."""
        table = self.per_object("thermal_conductivity_w_mk")
        if self.thickness_m is None:
            return table
        rho = self.resistivity()
        for m, names in enumerate(self.candidates):
            metal, own = materials.find(names[0]).name, self.phase == m
            if metal in size_effect.metals() and not self.properties.is_set(metal, "thermal_conductivity_w_mk"):
                for mine, other in ((table.value, rho.value), (table.low, rho.high), (table.high, rho.low)):
                    mine[own] = np.minimum(mine[own], size_effect.thermal_conductivity(metal, other[own]))
        return table


def _read_text(text):
    left, equals, right = text.partition("=")
    name, dot, quantity = left.strip().rpartition(".")
    try:
        numbers = [float(part) for part in right.split(",")]
    except ValueError:
        numbers = []
    if not (equals and dot) or len(numbers) not in (1, 3):
        raise InputError(f"--set {text!r} can't be read: write {EXAMPLE}")
    return name, quantity, _ordered(numbers, text)


def _read_toml(path):
    try:
        tables = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--set {path}: can't be read as TOML ({error})") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"--set {path}: {name} stands outside a table: write [Cu] above it, for example")
        for quantity, numbers in table.items():
            numbers = numbers if isinstance(numbers, list) else [numbers]
            if len(numbers) not in (1, 3) or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
                raise InputError(f"--set {path}: [{name}] {quantity} must be one number, or [low, value, high]")
            yield name, quantity, _ordered([float(n) for n in numbers], f"{path}: [{name}] {quantity}")


def _ordered(numbers, text):
    low, value, high = numbers * 3 if len(numbers) == 1 else numbers
    if not 0 <= low <= value <= high < np.inf:
        raise InputError(f"--set {text}: numbers must be finite, not below zero and in the order low, value, high")
    return low, value, high


def _full(quantity):
    known = materials.quantities()
    full = [key for key in known if key == quantity] or [key for key in known if key.startswith(quantity + "_")]
    if len(full) != 1:
        raise InputError(f"property {quantity!r} is unknown: use one of {', '.join((*known, *THIN))}")
    return full[0]
