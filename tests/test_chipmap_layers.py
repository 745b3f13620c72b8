"""A layer map of the user's own: what GDSII and OASIS then hold, and what is refused."""

import gdstk
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from chipmap import InputError, layout
from chipmap.__main__ import main
from chipmap.layers import read_layers


def test_run_puts_materials_on_the_layers_asked_for(tmp_path):
    grey = np.full((60, 80), 60.0)
    grey[20:35] = 160
    grey += 4 * np.random.default_rng(0).standard_normal(grey.shape)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "map.csv").write_text("material,layer,datatype\ncopper,68,20\n")
    words = [tmp_path / "a.png", "-o", tmp_path / "out", "--pixel-size", "2nm", "--legend", "bright=Cu dark=SiO2", "--physics", "heat",
             "--layers", tmp_path / "map.csv", "--also", "oasis", "--quiet", "--device", "cpu"]
    result = CliRunner().invoke(main, ["run", *map(str, words)])
    assert result.exit_code == 0, (result.output, result.exception)
    areas = []
    for read, name in ((gdstk.read_gds, "layout.gds"), (gdstk.read_oas, "layout.oas")):
        cell = read(tmp_path / "out" / name).top_level()[0]
        assert {(p.layer, p.datatype) for p in cell.polygons} == {(68, 20), (10, 0)}
        areas.append(sum(p.area() for p in cell.polygons if p.layer == 68))
    assert areas[0] == pytest.approx(areas[1], rel=1e-12) == pytest.approx(15 * 80 * 4e-6, rel=0.02)
    assert "Cu,68,20," in (tmp_path / "out" / "layers.csv").read_text()


@pytest.mark.parametrize("text, told", [("", "no columns"), ("material,layer\nCu,x\n", "no whole number"), ("material,layer\nCu,70000\n", "0 to 65535"),
                                        ("material,layer\nCu,1\nTa,1\n", "twice"), ("metal,number\nCu,1\n", "no columns")])
def test_bad_layer_maps(tmp_path, text, told):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(InputError, match=told):
        read_layers(tmp_path / "map.csv")


def test_missing_map_and_a_layer_that_is_taken():
    with pytest.raises(InputError, match="can't be read"):
        read_layers("no such.csv")
    with pytest.raises(InputError, match="layer of their own"):
        layout._places(["Cu", "SiO2"], {"Cu": (10, 0)})
