"""`gridmap run` and its sisters, as sentences: one call a step. An hour, or every hour of a year."""

from dataclasses import replace

from cukernels.backend import choose_device
from cukernels.run import Run

from gridmap import (
    InputError,
    capacity,
    chronicle,
    curves,
    export,
    flow,
    geofiles,
    hours,
    inspection,
    layers,
    ledger,
    line_files,
    match,
    match_lines,
    merge,
    nested,
    output,
    publish,
    read,
    regroup,
    repair,
    scenario,
    siting,
    supply,
    tables,
    year,
)

PACKAGES = ("cukernels-chipmap-gridmap", "numpy", "scipy", "numba", "pandas", "geopandas", "shapely", "pyproj", "pyogrio", "pyarrow", "matplotlib")
MERGED = "merged"


def run(config, out, device="auto", say=print):
    """An hour of a system, or with config.year every hour of a year, mapped into the folder `out`.

    config: a config.Config. device: "auto", "cpu" or "cuda". say: called with a line a step and the headline.
    Returns what results.json holds. Raises InputError, DeviceError, FileExistsError before anything stands in `out`.
    A year cut off goes on after its last whole month when it is started again.
    """
    device = choose_device(device)
    say(f"device: {device.why}")
    solve, headline = (solve_year, output.year_headline) if config.year else (solve_hour, output.headline)
    with Run(out, "gridmap run", config.options(), device, PACKAGES, say=say) as folder:
        inputs = _placed(config, folder, device, say)
        results, regions = solve(inputs, config, device, folder)
        if config.merge:
            with folder.step("merge artefacts"):
                merged, joined = merge.artefacts(inputs, regions)
                (folder.folder / MERGED).mkdir()
                joined.to_csv(folder.folder / MERGED / "joined.csv", index=False)
            second, _ = solve(merged, config, device, folder, MERGED)
        folder.finish()
        year.forget(out)
    for line in headline(results, out):
        say(line)
    if config.merge:
        for line in headline(second, f"{out}/{MERGED}, {len(joined)} regions joined to a neighbour"):
            say(line)
    return results


def where(config, out, mw, which, device="auto", say=print):
    """`gridmap where`: what each region could take in the hours `which` names (`hours.choose`), mapped into `out`.

    As `run` otherwise. Returns what results.json holds.
    """
    _without_groups(config)
    device = choose_device(device)
    say(f"device: {device.why}")
    options = config.options() | {"mw": mw, "hours": which}
    with Run(out, "gridmap where", options, device, PACKAGES, say=say) as folder:
        inputs = _placed(config, folder, device, say)
        with folder.step("choose hours"):
            chosen = hours.choose(inputs, which, config.basis, device)
        with folder.step(f"headroom, {len(chosen)} hours"):
            found = siting.headroom(inputs, chosen, mw, config.basis, device)
        shown = _write_some(inputs, found, folder)
        with folder.step("map"):
            results = output.write_where(folder.folder / "results.json", shown, found)
            publish.draw_where(folder.folder / "map.png", shown, results)
        folder.finish()
    for line in output.where_headline(results, out):
        say(line)
    return results


def compare(config, path, out, which, device="auto", say=print):
    """`gridmap compare`: what the scenario of a TOML file changes in the hours `which` names, mapped into `out`.

    The hours are chosen in the system as it is. As `run` otherwise. Returns what results.json holds.
    """
    _without_groups(config)
    device = choose_device(device)
    say(f"device: {device.why}")
    changes = scenario.read(path)
    with Run(out, "gridmap compare", config.options() | {"scenario": str(path), "hours": which}, device, PACKAGES, say=say) as folder:
        folder.read(path)
        inputs = _placed(config, folder, device, say)
        with folder.step("choose hours"):
            chosen = hours.choose(inputs, which, config.basis, device)
        with folder.step("change"):
            changed = scenario.apply(inputs, changes, path)
        with folder.step(f"before and after, {len(chosen)} hours"):
            found = scenario.difference(inputs, changed, chosen, config.basis, device)
        shown = _write_some(changed, found, folder)
        with folder.step("map"):
            found.hours.to_csv(folder.folder / "hours.csv", index=False, float_format="%.6f", date_format="%Y-%m-%dT%H:%MZ")
            results = output.write_compare(folder.folder / "results.json", shown, found)
            publish.draw_compare(folder.folder / "map.png", shown, results)
        folder.finish()
    for line in output.compare_headline(results, out):
        say(line)
    return results


