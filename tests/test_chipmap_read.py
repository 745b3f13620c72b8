import pathlib

import imagecodecs
import numpy as np
import pytest
import tifffile

import chipmap
from chipmap import InputError, tags
from chipmap.read import parse_pixel_size, read_picture

DATA = pathlib.Path(chipmap.__file__).parent / "data"

FEI = """[User]\r
Date=01/01/2024\r
[Beam]\r
Beam=EBeam\r
[EBeam]\r
HV=15000\r
HFW={hfw}\r
WD=0.0041\r
[Scan]\r
PixelWidth=2e-009\r
PixelHeight=2.5e-009\r
HorFieldsize={hfw}\r
[Detectors]\r
Name=CBS\r
[Image]\r
ResolutionX=60\r
ResolutionY=40\r
[PrivateFei]\r
DatabarHeight=8\r
"""


def picture(dtype=np.uint8, shape=(48, 60)):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def fei_tiff(path, hfw="1.2e-007", **options):
    image = picture()
    tifffile.imwrite(path, image, extratags=[(34682, 2, 0, FEI.format(hfw=hfw).encode() + b"\0", True)], **options)
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_values_come_as_stored(tmp_path, dtype, suffix):
    image = picture(dtype)
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(image))
    else:
        tifffile.imwrite(path, image, compression="lzw")
    got = read_picture(path, 1e-9)
    assert got.image.dtype == np.float32 and got.bits == dtype().itemsize * 8
    np.testing.assert_array_equal(got.image, image)
    assert (got.pixel_size_m, got.pixel_size_source) == ((1e-9, 1e-9), "given by --pixel-size")


def test_jpeg_and_equal_channels(tmp_path):
    smooth = np.add.outer(np.arange(48), np.arange(60)).astype(np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(smooth, level=98))
    np.testing.assert_allclose(read_picture(tmp_path / "a.jpg", 1e-9).image, smooth, atol=3)  # JPEG loses a little
    rgb = np.repeat(picture()[..., None], 3, 2)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(rgb))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 1e-9).image, rgb[..., 0])
    rgb[3, 4, 1] ^= 1
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(rgb))
    with pytest.raises(InputError, match="colour channels differ.*grey values"):
        read_picture(tmp_path / "b.png", 1e-9)


def test_zeiss_tag_gives_pixel_size_with_all_digits():
    got = read_picture(DATA / "nanoporous_gold_zeiss.tif")
    assert got.pixel_size_m == (5.429688e-10, 5.429688e-10)
    assert "34118" in got.pixel_size_source
    facts = got.instrument
    assert (facts["vendor"], facts["beam_kv"], facts["detector"], facts["signal"]) == ("Zeiss", 20.0, "InLens", "SE")
    assert facts["working_distance_mm"] == pytest.approx(6.2)
    assert got.notes == []
    assert facts["sources"]["beam_kv"].startswith("Zeiss tag 34118 AP_ACTUALKV") and set(facts["sources"]) >= {"detector", "working_distance_mm", "pixel_size_m"}


def test_fei_tag_gives_pixel_size_beam_and_databar(tmp_path):
    image = fei_tiff(tmp_path / "a.tif")
    got = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(got.image, image)
    assert got.pixel_size_m == (2.5e-9, 2e-9) and "FEI" in got.pixel_size_source
    assert got.databar_rows == 8  # 48 stored rows, 40 scanned
    facts = got.instrument
    assert (facts["beam"], facts["beam_kv"], facts["detector"], facts["signal"]) == ("electron", 15.0, "CBS", "BSE")
    assert facts["working_distance_mm"] == pytest.approx(4.1)


def test_conflicts_are_told(tmp_path):
    fei_tiff(tmp_path / "a.tif", hfw="1.5e-007")
    assert any("field width" in note and "2.5 nm" in note for note in read_picture(tmp_path / "a.tif").notes)
    got = read_picture(DATA / "nanoporous_gold_zeiss.tif", 0.6e-9)
    assert got.pixel_size_m == (0.6e-9, 0.6e-9)
    assert any("overrides 0.542969 nm" in note for note in got.notes)
    assert read_picture(DATA / "nanoporous_gold_zeiss.tif", 0.543e-9).notes == []


def test_dpi_is_no_calibration(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(), resolution=(300, 300), resolutionunit="INCH")
    with pytest.raises(InputError, match="dpi is no calibration.*--pixel-size"):
        read_picture(tmp_path / "a.tif")


