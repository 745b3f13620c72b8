"""`chipmap compare` from files to files: defects put into a picture of a layout are found, in the layout's own coordinates."""

import json

import gdstk
import numpy as np
import pytest
import shapely
import tifffile
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter
from test_chipmap_register import tracks

from chipmap.__main__ import main
from chipmap.comparison.cover import cover

NM = 4.0
SHAPE = (300, 360)
TRACKS = [shapely.box(100, y, 1500, y + 60) for y in range(150, 1100, 120)]


def written(folder, polygons=(), name="a.gds"):
    library = gdstk.Library()
    cell = library.new_cell("top")
    for polygon in [*TRACKS, *tracks(2, count=20), *polygons]:
        cell.add(gdstk.Polygon(shapely.get_coordinates(polygon)[:-1] * 1e-3, layer=30))
    library.write_gds(folder / name)
    return folder / name


def pictured(path, add=(), cut=(), corner=(40.0, 30.0), seed=0, turn=0):
    """A picture of the layout with shapes added and cut; its lower left corner lies at `corner` nm of the layout."""
    whole = shapely.unary_union([*TRACKS, *tracks(2, count=20), *add]).difference(shapely.unary_union(list(cut)))
    rings = shapely.get_rings(shapely.get_parts(shapely.orient_polygons(whole)))
    xy = [(shapely.get_coordinates(r) - corner) / NM * (1, -1) + (0, SHAPE[0]) for r in rings]
    share = cover(np.concatenate(xy), np.concatenate([[0], np.cumsum([len(r) for r in xy])]), SHAPE)
    grey = 60 + 100 * gaussian_filter(share, 1.0) + 12 * np.random.default_rng(seed).standard_normal(SHAPE)
    tifffile.imwrite(path, np.rot90(grey, turn).clip(0, 255).astype(np.uint8))
    return path


def compared(*words):
    return CliRunner().invoke(main, ["compare", *map(str, words)])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A bridge between the first two tracks, a cut through the fourth, a lost and an extra piece."""
    folder = tmp_path_factory.mktemp("compare")
    clear = [shapely.box(1220, 100, 1420, 1150)]
    layout = written(folder)
    picture = pictured(folder / "a.tif", add=[shapely.box(700, 200, 716, 280), shapely.box(1170, 1120, 1230, 1200)], cut=[shapely.box(900, 500, 924, 580)])
    result = compared(picture, layout, "-o", folder / "out", "--pixel-size", "4nm", "--quiet")
    assert (result.exit_code, result.output) == (0, ""), (result.output, result.exception, clear)
    return folder / "out"


def test_places_and_counts(found):
    told = json.loads((found / "results.json").read_text())
    assert told["places"]["short"] == 1 and told["places"]["open"] == 1
    assert told["registration"]["middle_of_picture_in_layout_nm"]["x"] == pytest.approx(40 + SHAPE[1] / 2 * NM, abs=0.5)
    assert told["registration"]["middle_of_picture_in_layout_nm"]["y"] == pytest.approx(30 + SHAPE[0] / 2 * NM, abs=0.5)
    assert abs(told["edge_offset_nm"]["value"]) < 1.5
    rows = [dict(zip((found / "differences.csv").read_text().splitlines()[0].split(","), line.split(",")))
            for line in (found / "differences.csv").read_text().splitlines()[1:]]
    short = next(row for row in rows if row["kind"] == "short")
    cut = next(row for row in rows if row["kind"] == "open")
    assert (float(short["layout_x_nm"]), float(short["layout_y_nm"])) == (pytest.approx(708, abs=6), pytest.approx(240, abs=8))
    assert (float(cut["layout_x_nm"]), float(cut["layout_y_nm"])) == (pytest.approx(912, abs=8), pytest.approx(540, abs=8))


def test_markers_lie_in_the_layout(found):
    told = json.loads((found / "differences.geojson").read_text())
    kinds = [f["properties"]["kind"] for f in told["features"]]
    short = shapely.geometry.shape(told["features"][kinds.index("short")]["geometry"])
    assert short.intersects(shapely.box(695, 205, 720, 275))
    cell = gdstk.read_gds(found / "differences.gds").top_level()[0]
    on = lambda layer: shapely.unary_union([shapely.Polygon(p.points * 1e3) for p in cell.polygons if p.layer == layer])  # noqa: E731
    assert on(1).intersects(shapely.box(695, 205, 720, 275)) and on(2).intersects(shapely.box(895, 500, 930, 580))
    drawn = shapely.unary_union([*TRACKS, *tracks(2, count=20)]).intersection(shapely.box(60, 50, 1440, 1200))
    seen = on(10).intersection(shapely.box(60, 50, 1440, 1200))
    assert seen.intersection(drawn).area > 0.95 * drawn.area
    assert (found / "compare.png").stat().st_size > 10_000


def test_turned_picture(tmp_path):
    result = compared(pictured(tmp_path / "a.tif", turn=1), written(tmp_path), "-o", tmp_path / "out", "--pixel-size", "4nm", "--turn", "90")
    assert result.exit_code == 0, result.output
    assert "0 shorts, 0 opens, 0 extra and 0 missing pieces" in result.output


def test_a_run_against_its_own_layout(tmp_path):
    picture = pictured(tmp_path / "a.tif")
    words = ["run", picture, "-o", tmp_path / "run", "--pixel-size", "4nm", "--legend", "bright=Cu dark=SiO2", "--physics", "heat", "--quiet", "--device", "cpu"]
    assert CliRunner().invoke(main, list(map(str, words))).exit_code == 0
    for name in ("layout.gds", "materials.geojson"):
        result = compared(tmp_path / "run", tmp_path / "run" / name, "-o", tmp_path / "out", "--quiet")
        assert result.exit_code == 0, result.output
        told = json.loads((tmp_path / "out" / "results.json").read_text())
        assert told["layout"]["layers"] == ["Cu"] and sum(told["places"].values()) == 0
        assert told["registration"]["middle_of_picture_in_layout_nm"] == {"x": pytest.approx(720, abs=0.2), "y": pytest.approx(600, abs=0.2)}
    assert "leave it out" in compared(tmp_path / "run", tmp_path / "run" / "layout.gds", "-o", tmp_path / "no", "--pixel-size", "1nm").stderr


@pytest.mark.parametrize("words, told", [(("--layer", "7/0"), "has no layer 7/0"), (("--drawn", "Cu"), "2 phases"), (("--near", "here"), "as 120.5,33"),
                                         (("--pixel-size", "9nm"), "match"), (("--tolerance", "12"), "unit"), (("--cell", "x"), "no cell"),
                                         (("--layers", "none.csv"), "can't be read")])
def test_refusals(tmp_path, words, told):
    given = () if "--pixel-size" in words else ("--pixel-size", "4nm")
    result = compared(pictured(tmp_path / "a.tif"), written(tmp_path), "-o", tmp_path / "out", *given, *words)
    assert result.exit_code == 2 and told in result.stderr, result.output
    assert not (tmp_path / "out").exists() and "Traceback" not in result.stderr


def test_no_run_no_layout(tmp_path):
    (tmp_path / "folder").mkdir()
    assert "is not the folder of a chipmap run" in compared(tmp_path / "folder", written(tmp_path), "-o", tmp_path / "out").stderr
    assert "check the path" in compared(pictured(tmp_path / "a.tif"), tmp_path / "b.gds", "-o", tmp_path / "out").stderr
