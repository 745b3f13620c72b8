"""napari: a run of chipmap as layers, and strokes drawn there back as a file for `chipmap train`.

napari finds this by the manifest napari.yaml; nothing here needs napari until it calls it.
"""

import json
import pathlib

import numpy as np

from chipmap import InputError
from chipmap.layout import look
from chipmap.page.fields import fields_of
from chipmap.page.runs import answers_of, read_run
from chipmap.scribbles import MAX_CLASSES

STROKES = "strokes"


def get_reader(path):
    """`read_layers` for the folder of a run (or its results.json), None for anything else: then napari asks other plugins."""
    if isinstance(path, list | tuple):
        return None
    folder = _folder(path)
    return read_layers if folder.is_dir() and (folder / "manifest.json").exists() and (folder / "results.json").exists() else None


def read_layers(path):
    """[(data, arguments, kind), ...] as napari takes them: picture, materials, objects, confidence, fields, and an empty layer
    `strokes` to draw on, whose features name the classes. Lengths are nm, rows first. Raises InputError for a damaged run."""
    import tifffile

    folder = _folder(path)
    manifest, results = read_run(folder)
    missing = [name for name in ("picture.ome.tif", "labels.ome.tif", "objects.ome.tif", "confidence.ome.tif") if not (folder / name).exists()]
    if missing:
        raise InputError(f"{folder}: has no {missing[0]}, it was made by an earlier version: run it again")
    size = results["pixel_size_m"]
    placed = {"scale": (1e9 * size["y"], 1e9 * size["x"]), "units": ("nm", "nm")}
    picture, labels, objects, confidence = (tifffile.imread(folder / f"{name}.ome.tif") for name in ("picture", "labels", "objects", "confidence"))
    names = [m["material"] for m in results["materials"]]
    # labels of napari begin at 1, 0 is nothing
    layers = [(picture, {"name": "picture", "colormap": "gray", "metadata": {"chipmap": results}, **placed}, "image"),
              (labels.astype(np.int32) + 1, {"name": "materials", "opacity": 0.5, "features": _features(material=names), **_colours(names), **placed}, "labels"),
              (objects.astype(np.int32) + 1, {"name": "objects", "opacity": 0.5, "visible": False, "features": _table(folder / "objects.csv"), **placed}, "labels"),
              (confidence, {"name": "confidence", "colormap": "cividis", "contrast_limits": (0.5, 1.0), "visible": False, **placed}, "image")]
    for field in fields_of(answers_of(folder, manifest, results)).values():
        factor, unit = field.scale()
        layers.append((np.asarray(field.values, np.float32) * np.float32(factor), {
            "name": f"{field.quantity} ({field.physics}), {unit}", "colormap": field.colours, "contrast_limits": (field.low * factor, field.high * factor),
            "visible": False, "blending": "translucent", **placed}, "image"))
    layers.append((np.zeros(labels.shape, np.int32), {"name": STROKES, "features": _features(**{"class": names}), **_colours(names), **placed}, "labels"))
    return layers


def write_scribbles(path, data, arguments):
    """Write a layer of labels (0 nothing, 1 .. K classes) for `chipmap train --scribbles`: a label PNG or TIFF, or, with the
    names of the classes from the layer's features, GeoJSON. Returns [path]. Raises InputError for what can't be strokes."""
    path, data = pathlib.Path(path), np.asarray(data)
    if data.ndim != 2 or data.dtype.kind not in "iub":
        raise InputError(f"{path}: a layer of shape {data.shape} is no strokes on one picture: save a 2-D layer of labels")
    if not data.any() or data.min() < 0 or data.max() > MAX_CLASSES:
        raise InputError(f"{path}: labels run from {data.min()} to {data.max()}: draw with 1 to {MAX_CLASSES}, 0 is nothing")
    if path.suffix.lower() in (".geojson", ".json"):
        path.write_text(json.dumps(_strokes(data, _classes(arguments, int(data.max())))))
    elif path.suffix.lower() == ".png":
        import imagecodecs
        path.write_bytes(imagecodecs.png_encode(data.astype(np.uint8)))
    else:
        import tifffile
        tifffile.imwrite(path, data.astype(np.uint8), compression="zlib")
    return [str(path)]


def _folder(path):
    path = pathlib.Path(path)
    return path.parent if path.name == "results.json" else path


def _features(**columns):
    """One row a label, the first for 0: nothing."""
    import pandas as pd
    (name, values), = columns.items()
    return pd.DataFrame({"index": np.arange(len(values) + 1), name: ["", *values]})


def _table(path):
    import pandas as pd
    table = pd.read_csv(path)
    return pd.concat([pd.DataFrame({"index": [0]}), table.assign(index=np.arange(1, len(table) + 1))], ignore_index=True)


def _colours(names):
    """The materials' own colours, where napari is there to make a colour map of them."""
    try:
        from napari.utils.colormaps import DirectLabelColormap
    except ImportError:
        return {}
    return {"colormap": DirectLabelColormap(color_dict={0: "transparent", None: "transparent", **{k + 1: look(name)["colour"] for k, name in enumerate(names)}})}


def _classes(arguments, count):
    """Names of the classes 1 .. count: of the layer's features where they say so, else the numbers."""
    features = arguments.get("features")
    names = {}
    if features is not None and "index" in features and "class" in features:
        names = {int(i): str(name) for i, name in zip(features["index"], features["class"]) if str(name)}
    return [names.get(k, str(k)) for k in range(1, count + 1)]


def _strokes(data, names):
    from rasterio.features import shapes
    features = [{"type": "Feature", "properties": {"class": names[int(value) - 1]}, "geometry": geometry}
                for geometry, value in shapes(data.astype(np.int32), mask=data > 0, connectivity=4)]
    return {"type": "FeatureCollection", "features": features}
