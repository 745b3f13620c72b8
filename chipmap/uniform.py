"""Effective tensors under uniform conditions all round the picture, between which those in any surroundings lie."""

import numpy as np
from cukernels.backend import NotConverged, array_module

from chipmap.solve import effective_conductivity, effective_stiffness

CLOSE = 1e-5        # of a field whose energy alone is used
WHAT = {"gradient": "potentials of a uniform gradient on all sides: no surroundings make it more", "flux": "a uniform flux through all sides: none make it less",
        "displacement": "displacements of a uniform strain on all sides: no surroundings make it more",
        "traction": "a uniform stress on all sides: none make it less"}


def uniform_tensors(k, sample):
    """For results.json: conductivity (2, 2) under a uniform gradient, and a uniform flux; k: (K,) of the objects."""
    xp, (dy, dx) = array_module(sample.objects), sample.pixel_size_m
    field = xp.asarray(np.asarray(k))[sample.objects]
    return {name: _told(name, lambda name=name: effective_conductivity(field, 1.0, dy / dx, CLOSE, name).value) for name in ("gradient", "flux")}


def uniform_stiffness(modulus, ratio, aspect, plane, unit_pa):
    """For results.json: stiffness (3, 3), Pa, under a uniform strain, and a uniform stress. modulus, ratio: (H, W), in units of unit_pa."""
    return {name: _told(name, lambda name=name: unit_pa * effective_stiffness(modulus, ratio, 1.0, aspect, plane, boundary=name).value)
            for name in ("displacement", "traction")}


def _told(name, solve):
    try:
        return {"value": np.asarray(solve()).tolist(), "boundary": WHAT[name]}
    except (ValueError, NotConverged) as error:       # insulators, or voids, on a side
        return {"value": None, "why_none": str(error), "boundary": WHAT[name]}
