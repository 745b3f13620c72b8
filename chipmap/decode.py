"""Pixels of a TIFF, a PNG, a JPEG, a Velox EMD or a maker's own format as stored, and that they are one grey picture."""

import numpy as np

from chipmap import InputError, tags
from chipmap.emd import read_emd_picture
from chipmap.vendor import READERS, read_vendor_picture


def stored(path):
    """(pixels as stored, facts of the instrument as `tags.from_text` gives them, {} without) of one file.

    Raises InputError for a file that is missing, empty, damaged (with the metadata that survives) or none of these kinds.
    """
    if path.suffix.lower() in READERS and path.is_file():
        return read_vendor_picture(path)
    data = _bytes(path)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_emd_picture(path)
    return _tiff(path, data) if _is_tiff(data) else (_png_or_jpeg(path, data), {})


def png_or_tiff(path, what=""):
    """The pixels of a PNG or a TIFF as stored, whatever they mean. what: of what, for the message, as " of labels".

    Raises InputError for a file that can't be read, and for one that is neither.
    """
    import imagecodecs
    import tifffile
    try:
        data = path.read_bytes()
        return imagecodecs.png_decode(data) if data.startswith(b"\x89PNG") else tifffile.imread(path)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    except Exception as error:  # the codecs raise their own kinds, and all mean the same here
        raise InputError(f"{path}: is no PNG or TIFF{what} ({str(error).splitlines()[0]}): export it again") from None


def grey(path, pixels):
    """The grey values (H, W) among `pixels` (H, W) or (H, W, channels) of the file `path`; raises InputError where they are no
    single finite grey picture that shows something."""
    if pixels.ndim == 3:
        pixels = _one_channel(path, pixels)
    if pixels.ndim != 2 or pixels.size == 0:
        raise InputError(f"{path}: has shape {pixels.shape}, not rows x columns: save a single grey picture")
    if pixels.dtype.kind not in "uif":
        raise InputError(f"{path}: holds {pixels.dtype} values: save grey values of 8, 16 or 32 bits")
    if not np.isfinite(pixels).all():
        row, column = np.argwhere(~np.isfinite(pixels))[0]
        raise InputError(f"{path}: the value at row {row}, column {column} is not a number: replace such pixels or crop them")
    if pixels.min() == pixels.max():
        raise InputError(f"{path}: every pixel has the value {pixels.flat[0]}: there is nothing to see, export it again")
    return pixels


def _one_channel(path, pixels):
    channels = pixels.shape[-1]
    if channels in (2, 4):
        if (pixels[..., -1] != pixels[..., -1].flat[0]).any():
            raise InputError(f"{path}: is partly transparent: save it without an alpha channel")
        pixels = pixels[..., :-1]
    if channels > 4 or (pixels != pixels[..., :1]).any():
        raise InputError(f"{path}: its colour channels differ, so it is no plain grey picture: export the detector's grey "
                         "values, without false colours and annotations")
    return pixels[..., 0]


def _bytes(path):
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path and its permissions") from None
    if not data:
        raise InputError(f"{path}: the file is empty: export the picture again")
    return data


def _is_tiff(data):
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _png_or_jpeg(path, data):
    import imagecodecs
    decode = {b"\x89PNG": imagecodecs.png_decode, b"\xff\xd8\xff": imagecodecs.jpeg8_decode}
    decoder = next((d for magic, d in decode.items() if data.startswith(magic)), None)
    if decoder is None:
        raise InputError(f"{path}: is no PNG, TIFF or JPEG picture: convert it to one of these")
    try:
        return decoder(data)
    except Exception as error:  # the codecs raise their own kinds, and all mean the same here
        raise InputError(f"{path}: the picture is damaged ({str(error).splitlines()[0]}): export it again") from None


def _tiff(path, data):
    import tifffile
    instrument = {}
    try:
        with tifffile.TiffFile(path) as tiff:
            instrument = tags.from_tiff(tiff) or tags.from_text(tags.fei_block(data))
            _one_picture(path, tiff)
            _strips_hold_the_picture(tiff.pages[0])
            return tiff.pages[0].asarray(), instrument
    except InputError:
        raise
    except Exception as error:  # whatever a damaged directory makes tifffile raise
        instrument = instrument or tags.from_text(tags.fei_block(data))
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: the TIFF is damaged ({what}), its pixels are refused{_survives(instrument)}: "
                         "export it again from the microscope") from None


def _one_picture(path, tiff):
    first = tiff.pages[0].shape
    same = sum(1 for page in tiff.pages if page.shape == first)
    if same > 1:
        raise InputError(f"{path}: holds {same} pictures of one size: save the one you mean as a file of its own")


def _strips_hold_the_picture(page):
    """tifffile fills a strip that lies beyond the end of the file with zeros; here that is damage."""
    end = page.parent.filehandle.size
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        if offset + count > end:
            raise ValueError(f"strip at byte {offset} lies beyond the end of the file")


def _survives(instrument):
    if not instrument:
        return ""
    parts = [f"{key} {instrument[key]}" for key in ("vendor", "beam_kv", "detector", "databar_height") if key in instrument]
    if "pixel_size_m" in instrument:
        parts.append(f"pixel size {instrument['pixel_size_m'][1] * 1e9:.6g} nm")
    if "field_width_m" in instrument:
        parts.append(f"field width {instrument['field_width_m'] * 1e6:.6g} um")
    return f"; its tags say {', '.join(parts)}"
