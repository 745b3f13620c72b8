"""`gridmap adequacy`, as a sentence: one call a step."""

import pathlib

import numpy as np
import pandas as pd
from cukernels.backend import choose_device
from cukernels.run import Run, write_json

from gridmap import InputError, geofiles, layers, publish, read, regroup, repair, year
from gridmap.adequacy.fleet import system_of
from gridmap.adequacy.result import NAMES
from gridmap.adequacy.simulation import simulate

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "numba", "pandas", "geopandas", "shapely", "matplotlib")
CHRONIC = 0.1  # share of the hours: a region short more often has a hole in its data rather than bad luck
PILOT = 3  # samples that find them beforehand
SOUND = "regions not chronic"
HOW = {
    "lole_hours": ("h", "mean over samples of the hours short"),
    "lole_days": ("days", "mean over samples of the days short at their tightest hour"),
    "lold": ("days", "mean over samples of the days with any hour short"),
    "lolf": ("shortages", "mean over samples of the shortages that begin"),
    "mean_duration_h": ("h", "hours short / shortages"),
    "eue_mwh": ("MWh", "mean over samples of the energy not served"),
    "neue_ppm": ("ppm", "of the energy asked for"),
    "cvar_mwh": ("MWh", "mean energy not served of the worst twentieth of the samples"),
    "worst_mw": ("MW", "mean over samples of the worst hour"),
}


