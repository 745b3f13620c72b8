"""Every output file opened by a reader that is not ours."""

import csv
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from chipmap import output, report
from chipmap.vti import write_vti

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def read_vti(path):
    """The format's definition, read back: {section: {name: (array, number of components)}}, spacing, extent."""
    raw = path.read_bytes()
    at = raw.index(b'<AppendedData encoding="raw">\n_') + len(b'<AppendedData encoding="raw">\n_')
    root = ElementTree.fromstring(raw[:at - 1].decode() + "</AppendedData></VTKFile>")
    assert root.attrib == {"type": "ImageData", "version": "1.0", "byte_order": "LittleEndian", "header_type": "UInt64"}
    kinds = {"Float64": "<f8", "Float32": "<f4", "Int32": "<i4", "UInt8": "u1"}
    found, end = {}, at
    for section in ("FieldData", "PointData", "CellData"):
        for array in root.iter(section).__next__():
            start = at + int(array.attrib["offset"])
            assert start == end, "arrays follow each other"
            size = int(np.frombuffer(raw, "<u8", 1, start)[0])
            values = np.frombuffer(raw, kinds[array.attrib["type"]], size // np.dtype(kinds[array.attrib["type"]]).itemsize, start + 8)
            found.setdefault(section, {})[array.attrib["Name"]] = values, int(array.attrib.get("NumberOfComponents", 1))
            end = start + 8 + size
    assert raw[end:] == b"\n</AppendedData>\n</VTKFile>\n"
    image = root.find("ImageData")
    return found, [float(s) for s in image.attrib["Spacing"].split()], [int(e) for e in image.attrib["WholeExtent"].split()]


def test_vti_by_hand(tmp_path):
    rng = np.random.default_rng(0)
    cells = {"k_w_mk": rng.random((3, 4)), "material": np.arange(12, dtype=np.uint8).reshape(3, 4), "flux_w_m2": rng.random((3, 4, 2))}
    points = {"rise_k": rng.random((4, 5)).astype(np.float32)}
    write_vti(tmp_path / "f.vti", (2.0, 1.5), cells, points, {"pixel_size_nm": (1.5, 2.0)})
    found, spacing, extent = read_vti(tmp_path / "f.vti")
    assert spacing == [1.5, 2.0, 1.0] and extent == [0, 4, 0, 3, 0, 0]
    np.testing.assert_array_equal(found["FieldData"]["pixel_size_nm"][0], [1.5, 2.0])
    # VTK's first row is the lowest, and y points up
    np.testing.assert_array_equal(found["CellData"]["k_w_mk"][0].reshape(3, 4), cells["k_w_mk"][::-1])
    np.testing.assert_array_equal(found["CellData"]["material"][0].reshape(3, 4), cells["material"][::-1])
    np.testing.assert_array_equal(found["PointData"]["rise_k"][0].reshape(4, 5), points["rise_k"][::-1])
    vector, components = found["CellData"]["flux_w_m2"]
    assert components == 3
    vector = vector.reshape(3, 4, 3)[::-1]
    np.testing.assert_array_equal(vector[..., 0], cells["flux_w_m2"][..., 0])
    np.testing.assert_array_equal(vector[..., 1], -cells["flux_w_m2"][..., 1])
    assert not vector[..., 2].any()


def test_vti_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="a has shape"):
        write_vti(tmp_path / "f.vti", (1, 1), {"b": np.zeros((2, 3)), "a": np.zeros((3, 3))})
    with pytest.raises(ValueError, match="complex128"):
        write_vti(tmp_path / "f.vti", (1, 1), {"a": np.zeros((2, 3), complex)})


def ome(path):
    with Image.open(path) as image:
        root = ElementTree.fromstring(image.tag_v2[270])
        return np.asarray(image), root.find(f"{OME}Image/{OME}Pixels").attrib, {
            m.attrib["K"]: m.text for m in root.iter(f"{OME}M")}, image.copy()


