"""What is under the pointer: material with its rivals and the evidence, object with its size and error, net, field values."""

import numpy as np

from chipmap import InputError
from chipmap.layout import look

MOST_CANDIDATES = 5
LEAST = 5e-4            # probability below which a candidate is not listed
MOST_STEPS = 2000        # of a line


def probe(document, x, y):
    """JSON-able facts of the pixel in column x, row y of the picture. Raises InputError beyond its rim.

    Lengths are nm where the pixel size is known, else pixels ("unit" says which); x to the right, y down.
    """
    height, width = document.opened.shape
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"column {x}, row {y} is not in the picture of {height} x {width} pixels")
    analysis = document.analysis
    told = {"x": x, "y": y, "grey": float(document.opened.levels[0][y, x])}
    if analysis is None:
        return told
    top, bottom, left, right = analysis.box
    dy, dx = (1e9 * s for s in analysis.picture.pixel_size_m)
    told |= {"unit": "nm" if analysis.sized else "px", "x_nm": (x + 0.5) * dx, "y_nm": (y + 0.5) * dy}
    if not (top <= y < bottom and left <= x < right):
        return told | {"outside": "outside the analysed field" if document.analysis.box else ""}
    at = y - top, x - left
    return told | {"material": _material(analysis, at), "object": _object(analysis, at), "fields": _fields(document, at)}


def _material(analysis, at):
    named, phases, found = analysis.named, analysis.phases, analysis.found
    m, k = int(named.labels[at]), int(phases.labels[at])
    name, own = analysis.names[m], float(phases.posterior[k][at])
    ranked = _ranked(analysis, at, m)
    entry = analysis.naming.of(int(analysis.objects.labels[at])) if analysis.naming else {}
    return {
        "name": name, "colour": look(name)["colour"], "number": m, "phase": int(found.labels[at]), "confidence": float(named.confidence[at]),
        "candidates": [{"material": n, "probability": p, "colour": look(n)["colour"]} for n, p in ranked[:MOST_CANDIDATES]],
        "others": max(len(ranked) - MOST_CANDIDATES, 0),
        "evidence": [f"grey {float(analysis.prepared.image[at]):.4g}; its phase has {float(phases.level[k]):.4g} ± {float(phases.sigma[k]):.2g}, "
                     f"noise {analysis.prepared.noise_sigma:.2g}; the pixel is of this phase with probability {own:.2f}", *_evidence(entry)],
        "basis": analysis.unnamed or (analysis.naming.basis if analysis.naming else named.basis),
    }


def _ranked(analysis, at, m):
    """[(material, probability), ...] of the pixel's object where objects are named, else of its phases by their shares of the pixel."""
    if analysis.naming:
        return [(c["material"], c["probability"]) for c in analysis.naming.of(int(analysis.objects.labels[at]))["candidates"]]
    joint = {}
    for i, row in enumerate(analysis.named.candidates):
        for candidate, p in row or [(analysis.named.best[i], 1.0)]:
            joint[candidate] = joint.get(candidate, 0.0) + float(analysis.phases.posterior[i][at]) * p
    return sorted(((n, p) for n, p in joint.items() if p >= LEAST), key=lambda pair: -pair[1])


def _evidence(entry):
    """Sentences on what the object's own grey and X-rays say."""
    grey, told = entry.get("grey"), []
    if grey:
        told.append(f"the object's own grey reads as a backscatter coefficient of {grey['eta']:.3f} ± {grey['standard_uncertainty']:.3f}")
        never = grey["not_told_apart_at_any_dose"]
        more = [n for n in grey["not_told_apart_at_this_dose"] if n not in never]
        if never:
            told.append(f"no dose of electrons tells it from {', '.join(never[:5])} by grey")
        if more:
            told.append(f"more electrons could tell it from {', '.join(more[:5])}")
    if entry.get("xray"):
        told.append(f"X-rays: {_words(entry['xray'])}")
    return told


def _words(facts):
    """What an object's X-rays say: composition with its errors, and what their lines cannot tell apart."""
    shares = sorted(facts["composition"].items(), key=lambda pair: -pair[1]["mass_share"])
    told = ", ".join(f"{element} {100 * s['mass_share']:.1f} ± {100 * s['standard_uncertainty']:.1f} %" for element, s in shares[:6]) or "no element is certain"
    apart = "; ".join(map(str, facts["not_told_apart"][:3]))
    return f"{told} by mass, from {facts['map_pixels']} pixels of the maps" + (f"; not told apart: {apart}" if apart else "")


