"""The same plants in two registries that number them differently: matched by name, place, fuel and size, with reasons.

Each pair within reach gets a score from 0 to 1, the mean of four likenesses by the weights below; one that cannot be told,
because a side lacks it, is left out of the mean. Pairs are taken from the best score down, each plant once. What is left
over joins a plant that is taken already, where that one then comes nearer in size: registries split one site into phases or
owners. Numbers of one registry on both sides settle the matter first.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse

from gridmap import InputError, geodesy, read, tables

WEIGHTS = {"place": 0.35, "name": 0.4, "fuel": 0.15, "size": 0.1}
REACH_KM = 10.0                 # plants farther apart are not compared, unless one has no coordinates
SAME_KM = 0.5                   # nearer is the same place; at REACH_KM nothing of the likeness is left
ENOUGH = 0.55                   # the least score of a match
COMMON = frozenset("power plant station generating generation energy center centre project farm solar wind hydro facility llc inc lp co company "
                   "plt gen the of and unit site hybrid storage battery bess cogen cogeneration".split())


@dataclass(frozen=True)
class Matches:
    """pairs: DataFrame[first_id, first_name, second_id, second_name, kind, score, place, name, fuel, size, km, first_mw,
    second_mw, reason]; kind: number, one (to one), or part (of a plant that has another partner too). first, second: `plants`
    of each side, with `matched`. coverage: see `coverage`."""

    pairs: pd.DataFrame
    first: pd.DataFrame
    second: pd.DataFrame
    coverage: pd.DataFrame


def match(first, second, registry=""):
    """`Matches` of two tables of units (`read.read_plants`). registry: whose plant numbers both use, "" for none in common."""
    sides = plants(first), plants(second)
    taken = _by_number(*sides) if registry else np.zeros((0, 2), int)
    pairs = candidates(*sides)
    free = ~np.isin(pairs[:, 0], taken[:, 0]) & ~np.isin(pairs[:, 1], taken[:, 1])
    likeness = likenesses(*sides, pairs[free])
    one = greedy(pairs[free], likeness["score"])
    part = parts(*sides, pairs[free], likeness["score"], one)
    chosen = np.concatenate([taken, pairs[free][one], pairs[free][part]])
    told = likenesses(*sides, chosen).assign(kind=np.repeat(["number", "one", "part"], [len(taken), len(one), len(part)]))
    told.loc[told["kind"].eq("number"), "score"] = 1.0
    sides = [side.assign(matched=np.isin(np.arange(len(side)), chosen[:, k])) for k, side in enumerate(sides)]
    return Matches(_tell(*sides, chosen, told, registry), *sides, coverage(*sides))


def plants(units):
    """DataFrame, row = plant: plant_id, name, state, lon, lat (NaN unknown), mw (nameplate), and a column of net summer MW for each fuel."""
    fuel = units["technology"].map(tables.fact("fuels").set_index("technology")["fuel"]).fillna("other")
    keys = units.groupby("plant_id", sort=True)
    table = keys.agg(name=("plant_name", "first"), state=("state", "first"), lon=("lon", "first"), lat=("lat", "first"),
                     mw=("nameplate_mw", "sum"))
    by_fuel = units["summer_mw"].groupby([units["plant_id"], fuel]).sum().unstack().fillna(0.0)
    return table.join(by_fuel).reset_index()


def candidates(first, second):
    """(N, 2) rows of plants within REACH_KM of each other, or of one state and name where one has no coordinates."""
    from scipy.spatial import cKDTree

    placed = [np.flatnonzero(side[["lon", "lat"]].notna().all(axis=1)) for side in (first, second)]
    trees = [cKDTree(_sphere(side.iloc[rows])) for side, rows in zip((first, second), placed)]
    near = trees[0].sparse_distance_matrix(trees[1], REACH_KM, output_type="coo_matrix")
    close = np.stack([placed[0][near.row], placed[1][near.col]], axis=1)
    keys = [pd.DataFrame({"row": np.arange(len(side)), "key": side["state"] + " " + side["name"].map(lambda n: " ".join(words(n)))}) for side in (first, second)]
    keys = [key[key["key"].str.len() > 3] for key in keys]
    named = keys[0].merge(keys[1], on="key")[["row_x", "row_y"]].to_numpy()
    blind = first["lon"].isna().to_numpy()[named[:, 0]] | second["lon"].isna().to_numpy()[named[:, 1]]
    return np.unique(np.concatenate([close, named[blind]]), axis=0)


def likenesses(first, second, pairs):
    """DataFrame, row = pair: place, name, fuel, size (0..1, NaN where a side does not say), km, and score."""
    a, b = first.iloc[pairs[:, 0]].reset_index(drop=True), second.iloc[pairs[:, 1]].reset_index(drop=True)
    km = geodesy.km(*(side[c].to_numpy() for side in (a, b) for c in ("lon", "lat")))
    fuels = sorted((set(first) & set(second)) - set(plants_columns()))
    mw = [side[fuels].to_numpy() for side in (a, b)]
    fuel = np.minimum(*(side / np.maximum(side.sum(axis=1, keepdims=True), 1e-9) for side in mw)).sum(axis=1)
    size = np.minimum(a["mw"], b["mw"]) / np.maximum(np.maximum(a["mw"], b["mw"]), 1e-9)
    unknown = (a["mw"] <= 0) | (b["mw"] <= 0)
    table = pd.DataFrame({
        "place": np.clip((REACH_KM - km) / (REACH_KM - SAME_KM), 0, 1), "name": name_likeness(first["name"], second["name"], pairs),
        "fuel": np.where(unknown, np.nan, fuel), "size": np.where(unknown, np.nan, size), "km": km})
    weight = pd.Series(WEIGHTS)
    parts = table[list(WEIGHTS)]
    return table.assign(score=(parts.fillna(0) @ weight) / (parts.notna() @ weight).where(lambda w: w > 0, 1))


def plants_columns():
    """The columns of `plants` that are not fuels."""
    return ("plant_id", "name", "state", "lon", "lat", "mw", "matched")


def name_likeness(first, second, pairs):
    """(N,) cosine of the names' words, rare words counting more (logarithm of how rare); NaN where a name has none."""
    lists = [[words(name) for name in side] for side in (first, second)]
    known = {word: k for k, word in enumerate(sorted({w for side in lists for name in side for w in name}))}
    often = np.zeros(len(known))
    for side in lists:
        for name in side:
            often[[known[w] for w in set(name)]] += 1
    rare = np.log((len(first) + len(second) + 1) / np.maximum(often, 1))
    matrix = []
    for side in lists:
        row = np.repeat(np.arange(len(side)), [len(set(name)) for name in side])
        column = np.array([known[w] for name in side for w in sorted(set(name))], int)
        full = scipy.sparse.csr_array((rare[column], (row, column)), shape=(len(side), len(known)))
        length = np.sqrt(np.asarray(full.multiply(full).sum(axis=1)).ravel())
        matrix.append(scipy.sparse.diags_array(1 / np.maximum(length, 1e-9)) @ full)
    alike = np.asarray(matrix[0].tocsr()[pairs[:, 0]].multiply(matrix[1].tocsr()[pairs[:, 1]]).sum(axis=1)).ravel()
    empty = [np.array([not name for name in side], bool) for side in lists]
    return np.where(empty[0][pairs[:, 0]] | empty[1][pairs[:, 1]], np.nan, alike)


