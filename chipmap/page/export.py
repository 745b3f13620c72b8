"""What a tab takes home: the folder that `chipmap run` would have left, single files of it, the report, the strokes, the classifier."""

import json
import pathlib
import shutil

import numpy as np
from cukernels.backend import choose_device
from cukernels.run import Run

from chipmap import InputError, chip
from chipmap.measure.lines import measure_lines
from chipmap.objects import Objects
from chipmap.problems import Boundaries

FILES = ("run.zip", "report.html", "layout.gds", "materials.geojson", "objects.csv", "labels.ome.tif", "results.json", "overlay.png",
         "fields.vti", "scribbles.geojson", "classifier.npz")


def export(document, analysis, what, room, step):
    """Path of one of FILES, made of a document's analysis in the folder `room`."""
    if what == "scribbles.geojson":
        return _strokes(analysis, room / what)
    if what == "classifier.npz":
        return _classifier(analysis, room / what)
    folder = document.exported.get("folder")
    if folder is None:
        folder = document.exported["folder"] = run_folder(document, analysis, room / "run", step)
    if what == "run.zip":
        with step("zip"):
            return pathlib.Path(shutil.make_archive(str(room / "run"), "zip", folder))
    if what == "report.html":
        from chipmap.page.report import write_report
        with step("report"):
            return write_report(folder, room / "report.html")
    return folder / what


def run_folder(document, analysis, out, step):
    """A folder as of `chipmap run`, from the stages at hand."""
    from chipmap.pipeline import PACKAGES, leave

    if not analysis.sized:
        raise InputError("the pixel size is not known, so nothing has a length: give it first, then export")
    asked = analysis.asked
    options = {"image": document.opened.name, "pixel_size": asked.pixel_size, "phases": asked.phases, "materials": asked.materials,
               "legend": asked.legend or _as_text(asked.calibration), "process": asked.process, "crop": list(analysis.box),
               "physics": ",".join(analysis.answers), "settings": list(asked.settings), "thickness": asked.thickness,
               "model": "classifier.npz" if analysis.classifier else None, "samples": 0, "also": [], "made_by": "chipmap serve",
               **vars(Boundaries())}
    facts = document.opened.facts
    with Run(out, "chipmap run", options, choose_device("cpu"), PACKAGES) as folder:
        folder.manifest["inputs"].append({"file": document.opened.name, "bytes": facts["bytes"], "sha256": facts["sha256"]})
        folder.step = _both(folder.step, step)
        with folder.step("edges"):
            sample = analysis.measured
        with folder.step("lines"):
            objects = Objects(analysis.objects.labels, analysis.objects.table | {"net": np.asarray(analysis.net)})
            seen = chip.gather(analysis.picture, analysis.prepared, analysis.phases, analysis.named, objects, sample, analysis.answers, analysis.naming, *(analysis.xray or ()))
            lines = measure_lines(seen.image, seen.objects, seen.pixel_size_m)
        leave(folder, seen, lines)
        if analysis.classifier:
            analysis.classifier.save(folder.folder / "classifier.npz")
        return folder.finish()


def _both(one, other):
    """A step that is timed by the run and told to the page."""
    import contextlib

    @contextlib.contextmanager
    def step(name):
        with other(name), one(name):
            yield
    return step


def _as_text(calibration):
    return " ".join(f"{k}={name}" for k, name in calibration.items()) or None


def _strokes(analysis, path):
    if not analysis.strokes:
        raise InputError("no strokes have been drawn and trained on: draw some and retrain first")
    features = [{"type": "Feature", "properties": {"class": name, "width_px": width},
                 "geometry": {"type": "LineString" if len(points) > 1 else "Point", "coordinates": points if len(points) > 1 else points[0]}}
                for name, points, width in analysis.strokes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1))
    return path


def _classifier(analysis, path):
    if analysis.classifier is None:
        raise InputError("no classifier has been trained: draw strokes and retrain first")
    analysis.classifier.save(path)
    return path
