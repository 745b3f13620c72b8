"""`gridmap report`: one HTML file of a run, from the run's own files, with every number of its results.json."""

import os
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely
from cupages import report, server
from cupages.report import Raw, table, text

from gridmap import InputError, style
from gridmap.page import looks, runs, shapes, told

STATIC = Path(__file__).parent / "static"
KINDS = {"gridmap where": "where", "gridmap compare": "compare", "gridmap adequacy": "adequacy"}
NAMES = {"hour": "Power by region in one hour", "year": "Power by region through a year", "where": "Where a load or a plant can go",
         "compare": "What a scenario changes", "adequacy": "How likely each region runs short"}
ROWS = 40           # of a table
RULES = 25          # of the repair report
WIDE = 9            # columns of a table that fit on a page
TOLD = {            # what is told of a row of results.json, where its layer is known
    "pockets": ["name", "regions", "supply_mw", "demand_mw", "import_limit_mw", "residual_deficit_mw", "residual_share_pct", "hours_short", "longest_h", "unserved_mwh", "worst_mw",
                "worst_hour", "corridor", "worth_mwh_per_mw", "confidence"],
    "corridors": ["tail", "head", "kind", "forward_mw", "backward_mw", "flow_mw", "loading_pct", "worth_mw", "hours_full", "worth_mwh_per_mw"],
    "regions": ["name", "state", "load_mw", "load_hour", "plant_mw", "before_mwh", "after_mwh", "change_mwh", "worst_change_mw", "confidence"],
    "adequacy": ["name", "state", "demand_mwh", "import_limit_mw", "lole_hours", "lolf", "eue_mwh", "neue_ppm", "chronic"],
}
UNITS = ("mw", "mwh", "h", "ppm")
WORDS = {"mw": "MW", "mwh": "MWh", "lole": "LOLE", "eue": "EUE", "neue": "NEUE", "ppm": "ppm", "lolf": "LOLF", "lold": "LOLD", "cvar": "CVaR", "h": "hours"}
METHOD = {
    "hour": "Every generating unit is placed in a region and counted on the stated basis; demand by area is divided among the regions of each area. "
            "Then the most demand is served that any flow within the limits of the corridors can serve (maximum flow, exact), and what can't be served is shared "
            "so that the largest shares are as small as they can be. Connected regions that then lack one share of their demand behind full corridors are a pocket.",
    "year": "Each hour of the year is solved as an hour of its own: the most demand is served that any flow within the limits can serve (maximum flow, exact), what is "
            "left is shared fairly. A pocket is followed through the year by its seat, the region in it that goes short of the most energy.",
    "where": "For every region and hour the largest new load is found that leaves nobody worse off, and the largest new plant all of whose power is used: one exact "
             "maximum flow each on what the hour leaves over.",
    "compare": "The system as it is and with the scenario's changes are solved in the same hours: the most demand served that any flow within the limits can serve "
               "(maximum flow, exact), what is left shared fairly.",
    "adequacy": "Units fail and are repaired at random, hour by hour, over many drawn years; in each hour the most demand is served that flows within the limits "
                "allow. Means over the years come with their standard errors and 95 % intervals.",
}
HOW_OFTEN = "Confidence ranks how far the data behind a region can be believed (1: nothing speaks against it); it is no probability. A deficit flagged as an artefact contradicts what is known of the world."


def write(folder, out=None, say=print):
    """Write the report of the run in `folder` to out (default: report.html in it). Returns its path. Raises InputError."""
    earlier = runs.read(folder)
    path = Path(out) if out else earlier.folder / "report.html"
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path}: can't be written; give a file in a folder that is there")
    kind = KINDS.get(earlier.command) or ("year" if earlier.is_year else "hour")
    held = _layers(earlier, kind)
    fields = pd.read_csv(earlier.folder / "columns.csv", keep_default_na=False)
    titles = {(row.layer, row.column): row.title for row in fields.itertuples()}
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    try:
        size = report.write(part, f"gridmap: {NAMES[kind]}", _body(earlier, kind, titles, held), {"/page/atlas.mjs": STATIC / "atlas.mjs", "/page/document.mjs": STATIC / "document.mjs"},
                            _data(kind, held, titles), [STATIC / "gridmap.css"])
        part.rename(path)
    except server.PageError as error:
        raise InputError(str(error)) from None
    finally:
        part.unlink(missing_ok=True)
    say(f"report: {path}, {size / 1e6:,.1f} MB")
    return path


