"""A picture cut into tiles has the results of the picture in one piece."""

import json

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from chipmap import InputError
from chipmap.big import mosaic, tiled
from chipmap.big.pyramid import open_pyramid
from chipmap.big.tiling import Work, cut
from chipmap.classify import train
from chipmap.identify import identify
from chipmap.objects import find_objects
from chipmap.prepare import prepare
from chipmap.read import read_picture
from chipmap.segment import segment

SIZE = (2e-9, 2.5e-9)


def drawn(shape=(520, 610), dtype=np.uint8, noise=9.0, seed=0):
    """Three greys with blur, drift and noise: bars, discs, and bright spots in the bars."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:shape[0], :shape[1]]
    image = np.where(x // 24 % 3 == 0, 120.0, 60.0)
    for _ in range(60):
        cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(4, 20)
        image[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice([60.0, 120.0, 200.0])
    image = ndimage.gaussian_filter(image, 1.0) + 12 * x / shape[1] + rng.normal(0, noise, shape)
    return np.clip(np.rint(image * (1 if dtype == np.uint8 else 200)), 0, np.iinfo(dtype).max).astype(dtype)


def stored(tmp_path, image, **how):
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(128, 256), compression="zlib", **how)
    return tmp_path / "a.tif"


def in_one_piece(path, phases=None, legend=None, process=None):
    picture = read_picture(path, SIZE)
    prepared = prepare(picture, databar=False)
    found = segment(prepared.image, phases, prepared.noise_sigma)
    named = identify(found, prepared.image, None, legend, process)
    return found, named, find_objects(named.labels, [named.material[[b == n for b in named.best].index(True)] for n in named.names], SIZE, named.confidence, found.confidence)


def read_all(path):
    with open_pyramid(path) as picture:
        return picture.read(0, 0, *picture.shape)


def same_as_in_one_piece(out, named, objects):
    np.testing.assert_array_equal(read_all(out / "labels.ome.tif"), named.labels)
    np.testing.assert_array_equal(read_all(out / "confidence.ome.tif"), named.confidence)
    np.testing.assert_array_equal(read_all(out / "objects.ome.tif"), objects.labels)
    rows = np.genfromtxt(out / "objects.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    for name in ("object", "pixels", "phase"):
        np.testing.assert_array_equal(rows[name], objects.table[name])
    for name in ("perimeter_nm", "width_nm", "area_sd_nm2", "x_nm", "angle_deg", "confidence", "left_nm", "bottom_nm"):
        np.testing.assert_allclose(rows[name], objects.table[name].astype(float), rtol=2e-6, atol=1e-5, err_msg=name)  # seven digits are written


@pytest.mark.parametrize("dtype, phases, noise", [(np.uint8, None, 9), (np.uint16, 2, 9), (np.uint8, 3, 25)])
def test_tiles_give_the_whole_to_the_bit(tmp_path, dtype, phases, noise):
    path = stored(tmp_path, drawn(dtype=dtype, noise=noise))
    legend = {2: "dark=SiO2 bright=Cu"}.get(phases, "0=SiO2 1=Cu 2=W")
    found, named, objects = in_one_piece(path, phases, legend)
    results = mosaic.run(path, tmp_path / "out", "2x2.5nm", phases=phases, legend=legend, tile=256, device="cpu", say=lambda line: None)
    same_as_in_one_piece(tmp_path / "out", named, objects)
    assert results["phases"]["count"] == len(found.level) and results["objects"]["count"] == len(objects)
    np.testing.assert_array_equal([g for m in results["materials"] for g in m["grey_levels"]], found.level)
    assert not list(tmp_path.glob(".*"))


def test_contacts_decide_the_same_materials(tmp_path):
    path = stored(tmp_path, drawn((300, 400)))
    _, named, objects = in_one_piece(path, 3, process="cu-damascene")
    results = mosaic.run(path, tmp_path / "out", "2x2.5nm", phases=3, process="cu-damascene", tile=128, device="cpu", say=lambda line: None)
    assert [m["material"] for m in results["materials"]] == [named.material[named.best.index(n)] for n in named.names]
    same_as_in_one_piece(tmp_path / "out", named, objects)


@pytest.mark.parametrize("kind", ["planar", "section"])
def test_a_classifier_by_tiles(tmp_path, kind):
    image = drawn((1000, 260) if kind == "section" else (420, 520))
    scribbles = np.zeros(image.shape, np.uint8)
    scribbles[:200:7, 3:20:4], scribbles[:200:5, 30:42:3] = 2, 1
    learnt = train([image], [scribbles], ["SiO2", "Cu"], kind=kind, trees=5)
    learnt.save(tmp_path / "m.npz")
    path = stored(tmp_path, image)
    found, names = learnt.phases(image.astype(np.float32))
    named = identify(found, None, None, dict(enumerate(names)))
    objects = find_objects(named.labels, named.names, SIZE, named.confidence, found.confidence)
    mosaic.run(path, tmp_path / "out", "2x2.5nm", model=tmp_path / "m.npz", tile=512 if kind == "section" else 256, device="cpu", say=lambda line: None)
    same_as_in_one_piece(tmp_path / "out", named, objects)


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    path = stored(tmp_path, drawn((400, 500)))
    straight = mosaic.run(path, tmp_path / "straight", "2nm", tile=128, device="cpu", say=lambda line: None)
    true_look, calls = tiled._label_one, []

    def stops(*args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return true_look(*args)

    monkeypatch.setattr(tiled, "_label_one", stops)
    with pytest.raises(KeyboardInterrupt):
        mosaic.run(path, tmp_path / "out", "2nm", tile=128, device="cpu", say=lambda line: None)
    assert not (tmp_path / "out").exists() and (tmp_path / ".out.work").is_dir()
    with (tmp_path / ".out.work" / "tiles-0-1-2.jsonl").open("a") as file:
        file.write('{"tile": 5, "area')      # cut short by the stop
    said = []
    assert mosaic.run(path, tmp_path / "out", "2nm", tile=128, device="cpu", say=said.append) == straight
    assert any("goes on after 5 of 16 tiles" in line for line in said) and len(calls) == 6 + 11
    for name in ("labels", "confidence", "objects"):
        np.testing.assert_array_equal(read_all(tmp_path / "out" / f"{name}.ome.tif"), read_all(tmp_path / "straight" / f"{name}.ome.tif"))
    assert not (tmp_path / ".out.work").exists()


def test_work_of_other_options_is_thrown_away_and_two_at_once_are_refused(tmp_path):
    said = []
    with Work(tmp_path / "out", {"a": 1}, said.append) as work:
        work.save("fit", {"x": 2})
        with pytest.raises(InputError, match="another run is at work"):
            Work(tmp_path / "out", {"a": 1}, said.append).__enter__()
    with Work(tmp_path / "out", {"a": 1}, said.append) as work:
        assert work.load("fit") == {"x": 2} and not said
    with Work(tmp_path / "out", {"a": 2}, said.append) as work:
        assert work.load("fit") is None and "thrown away" in said[0]


def test_memory_is_stated_first_and_refused_where_it_is_not_there(tmp_path, monkeypatch):
    path = stored(tmp_path, drawn((300, 400)))
    said = []
    mosaic.run(path, tmp_path / "out", "2nm", tile=128, device="cpu", say=said.append)
    assert "300 x 400 pixels in 12 tiles of 128: at most" in said[1] and "GB of memory" in said[1]
    monkeypatch.setattr(tiled, "available_memory", lambda: 10**8)
    with pytest.raises(InputError, match="GB are free.*--tile"):
        mosaic.run(path, tmp_path / "other", "2nm", tile=128, device="cpu", say=said.append)
    assert [p.name for p in tmp_path.iterdir() if "other" in p.name] == []


def test_zarr_in_and_out(tmp_path):
    pytest.importorskip("zarr")
    from chipmap.big.planes import store_pyramid
    path = stored(tmp_path, drawn((330, 540)))
    store_pyramid(path, tmp_path / "a.zarr", "2nm", say=lambda line: None)
    one = mosaic.run(path, tmp_path / "tiff", "2nm", tile=256, device="cpu", say=lambda line: None)
    other = mosaic.run(tmp_path / "a.zarr", tmp_path / "out", tile=256, store="zarr", device="cpu", say=lambda line: None)
    assert other["pixel_size_m"]["source"] == "OME-Zarr scale" and other["materials"] == one["materials"]
    np.testing.assert_array_equal(read_all(tmp_path / "out" / "labels.zarr"), read_all(tmp_path / "tiff" / "labels.ome.tif"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["inputs"][0]["sha256"]) == 64


def test_tiles_cover_once_and_windows_stay_inside():
    seen = np.zeros((70, 45), int)
    for tile in cut(seen.shape, 16, 5):
        seen[tile.top:tile.top + tile.height, tile.left:tile.left + tile.width] += 1
        y, x, h, w = tile.window
        assert y % 2 == x % 2 == 0 and y + h <= 70 and x + w <= 45
        assert tile.top - y in (0, 6) if tile.top < 6 else tile.top - y == 6
    assert (seen == 1).all()


@pytest.mark.parametrize("content, options, says", [
    (np.zeros((40, 50), np.float32) + np.arange(50, dtype=np.float32), {}, "8 or 16 bits"), (np.full((40, 50), 7, np.uint8), {}, "value 7"),
    (drawn((64, 64)), {"tile": 40, "model": None, "crop": "0:99,0:10"}, "crop"), (drawn((64, 64)), {"tile": 33}, "multiple"),
    (drawn((64, 64)), {"phases": 2, "model": "none.npz"}, "can't be read")])
def test_bad_input_gets_one_sentence(tmp_path, content, options, says):
    path = stored(tmp_path, content)
    with pytest.raises(InputError, match=says):
        mosaic.run(path, tmp_path / "out", "2nm", device="cpu", say=lambda line: None, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
