import json

import imagecodecs
import numpy as np
import pytest
import tifffile

from chipmap import InputError
from chipmap.scribbles import read_scribbles


def geojson(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}
        for properties, kind, coordinates in features]}))
    return path


def test_label_pictures(tmp_path):
    labels = np.zeros((20, 30), np.uint8)
    labels[3:5, 2:9], labels[12, 10:20] = 1, 2
    (tmp_path / "s.png").write_bytes(imagecodecs.png_encode(labels))
    tifffile.imwrite(tmp_path / "s.tif", labels.astype(np.uint16))
    (tmp_path / "rgb.png").write_bytes(imagecodecs.png_encode(np.stack([labels] * 3, -1)))
    for name in ("s.png", "s.tif", "rgb.png"):
        got = read_scribbles(tmp_path / name, (20, 30))
        np.testing.assert_array_equal(got.labels, labels)
        assert got.names == ["1", "2"] and got.labels.dtype == np.int32
    assert read_scribbles(tmp_path / "s.png", (20, 30), ["Cu", "SiO2"]).names == ["Cu", "SiO2"]


def test_strokes_by_hand(tmp_path):
    """A line of width 4 along y = 6 covers rows 4 to 7; the later stroke lies on top; a polygon is taken as it is."""
    path = geojson(tmp_path / "s.geojson",
                   ({"class": "Cu", "width_px": 4}, "LineString", [[2, 6], [12, 6]]),
                   ({"class": "SiO2"}, "Polygon", [[[10, 4], [14, 4], [14, 8], [10, 8], [10, 4]]]))
    got = read_scribbles(path, (20, 30))
    assert got.names == ["Cu", "SiO2"]
    np.testing.assert_array_equal(np.flatnonzero(got.labels[:, 6]), [4, 5, 6, 7])
    assert (got.labels[4:8, 3:10] == 1).all() and (got.labels[4:8, 10:14] == 2).all()
    assert read_scribbles(path, (20, 30), ["SiO2", "Cu"]).labels[6, 5] == 2


@pytest.mark.parametrize("make, says", [
    (lambda p: p / "missing.png", "can't be read"), (lambda p: p / "missing.geojson", "can't be read"),
    (lambda p: write(p / "x.png", imagecodecs.png_encode(np.ones((5, 5), np.uint8))), "does not fit a picture of 20 x 30"),
    (lambda p: write(p / "x.png", imagecodecs.png_encode(np.zeros((20, 30), np.uint8))), "no pixel of the picture is drawn over"),
    (lambda p: write(p / "x.png", imagecodecs.png_encode(np.full((20, 30), 3, np.uint8))), "2 names are given"),
    (lambda p: write(p / "x.png", b"no picture"), "no PNG or TIFF"), (lambda p: write(p / "x.geojson", b"{"), "no GeoJSON"),
    (lambda p: write(p / "x.json", b'{"features": [{"geometry": null, "properties": {"class": "A"}}]}'), "no GeoJSON"),
    (lambda p: geojson(p / "x.json", ({}, "Point", [3, 3])), 'no property "class"'),
    (lambda p: geojson(p / "x.json", ({"class": "Al"}, "Point", [3, 3])), "none of Cu, SiO2"),
    (lambda p: geojson(p / "x.json", ({"class": "Cu"}, "Point", [300, 3])), "no pixel"),
])
def test_scribbles_that_do_not_fit(tmp_path, make, says):
    with pytest.raises(InputError, match=says):
        read_scribbles(make(tmp_path), (20, 30), ["Cu", "SiO2"])


def write(path, data):
    path.write_bytes(data)
    return path
