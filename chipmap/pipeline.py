"""`chipmap run`, as a sentence: one call a step."""

import numpy as np
from cukernels.backend import choose_device, to_host
from cukernels.run import Run

from chipmap import InputError, chip, layout, output, report
from chipmap.identify import identify, load_process
from chipmap.layers import read_layers
from chipmap.measure.liners import find_liners, wanted_liner
from chipmap.measure.lines import measure_lines
from chipmap.naming import name_by_object, onto
from chipmap.objects import Objects, find_objects
from chipmap.prepare import prepare
from chipmap.problems import Boundaries, chosen, parse_length, solve_all
from chipmap.properties import Library
from chipmap.read import parse_pixel_size, read_picture
from chipmap.segment import segment
from chipmap.training import phases_by_model
from chipmap.xray.maps import bands, files_of, read_xray
from chipmap.xray.place import parse_field, place

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "numba", "tifffile", "rasterio", "shapely", "gdstk", "matplotlib")


def run(image, out, pixel_size=None, phases=None, materials=None, legend=None, process=None, crop=None, simplify_px=0.0,
        physics="heat,current", settings=(), thickness=None, boundaries=None, model=None, correct=(), samples=0, also=(),
        layers=None, liner=None, xray=None, xray_field=None, stack=None, signal=None, device="auto", say=print):
    """One picture, from the file to the folder `out`.

    image: path. pixel_size: text with a unit, or None where the tags say it. phases, materials, legend, process, crop,
    correct: as of `segment`, `identify` and `prepare`; without `phases`, as many as there are `materials`. simplify_px: as of
    `layout.outlines`. physics: as of `problems.chosen`. settings: as of `properties.Library`. thickness: of the layer, text
    with a unit. boundaries: `problems.Boundaries`, or a dict of its fields. model: a file of `chipmap train`, in the place
    of `phases`. samples: solutions with displaced edges for the doubt of heat and current, 0 for first order. also: further
    files, "abaqus" for chip.inp, "oasis" for layout.oas. layers: a file of `layers.read_layers`. liner: as of
    `liners.wanted_liner`. xray: a folder of
    element maps or a spectrum image (`xray_maps.read_xray`) of the same field; xray_field: where it lies, as
    "left,top,right,bottom", else it is laid on by likeness. stack: the model's classes from top to bottom, with commas, where
    they lie one above the other. signal: "SE" or "BSE" where the tags don't say. device: "auto", "cpu" or "cuda". say: called with a line a
    step and the headline.
    Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    boundaries = boundaries if isinstance(boundaries, Boundaries) else Boundaries(**(boundaries or {}))
    options = {"image": str(image), "pixel_size": pixel_size, "phases": phases, "materials": materials, "legend": legend,
               "process": process, "crop": crop, "correct": correct, "simplify_px": simplify_px, "physics": physics, "settings": list(settings),
               "thickness": thickness, "model": model and str(model), "samples": samples, "also": list(also),
               "layers": layers and str(layers), "liner": liner, "xray": xray and str(xray), "xray_field": xray_field, "stack": stack, "signal": signal,
               **vars(boundaries)}
    problems, library, places = chosen(physics), Library(settings), layers and read_layers(layers)
    thickness_m, wanted = parse_length(thickness) if thickness else None, liner and wanted_liner(liner)
    device = choose_device(device)
    say(f"device: {device.why}")
    with Run(out, "chipmap run", options, device, PACKAGES, say=say) as folder:
        with folder.step("read"):
            picture = read_picture(image, pixel_size and parse_pixel_size(pixel_size))
            folder.read(image)
            if layers:
                folder.read(layers)
        with folder.step("prepare"):
            prepared = prepare(picture, crop, correct=correct, device=device)
        with folder.step("phases"):
            if stack and model is None:
                raise InputError("--stack orders the classes of a model: give --model too")
            if model is None:
                found = segment(prepared.image, phases or _as_many_as(materials), prepared.noise_sigma)
            else:
                found, legend = phases_by_model(model, prepared.image, legend, phases, stack)
                folder.read(model)
        with folder.step("materials"):
            kv, signal = picture.instrument.get("beam_kv"), signal or picture.instrument.get("signal")
            named = identify(found, prepared.image, materials, legend, process, kv, signal, more=xray is not None)
        maps, placed = None, None
        if xray:
            with folder.step("X-rays"):
                maps, placed = laid_xray(xray, xray_field, kv, prepared.image)
                for file in files_of(xray):
                    folder.read(file)
        image, first = to_host(prepared.image), (to_host(named.labels), chip.shown_names(named), to_host(named.confidence))

        def overlay():
            report.draw_materials(folder.folder / "overlay.png", image, *first, picture)
            say(f"to be looked at: {folder.folder / 'overlay.png'}")

        with folder.beside("first overlay", overlay):
            with folder.step("objects"):
                found, named, naming = name_by_object(found, named, prepared.image - found.drift, process and load_process(process), kv, signal, maps, placed)
                objects = find_objects(named.labels, chip.shown_names(named), picture.pixel_size_m, named.confidence, found.confidence)
            with folder.step("liners"):
                liners = find_liners(image - to_host(found.drift), objects, found, named, prepared.noise_sigma, picture.pixel_size_m,
                                     wanted, process, kv, signal)
            with folder.step("edges"):
                sample = chip.sample_of(prepared, found, named, objects, picture.pixel_size_m, library, thickness_m, samples)
        with folder.beside("lines", lambda: measure_lines(image, Objects(to_host(objects.labels), objects.table), picture.pixel_size_m)) as lines:
            answers = solve_all(problems, sample, boundaries, folder.step, say)
            seen = chip.gather(picture, prepared, found, named, objects, sample, answers, onto(naming, objects.labels, found), maps, placed, liners)
        results = leave(folder, seen, lines(), simplify_px, also, boundaries.plane, places, first)
        folder.finish()
    for line in output.headline(results, out):
        say(line)
    return results


def leave(folder, seen, lines, simplify_px=0.0, also=(), plane="strain", places=None, overlaid=None):
    """The files of a `run.Run` folder from what was seen (`chip.Chip`) and measured; returns what results.json holds.
    overlaid: (labels, names, confidence) that overlay.png shows already."""
    fields = folder.folder / "fields.vti"
    same = overlaid and all(np.array_equal(a, b) for a, b in zip(overlaid, (seen.labels, seen.names, seen.confidence)))
    with (folder.beside("fields", lambda: folder.hashed(fields, output.write_fields(fields, seen))),
          folder.beside("pictures", lambda: report.draw(folder.folder, seen, same))):
        with folder.step("layout"):
            polygons = layout.outlines(seen.objects.labels, simplify_px)
            written = layout.write(folder.folder, polygons, seen.objects.table, seen.pixel_size_m, places, "oasis" in also)
        with folder.step("images and tables"):
            output.write_files(folder.folder, seen, lines, also, plane)
            results = output.write_results(folder.folder / "results.json", seen, lines, written)
    return results


def laid_xray(path, xray_field, kv, image):
    """(`xray_maps.XrayMaps` of a path, `xray_place.Placement` on the picture): where `xray_field` says, else by likeness."""
    maps = read_xray(path, kv)
    image = to_host(image)
    if xray_field:
        return maps, parse_field(xray_field, image.shape, maps.counts.shape[1:])
    return maps, place(bands(maps), image)


def _as_many_as(materials):
    return len([name for name in materials.split(",") if name.strip()]) if materials else None
