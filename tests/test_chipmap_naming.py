"""Objects named by all evidence there is: grey, X-rays, contacts; parts of phases that differ part; what stays open is said."""

import contextlib
import json

import numpy as np
import pytest
import tifffile

from chipmap import eta, materials, output, phantom, pipeline
from chipmap.identify import identify, load_process
from chipmap.naming import name_by_object, onto
from chipmap.objects import find_objects
from chipmap.page.documents import Document
from chipmap.page.probe import probe
from chipmap.page.runs import open_run
from chipmap.segment import Phases
from chipmap.xray.maps import XrayMaps
from chipmap.xray.place import Placement
from tests.test_chipmap_xray_maps import ENERGY, spectra, windows


def phases_of(labels, image, count):
    """`Phases` with the labels given and levels measured, as sure as segmentation is of the inside of objects."""
    level = np.array([np.median(image[labels == k]) for k in range(count)])
    posterior = np.full((count, *labels.shape), 0.02 / count, np.float32)
    np.put_along_axis(posterior, labels[None], 0.98 + 0.02 / count, 0)
    return Phases(labels.astype(np.int32), posterior, level, np.ones(count), np.bincount(labels.ravel()) / labels.size, {}, True,
                  [[v] for v in level], np.zeros(labels.shape, np.float32))


def scene(gain=1000.0):
    """Blocks on oxide: Si and Al of like grey are one phase, Ti and Ge another of their own. Picture 120 x 160, maps 30 x 40."""
    names = ["SiO2", "Si", "Al", "Ti", "Ge"]
    material = np.zeros((120, 160), int)
    for k, x in enumerate((10, 48, 86, 124)):
        material[30:90, x:x + 28] = k + 1
    image = gain * np.array([eta.eta_of(materials.find(n), 20)[0] for n in names])[material] + 100
    image += np.random.default_rng(0).normal(0, 4, image.shape)
    phase = np.array([0, 1, 1, 2, 3])[material]
    order = [1, 0, 2, 3, 4]  # the place of each name in the list of measured spectra: Si SiO2 Al Ti Ge
    small = np.array(order)[material[2::4, 2::4]]
    cube = np.moveaxis(np.random.default_rng(1).poisson(spectra(150)[small]), 2, 0).astype(np.float32)
    return names, material, image, phases_of(phase, image, 4), cube


def named_with(found, image, cube, signal="BSE", **how):
    named = identify(found, signal=signal, kv=20, more=cube is not None, **how)
    maps = None if cube is None else XrayMaps(cube, None, ENERGY, False, 20.0, "")
    return name_by_object(found, named, image, how.get("process") and load_process(how["process"]), 20, signal, maps, Placement(4, 4, 0, 0))


@pytest.mark.parametrize("signal", ["BSE", "SE"])
def test_x_rays_part_a_phase_that_grey_cannot(signal):
    """Silicon and aluminium are one phase by grey; by X-rays they are two, in a secondary-electron picture too."""
    names, material, image, found, cube = scene()
    new, told, naming = named_with(found, image, cube, signal)
    objects = find_objects(told.labels, told.material, (1e-9, 1e-9))
    final = onto(naming, objects.labels, new)
    at = {n: int(objects.labels[60, x]) for n, x in zip(names, (2, 24, 62, 100, 138))}
    best = {n: final.names[final.posterior[k].argmax()] for n, k in at.items()}
    assert best["Si"] in ("Si", "poly-Si", "a-Si") and best["Al"] == "Al" and best["Ge"] == "Ge" and best["SiO2"] == "SiO2" and best["Ti"] in ("Ti", "TiN")
    assert len(new.level) == 5 and new.labels.max() == 4 and told.labels[60, 24] != told.labels[60, 62]
    np.testing.assert_allclose(new.posterior.sum(0), 1, rtol=1e-5)
    assert final.xray[at["Al"]]["composition"]["Al"]["mass_share"] > 0.8 and "X-rays of" in told.basis
    assert np.isfinite(final.eta[at["Ge"]]) == (signal == "BSE")
    assert ("no evidence of atomic number" in told.basis) == (signal == "SE")


