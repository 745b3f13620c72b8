"""Where current goes in and out, and what is held: sides of the picture and objects, named by the user."""

import numpy as np
from cukernels.backend import array_module, to_host

from chipmap import InputError

SIDES = {"top": np.s_[0], "bottom": np.s_[-1], "left": np.s_[:, 0], "right": np.s_[:, -1]}


def parse(text, count):
    """["left", 12, ...] of "left,12,...": sides and object numbers. InputError for what is neither, or named twice."""
    found = []
    for part in text.split(","):
        part = part.strip()
        name = part if part in SIDES else int(part) if part.isdecimal() else None
        if name is None or (isinstance(name, int) and name >= count):
            raise InputError(f"terminal {part!r} is neither a side ({', '.join(SIDES)}) nor an object of objects.csv (0 to {count - 1})")
        if name in found:
            raise InputError(f"terminal {part!r} is named twice: name each once")
        found.append(name)
    return found


def nodes(names, objects, conducting):
    """(T, H+1, W+1) bool: the pixel corners that each terminal holds.

    names: sides and object numbers, as of `parse`. objects: (H, W) int. conducting: (H, W) bool, where current can flow.
    Raises InputError for a terminal without a conducting pixel, and for two that touch.
    """
    xp = array_module(objects)
    carrying = corners(xp, conducting)
    held = []
    for name in names:
        if isinstance(name, int):
            node = corners(xp, (objects == name) & conducting)
            why = "is an insulator: name a conducting object"
        else:
            node = xp.zeros(carrying.shape, bool)
            node[SIDES[name]] = carrying[SIDES[name]]
            why = "meets no conductor: name another side or an object"
        if not bool(node.any()):
            raise InputError(f"terminal {name} {why}")
        held.append(node)
    _apart(names, held)
    return xp.stack(held)


def corners(xp, mask):
    """(H+1, W+1) bool: corners of the pixels of a mask."""
    node = xp.zeros(tuple(n + 1 for n in mask.shape), bool)
    for rows in (np.s_[:-1], np.s_[1:]):
        for columns in (np.s_[:-1], np.s_[1:]):
            node[rows, columns] |= mask
    return node


def _apart(names, held):
    for i, one in enumerate(held):
        for j in range(i):
            both = to_host(one & held[j])
            if both.any():
                row, column = np.argwhere(both)[0]
                raise InputError(f"terminals {names[j]} and {names[i]} touch at row {row}, column {column}: that is a short circuit, "
                                 "name terminals that lie apart")
