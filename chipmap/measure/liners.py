"""Liners too thin to be a phase of their own: between a metal and what it must not touch, by the grey across the border."""

import re
from dataclasses import dataclass

import numpy as np
from cukernels.backend import to_host

from chipmap import InputError, eta, materials
from chipmap.identify import load_process
from chipmap.measure.course import SIDES, course_of, profile
from chipmap.measure.layerfit import Profile, fit_layers

REACH = 9           # pixels to each side of a border that its profile holds
ROOM = 7            # pixels that must belong to the two objects alone
LEAST = 40          # places of a course on one side, for a thickness to be asked for
MOST_UNLIKE = 1.2   # of a pixel's two sides
COLUMNS = ("object", "material", "side", "neighbour", "liner", "liner_nm", "liner_sd_nm", "liner_most_nm", "seen", "length_nm", "misfit")


@dataclass(frozen=True)
class Liners:
    """sides: the columns of liners.csv (COLUMNS). columns: those that objects.csv gets: liner, liner_nm, liner_sd_nm (blank
    where none is seen) and liner_most_nm, a 95 % limit. notes: sentences."""

    sides: dict
    columns: dict
    notes: list


def wanted_liner(text):
    """(name, grey or None) of the option --liner, as Ta or Ta=160."""
    match = re.fullmatch(r"\s*([^=\s]+)\s*(?:=\s*([\d.eE+-]+))?\s*", str(text))
    try:
        return materials.find(match[1]).name, None if match[2] is None else float(match[2])
    except (TypeError, ValueError):
        raise InputError(f"--liner {text!r} can't be read: write the liner's material, as Ta, or with its grey level, as Ta=160") from None


def find_liners(grey, objects, phases, named, noise_sigma, pixel_size_m, liner=None, process=None, kv=None, signal=None):
    """Thickness of the liners of all objects of metal, side by side: `Liners`; None where no liner is asked for.

    grey: (H, W). objects: `objects.Objects`. phases, named: of the picture. liner: (name, grey or None) of
    `wanted_liner`: looked for at every border of a metal with what is no metal. process: else, a process's table says
    between which neighbours a liner must lie, and of what. noise_sigma: of a pixel.

    The liner's grey is the given one, or gain * eta + offset where the picture is calibrated (two phases named), with
    what the doubt of eta makes of it. Along a border that is straight for a while, inside and outside free for seven
    pixels, the profile is fitted by `layerfit.fit_layers`; one blur for the whole picture. A bright rim of a
    secondary-electron picture looks like a liner and is measured as one.
    """
    if liner is None and process is None:
        return None
    process = load_process(process) if liner is None and isinstance(process, str) else process
    labels, image = to_host(objects.labels), to_host(grey).astype(float)
    if max(pixel_size_m) > MOST_UNLIKE * min(pixel_size_m):
        return Liners(_empty(), _columns(len(objects), []), ["liners are not measured on pixels that are a fifth longer than wide"])
    names = [str(n) for n in named.best]
    pairs = {(a, b): found for a in set(names) for b in set(names) if (found := _between(a, b, liner, process))}
    if not pairs:
        return None
    courses = _courses(labels, image, objects.table, pairs)
    sides, notes = [], []
    for materials_between in sorted(set(pairs.values())):
        own = [c for c in courses if pairs[c["material"], c["neighbour"]] == materials_between]
        levels = [(name, *_level(name, liner, phases, named, kv)) for name in materials_between]
        levels = [level for level in levels if level[1] is not None]
        if not own or not levels:
            notes += [f"{' or '.join(materials_between)} between metal and dielectric is not measured: its grey is unknown; name two phases in a "
                      "backscatter picture, or give it with --liner"] if own else []
            continue
        sides += _measured(own, levels, noise_sigma, pixel_size_m)
    if signal == "SE" and sides:
        notes.append("the bright rim of a secondary-electron picture looks like a liner: thicknesses of liners are upper limits")
    table = {name: [row[name] for row in sides] for name in COLUMNS}
    return Liners(table, _columns(len(objects), sides), notes)


def _between(metal, other, liner, process):
    """Names of what may lie hidden between a metal and another material, () for nothing."""
    table = materials.load()
    if metal not in table or other not in table or table[metal].kind != "metal" or table[other].kind in ("metal", "void"):
        return ()
    if liner is not None:
        return () if liner[0] in (metal, other) else (liner[0],)
    if metal not in process.materials or other not in process.materials or process.may_touch(metal, other):
        return ()
    return tuple(m for m in process.materials if table[m].kind == "metal" and process.may_touch(m, metal) and process.may_touch(m, other))


