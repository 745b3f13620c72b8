"""Where current goes in and out, and what is held: sides of the picture and objects, named by the user."""

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces

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


def joined(held, conducting):
    """(T, T) bool NumPy: which terminals conducting pixels join, through edges or corners, straight or by way of others.

    held: (T, H+1, W+1) bool, as of `nodes`. conducting: (H, W) bool.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    labels, count = pieces(conducting, connectivity=8)
    links = []
    for t, nodes_of in enumerate(held):
        touched = nodes_of[:-1, :-1] | nodes_of[1:, :-1] | nodes_of[:-1, 1:] | nodes_of[1:, 1:]
        links += [(t, len(held) + int(n)) for n in np.unique(to_host(labels[touched])) if n]
    rows, columns = np.array(links).reshape(-1, 2).T
    size = len(held) + count + 1
    _, group = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size)), directed=False)
    return group[:len(held), None] == group[:len(held)]


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
