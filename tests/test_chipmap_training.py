"""`chipmap train` and `chipmap run --model`, as a user types them."""

import hashlib
import json
import re

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner

from chipmap.__main__ import main


def picture(path, seed=0, gain=1.0):
    """A bright track across a dark picture."""
    grey = np.full((64, 80), 60.0)
    grey[20:36] = 160
    grey = gain * (grey + 4 * np.random.default_rng(seed).standard_normal(grey.shape))
    path.write_bytes(imagecodecs.png_encode(grey.clip(0, 255).astype(np.uint8)))
    return path


def strokes(path, dark="SiO2", bright="Cu"):
    line = lambda name, y, width=6: {"type": "Feature", "properties": {"class": name, "width_px": width},  # noqa: E731
                            "geometry": {"type": "LineString", "coordinates": [[5, y], [75, y]]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [line(dark, 8), line(dark, 17.5, 3), line(bright, 28, 14), line(dark, 38.5, 3), line(dark, 50)]}))
    return path


def chipmap(*words):
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture
def model(tmp_path):
    result = chipmap("train", picture(tmp_path / "a.png"), "--scribbles", strokes(tmp_path / "s.geojson"), "-o", tmp_path / "m.npz",
                     "--trees", 16, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "classes: SiO2, Cu; 16 trees" in result.output and "calibration error" in result.output
    return tmp_path / "m.npz"


def test_a_model_names_the_materials_of_another_picture(tmp_path, model):
    result = chipmap("run", picture(tmp_path / "b.png", seed=1, gain=0.8), "-o", tmp_path / "out", "--pixel-size", "2nm", "--model", model,
                     "--device", "cpu")
    assert result.exit_code == 0, result.output
    share = float(re.search(r"Cu: ([\d.]+)%", result.output)[1])
    assert 22 < share < 30  # 16 of 64 rows, and edges the strokes say nothing of
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert hashlib.sha256(model.read_bytes()).hexdigest() in json.dumps(manifest)


def test_the_card_knows_the_file(tmp_path, model):
    with np.load(model, allow_pickle=False) as file:
        card = json.loads(bytes(file["card"]))
    source = card["trained_on"][0]
    assert source["picture"] == "a.png" and source["sha256"] == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert card["classes"] == ["SiO2", "Cu"] and card["out_of_bag_error"] < 0.03


def test_bad_input_is_one_sentence(tmp_path, model):
    image, drawn, out = picture(tmp_path / "b.png"), strokes(tmp_path / "t.geojson", "SiO2", "SiO2"), tmp_path / "n.npz"
    other = strokes(tmp_path / "u.geojson", "W", "Cu")
    cases = [(("train", image, "--scribbles", drawn, "-o", out), "draw strokes for two or more classes"),
             (("train", image, image, "--scribbles", drawn, "-o", out), "2 pictures and 1 scribble"),
             (("train", image, "--scribbles", other, "-o", out, "--classes", "Cu,SiO2"), "'W', which is none of Cu, SiO2"),
             (("train", image, "--scribbles", other, "-o", tmp_path / "no" / "n.npz"), "can't be written"),
             (("train", image, "--scribbles", strokes(tmp_path / "v.geojson"), "-o", out, "--stack", "SiO2,W"), "does not name each class once"),
             (("run", image, "-o", out, "--pixel-size", "2nm", "--model", image), "is no classifier"),
             (("run", image, "-o", out, "--pixel-size", "2nm", "--model", model, "--phases", 2), "leave one of them out")]
    for words, says in cases:
        result = chipmap(*words)
        text = result.stderr.strip()
        assert result.exit_code == 2 and says in text and "\n" not in text, (text, result.output)
        assert not out.exists()
