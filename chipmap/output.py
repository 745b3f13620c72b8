"""Label and confidence images, tables and results.json: what a run leaves for other programs."""

import csv

import numpy as np
from cukernels.run import write_json

from chipmap import InputError, chip
from chipmap.deck import write_deck
from chipmap.layout import look
from chipmap.measure.kinds import KINDS
from chipmap.nets import net_table
from chipmap.vti import write_vti

EFFECTIVE = {"heat": "thermal_conductivity", "current": "electrical_conductivity"}


def write_labels(path, phases, names, pixel_size_m):
    """Material of each pixel as OME-TIFF: uint8 0..M-1 with a colour table, pixel size, and the names as a map annotation."""
    _write_ome(path, phases.astype(np.uint8), pixel_size_m, "material", {str(m): name for m, name in enumerate(names)},
               photometric="palette", colormap=palette(names))


def palette(names):
    """(3, 256) uint16: red, green and blue of the materials, as a TIFF wants them."""
    table = np.zeros((3, 256), np.uint16)
    for m, name in enumerate(names):
        table[:, m] = [257 * int(look(name)["colour"][i:i + 2], 16) for i in (1, 3, 5)]
    return table


def write_object_image(path, labels, pixel_size_m):
    """Object number of each pixel (the column `object` of objects.csv) as OME-TIFF, int32."""
    _write_ome(path, labels.astype(np.int32), pixel_size_m, "object", {"table": "objects.csv"}, photometric="minisblack")


def write_confidence(path, confidence, pixel_size_m):
    """Probability that the pixel's phase is right as OME-TIFF, float32."""
    _write_ome(path, confidence.astype(np.float32), pixel_size_m, "confidence", {"unit": "1"}, photometric="minisblack")


def write_picture(path, grey, pixel_size_m):
    """Grey values (H, W), in their own type, as OME-TIFF."""
    _write_ome(path, grey, pixel_size_m, "grey", {}, photometric="minisblack")


def write_table(path, columns):
    """A table of columns (dict name -> sequence of K) as CSV; NaN is left empty."""
    cells = [[_text(value) for value in column] for column in columns.values()]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*cells))


def write_files(folder, seen, lines, also=(), plane="strain"):
    """Everything but results.json, the fields and the pictures. seen: `chip.Chip`. lines: the columns of `lines.measure_lines`.
    also: "abaqus" for chip.inp, in `plane`; InputError where a phase has no material."""
    write_picture(folder / "picture.ome.tif", _as_stored(seen), seen.pixel_size_m)
    write_labels(folder / "labels.ome.tif", seen.labels, seen.names, seen.pixel_size_m)
    write_object_image(folder / "objects.ome.tif", seen.objects.labels, seen.pixel_size_m)
    write_confidence(folder / "confidence.ome.tif", seen.confidence, seen.pixel_size_m)
    write_table(folder / "objects.csv", seen.objects.table)
    write_table(folder / "lines.csv", lines)
    if seen.liners:
        write_table(folder / "liners.csv", seen.liners.sides)
    write_table(folder / "nets.csv", net_table(seen.objects.table))
    if seen.naming:
        write_json(folder / "naming.json", seen.naming.table(seen.picture.instrument.get("beam_kv")))
    for answer in seen.answers.values():
        for name, columns in answer.tables.items():
            write_table(folder / name, columns)
    if "abaqus" in also:
        if not seen.sample.named:
            raise InputError("an Abaqus deck needs every phase named: use --legend, --materials or --process")
        write_deck(folder / "chip.inp", seen.sample, seen.names, plane)


def write_fields(path, seen):
    """Every field of every physics for ParaView, units in the names; lengths in nm. Returns the file's SHA-256."""
    cells = {"material": seen.labels.astype(np.uint8), "object": seen.objects.labels.astype(np.int32),
             "confidence": seen.confidence.astype(np.float32)}
    points = {}
    for answer in seen.answers.values():
        cells |= answer.cells
        points |= answer.points
    dy, dx = (1e9 * size for size in seen.pixel_size_m)
    return write_vti(path, (dy, dx), cells, points, {"pixel_size_nm_x_y": (dx, dy)})


