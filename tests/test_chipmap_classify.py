import json

import numpy as np
import pytest
from cukernels.backend import to_host
from scipy import ndimage

from benchmarks.scribbled import load_coating
from benchmarks.segmentation import load_metal, metal_scores
from benchmarks.strokes import coating, metal
from chipmap import InputError, classify
from chipmap.bank import Bank, grey_levels, tiles
from chipmap.classify import load, train
from chipmap.score import calibration_error, iou


def textures(seed=0, shape=(120, 160)):
    """Two classes of one mean grey, told apart by texture alone: smooth left of a wavy border, rough right of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:shape[0], :shape[1]]
    truth = (x > shape[1] / 2 + 12 * np.sin(y / 15)).astype(int)
    rough, smooth = rng.normal(size=(2, *shape))
    image = 100 + np.where(truth, 8 * rough, 14 * ndimage.gaussian_filter(smooth, 2))
    return image.astype(np.float32), truth


def strokes(shape=(120, 160)):
    drawn = np.zeros(shape, np.int32)
    drawn[10:110, 20:26], drawn[30:34, 10:60] = 1, 1
    drawn[10:110, 130:136], drawn[80:84, 100:150] = 2, 2
    return drawn


@pytest.fixture(scope="module")
def learnt():
    image, _ = textures()
    return train([image], [strokes()], ["smooth", "rough"], trees=24)


def test_texture_is_learnt_from_strokes_and_found_in_another_picture(learnt):
    image, truth = textures(seed=7)
    labels, probability = learnt.predict(image)
    assert labels.dtype == np.int32 and probability.shape == (2, *image.shape) and probability.dtype == np.float32
    assert (labels == truth).mean() > 0.95
    np.testing.assert_allclose(probability.sum(0), 1, rtol=1e-5)
    assert 0 < learnt.card["out_of_bag_error"] < 0.08  # some pixels of two textures look alike


def test_gain_and_offset_of_the_detector_do_not_matter_unless_levels_are_fixed(learnt):
    image, truth = textures(seed=7)
    first, _ = learnt.predict(image)
    other, _ = learnt.predict(image * 2.5 + 900)
    assert (first == other).mean() > 0.999  # float32 rounds differently
    fixed = train([image], [strokes()], levels="training", trees=8)
    assert fixed.levels == tuple(fixed.card["levels"]) == grey_levels(image)
    assert (fixed.predict(image)[0] == truth).mean() > 0.95
    assert (fixed.predict(image * 2.5 + 900)[0] == truth).mean() < 0.8


@pytest.mark.parametrize("kind", ["planar", "section"])
def test_a_tile_is_that_part_of_the_whole_to_the_bit(kind, xp):
    image = np.random.default_rng(1).random((67, 90), np.float32)
    bank, image = Bank(kind), xp.asarray(image)
    coarse = bank.coarse(image)
    whole = to_host(bank.tile(image, coarse, 0, 0, *image.shape))
    assert whole.shape == (len(bank.names()), 67, 90) and len(set(bank.names())) == len(whole)
    for top, left, height, width in tiles(image.shape, 30, 41):
        part = to_host(bank.tile(image, coarse, top, left, height, width))
        np.testing.assert_array_equal(part, whole[:, top:top + height, left:left + width])
    if xp is not np:  # logarithms of another library
        np.testing.assert_allclose(whole, Bank(kind).tile(to_host(image), Bank(kind).coarse(to_host(image)), 0, 0, 67, 90), atol=1e-5)


def test_a_picture_of_several_tiles_equals_one_tile(learnt, monkeypatch):
    image, _ = textures(seed=3)
    labels, probability = learnt.predict(image)
    monkeypatch.setattr(classify, "tiles", lambda shape: tiles(shape, 37, 50))
    again, more = learnt.predict(image)
    np.testing.assert_array_equal(probability, more)
    np.testing.assert_array_equal(labels, again)


def test_tiles_cover_the_plane_once():
    seen = np.zeros((100, 70), int)
    for top, left, height, width in tiles(seen.shape, 32, 33):
        seen[top:top + height, left:left + width] += 1
    assert (seen == 1).all()


def test_device_and_host_agree(learnt, xp):
    image, _ = textures(seed=5, shape=(24, 40))
    labels, probability = learnt.predict(xp.asarray(image))
    want, expected = learnt.predict(image)
    assert (to_host(labels) == want).mean() > 0.99
    assert np.abs(to_host(probability) - expected).mean() < 1e-3  # a last bit of a logarithm may turn a comparison round


def test_layers_of_one_grey_are_told_apart_by_what_lies_above():
    """A bright layer, below it two of the same grey: only a section knows which is the upper one."""
    truth = np.repeat([0, 1, 2], [100, 200, 200])[:, None] * np.ones((1, 200), int)
    image = np.array([200, 90, 90])[truth] + np.random.default_rng(2).normal(0, 6, truth.shape)
    drawn = np.zeros(truth.shape, np.int32)
    for k, (top, bottom) in enumerate([(10, 90), (110, 290), (310, 490)]):
        drawn[top:bottom, 60:64] = drawn[(top + bottom) // 2, 20:180] = k + 1
    right = {kind: (train([image], [drawn], kind=kind, trees=24).predict(image)[0] == truth).mean() for kind in ("planar", "section")}
    assert right["section"] > 0.93 and right["planar"] < 0.88


def test_saved_and_loaded_it_says_the_same(learnt, tmp_path):
    image, _ = textures(seed=9)
    learnt.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    for a, b in zip(learnt.predict(image), again.predict(image)):
        np.testing.assert_array_equal(a, b)
    assert again.card == learnt.card == json.loads(json.dumps(learnt.card))
    source = learnt.card["trained_on"][0]
    assert len(source["sha256"]) == 64 and source["scribbled_pixels"] == {"smooth": int((strokes() == 1).sum()), "rough": int((strokes() == 2).sum())}
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def _change(path, **changes):
    with np.load(path) as file:
        parts = dict(file)
    card = json.loads(bytes(parts["card"]))
    card.update({k: v for k, v in changes.items() if k in card})
    parts.update({k: v for k, v in changes.items() if k in parts})
    parts["card"] = np.frombuffer(json.dumps(card).encode(), np.uint8)
    np.savez(path, **parts)


@pytest.mark.parametrize("changes, says", [
    ({"version": 99}, "version 99"), ({"format": "another"}, "another"), ({"classes": ["a"]}, "don't fit"),
    ({"features": ["grey"]}, "don't fit"), ({"roots": np.array([10**6], np.int32)}, "don't fit"),
    ({"child": np.zeros(3, np.int32)}, "don't fit"), ({"kind": "sideways"}, "unknown"),
])
def test_a_model_that_does_not_fit_is_refused(learnt, tmp_path, changes, says):
    path = tmp_path / "model.npz"
    learnt.save(path)
    _change(path, **changes)
    with pytest.raises(InputError, match=says):
        load(path)


def test_files_that_are_no_models_are_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 damaged")
    np.savez(tmp_path / "y.npz", a=np.zeros(3))
    np.savez(tmp_path / "z.npz", card=np.array([{}], object))
    for name in ("x.npz", "y.npz", "z.npz", "missing.npz"):
        with pytest.raises(InputError, match=name):
            load(tmp_path / name)


@pytest.mark.parametrize("spoil, says", [
    (lambda image, drawn: ([], []), "0 pictures"), (lambda image, drawn: ([image], [drawn[1:]]), "scribbles of picture 0"),
    (lambda image, drawn: ([image * np.nan], [drawn]), "not numbers"), (lambda image, drawn: ([image * 0], [drawn]), "same value"),
    (lambda image, drawn: ([image], [np.minimum(drawn, 1)]), "nothing is drawn for rough"),
    (lambda image, drawn: ([image], [drawn * 2]), "4 classes|nothing is drawn"),
])
def test_bad_training_sets_are_refused(spoil, says):
    with pytest.raises(InputError, match=says):
        train(*spoil(textures()[0], strokes()), ["smooth", "rough"])


def test_confidence_is_as_sure_as_it_is_right_on_real_metal():
    image, tracks = load_metal(0)
    scribbles = metal(0, image.shape)
    learnt = train([image], [scribbles.labels], scribbles.names)
    labels, probability = learnt.predict(image)
    assert learnt.temperature >= 1
    assert calibration_error(probability.max(0), probability.argmax(0) == tracks) < 0.02
    assert metal_scores(labels == 1, tracks)["iou"] > 0.905  # 0.9037 without training


def test_phases_are_numbered_from_dark_to_bright():
    image = np.where(np.arange(80) < 40, 200.0, 50.0) * np.ones((60, 1)) + np.random.default_rng(0).normal(0, 5, (60, 80))
    drawn = np.zeros((60, 80), np.int32)
    drawn[5:55, 10:30], drawn[5:55, 50:70] = 1, 2
    found, names = train([image], [drawn], ["Cu", "SiO2"], trees=8).phases(image.astype(np.float32))
    assert names == ["SiO2", "Cu"]
    np.testing.assert_allclose(found.level, [50, 200], atol=2)
    assert (found.labels == (np.arange(80) < 40)).mean() > 0.98
    np.testing.assert_allclose(found.fraction, 0.5, atol=0.02)


def test_where_grey_agrees_with_the_strokes_it_tells_the_gaps_that_they_leave_out(learnt):
    """Two tracks four pixels apart, strokes along their middles and far from them: nothing drawn says that they are two."""
    rows, _ = np.mgrid[:120, :120]
    truth = ((rows > 40) & (rows < 58)) | ((rows >= 62) & (rows < 80))
    image = ndimage.gaussian_filter(np.where(truth, 160.0, 60.0), 1) + np.random.default_rng(0).normal(0, 6, truth.shape)
    drawn = np.zeros(truth.shape, np.int32)
    drawn[8:14, 10:110] = drawn[100:106, 10:110] = 1
    drawn[47:51, 10:110] = drawn[69:73, 10:110] = 2
    model = train([image], [drawn], ["oxide", "metal"], trees=16)
    assert model.card["hinted_by_grey"] == [True] and learnt.card["hinted_by_grey"] == [False]
    assert model.card["out_of_bag_samples"] <= (drawn > 0).sum()      # hints are not what it is tested on
    assert not model.predict(image.astype(np.float32))[0][59:61, 10:110].any()
    assert (model.predict(image.astype(np.float32))[0] == truth).mean() > 0.97


STACK = "above", "oxide", "below"


@pytest.fixture(scope="module")
def coated():
    image, _ = load_coating(1)
    drawn = coating(1, image.shape)
    assert (drawn.labels > 0).mean() <= 0.02
    return train([image], [drawn.labels], drawn.names, kind="section", stack=STACK)


def test_what_was_learnt_on_one_coating_finds_the_oxide_in_another(coated):
    """The bar of 0.60 for two more pictures, of other contrast, where no cluster of grey reaches 0.45; as a stack with room to spare."""
    for other in (0, 2):
        picture, truth = load_coating(other)
        labels, probability = coated.predict(picture)
        oxide = coated.classes.index("oxide")
        assert iou(labels == oxide, truth == 1) >= 0.60
        assert iou(coated.stacked(picture, probability)[0] == oxide, truth == 1) >= 0.70


def test_a_stack_is_kept_with_the_model_and_no_other_is_taken(coated, tmp_path):
    coated.save(tmp_path / "m.npz")
    again = load(tmp_path / "m.npz")
    assert again.card["stack"] == coated.card["stack"] == json.loads(json.dumps(coated.card["stack"]))
    picture = load_coating(1)[0][:, :160].copy()
    found, names = again.phases(picture)            # no need to say it again
    assert "layers from top to bottom: above, oxide, below" in found.notes
    layer = np.array([STACK.index(name) for name in names])[found.labels]
    assert (np.diff(layer, axis=0) >= 0).all() and sorted(names) == sorted(STACK)
    with pytest.raises(InputError, match="trained with the stack above, oxide, below"):
        again.phases(picture, ["below", "oxide", "above"])
    _change(tmp_path / "m.npz", stack={**coated.card["stack"], "usual": [1.0]})
    with pytest.raises(InputError, match="don't fit"):
        load(tmp_path / "m.npz")
    image, _ = textures()
    with pytest.raises(InputError, match="does not name each class once"):
        train([image], [strokes()], ["smooth", "rough"], trees=2, stack=["smooth"])
