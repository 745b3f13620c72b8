"""Reading .pras files: HDF5, versions 0.5 to 0.8 of the format, hours by regions and assets."""

import re

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy.system import System

_POWER = {"kW": 1e-3, "MW": 1.0, "GW": 1e3, "TW": 1e6}


def read_pras(path):
    """A `System` of a .pras file: hourly steps; chances of failure and repair that don't change with time.

    Generators, storage, generators with storage, lines and interfaces are read. Of a generator with storage the inflow fills
    the store up to its charge capacity, the grid fills it by what it may withdraw, and it gives what both its discharge and
    its grid injection capacity allow. A file with demand response, which must be paid back within a given time, is refused,
    not read in part. Raises InputError naming the file and what is wrong with it.
    Source: the file format of PRAS (NREL), https://github.com/NREL/PRAS.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path}: .pras files are HDF5; pip install h5py") from None
    try:
        with h5py.File(path) as file:
            return _system(path, file)
    except OSError as error:
        raise InputError(f"{path}: can't be read as HDF5 ({error}); give a .pras file") from None


def _system(path, file):
    attribute = lambda name: _text(file.attrs[name]) if name in file.attrs else ""  # noqa: E731
    version = re.fullmatch(r"v0\.([5-8])\.\d+", attribute("pras_dataversion"))
    if not version:
        raise InputError(f"{path}: pras_dataversion is {attribute('pras_dataversion')!r}; versions 0.5 to 0.8 are read")
    if (attribute("timestep_unit"), int(file.attrs["timestep_length"])) != ("h", 1):
        raise InputError(f"{path}: steps of {file.attrs['timestep_length']} {attribute('timestep_unit')}; hours are read, resample it")
    _refuse(path, file)
    scale = _POWER[attribute("power_unit")]
    regions = _names(file["regions/_core"], "name")
    core, capacity = file["generators/_core"], file["generators/capacity"][:] * scale
    units = pd.DataFrame(dict(name=_names(core, "name"), region=_names(core, "region"), capacity_mw=capacity.max(axis=0), **_chances(path, file["generators"])))
    changes = np.ptp(capacity, axis=0) > 0
    ratings = pd.DataFrame(capacity[:, changes], columns=units["name"][changes])
    limits = {}
    for name, group in (("corridors", "lines"), ("interfaces", "interfaces")):
        if group in file:
            limits[name] = _limits(path, file[group], scale)
    if "lines" in file:
        limits["corridors"] = limits["corridors"].assign(**_chances(path, file["lines"]))
    energy = _POWER[attribute("energy_unit").removesuffix("h")] if "energy_unit" in file.attrs else scale
    stores = [_storage(path, file[group], scale, energy, group) for group in ("storages", "generatorstorages") if group in file and len(file[group]["_core"])]
    if stores:
        limits["storage"] = pd.concat(stores, ignore_index=True)
        limits["inflow"] = _inflow(file, scale)
    start = pd.Timestamp(attribute("start_timestamp"))
    return System(tuple(regions), file["regions/load"][:] * scale, units, ratings=ratings, start=start, **limits)


def _refuse(path, file):
    """What can't be simulated."""
    if "demandresponses" in file and len(file["demandresponses/_core"]):
        raise InputError(f"{path}: it has demandresponses, whose time of payback is not simulated; write a file without them and give `responses`")


def _storage(path, group, power, energy, kind):
    steady = lambda name: _steady(path, group[name])  # noqa: E731
    names = _names(group["_core"], "name")
    gives, takes, inflow = steady("dischargecapacity"), steady("chargecapacity"), ""
    if kind == "generatorstorages":
        gives, takes = (np.minimum(a, _least(group[b])) for a, b in ((gives, "gridinjectioncapacity"), (takes, "gridwithdrawalcapacity")))
        inflow = names if group["inflow"][:].any() else ""
    return pd.DataFrame(dict(
        name=names, region=_names(group["_core"], "region"), power_mw=gives * power, charge_mw=takes * power,
        energy_mwh=steady("energycapacity") * energy, charge_efficiency=steady("chargeefficiency"), discharge_efficiency=steady("dischargeefficiency"),
        carryover_efficiency=steady("carryoverefficiency"), inflow=inflow, **_chances(path, group)))


def _least(data):
    """The least of the hours: a capacity that changes with time counts no more than that."""
    return data[:].astype(float).min(axis=0)


def _inflow(file, power):
    """(T, W) MW of water by generator with storage, no more than it can take in."""
    if "generatorstorages" not in file or not file["generatorstorages/inflow"][:].any():
        return pd.DataFrame()
    group = file["generatorstorages"]
    water = np.minimum(group["inflow"][:], group["chargecapacity"][:]).astype(float) * power
    return pd.DataFrame(water, columns=_names(group["_core"], "name"))


def _limits(path, group, scale):
    core = group["_core"]
    return pd.DataFrame(dict(tail=_names(core, "region_from"), head=_names(core, "region_to"),
                             forward_mw=_steady(path, group["forwardcapacity"]) * scale, backward_mw=_steady(path, group["backwardcapacity"]) * scale))


def _chances(path, group):
    """Chances an hour of failing f and of repair b: out f / (f + b) of the time, 1 / b hours at a time."""
    fail, back = _steady(path, group["failureprobability"]), _steady(path, group["repairprobability"])
    return dict(forced_outage_rate=np.where(fail > 0, fail / np.maximum(fail + back, 1e-300), 0.0), mttr_h=np.where(fail > 0, 1 / np.maximum(back, 1e-12), 1.0))


def _steady(path, data):
    values = data[:].astype(float)
    if (np.ptp(values, axis=0) > 0).any():
        raise InputError(f"{path}: {data.name} changes with time in column {int(np.argmax(np.ptp(values, axis=0) > 0))}; only load and capacity of generators may")
    return values[0]


def _names(core, field):
    return [_text(name) for name in core[:][field]]


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)
