"""The picture as an Abaqus input deck: one four-node element a pixel, materials, sets for objects and sides."""

import numpy as np
from cukernels.backend import to_host

from chipmap import InputError

PROPERTIES = ("youngs_modulus_gpa", "poisson_ratio", "expansion_1e6_per_k", "thermal_conductivity_w_mk")
ELEMENTS = {"strain": "CPE4", "stress": "CPS4"}
LARGEST = 4_000_000     # elements; beyond, the text is of no use to anybody


def write_deck(path, sample, names, plane="strain"):
    """Write nodes, elements, materials and sets; SI units (m, Pa, W, K), x to the right, y up, origin lower left.

    sample: `properties.Sample`, every phase named. names: shown name of each phase. plane: "strain" or "stress".
    Voids have no elements, and nodes that no element uses are left out. Sets: element sets OBJECT_n and MATERIAL_name,
    node sets LEFT, RIGHT, TOP, BOTTOM. Node and element numbers count pixels from the upper left corner, row by row,
    from 1: element r * W + c + 1 is the pixel of row r and column c.
    Raises InputError for a picture of more than four million pixels, or with nothing solid in it.
    """
    objects = to_host(sample.objects)
    height, width = objects.shape
    if objects.size > LARGEST:
        raise InputError(f"an Abaqus deck of {objects.size} elements would be of no use: crop the picture to {LARGEST} pixels")
    modulus = sample.per_object("youngs_modulus_gpa").value
    solid = (modulus > 0)[objects]
    if not solid.any():
        raise InputError("nothing in the picture is solid: an Abaqus deck needs a material")
    dy, dx = sample.pixel_size_m
    row, column = np.nonzero(solid)
    corner = row * (width + 1) + column + 1
    # counter-clockwise with y up: lower left, lower right, upper right, upper left
    elements = np.column_stack([row * width + column + 1, corner + width + 1, corner + width + 2, corner + 1, corner])
    used = np.unique(elements[:, 1:])
    at = np.divmod(used - 1, width + 1)
    with open(path, "w") as file:
        file.write(f"*HEADING\nchipmap: {height} x {width} pixels of {dx:.9g} x {dy:.9g} m; SI units; plane {plane}\n*NODE\n")
        np.savetxt(file, np.column_stack([used, at[1] * dx, (height - at[0]) * dy]), fmt="%d, %.12g, %.12g")
        file.write(f"*ELEMENT, TYPE={ELEMENTS[plane]}\n")
        np.savetxt(file, elements, fmt="%d, %d, %d, %d, %d")
        owner = objects[row, column]
        for n in np.unique(owner):
            _set(file, f"*ELSET, ELSET=OBJECT_{n}", elements[owner == n, 0])
        for side, chosen in (("LEFT", at[1] == 0), ("RIGHT", at[1] == width), ("TOP", at[0] == 0), ("BOTTOM", at[0] == height)):
            _set(file, f"*NSET, NSET={side}", used[chosen])
        for m in np.unique(sample.phase[np.unique(owner)]):
            _material(file, sample, int(m), names[m], elements[sample.phase[owner] == m, 0])


def _set(file, head, numbers):
    """A set, sixteen numbers a line as the format wants."""
    if not len(numbers):
        return
    file.write(head + "\n")
    for first in range(0, len(numbers), 16):
        file.write(", ".join(map(str, numbers[first:first + 16])) + "\n")


def _material(file, sample, m, shown, elements):
    name = "".join(c if c.isalnum() else "_" for c in shown).upper()
    facts = {quantity: sample.properties.spread(sample.candidates[m], quantity)[0] for quantity in PROPERTIES}
    _set(file, f"*ELSET, ELSET=MATERIAL_{name}", elements)
    file.write(f"*MATERIAL, NAME={name}\n*ELASTIC\n{facts['youngs_modulus_gpa'] * 1e9:.9g}, {facts['poisson_ratio']:.9g}\n"
               f"*EXPANSION\n{facts['expansion_1e6_per_k'] * 1e-6:.9g}\n*CONDUCTIVITY\n{facts['thermal_conductivity_w_mk']:.9g}\n"
               f"*SOLID SECTION, ELSET=MATERIAL_{name}, MATERIAL={name}\n1.0\n")
