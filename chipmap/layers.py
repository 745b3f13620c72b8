"""Which layer of a layout file each material stands on: the bundled numbers, or a table of the user's."""

import csv
import pathlib

from chipmap import InputError, materials

MOST = 65535        # layers and datatypes of GDSII are 16 bits


def read_layers(path):
    """{material: (layer, datatype)} from a CSV with the columns material, layer and, if wanted, datatype.

    Materials by any name the library knows; a name it doesn't know (a set such as "Ta or W") is kept as it stands.
    Raises InputError for a file that can't be read, missing columns, numbers outside 0..65535, and a material or a layer
    that comes twice: two materials on one layer could not be told apart afterwards.
    """
    path = pathlib.Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error}): give a CSV with material,layer,datatype") from None
    if not rows or not {"material", "layer"} <= set(rows[0]):
        raise InputError(f"{path}: has no columns material and layer, or no rows: write material,layer,datatype in its first line")
    layers = {}
    for line, row in enumerate(rows, 2):
        name, pair = _material(row["material"]), (_number(path, line, row, "layer"), _number(path, line, row, "datatype"))
        if name in layers or pair in layers.values():
            raise InputError(f"{path}: line {line}: {name} or layer {pair[0]}/{pair[1]} stands there twice: keep one")
        layers[name] = pair
    return layers


def _material(text):
    try:
        return materials.find((text or "").strip()).name
    except InputError:
        return (text or "").strip()


def _number(path, line, row, column):
    text = row.get(column)
    if text in (None, "") and column == "datatype":
        return 0
    try:
        number = int(text)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= MOST:
        raise InputError(f"{path}: line {line}: {column} {text!r} is no whole number from 0 to {MOST}: mend it")
    return number
