import pathlib

import numpy as np
import pytest

import chipmap
from chipmap import InputError
from chipmap.databar import databar_start, scale_bar
from chipmap.prepare import prepare
from chipmap.read import Picture, read_picture

DATA = pathlib.Path(chipmap.__file__).parent / "data"


def noisy(height=200, width=240, seed=0, sigma=4.0):
    rng = np.random.default_rng(seed)
    image = np.full((height, width), 60.0)
    image[:, width // 3:width // 2] = 130
    return np.clip(np.rint(image + rng.normal(0, sigma, image.shape)), 0, 255).astype(np.float32)


def picture(image, databar_rows=None):
    return Picture(image, (1e-9, 1e-9), "test", 8, pathlib.Path("test.png"), databar_rows=databar_rows)


def with_databar(image, rows):
    image = image.copy()
    image[-rows:] = 0
    image[-rows] = 255
    image[-rows // 2, 20:60] = 255
    return image


def test_databar_is_cut_where_it_starts():
    got = prepare(picture(with_databar(noisy(), 30)))
    assert got.crop == (0, 170, 0, 240) and got.image.shape == (170, 240)
    assert got.report[0]["done"] and "30 rows" in got.report[0]["what"]
    kept = prepare(picture(with_databar(noisy(), 30)), databar=False)
    assert kept.image.shape == (200, 240)


def test_tags_say_where_the_databar_is():
    got = prepare(picture(noisy(), databar_rows=12))
    assert got.crop == (0, 188, 0, 240) and "tags" in got.report[0]["what"]


def test_databar_of_a_real_picture():
    assert databar_start(read_picture(DATA / "nanoporous_gold_zeiss.tif").image) == 691


@pytest.mark.parametrize("name", ["delayered_metal_0", "delayered_metal_1", "etched_silicon", "coating_cross_section"])
def test_no_databar_where_there_is_none(name):
    assert databar_start(read_picture(DATA / f"{name}.png", 1e-9).image) is None


def test_a_saturated_background_is_no_databar():
    image = np.zeros((200, 240), np.float32)
    image[:60, 40:80] = noisy(60, 40)
    assert databar_start(image) is None


def test_noise_drift_and_denoising_do_what_they_report():
    flat = noisy()
    slope = np.linspace(-15, 15, 200, dtype=np.float32)[:, None]
    got = prepare(picture(flat + slope), correct="background")
    assert got.noise_sigma == pytest.approx(4.0, rel=0.1)
    np.testing.assert_allclose(got.image, flat, atol=1.5)  # a tenth of the drift, a third of the noise
    assert 27 < float(got.report[1]["what"].split()[3]) < 33
    quiet = prepare(picture(flat), correct=["noise"])
    inside = np.s_[:, 130:]
    assert quiet.image[inside].std() < 0.35 * flat[inside].std()
    assert abs(quiet.image[inside].mean() - flat[inside].mean()) < 0.2
    assert quiet.report[1]["changed"] == pytest.approx(np.sqrt(((quiet.image - flat) ** 2).mean()), rel=1e-4)


def test_nothing_asked_for_changes_nothing():
    image = noisy()
    np.testing.assert_array_equal(prepare(picture(image)).image, image)


def test_crop():
    image = noisy()
    for crop in ("10:50,20:", (10, 50, 20, 240)):
        np.testing.assert_array_equal(prepare(picture(image), crop=crop).image, image[10:50, 20:])


@pytest.mark.parametrize("crop", ["10:50", "a:b,c:d", "50:10,0:20", "0:300,0:20", "0:3,0:20"])
def test_bad_crop_is_named(crop):
    with pytest.raises(InputError, match="crop"):
        prepare(picture(noisy()), crop=crop)


def test_constant_crop_is_refused():
    image = noisy()
    image[:20, :20] = 5
    with pytest.raises(InputError, match="one value"):
        prepare(picture(image), crop=(0, 20, 0, 20))


@pytest.mark.parametrize("kind, length", [("whole", 100), ("whole", 37), ("parted", 120)])
def test_scale_bar_is_measured_between_its_ticks(kind, length):
    bar = np.zeros((40, 400), np.float32)
    bar[0] = bar[-1] = bar[:, 0] = bar[:, -1] = 255                    # a frame
    bar[20, 50:50 + length + 1] = 255
    bar[14:27, [50, 50 + length]] = 255
    if kind == "parted":
        bar[14:27, 90:131] = 0
        bar[16:25, 95:125:4] = 255                                    # its text
    bar[10:20, 250:258], bar[15, 300:312] = 255, 255                  # other text
    assert scale_bar(bar) == length
    assert scale_bar(np.where(np.arange(400) < 200, 0, bar)) is None  # text alone


def test_a_scale_bar_that_contradicts_the_pixel_size_is_told():
    gold = read_picture(DATA / "nanoporous_gold_zeiss.tif")
    got = prepare(gold)
    assert "20 nm" in got.report[0]["what"] and not got.notes
    gold.pixel_size_m = (1.73 * gold.pixel_size_m[0], 1.73 * gold.pixel_size_m[1])
    note, = prepare(gold).notes
    assert "37 pixels would be 34.76 nm" in note and "check the pixel size" in note
