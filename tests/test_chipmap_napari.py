"""The plugin for napari: its manifest, and its functions, which need no napari."""

import pathlib

import chips
import imagecodecs
import numpy as np
import pytest

import chipmap
from chipmap import InputError, napari_plugin, pipeline
from chipmap.scribbles import read_scribbles


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("napari")
    (folder / "chip.png").write_bytes(chips.png())
    pipeline.run(folder / "chip.png", folder / "out", "4x5nm", legend="0=SiO2 1=Cu 2=W", physics="heat", say=lambda line: None)
    return folder / "out"


def test_the_manifest_is_valid_and_names_functions_that_are_there():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(pathlib.Path(chipmap.__file__).parent / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == "cukernels-chipmap-gridmap"     # that of the distribution: npe2 finds it by this
    assert len(manifest.contributions.readers) == len(manifest.contributions.writers) == 1


def test_a_run_opens_as_layers(run):
    layers = {arguments["name"]: (data, arguments, kind) for data, arguments, kind in napari_plugin.get_reader(str(run))(str(run))}
    assert [kind for _, _, kind in layers.values()][:4] == ["image", "labels", "labels", "image"]
    assert (layers["picture"][0] == chips.drawn()).all()
    data, arguments, _ = layers["materials"]
    assert arguments["scale"] == pytest.approx((4, 5)) and list(arguments["features"]["material"]) == ["", "SiO2", "Cu", "W"]
    assert (data - 1 == chips.truth()).mean() > 0.98 and data.min() == 1
    objects, told, _ = layers["objects"]
    number = objects[118, 100]
    row = told["features"].set_index("index").loc[number]
    assert row["material"] == "Cu" and row["pixels"] == (objects == number).sum()
    field = next(name for name in layers if name.startswith("temperature rise"))
    assert layers[field][0].shape == chips.SIZE and layers[field][1]["contrast_limits"][1] == pytest.approx(layers[field][0].max(), rel=1e-5)
    assert not layers["strokes"][0].any() and list(layers["strokes"][1]["features"]["class"]) == ["", "SiO2", "Cu", "W"]


def test_anything_else_is_left_to_others(tmp_path, run):
    (tmp_path / "a.png").write_bytes(chips.png())
    assert napari_plugin.get_reader(str(tmp_path / "a.png")) is None and napari_plugin.get_reader(str(tmp_path)) is None
    assert napari_plugin.get_reader([str(run)]) is None
    assert napari_plugin.get_reader(str(run / "results.json")) is not None


@pytest.mark.parametrize("ending", ["geojson", "png", "tif"])
def test_strokes_go_back_as_scribbles(tmp_path, run, ending):
    strokes, arguments, _ = napari_plugin.read_layers(str(run))[-1]
    strokes = strokes.copy()
    strokes[5:9, 10:60], strokes[112:120, 30:90] = 1, 2
    path = tmp_path / f"strokes.{ending}"
    assert napari_plugin.write_scribbles(str(path), strokes, arguments) == [str(path)]
    back = read_scribbles(path, strokes.shape)
    assert (back.labels == strokes).all() and back.names == (["SiO2", "Cu"] if ending == "geojson" else ["1", "2"])


@pytest.mark.parametrize("data", [np.zeros((20, 20), int), np.full((20, 20), 40), np.zeros((3, 20, 20), int) + 1, np.zeros((20, 20)) + 0.5])
def test_what_can_be_no_strokes(tmp_path, data):
    with pytest.raises(InputError, match="draw with|2-D"):
        napari_plugin.write_scribbles(str(tmp_path / "a.png"), data, {})
    assert not list(tmp_path.iterdir())


def test_pictures_are_written_as_they_were_stored(run):
    import tifffile
    stored = tifffile.imread(run / "picture.ome.tif")
    assert stored.dtype == np.uint8 and (stored == imagecodecs.png_decode(chips.png())).all()
