"""Windows of big pictures: a part at full size or at 1/2, 1/4 ... of it, from TIFF, OME-TIFF and OME-Zarr, never the whole.

    with open_pyramid("mosaic.ome.tif") as mosaic:
        part = mosaic.read(top, left, height, width, level=3)      # every eighth pixel's worth
"""

import math
import pathlib
import re
import threading
from collections import OrderedDict

import numpy as np

from chipmap import InputError, decode, tags

CACHE_BYTES = 64 * 2**20      # decoded tiles kept: neighbouring windows share them
BAND = 256                    # rows of the whole width averaged at once
LARGEST_PIECE = 2**30         # bytes of one strip or tile, decoded: more can't be read in parts


class Pyramid:
    """A picture on the disk. shape (H, W), dtype, path; pixel_size_m (dy, dx) or None, pixel_size_source; instrument: as of
    `tags.from_text`. stored: {level: (h, w)} of the levels that the file holds, 0 is full size, level n is 2**n smaller."""

    def __init__(self, path, levels, close, pixel_size=(None, None), instrument=None):
        self.path, self._levels, self._close = pathlib.Path(path), levels, close
        self.shape, self.dtype = levels[0].shape, np.dtype(levels[0].dtype)
        self.pixel_size_m, self.pixel_size_source = pixel_size
        self.instrument = instrument or {}
        self.stored = {n: level.shape for n, level in levels.items()}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._close()

    @property
    def top(self):
        """The level at which the longer side is 512 pixels or less."""
        return max(0, math.ceil(math.log2(max(self.shape) / 512)))

    def shape_at(self, level):
        """(h, w) of a level: half of the one below, rounded up."""
        return tuple(-(-n // 2**level) for n in self.shape)

    def read(self, top, left, height, width, level=0, reduce="mean"):
        """(height, width) in the picture's dtype, pixels of `level` from row `top`, column `left` on.

        A level that is not stored is made from the next finer one that is: by the `mean` of each block (rounded for whole
        numbers), or its upper left pixel ("nearest", for labels). That reads 4**n times as much: store levels, see `copy`.
        Raises InputError for a window that is not inside the level.
        """
        h, w = self.shape_at(level)
        if level < 0 or not (0 <= top < top + height <= h and 0 <= left < left + width <= w):
            raise InputError(f"{self.path}: rows {top}:{top + height}, columns {left}:{left + width} are not inside level {level} of {h} x {w} pixels")
        base = max(n for n in self._levels if n <= level)
        source, factor = self._levels[base], 2 ** (level - base)
        bottom, right = (min(end * factor, size) for end, size in zip((top + height, left + width), source.shape))
        part = source.read(top * factor, left * factor, bottom - top * factor, right - left * factor)
        return part if factor == 1 else smaller(part, factor, reduce)


def open_pyramid(path):
    """A `Pyramid` of a TIFF (any layout with one grey picture; tiles, strips or plain), an OME-Zarr, a PNG or a JPEG.

    PNG and JPEG are decoded whole. Raises InputError for what can't be read, holds no single grey picture, or keeps it in
    one compressed piece of more than a gigabyte.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _open_zarr(path)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    if magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _open_tiff(path)
    return Pyramid(path, {0: _Array(decode.grey(path, decode.stored(path)[0]))}, lambda: None)


def smaller(part, factor, reduce="mean"):
    """Blocks of factor x factor pixels made one, ragged ones at the far sides too: "mean", or "nearest" (upper left)."""
    if reduce == "nearest":
        return part[::factor, ::factor].copy()      # a view would keep the whole part
    if factor == 2 and not any(n % 2 for n in part.shape):  # the common case, four times as fast
        pairs = np.add(part[::2], part[1::2], dtype=np.float64)
        mean = (pairs[:, ::2] + pairs[:, 1::2]) * 0.25
    else:
        rows, columns = (np.arange(0, n, factor) for n in part.shape)
        total = np.add.reduceat(np.add.reduceat(part.astype(np.float64), rows, 0), columns, 1)
        mean = total / np.outer(np.diff([*rows, part.shape[0]]), np.diff([*columns, part.shape[1]]))
    return (np.rint(mean) if part.dtype.kind in "iu" else mean).astype(part.dtype)


def thumbnail(source, level, reduce="mean"):
    """The whole of a source (shape, dtype, read) at a level, read in bands."""
    height, width = source.shape
    rows = 2**level * max(1, BAND // 2**level)
    return np.concatenate([smaller(source.read(top, 0, min(rows, height - top), width), 2**level, reduce) for top in range(0, height, rows)])


class _Array:
    def __init__(self, array):
        self.shape, self.dtype, self._array = array.shape, array.dtype, array

    def read(self, top, left, height, width):
        return np.ascontiguousarray(self._array[top:top + height, left:left + width])


class _Page:
    """One page of a TIFF, read tile by tile or strip by strip."""

    def __init__(self, page, lock):
        self.shape, self.dtype = (page.imagelength, page.imagewidth), page.dtype
        self._page, self._lock = page, lock
        rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        self._piece = rows, page.tilewidth if page.is_tiled else page.imagewidth
        self._across = -(-self.shape[1] // self._piece[1])
        self._plain = page.is_contiguous and page.compression == 1 and page.predictor == 1
        self._cache, self._kept = OrderedDict(), 0
        if not self._plain and math.prod(self._piece) * page.dtype.itemsize > LARGEST_PIECE:
            raise InputError(f"{page.parent.filehandle.path}: its pixels are one compressed piece of {self._piece[0]} x {self._piece[1]}: "
                             "save it as a tiled TIFF")

    def read(self, top, left, height, width):
        if self._plain:
            return self._read_plain(top, left, height, width)
        out = np.zeros((height, width), self.dtype)
        for r in range(top // self._piece[0], (top + height - 1) // self._piece[0] + 1):
            for c in range(left // self._piece[1], (left + width - 1) // self._piece[1] + 1):
                self._paste(self._decoded(r * self._across + c), r * self._piece[0] - top, c * self._piece[1] - left, out)
        return out

    def _read_plain(self, top, left, height, width):
        with self._lock:
            file = self._page.parent.filehandle
            stored = self.dtype.newbyteorder(self._page.parent.byteorder)
            file.seek(self._page.dataoffsets[0] + top * self.shape[1] * stored.itemsize)
            if height * self.shape[1] <= 4 * height * width:
                rows = self._whole(file.read(height * self.shape[1] * stored.itemsize), height * self.shape[1], stored)
                return np.ascontiguousarray(rows.reshape(height, -1)[:, left:left + width], self.dtype)
            out = np.empty((height, width), self.dtype)
            for y in range(height):
                file.seek(self._page.dataoffsets[0] + ((top + y) * self.shape[1] + left) * stored.itemsize)
                out[y] = self._whole(file.read(width * stored.itemsize), width, stored)
            return out

    def _whole(self, data, count, stored):
        if len(data) < count * stored.itemsize:
            raise InputError(f"{self._page.parent.filehandle.path}: the TIFF is damaged (its pixels end early): export it again")
        return np.frombuffer(data, stored)

    @staticmethod
    def _paste(piece, y, x, out):
        top, left = max(y, 0), max(x, 0)
        part = piece[top - y:out.shape[0] - y, left - x:out.shape[1] - x]
        out[top:top + part.shape[0], left:left + part.shape[1]] = part

    def _decoded(self, index):
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
            page, file = self._page, self._page.parent.filehandle
            file.seek(page.dataoffsets[index])
            data = file.read(page.databytecounts[index])
        try:
            if len(data) < page.databytecounts[index]:
                raise ValueError(f"piece {index} lies beyond the end of the file")
            segment, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
        except Exception as error:  # the codecs raise their own kinds, and all mean the same here
            raise InputError(f"{file.path}: the TIFF is damaged ({str(error).splitlines()[0] if str(error) else 'a piece'}): export it again") from None
        piece = np.zeros(self._piece, self.dtype) if segment is None else np.asarray(segment).reshape(shape[1:3])
        with self._lock:
            self._cache[index] = piece
            self._kept += piece.nbytes
            while self._kept > CACHE_BYTES and len(self._cache) > 1:
                self._kept -= self._cache.popitem(last=False)[1].nbytes
        return piece


class _Zarr:
    def __init__(self, array):
        self._array, self._lead = array, (0,) * (array.ndim - 2)
        self.shape, self.dtype = array.shape[-2:], array.dtype

    def read(self, top, left, height, width):
        return np.ascontiguousarray(self._array[(*self._lead, slice(top, top + height), slice(left, left + width))])


def _open_tiff(path):
    import tifffile

    try:
        tiff = tifffile.TiffFile(path)
        levels = _tiff_levels(path, tiff)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged directory makes tifffile raise
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: the TIFF is damaged ({what}): export it again") from None
    instrument = tags.from_tiff(tiff)
    size = instrument.get("pixel_size_m"), instrument.get("pixel_size_source")
    return Pyramid(path, levels, tiff.close, size, instrument)


def _tiff_levels(path, tiff):
    page = tiff.pages[0]
    if page.samplesperpixel != 1 or page.imagedepth != 1 or page.dtype is None or page.dtype.kind not in "uif":
        raise InputError(f"{path}: holds {page.samplesperpixel} values of {page.dtype} a pixel: save a single grey picture")
    alike = sum(other.shape == page.shape for other in tiff.pages)
    if alike > 1:
        raise InputError(f"{path}: holds {alike} pictures of one size: save the one you mean as a file of its own")
    lock, levels = threading.Lock(), {0: None}
    smaller_pages = [*(page.pages or []), *(p for p in list(tiff.pages)[1:] if p.is_reduced)]
    levels[0] = _Page(page, lock)
    for other in smaller_pages:
        n = round(math.log2(page.imagewidth / other.imagewidth))
        if n > 0 and n not in levels and _is_level(page.shape, other.shape, n) and other.dtype == page.dtype:
            levels[n] = _Page(other, lock)
    return levels


def _is_level(shape, other, n):
    return tuple(other) == tuple(-(-size // 2**n) for size in shape)


def _open_zarr(path):
    zarr = need_zarr(path)
    try:
        group = zarr.open_group(str(path), mode="r")
        facts = dict(group.attrs)
        scales = facts.get("ome", facts)["multiscales"][0]
        arrays = [group[item["path"]] for item in scales["datasets"]]
    except Exception as error:  # zarr raises its own kinds, and all mean the same here
        raise InputError(f"{path}: is no OME-Zarr picture ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})") from None
    first = arrays[0]
    if first.ndim < 2 or any(n != 1 for n in first.shape[:-2]) or first.dtype.kind not in "uif":
        raise InputError(f"{path}: has shape {first.shape} of {first.dtype}: one grey picture is needed, save the channel you mean")
    levels = {}
    for array in arrays:
        n = round(math.log2(first.shape[-1] / array.shape[-1]))
        if n not in levels and _is_level(first.shape[-2:], array.shape[-2:], n):
            levels[n] = _Zarr(array)
    return Pyramid(path, levels, lambda: None, _zarr_pixel_size(scales))


def _zarr_pixel_size(scales):
    try:
        scale = next(t["scale"] for t in scales["datasets"][0]["coordinateTransformations"] if t["type"] == "scale")[-2:]
        units = [axis["unit"] for axis in scales["axes"][-2:]]
        size = [tags.metres(s, _short(unit)) for s, unit in zip(scale, units)]
    except (KeyError, StopIteration, TypeError, ValueError, IndexError):
        return None, None
    return tuple(size), "OME-Zarr scale"


def _short(unit):
    return re.sub(r"(milli|micro|nano|pico|centi)?(meter|metre)", lambda m: {"milli": "mm", "micro": "um", "nano": "nm", "pico": "pm", "centi": "cm"}
                  .get(m[1], "m"), unit)


def need_zarr(path):
    try:
        import zarr
    except ImportError:
        raise InputError(f"{path}: OME-Zarr needs zarr: pip install zarr, or use a tiled TIFF") from None
    return zarr
