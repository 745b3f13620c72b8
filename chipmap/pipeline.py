"""`chipmap run`, as a sentence: one call a step."""

from cukernels.backend import choose_device
from cukernels.run import Run

from chipmap import chip, layout, output, physics, report
from chipmap.identify import identify
from chipmap.lines import measure_lines
from chipmap.objects import find_objects
from chipmap.prepare import prepare
from chipmap.read import parse_pixel_size, read_picture
from chipmap.segment import segment

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "numba", "tifffile", "rasterio", "shapely", "gdstk", "matplotlib")


def run(image, out, pixel_size=None, phases=None, materials=None, legend=None, process=None, crop=None, simplify_px=0.0,
        device="auto", say=print):
    """One picture, from the file to the folder `out`.

    image: path. pixel_size: text with a unit, or None where the tags say it. phases, materials, legend, process, crop:
    as of `segment`, `identify` and `prepare`. simplify_px: as of `layout.outlines`. device: "auto", "cpu" or "cuda".
    say: called with a line a step and the headline.
    Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    options = {"image": str(image), "pixel_size": pixel_size, "phases": phases, "materials": materials, "legend": legend,
               "process": process, "crop": crop, "simplify_px": simplify_px}
    device = choose_device(device)
    say(f"device: {device.why}")
    with Run(out, "chipmap run", options, device, PACKAGES, say=say) as folder:
        with folder.step("read"):
            picture = read_picture(image, pixel_size and parse_pixel_size(pixel_size))
            folder.read(image)
        with folder.step("prepare"):
            prepared = prepare(picture, crop, device=device)
        with folder.step("phases"):
            found = segment(prepared.image, phases, prepared.noise_sigma)
        with folder.step("materials"):
            named = identify(found, prepared.image, materials, legend, process,
                             picture.instrument.get("beam_kv"), picture.instrument.get("signal"))
        with folder.step("objects"):
            objects = find_objects(named.labels, chip.shown_names(named), picture.pixel_size_m, named.confidence, found.confidence)
        with folder.step("heat"):
            heat = physics.heat(named.labels, chip.plausible(named), picture.pixel_size_m)
        with folder.step("current"):
            current = physics.current(named.labels, chip.plausible(named), picture.pixel_size_m)
        with folder.step("lines"):
            seen = chip.gather(picture, prepared, found, named, objects, heat, current)
            lines = measure_lines(seen.image, seen.objects, seen.pixel_size_m)
        with folder.step("layout"):
            polygons = layout.outlines(seen.objects.labels, simplify_px)
            layers = layout.write(folder.folder, polygons, seen.objects.table, seen.pixel_size_m)
        with folder.step("images and tables"):
            output.write_files(folder.folder, seen, lines)
            results = output.write_results(folder.folder / "results.json", seen, lines, layers)
        with folder.step("pictures"):
            report.draw(folder.folder, seen)
        folder.finish()
    for line in output.headline(results, out):
        say(line)
    return results