def match_files(first, second, out, hide_numbers=False, say=print, lines=False):
    """`gridmap match`: the same plants (or with lines=True transmission lines) in two files, into `out`: matches.csv, left_first.csv, left_second.csv, coverage.csv."""
    options = {"first": str(first), "second": str(second), "hide_numbers": hide_numbers, "lines": lines}
    with Run(out, "gridmap match", options, choose_device("cpu"), PACKAGES, say=say) as folder:
        paths = [folder.read(tables.existing(path)) for path in (first, second)]
        if lines:
            results = _match_lines(folder, paths)
        else:
            with folder.step("read"):
                *units, registry, report = match.read_both(*paths)
            with folder.step("match"):
                found = match.match(*units, "" if hide_numbers else registry)
            with folder.step("tables"):
                results = output.write_matches(folder.folder, found, report)
        folder.finish()
    for line in (output.line_match_headline if lines else output.match_headline)(results, out):
        say(line)
    return results


def _without_groups(config):
    if config.nested:
        raise InputError("nested: limits between groups are held by `gridmap run` only; leave nested out")


def _match_lines(folder, paths):
    book = ledger.Ledger()
    with folder.step("read"):
        sides = [line_files.read(path, book)[0] for path in paths]
    with folder.step("match"):
        found = match_lines.match(*sides)
    with folder.step("tables"):
        return output.write_line_matches(folder.folder, found, book.table())


def _placed(config, folder, device, say):
    """Everything read, repaired, placed and joined as the config says; every file noted in the manifest, the layouts of the
    user's own said."""
    with folder.step("read"):
        inputs = read.load(config)
        for path in inputs.files:
            folder.read(path)
    for line in inspection.told(inputs.sources, {path.name for path in config.own_files.values()}):
        say(f"  {line}")
    if inputs.own_lines and inputs.truncated:
        say(f"  lines: {inputs.truncated}; do not take them for the whole grid")
    with folder.step("repair and place"):
        inputs = regroup.regroup(repair.repair(inputs, device=device), config.by)
        for path in regroup.given_files(config.by):
            folder.read(path)
    if config.nested:
        path = config.group_limits
        folder.read(path or tables.DATA / "limits_group.parquet")
        inputs = replace(inputs, interfaces=nested.interfaces(inputs, path))
    return inputs


def _write_some(inputs, found, run):
    with run.step("layers and tables"):
        shown = layers.build_some(inputs, found)
        geofiles.write_geopackage(run.folder / "gridmap.gpkg", shown)
        geofiles.write_geoparquet(run.folder, shown)
        output.write_tables(run.folder, shown, inputs)
    return shown


def solve_hour(inputs, config, device, run, part=""):
    """One hour solved and written to the folder `part` of the run: (what results.json holds, regions with what was found)."""
    place = run.folder / part
    with run.step("balance"):
        balance = supply.balance(inputs, config.hour or inputs.demand.peak_hour(), config.basis)
    with run.step("flows and pockets"):
        found = flow.solve(inputs, balance, device)
    shown = _write_layers(inputs, found, config, run, place)
    with run.step("map"):
        results = output.write_results(place / "results.json", shown, found)
        publish.draw_map(place / "map.png", shown, results)
    return results, found.regions


def solve_year(inputs, config, device, run, part=""):
    """Every hour of config.year, likewise."""
    place = run.folder / part
    months = year.months_of(year.hours_of(inputs, config.year))
    store = year.Store(run.out, part, year.key(run.manifest))
    for month, part_of_year in months.items():
        with run.step(f"{month}, {len(part_of_year)} hours"):
            store.has(month) or store.put(month, year.solve_month(inputs, part_of_year, config.basis, device))
    with run.step("regions and pockets"):
        found = chronicle.tell(inputs, store.read(), config.year, config.basis, capacity.BASES[config.basis].says)
    shown = _write_layers(inputs, found, config, run, place)
    with run.step("map"):
        output.write_hours(place, found)
        results = output.write_year(place / "results.json", shown, found)
        publish.draw_year(place / "map.png", shown, found, results)
    with run.step("hours as Parquet"):
        store.publish(place / "hourly", inputs)
    if "curves" in config.also:
        with run.step("curves"):
            curves.write(place, inputs, months, store.read()["short"], config.basis)
    return results, found.regions


def _write_layers(inputs, found, config, run, place):
    with run.step("layers"):
        shown = layers.build(inputs, found)
    with run.step("GeoPackage, GeoParquet, CSV"):
        geofiles.write_geopackage(place / "gridmap.gpkg", shown)
        geofiles.write_geoparquet(place, shown)
        output.write_tables(place, shown, inputs)
        export.write(place, shown, found, config.also)
    return shown