def _object(analysis, at):
    table, number = analysis.objects.table, int(analysis.objects.labels[at])
    value = {name: table[name][number].item() if hasattr(table[name][number], "item") else table[name][number]
             for name in ("pixels", "area_nm2", "area_sd_nm2", "width_nm", "width_sd_nm", "length_nm", "angle_deg", "perimeter_nm", "touches_border")}
    net = int(analysis.net[number])
    shown = {name: _plain(v) for name, v in value.items()}
    return {"number": number, "kind": str(analysis.kinds[number]), "net": net if net >= 0 else None, **shown}


def _fields(document, at):
    told = []
    for field in document.fields.values():
        factor, unit = field.scale()
        told.append({"key": field.key, "quantity": field.quantity, "value": _plain(float(field.values[at]) * factor), "unit": unit})
    return told


def profile(document, start, end, key=None):
    """What lies along a line from `start` to `end` (x, y in pixels of the picture, fractions allowed): JSON-able.

    distance (nm, or pixels where the size is not known) and grey at each step of at most a pixel (nearest pixel, null outside);
    pieces: the materials along the line, {"material", "colour", "from", "to"}; field: values of the field `key`, where there is one.
    """
    analysis, (height, width) = document.analysis, document.opened.shape
    dy, dx = (1e9 * s for s in (analysis.picture.pixel_size_m if analysis else document.opened.facts["pixel_size_m"]))
    (x0, y0), (x1, y1) = start, end
    count = int(np.clip(np.ceil(max(abs(x1 - x0), abs(y1 - y0))), 1, MOST_STEPS)) + 1
    x, y = np.linspace(x0, x1, count), np.linspace(y0, y1, count)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    distance = np.hypot((x - x0) * dx, (y - y0) * dy)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    told = {"distance": distance.tolist(), "unit": "nm" if (analysis.sized if analysis else document.opened.sized) else "px",
            "grey": _sampled(document.opened.levels[0], row, column, inside), "pieces": [], "field": None}
    if analysis is None:
        return told
    top, bottom, left, right = analysis.box
    seen = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    numbers = np.full(count, -1)
    numbers[seen] = analysis.named.labels[row[seen] - top, column[seen] - left]
    borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1), count]
    half = lambda i: float(distance[min(i, count - 1)] if i in (0, count) else (distance[i - 1] + distance[i]) / 2)  # noqa: E731
    told["pieces"] = [{"material": analysis.names[numbers[a]], "colour": look(analysis.names[numbers[a]])["colour"], "from": half(a), "to": half(b)}
                      for a, b in zip(borders, borders[1:]) if numbers[a] >= 0]
    field = document.fields.get(key)
    if field is not None:
        factor, unit = field.scale()
        told["field"] = {"quantity": field.quantity, "unit": unit, "values": _sampled(field.values, row - top, column - left, seen, factor)}
    return told


def _sampled(values, row, column, inside, factor=1.0):
    taken = np.full(len(row), np.nan)
    taken[inside] = np.asarray(values[row[inside], column[inside]], float) * factor
    return [None if np.isnan(v) else float(v) for v in taken]


def outline(analysis, number):
    """Rings [[(x, y), ...], ...] of an object in pixels of the picture, its own holes included; InputError for no such object."""
    import shapely
    from rasterio.features import shapes

    if not 0 <= number < len(analysis.objects):
        raise InputError(f"object {number} is not one of the {len(analysis.objects)} found")
    table = analysis.objects.table
    dy, dx = (1e9 * s for s in analysis.picture.pixel_size_m)
    rows = np.s_[int(round(table["top_nm"][number] / dy)):int(round(table["bottom_nm"][number] / dy))]
    columns = np.s_[int(round(table["left_nm"][number] / dx)):int(round(table["right_nm"][number] / dx))]
    mask = (analysis.objects.labels[rows, columns] == number).astype(np.uint8)
    rings = []
    for shape, value in shapes(mask, mask=mask.astype(bool), connectivity=4):
        if value:
            polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
            if polygon.length > 4000:       # pixels: a finer outline than the screen shows
                polygon = polygon.simplify(0.8)
            rings += [list(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
    left, top = analysis.box[2] + columns.start, analysis.box[0] + rows.start
    return [[(float(x) + left, float(y) + top) for x, y in ring] for ring in rings]




def _plain(value):
    return None if isinstance(value, float) and not np.isfinite(value) else value