def test_without_own_evidence_phases_stand():
    _, _, image, found, _ = scene()
    new, told, naming = named_with(found, image, None, materials="SiO2,Al,Ti,Ge")
    assert new is found and told.material == ["SiO2", "Al", "Ti", "Ge"]
    final = onto(naming, find_objects(told.labels, told.material, (1e-9, 1e-9)).labels, new)
    assert not np.isfinite(final.eta).any() and not any(final.limits) and final.basis == told.basis


def test_calibrated_grey_says_what_no_dose_could_tell():
    _, material, image, found, _ = scene()
    new, told, naming = named_with(found, image, None, legend="0=SiO2 3=Ge")
    k = 1 + int(np.flatnonzero(naming.posterior[:, naming.names.index("Ge")] < 0.5)[0])
    entry = naming.of(k)
    assert abs(entry["grey"]["eta"] - eta.eta_of(materials.find("Si"), 20)[0]) < 0.02
    assert {"Si", "Al"} - set(entry["set_90"]) == set() and "Al" in entry["grey"]["not_told_apart_at_any_dose"] + [entry["candidates"][0]["material"]]
    pairs = {tuple(p["materials"]): p["electrons"] for p in naming.table(20)["pairs"]}
    assert pairs["Al", "Si"] is None
    json.dumps(naming.table(20), allow_nan=False)


def test_a_legend_that_x_rays_contradict_is_said():
    _, _, image, found, cube = scene()
    _, told, naming = named_with(found, image, cube, legend="0=SiO2 1=Al 2=Ti 3=Cu")
    assert any("legend says Cu" in note and "Ge" in note for note in told.notes)
    assert told.best[-1] == "Cu"  # the user has the last word


def test_a_run_with_element_maps(tmp_path):
    """The whole command's work: a folder of maps laid on the picture, naming.json, placement and columns in the results."""
    labels = np.ones((240, 320), int)
    labels[200:] = 0
    for x, m in ((20, 2), (90, 3), (170, 4), (250, 2)):
        labels[40:150, x:x + 50] = m
    labels[160:190, 30:200] = 4
    names = ["Si", "SiO2", "Al", "Ti", "Ge"]
    seen = phantom.take(labels, names, beam=phantom.Beam(dose=3000, edge=0.05))
    output.write_picture(tmp_path / "picture.tif", np.clip(np.rint(seen.image), 0, 65535).astype(np.uint16), (2e-7, 2e-7))
    cube = np.moveaxis(np.random.default_rng(0).poisson(spectra(150)[labels[2::4, 2::4]]), 2, 0)
    (tmp_path / "maps").mkdir()
    for image, line in zip(*windows(cube)):
        tifffile.imwrite(tmp_path / "maps" / f"{line.element} {line.shell}.tif", image.astype(np.uint16))
    results = pipeline.run(tmp_path / "picture.tif", tmp_path / "out", xray=tmp_path / "maps", physics="heat", say=lambda line: None)
    naming = json.loads((tmp_path / "out" / "naming.json").read_text())
    assert len(naming["objects"]) == results["objects"]["count"]
    found = {entry["candidates"][0]["material"] for entry in naming["objects"] if entry.get("xray") and entry["candidates"][0]["probability"] > 0.5}
    assert any("SiO2" in entry["set_90"] for entry in naming["objects"] if entry.get("xray"))  # or SiCOH: carbon may be the coating
    assert {"Al", "Ge"} <= found and found <= {"SiO2", "SiCOH", "porous SiCOH", "Al", "Ge", "Ti", "TiN", "Si", "poly-Si", "a-Si"}
    placed = results["naming"]["xray"]["placement_px"]
    assert abs(placed["scale_x"] - 4) < 0.15 and abs(placed["scale_y"] - 4) < 0.15
    assert "candidates" in (tmp_path / "out" / "objects.csv").read_text().splitlines()[0]
    opened, again = open_run(tmp_path / "out", tmp_path / "opened", lambda name: contextlib.nullcontext())     # as `chipmap serve` does
    document = Document("x", opened, again, 1)
    row, column = np.argwhere(again.objects.labels == next(e["object"] for e in naming["objects"] if e.get("xray")))[0]
    assert any("by mass" in sentence for sentence in probe(document, int(column), int(row))["material"]["evidence"])
    assert [again.naming.of(k)["candidates"] for k in range(len(again.objects))] == [entry["candidates"] for entry in naming["objects"]]


