"""Kinds of objects: each rule on a drawing made for it, on the drawn stack, and on real cracks in a real coating."""

import pathlib

import numpy as np
import pytest

import chipmap
from chipmap import drawn
from chipmap.measure.kinds import borders, kinds_of
from chipmap.objects import find_objects
from chipmap.read import read_picture

NM = (1e-9, 1e-9)
DATA = pathlib.Path(chipmap.__file__).parent / "data"


def kinds(phases, names):
    found = find_objects(phases.astype(np.int32), names, NM)
    return found, kinds_of(found.labels, found.table)


def of(found, kind, row, column):
    return kind[found.labels[row, column]]


def test_lines_vias_and_the_matrix_from_above():
    phases = np.zeros((120, 200), int)
    for row in (20, 50, 80):
        phases[row:row + 12, 10:190] = 1
    phases[23:29, 40:46] = phases[53:59, 100:106] = 2
    phases[105:115, 20:30] = 1
    found, kind = kinds(phases, ["SiO2", "Cu", "W"])
    assert of(found, kind, 0, 0) == "matrix"
    assert [of(found, kind, row + 6, 150) for row in (20, 50, 80)] == ["line"] * 3
    assert of(found, kind, 25, 42) == of(found, kind, 55, 102) == "via"
    assert of(found, kind, 110, 25) == "piece"


def test_layers_and_a_line_that_crosses_the_picture():
    phases = np.zeros((120, 200), int)
    phases[40:50], phases[50:70], phases[70:] = 1, 2, 3
    phases[90:100] = 4
    found, kind = kinds(phases, ["SiCOH", "SiCN", "SiO2", "Si", "Cu"])
    assert of(found, kind, 45, 5) == of(found, kind, 60, 5) == "layer"
    assert of(found, kind, 95, 5) == "line"     # silicon above and below: no layer of a stack
    found, kind = kinds(phases.T, ["SiCOH", "SiCN", "SiO2", "Si", "Cu"])
    assert of(found, kind, 5, 45) == "layer"


def test_a_liner_around_copper_and_a_via_between_levels():
    phases = np.zeros((200, 200), int)
    phases[20:70, 20:180] = 1
    phases[20:65, 25:175] = 2
    phases[68:120, 90:110] = 3
    phases[119:170, 30:170] = 2
    found, kind = kinds(phases, ["SiO2", "Ta", "Cu", "W"])
    assert of(found, kind, 40, 22) == "liner"
    assert of(found, kind, 100, 100) == "via"
    assert of(found, kind, 40, 100) in ("piece", "line")


def test_voids_and_cracks():
    phases = np.zeros((100, 150), int)
    rows, columns = np.mgrid[:100, :150]
    phases[np.hypot(rows - 30, columns - 40) < 8] = 1
    phases[(np.abs(rows - 70 - 4 * np.sin(columns / 9)) < 1.5) & (columns > 20) & (columns < 130)] = 1
    found, kind = kinds(phases, ["SiO2", "void"])
    assert of(found, kind, 30, 40) == "void" and of(found, kind, 70, 28 * 2) in ("crack", "matrix")
    assert sorted(set(kind)) == ["crack", "matrix", "void"]


def test_the_drawn_stack():
    drawing = drawn.stack(1.0, 400)
    found = find_objects(drawing.labels, drawing.materials, drawing.pixel_size_m)
    kind = kinds_of(found.labels, found.table)
    name = found.table["material"]
    assert set(kind[name == "Ta"]) == {"liner"}
    assert set(kind[name == "Co"]) <= {"via", "piece"} and "via" in kind[name == "Co"]
    assert of(found, kind, 690, 200) in ("layer", "matrix") and name[found.labels[690, 200]] == "Si"


@pytest.mark.parametrize("stem", [DATA / "coating_cross_section_oxide.png", *sorted((pathlib.Path(__file__).parent.parent / "benchmarks/data").glob("*_oxide.png"))])
def test_real_cracks_in_a_real_oxide(stem):
    """Cracks that people marked (class 2) in cross-sections of coatings: nearly all of their length is called cracks."""
    phases = read_picture(stem, 1e-9).image.astype(int)
    found, kind = kinds(phases, ["Si", "SiO2", "void"])
    marked = found.table["material"] == "void"
    if not marked.any():
        pytest.skip("no crack is marked in this picture")
    length = found.table["length_nm"]
    cracks = length[marked & (kind == "crack")].sum() / length[marked].sum()
    print(f"{marked.sum()} marked, {cracks:.1%} of their length called cracks")
    assert cracks > 0.8
    oxide = kind[(found.table["material"] == "SiO2") & (found.table["pixels"] > 5000)]
    assert set(oxide) <= {"layer", "line", "liner", "piece"}


def test_borders_by_hand():
    labels = np.array([[0, 0, 1], [0, 2, 1]])
    a, b, length = borders(labels, 3)
    assert {(int(x), int(y)): int(n) for x, y, n in zip(a, b, length)} == {(0, 1): 1, (1, 0): 1, (0, 2): 2, (2, 0): 2, (1, 2): 1, (2, 1): 1}
