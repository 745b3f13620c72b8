"""What is written over a phantom is taken off again, and a picture without it stays as it is."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from cukernels.backend import to_host

from chipmap import InputError, correct
from chipmap.__main__ import main
from chipmap.correct import without_curtain, without_jitter, without_streaks
from chipmap.phantom import Beam, take
from chipmap.prepare import prepare
from chipmap.read import Picture

LABELS = (np.add.outer(np.arange(300) // 20, np.arange(360) // 60) % 2).astype(int)


def seen(labels=LABELS, **beam):
    return take(labels, ["SiO2", "Cu"], beam=Beam(dose=300, seed=3, **beam)).image


def rms(array):
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


@pytest.mark.parametrize("name, correction, left", [("streaks", without_streaks, 0.75), ("curtain", without_curtain, 0.6)])
def test_stripes_go_and_the_picture_stays(xp, name, correction, left):
    clean, striped = seen(), seen(**{name: 0.15})
    got = correction(xp.asarray(striped))
    assert got.image.dtype == np.float32 and rms(to_host(got.image) - clean) < left * rms(striped - clean)
    assert got.rms == pytest.approx(rms(to_host(got.image) - striped), rel=1e-3) and 1.2 < got.ratio < 6     # charge multiplies
    untouched = correction(xp.asarray(clean))
    assert rms(to_host(untouched.image) - clean) < 0.15 * rms(clean - seen_without_noise())


def seen_without_noise():
    return take(LABELS, ["SiO2", "Cu"], beam=Beam(dose=1e7, seed=3)).image


def test_stripes_that_add_are_told_by_hand():
    """One row of a noisy two-level picture is 30 brighter from end to end: so much is taken off that row and nothing elsewhere."""
    rng = np.random.default_rng(0)
    image = (100 + 80 * (np.arange(400) // 50 % 2) + rng.normal(0, 5, (200, 400))).astype(np.float32)
    striped = image.copy()
    striped[77] += 30
    got = without_streaks(striped)
    assert np.abs((striped - got.image)[77].mean() - 30) < 3
    assert rms(got.image - image) < 1.5


def test_jitter_is_found_and_undone(xp):
    slanted = (np.add.outer(np.arange(200) // 3, np.arange(300)) // 25 % 2).astype(int)
    still = seen(slanted)
    shift = np.random.default_rng(1).normal(0, 1.0, 200)
    shaken = correct._moved(np, still, -shift)
    got, found = without_jitter(xp.asarray(shaken))
    assert np.std(found - shift) < 0.5 and np.corrcoef(found, shift)[0, 1] > 0.85
    assert rms((to_host(got) - still)[:, 8:-8]) < 0.75 * rms((shaken - still)[:, 8:-8])
    _, none = without_jitter(xp.asarray(still))
    assert np.std(none) < 0.1


def test_whole_shifts_are_exact():
    image = np.random.default_rng(2).random((5, 40)).astype(np.float32)
    moved = correct._moved(np, image, np.array([0.0, 1, -2, 3, 0]))
    np.testing.assert_array_equal(moved[0], image[0])
    np.testing.assert_array_equal(moved[1, :-1], image[1, 1:])
    np.testing.assert_array_equal(moved[2, 2:], image[2, :-2])


def test_prepare_does_them_in_one_order_and_says_so():
    picture = Picture(seen(curtain=0.2, streaks=0.2), (1e-9, 1e-9), "test", 16, None)
    got = prepare(picture, correct="noise, curtain,streaks", databar=False)
    assert [row["step"] for row in got.report] == ["databar", "streaks", "curtain", "noise", "noise"]
    assert all(row["done"] and row["changed"] > 0 for row in got.report[1:4]) and "columns" in got.report[2]["what"]
    with pytest.raises(InputError, match="'sharpen' is unknown: use streaks"):
        prepare(picture, correct="sharpen")


@pytest.mark.parametrize("image", [np.full((30, 40), 7.0), np.random.default_rng(0).normal(100, 5, (5, 9)), np.eye(64) * 200])
def test_odd_pictures_come_back_finite(image):
    for correction in (without_streaks, without_curtain):
        if image.min() < image.max():
            assert np.isfinite(correction(image.astype(np.float32)).image).all()
    assert np.isfinite(without_jitter(image.astype(np.float32))[0]).all()


def test_the_command_reports_what_changed(tmp_path):
    import tifffile
    tifffile.imwrite(tmp_path / "a.tif", np.clip(seen(streaks=0.2), 0, 65535).astype(np.uint16))
    done = CliRunner().invoke(main, ["run", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), "--pixel-size", "4nm", "--physics", "heat",
                                     "--materials", "SiO2,Cu", "--correct", "streaks", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["picture"]["preparation"]
    assert rows[1]["step"] == "streaks" and rows[1]["done"] and rows[1]["changed"] > 100
    refused = CliRunner().invoke(main, ["run", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b"), "--pixel-size", "4nm", "--correct", "all"])
    assert refused.exit_code == 2 and "unknown" in refused.output
