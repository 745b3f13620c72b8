"""Columns of numbers as bytes that a browser reads in place: a JSON head, then each column on a border of eight bytes.

`unpackTable` of static/common.mjs reads it: uint32 size of the head, the head (padded with spaces), the columns.
"""

import json

import numpy as np

KINDS = {"f4": np.float32, "f8": np.float64, "i4": np.int32, "i2": np.int16, "u1": np.uint8}


def pack_table(columns, **head):
    """bytes. columns: {name: array whose dtype is one of KINDS}; head: JSON-able, told beside the columns."""
    arrays = {name: np.ascontiguousarray(values) for name, values in columns.items()}
    kinds = {np.dtype(kind): name for name, kind in KINDS.items()}
    for name, values in arrays.items():
        if values.dtype not in kinds:
            raise TypeError(f"column {name} has dtype {values.dtype}: pass one of {', '.join(KINDS)}")
    said = [{"name": name, "kind": kinds[a.dtype], "count": a.size, "offset": 0} for name, a in arrays.items()]
    size = 0
    for _ in range(3):      # the offsets stand in the head, whose length they change: it settles at once
        text = json.dumps({**head, "columns": said}, separators=(",", ":"), allow_nan=False).encode()
        size = -(-(4 + len(text) + 64) // 64) * 64 if size < 4 + len(text) else size
        at = size
        for column, a in zip(said, arrays.values()):
            column["offset"] = at
            at += -(-a.nbytes // 8) * 8
    text = json.dumps({**head, "columns": said}, separators=(",", ":"), allow_nan=False).encode()
    parts = [np.uint32(size - 4).tobytes(), text.ljust(size - 4)]
    parts += [a.tobytes().ljust(-(-a.nbytes // 8) * 8, b"\0") for a in arrays.values()]
    return b"".join(parts)
