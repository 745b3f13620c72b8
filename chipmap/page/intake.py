"""A file from anywhere -> grey values on disk, ready for tiles; decoded in a process of its own whose memory is bounded.

A damaged or hostile file can at worst end that process: the server never decodes what it was sent.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from chipmap import InputError

LONGEST = 32_768            # pixels of a side: the page's world
MOST_RATIO = 500            # grey values a byte of the file: a deflated picture of one colour has about a thousand
SMALL = 64 << 20            # bytes of grey values that no check for bombs is needed for
ROOM = 1 << 30              # bytes for the program itself, beside the picture
SECONDS = 300
WHOLE = 8192 * 8192         # pixels up to which a picture is decoded in one piece and checked all over
BAND = 1024                 # rows that are copied at a time
UNKNOWN_SIZE_M = 1e-9       # stands in for a pixel size that no tag gives; `Opened.sized` says so
# every thread of a library counts towards the limit of a process, with its stack and its heap, used or not
FEW = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "TIFFFILE_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "2"}
MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF"}


def kind_of(head):
    """"PNG", "JPEG" or "TIFF" by a file's first bytes; InputError for anything else, archives by name."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:2] in (b"PK", b"\x1f\x8b", b"7z") or head.startswith(b"\xfd7zXZ"):
        raise InputError("that is an archive: unpack it and drop the pictures, or the folder they are in")
    raise InputError("that is no PNG, TIFF or JPEG picture: export the microscope's picture in one of these formats")


def open_file(path, folder, pixel_size=None, name=None):
    """Decode `path` into `folder` (grey.npy and picture.json) by a process of its own.

    pixel_size: text with a unit, or None. name: to call the file by in sentences.
    Raises InputError with the process's sentence, or one on what it ran into.
    """
    path, folder = pathlib.Path(path), pathlib.Path(folder)
    name = name or path.name
    height, width, itemsize = declared(path, name)
    check_declared(name, height, width, itemsize, size_of(path))
    limit = ROOM + 14 * height * width * max(itemsize, 1)
    command = [sys.executable, "-m", "chipmap.page.intake", str(path), str(folder), str(limit), pixel_size or ""]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=os.environ | FEW | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    except subprocess.TimeoutExpired:
        raise InputError(f"{name}: was not decoded within {SECONDS} seconds and is refused: export it again, uncompressed or tiled") from None
    if done.returncode == 2:
        raise InputError(done.stdout.strip().replace(str(path), name))
    if done.returncode:
        raise InputError(f"{name}: can't be decoded in the memory that a picture of {height} x {width} pixels needs: it is damaged, or no honest picture")


def size_of(path):
    """Bytes of a file, or of all files of a folder (OME-Zarr)."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size


def check_declared(name, height, width, itemsize, size):
    """Raise InputError for a picture beyond what the page shows, or one that claims far more pixels than its bytes can hold."""
    if not (0 < height <= LONGEST and 0 < width <= LONGEST):
        raise InputError(f"{name}: is {height} x {width} pixels; the page shows up to {LONGEST} a side: cut it into parts")
    bytes_ = height * width * itemsize
    if bytes_ > SMALL and bytes_ > MOST_RATIO * size:
        raise InputError(f"{name}: claims {height} x {width} pixels in {size} bytes, which no microscope's picture holds: it is refused as a decompression bomb")


def declared(path, name=None):
    """(height, width, bytes of a grey value) that the file's header declares; decodes no pixel."""
    name = name or pathlib.Path(path).name
    if pathlib.Path(path).is_dir():
        from chipmap.big.pyramid import open_pyramid
        with open_pyramid(path) as stored:
            return *stored.shape, stored.dtype.itemsize
    with open(path, "rb") as file:
        head = file.read(32)
        kind = kind_of(head)
        if kind == "PNG":
            if len(head) < 26 or head[12:16] != b"IHDR":
                raise InputError(f"{name}: the PNG has no header: export it again")
            return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big"), 2 if head[24] == 16 else 1
        if kind == "JPEG":
            return _jpeg_frame(file, name)
    import tifffile
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            return page.imagelength, page.imagewidth, page.dtype.itemsize if page.dtype else 1
    except Exception as error:  # whatever a damaged directory makes tifffile raise
        raise InputError(f"{name}: the TIFF is damaged ({type(error).__name__}): export it again from the microscope") from None


def _jpeg_frame(file, name):
    file.seek(2)
    while True:
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF:
            raise InputError(f"{name}: the JPEG has no frame: export it again")
        length = int.from_bytes(marker[2:], "big")
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            frame = file.read(5)
            return int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), 1
        file.seek(max(length - 2, 0), 1)


def _decode(path, folder, pixel_size):
    """grey.npy (H, W), in the stored type where that is whole numbers, and picture.json with what the tags say."""
    from chipmap.read import parse_pixel_size
    height, width, itemsize = declared(path)
    size = parse_pixel_size(pixel_size) if pixel_size else None
    facts = (_in_bands if height * width > WHOLE or path.is_dir() else _whole)(path, folder, size)
    (folder / "picture.json").write_text(json.dumps(facts, default=lambda x: x.item() if hasattr(x, "item") else str(x)))


def _whole(path, folder, size):
    from chipmap.read import read_picture
    sized = True
    try:
        picture = read_picture(path, size)
    except InputError as error:
        if size or "no tag of the file gives a pixel size" not in str(error):
            raise
        picture, sized = read_picture(path, UNKNOWN_SIZE_M), False
    grey = picture.image
    if picture.bits <= 16 and (grey == np.floor(grey)).all():
        grey = grey.astype(np.uint8 if picture.bits == 8 else np.uint16)
    np.save(folder / "grey.npy", grey)
    return {"bits": picture.bits, "pixel_size_m": list(picture.pixel_size_m), "sized": sized, "instrument": picture.instrument,
            "pixel_size_source": picture.pixel_size_source if sized else "", "databar_rows": picture.databar_rows, "notes": picture.notes}


def _in_bands(path, folder, size):
    """The same for a big picture: copied band by band, never whole in memory (a PNG or JPEG is: these have no parts)."""
    from chipmap.big.pyramid import open_pyramid
    with open_pyramid(path) as stored:
        low, high = np.inf, -np.inf
        grey = np.lib.format.open_memmap(folder / "grey.npy", mode="w+", dtype=stored.dtype, shape=stored.shape)
        for top in range(0, stored.shape[0], BAND):
            band = stored.read(top, 0, min(BAND, stored.shape[0] - top), stored.shape[1])
            low, high = min(low, float(band.min())), max(high, float(band.max()))
            grey[top:top + BAND] = band
        if not low < high < np.inf:
            raise InputError(f"{path}: every pixel has one value, or some are not numbers: export it again")
        size_m = size or stored.pixel_size_m
        return {"bits": stored.dtype.itemsize * 8, "pixel_size_m": list(size_m or (UNKNOWN_SIZE_M, UNKNOWN_SIZE_M)), "sized": bool(size_m),
                "instrument": stored.instrument, "pixel_size_source": "given on the page" if size else stored.pixel_size_source or "",
                "databar_rows": None, "notes": list(stored.instrument.get("notes", []))}


def main(arguments):
    """The process: SOURCE FOLDER BYTES PIXEL_SIZE. Exit code 2 with a sentence on stdout where the file can't be used."""
    source, folder, limit, pixel_size = arguments
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    except (ImportError, ValueError, OSError):
        pass    # no such limit on this system: the checks of the header stand
    try:
        _decode(pathlib.Path(source), pathlib.Path(folder), pixel_size or None)
    except InputError as error:
        print(" ".join(str(error).split()))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