def words(name):
    """The words of a plant's name that tell it from others; all of them where none does."""
    every = "".join(c.lower() if c.isalnum() else " " for c in name).split()
    return [w for w in every if w not in COMMON] or every


def greedy(pairs, score):
    """Rows of `pairs` from the best score down to ENOUGH, no plant of either side twice; of equal scores the first."""
    chosen, used = [], (set(), set())
    for row in np.argsort(-np.asarray(score), kind="stable"):
        if not score[row] >= ENOUGH:
            break
        a, b = pairs[row]
        if a not in used[0] and b not in used[1]:
            used[0].add(a)
            used[1].add(b)
            chosen.append(row)
    return np.array(chosen, int)


def parts(first, second, pairs, score, one):
    """Rows of `pairs` that join a plant left over to one with a partner, where the sizes then agree better."""
    held = [{}, {}]
    for a, b in pairs[one]:
        held[0][a], held[1][b] = [a, b], [a, b]
    mw, chosen = (first["mw"].to_numpy(), second["mw"].to_numpy()), []
    sums = {}
    for row in np.argsort(-np.asarray(score), kind="stable"):
        if not score[row] >= ENOUGH:
            break
        for k in (0, 1):
            mine, other = pairs[row][k], pairs[row][1 - k]
            if mine in held[k] or other not in held[1 - k]:
                continue
            whole = mw[1 - k][other]
            have = sums.get((1 - k, other), mw[k][held[1 - k][other][k]])
            if abs(have + mw[k][mine] - whole) < abs(have - whole):
                sums[1 - k, other] = have + mw[k][mine]
                held[k][mine] = None
                chosen.append(row)
                break
    return np.array(chosen, int)


