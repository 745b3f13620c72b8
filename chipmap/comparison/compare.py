"""`chipmap compare`: a picture against its reference layout: shorts, opens, extra and missing pieces, and where they are."""

import json
import pathlib
import re
from dataclasses import asdict, dataclass

import numpy as np
from cukernels.backend import choose_device
from cukernels.run import Run, write_json

from chipmap import InputError, materials, output, report
from chipmap.comparison.differences import KINDS, find_differences
from chipmap.comparison.markers import write_markers
from chipmap.comparison.reference import read_layout
from chipmap.comparison.register import coverage_of, register
from chipmap.layers import read_layers
from chipmap.prepare import prepare
from chipmap.problems import parse_length
from chipmap.read import parse_pixel_size, read_picture
from chipmap.segment import segment

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "shapely", "gdstk", "scikit-image", "matplotlib")
TOLERANCE_PX = 3.0      # pixels that an edge may be off, where nothing else is said


@dataclass(frozen=True)
class Seen:
    """grey: (H, W) to show. mask: (H, W) bool, what the layout draws. sure: (H, W) float32, how surely it is there."""

    name: str
    grey: np.ndarray
    mask: np.ndarray
    sure: np.ndarray
    pixel_size_m: tuple
    drawn: list


def run(source, layout, out, drawn=None, layer=None, pixel_size=None, phases=None, crop=None, unit=None, cell=None, layers=None,
        near=None, turn=0, mirror=False, fit="similarity", tolerance=None, say=print):
    """Compare `source` (the folder of a `chipmap run`, or a picture) with the file `layout`, into the folder `out`.

    drawn: names with commas of the run's materials, or bright, dark or numbers of a picture's phases, that the layout
    draws; default: the run's metals, the bright phase. layer: names with commas of the layout's layers; default: those
    named like the run's materials, or the only one. pixel_size, phases (2), crop: of a picture, as of `chipmap run`.
    unit, cell, layers: as of `reference.read_layout`. near: text "x,y" in um. turn (0, 90, 180, 270 degrees
    counter-clockwise), mirror (left and right exchanged, before the turn): what is done to the layout first. fit: of
    `register.register`. tolerance: text with a unit, 3 pixels by default.
    Returns what results.json holds. Raises InputError before anything stands in `out`.
    """
    options = {"source": str(source), "layout": str(layout), "drawn": drawn, "layer": layer, "pixel_size": pixel_size, "phases": phases,
               "crop": crop, "unit": unit, "cell": cell, "layers": layers and str(layers), "near": near, "turn": turn, "mirror": mirror,
               "fit": fit, "tolerance": tolerance}
    near = near and _place(near)
    with Run(out, "chipmap compare", options, choose_device("cpu"), PACKAGES, say=say) as folder:
        with folder.step("read"):
            reference = read_layout(layout, unit and parse_length(unit), cell, layers and read_layers(layers))
            folder.read(layout)
            seen = _seen(pathlib.Path(source), drawn, pixel_size, phases, crop, folder)
            reference = _turned(reference.only(_layers(reference, layer, seen.drawn)), turn, mirror)
        with folder.step("register"):
            placed = register(seen.sure, reference.polygons, seen.pixel_size_m, near, fit)
        with folder.step("differences"):
            nm = np.sqrt(seen.pixel_size_m[0] * seen.pixel_size_m[1]) * 1e9
            reach = parse_length(tolerance) * 1e9 / nm if tolerance else TOLERANCE_PX
            cover, known = _laid(reference, placed, seen)
            found = find_differences(seen.mask, cover, known, reach, max(1, round(reach ** 2)))
        with folder.step("files"):
            table = _table(found, placed, nm)
            output.write_table(folder.folder / "differences.csv", table)
            write_markers(folder.folder, seen.mask, found, table, placed)
            results = _results(seen, reference, placed, found, nm, reach, cover, known)
            write_json(folder.folder / "results.json", results)
            report.draw_differences(folder.folder / "compare.png", seen.grey, cover >= 0.5, found, seen.pixel_size_m, _headline(results))
        folder.finish()
    for line in (_headline(results), *results["notes"], f"results: {out}"):
        say(line)
    return results


