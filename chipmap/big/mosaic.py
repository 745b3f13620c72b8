"""`chipmap mosaic`, as a sentence: phases, materials and objects of a picture too big for memory, tile by tile.

Every tile is looked at with so much around it that its labels and confidences are those of the whole picture to the bit;
what belongs to the whole (noise, grey levels, which phases there are) is counted first, in whole numbers.
"""

import hashlib
import pathlib

import numpy as np
from cukernels.backend import choose_device
from cukernels.run import Run, sha256, write_json

from chipmap import InputError, chip
from chipmap.big import bands, survey
from chipmap.big.planes import write_pyramid
from chipmap.big.pyramid import open_pyramid
from chipmap.big.tiled import Part, Trained, Untrained, label_tiles, say_need
from chipmap.big.tiling import Progress, Work
from chipmap.identify import identify
from chipmap.layout import look
from chipmap.output import palette, write_table
from chipmap.pipeline import PACKAGES
from chipmap.read import ASK, parse_pixel_size
from chipmap.report import draw_mosaic

TILE = 2048


def run(image, out, pixel_size=None, phases=None, materials=None, legend=None, process=None, crop=None, model=None, tile=TILE,
        store="tiff", device="auto", say=print):
    """One big picture, from the file to the folder `out`; stopped, it goes on where it was when it is called again.

    image: path of a TIFF (best in tiles), OME-TIFF, OME-Zarr, PNG or JPEG of whole grey values of 8 or 16 bits. pixel_size,
    phases, materials, legend, process, crop, model: as of `pipeline.run`. tile: rows and columns done at once, a multiple of
    16. store: "tiff" or "zarr" for the images. Returns what results.json holds. Raises InputError as `pipeline.run`, and
    where the memory does not suffice.
    """
    options = {"image": str(image), "pixel_size": pixel_size, "phases": phases, "materials": materials, "legend": legend, "process": process,
               "crop": crop, "model": model and str(model), "tile": tile, "store": store}
    device = choose_device(device)
    say(f"device: {device.why}")
    with open_pyramid(image) as whole, Run(out, "chipmap mosaic", options, device, PACKAGES, say=say) as folder:
        size, source = _pixel_size(whole, pixel_size)
        picture = Part(whole, crop)
        say_need(picture, tile, model, say)
        with Work(out, _key(image, model, options), say) as work:
            with folder.step("survey"):
                seen = _survey(picture, work, say)
                _record(folder, image, model)
            with folder.step("levels"):
                labeller = Trained(model, seen, legend, phases) if model else Untrained(picture, seen, phases, tile, device, work, say)
            with folder.step("phases"):
                levels, confidence, found, phase = label_tiles(picture, labeller, tile, device, work, say)
            with folder.step("materials"):
                named = _named(found, labeller.legend or legend, materials, process, whole.instrument)
                material, sure = _painted(levels, confidence, phase, named)
            with folder.step("objects"):
                objects, table = bands.find_objects(material, chip.shown_names(named), size, sure, confidence, work, say)
            results = _results(whole, picture, size, source, found, named, table)
            with folder.step("images and tables"):
                _images(folder.folder, results, material, sure, objects, size, store, say)
                write_table(folder.folder / "objects.csv", table)
                write_json(folder.folder / "results.json", results)
            with folder.step("picture"):
                draw_mosaic(folder.folder / "overlay.png", picture, material, sure, chip.shown_names(named),
                            [m["area_fraction"]["value"] for m in results["materials"]], size, whole.path.name)
            folder.finish()
            work.done()
    for line in _headline(results, out):
        say(line)
    return results


def _pixel_size(whole, given):
    if given:
        return parse_pixel_size(given), "given by --pixel-size"
    if whole.pixel_size_m is None:
        raise InputError(f"{whole.path}: no tag of the file gives a pixel size: {ASK}")
    return whole.pixel_size_m, whole.pixel_size_source


