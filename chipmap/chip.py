"""What a run has found, gathered on the host for the files and the pictures."""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import to_host

from chipmap.identify import SURE
from chipmap.measure.kinds import kinds_of
from chipmap.objects import Objects
from chipmap.properties import Sample
from chipmap.uncertainty import measure

MOST_CANDIDATES = 4     # a phase that more materials than this share is not known: no physics is done on it


@dataclass
class Chip:
    """image (H, W) float32, labels (H, W) int 0..M-1, confidence (H, W): NumPy. names: M shown names, a set ("Ta or W")
    where the evidence ends there. objects: with the column `kind` and those of the liners. sample: `properties.Sample`.
    answers: name of the physics -> `answer.Answer`. picture, prepared, phases, named: what the steps returned, for what
    they say in words. naming: `naming.ObjectNaming` of the objects. maps, placed: `xray_maps.XrayMaps` and
    `xray_place.Placement`, or None. liners: `liners.Liners` or None."""

    image: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    names: list
    pixel_size_m: tuple
    objects: Objects
    sample: object
    answers: dict
    picture: object
    prepared: object
    phases: object
    named: object
    naming: object = None
    maps: object = None
    placed: object = None
    liners: object = None


def gather(picture, prepared, phases, named, objects, sample, answers, naming=None, maps=None, placed=None, liners=None):
    """The results of the steps, arrays brought to the host once."""
    table = objects.table | {"kind": kinds_of(to_host(objects.labels), objects.table)} | (liners.columns if liners else {})
    table |= (naming.columns() if naming else {}) | {name: column for answer in answers.values() for name, column in answer.columns.items()}
    return Chip(to_host(prepared.image), to_host(named.labels), to_host(named.confidence), shown_names(named),
                picture.pixel_size_m, Objects(to_host(objects.labels), table), sample,
                {name: answer.host() for name, answer in answers.items()}, picture, prepared, phases, named, naming, maps, placed, liners)


def sample_of(prepared, phases, named, objects, pixel_size_m, library, thickness_m=None, samples=0):
    """The `properties.Sample` that the physics is done on, its edges measured in the picture where every phase is named."""
    candidates = plausible(named)
    measured = None
    if all(candidates):
        # the brightness background that the phases were found with is not the materials'
        grey = to_host(prepared.image) - to_host(phases.drift)
        level = np.array([phases.level[members(named, m)[0]] for m in range(len(named.names))])
        measured = measure(grey, to_host(objects.labels), objects.table["phase"], level, prepared.noise_sigma, pixel_size_m)
    return Sample(objects.labels, objects.table["phase"], candidates, objects.table["width_nm"] * 1e-9, pixel_size_m,
                  library, thickness_m, measured, samples)


def shown_names(named):
    """For each label of an `identify.Identification` the name to show: of its largest phase, with every material left."""
    return [named.material[members(named, m)[0]] for m in range(len(named.names))]


def plausible(named):
    """For each label the materials that hold 90 % of the posterior, likeliest first; [] where they are more than four."""
    return [_plausible(named.candidates[members(named, m)[0]]) for m in range(len(named.names))]


def members(named, label):
    """Numbers of the phases that make up a label."""
    return [k for k, best in enumerate(named.best) if best == named.names[label]]


def _plausible(candidates):
    names, total = [], 0.0
    for name, probability in candidates:
        names.append(name)
        total += probability
        if total >= SURE:
            break
    return names if len(names) <= MOST_CANDIDATES else []
