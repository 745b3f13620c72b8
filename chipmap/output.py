"""Label and confidence images, tables and results.json: what a run leaves for other programs."""

import csv

import numpy as np
from cukernels.run import write_json

from chipmap.layout import look


def write_labels(path, phases, names, pixel_size_m):
    """Material of each pixel as OME-TIFF: uint8 0..M-1 with a colour table, pixel size, and the names as a map annotation."""
    table = np.zeros((3, 256), np.uint16)
    for m, name in enumerate(names):
        table[:, m] = [257 * int(look(name)["colour"][i:i + 2], 16) for i in (1, 3, 5)]
    _write_ome(path, phases.astype(np.uint8), pixel_size_m, "material", {str(m): name for m, name in enumerate(names)},
               photometric="palette", colormap=table)


def write_object_image(path, labels, pixel_size_m):
    """Object number of each pixel (the column `object` of objects.csv) as OME-TIFF, int32."""
    _write_ome(path, labels.astype(np.int32), pixel_size_m, "object", {"table": "objects.csv"}, photometric="minisblack")


def write_confidence(path, confidence, pixel_size_m):
    """Probability that the pixel's phase is right as OME-TIFF, float32."""
    _write_ome(path, confidence.astype(np.float32), pixel_size_m, "confidence", {"unit": "1"}, photometric="minisblack")


def write_table(path, columns):
    """A table of columns (dict name -> sequence of K) as CSV; NaN is left empty."""
    cells = [[_text(value) for value in column] for column in columns.values()]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*cells))


def write_results(path, results):
    """results.json: numbers with their units; NaN or infinity is an error."""
    write_json(path, results)


def _write_ome(path, array, pixel_size_m, name, notes, **how):
    import tifffile
    dy, dx = (1e9 * size for size in pixel_size_m)
    metadata = {"axes": "YX", "Name": name, "PhysicalSizeX": dx, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": dy,
                "PhysicalSizeYUnit": "nm", "Channel": {"Name": [name]}, "MapAnnotation": notes}
    tile = (512, 512) if min(array.shape) > 512 else None
    tifffile.imwrite(path, array, ome=True, metadata=metadata, tile=tile, compression="zlib",
                     compressionargs={"level": 1}, **how)


def _text(value):
    if isinstance(value, float | np.floating):
        return f"{value:.7g}" if np.isfinite(value) else ""
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)
