"""Big pictures on the disk: a plane written in any order and read by windows; and the tiled pyramid it is handed on as."""

import math
import os
import pathlib
import shutil

import numpy as np
from cukernels.threads import processors

from chipmap import InputError
from chipmap.big.pyramid import need_zarr, open_pyramid, smaller

TILE = 512              # of the TIFFs and chunks written
SMALLEST = 512          # levels are added until the longer side is no longer than this


class Plane:
    """(H, W) numbers of one dtype in a plain file, row after row; what is never written is 0.

    Reads and writes go through the operating system and never through a map of the file, so that the memory of the process
    is what its arrays take.
    """

    def __init__(self, path, shape, dtype):
        self.path, self.shape, self.dtype = pathlib.Path(path), tuple(shape), np.dtype(dtype)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT)
        size = math.prod(self.shape) * self.dtype.itemsize
        if os.fstat(self._file).st_size != size:
            os.ftruncate(self._file, size)

    def close(self):
        os.close(self._file)

    def read(self, top, left, height, width):
        """(height, width) from row `top`, column `left` on."""
        out = np.empty((height, width), self.dtype)
        if width == self.shape[1]:
            _read_all(self._file, out.reshape(-1), self._place(top, 0))
        else:
            for y in range(height):
                _read_all(self._file, out[y], self._place(top + y, left))
        return out

    def write(self, top, left, part):
        """Put a part (h, w) at row `top`, column `left`."""
        part = np.ascontiguousarray(part, self.dtype)
        if part.shape[1] == self.shape[1]:
            _write_all(self._file, part.reshape(-1), self._place(top, 0))
        else:
            for y, row in enumerate(part):
                _write_all(self._file, row, self._place(top + y, left))

    def _place(self, y, x):
        return (y * self.shape[1] + x) * self.dtype.itemsize


def write_pyramid(path, source, pixel_size_m, name, notes=None, reduce="mean", say=None, **how):
    """Write a big picture with its halves, quarters ..., as tiled OME-TIFF, or as OME-Zarr where the path ends in .zarr.

    source: anything with shape, dtype and read(top, left, height, width). pixel_size_m: (dy, dx). reduce: as of
    `pyramid.smaller`. notes: {key: text} for the map annotation. say: called with the share done, 0 .. 1. how: further
    arguments of `tifffile` (photometric, colormap). Memory: one row of tiles. The file appears when it is whole.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.part{os.getpid()}")
    work = path.with_name(f".{path.name}.work{os.getpid()}")
    work.mkdir(parents=True)
    try:
        levels = _Levels(source, work, reduce, say or (lambda share: None))
        writer = _write_zarr if path.suffix == ".zarr" else _write_tiff
        writer(partial, levels, pixel_size_m, name, notes or {}, how)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error}): check the folder and the space on the disk") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)


def store_pyramid(path, out, pixel_size=None, say=print):
    """`chipmap pyramid`: the picture at `path`, bit by bit the same, with its levels as `write_pyramid` stores them.

    pixel_size: text with a unit, or None where the tags say it.
    """
    from chipmap.read import ASK, parse_pixel_size

    with open_pyramid(path) as picture:
        size = parse_pixel_size(pixel_size) if pixel_size else picture.pixel_size_m
        if size is None:
            raise InputError(f"{path}: no tag of the file gives a pixel size: {ASK}")
        write_pyramid(out, picture, size, "grey")
        say(f"{picture.shape[0]} x {picture.shape[1]} pixels of {size[1] * 1e9:.4g} nm: {out}")


class _Levels:
    """Each level band by band; the next smaller one is made on the way, on the disk."""

    def __init__(self, source, work, reduce, say):
        self.count = max(1, 1 + math.ceil(math.log2(max(source.shape) / SMALLEST)))
        self.shapes = [tuple(-(-n // 2**level) for n in source.shape) for level in range(self.count)]
        self.dtype, self._reduce, self._say = source.dtype, reduce, say
        self._planes = [source] + [Plane(work / f"{n}.raw", shape, source.dtype) for n, shape in enumerate(self.shapes) if n]
        self._done, self._rows = 0, sum(shape[0] * shape[1] for shape in self.shapes)

    def bands(self, level):
        """(top, (rows, W)) from the top down, TILE rows each."""
        height, width = self.shapes[level]
        for top in range(0, height, TILE):
            band = self._planes[level].read(top, 0, min(TILE, height - top), width)
            if level + 1 < self.count:
                self._planes[level + 1].write(top // 2, 0, smaller(band, 2, self._reduce))
            self._done += band.size
            self._say(self._done / self._rows)
            yield top, band
        if level:
            self._planes[level].close()


def _write_tiff(path, levels, pixel_size_m, name, notes, how):
    import tifffile

    dy, dx = (1e9 * size for size in pixel_size_m)
    metadata = {"axes": "YX", "Name": name, "PhysicalSizeX": dx, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": dy,
                "PhysicalSizeYUnit": "nm", "Channel": {"Name": [name]}, "MapAnnotation": notes}
    how = {"photometric": "minisblack", "compression": "zlib", "compressionargs": {"level": 1}, "tile": (TILE, TILE), "maxworkers": processors(), "buffersize": 2**25, **how}
    with tifffile.TiffWriter(path, ome=True, bigtiff=math.prod(levels.shapes[0]) * levels.dtype.itemsize > 2**31) as tiff:
        for level, shape in enumerate(levels.shapes):
            first = {"subifds": levels.count - 1, "metadata": metadata} if level == 0 else {"subfiletype": 1, "metadata": None}
            tiff.write(_tiles(levels.bands(level)), shape=shape, dtype=levels.dtype, **first, **how)


def _tiles(bands):
    """Tiles of TILE x TILE of each band from left to right, filled up with zeros at the far sides."""
    for _, band in bands:
        for left in range(0, band.shape[1], TILE):
            part = band[:, left:left + TILE]
            if part.shape != (TILE, TILE):
                part = np.pad(part, [(0, TILE - n) for n in part.shape])
            yield part


def _write_zarr(path, levels, pixel_size_m, name, notes, how):
    zarr = need_zarr(path)
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    for level, shape in enumerate(levels.shapes):
        array = group.create_array(str(level), shape=shape, dtype=levels.dtype, chunks=tuple(min(TILE, n) for n in shape), dimension_names=("y", "x"))
        for top, band in levels.bands(level):
            array[top:top + len(band)] = band
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
    datasets = [{"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [1e9 * size * 2**n for size in pixel_size_m]}]}
                for n in range(levels.count)]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": name, "axes": axes, "datasets": datasets}]}
    group.attrs["notes"] = notes


def _read_all(file, out, place):
    view = memoryview(out).cast("B")
    while view:
        count = os.preadv(file, [view], place)
        if not count:
            raise OSError("a working file ends early")
        view, place = view[count:], place + count


def _write_all(file, data, place):
    view = memoryview(data).cast("B")
    while view:
        count = os.pwrite(file, view, place)
        view, place = view[count:], place + count