def _seen(path, drawn, pixel_size, phases, crop, folder):
    if path.is_dir():
        given = [name for name, value in (("--pixel-size", pixel_size), ("--phases", phases), ("--crop", crop)) if value]
        if given:
            raise InputError(f"{' and '.join(given)}: is of a picture, and {path} is the folder of a run: leave it out")
        return _of_run(path, drawn, folder)
    picture = read_picture(path, pixel_size and parse_pixel_size(pixel_size))
    folder.read(path)
    prepared = prepare(picture, crop)
    found = segment(prepared.image, phases or 2, prepared.noise_sigma)
    count = len(found.level)
    numbers = [_phase(name, count) for name in _split(drawn or "bright")]
    mask = np.isin(found.labels, numbers)
    return Seen(path.name, prepared.image, mask, found.posterior[numbers].sum(0), picture.pixel_size_m, [])


def _phase(name, count):
    number = {"dark": 0, "bright": count - 1}.get(name.lower(), name)
    if not str(number).isdecimal() or int(number) >= count:
        raise InputError(f"--drawn {name}: the picture has {count} phases: write bright, dark, or a number from 0 (darkest) to {count - 1}")
    return int(number)


def _of_run(path, drawn, folder):
    """`Seen` of a run's labels, confidence and names."""
    import tifffile
    try:
        told = json.loads((path / "results.json").read_text())
        names = [m["material"] for m in told["materials"]]
        size = told["pixel_size_m"]["y"], told["pixel_size_m"]["x"]
        labels, confidence = (tifffile.imread(path / f"{name}.ome.tif") for name in ("labels", "confidence"))
        for name in ("results.json", "labels.ome.tif", "confidence.ome.tif"):
            folder.read(path / name)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: is not the folder of a chipmap run ({error}): give one, or a picture") from None
    wanted = _split(drawn) or [name for name in names if all(_is_metal(part) for part in name.split(" or "))]
    missing = [name for name in wanted if name not in names]
    if missing or not wanted:
        raise InputError(f"{path}: has {', '.join(names)}, {'and no ' + ', '.join(missing) if missing else 'none of them a metal'}: say with --drawn "
                         "which of them the layout draws")
    mask = np.isin(labels, [names.index(name) for name in wanted])
    sure = np.where(mask, confidence, 1 - confidence).astype(np.float32)
    picture = path / "picture.ome.tif"
    grey = tifffile.imread(folder.read(picture)) if picture.exists() else sure
    return Seen(path.name, grey if grey.shape == mask.shape else sure, mask, sure, size, wanted)


def _is_metal(name):
    try:
        return materials.find(name).kind == "metal"
    except InputError:
        return False


def _layers(reference, wanted, drawn):
    """Names of the layers to compare with."""
    there = sorted(set(reference.layer))
    if wanted:
        return _split(wanted)
    alike = [name for name in there if name in drawn] or (there if len(there) == 1 or set(there) == {"track", "via"} else [])
    if not alike:
        raise InputError(f"{reference.source} has the layers {', '.join(there)}: say with --layer which of them the picture shows")
    return alike


def _turned(reference, turn, mirror):
    import shapely
    if turn % 90:
        raise InputError(f"--turn {turn}: a layout is turned by 90, 180 or 270 degrees first; small turns are found")
    c, s = round(np.cos(np.radians(turn))), round(np.sin(np.radians(turn)))
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    return type(reference)(shapely.transform(reference.polygons, lambda at: at @ matrix.T), reference.layer, reference.source)


def _place(text):
    match = re.fullmatch(r"\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*", str(text))
    if not match:
        raise InputError(f"--near {text!r}: write the place of the picture's middle in the layout in um, as 120.5,33")
    return tuple(1e3 * float(number) for number in match.groups())


