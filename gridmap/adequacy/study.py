"""`gridmap adequacy` and its sisters, as sentences: one call a step."""

import pathlib
import time
from dataclasses import dataclass

from cukernels.backend import choose_device
from cukernels.run import Run

from gridmap import InputError, publish, read, regroup, repair, scenario, year
from gridmap.adequacy import credit, study_files, temperature
from gridmap.adequacy.fleet import STORAGE, by_hour_or_not, system_of
from gridmap.adequacy.result import paired
from gridmap.adequacy.simulation import simulate
from gridmap.adequacy.study_files import CHRONIC, SOUND

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "numba", "pandas", "geopandas", "shapely", "matplotlib")
PILOT = 3  # samples that find them beforehand
SAY_S = 5.0  # seconds between two lines about progress


@dataclass(frozen=True)
class Wish:
    """What is drawn and how: as `simulate` and `fleet.system_of` say. temperature: path of a file, or None."""

    samples: int = 100
    seed: int = 0
    repair_h: float = 24.0
    relative_error: float | None = None
    storage: str = "auto"
    temperature: str | None = None
    scheduler: str | None = None

    def __post_init__(self):
        if self.samples < 2:
            raise InputError(f"--samples {self.samples}: draw 2 or more")
        if not self.repair_h >= 1:
            raise InputError(f"--repair-hours {self.repair_h}: give hours from 1 up")
        if self.relative_error is not None and not 0 < self.relative_error < 1:
            raise InputError(f"--relative-error {self.relative_error}: give a share between 0 and 1")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed {self.seed}: give a number from 0 up")
        if self.storage not in STORAGE:
            raise InputError(f"--storage {self.storage!r}: give {' or '.join(STORAGE)}")
        if self.temperature is not None and not pathlib.Path(self.temperature).is_file():
            raise InputError(f"{self.temperature}: there is no such file; correct --temperature")

    def options(self):
        return {"samples": self.samples, "repair_hours": self.repair_h, "relative_error": self.relative_error, "storage": self.storage,
                "temperature": str(self.temperature or ""), "scheduler": self.scheduler}