def run(config, out, samples=100, seed=0, repair_h=24.0, relative_error=None, device="auto", say=print):
    """Loss-of-load indices of every region by `samples` drawn years, written to the folder `out`.

    config: a config.Config; config.year: the hours, all of the demand's without one. The rest as `simulate`.
    A run cut off goes on from its last sums when it is started again. Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    device = choose_device(device)
    say(f"device: {device.why}")
    kept = pathlib.Path(out).parent / f".{pathlib.Path(out).name}.samples.npz"
    options = config.options() | {"samples": samples, "repair_hours": repair_h, "relative_error": relative_error}
    with Run(out, "gridmap adequacy", options, device, PACKAGES, seed=seed, say=say) as folder:
        with folder.step("read"):
            inputs = read.load(config)
            for path in inputs.files:
                folder.read(path)
        with folder.step("repair and place"):
            inputs = regroup.regroup(repair.repair(inputs), config.by)
            for path in regroup.given_files(config.by):
                folder.read(path)
        with folder.step("units"):
            hours = year.hours_of(inputs, config.year) if config.year else inputs.demand.hours
            system = system_of(inputs, hours, repair_h)
        with folder.step(f"up to {samples} samples"):
            groups = _groups(inputs.regions) | _sound(system, seed, device)
            found = simulate(system, samples, seed, groups=groups, relative_error=relative_error, device=device, keep=kept)
        with folder.step("tables and layer"):
            layer = _layer(inputs, found)
            results = _write(folder.folder, inputs, layer, found, hours)
        with folder.step("map"):
            publish.draw_adequacy(folder.folder / "map.png", layer, results)
        folder.finish()
        kept.unlink(missing_ok=True)
    for line in _headline(results, out):
        say(line)
    return results


def _groups(regions):
    """{interconnect: regions} where there are several."""
    if "interconnect" not in regions or regions["interconnect"].nunique() < 2:
        return {}
    known = regions[regions["interconnect"] != ""]
    return {f"{name} interconnect": list(part["region_id"].astype(str)) for name, part in known.groupby("interconnect")}


def _sound(system, seed, device):
    """{SOUND: regions that the first samples don't show as chronic} where they show any: the system without its holes."""
    first = simulate(system, PILOT, seed, device=device).table().iloc[:-1]
    sound = list(first["place"][first["lole_hours"] <= CHRONIC * len(system.load)])
    return {SOUND: sound} if 0 < len(sound) < len(first) else {}


def _layer(inputs, found):
    """The layer "adequacy" with the columns that fields.csv names for it, a row a region."""
    crs, shapes = layers.shapes(inputs)
    numbers = found.table().iloc[:found.regions].drop(columns=["place", "kind"])
    into = sum(np.bincount(inputs.corridors[end], inputs.corridors[way], found.regions) for end, way in (("head", "forward_mw"), ("tail", "backward_mw")))
    known = pd.DataFrame(inputs.regions)[["region_id", "name", "state"]].reset_index(drop=True)
    table = known.assign(demand_mwh=found.energy_mwh[:found.regions], import_limit_mw=into,
                         chronic=(numbers["lole_hours"] > CHRONIC * found.count.shape[1]).astype(int)).join(numbers)
    return layers.layer("adequacy", "adequacy", table, shapes, crs)


def _write(folder, inputs, layer, found, hours):
    geofiles.write_geopackage(folder / "adequacy.gpkg", {"adequacy": layer})
    geofiles.write_geoparquet(folder, {"adequacy": layer})
    layer.drop(columns="geometry").to_csv(folder / "regions.csv", index=False, float_format="%.6f")
    found.table().iloc[found.regions:].to_csv(folder / "groups.csv", index=False, float_format="%.6f")
    layers.explanations("adequacy").query("layer == 'adequacy'").to_csv(folder / "columns.csv", index=False)
    inputs.report.to_csv(folder / "repair.csv", index=False)
    system = found.system
    pd.DataFrame(dict(hour_utc=[h.strftime("%Y-%m-%dT%H:%MZ") for h in hours], lolp=system.lolp, lolp_error=system.lolp_error,
                      eue_mwh=system.eue_hour_mwh)).to_csv(folder / "hours.csv", index=False, float_format="%.6f")
    chronic = layer[layer["chronic"] == 1]
    results = {
        "from": hours[0].strftime("%Y-%m-%dT%H:%MZ"), "hours": len(hours), "regions": found.regions, "samples": found.samples, "seed": found.seed,
        **{place: _numbers(found[place]) for place in found.places[found.regions:]},
        "chronic": {"value": len(chronic), "unit": "regions", "how": f"short in more than {CHRONIC:.0%} of the hours: look for holes in the data first",
                    "regions": list(chronic["region_id"]), "eue_mwh": float(chronic["eue_mwh"].sum())},
        "worst": layer.drop(columns="geometry").nlargest(10, "eue_mwh").query("eue_mwh > 0").to_dict("records"),
    }
    write_json(folder / "results.json", results)
    return results


def _numbers(place):
    numbers = {}
    for name in NAMES:
        found = getattr(place, name)
        unit, how = HOW[name]
        numbers[name] = {"value": found.value, "unit": unit, "standard_error": found.error, "lower": found.low, "upper": found.high, "how": how}
    return numbers


def _headline(results, out):
    system = results["system"]
    yield f"{results['hours']:,} hours from {results['from']}, {results['regions']:,} regions, {results['samples']:,} samples"
    for name in ("lole_hours", "eue_mwh", "neue_ppm"):
        number = system[name]
        yield f"  {name:<12} {number['value']:>14,.3f} {number['unit']}, standard error {number['standard_error']:,.3f}"
    chronic = results["chronic"]
    if chronic["value"]:
        yield f"  {chronic['eue_mwh']:,.0f} MWh of it in {chronic['value']} regions, {chronic['how']}"
    if SOUND in results:
        lole, eue = results[SOUND]["lole_hours"], results[SOUND]["eue_mwh"]
        yield f"  in the others {lole['value']:,.3f} h (standard error {lole['standard_error']:,.3f}), {eue['value']:,.0f} MWh ({eue['standard_error']:,.0f})"
    yield f"results: {out}"


def check(samples, repair_h, relative_error):
    """Refuse numbers that make no study, by option."""
    if samples < 2:
        raise InputError(f"--samples {samples}: draw 2 or more")
    if not repair_h >= 1:
        raise InputError(f"--repair-hours {repair_h}: give hours from 1 up")
    if relative_error is not None and not 0 < relative_error < 1:
        raise InputError(f"--relative-error {relative_error}: give a share between 0 and 1")
