"""`gridmap run`, as a sentence: one call a step."""

from cukernels.backend import choose_device
from cukernels.run import Run

from gridmap import findings, geofiles, layers, output, publish, read, repair, supply

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "numba", "pandas", "geopandas", "shapely", "pyproj", "pyogrio", "pyarrow", "matplotlib")


def run(config, out, device="auto", say=print):
    """One hour of a system mapped into the folder `out`.

    config: a config.Config. device: "auto", "cpu" or "cuda". say: called with a line a step and the headline.
    Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    """
    device = choose_device(device)
    say(f"device: {device.why}")
    with Run(out, "gridmap run", config.options(), device, PACKAGES, say=say) as folder:
        with folder.step("read"):
            inputs = read.load(config)
            for path in inputs.files:
                folder.read(path)
        with folder.step("repair and place"):
            inputs = repair.repair(inputs)
        with folder.step("balance"):
            balance = supply.balance(inputs, config.hour or inputs.demand.peak_hour(), config.basis)
        with folder.step("flows and pockets"):
            found = findings.solve(inputs, balance, device)
        with folder.step("layers"):
            shown = layers.build(inputs, found)
        with folder.step("GeoPackage and GeoParquet"):
            geofiles.write_geopackage(folder.folder / "gridmap.gpkg", shown)
            geofiles.write_geoparquet(folder.folder, shown)
        with folder.step("tables and map"):
            output.write_tables(folder.folder, shown, inputs)
            results = output.write_results(folder.folder / "results.json", shown, found)
            publish.draw_map(folder.folder / "map.png", shown, results)
        folder.finish()
    for line in output.headline(results, out):
        say(line)
    return results