def _split(text):
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _laid(reference, placed, seen):
    """(share of each pixel that the layout covers, where the layout says anything: inside its bounding box)."""
    import shapely
    left, bottom, right, top = shapely.total_bounds(reference.polygons)
    box = coverage_of([shapely.box(left, bottom, right, top)], placed, seen.mask.shape, seen.pixel_size_m)
    return coverage_of(reference.polygons, placed, seen.mask.shape, seen.pixel_size_m), box > 0.99


def _table(found, placed, nm):
    """The columns of differences.csv: places in the picture (x right, y down) and in the layout (y up), nm."""
    table = found.table
    at = placed.places(np.column_stack([table["x"], table["y"]]).reshape(-1, 2))
    return {"difference": list(range(1, len(table["kind"]) + 1)), "kind": table["kind"],
            "layout_x_nm": at[:, 0], "layout_y_nm": at[:, 1], "picture_x_px": np.array(table["x"]), "picture_y_px": np.array(table["y"]),
            "area_nm2": np.array(table["area"], float) * nm ** 2,
            "width_nm": (np.array(table["right"], float) - table["left"]) * nm, "height_nm": (np.array(table["bottom"], float) - table["top"]) * nm,
            "nets": [" ".join(map(str, parts)) for parts in table["parts"]]}


def _results(seen, reference, placed, found, nm, reach, cover, known):
    drawn = cover >= 0.5
    either, both = ((drawn | seen.mask) & known).sum(), (drawn & seen.mask & known).sum()
    middle = placed.places(np.array([[seen.mask.shape[1] / 2, seen.mask.shape[0] / 2]]))[0]
    distortion = float(np.hypot(*placed.local[:, 2:].T).max() * nm) if len(placed.local) else None
    return {
        "picture": {"source": seen.name, "rows": seen.mask.shape[0], "columns": seen.mask.shape[1], "drawn": seen.drawn,
                    "pixel_size_m": {"y": seen.pixel_size_m[0], "x": seen.pixel_size_m[1]}},
        "layout": {"source": reference.source, "layers": sorted(set(reference.layer)), "polygons": len(reference.polygons)},
        "registration": {"middle_of_picture_in_layout_nm": {"x": middle[0], "y": middle[1]}, **_facts(placed, nm), "largest_local_shift_nm": distortion},
        "tolerance_nm": reach * nm, "counts": found.counts,
        "places": {kind: found.table["kind"].count(kind) for kind in KINDS},
        "edge_offset_nm": {"value": _finite(found.edge_offset * nm), "standard_uncertainty": _finite(found.edge_offset_sd * nm)},
        "intersection_over_union": float(both / either) if either else None,
        "notes": _notes(placed, distortion, reach * nm, known),
    }


def _facts(placed, nm):
    sd = placed.sd
    told = {"standard_uncertainty_nm": {"x": sd["x_px"] * nm, "y": sd["y_px"] * nm}, "correlation": placed.correlation,
            "matrix_px_per_nm": placed.matrix.tolist(), "shift_px": placed.shift.tolist()}
    for name in ("scale", "turn_deg", "stretch", "shear"):
        if name in sd:
            told[name] = {"value": asdict(placed)[name], "standard_uncertainty": sd[name]}
    return told


def _notes(placed, distortion, tolerance, known):
    notes = []
    if "scale" in placed.sd and abs(placed.scale) > max(2e-3, 4 * placed.sd["scale"]):
        notes.append(f"the layout is {100 * placed.scale:+.2f} % larger in the picture than its pixel size says: sizes in nm taken from the picture are off by as much")
    if distortion is not None and distortion > tolerance / 2:
        notes.append(f"parts of the picture are shifted by up to {distortion:.3g} nm against the rest (distortion, drift): differences of shape there may be that")
    if known.mean() < 0.999:
        notes.append(f"the layout covers {100 * known.mean():.1f} % of the picture: the rest is not compared")
    return notes


def _headline(results):
    counts, places = results["counts"], results["places"]
    return (f"{counts['shorts']} shorts, {counts['opens']} opens, {places['extra piece']} extra and {places['missing piece']} missing pieces, "
            f"{places['extra'] + places['missing']} differences of shape among {counts['drawn_nets']} drawn nets")


def _finite(value):
    return float(value) if np.isfinite(value) else None