def test_damaged_directory_gives_metadata_and_a_refusal(tmp_path):
    fei_tiff(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        at = tiff.pages[0].tags["StripOffsets"].valueoffset
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[at:at + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="damaged.*refused.*CBS.*pixel size 2 nm"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("cut", [40, 100, 1500])
def test_a_truncated_file_is_refused(tmp_path, cut):
    data = (DATA / "nanoporous_gold_zeiss.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:cut])
    with pytest.raises(InputError, match="damaged"):
        read_picture(tmp_path / "a.tif", 1e-9)
    (tmp_path / "a.png").write_bytes((DATA / "delayered_metal_0.png").read_bytes()[:cut])
    with pytest.raises(InputError, match="damaged"):
        read_picture(tmp_path / "a.png", 1e-9)


@pytest.mark.parametrize("content, says", [
    (None, "can't be read"), (b"", "empty"), (b"hello, this is text", "no PNG, TIFF or JPEG"),
    (np.full((9, 9), 7, np.uint8), "every pixel has the value 7"),
    (np.array([[1, 2], [np.nan, 3]], np.float32), "row 1, column 0 is not a number"),
    (np.array([[1, 2], [4, np.inf]], np.float32), "row 1, column 1 is not a number"),
    (np.zeros((2, 9, 9), np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None], "holds 2 pictures"),
])
def test_bad_files_get_one_sentence(tmp_path, content, says):
    path = tmp_path / "bad.tif"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        tifffile.imwrite(path, content, photometric="minisblack")
    with pytest.raises(InputError, match=says) as error:
        read_picture(path, 1e-9)
    assert "bad.tif" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        read_picture(tmp_path, 1e-9)


@pytest.mark.parametrize("text, metres", [
    ("1.65 nm", (1.65e-9, 1.65e-9)), ("0.5um", (5e-7, 5e-7)), ("543pm", (5.43e-10, 5.43e-10)), ("2.2x2.4nm", (2.2e-9, 2.4e-9))])
def test_pixel_size_text(text, metres):
    assert parse_pixel_size(text) == pytest.approx(metres)


@pytest.mark.parametrize("text", ["", "3", "nm", "3 furlong", "-1nm", "0nm", "nan nm", "1e9 m"])
def test_bad_pixel_size_text(text):
    with pytest.raises(InputError, match="pixel size"):
        parse_pixel_size(text)


def test_signal_is_only_what_the_name_tells():
    assert [tags.signal_of(n) for n in ("InLens", "ETD", "CBS", "4QBSD", "Cam0", "", None)] == ["SE", "SE", "BSE", "BSE", None, None, None]


def _plain(path, **tiff):
    tifffile.imwrite(path, np.arange(48 * 64, dtype=np.uint16).reshape(48, 64), **tiff)
    return path


HITACHI = "[SemImageFile]\r\nPixelSize=4.9609375\r\nAcceleratingVoltage=15000 Volt\r\nSignalName=SE(U)\r\nWorkingDistance=8100 um\r\nDataSize=1280x960\r\n"
JEOL = "$CM_FORMAT TIF\r\n$CM_ACCEL_VOLT 10.0\r\n$$SM_MICRON_BAR 120\r\n$$SM_MICRON_MARKER 3um\r\n$$SM_WD 9.5\r\n"
TESCAN = "[MAIN]\r\nPixelSizeX=2.5e-09\r\nPixelSizeY=2.6e-09\r\n[SEM]\r\nHV=20000.0\r\nDetector=BSE\r\nWD=0.0091\r\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_hitachi_sidecar(tmp_path, encoding):
    path = _plain(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_bytes(HITACHI.encode(encoding))
    got = read_picture(path)
    assert got.pixel_size_m == pytest.approx((4.9609375e-9,) * 2) and "Hitachi sidecar" in got.pixel_size_source
    assert (got.instrument["beam_kv"], got.instrument["signal"]) == (15, "SE")
    assert got.instrument["working_distance_mm"] == pytest.approx(8.1) and got.instrument["resolution"] == (1280, 960)


def test_jeol_sidecar(tmp_path):
    path = _plain(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text(JEOL)
    got = read_picture(path)
    assert got.pixel_size_m == pytest.approx((25e-9,) * 2) and got.instrument["beam_kv"] == 10 and got.instrument["vendor"] == "JEOL"


def test_tescan_tag_and_a_sidecar_that_disagrees(tmp_path):
    path = _plain(tmp_path / "a.tif", extratags=[(50431, 7, len(TESCAN), TESCAN.encode(), True)])
    got = read_picture(path)
    assert got.pixel_size_m == (2.6e-9, 2.5e-9) and got.pixel_size_source == "Tescan tag 50431 PixelSizeX"
    assert (got.instrument["beam_kv"], got.instrument["signal"], got.instrument["working_distance_mm"]) == (20, "BSE", pytest.approx(9.1))
    (tmp_path / "a.txt").write_text(HITACHI)
    got = read_picture(path)
    assert got.pixel_size_m == (2.6e-9, 2.5e-9)
    assert len([n for n in got.notes if "a.txt says" in n]) == 2  # pixel size and beam energy


def test_a_text_that_is_no_sidecar_changes_nothing(tmp_path):
    path = _plain(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text("my notes: $$SM_MICRON_BAR unknown")
    with pytest.raises(InputError, match="no tag"):
        read_picture(path)
