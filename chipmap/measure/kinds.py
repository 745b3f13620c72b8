"""What an object is by its shape, its material and its neighbours: line, via, liner, layer, void, crack, matrix or piece.

The rules, first that holds:

void     of the material void, or a crack that is not slender
crack    void and slender: five times longer than wide (what is slender is `LONG`), or branched with as long a border
matrix   what the others lie in: it meets at least three sides of the picture's frame, or holds half of it
layer    runs from one side of the frame to the opposite one, through all columns (or rows) as one run, and what lies above
         it is of another material than what lies below
liner    slender, not wider than half the narrower of the two objects that have most of its border, and these two are of
         different materials with a fifth of the border or more each
via      conducts, is compact (less than three times longer than wide), and either most of its border is against one
         conductor, in which it lies, or it joins two conductors and is narrower than both are long
line     slender
piece    everything else
"""

import numpy as np

from chipmap import InputError, materials

KINDS = ("void", "crack", "matrix", "layer", "liner", "via", "line", "piece")
LONG = 5.0          # length over width of what is slender
COMPACT = 3.0       # of a via, less
SHARE = 0.2         # of a liner's border on each of its two neighbours
INSIDE = 0.6        # of a via's border that lies against the conductor it is in
ONE_RUN = 0.9       # of a layer's columns that cross it once


def kinds_of(labels, table):
    """(K,) names of KINDS. labels: (H, W) int, NumPy. table: columns of `objects.find_objects`."""
    count = len(table["object"])
    conducts, empty = (np.array([_is(name, kind) for name in table["material"]]) for kind in ("metal", "void"))
    a, b, length = borders(labels, count)
    kind = np.full(count, "piece", dtype=object)
    slender = table["length_nm"] >= LONG * table["width_nm"]
    area = table["pixels"] / labels.size
    sides = _frame_sides(labels, count)
    order = np.argsort(a, kind="stable")
    a, b, length = a[order], b[order], length[order]
    start = np.searchsorted(a, np.arange(count + 1))
    for k in range(count):
        own = slice(start[k], start[k + 1])
        near = sorted(zip(length[own], b[own]), reverse=True)
        if empty[k]:
            kind[k] = "crack" if slender[k] else "void"
        elif area[k] >= 0.5 or (sides[k].sum() >= 3 and area[k] > 0.05):
            kind[k] = "matrix"
        elif _is_layer(labels, table, k, sides[k], near):
            kind[k] = "layer"
        elif slender[k] and _lines_something(table, k, near):
            kind[k] = "liner"
        elif conducts[k] and table["length_nm"][k] < COMPACT * table["width_nm"][k] and _is_via(table, k, near, conducts):
            kind[k] = "via"
        elif slender[k]:
            kind[k] = "line"
    return kind


def borders(labels, count):
    """(a, b, length): every ordered pair of objects that touch along pixel edges, and along how many."""
    found = []
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        differ = one != other
        found += [one[differ].astype(np.int64) * count + other[differ], other[differ].astype(np.int64) * count + one[differ]]
    pairs, length = np.unique(np.concatenate(found), return_counts=True)
    return pairs // count, pairs % count, length


def _is(name, kind):
    """Whether a shown name ("Ta or W") is of a kind whichever of its materials it is."""
    try:
        return all(materials.find(part).kind == kind for part in str(name).split(" or "))
    except InputError:
        return False


def _frame_sides(labels, count):
    """(K, 4) bool: meets the left, right, upper, lower side of the frame."""
    sides = np.zeros((count, 4), bool)
    for n, line in enumerate((labels[:, 0], labels[:, -1], labels[0], labels[-1])):
        sides[np.unique(line), n] = True
    return sides


def _is_layer(labels, table, k, sides, near):
    """Across the whole picture, one run a column, between two materials."""
    for across, (first, last) in ((False, (0, 1)), (True, (2, 3))):
        if not (sides[first] and sides[last]):
            continue
        mask = (labels.T if across else labels) == k
        runs = (np.diff(mask.astype(np.int8), axis=0, prepend=0, append=0) == 1).sum(axis=0)
        if (runs == 1).mean() < ONE_RUN:
            continue
        # what lies beyond its two long borders, by the middle of its columns
        top, bottom = mask.argmax(axis=0), len(mask) - 1 - mask[::-1].argmax(axis=0)
        names = [_commonest(table["material"], (labels.T if across else labels), row, runs == 1) for row in (top - 1, bottom + 1)]
        if names[0] != names[1] or None in names:
            return True
    return False


def _commonest(material, labels, row, wanted):
    """The material that most columns have at a row, None where the picture ends there."""
    column = np.flatnonzero(wanted & (row >= 0) & (row < len(labels)))
    if len(column) < wanted.sum() / 2:
        return None
    names, counts = np.unique(material[labels[row[column], column]].astype(str), return_counts=True)
    return names[counts.argmax()]


def _lines_something(table, k, near):
    """Thin, between two objects of different materials."""
    total = sum(length for length, _ in near)
    by_material = {}
    for length, other in near:
        by_material.setdefault(table["material"][other], []).append((length, other))
    sides = sorted(((sum(l for l, _ in found), max(found)[1]) for found in by_material.values()), reverse=True)[:2]
    if len(sides) < 2 or sides[1][0] < SHARE * total:
        return False
    return table["width_nm"][k] <= 0.5 * min(table["width_nm"][other] for _, other in sides)


def _is_via(table, k, near, conducts):
    total = sum(length for length, _ in near)
    on = [(length, other) for length, other in near if conducts[other]]
    if not on:
        return False
    if on[0][0] >= INSIDE * total and table["area_nm2"][on[0][1]] > table["area_nm2"][k]:
        return True
    joined = [other for length, other in on if length >= 0.05 * total]
    return len(joined) >= 2 and table["width_nm"][k] < min(table["length_nm"][other] for other in joined[:2])