def _layers(earlier, kind):
    """{layer: GeoDataFrame} of the run's GeoParquet files."""
    names = ["adequacy"] if kind == "adequacy" else ["regions", "plants", "lines", "corridors", "pockets"]
    paths = {name: earlier.folder / f"{name}.parquet" for name in names}
    if not paths[names[0]].is_file():
        raise InputError(f"{earlier.folder}: lacks {names[0]}.parquet; run it again")
    held = {name: geopandas.read_parquet(path) for name, path in paths.items() if path.is_file()}
    return {"regions": held.pop("adequacy")} if kind == "adequacy" else held


# The map's data


def _data(kind, held, titles):
    regions = held["regions"]
    areas = regions.geometry.to_numpy()
    plane = shapes.around(regions.crs, areas)
    said = "adequacy" if kind == "adequacy" else "regions"
    columns = {c: [round(float(v), 6) for v in regions[c]] for c in regions if pd.api.types.is_numeric_dtype(regions[c]) and c != "pocket_id"}
    about = {
        "metrics": {name: {"title": titles.get((said, name), name), "classes": looks.told(classes)} for name, classes in metrics(kind, regions).items()},
        "columns": columns, "titles": {c: titles.get((said, c), c) for c in columns}, "names": list(regions["name"]), "states": list(regions["state"]), "ids": list(regions["region_id"].astype(str)),
        "flags": list(regions["flag"]) if "flag" in regions else [], "pocket": [int(p) for p in regions["pocket_id"]] if "pocket_id" in regions else [0] * len(regions),
        "bounds": shapes.bounds(plane, areas), "span_km": plane.span / 1000, "fuels": [{"name": n, "colour": c} for n, c in style.FUELS.items()], "voltages": looks.told(style.VOLTAGES),
        "at": shapes.centres(plane, areas).tolist(), "pockets": _named(held, regions),
    }
    data = {"about": told.plain(about), "regions": shapes.regions(plane, areas), "borders": shapes.borders(plane, areas, regions["state"])}
    if len(held.get("plants", ())):
        plants = held["plants"].sort_values("nameplate_mw", ascending=False)
        data["plants"] = shapes._collection(plane.project(plants), n=plants["name"], f=plants["fuel"], m=plants["nameplate_mw"].round(1))
    if len(held.get("lines", ())):
        data["lines"] = shapes._collection(plane.place(shapely.simplify(held["lines"].geometry.to_crs(plane.crs).to_numpy(), shapes.STRAIGHT * plane.span)),
                                            v=held["lines"]["voltage_kv"].fillna(-1))
    return data


def metrics(kind, regions):
    """{column of regions: classes}, the first is shown first."""
    found = {
        "hour": {"balance_mw": lambda v: style.short_or_spare(v, "MW"), "net_mw": lambda v: style.diverging(v, "MW"), "residual_share_pct": lambda v: looks.SHARES},
        "year": {"unserved_pct": lambda v: style.ENERGY_SHARES, "hours_short": lambda v: style.HOURS},
        "where": {"load_mw": lambda v: style.HEADROOMS, "plant_mw": lambda v: style.HEADROOMS},
        "compare": {"change_mwh": lambda v: style.worse_or_better(v, "MWh"), "after_mwh": looks.lacking},
        "adequacy": {"lole_hours": lambda v: style.LOLE, "neue_ppm": lambda v: style.NEUE},
    }[kind] | {"confidence": lambda v: looks.CONFIDENCES}
    return {name: classes(regions[name].to_numpy(float)) for name, classes in found.items() if name in regions}


def _named(held, regions):
    """[{at: row, name, says}] of the pockets, the largest deficit first."""
    pockets = held.get("pockets", ())
    if not len(pockets):
        return []
    column, unit = ("residual_deficit_mw", "MW") if "residual_deficit_mw" in pockets else ("unserved_mwh", "MWh")
    names = {f"{n}, {s}" if s else n: r for r, (n, s) in enumerate(zip(regions["name"], regions["state"]))}
    return [{"at": names[p["name"]], "name": p["name"], "says": f"{p[column]:,.4g} {unit}"} for p in pockets.drop(columns="geometry").to_dict("records") if p["name"] in names]


