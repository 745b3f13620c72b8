"""The Abaqus deck read back by its keywords alone."""

import numpy as np
import pytest

from chipmap import InputError, materials
from chipmap.deck import write_deck
from chipmap.properties import Library, Sample

NM = 1e-9


def sample(shape=(5, 7)):
    objects = np.zeros(shape, int)
    objects[1:3, 2:5] = 1
    objects[4:, 3:] = 2
    return Sample(objects, np.array([0, 1, 2]), [["SiO2"], ["Cu"], ["void"]], np.ones(3), (3 * NM, 2 * NM), Library(["Cu.youngs_modulus=117"]))


def read(path):
    """[(keyword, {parameter: value}, rows of numbers)] of a deck, by the format's definition."""
    blocks = []
    for line in path.read_text().splitlines():
        if line.startswith("*"):
            words = [word.strip() for word in line[1:].split(",")]
            blocks.append((words[0], dict(word.split("=") for word in words[1:]), []))
        elif blocks[-1][0] != "HEADING":
            blocks[-1][2].append([float(word) for word in line.split(",") if word.strip()])
    return blocks


def test_deck_read_back(tmp_path):
    one = sample()
    write_deck(tmp_path / "a.inp", one, ["SiO2", "Cu", "void"])
    blocks = read(tmp_path / "a.inp")
    nodes = {int(n): (x, y) for n, x, y in next(b[2] for b in blocks if b[0] == "NODE")}
    elements = {int(row[0]): [int(n) for n in row[1:]] for row in next(b[2] for b in blocks if b[0] == "ELEMENT")}
    sets = {b[1][b[0]]: {int(n) for row in b[2] for n in row} for b in blocks if b[0] in ("ELSET", "NSET")}
    assert len(elements) == (one.objects != 2).sum()
    assert set(nodes) == {n for corners in elements.values() for n in corners}
    for number, corners in elements.items():
        x, y = np.array([nodes[n] for n in corners]).T
        area = 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))
        assert area == pytest.approx(6 * NM * NM)       # counter-clockwise, so above zero
        row, column = divmod(number - 1, 7)
        assert (x.mean(), y.mean()) == pytest.approx(((column + 0.5) * 2 * NM, (5 - row - 0.5) * 3 * NM))
        assert number in sets[f"OBJECT_{one.objects[row, column]}"]
        assert number in sets["MATERIAL_CU" if one.objects[row, column] else "MATERIAL_SIO2"]
    assert "OBJECT_2" not in sets and len(sets["LEFT"]) == 6 and len(sets["RIGHT"]) == 5 and len(sets["TOP"]) == 8
    assert {nodes[n][0] for n in sets["LEFT"]} == {0.0} and {nodes[n][1] for n in sets["BOTTOM"]} == {0.0}
    assert all(len(row) <= 16 for b in blocks if b[0] in ("ELSET", "NSET") for row in b[2])
    sections = [b[1] for b in blocks if b[0] == "SOLID SECTION"]
    assert {s["MATERIAL"]: s["ELSET"] for s in sections} == {"SIO2": "MATERIAL_SIO2", "CU": "MATERIAL_CU"}
    elastic = [b[2][0] for b in blocks if b[0] == "ELASTIC"]
    assert elastic[1] == [117e9, materials.property_of("Cu", "poisson_ratio").value]


def test_deck_of_nothing_and_of_too_much(tmp_path):
    void = Sample(np.zeros((3, 3), int), np.zeros(1, int), [["void"]], np.ones(1), (NM, NM))
    with pytest.raises(InputError, match="nothing in the picture is solid"):
        write_deck(tmp_path / "a.inp", void, ["void"])
    big = Sample(np.zeros((2001, 2000), np.int8), np.zeros(1, int), [["Cu"]], np.ones(1), (NM, NM))
    with pytest.raises(InputError, match="crop"):
        write_deck(tmp_path / "a.inp", big, ["Cu"])
    assert not list(tmp_path.iterdir())