@pytest.mark.parametrize("shape", [(30, 40), (600, 700)])
def test_label_image(tmp_path, shape):
    phases = np.random.default_rng(0).integers(0, 2, shape)
    output.write_labels(tmp_path / "m.ome.tif", phases, ["SiO2", "Cu"], (2e-9, 1.5e-9))
    pixels, facts, names, image = ome(tmp_path / "m.ome.tif")
    np.testing.assert_array_equal(pixels, phases)
    assert names == {"0": "SiO2", "1": "Cu"}
    assert (float(facts["PhysicalSizeX"]), facts["PhysicalSizeXUnit"]) == (pytest.approx(1.5), "nm")
    assert float(facts["PhysicalSizeY"]) == pytest.approx(2.0)
    assert image.convert("RGB").getpixel((0, 0)) == {0: (0x9e, 0xca, 0xe1), 1: (0xf2, 0x8e, 0x2b)}[phases[0, 0]]


def test_object_and_confidence_images(tmp_path):
    labels = np.arange(1200).reshape(30, 40)
    output.write_object_image(tmp_path / "o.ome.tif", labels, (1e-9, 1e-9))
    output.write_confidence(tmp_path / "c.ome.tif", labels / 1200, (1e-9, 1e-9))
    np.testing.assert_array_equal(ome(tmp_path / "o.ome.tif")[0], labels)
    np.testing.assert_allclose(ome(tmp_path / "c.ome.tif")[0], labels / 1200, rtol=1e-6)


def test_table(tmp_path):
    output.write_table(tmp_path / "t.csv", {"material": ["Cu, fine", "Ta"], "width_nm": np.array([np.nan, 2 / 3]),
                                            "touches_border": np.array([True, False]), "object": np.arange(2)})
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"material": "Cu, fine", "width_nm": "", "touches_border": "true", "object": "0"},
                    {"material": "Ta", "width_nm": "0.6666667", "touches_border": "false", "object": "1"}]


def test_overlay_shows_each_material_in_its_colour(tmp_path):
    image = np.tile(np.linspace(100, 120, 80), (60, 1))
    phases = np.zeros((60, 80), int)
    phases[:, 40:] = 1
    confidence = np.ones((60, 80))
    args = (image, phases, ["SiO2", "Cu"], ["a", "b"])
    report.draw_overlay(tmp_path / "a.png", *args, confidence, (1e-9, 1e-9), "a picture")
    confidence[20:40, 5:35] = 0.6
    report.draw_overlay(tmp_path / "b.png", *args, confidence, (1e-9, 1e-9), "a picture")
    sure, unsure = (np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int) for name in ("a.png", "b.png"))
    height = sure.shape[0]
    left, right = sure[height // 4, 200], sure[height // 4, 1000]
    assert left[2] > left[0] and right[0] > right[2]        # bluish oxide, orange copper
    # the doubtful patch is darker where the hatch runs, and nothing on the copper side changed
    assert (unsure - sure).min() < -30
    np.testing.assert_array_equal(sure[:, 700:1100], unsure[:, 700:1100])


def test_pictures_are_the_same_each_time(tmp_path):
    field = np.random.default_rng(0).random((40, 50))
    for name in ("a.png", "b.png"):
        report.draw_field(tmp_path / name, field, (field > 0.5).astype(int), (1e-9, 1e-9), "temperature rise (K)", "heat", clip=0.99)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_large_pictures_are_drawn_small(tmp_path):
    shape = (3300, 40)
    report.draw_confidence(tmp_path / "a.png", np.linspace(0.5, 1, shape[0] * shape[1]).reshape(shape), (1e-9, 1e-9))
    with Image.open(tmp_path / "a.png") as image:
        assert max(image.size) < 1600


@pytest.mark.parametrize("most, length", [(1.0, 1.0), (0.99, 0.5), (0.49e-6, 0.2e-6), (5e-9, 5e-9), (7.3e-3, 5e-3)])
def test_scale_bar_lengths(most, length):
    assert report.scale_length(most) == pytest.approx(length)


def test_colours_are_colours():
    from chipmap import materials
    from chipmap.layout import look
    for name in materials.load():
        assert re.fullmatch("#[0-9a-f]{6}", look(name)["colour"])