def write_results(path, seen, lines, layers):
    """results.json, returned as written: numbers with their units in the name or beside them; NaN is an error."""
    results = {
        "picture": {"file": seen.picture.path.name, "rows": seen.image.shape[0], "columns": seen.image.shape[1], "crop": seen.prepared.crop,
                    "bits": seen.picture.bits, "instrument": seen.picture.instrument, "preparation": seen.prepared.report},
        "pixel_size_m": {"y": seen.pixel_size_m[0], "x": seen.pixel_size_m[1], "source": seen.picture.pixel_size_source},
        "materials": [_material(seen, m, layers) for m in range(len(seen.names))],
        "naming": {"basis": seen.named.basis, "calibrated": seen.named.calibrated, "objects": "naming.json" if seen.naming else None, **_xray(seen)},
        "phases": {"count": len(seen.phases.level), "chosen_by_evidence": seen.phases.chosen,
                   "evidence_nats": {str(n): float(e) for n, e in seen.phases.evidence.items()}},
        "objects": _objects(seen, lines),
        "effective": {EFFECTIVE[name]: answer.facts for name, answer in seen.answers.items() if name in EFFECTIVE},
        **{name: answer.facts for name, answer in seen.answers.items() if name not in EFFECTIVE},
        "properties": seen.sample.properties.report(),
        "layout": {"gds_database_unit_m": layers["database_unit_m"], "layers": layers["layers"], "coordinates": "x right, y up, lower left corner"},
        "notes": [*seen.picture.notes, *seen.prepared.notes, *seen.phases.notes, *seen.named.notes, *(seen.liners.notes if seen.liners else ()), *(a.note for a in seen.answers.values() if a.note)],
    }
    write_json(path, results)
    return results


def headline(results, out):
    """Lines for the user: what was found and where it is."""
    for material in results["materials"]:
        area = material["area_fraction"]
        yield f"{material['material']}: {area['value']:.1%} ± {area['standard_uncertainty']:.1%} of the area, {material['objects']} objects"
    for name, facts in results["effective"].items():
        if "side_to_side" in facts:
            side = facts["side_to_side"]
            what, unit = f"effective {name.replace('_', ' ')}", f"{side['unit']} {side['direction']}"
            pixels = f"{side['value']:.4g}, certified {side['lower']:.5g} to {side['upper']:.5g}"
            if side["sigma"] is None:
                yield f"{what}: {pixels} {unit}"
            else:
                yield (f"{what}: {side['centre']:.4g} {unit}, 95 % {side['interval_95'][0]:.4g} to {side['interval_95'][1]:.4g} for edges and materials "
                       f"(whole pixels: {pixels})")
    yield from results["notes"]
    yield f"results: {out}"


def _material(seen, m, layers):
    table, phases = seen.objects.table, chip.members(seen.named, m)
    own = table["phase"] == m
    whole = seen.labels.size * seen.pixel_size_m[0] * seen.pixel_size_m[1] * 1e18
    return {
        "material": seen.names[m],
        "candidates": [{"material": name, "probability": p} for name, p in seen.named.candidates[phases[0]]],
        # as if the edges of all objects were off to the same side: the safe side, and what a wrong grey threshold does
        "area_fraction": {"value": float(own @ table["area_nm2"] / whole), "standard_uncertainty": float(own @ table["area_sd_nm2"] / whole), "unit": "1"},
        "objects": int(own.sum()),
        "grey_levels": [float(seen.phases.level[k]) for k in phases],
        "mean_confidence": float(seen.confidence[seen.labels == m].mean()),
        "layer": layers["layers"][seen.names[m]],
        "colour": look(seen.names[m])["colour"],
    }


def _as_stored(seen):
    """Grey values of the part that was analysed, in the picture's own type."""
    top, bottom, left, right = seen.prepared.crop
    grey = seen.picture.image[top:bottom, left:right]
    whole = seen.picture.bits <= 16 and (grey == np.floor(grey)).all()
    return np.ascontiguousarray(grey.astype(f"uint{seen.picture.bits}") if whole else grey)


def _xray(seen):
    return {"xray": {"source": seen.maps.source, "beam_kv": seen.maps.kv, "placement_px": seen.placed.as_dict()}} if seen.maps else {}


def _objects(seen, lines):
    return {"count": len(seen.objects), "table": "objects.csv", "lines": len(lines["object"]), "lines_table": "lines.csv",
            "kinds": {kind: int((seen.objects.table["kind"] == kind).sum()) for kind in KINDS},
            "cut_by_the_frame": int(seen.objects.table["touches_border"].sum())}


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