def _key(image, model, options):
    """What the unfinished work depends on: the options, and the picture as its file stands."""
    files = [path for path in (image, model) if path]
    stand = [[(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in _files(path)] for path in files]
    return {"options": options, "files": stand, "work": 1}


def _files(path):
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: can't be read (it does not exist): check the path")
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _record(folder, image, model):
    """The inputs with their SHA-256; of an OME-Zarr, that of the list of its files and theirs."""
    if pathlib.Path(image).is_dir():
        text = "".join(f"{p.relative_to(image)} {sha256(p)}\n" for p in _files(image))
        folder.manifest["inputs"].append({"file": pathlib.Path(image).name, "files": text.count("\n"), "sha256": hashlib.sha256(text.encode()).hexdigest()})
    else:
        folder.read(image)
    if model:
        folder.read(model)


def _survey(picture, work, say):
    def make():
        with Progress("survey", picture.shape[0], say) as progress:
            seen = survey.look(picture, progress.step)
        return [seen.values.tolist(), seen.differences.tolist()]

    return survey.Survey(*(np.array(counts) for counts in work.kept("survey", make)))


def _named(found, legend, materials, process, instrument):
    """The `identify.Identification` of phases of one pixel each: their names do not depend on where they are."""
    count = len(found.level)
    found.labels, found.posterior = np.arange(count, dtype=np.int32)[None], np.eye(count, dtype=np.float32)[:, None]
    return identify(found, None, materials, legend, process, instrument.get("beam_kv"), instrument.get("signal"))


def _painted(levels, confidence, phase, named):
    """Sources of the material of each pixel (uint8), and of how sure it is (float32)."""
    at = np.maximum(phase, 0)
    return bands.Painted(levels, named.labels[0][at].astype(np.uint8)), bands.Painted(levels, named.confidence[0][at], confidence)


def _images(folder, results, material, sure, objects, size, store, say):
    suffix = {"tiff": "ome.tif", "zarr": "zarr"}[store]
    names = [m["material"] for m in results["materials"]]
    colours = {"photometric": "palette", "colormap": palette(names)} if store == "tiff" else {}
    for name, source, notes, reduce, how in (
            ("labels", material, {str(m): name for m, name in enumerate(names)}, "nearest", colours),
            ("confidence", sure, {"unit": "1"}, "mean", {}), ("objects", objects, {"table": "objects.csv"}, "nearest", {})):
        with Progress(f"{name}.{suffix}", 1000, say) as progress:
            told = [0]

            def tell(share, told=told, progress=progress):
                progress.step(int(1000 * share) - told[0])
                told[0] = int(1000 * share)

            write_pyramid(folder / f"{name}.{suffix}", source, size, name, notes, reduce, tell, **how)


def _results(whole, picture, size, source, found, named, table):
    shown = chip.shown_names(named)
    pixels = np.bincount(table["phase"], table["pixels"], len(shown))
    sure = np.bincount(table["phase"], table["pixels"] * table["confidence"], len(shown))
    doubt = np.bincount(table["phase"], table["area_sd_nm2"], len(shown)) / (np.prod(size) * 1e18 * pixels.sum())
    return {
        "picture": {"file": whole.path.name, "rows": picture.shape[0], "columns": picture.shape[1], "crop": picture.crop,
                    "bits": 8 * whole.dtype.itemsize, "instrument": whole.instrument},
        "pixel_size_m": {"y": size[0], "x": size[1], "source": source},
        "materials": [{"material": name, "candidates": [{"material": n, "probability": p} for n, p in named.candidates[chip.members(named, m)[0]]],
                       "area_fraction": {"value": float(pixels[m] / pixels.sum()), "standard_uncertainty": float(doubt[m]), "unit": "1"},
                       "objects": int((table["phase"] == m).sum()), "grey_levels": [float(found.level[k]) for k in chip.members(named, m)],
                       "mean_confidence": float(sure[m] / pixels[m]), "colour": look(name)["colour"]} for m, name in enumerate(shown)],
        "naming": {"basis": named.basis, "calibrated": named.calibrated},
        "phases": {"count": len(found.level), "chosen_by_evidence": found.chosen, "evidence_nats": {str(n): float(e) for n, e in found.evidence.items()}},
        "objects": {"count": len(table["object"]), "table": "objects.csv", "cut_by_the_frame": int(table["touches_border"].sum())},
        "notes": [*whole.instrument.get("notes", []), *found.notes, *named.notes],
    }


def _headline(results, out):
    for material in results["materials"]:
        area = material["area_fraction"]
        yield f"{material['material']}: {area['value']:.1%} ± {area['standard_uncertainty']:.1%} of the area, {material['objects']} objects"
    yield from results["notes"]
    yield f"results: {out}"
