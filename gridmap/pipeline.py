"""`gridmap run`, as a sentence: one call a step. An hour, or every hour of a year."""

from cukernels.backend import choose_device
from cukernels.run import Run

from gridmap import capacity, chronicle, findings, geofiles, layers, output, publish, read, repair, supply, year

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "numba", "pandas", "geopandas", "shapely", "pyproj", "pyogrio", "pyarrow", "matplotlib")


def run(config, out, device="auto", say=print):
    """One hour of a system mapped into the folder `out`.

    config: a config.Config. device: "auto", "cpu" or "cuda". say: called with a line a step and the headline.
    Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    device = choose_device(device)
    say(f"device: {device.why}")
    with Run(out, "gridmap run", config.options(), device, PACKAGES, say=say) as folder:
        inputs = _placed(config, folder)
        with folder.step("balance"):
            balance = supply.balance(inputs, config.hour or inputs.demand.peak_hour(), config.basis)
        with folder.step("flows and pockets"):
            found = findings.solve(inputs, balance, device)
        with folder.step("layers"):
            shown = layers.build(inputs, found)
        _write_layers(shown, inputs, folder)
        with folder.step("map"):
            results = output.write_results(folder.folder / "results.json", shown, found)
            publish.draw_map(folder.folder / "map.png", shown, results)
        folder.finish()
    for line in output.headline(results, out):
        say(line)
    return results


def run_year(config, out, device="auto", say=print):
    """Every hour of config.year, as `run`. Cut off, it goes on after the last whole month when it is started again."""
    device = choose_device(device)
    say(f"device: {device.why}")
    with Run(out, "gridmap run", config.options(), device, PACKAGES, say=say) as folder:
        inputs = _placed(config, folder)
        months = year.months_of(year.hours_of(inputs, config.year))
        store = year.Store(out, year.key(folder.manifest))
        for month, hours in months.items():
            with folder.step(f"{month}, {len(hours)} hours"):
                store.has(month) or store.put(month, year.solve_month(inputs, hours, config.basis, device))
        with folder.step("regions and pockets"):
            found = chronicle.tell(inputs, store.read(), config.year, config.basis, capacity.BASES[config.basis].says)
        with folder.step("layers"):
            shown = layers.build(inputs, found)
        _write_layers(shown, inputs, folder)
        with folder.step("map"):
            output.write_hours(folder.folder, found)
            results = output.write_year(folder.folder / "results.json", shown, found)
            publish.draw_year(folder.folder / "map.png", shown, found, results)
        store.move_to(folder.folder / "hourly")
        folder.finish()
    for line in output.year_headline(results, out):
        say(line)
    return results


def _placed(config, folder):
    with folder.step("read"):
        inputs = read.load(config)
        for path in inputs.files:
            folder.read(path)
    with folder.step("repair and place"):
        return repair.repair(inputs)


def _write_layers(shown, inputs, folder):
    with folder.step("GeoPackage, GeoParquet, CSV"):
        geofiles.write_geopackage(folder.folder / "gridmap.gpkg", shown)
        geofiles.write_geoparquet(folder.folder, shown)
        output.write_tables(folder.folder, shown, inputs)
