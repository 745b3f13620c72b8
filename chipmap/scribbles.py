"""A few strokes of the user's pen -> class of the pixels under them. From a label picture or from GeoJSON."""

import json
import pathlib
from dataclasses import dataclass

import numpy as np

from chipmap import InputError, decode

MAX_CLASSES = 16
WIDTH_PX = 3.0  # of a stroke that says nothing of its width


@dataclass
class Scribbles:
    """labels: (H, W) int32, 0 where nothing is drawn, 1 .. K for the classes. names: K names."""

    labels: np.ndarray
    names: list


def read_scribbles(path, shape, names=None):
    """Scribbles over a picture of shape (H, W).

    path: a PNG or TIFF of the picture's size whose values are 0 (nothing drawn) and 1 .. K, or GeoJSON whose features
    have a property "class" (a name), and lines and points a "width_px"; coordinates are x to the right and y down in
    pixels from the upper left corner of the picture. names: of the classes, in order; by default those of the GeoJSON in
    the order of their first stroke, or "1", "2" ... for a label picture.

    Returns `Scribbles`. Raises InputError for files that can't be read or don't fit the picture.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() in (".json", ".geojson"):
        return _from_geojson(path, shape, names)
    labels = _label_picture(path, shape)
    count = int(labels.max())
    names = [str(k + 1) for k in range(count)] if names is None else list(names)
    if len(names) < count:
        raise InputError(f"{path}: has classes up to {count} and {len(names)} names are given: name them all")
    return _checked(path, labels, names)


def draw(strokes, shape, names=None):
    """Scribbles from [(class name, shapely geometry), ...]: a pixel belongs to the last stroke over its centre."""
    from rasterio.features import rasterize

    names = list(dict.fromkeys(name for name, _ in strokes)) if names is None else list(names)
    unknown = [name for name, _ in strokes if name not in names]
    if unknown:
        raise InputError(f"a stroke is of class {unknown[0]!r}, which is none of {', '.join(names)}: add it or mend its name")
    shapes = [(geometry, names.index(name) + 1) for name, geometry in strokes if not geometry.is_empty]
    labels = rasterize(shapes, out_shape=shape, fill=0, dtype="int32") if shapes else np.zeros(shape, np.int32)
    return Scribbles(labels, names)


def _from_geojson(path, shape, names):
    from shapely.errors import ShapelyError
    from shapely.geometry import shape as geometry_of

    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        strokes = []
        for i, feature in enumerate(table["features"]):
            properties = feature.get("properties") or {}
            if not str(properties.get("class", "")):
                raise InputError(f"{path}: feature {i} has no property \"class\": give it the name of its material or phase")
            geometry = geometry_of(feature["geometry"])
            if geometry.geom_type not in ("Polygon", "MultiPolygon"):
                geometry = geometry.buffer(float(properties.get("width_px", WIDTH_PX)) / 2)
            strokes.append((str(properties["class"]), geometry))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}): check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise InputError(f"{path}: is no GeoJSON of strokes ({type(error).__name__}: {str(error).splitlines()[0]}): export it again") from None
    drawn = draw(strokes, shape, names)
    return _checked(path, drawn.labels, drawn.names)


def _label_picture(path, shape):
    labels = decode.png_or_tiff(path, " of labels")
    if labels.ndim == 3 and (labels[..., :1] == labels[..., :3]).all():
        labels = labels[..., 0]
    if labels.shape != tuple(shape) or labels.dtype.kind not in "iub":
        raise InputError(f"{path}: {labels.dtype} of shape {labels.shape} does not fit a picture of {shape[0]} x {shape[1]} pixels: "
                         "draw over the picture itself and save whole numbers")
    return labels.astype(np.int32)


def _checked(path, labels, names):
    if labels.min() < 0 or len(names) > MAX_CLASSES:
        raise InputError(f"{path}: class numbers run from {labels.min()} to {labels.max()}: use 0 for nothing and 1 to {MAX_CLASSES}")
    if not labels.any():
        raise InputError(f"{path}: no pixel of the picture is drawn over: draw a stroke for each class")
    return Scribbles(labels, names)
