"""Layout files read back: what is written comes back, hierarchy is flattened, and bad files are refused in one sentence."""

import json
import pathlib

import gdstk
import numpy as np
import pytest
import shapely
from test_chipmap_layout import picture

import chipmap
from chipmap import InputError, layout
from chipmap.comparison.reference import read_layout

SVG = pathlib.Path(chipmap.__file__).parent / "data" / "metal_layer.svg"


def by_layer(read):
    return {name: shapely.union_all(read.polygons[read.layer == name]) for name in set(read.layer)}


@pytest.mark.parametrize("ending", ["gds", "oas", "geojson"])
def test_what_is_written_is_read(tmp_path, ending):
    labels, names = picture()
    polygons, size = layout.outlines(labels), (2.4e-9, 2.2e-9)
    path = tmp_path / f"a.{ending}"
    if ending == "geojson":
        layout.write_geojson(path, polygons, {"material": names}, size)
    else:
        layout.write_layout(path, polygons, names, size)
    found = by_layer(read_layout(path))
    assert set(found) == set(names)
    for name in set(names):
        ours = shapely.transform(polygons[names == name], lambda at: np.column_stack([at[:, 0] * 2.2, (labels.shape[0] - at[:, 1]) * 2.4]))
        assert found[name].area == pytest.approx(shapely.area(ours).sum(), rel=1e-9)
        assert shapely.union_all(ours).buffer(1e-3).covers(found[name])


def test_hierarchy_repetitions_and_paths(tmp_path):
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    inner, top = library.new_cell("via"), library.new_cell("top")
    inner.add(gdstk.rectangle((0, 0), (1, 1), layer=5, datatype=2))
    top.add(gdstk.Reference(inner, (10, 0), columns=3, rows=2, spacing=(4, 4)))
    top.add(gdstk.FlexPath([(0, 0), (8, 0)], 2, layer=30))
    library.write_gds(tmp_path / "a.gds")
    found = by_layer(read_layout(tmp_path / "a.gds"))
    assert found["5/2"].area == pytest.approx(6e6) and len(found["5/2"].geoms) == 6
    assert found["Cu"].area == pytest.approx(16e6)     # layer 30 is copper's where no map says otherwise
    assert set(read_layout(tmp_path / "a.gds", layers={"W": (5, 2), "Al": (30, 0)}).layer) == {"W", "Al"}
    assert set(read_layout(tmp_path / "a.gds", cell="via").layer) == {"5/2"}
    with pytest.raises(InputError, match="no cell 'pad': it has top, via"):
        read_layout(tmp_path / "a.gds", cell="pad")
    with pytest.raises(InputError, match="no layer 7/0: it has 5/2, Cu"):
        read_layout(tmp_path / "a.gds").only(["7/0"])


def test_two_top_cells_need_a_name(tmp_path):
    library = gdstk.Library()
    for name in "ab":
        library.new_cell(name).add(gdstk.rectangle((0, 0), (1, 1)))
    library.write_gds(tmp_path / "a.gds")
    with pytest.raises(InputError, match="2 cells are on top"):
        read_layout(tmp_path / "a.gds")
    assert len(read_layout(tmp_path / "a.gds", cell="b").polygons) == 1


def test_svg_label_set():
    read = read_layout(SVG, unit_m=8e-9)
    assert set(read.layer) == {"track", "via"}
    left, bottom, right, top = shapely.total_bounds(read.polygons)
    assert -100 < left and right < 4096 * 8 + 100 and top < 3536 * 8 + 100
    assert shapely.is_valid(read.polygons).all()


def test_rings_that_cross_themselves_are_mended(tmp_path):
    ring = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    told = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}]}
    (tmp_path / "a.geojson").write_text(json.dumps(told))
    read = read_layout(tmp_path / "a.geojson", unit_m=1e-6)
    assert read.polygons[0].is_valid and read.polygons[0].area == pytest.approx(2e6)
    with pytest.raises(InputError, match="--unit"):
        read_layout(tmp_path / "a.geojson")


@pytest.mark.parametrize("content, told", [(b"hello", "no GDSII"), (b"", "no GDSII"), (b"\0\6\0\2\0\7", "damaged|no polygon|on top"),
                                           (b"%SEMI-OASIS\r\nxx", "damaged|no polygon|on top"), (b'{"a": 1}', "no GeoJSON"),
                                           (b'{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[0]]]}}]}', "no GeoJSON"), (b"<svg/>", "width and height")])
def test_bad_files(tmp_path, content, told):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_layout(tmp_path / "a", unit_m=1e-9)


@pytest.mark.parametrize("ending", ["gds", "oas"])
def test_files_that_were_cut_short(tmp_path, ending):
    labels, names = picture()
    path = tmp_path / f"a.{ending}"
    layout.write_layout(path, layout.outlines(labels), names, (1e-9, 1e-9))
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[:int(share * len(whole))])
        with pytest.raises(InputError, match="damaged"):
            read_layout(path)


def test_missing_file_and_svg_without_unit():
    with pytest.raises(InputError, match="check the path"):
        read_layout("no such.gds")
    with pytest.raises(InputError, match="--unit 8nm"):
        read_layout(SVG)
