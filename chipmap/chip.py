"""What a run has found, gathered on the host for the files and the pictures."""

from dataclasses import dataclass

import numpy as np
from cukernels.backend import to_host

from chipmap.identify import SURE
from chipmap.objects import Objects

MOST_CANDIDATES = 4     # a phase that more materials than this share is not known: no physics is done on it


@dataclass
class Chip:
    """image (H, W) float32, labels (H, W) int 0..M-1, confidence (H, W): NumPy. names: M shown names, a set ("Ta or W")
    where the evidence ends there. picture, prepared, phases, named: what the steps returned, for what they say in words.
    heat, current: `physics.Flow`."""

    image: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    names: list
    pixel_size_m: tuple
    objects: Objects
    heat: object
    current: object
    picture: object
    prepared: object
    phases: object
    named: object


def gather(picture, prepared, phases, named, objects, heat, current):
    """The results of the steps, arrays brought to the host once."""
    return Chip(to_host(prepared.image), to_host(named.labels), to_host(named.confidence), shown_names(named),
                picture.pixel_size_m, Objects(to_host(objects.labels), objects.table), heat.host(), current.host(),
                picture, prepared, phases, named)


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
