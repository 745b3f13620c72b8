"""The material library: `materials.csv` (names, formulas), `properties.csv` (one fact a row, with range and source).

Sources are tags: PM pymatgen's table of elements (MIT), SFH silicon-fabrication-handbook (MIT), HS HotSpot,
3D 3D-ICE, PL PLaSK, ES e-scatter, MS MultilayerStrain, Gall16 doi 10.1063/1.4942216; GK is general knowledge, and a row
that rests on it alone says `checked = no`.
"""

import csv
import difflib
import functools
import pathlib
import re
from dataclasses import dataclass, field

from chipmap import InputError

HERE = pathlib.Path(__file__).parent


@dataclass(frozen=True)
class Property:
    """One fact: value with its range (high is None where only a lower bound is known), the unit is in its name."""

    value: float
    low: float
    high: float | None
    source: str
    checked: bool
    note: str


@dataclass(frozen=True)
class Material:
    """A material: formula ("" for a void), kind (metal, semiconductor, dielectric, void), other names, properties."""

    name: str
    formula: str
    kind: str
    also: tuple
    properties: dict = field(hash=False)

    @property
    def mass_fractions(self):
        """Element symbol -> mass fraction."""
        return mass_fractions(self.formula)


@functools.cache
def load():
    """All materials, name -> `Material`, in the order of the table."""
    facts = {}
    for row in _rows("properties.csv"):
        facts.setdefault(row["material"], {})[row["property"]] = Property(
            float(row["value"]), float(row["low"]), float(row["high"]) if row["high"] else None,
            row["source"], row["checked"] == "yes", row["note"])
    return {row["name"]: Material(row["name"], row["formula"], row["kind"], tuple(row["also"].split(";")), facts[row["name"]])
            for row in _rows("materials.csv")}


def find(name):
    """The `Material` of that name or other name, in any case; InputError with the nearest names where there is none."""
    exact = load().get(name.strip())
    if exact:
        return exact
    key = name.strip().lower()
    for material in load().values():
        if key in (material.name.lower(), *(a.lower() for a in material.also)):
            return material
    near = difflib.get_close_matches(name.strip(), load(), 3, 0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(load())}"
    raise InputError(f"material {name!r} is not in the library: {hint}")


def property_of(name, quantity):
    """The `Property` of a material, by its full name (`thermal_conductivity_w_mk`) or without the unit.

    Raises InputError that names the material and the remedy where the material or the quantity is unknown.
    """
    material = find(name)
    if quantity in material.properties:
        return material.properties[quantity]
    full = [key for key in quantities() if key.startswith(quantity + "_") or key == quantity]
    if len(full) != 1:
        raise InputError(f"property {quantity!r} is unknown: use one of {', '.join(quantities())}")
    if full[0] not in material.properties:
        raise InputError(f"material {material.name} has no {full[0]} in properties.csv: add a row with its source, "
                         "or choose another material")
    return material.properties[full[0]]


def quantities():
    """Names of all properties the table knows, each with its unit."""
    return sorted({key for material in load().values() for key in material.properties})


def mass_fractions(formula):
    """Element symbol -> mass fraction of a plain formula such as "Si0.7Ge0.3"; {} for an empty one.

    Raises InputError for an element that `elements.csv` lacks.
    """
    parts = re.findall(r"([A-Z][a-z]?)([\d.]*)", formula)
    if "".join(a + b for a, b in parts) != formula:
        raise InputError(f"formula {formula!r} can't be read: write elements and counts, for example Si0.7Ge0.3")
    masses = {}
    for symbol, count in parts:
        if symbol not in elements():
            raise InputError(f"formula {formula!r}: element {symbol} is not in elements.csv: add it there")
        masses[symbol] = masses.get(symbol, 0.0) + float(count or 1) * elements()[symbol][1]
    total = sum(masses.values())
    return {symbol: mass / total for symbol, mass in masses.items()}


@functools.cache
def elements():
    """Symbol -> (atomic number, standard atomic weight in g/mol)."""
    return {row["symbol"]: (int(row["z"]), float(row["atomic_weight"])) for row in _rows("elements.csv")}


def _rows(name):
    with open(HERE / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