# The text


def _body(earlier, kind, titles, held):
    results, manifest = earlier.results, earlier.manifest
    when = results.get("hour") or results.get("year") or results.get("from") or ", ".join(str(h) if isinstance(h, str) else str(h.get("hour", "")) for h in results.get("hours", [])[:3])
    head = [f"<h1>{text(NAMES[kind])}</h1>", f'<p class="soft">{text(when)}, {len(held["regions"]):,} regions by {text(earlier.by)}'
            + (f', {text(results["basis"])} capacity: {text(results["basis_counts"])}' if "basis_counts" in results else "") + f'. Made by {text(earlier.command)} on {text(manifest["started_utc"])}.</p>']
    numbers = sorted(_numbers(results), key=lambda item: not item[0].startswith("system /"))
    figures = "".join(f'<div class="figure"><b data-key="{text(key)}" data-value="{number["value"]!r}">{text(_value(number["value"]))} {text(number["unit"])}</b>{text(_title(key))}</div>' for key, number in numbers[:8])
    stage = ('<div class="row on-screen"><label class="field"><span>Colour regions by</span><select id="metric"></select></label><span class="grow"></span><span id="layers" class="row"></span></div>'
             '<div class="stage-box"><div id="map" class="stage"></div><div id="hover" class="hover card" hidden></div><div id="scale" class="float bottom-left scale-bar"></div></div><img id="printed" class="printed" alt="The map as it was last shown">'
             '<div id="legend" class="columns"></div><p data-report-error class="bad" hidden></p><div id="region" class="on-screen"></div>')
    return "\n".join([*head, f'<div class="figures">{figures}</div>', "<h2>Map</h2>", stage, "<h2>Numbers</h2>", _number_table(numbers), *_tables(results, kind, titles), *_regions(held, kind, titles),
                      "<h2>Method</h2>", f"<p>{text(METHOD[kind])}</p><p>{text(HOW_OFTEN)}</p>", *_data_section(earlier), *_made(manifest)])


def _numbers(results, before=""):
    """(key, {value, unit, how ...}) of everything in results.json that is a number with a unit."""
    for key, value in results.items():
        if isinstance(value, dict):
            if "value" in value and "unit" in value:
                yield before + key, value
            else:
                yield from _numbers(value, f"{before}{key} / ")


def _number_table(numbers):
    def doubt(n):
        if "standard_error" in n:
            return f'{_value(n["lower"])} to {_value(n["upper"])} (95 %)'
        return f'{_value(n["lower"])} to {_value(n["upper"])}: {n["doubt"]}' if "lower" in n else ""

    rows = [[_title(key), Raw(f'<span data-value="{n["value"]!r}">{text(_value(n["value"]))}</span>'), n["unit"], doubt(n), n.get("how", "")] for key, n in numbers]
    return table(["Number", "Value", "Unit", "Doubt", "How"], rows, "numbers")


def _tables(results, kind, titles):
    """A table for every list of rows in results.json."""
    layers = {"pockets": "pockets", "bottlenecks": "corridors", "corridors": "corridors", "worst": "adequacy" if kind == "adequacy" else "regions"}
    for key, rows, layer in _lists(results, layers):
        if not rows:
            continue
        plain = [c for c in rows[0] if not any(isinstance(r.get(c), dict | list) for r in rows)]
        columns = ([c for c in TOLD.get(layer, ()) if c in plain] or plain)[:WIDE]
        yield f"<h3>{text(_title(key))}</h3>" + table([titles.get((layer, c), _title(c)) for c in columns], [[told.plain(r.get(c, "")) if r.get(c) is not None else "" for c in columns] for r in rows[:ROWS]])
        if len(rows) > ROWS:
            yield f'<p class="soft">{len(rows) - ROWS} more in results.json.</p>'


def _lists(results, layers, layer=""):
    for key, value in results.items():
        here = layer or layers.get(key, "")
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield key, value, here
        elif isinstance(value, dict):
            for inner, rows, inner_layer in _lists(value, layers, here):
                yield f"{key}, {inner}" if inner == "worst" else inner, rows, inner_layer


