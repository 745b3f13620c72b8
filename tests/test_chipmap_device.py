"""The whole of `chipmap run` on every device: the same materials, objects and conductivities."""

import json
import sys

import numpy as np
from skimage.io import imsave

from chipmap import pipeline


def test_a_picture_on_every_device(xp, tmp_path, monkeypatch):
    grey = np.full((48, 64), 60.0)
    grey[10:20] = grey[28:40, 8:50] = 170
    grey += np.random.default_rng(0).normal(0, 4, grey.shape)
    imsave(tmp_path / "lines.png", np.clip(grey, 0, 255).astype(np.uint8))
    options = dict(pixel_size="5nm", legend="bright=Cu dark=SiO2", say=lambda line: None)
    here = pipeline.run(tmp_path / "lines.png", tmp_path / "here", device="cpu" if xp is np else "cuda", **options)
    assert json.loads((tmp_path / "here" / "manifest.json").read_text())["device"]["kind"] == ("cpu" if xp is np else "cuda")
    assert [m["material"] for m in here["materials"]] == ["SiO2", "Cu"] and here["objects"]["count"] == 4
    copper = here["materials"][1]["area_fraction"]["value"]
    assert abs(copper - (10 * 64 + 12 * 42) / (48 * 64)) < 0.01
    if xp is not np:
        monkeypatch.delitem(sys.modules, "cupy", raising=False)
        host = pipeline.run(tmp_path / "lines.png", tmp_path / "host", device="cpu", **options)
        assert host["materials"] == here["materials"]
        for kind in ("thermal_conductivity", "electrical_conductivity"):
            mine, theirs = (r["effective"][kind]["side_to_side"]["value"] for r in (here, host))
            assert abs(mine / theirs - 1) < 1e-7  # conjugate gradients stop at 1e-8, and sums differ in order
