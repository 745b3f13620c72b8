"""A finished run as a document: its picture, analysed again as its manifest says, with the fields that it left."""

import json
import pathlib
from dataclasses import replace

from chipmap import InputError
from chipmap.answer import Answer
from chipmap.page.analysis import Asked, analyse
from chipmap.page.pictures import open_picture
from chipmap.vti import read_vti

PICTURE = "picture.ome.tif"
OPTIONS = ("phases", "materials", "legend", "process", "thickness")


def read_run(folder):
    """(manifest, results) of a run's folder; InputError where it is none of `chipmap run`."""
    folder = pathlib.Path(folder)
    try:
        manifest, results = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("manifest.json", "results.json"))
    except OSError as error:
        raise InputError(f"{folder}: is no folder of `chipmap run` ({pathlib.Path(error.filename).name} is missing): name one that is") from None
    except ValueError:
        raise InputError(f"{folder}: its manifest or results.json is damaged: run again") from None
    if not isinstance(manifest, dict) or manifest.get("command") != "chipmap run":
        raise InputError(f"{folder}: was not made by `chipmap run`: name a folder that was")
    return manifest, results


def open_run(folder, room, step):
    """(`Opened`, `Analysis`) of a run. Raises InputError for a folder that is none, and for one without its picture."""
    folder = pathlib.Path(folder)
    manifest, results = read_run(folder)
    if not (folder / PICTURE).exists():
        raise InputError(f"{folder}: has no {PICTURE}, it was made by an earlier version: run it again, or open its picture")
    options = manifest["options"]
    with step("decode"):
        opened = open_picture(folder / PICTURE, room, name=results["picture"]["file"])
        opened.facts |= {"instrument": results["picture"]["instrument"], "pixel_size_source": results["pixel_size_m"]["source"]}
    asked = Asked(**{key: options.get(key) for key in OPTIONS}, settings=tuple(options.get("settings", ())))
    analysis = analyse(opened, asked, (0, opened.shape[0], 0, opened.shape[1]), step, model=_model(folder, options), databar=False, xray=_xray(folder, options))
    _same(folder, analysis)
    with step("fields"):
        return opened, replace(analysis, answers=answers_of(folder, manifest, results))


def _model(folder, options):
    """The classifier that the run used: the copy in its folder, else where it was."""
    if not options.get("model"):
        return None
    inside = folder / "classifier.npz"
    return inside if inside.exists() else pathlib.Path(options["model"])


def _xray(folder, options):
    """(path, field) of the X-ray maps that the run used; InputError where they are no more."""
    if not options.get("xray"):
        return None
    path = pathlib.Path(options["xray"])
    if not path.exists():
        raise InputError(f"{folder}: the X-ray maps it was named by, {path}, are not there: put them back, or open its picture alone")
    return path, options.get("xray_field")


def _same(folder, analysis):
    import tifffile
    stored = tifffile.imread(folder / "labels.ome.tif")
    if stored.shape != analysis.named.labels.shape or (stored != analysis.named.labels).any():
        raise InputError(f"{folder}: the picture gives other materials than the run found, so it was made by another version: run it again")


def answers_of(folder, manifest, results):
    """The answers of the run's physics, their fields as maps of fields.vti."""
    from chipmap.output import EFFECTIVE
    from chipmap.problems import chosen
    cells, points = read_vti(folder / "fields.vti")
    found = {}
    for physics in chosen(manifest["options"]["physics"]) if manifest["options"]["physics"] else ():
        facts = results["effective"].get(EFFECTIVE[physics]) if physics in EFFECTIVE else results.get(physics)
        names = OWNED.get(physics, ())
        answer = Answer(facts or {}, {n: a for n, a in points.items() if n in names}, {n: a for n, a in cells.items() if n in names})
        if answer.points or answer.cells:
            found[physics] = answer
    return found


OWNED = {
    "heat": ("temperature_rise_k", "thermal_conductivity_w_mk", "heat_flux_w_m2"),
    "current": ("potential_v", "electrical_conductivity_s_m", "current_density_a_m2"),
    "charge": ("electrostatic_potential_v", "electric_field_v_m"),
    "stress": ("displacement_m", "von_mises_pa", "stress_xx_pa", "stress_yy_pa", "stress_xy_pa", "stress_zz_pa"),
    "coupled": ("joule_current_density_a_m2", "joule_von_mises_pa", "joule_temperature_rise_k", "joule_potential_v", "joule_displacement_m"),
    "junction": ("rise_per_power_k_m_w", "heat_flux_per_power_1_m"),
    "transient": ("pulse_rise_k",),
}
