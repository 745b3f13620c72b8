"""Fields on the pixel grid as a VTK image file (.vti), for ParaView; and back."""

import hashlib
from xml.etree import ElementTree

import numpy as np

ROWS = 64       # written at once: what is turned over stays in the processor's own memory
TYPES = {"f8": "Float64", "f4": "Float32", "i4": "Int32", "u1": "UInt8", "i8": "Int64"}


def write_vti(path, spacing, cells, points=None, facts=None):
    """Write fields on a grid of H x W pixels as ImageData XML, arrays appended as raw little-endian bytes; returns the SHA-256.

    spacing: (dy, dx) of a pixel, in the unit the caller names in `facts`. cells: {name: (H, W) or (H, W, 2) array},
    a vector's components along x (right) and y (down). points: the same on the (H+1, W+1) pixel corners.
    facts: {name: number or sequence of numbers}, written as field data.

    VTK's y points up: rows are turned over and the y components change sign, so that ParaView shows the picture upright.
    Raises ValueError where shapes differ or a type has no VTK name. Format: VTK XML, version 1.0, UInt64 headers.
    """
    points, facts = points or {}, facts or {}
    height, width = next(iter(cells.values())).shape[:2]
    groups = {
        "FieldData": {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in facts.items()},
        "PointData": {name: _checked(name, a, (height + 1, width + 1)) for name, a in points.items()},
        "CellData": {name: _checked(name, a, (height, width)) for name, a in cells.items()},
    }
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for part in _parts(groups, (height, width), spacing):
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def _parts(groups, shape, spacing):
    """The file, piece by piece."""
    yield _header(groups, shape, spacing).encode()
    for array in groups["FieldData"].values():
        yield np.uint64(array.nbytes).astype("<u8").tobytes() + array.astype("<f8").tobytes()
    for array in (*groups["PointData"].values(), *groups["CellData"].values()):
        yield np.uint64(_bytes(array)).astype("<u8").tobytes()
        for end in range(len(array), 0, -ROWS):
            yield memoryview(_upright(array[max(end - ROWS, 0):end])).cast("B")
    yield b"\n</AppendedData>\n</VTKFile>\n"


def read_vti(path):
    """(cells, points) that `write_vti` wrote: {name: (H, W) or (H, W, 2)} with y down again, maps of the disk.

    Raises ValueError for a file that is not one of these.
    """
    with open(path, "rb") as file:
        head = b""
        while b"<AppendedData" not in head and (more := file.read(1 << 16)):
            head += more
    xml, mark, _ = head.partition(b"<AppendedData")
    start = head.find(b"_", len(xml)) + 1
    if not (mark and start):
        raise ValueError(f"{path}: is no .vti with appended data")
    image = ElementTree.fromstring(xml + b"</VTKFile>").find("ImageData")
    _, width, _, height = (int(n) for n in image.get("WholeExtent").split()[:4])
    found = []
    for group, shape in (("CellData", (height, width)), ("PointData", (height + 1, width + 1))):
        arrays = {}
        for node in image.iterfind(f"Piece/{group}/DataArray"):
            count = int(node.get("NumberOfComponents"))
            kind = next(key for key, name in TYPES.items() if name == node.get("type"))
            stored = np.memmap(path, f"<{kind}", "r", start + int(node.get("offset")) + 8, (*shape, count))[::-1]
            arrays[node.get("Name")] = stored[..., 0] if count == 1 else stored[..., :2] * np.array([1, -1], stored.dtype)
        found.append(arrays)
    return tuple(found)


def _header(groups, shape, spacing):
    height, width = shape
    extent = f"0 {width} 0 {height} 0 0"
    offset = 0
    text = {}
    for group, arrays in groups.items():
        lines = []
        for name, array in arrays.items():
            count = f'NumberOfTuples="{len(array)}"' if group == "FieldData" else f'NumberOfComponents="{_components(array)}"'
            lines.append(f'<DataArray type="{TYPES[array.dtype.str[1:]]}" Name="{name}" {count} format="appended" offset="{offset}"/>')
            offset += 8 + _bytes(array)
        text[group] = "\n".join([f"<{group}>", *lines, f"</{group}>"])
    return f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing[1]!r} {spacing[0]!r} 1">
{text["FieldData"]}
<Piece Extent="{extent}">
{text["PointData"]}
{text["CellData"]}
</Piece>
</ImageData>
<AppendedData encoding="raw">
_"""


def _components(array):
    return 3 if array.ndim == 3 else 1      # VTK's vectors have three components


def _bytes(array):
    return array[..., :1].nbytes * 3 if array.ndim == 3 else array.nbytes


def _checked(name, array, shape):
    array = np.asarray(array)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.shape[:2] != shape or array.shape[2:] not in ((), (2,)):
        raise ValueError(f"{name} has shape {array.shape}: expected {shape} or {(*shape, 2)}")
    if array.dtype.str[1:] not in TYPES:
        raise ValueError(f"{name} is {array.dtype}: .vti takes {', '.join(TYPES)}")
    return array


def _upright(rows):
    """Rows from the last to the first, little-endian; vectors with y up and a third component."""
    out = np.zeros((*rows.shape[:2], *((3,) if rows.ndim == 3 else ())), rows.dtype.newbyteorder("<"))
    if rows.ndim == 3:
        out[..., 0], out[..., 1] = rows[::-1, :, 0], -rows[::-1, :, 1]
    else:
        out[...] = rows[::-1]
    return out
