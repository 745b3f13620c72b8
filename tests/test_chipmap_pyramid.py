import tracemalloc

import imagecodecs
import numpy as np
import pytest
import tifffile

from chipmap import InputError
from chipmap.big.planes import Plane, write_pyramid
from chipmap.big.pyramid import open_pyramid, smaller, thumbnail


def grey(shape=(1300, 1501), dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 60000 if dtype == np.uint16 else 255, shape).astype(dtype)


class Array:
    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def read(self, top, left, height, width):
        return self.array[top:top + height, left:left + width]


WINDOWS = [(0, 0, 1300, 1501), (700, 3, 1, 1498), (511, 511, 3, 600), (1299, 1500, 1, 1), (0, 1000, 1300, 7)]


@pytest.mark.parametrize("layout", [{"tile": (256, 512), "compression": "zlib"}, {"compression": "lzw", "rowsperstrip": 17}, {},
                                    {"byteorder": ">"}, {"bigtiff": True}, {"compression": "zlib", "predictor": True, "rowsperstrip": 64}])
def test_any_window_of_any_tiff_as_stored(tmp_path, layout):
    image = grey()
    tifffile.imwrite(tmp_path / "a.tif", image, **layout)
    with open_pyramid(tmp_path / "a.tif") as mosaic:
        assert mosaic.shape == image.shape and mosaic.dtype == image.dtype and list(mosaic.stored) == [0]
        for top, left, height, width in WINDOWS:
            np.testing.assert_array_equal(mosaic.read(top, left, height, width), image[top:top + height, left:left + width])


@pytest.mark.parametrize("suffix", ["ome.tif", "zarr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_written_pyramid_reads_back_at_every_level(tmp_path, suffix, dtype):
    if suffix == "zarr":
        pytest.importorskip("zarr")
    image = grey(dtype=dtype)
    write_pyramid(tmp_path / f"a.{suffix}", Array(image), (2e-9, 2.5e-9), "grey")
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]
    with open_pyramid(tmp_path / f"a.{suffix}") as mosaic:
        assert mosaic.stored == {0: (1300, 1501), 1: (650, 751), 2: (325, 376)}
        assert mosaic.pixel_size_m == pytest.approx((2e-9, 2.5e-9)) and mosaic.pixel_size_source.startswith("OME")
        level = image
        for n in range(4):  # the last one is not stored
            np.testing.assert_array_equal(mosaic.read(0, 0, *mosaic.shape_at(n), level=n), level)
            level = smaller(level, 2)
        part = mosaic.read(100, 200, 50, 60, level=1)
        np.testing.assert_array_equal(part, smaller(image, 2)[100:150, 200:260])


@pytest.mark.parametrize("reduce", ["mean", "nearest"])
def test_a_thumbnail_keeps_no_band_of_the_picture(reduce, tmp_path):
    plane = Plane(tmp_path / "plane.raw", (4096, 4096), np.uint8)
    tracemalloc.start()
    small = thumbnail(plane, 5, reduce)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert small.shape == (128, 128) and most < (12 if reduce == "mean" else 2.5) * 256 * 4096


def test_smaller_by_hand():
    image = np.array([[1, 2, 3], [5, 6, 7], [9, 9, 4]], np.uint8)
    np.testing.assert_array_equal(smaller(image, 2), [[4, 5], [9, 4]])     # 3.5 is rounded to even
    np.testing.assert_array_equal(smaller(image, 2, "nearest"), [[1, 3], [9, 4]])
    np.testing.assert_array_equal(smaller(image.astype(np.float32), 4), [[np.float32(46 / 9)]])


def test_labels_keep_their_numbers(tmp_path):
    labels = np.random.default_rng(1).integers(0, 3, (1100, 1200)).astype(np.uint8) * 100
    write_pyramid(tmp_path / "a.ome.tif", Array(labels), (1e-9, 1e-9), "material", reduce="nearest")
    with open_pyramid(tmp_path / "a.ome.tif") as mosaic:
        np.testing.assert_array_equal(mosaic.read(0, 0, 275, 300, level=2), labels[::4, ::4])


def test_a_plane_is_what_was_written(tmp_path):
    image, plane = grey((100, 130)), Plane(tmp_path / "p", (100, 130), np.uint16)
    for top, left in [(60, 0), (0, 65), (0, 0), (60, 65)]:
        plane.write(top, left, image[top:top + 60, left:left + 65])
    np.testing.assert_array_equal(plane.read(0, 0, 100, 130), image)
    np.testing.assert_array_equal(plane.read(13, 7, 50, 99), image[13:63, 7:106])
    plane.close()
    again = Plane(tmp_path / "p", (100, 130), np.uint16)
    np.testing.assert_array_equal(again.read(99, 0, 1, 130), image[99:])
    again.close()


def test_bad_files_get_one_sentence(tmp_path):
    image = grey((600, 600))
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(256, 256), compression="zlib")
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[:len(data) // 2])
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    with open_pyramid(tmp_path / "a.png") as mosaic:
        np.testing.assert_array_equal(mosaic.read(3, 4, 5, 6), image[3:8, 4:10])
        with pytest.raises(InputError, match="are not inside level 1 of 300 x 300"):
            mosaic.read(0, 0, 301, 10, level=1)
    for name, says in [("rgb.tif", "3 values"), ("text.tif", "no PNG, TIFF or JPEG"), ("none.tif", "can't be read")]:
        with pytest.raises(InputError, match=says):
            open_pyramid(tmp_path / name)
    with pytest.raises(InputError, match="OME-Zarr"):
        open_pyramid(tmp_path / "empty.zarr")
    with pytest.raises(InputError, match="damaged"):
        with open_pyramid(tmp_path / "cut.tif") as mosaic:
            mosaic.read(0, 0, 600, 600)


def test_the_command(tmp_path):
    from click.testing import CliRunner

    from chipmap.__main__ import main
    image = grey((700, 600))
    tifffile.imwrite(tmp_path / "a.tif", image)
    out = str(tmp_path / "b.ome.tif")
    refused = CliRunner().invoke(main, ["pyramid", str(tmp_path / "a.tif"), "-o", out])
    assert refused.exit_code == 2 and "pass --pixel-size" in refused.output
    done = CliRunner().invoke(main, ["pyramid", str(tmp_path / "a.tif"), "-o", out, "--pixel-size", "3nm"])
    assert done.exit_code == 0, done.output
    with open_pyramid(out) as mosaic:
        np.testing.assert_array_equal(mosaic.read(0, 0, 700, 600), image)
        assert mosaic.pixel_size_m == pytest.approx((3e-9, 3e-9))
