"""The same transmission lines in two files: matched by course, voltage, ends and name, with reasons.

Files cut lines at different stations, draw parallel circuits once or twice, and are off by up to some hundred metres. So a
line is compared with every line beside it: **overlap** is the share of its course within BESIDE_KM of the other. Pairs are
taken from the best score down. A line that lies along another for most of its length is a match of one to one where the
other is about as long, and a part of it where the other is longer and has such partners elsewhere.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gridmap import tables
from gridmap.match import name_likeness

BESIDE_KM = 0.5
STEP_KM = 0.5                   # between the points at which courses are compared
ENOUGH = 0.6                    # the least score of a match
WEIGHTS = {"overlap": 0.6, "voltage": 0.25, "name": 0.15}
CLASSES = ((0, 200, "under 200 kV"), (200, 300, "200-299 kV"), (300, 400, "300-399 kV"), (400, 600, "400-599 kV"), (600, np.inf, "600 kV and over"))
MILE_KM = 1.609344


@dataclass(frozen=True)
class LineMatches:
    """pairs: DataFrame[first_row, second_row, kind, score, overlap_first, overlap_second, voltage, name, first_kv, second_kv,
    first_km, second_km, reason]; kind: one (to one), or part. first, second: GeoDataFrames of the sides (`line_files.read`)
    with km and matched_km, the length along which each has a partner. coverage: see `coverage`."""

    pairs: pd.DataFrame
    first: pd.DataFrame
    second: pd.DataFrame
    coverage: pd.DataFrame


def match(first, second):
    """`LineMatches` of two tables of lines (`line_files.read`)."""
    sides = [_measured(side) for side in (first, second)]
    points = [_sampled(side) for side in sides]
    trees = [shapely.STRtree(side["flat"].to_numpy()) for side in sides]
    along = [_beside(points[0], trees[1], sides[1]), _beside(points[1], trees[0], sides[0])]
    pairs = along[0].merge(along[1], left_on=["mine", "other"], right_on=["other", "mine"], how="outer", suffixes=("_first", "_second"))
    pairs = pd.DataFrame({"first": pairs["mine_first"].fillna(pairs["other_second"]).astype(int), "second": pairs["other_first"].fillna(pairs["mine_second"]).astype(int),
                          "overlap_first": pairs["share_first"].fillna(0.0), "overlap_second": pairs["share_second"].fillna(0.0)})
    told = _scored(*sides, pairs)
    chosen = _choose(told)
    for k, side in enumerate(sides):
        name = ("first", "second")[k]
        covered = _covered(points[k], chosen, name, sides[1 - k])
        side["matched_km"] = side["km"] * covered
    return LineMatches(_tell(*sides, chosen), *(side.drop(columns="flat") for side in sides), coverage(*sides))


def coverage(first, second):
    """DataFrame, row = voltage class: km of each side, km along which they have a partner, and the national circuit-km of
    national_lines.csv with the share of it each side holds."""
    table = tables.fact("national_lines").astype({"miles": float}).set_index("class")["miles"] * MILE_KM
    rows = []
    for low, high, name in CLASSES:
        row = {"class": name, "national_km": table.get(name, np.nan)}
        for side_name, side in (("first", first), ("second", second)):
            mine = side[(side["voltage_kv"] >= low) & (side["voltage_kv"] < high)]
            row |= {f"{side_name}_lines": len(mine), f"{side_name}_km": mine["km"].sum(), f"{side_name}_matched_km": mine["matched_km"].sum(),
                    f"{side_name}_of_national": mine["km"].sum() / row["national_km"]}
        rows.append(row)
    unknown = {"class": "unknown", "national_km": np.nan}
    for side_name, side in (("first", first), ("second", second)):
        mine = side[side["voltage_kv"].isna()]
        unknown |= {f"{side_name}_lines": len(mine), f"{side_name}_km": mine["km"].sum(), f"{side_name}_matched_km": mine["matched_km"].sum(), f"{side_name}_of_national": np.nan}
    return pd.DataFrame([*rows, unknown])


def _measured(side):
    """The side with km, and `flat`: its lines in kilometres about their own latitude, good to 0.1 % over a few kilometres."""
    from gridmap.lines import _route_km

    parts, line = shapely.get_parts(side.geometry.to_numpy(), return_index=True)
    return side.assign(km=np.bincount(line, _route_km(parts), len(side)), flat=_flat(side.geometry.to_numpy()))


def _flat(shapes):
    xy, line = shapely.get_coordinates(shapes, return_index=True)
    # one scale for all, so that neighbours stay neighbours: y by latitude, x shrunk as at that latitude (sinusoidal)
    xy = np.stack([xy[:, 0] * np.cos(np.radians(xy[:, 1])), xy[:, 1]], axis=1) * 111.195
    return shapely.set_coordinates(shapes.copy(), xy)


def _sampled(side):
    """DataFrame[line, x, y]: points every STEP_KM along each line, both ends included."""
    flat = side["flat"].to_numpy()
    parts, line = shapely.get_parts(flat, return_index=True)
    count = np.maximum(2, np.ceil(shapely.length(parts) / STEP_KM).astype(int) + 1)
    part = np.repeat(np.arange(len(parts)), count)
    place = np.concatenate([np.linspace(0, 1, c) for c in count]) if len(parts) else np.zeros(0)
    points = shapely.line_interpolate_point(parts[part], place, normalized=True)
    return pd.DataFrame({"line": line[part], "x": shapely.get_x(points), "y": shapely.get_y(points)})


def _beside(points, tree, others):
    """DataFrame[mine, other, share]: the share of each line's points within BESIDE_KM of each line of the other side."""
    at, near = tree.query(shapely.points(points["x"], points["y"]), predicate="dwithin", distance=BESIDE_KM)
    frame = pd.DataFrame({"mine": points["line"].to_numpy()[at], "other": near, "point": at}).drop_duplicates()
    counts = frame.groupby(["mine", "other"]).size().rename("share").reset_index()
    return counts.assign(share=counts["share"] / points.groupby("line").size().reindex(counts["mine"]).to_numpy())


