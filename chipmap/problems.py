"""Which physics a run does, under which conditions, in which order."""

import re
from dataclasses import dataclass

import numpy as np

from chipmap import InputError, tags
from chipmap.charge import charge
from chipmap.coupled import coupled
from chipmap.memory import fine, needs
from chipmap.nets import find_nets
from chipmap.physics import CURRENT_V, conductivity, current, heat
from chipmap.stresses import is_hard, stiffness, stress
from chipmap.uniform import uniform_tensors
from chipmap.warming import junction, pulse

NAMES = ("heat", "current", "charge", "stress", "coupled")      # what "all" means
MORE = ("junction", "transient", "stiffness")


@dataclass
class Boundaries:
    """Conditions of the problems. terminals: of the current, as "left,right" or "3,17" (objects), None for sides that are
    joined. voltage: between them, V. temperature_change: K, of the stress. fixed: sides held, as "left x,bottom y".
    plane: "strain" (thick) or "stress" (thin). conductors, margin: of the charge, as of `charge.charge`. cold: sides held
    at room temperature in the coupled problem, which has the terminals and the voltage of the current. heater: objects that
    give off heat in the junction and the transient problem, whose sides are cold or convect (film: "top=1e4", W/(m2 K));
    power: W a metre of depth, pulse, until: as "5ns", of the transient. uniform: whether effective tensors are wanted under
    uniform conditions all round the picture too."""

    terminals: str | None = None
    voltage: float = CURRENT_V
    temperature_change: float = 100.0
    fixed: str = "left x,bottom y"
    plane: str = "strain"
    conductors: str | None = None
    margin: int = 0
    cold: str = "left,right,top,bottom"
    heater: str | None = None
    film: str = ""
    power: float = 1.0
    pulse: str = "1ns"
    until: str | None = None
    uniform: bool = False

    def __post_init__(self):
        for name, value, unit in (("voltage", self.voltage, "V"), ("temperature change", self.temperature_change, "K")):
            if not np.isfinite(value):
                raise InputError(f"{name} {value}: give a finite number, {unit}")


def chosen(text):
    """("heat", "current", ...) of "heat,current" or "all"; InputError for what is no physics."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    words = [name for word in words for name in (NAMES if word == "all" else (word,))]
    if not words or set(words) - {*NAMES, *MORE}:
        raise InputError(f"physics {text!r} is unknown: use {','.join(NAMES + MORE)}, some of them, or all for the first five")
    return tuple(name for name in NAMES + MORE if name in words)


def solve_all(names, sample, boundaries, step, say=lambda line: None):
    """{name: Answer} of the chosen physics; `step(name)` is the run's clock. Also the net of each object, as a column.

    say: told beforehand how much memory the solves take at most.
    """
    answers, driven = {}, {}
    if names:
        hard = not {"stress", "coupled", "stiffness"}.isdisjoint(names) and is_hard(sample)
        most = needs(names, sample.objects.shape, boundaries, fine(sample), hard)
        say(f"memory for the solves: at most {most / 1e9:.2g} GB beside the picture")
    for name in names:
        with step(name):
            answers[name], driven[name] = _solve(name, sample, boundaries, driven)
    sample.solids.clear()
    with step("nets"):
        if answers:
            answers[names[0]].columns["net"] = _nets(sample)
    return answers


def parse_length(text):
    """Metres of a text such as "90nm"; InputError where it has no unit or is not above zero."""
    match = re.fullmatch(r"\s*([\d.eE+-]+)\s*([a-zA-Zµμ]+)\s*", str(text))
    try:
        length = tags.metres(*match.groups())
    except (AttributeError, ValueError):
        length = np.nan
    if not 0 < length < 1:
        raise InputError(f"thickness {text!r} is not a length: write a number and a unit, for example 90nm or 0.5um")
    return length


def _solve(name, sample, boundaries, driven):
    if name == "heat":
        return _with_uniform(heat(sample), sample, boundaries)
    if name == "current":
        return _with_uniform(current(sample, boundaries.terminals, boundaries.voltage), sample, boundaries)
    if name == "charge":
        return charge(sample, boundaries.conductors, boundaries.margin), None
    if name == "coupled":
        return coupled(sample, boundaries.terminals, boundaries.voltage, boundaries.cold, boundaries.fixed, boundaries.plane,
                       driven.get("current")), None
    if name == "junction":
        return junction(sample, boundaries.heater, boundaries.cold, boundaries.film), None
    if name == "transient":
        return pulse(sample, boundaries.heater, boundaries.cold, boundaries.film, boundaries.power, boundaries.pulse, boundaries.until), None
    if name == "stiffness":
        return stiffness(sample, boundaries.plane, boundaries.uniform), None
    return stress(sample, boundaries.temperature_change, boundaries.fixed, boundaries.plane), None


def _with_uniform(found, sample, boundaries):
    """(Answer, driven) with the tensors under uniform conditions, where they are wanted and the material is known."""
    answer, driven = found
    if boundaries.uniform and driven is not None:
        answer.facts["tensor_uniform"] = uniform_tensors(driven.k.value, sample)
    return answer, driven


def _nets(sample):
    if not sample.named:
        return np.full(len(sample.phase), -1)
    return find_nets(sample.objects, conductivity(sample).value > 0)
