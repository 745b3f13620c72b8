"""`chipmap report RUN`: one HTML file with the picture to look into, the tables, the method and where it all comes from.

Numbers are those of results.json and the CSV files, which the file also holds as they are (under the name `results`).
"""

import csv
import json
import pathlib

import numpy as np

from chipmap import InputError
from chipmap.page.fields import fields_of
from chipmap.page.runs import answers_of, read_run

STATIC = pathlib.Path(__file__).parent / "static"
MOST_BYTES = 12_000_000
SIDES = (3072, 2048, 1280, 768)     # longest side of the pictures inside: the largest with which the file stays below MOST_BYTES
FIELD_SIDE = 1024
MOST_ROWS = 60                      # of a table; the CSV beside the run has all
SHOWN = {
    "objects.csv": ("object", "material", "kind", "width_nm", "width_sd_nm", "length_nm", "area_nm2", "area_sd_nm2", "touches_border", "confidence", "net"),
    "lines.csv": None, "nets.csv": None, "terminals.csv": None, "capacitance.csv": None, "layers.csv": None,
}


def write_report(folder, path):
    """Write the report of a run's folder to `path`, whole or not at all; returns the path.

    Raises InputError for a folder that is no run, or has no picture (made by an earlier version), and where the file
    can't be written.
    """
    from cupages import report as pages
    from cupages.server import PageError

    folder, path = pathlib.Path(folder), pathlib.Path(path)
    manifest, results = read_run(folder)
    body = "\n".join(_body(pages, folder, manifest, results))
    partial = path.with_name(path.name + ".partial")
    try:
        for side in SIDES:
            size = pages.write(partial, f"{results['picture']['file']}: materials and physics", body, {"/page/report.mjs": STATIC / "report.mjs"},
                               _data(folder, manifest, results, side), [STATIC / "report.css"])
            if size < MOST_BYTES:
                break
        partial.replace(path)
    except PageError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error}): check the folder and its permissions") from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def _data(folder, manifest, results, side):
    """Pictures and facts for the module: {name: bytes or JSON-able}."""
    import imagecodecs

    grey, factor = _smaller(folder / "picture.ome.tif", side, "mean")
    labels, _ = _smaller(folder / "labels.ome.tif", side, "nearest")
    confidence, _ = _smaller(folder / "confidence.ome.tif", side, "mean")
    low, high = np.percentile(grey, (0.5, 99.5))
    shown = ((grey.astype(np.float32) - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)
    doubt = np.rint((confidence.astype(np.float32).clip(0.5, 1) - 0.5) * 510).astype(np.uint8)
    data = {"picture": imagecodecs.jpeg8_encode(shown, level=88), "labels": imagecodecs.png_encode(labels, level=9),
            "confidence": imagecodecs.jpeg8_encode(doubt, level=80)}
    fields = []
    for number, field in enumerate(fields_of(answers_of(folder, manifest, results)).values()):
        step = max(1, -(-max(field.values.shape) // FIELD_SIDE))
        part = field.values[::step, ::step]
        index = np.rint(255 * ((part - field.low) / max(field.high - field.low, 1e-300)).clip(0, 1)).astype(np.uint8)
        data[f"field-{number}"] = imagecodecs.jpeg8_encode(index, level=85)
        scale, unit = field.scale()
        fields.append({"name": f"field-{number}", "title": f"{field.quantity} ({field.physics})", "quantity": field.quantity, "unit": unit, "low": field.low * scale,
                       "high": field.high * scale, "clipped": field.clipped, "colours": _table(field.colours)})
    size = results["pixel_size_m"]
    rows, columns = grey.shape[0] * factor, grey.shape[1] * factor
    facts = {"rows": results["picture"]["rows"], "columns": results["picture"]["columns"], "spans": [columns, rows], "pixel_nm": [1e9 * size["x"], 1e9 * size["y"]],
             "materials": [{"name": m["material"], "colour": m["colour"]} for m in results["materials"]], "fields": fields, "cividis": _table("cividis"), "factor": factor}
    return data | {"facts": facts, "results": results}


def _table(name):
    from chipmap.report import colour_table
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colour_table(name)]


def _smaller(path, side, reduce):
    """(array whose longest side is at most `side`, factor it was reduced by)."""
    from chipmap.big.pyramid import open_pyramid, smaller
    if not path.exists():
        raise InputError(f"{path.parent}: has no {path.name}, it was made by an earlier version: run it again")
    import tifffile
    with tifffile.TiffFile(path) as tiff:
        shape = tiff.pages[0].shape
    factor = -(-max(shape) // side)
    if max(shape) <= 8192:
        whole = tifffile.imread(path)
        return (whole if factor == 1 else smaller(whole, factor, reduce)), factor
    level = int(np.ceil(np.log2(max(shape) / side)))
    with open_pyramid(path) as stored:
        height, width = stored.shape_at(level)
        return stored.read(0, 0, height, width, level, reduce), 2 ** level


def _body(pages, folder, manifest, results):
    text = pages.text
    picture, size = results["picture"], results["pixel_size_m"]
    yield f"<h1>{text(picture['file'])}</h1>"
    yield (f'<p class="soft">Analysed by chipmap {text(manifest["versions"].get("cukernels-chipmap-gridmap") or "")} on {text(manifest["started_utc"][:10])}. '
           f'{picture["columns"]:,} × {picture["rows"]:,} pixels of {size["x"] * 1e9:.6g} × {size["y"] * 1e9:.6g} nm (width × height; {text(size["source"])}): '
           f'{size["x"] * picture["columns"] * 1e6:.4g} × {size["y"] * picture["rows"] * 1e6:.4g} µm.</p>')
    yield f'<div class="figures">{"".join(_figures(text, results))}</div>'
    yield ('<p class="bad" data-report-error hidden></p><section class="on-screen"><div id="controls" class="row"></div>'
           '<div class="stage-box"><div id="map" class="stage"></div><div id="bar" class="scale-bar"></div><div id="under" class="card" hidden></div></div><div id="legend"></div></section>')
    yield f'<figure class="printed"><img alt="The picture with every pixel in its material\'s colour" src="{_inline(folder / "overlay.png")}"></figure>'
    yield "<h2>Materials</h2>" + _materials(pages, results)
    for title, facts in (*results["effective"].items(), *((name, results[name]) for name in ("charge", "stress", "coupled") if name in results)):
        yield f"<h2>{text(title.replace('_', ' ').capitalize())}</h2>" + _facts(pages, facts)
    for name, title in (("objects.csv", "Objects"), ("lines.csv", "Lines"), ("nets.csv", "Nets"), ("terminals.csv", "Terminals"), ("capacitance.csv", "Capacitances")):
        yield _csv(pages, folder / name, title, SHOWN[name])
    yield "<h2>Properties used</h2>" + pages.table(("Material", "Property", "Value", "Low", "High", "Source"), [
        (p["material"], p["property"], p["value"], _none(p["low"]), _none(p["high"]), p["source"] + ("" if p["checked"] else " (general knowledge)")) for p in results["properties"]]
    ) if results["properties"] else ""
    yield "<h2>Method</h2>" + _method(text, manifest, results)
    yield "<h2>Where it comes from</h2>" + _origin(pages, manifest)


def _figures(text, results):
    for m in results["materials"][:4]:
        area = m["area_fraction"]
        yield (f'<div class="figure"><span class="mark" style="background:{m["colour"]};display:inline-block"></span> {text(m["material"])}<b>{area["value"]:.1%} '
               f'± {area["standard_uncertainty"]:.1%}</b><span class="soft">of the area, {m["objects"]:,} objects</span></div>')
    for name, facts in results["effective"].items():
        side = facts.get("side_to_side")
        if side:
            seen = side.get("sigma") is not None      # then the best estimate stands in front, with its interval
            doubt = f'95 %: {side["interval_95"][0]:.4g} to {side["interval_95"][1]:.4g}' if seen else f'{side["lower"]:.5g} to {side["upper"]:.5g} certified'
            best = side["centre"] if seen else side["value"]
            yield f'<div class="figure">{text(name.replace("_", " "))}<b>{best:.4g} {text(side["unit"])}</b><span class="soft">{side["direction"]}; {doubt}</span></div>'


def _materials(pages, results):
    rows = [(pages.Raw(f'<span class="mark" style="background:{m["colour"]};display:inline-block"></span> {pages.text(m["material"])}'), m["area_fraction"]["value"],
             m["area_fraction"]["standard_uncertainty"], m["objects"], m["mean_confidence"], ", ".join(f"{g:.4g}" for g in m["grey_levels"]),
             ", ".join(f'{c["material"]} {c["probability"]:.2f}' for c in m["candidates"][:4]) or "none", m["layer"]) for m in results["materials"]]
    return pages.table(("Material", "Share of the area", "± (standard)", "Objects", "Mean confidence", "Grey", "Candidates", "GDSII layer"), rows) + \
        f'<p class="note">{pages.text(_sentence(results["naming"]["basis"]))}</p>'


def _facts(pages, facts):
    """The facts of a physics as they stand in results.json, nested names joined."""
    note = facts.get("note")
    if note:
        return f"<p>{pages.text(_sentence(note))}</p>"
    measured, rest = list(_measured(facts)), list(_flat(facts))
    parts = [pages.table(("What", "Value", "Lower", "Upper", "With edges where the grey puts them", "σ", "95 % interval", "Unit", "What it is"), measured, "facts-table")] if measured else []
    parts += [f'<details><summary>{"More" if measured else "Facts"}</summary>{pages.table(("What", "Value"), rest, "facts-table")}</details>'] if rest else []
    return "".join(parts)


WORDS = ("direction", "boundary", "what", "meaning", "per", "lower_and_upper", "why_no_bounds", "why_no_sigma", "value_and_centre")
COLUMNS = ("value", "lower", "upper", "centre", "sigma", "interval_95", "unit", *WORDS)


def _measured(facts, before="", unit=""):
    """Rows of what has a value: with its bounds, its standard uncertainty, its unit and what is said of it."""
    unit = facts.get("unit", unit)
    value, interval = facts.get("value"), facts.get("interval_95")
    if isinstance(value, int | float) or (isinstance(facts.get("lower"), int | float) and "value" not in facts):
        words = "; ".join(str(facts[w]) for w in WORDS if isinstance(facts.get(w), str))
        yield (before or "value", _none(value), _none(facts.get("lower")), _none(facts.get("upper")), _none(facts.get("centre")), _none(facts.get("sigma")),
               f"{interval[0]:.5g} to {interval[1]:.5g}" if interval else "", unit.replace(" ", "\u00a0"), words)
    for key, inner in facts.items():
        if isinstance(inner, dict):
            yield from _measured(inner, f"{before}: {key}".lstrip(": ").replace("_", " "), unit)


def _flat(facts, before=""):
    """Rows (name, value) of everything that `_measured` has no column for."""
    alone = isinstance(facts.get("value"), int | float) or isinstance(facts.get("lower"), int | float)
    for key, value in facts.items():
        name = f"{before}: {key}".lstrip(": ").replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif value is None or (alone and key in COLUMNS):
            continue
        elif isinstance(value, list) and value and isinstance(value[0], list):
            yield name, "; ".join(", ".join(f"{v:.6g}" for v in row) for row in value)
        elif isinstance(value, list):
            shown = ", ".join(f"{v:.6g}" if isinstance(v, float) else json.dumps(v) if isinstance(v, dict) else str(v) for v in value[:40])
            yield name, shown + (f" and {len(value) - 40} more" if len(value) > 40 else "")
        else:
            yield name, value if isinstance(value, int | float | str) else str(value)


def _csv(pages, path, title, columns):
    if not path.exists():
        return ""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return ""
    columns = [c for c in (columns or rows[0]) if c in rows[0]]
    if path.name == "objects.csv":
        rows.sort(key=lambda row: -float(row["area_nm2"]))
    table = pages.table([c.replace("_", " ") for c in columns], [[_number(row[c]) for c in columns] for row in rows[:MOST_ROWS]], "wide")
    more = f'<p class="note">The first {MOST_ROWS} of {len(rows):,}, largest first where it is objects; {path.name} in the run\'s folder has all, with every column.</p>' if len(rows) > MOST_ROWS else ""
    return f'<h2>{title}</h2><div class="wide-box">{table}</div>{more}'


def _number(text):
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value


def _method(text, manifest, results):
    phases, options = results["phases"], manifest["options"]
    said = [row["what"] for row in results["picture"]["preparation"]]
    said += [f"{phases['count']} phases, {'their number chosen by the evidence of mixtures of 1 to 8 grey levels' if phases['chosen_by_evidence'] else 'as many as were asked for'}, "
             "labelled by a Potts field whose edges follow the picture" if not options.get("model") else f"{phases['count']} phases by a classifier trained on strokes",
             f"materials: {results['naming']['basis']}",
             "objects are connected pieces of one material; their standard uncertainties come from the pixel and from the confidence across their edges",
             "finite elements on the pixel grid; lower and upper are certified bounds for this geometry with these properties; sigma and the 95 % interval are those of edges and materials"]
    return "<ul>" + "".join(f"<li>{text(_sentence(line))}</li>" for line in (*said, *results["notes"])) + "</ul>"


def _origin(pages, manifest):
    text = pages.text
    raw = lambda value: pages.Raw(f'<span class="hash">{text(value)}</span>')  # noqa: E731
    parts = [pages.table(("Input", "Bytes", "SHA-256"), [(i["file"], i["bytes"], raw(i["sha256"] or "a folder")) for i in manifest["inputs"]])]
    options = {key: value for key, value in manifest["options"].items() if value not in (None, [], "", 0)}
    parts.append("<h3>Options</h3>" + pages.table(("Option", "Value"), [(key.replace("_", " "), str(value)) for key, value in options.items()]))
    parts.append("<h3>Versions and device</h3>" + pages.table(("What", "Version"), [*((k, v or "unknown") for k, v in manifest["versions"].items()), ("device", manifest["device"]["why"])]))
    parts.append("<h3>Steps</h3>" + pages.table(("Step", "Seconds", "Processor seconds", "Peak memory, MB"), [(s["step"], s["seconds"], s.get("cpu_seconds", ""), s["peak_memory_mb"]) for s in manifest["steps"]]))
    parts.append('<details><summary>Files of the run</summary>' + pages.table(("File", "Bytes", "SHA-256"), [(o["file"], o["bytes"], raw(o["sha256"])) for o in manifest["outputs"]]) + "</details>")
    return "".join(parts)


def _inline(path):
    import base64
    if not path.exists():
        return "data:,"
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _none(value):
    return "" if value is None else value


def _sentence(text):
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
