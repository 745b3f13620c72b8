"""What one kind of physics leaves behind: facts, fields, pictures, columns; in one shape, so that files are written one way."""

from dataclasses import dataclass, field

import numpy as np
from cukernels.backend import to_host
from cukernels.zonal import label_max, label_mean, label_min


@dataclass
class Picture:
    """A field to draw: file name, cells (H, W), unit, quantity, title; clip: quantile at which the colours end."""

    file: str
    values: np.ndarray
    quantity: str
    unit: str
    title: str
    colours: str = "inferno"
    clip: float = 1.0


@dataclass
class Answer:
    """facts: for results.json. points, cells: name with unit -> (H+1, W+1) or (H, W), a vector's components last (x, y
    down). columns: name with unit -> (K,) NumPy, for objects.csv; NaN where an object has none. tables: file name ->
    columns. note: why there is no answer, or ""."""

    facts: dict = field(default_factory=dict)
    points: dict = field(default_factory=dict)
    cells: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)
    tables: dict = field(default_factory=dict)
    pictures: list = field(default_factory=list)
    note: str = ""

    def host(self):
        """The same with NumPy arrays."""
        self.points = {name: to_host(a) for name, a in self.points.items()}
        self.cells = {name: to_host(a) for name, a in self.cells.items()}
        for picture in self.pictures:
            picture.values = to_host(picture.values)
        return self


def nothing(note):
    """An answer that says why there is none."""
    return Answer(facts={"note": note}, note=note)


def by_object(objects, count, **fields):
    """Columns of an objects' table: lowest_, mean_ or highest_NAME=(H, W) gives the column of that name, (K,) NumPy."""
    kinds = {"lowest": label_min, "mean": label_mean, "highest": label_max}
    return {name: to_host(kinds[name.partition("_")[0]](objects, values, count)) for name, values in fields.items()}


def at_pixels(corners):
    """Mean of a field at pixel corners (H+1, W+1) over each pixel."""
    return (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4