def _level(name, liner, phases, named, kv):
    """(grey, standard uncertainty) of a material, (None, None) where the picture can't tell."""
    if liner is not None and liner[1] is not None:
        return liner[1], 0.0
    table = materials.load()
    known = [k for k, best in enumerate(named.best) if best in table]
    if not named.calibrated or len(known) < 2:
        return None, None
    kv = float(np.clip(kv or 15.0, *eta.KV_RANGE))
    value, doubt = np.array([eta.eta_of(table[named.best[k]], kv) for k in known]).T
    low, high = value.argmin(), value.argmax()
    x, sx = eta.eta_of(table[name], kv)
    gain = (phases.level[known[high]] - phases.level[known[low]]) / (value[high] - value[low])
    share = (x - value[low]) / (value[high] - value[low])
    grey = phases.level[known[low]] + gain * (x - value[low])
    return float(grey), float(abs(gain) * np.sqrt(sx ** 2 + (share * doubt[high]) ** 2 + ((1 - share) * doubt[low]) ** 2))


def _courses(labels, image, table, pairs):
    """One dict for each side of each object that has a straight border with a partner: its profile and length."""
    from scipy.ndimage import find_objects
    inner = {a for a, _ in pairs}
    found = []
    for k, window in enumerate(find_objects(labels + 1)):
        if table["material"][k] not in inner or table["pixels"][k] < 4 * LEAST:
            continue
        frame = tuple(slice(max(side.start - REACH - 2, 0), side.stop + REACH + 2) for side in window)
        course = course_of(labels[frame], k, REACH)
        partner = np.array([table["material"][o] for o in course.outer], dtype=object)
        for side in range(4):
            for other in sorted(set(partner)):
                own = (course.side == side) & (partner == other) & (course.room >= ROOM)
                if (table["material"][k], other) in pairs and own.sum() >= LEAST:
                    found.append({"object": k, "material": table["material"][k], "side": side, "neighbour": other, "places": int(own.sum()),
                                  "normal": course.normal[own].mean(axis=0), "profile": profile(image[frame], course.only(own), REACH)})
    return found


def _measured(courses, levels, noise_sigma, pixel_size_m):
    """Rows of liners.csv; the material of several that could be it stands as a set, with what that leaves open."""
    profiles = [Profile(at, grey, noise_sigma / np.sqrt(count)) for at, grey, count in (c["profile"] for c in courses)]
    fits = [fit_layers(profiles, level, sd)[0] for _, level, sd in levels]
    rows = []
    for i, course in enumerate(courses):
        across = float(np.hypot(course["normal"][0] * pixel_size_m[1], course["normal"][1] * pixel_size_m[0]) / np.hypot(*course["normal"]) * 1e9)
        along = float(np.hypot(course["normal"][1] * pixel_size_m[1], course["normal"][0] * pixel_size_m[0]) / np.hypot(*course["normal"]) * 1e9)
        of = [fit[i] for fit in fits]
        value = float(np.mean([f.thickness for f in of]))
        sd = float(np.sqrt(np.mean([f.thickness_sd ** 2 for f in of]) + np.var([f.thickness for f in of])))
        rows.append({"object": course["object"], "material": course["material"], "side": SIDES[course["side"]], "neighbour": course["neighbour"],
                     "liner": " or ".join(name for name, _, _ in levels), "liner_nm": value * across, "liner_sd_nm": sd * across,
                     "liner_most_nm": max(f.most for f in of) * across, "seen": all(f.seen for f in of), "length_nm": course["places"] * along,
                     "misfit": max(f.misfit for f in of)})
    return rows


def _columns(count, sides):
    """The columns of objects.csv: the mean of an object's sides, weighed by their length, where one at least is seen; sides
    that are not seen and too thin to be like the others (a cap without liner) stay out. Blur and level are the same for
    all sides, so that the uncertainty of the mean is taken as that of its sides, not less."""
    name = np.full(count, "", dtype=object)
    value, sd, most = (np.full(count, np.nan) for _ in range(3))
    for k in {row["object"] for row in sides}:
        own = [row for row in sides if row["object"] == k]
        name[k], most[k] = own[0]["liner"], max(row["liner_most_nm"] for row in own)
        seen = [row for row in own if row["seen"]]
        if seen:
            like = [row for row in own if row["seen"] or _alike(row, seen)]
            weight = np.array([row["length_nm"] for row in like])
            value[k], sd[k] = (np.average([row[c] for row in like], weights=weight) for c in ("liner_nm", "liner_sd_nm"))
    return {"liner": name, "liner_nm": value, "liner_sd_nm": sd, "liner_most_nm": most}


def _alike(row, seen):
    """Within two standard deviations of the sides that are seen."""
    mean, sd = (np.mean([other[c] for other in seen]) for c in ("liner_nm", "liner_sd_nm"))
    return abs(row["liner_nm"] - mean) < 2 * np.hypot(sd, row["liner_sd_nm"])


def _empty():
    return {name: [] for name in COLUMNS}