def _scored(first, second, pairs):
    a, b = first.iloc[pairs["first"]].reset_index(drop=True), second.iloc[pairs["second"]].reset_index(drop=True)
    low, high = np.minimum(a["voltage_kv"], b["voltage_kv"]), np.maximum(a["voltage_kv"], b["voltage_kv"])
    name = name_likeness(first["name"], second["name"], pairs[["first", "second"]].to_numpy()) if len(pairs) else np.zeros(0)
    blank = (a["name"].eq("") | b["name"].eq("")).to_numpy()
    parts = pd.DataFrame({"overlap": np.maximum(pairs["overlap_first"], pairs["overlap_second"]).to_numpy(),
                          "voltage": ((low / high) ** 2).to_numpy(), "name": np.where(blank | (name == 0), np.nan, name)})  # numbers of two registries never agree
    weight = pd.Series(WEIGHTS)
    score = (parts.fillna(0) @ weight) / (parts.notna() @ weight)
    return pairs.assign(score=score, voltage=parts["voltage"], name=parts["name"], first_km=a["km"].to_numpy(), second_km=b["km"].to_numpy(),
                        first_kv=a["voltage_kv"].to_numpy(), second_kv=b["voltage_kv"].to_numpy())


def _choose(told):
    """The pairs that match: from the best score down; each line once as one to one, and as often as it is a part."""
    shorter = np.maximum(told["overlap_first"], told["overlap_second"])
    told = told.assign(both=np.minimum(told["overlap_first"], told["overlap_second"]))[(told["score"] >= ENOUGH) & (shorter >= 0.5)]
    told = told.sort_values(["score", "both", "first", "second"], ascending=[False, False, True, True])
    used, one = (set(), set()), []
    for a, b, both in zip(told["first"], told["second"], told["both"]):
        one.append(both >= 0.5 and a not in used[0] and b not in used[1])
        if one[-1]:
            used[0].add(a)
            used[1].add(b)
    one = np.array(one, bool)
    # of the others, those of which a side has no partner: a piece of a longer line, a corridor's other circuit. What is
    # hardly longer than BESIDE_KM lies beside everything at its station and says nothing
    alone = ~told["first"].isin(used[0]) | ~told["second"].isin(used[1])
    part = ~one & alone & (np.minimum(told["first_km"], told["second_km"]) > 2 * BESIDE_KM)
    return told.assign(kind=np.where(one, "one", "part"))[one | part].drop(columns="both").reset_index(drop=True)


def _covered(points, chosen, name, others):
    """(L,) share of each line's points beside one of its partners."""
    other = "second" if name == "first" else "first"
    count = int(points["line"].max()) + 1 if len(points) else 0
    seen = np.zeros(len(points), bool)
    by_line = points.groupby("line").indices
    flat = others["flat"].to_numpy()
    for line, partners in chosen.groupby(name)[other]:
        rows = by_line[line]
        whole = shapely.union_all(flat[partners.to_numpy()])
        seen[rows] = shapely.dwithin(shapely.points(points["x"].to_numpy()[rows], points["y"].to_numpy()[rows]), whole, BESIDE_KM)
    return np.bincount(points["line"], seen, count) / np.bincount(points["line"], minlength=count) if count else np.zeros(0)


def _tell(first, second, chosen):
    table = chosen.assign(first_row=first["source_row"].to_numpy()[chosen["first"]], second_row=second["source_row"].to_numpy()[chosen["second"]])
    reason = [_reason(row) for row in table.itertuples(index=False)]
    return table.assign(reason=reason)[["first_row", "second_row", "kind", "score", "overlap_first", "overlap_second", "voltage", "name",
                                        "first_kv", "second_kv", "first_km", "second_km", "reason"]]


def _reason(row):
    said = [f"{row.overlap_first:.0%} of the first and {row.overlap_second:.0%} of the second within {BESIDE_KM:g} km of the other"]
    said.append(f"{row.first_kv:g} kV both" if row.first_kv == row.second_kv else f"{row.first_kv:g} kV beside {row.second_kv:g} kV"
                if np.isfinite(row.first_kv) and np.isfinite(row.second_kv) else "a voltage unknown")
    if np.isfinite(row.name):
        said.append(f"names {row.name:.0%} alike")
    return "; ".join(said) + ("; part of a longer line or of a corridor" if row.kind == "part" else "")
