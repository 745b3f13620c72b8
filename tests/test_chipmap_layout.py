"""Polygons cover the picture once; KLayout, an independent reader, finds the same areas and the same connections."""

import json

import numpy as np
import pytest
import shapely
from cukernels.components import pieces
from scipy import ndimage

from chipmap import layout


def picture(seed=0, shape=(90, 130), smooth=2.0, kinds=3):
    rng = np.random.default_rng(seed)
    grey = ndimage.gaussian_filter(rng.standard_normal(shape), smooth) if smooth else rng.standard_normal(shape)
    phases = np.digitize(grey, np.quantile(grey, np.linspace(0, 1, kinds + 1)[1:-1])).astype(np.int32)
    labels, count = pieces(phases, background=None)
    names = np.array(["SiO2", "Cu", "Ta"])[phases.ravel()[np.unique(labels, return_index=True)[1]]]
    return labels - 1, names


@pytest.mark.parametrize("smooth", [0, 2.0])
def test_polygons_are_the_objects_to_the_pixel(smooth):
    labels, _ = picture(smooth=smooth)
    polygons = layout.outlines(labels)
    assert shapely.is_valid(polygons).all()
    np.testing.assert_array_equal(shapely.area(polygons), np.bincount(labels.ravel()))
    assert shapely.union_all(polygons).equals(shapely.box(0, 0, labels.shape[1], labels.shape[0]))
    inside = shapely.contains_xy(polygons[labels[40, 50]], 50.5, 40.5)
    assert inside


@pytest.mark.parametrize("tolerance", [1.0, 2.0])
def test_simplified_polygons_still_cover_the_picture_once(tolerance):
    labels, _ = picture(smooth=3.0)
    exact, simple = layout.outlines(labels), layout.outlines(labels, tolerance)
    assert shapely.coverage_is_valid(simple)
    assert shapely.is_valid(simple).all()
    assert shapely.area(simple).sum() == labels.size
    assert shapely.union_all(simple).equals(shapely.box(0, 0, labels.shape[1], labels.shape[0]))
    assert shapely.get_num_coordinates(simple).sum() < shapely.get_num_coordinates(exact).sum() / 2
    assert (shapely.get_coordinates(simple) % 1 == 0).all()
    np.testing.assert_array_equal([len(p.interiors) for p in simple], [len(p.interiors) for p in exact])


def test_a_small_object_in_the_picture_corner_keeps_the_corner():
    labels = np.zeros((30, 40), np.int32)
    labels[:2, :2] = 1
    assert shapely.area(layout.outlines(labels, 3.0)).sum() == labels.size


def test_geojson_is_upright_and_in_nanometres(tmp_path):
    labels = np.zeros((4, 6), np.int32)
    labels[1, 2:4] = 1
    layout.write_geojson(tmp_path / "a.geojson", layout.outlines(labels),
                         {"material": np.array(["SiO2", "Cu"]), "width_nm": np.array([np.nan, 3.0])}, (2e-9, 3e-9))
    told = json.loads((tmp_path / "a.geojson").read_text())
    assert told["chipmap"]["coordinate_unit"] == "nm"
    assert [f["properties"] for f in told["features"]] == [{"material": "SiO2", "width_nm": None}, {"material": "Cu", "width_nm": 3.0}]
    placed = [shapely.geometry.shape(f["geometry"]) for f in told["features"]]
    assert placed[1].equals(shapely.box(6, 4, 12, 6))
    assert placed[0].area == 22 * 6 and len(placed[0].interiors) == 1


def test_geojson_opens_in_gdal_with_its_unit(tmp_path):
    import pyogrio
    labels, names = picture()
    layout.write_geojson(tmp_path / "a.geojson", layout.outlines(labels), {"material": names}, (1e-9, 1e-9))
    frame = pyogrio.read_dataframe(tmp_path / "a.geojson")
    assert frame.crs.type_name == "Engineering CRS"
    assert {axis.unit_name for axis in frame.crs.axis_info} == {"nanometre"}
    assert list(frame["material"]) == list(names)
    np.testing.assert_allclose(frame.area, np.bincount(labels.ravel()), rtol=1e-12)


@pytest.mark.parametrize("ending", ["gds", "oas"])
@pytest.mark.parametrize("size", [(1.6548e-9, 1.6548e-9), (2.4e-9, 2.2e-9), (4e-9, 4e-9)])
@pytest.mark.parametrize("smooth, simplify", [(2.0, 0), (0, 0), (3.0, 2.0)])
def test_klayout_reads_the_same_areas_and_connections(tmp_path, size, smooth, simplify, ending):
    import klayout.db as kdb
    labels, names = picture(seed=4, smooth=smooth)
    polygons = layout.outlines(labels, simplify)
    told = layout.write_layout(tmp_path / f"a.{ending}", polygons, names, size)

    read = kdb.Layout()
    read.read(str(tmp_path / f"a.{ending}"))
    assert read.dbu == pytest.approx(told["database_unit_m"] * 1e6)
    for name, layer in told["layers"].items():
        region = kdb.Region(read.top_cell().begin_shapes_rec(read.find_layer(layer, 0)))
        region.min_coherence = True     # corners that touch do not connect, as in the picture
        region.merge()
        ours = shapely.area(polygons[names == name]) * size[0] * size[1] * 1e12
        theirs = sorted(p.area() * read.dbu ** 2 for p in region.each())
        np.testing.assert_allclose(theirs, sorted(ours), rtol=1e-6)
        assert region.area() * read.dbu ** 2 == pytest.approx(ours.sum(), rel=1e-6)


def test_many_holes_are_cut_into_plain_polygons(tmp_path):
    import gdstk
    labels = np.zeros((201, 201), np.int32)
    labels[1::4, 1::4] = np.arange(1, 51 * 50 + 1)[:labels[1::4, 1::4].size].reshape(labels[1::4, 1::4].shape)
    names = np.where(np.arange(labels.max() + 1) == 0, "Cu", "void")
    layout.write_layout(tmp_path / "a.gds", layout.outlines(labels), names, (1e-9, 1e-9))
    cell = gdstk.read_gds(tmp_path / "a.gds").top_level()[0]
    assert max(len(p.points) for p in cell.polygons) <= layout.MOST_POINTS
    assert sum(p.area() for p in cell.polygons) * 1e6 == pytest.approx(201 * 201, rel=1e-12)


def test_database_unit_divides_the_pixel_and_fits_the_picture():
    for dy, dx, width in ((1.6548e-9, 1.6548e-9, 1692), (2.4e-9, 2.2e-9, 1000), (9.76562e-08, 9.76562e-08, 32768)):
        unit = layout.database_unit((dy, dx), width * max(dy, dx))
        for size in (dy, dx):
            assert size / unit == pytest.approx(round(size / unit), abs=1e-6)
        assert width * dx / unit < 2 ** 31
    assert layout.database_unit((4e-9, 4e-9), 1e-6) == pytest.approx(1e-13, rel=1e-9)


def test_every_material_has_a_layer_and_a_colour_of_its_own():
    from chipmap import materials
    looks = [layout.look(name) for name in materials.load()]
    assert len({look["layer"] for look in looks}) == len(looks)
    assert len({look["colour"] for look in looks}) == len(looks)
    assert max(look["layer"] for look in looks) < 190, "a material of the library is missing from looks.csv"
    assert layout.look("Ta or W") == layout.look("Ta or W") != layout.look("Ti or W")