def run(config, out, wish, change=None, device="auto", say=print):
    """Loss-of-load indices of every region by drawn years, written to the folder `out`.

    config: a config.Config; config.year: the hours, all of the demand's without one. wish: a `Wish`. change: path of a scenario
    (`gridmap.scenario`): the system as it is and with the changes, on the same draws, and the paired differences.
    A run cut off goes on from its last sums when it is started again. Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    device = choose_device(device)
    say(f"device: {device.why}")
    changes = scenario.read(change) if change else None
    options = config.options() | wish.options() | ({"scenario": str(change)} if change else {})
    with Run(out, "gridmap adequacy", options, device, PACKAGES, seed=wish.seed, say=say) as folder:
        inputs, hours, celsius = _read(config, wish, folder)
        with folder.step("units"):
            system = system_of(inputs, hours, wish.repair_h, wish.storage, celsius)
        groups, kept = None, [_sums_file(out, "samples")]
        with folder.step(f"up to {wish.samples} samples"):
            groups = _groups(inputs.regions) | _sound(system, wish.seed, device)
            found = _simulate(system, wish, groups, device, kept[0], say)
        difference = after = None
        if change:
            folder.read(change)
            with folder.step("the scenario on the same draws"):
                changed = scenario.apply(inputs, changes, change)
                kept.append(_sums_file(out, "after"))
                after = _simulate(system_of(changed, hours, wish.repair_h, wish.storage, celsius), wish, groups, device, kept[1], say, found.samples)
                difference = paired(after, found)
        with folder.step("tables and layers"):
            shown = study_files.layers_of(inputs, found, difference)
            results = study_files.write(folder.folder, inputs, shown, found, hours, after, difference)
        with folder.step("map"):
            publish.draw_adequacy(folder.folder / "map.png", shown["adequacy"], results)
            if change:
                publish.draw_adequacy_change(folder.folder / "change.png", shown["adequacy_change"], results)
        folder.finish()
        for path in kept:
            path.unlink(missing_ok=True)
    for line in study_files.headline(results, out):
        say(line)
    return results


def fits(config, out, wish, regions, standard=credit.STANDARD, metric="lold", device="auto", say=print):
    """`gridmap fits`: how much more steady load each of the regions takes before its LOLE passes the standard, into `out`."""
    device = choose_device(device)
    say(f"device: {device.why}")
    if not standard > 0:
        raise InputError(f"--standard {standard:g}: give days a year above 0")
    if metric not in credit.COLUMNS:
        raise InputError(f"--metric {metric!r}: give {', '.join(credit.COLUMNS)}")
    options = config.options() | wish.options() | {"fit_regions": list(regions), "standard": standard, "metric": metric}
    with Run(out, "gridmap fits", options, device, PACKAGES, seed=wish.seed, say=say) as folder:
        inputs, hours, celsius = _read(config, wish, folder)
        _known(regions, inputs)
        with folder.step("units"):
            system = system_of(inputs, hours, wish.repair_h, wish.storage, celsius)
        found = {}
        for region in regions:
            with folder.step(f"load in {region}"):
                found[region] = credit.room_for_load(system, region, wish.samples, wish.seed, standard=standard, metric=metric, device=device, scheduler=wish.scheduler)
        with folder.step("tables"):
            results = study_files.write_fits(folder.folder, inputs, found, standard, metric, hours, wish)
        folder.finish()
    for line in study_files.fits_headline(results, out):
        say(line)
    return results


def worth(config, out, wish, change, region, metric="eue_mwh", device="auto", say=print):
    """`gridmap worth`: what a scenario's additions are worth in a region, as load carried and as firm capacity, into `out`."""
    device = choose_device(device)
    say(f"device: {device.why}")
    if metric not in credit.COLUMNS:
        raise InputError(f"--metric {metric!r}: give {', '.join(credit.COLUMNS)}")
    changes = scenario.read(change)
    with Run(out, "gridmap worth", config.options() | wish.options() | {"scenario": str(change), "worth_region": region, "metric": metric}, device,
             PACKAGES, seed=wish.seed, say=say) as folder:
        folder.read(change)
        inputs, hours, celsius = _read(config, wish, folder)
        _known([region], inputs)
        with folder.step("units"):
            make = lambda i: system_of(i, hours, wish.repair_h, wish.storage, celsius)  # noqa: E731
            before, after = make(inputs), make(scenario.apply(inputs, changes, change))
            part = after.reach(region)
            before, after = before.part(part), after.part(part)
        how = dict(metric=metric, device=device, scheduler=wish.scheduler)
        with folder.step("load carried"):
            carried = credit.carries(before, after, region, wish.samples, wish.seed, **how)
        with folder.step("firm capacity"):
            firm = credit.firm_equal(before, after, region, wish.samples, wish.seed, **how)
        with folder.step("tables"):
            results = study_files.write_worth(folder.folder, region, metric, carried, firm, hours, wish)
        folder.finish()
    for line in study_files.worth_headline(results, out):
        say(line)
    return results


def _read(config, wish, folder):
    """(inputs repaired and joined, hours, temperatures or None)."""
    with folder.step("read"):
        inputs = read.load(config)
        for path in inputs.files:
            folder.read(path)
    with folder.step("repair and place"):
        inputs = regroup.regroup(repair.repair(inputs), config.by)
        for path in regroup.given_files(config.by):
            folder.read(path)
    folder.manifest["storage"] = by_hour_or_not(wish.storage, len(inputs.regions))
    hours, celsius = year.hours_of(inputs, config.year) if config.year else inputs.demand.hours, None
    if wish.temperature:
        with folder.step("temperatures"):
            celsius = temperature.read(folder.read(wish.temperature), inputs.regions, hours)
    return inputs, hours, celsius


def _simulate(system, wish, groups, device, kept, say, samples=None):
    begun = said = time.monotonic()

    def progress(done):
        nonlocal said
        if time.monotonic() - said > SAY_S:
            said = time.monotonic()
            say(f"  {done:,} of {samples or wish.samples:,} samples, {said - begun:,.0f} s")

    return simulate(system, samples or wish.samples, wish.seed, groups=groups, relative_error=None if samples else wish.relative_error, device=device,
                    scheduler=wish.scheduler, keep=kept, say=progress)


def _sums_file(out, name):
    return pathlib.Path(out).parent / f".{pathlib.Path(out).name}.{name}.npz"


def _known(regions, inputs):
    ids = inputs.regions["region_id"].astype(str)
    for region in regions:
        if region not in set(ids):
            raise InputError(f"--region {region}: there is no such region; there are {', '.join(ids[:12])} ...")


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