def coverage(first, second):
    """DataFrame, row = fuel: plants and net summer MW of each side, the MW of them that are matched, and against the totals
    of national_totals.csv (net summer too) how much of the country each side holds."""
    fuels = sorted((set(first) | set(second)) - set(plants_columns()))
    rows = []
    for fuel in fuels:
        row = {"fuel": fuel}
        for name, side in (("first", first), ("second", second)):
            mw = side[fuel] if fuel in side else pd.Series(0.0, side.index)
            row |= {f"{name}_plants": int((mw > 0).sum()), f"{name}_mw": mw.sum(), f"{name}_matched_mw": mw[side["matched"]].sum()}
        rows.append(row)
    table = pd.DataFrame(rows)
    national = tables.fact("national_totals").astype({"mw": float}).set_index("fuel")["mw"]
    table["national_mw"] = table["fuel"].map(national)
    for name in ("first", "second"):
        table[f"{name}_of_national"] = table[f"{name}_mw"] / table["national_mw"]
    return table


def read_both(first, second):
    """(units, units, registry both number their plants by or "", repair report) of two files."""
    from gridmap import ledger

    book = ledger.Ledger()
    sides = [read.read_plants(path, book) for path in (first, second)]
    registries = {tables.registry(side.attrs["layout"]) for side in sides}
    if not all(side[["lon", "lat"]].notna().any().all() or side["plant_name"].ne("").any() for side in sides) and len(registries) > 1:
        raise InputError(f"{first} and {second} share neither numbers nor names nor places; give a file with plant_name or lon and lat")
    return *sides, registries.pop() if len(registries) == 1 else "", book.table()


def _by_number(first, second):
    both = first[["plant_id"]].assign(a=np.arange(len(first))).merge(second[["plant_id"]].assign(b=np.arange(len(second))), on="plant_id")
    return both[["a", "b"]].to_numpy()


def _sphere(side):
    lon, lat = np.radians(side["lon"].to_numpy()), np.radians(side["lat"].to_numpy())
    return 6371.0 * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _tell(first, second, chosen, told, registry):
    a, b = first.iloc[chosen[:, 0]].reset_index(drop=True), second.iloc[chosen[:, 1]].reset_index(drop=True)
    table = pd.DataFrame({
        "first_id": a["plant_id"], "first_name": a["name"], "second_id": b["plant_id"], "second_name": b["name"], "kind": told["kind"],
        **{c: told[c] for c in ("score", "place", "name", "fuel", "size", "km")}, "first_mw": a["mw"], "second_mw": b["mw"]})
    return table.assign(reason=[_reason(row, registry) for row in table.itertuples(index=False)])


def _reason(row, registry):
    if row.kind == "number":
        return f"the same {registry} plant number"
    shared = sorted(set(words(row.first_name)) & set(words(row.second_name)))
    said = [f"{row.km:.1f} km apart" if np.isfinite(row.km) else "one without coordinates"]
    said.append("names share " + " ".join(shared) if shared else "names differ")
    if np.isfinite(row.fuel):
        said += [f"fuels {row.fuel:.0%} alike", f"{row.first_mw:,.0f} MW beside {row.second_mw:,.0f} MW"]
    return "; ".join(said) + ("; part of a plant with another partner" if row.kind == "part" else "")