def _regions(held, kind, titles):
    """The regions with the most of what the run is about."""
    regions, said = held["regions"], "adequacy" if kind == "adequacy" else "regions"
    column, largest = {"hour": ("residual_deficit_mw", True), "year": ("unserved_mwh", True), "where": ("load_mw", True), "compare": ("change_mwh", True), "adequacy": ("eue_mwh", True)}[kind]
    shown = {"hour": ["supply_mw", "demand_mw", "residual_deficit_mw", "residual_share_pct", "import_limit_mw", "confidence"],
             "year": ["demand_mwh", "unserved_mwh", "unserved_pct", "hours_short", "worst_mw", "worst_hour", "confidence"],
             "where": ["load_mw", "load_hour", "cut_name", "cut_limit_mw", "plant_mw", "confidence"],
             "compare": ["before_mwh", "after_mwh", "change_mwh", "short_before_h", "short_after_h", "confidence"],
             "adequacy": ["demand_mwh", "lole_hours", "lole_hours_error", "eue_mwh", "eue_mwh_error", "neue_ppm"]}[kind]
    shown = [c for c in ("region_id", "name", "state", *shown) if c in regions]
    most = regions.reindex(regions[column].abs().sort_values(ascending=not largest, kind="stable").index).head(ROWS)
    most = most[most[column].abs() > style.NOTHING]
    if len(most):
        yield f"<h3>Regions, by {text(titles.get((said, column), column))}</h3>" + table([titles.get((said, c), c) for c in shown], told.plain(most[shown].to_numpy(object).tolist()))


def _data_section(earlier):
    yield "<h2>Data</h2>"
    account = earlier.folder / "account.csv"
    if account.is_file():
        rows = pd.read_csv(account)
        yield "<h3>Where every MW went</h3>" + table(["File", "Where", "Units", "Nameplate MW", "Summer MW", "Winter MW"], told.plain(rows.to_numpy(object).tolist()))
    repair = earlier.folder / "repair.csv"
    if repair.is_file():
        rows = pd.read_csv(repair, dtype={"row": "Int64"}, keep_default_na=False, na_values={"mw": [""], "row": [""]})
        by_rule = rows.groupby(["file", "rule", "action"]).agg(lines=("rule", "size"), mw=("mw", "sum")).reset_index().sort_values("lines", ascending=False)
        yield "<h3>What was noticed and done</h3>" + table(["File", "What", "Done", "Lines", "MW concerned"], told.plain(by_rule.head(RULES).to_numpy(object).tolist()))
        if len(by_rule) > RULES:
            yield f'<p class="soft">{len(by_rule) - RULES} more kinds in repair.csv.</p>'


def _made(manifest):
    yield "<h2>How it was made</h2>"
    options = {k: v for k, v in manifest["options"].items() if v}
    yield table(["Option", "Value"], [[k, str(v)] for k, v in ({"command": manifest["command"]} | options | ({} if manifest.get("seed") is None else {"seed": manifest["seed"]})).items()])
    yield "<h3>Versions</h3>" + table(["Package", "Version"], [[k, str(v)] for k, v in manifest["versions"].items()] + [["device", f'{manifest["device"]["kind"]} ({manifest["device"]["why"]})']])
    yield "<h3>Files read</h3>" + _hashes(manifest["inputs"])
    yield "<h3>Files written</h3>" + _hashes(manifest.get("outputs", []))
    yield "<h3>Steps</h3>" + table(["Step", "Seconds", "Peak memory MB"], [[s["step"], float(s["seconds"]), s["peak_memory_mb"]] for s in manifest["steps"]])


def _hashes(files):
    return table(["File", "Bytes", "SHA-256"], [[f["file"], f["bytes"], Raw(f"<code>{text(f['sha256'])}</code>")] for f in files], "hashes")


def _value(value):
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "\N{EN DASH}"
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _title(key):
    """A key of results.json in words; its unit stands beside it."""
    *first, last = key.split("_")
    key = "_".join(first) if first and last in UNITS else key
    words = " ".join(WORDS.get(w, w) for w in key.replace("_", " ").split())
    return words[:1].upper() + words[1:]
