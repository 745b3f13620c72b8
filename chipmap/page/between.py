"""Two objects as terminals: the resistance between them, or the capacitance, with certified bounds, from one more solve."""

from dataclasses import replace

import numpy as np
from cukernels.backend import NotConverged, to_host

from chipmap import InputError
from chipmap.charge import charge
from chipmap.physics import conductivity, current
from chipmap.solve import resistance

KINDS = ("resistance", "capacitance")


def between(analysis, kind, first, second, volts, margin, step):
    """(Analysis with the fields of it, what it says): resistance or capacitance between objects `first` and `second`.

    What it says: value, lower, upper (certified for the finite elements of this geometry with these properties), sigma
    and interval_95 (edges and materials, None where not known), unit, and the same of the layer where its thickness is known.
    Raises InputError for objects that can't be terminals, with what to do about it.
    """
    if not analysis.sized:
        raise InputError("the pixel size is not known: give it first, then there are lengths")
    if kind not in KINDS:
        raise InputError(f"{kind!r} is neither resistance nor capacitance")
    count = len(analysis.objects)
    if not (0 <= first < count and 0 <= second < count):
        raise InputError(f"objects {first} and {second}: the picture has 0 to {count - 1}")
    if first == second:
        raise InputError(f"both terminals are object {first}: pick two different objects")
    return (_resistance if kind == "resistance" else _capacitance)(analysis, first, second, volts, margin, step)


def _resistance(analysis, first, second, volts, margin, step):
    if all(analysis.sample.candidates):
        nets = analysis.net[[first, second]]
        if (nets >= 0).all() and nets[0] != nets[1]:
            raise InputError(f"no conductor joins objects {first} and {second} (nets {nets[0]} and {nets[1]}): their resistance is infinite; "
                             "pick two objects of one net, or ask for the capacitance")
    with step("edges"):
        sample = analysis.measured
    with step("current"):
        answer, _ = current(sample, f"{first},{second}", volts)
    if not answer.points:
        raise InputError(answer.note)
    with step("bounds"):
        k = conductivity(sample).value[to_host(sample.objects)]
        terminals = np.select([analysis.objects.labels == first, analysis.objects.labels == second], [1, 2], 0).astype(np.int32)
        dy, dx = sample.pixel_size_m
        try:
            found = resistance(k, terminals, dx, dy)
            value, lower, upper = (float(m[0, 1]) for m in (found.value, found.lower, found.upper))
        except ValueError as error:
            raise InputError(str(error)) from None
        except NotConverged as error:
            raise InputError(f"no resistance: {error}") from None
    doubt = answer.facts["first_against_the_others"]
    sigma = doubt["sigma"] and doubt["sigma"] / doubt["value"] * value
    interval = [1 / end for end in doubt["interval_95"][::-1]] if doubt["sigma"] is not None else None
    told = _told("resistance", first, second, value, lower, upper if np.isfinite(upper) else None, "ohm m", sigma, interval)
    if sample.thickness_m:
        told["of_the_layer"] = _scaled(told, 1 / sample.thickness_m, "ohm", sample.thickness_m)
    return _with(analysis, "current", answer), told


def _capacitance(analysis, first, second, volts, margin, step):
    with step("charge"):
        answer = charge(analysis.sample, f"{first},{second}", margin)
    if not answer.points:
        raise InputError(answer.note)
    matrix = answer.facts["capacitance_matrix"]
    low, value, high = (-matrix[name][0][1] for name in ("upper", "value", "lower"))
    told = _told("capacitance", first, second, value, low, high, "F/m", None, None)
    if analysis.sample.thickness_m:
        told["of_the_layer"] = _scaled(told, analysis.sample.thickness_m, "F", analysis.sample.thickness_m)
    return _with(analysis, "charge", answer), told


def _with(analysis, name, answer):
    return replace(analysis, answers=analysis.answers | {name: answer.host()})


def _told(kind, first, second, value, lower, upper, unit, sigma, interval):
    return {"kind": kind, "objects": [first, second], "value": value, "lower": lower, "upper": upper, "unit": unit, "sigma": sigma,
            "interval_95": interval, "per": "divide by the depth" if kind == "resistance" else "times the depth",
            "bounds": "certified for the finite elements of this geometry with these properties"}


def _scaled(told, factor, unit, thickness_m):
    times = lambda v: None if v is None else factor * v  # noqa: E731
    return {"value": factor * told["value"], "lower": times(told["lower"]), "upper": times(told["upper"]), "unit": unit, "sigma": times(told["sigma"]),
            "interval_95": told["interval_95"] and [factor * v for v in told["interval_95"]], "thickness_nm": thickness_m * 1e9}
