"""Corridors between regions, and the network itself, from the geometry of lines."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from cukernels.components import graph_pieces

from gridmap import InputError, geodesy, stclair
from gridmap.place import region_of, split_lines

SUBSTATION_KM = 1.0  # a yard is some hundred metres across, and its point stands in the middle
CLIP_KM = 0.1  # a line in a region for less than this cuts a corner: no crossing
EARTH_KM = 6371.0


@dataclass(frozen=True)
class Topology:
    """Lines as a network of J stations and B buses (a bus is one voltage of a station).

    parts: DataFrame[line, part, kv, km, start, end] one row a line part, start and end rows of `buses`.
    buses: DataFrame[station, kv, lon, lat, lines, island]; islands hang together through lines and through the transformers
    assumed between the voltages of a station, and are numbered from the largest (most line ends) down.
    report: DataFrame[what, count], what was snapped, joined and left alone.
    """

    parts: pd.DataFrame
    buses: pd.DataFrame
    report: pd.DataFrame


def corridor_limits(lines, regions, clip_km=CLIP_KM, device="cpu"):
    """Limits between regions from the lines that cross: (corridors, crossings).

    lines: GeoDataFrame[voltage_kv, geometry] and, where known, circuits (1) and thermal_mw (a circuit). Lines without a
    voltage carry nothing here but stand in `crossings`. regions: GeoDataFrame of polygons.
    corridors: DataFrame[tail, head, forward_mw, backward_mw, n1_mw, lines, kind, name, source], tail < head rows of
    `regions`; n1_mw: without the largest line. The limit of a line is that of its whole route, counted once a pair.
    crossings: DataFrame[line, part, tail, head, kv, km, limit_mw], every crossing in order; limit_mw NaN without voltage.
    A stretch outside all regions (water) joins those on both sides of it; one below clip_km in a region is no visit.
    """
    pieces = split_lines(lines, regions, device)
    route_km = pieces.groupby(["line", "part"])["km"].transform("sum")
    visits = pieces.assign(route_km=route_km)[(pieces["region"] >= 0) & (pieces["km"] >= clip_km)]
    here, after = visits.iloc[:-1], visits.iloc[1:]
    crossing = (here["line"].to_numpy() == after["line"].to_numpy()) & (here["part"].to_numpy() == after["part"].to_numpy())
    crossing &= here["region"].to_numpy() != after["region"].to_numpy()
    here, there = here[crossing], after["region"].to_numpy()[crossing]
    pair = np.sort(np.stack([here["region"].to_numpy(), there], axis=1), axis=1)
    kv = lines["voltage_kv"].to_numpy(float)[here["line"]]
    limit = np.full(len(here), np.nan)
    known = (kv > 0) | _rated(lines)[here["line"]]
    limit[known] = _limit(lines, here["line"].to_numpy()[known], kv[known], here["route_km"].to_numpy()[known])
    crossings = pd.DataFrame({"line": here["line"].to_numpy(), "part": here["part"].to_numpy(), "tail": pair[:, 0], "head": pair[:, 1],
                              "kv": np.where(known, kv, np.nan), "km": here["route_km"].to_numpy(), "limit_mw": limit})
    counted = crossings.dropna(subset="limit_mw").drop_duplicates(["line", "tail", "head"])
    return _summed(lines, counted), crossings


def end_limits(lines, regions, device="cpu"):
    """Limits between regions from the lines that end in them: corridors as `corridor_limits` gives them.

    A line counts between the regions of its two ends and nowhere else: a county it only passes over has no station on it
    and can neither give to it nor take from it. So two regions need not touch. A part of a MultiLineString is a line.
    Lines with an end in no region, with neither voltage nor thermal limit, or with both ends in one region count nothing.
    """
    part, line, ends = _parts(lines)
    home = np.array([region_of(*end.T, regions, device) for end in ends]) if len(part) else np.zeros((2, 0), int)
    kv = lines["voltage_kv"].to_numpy(float)[line]
    counts = (home >= 0).all(axis=0) & (home[0] != home[1]) & ((kv > 0) | _rated(lines)[line])
    mw = _limit(lines, line[counts], kv[counts], _route_km(part)[counts])
    return _summed(lines, pd.DataFrame({"tail": home.min(axis=0)[counts], "head": home.max(axis=0)[counts], "line": line[counts], "limit_mw": mw}))


def compare_limits(derived, given):
    """How limits from lines stand beside given ones: dict of pairs in both, spearman (rank correlation of forward and
    backward together), ratio_median, ratio_p10, ratio_p90 (derived / given), only_derived, only_given.

    derived, given: DataFrame[tail, head, forward_mw, backward_mw], tail < head, one row a pair and kind.
    """
    from scipy.stats import spearmanr

    mean = [t.assign(mw=(t["forward_mw"] + t["backward_mw"]) / 2).groupby(["tail", "head"])["mw"].sum() for t in (derived, given)]
    both = pd.concat(mean, axis=1, keys=["derived", "given"])
    common = both.dropna()
    common = common[(common > 0).all(axis=1)]
    if len(common) < 3:
        raise InputError(f"{len(common)} corridors stand in both tables: give limits of the same regions as the lines")
    ratio = common["derived"] / common["given"]
    return {"pairs": len(common), "spearman": float(spearmanr(common["derived"], common["given"])[0]), "ratio_median": float(ratio.median()),
            "ratio_p10": float(ratio.quantile(0.1)), "ratio_p90": float(ratio.quantile(0.9)),
            "only_derived": int(both["given"].isna().sum()), "only_given": int(both["derived"].isna().sum())}


def topology(lines, snap_km=0.3, substations=None, substation_km=SUBSTATION_KM):
    """`Topology` of lines: ends within snap_km of each other (chains of such) are one station; so are the ends for which one
    of the substations (GeoDataFrame of points) is the nearest and within substation_km.

    lines: GeoDataFrame[voltage_kv, geometry], in any coordinate reference system. A voltage that is missing is a class of
    its own (kv NaN).
    """
    part, line, ends = _parts(lines)
    ends = np.concatenate(ends)
    station, stations, met = _stations(ends, snap_km, substations, substation_km)
    kv = lines["voltage_kv"].to_numpy(float)[line]
    kv = np.where(kv > 0, kv, np.nan)
    at = pd.DataFrame({"station": station, "kv": np.r_[kv, kv], "lon": ends[:, 0], "lat": ends[:, 1]})
    bus = at.groupby(["station", "kv"], dropna=False).ngroup().to_numpy()
    buses = at.groupby(["station", "kv"], dropna=False).agg(lon=("lon", "mean"), lat=("lat", "mean"), lines=("lon", "size")).reset_index()
    start, end = bus[: len(line)], bus[len(line):]
    buses["island"] = _islands(buses, start, end)
    parts = pd.DataFrame({"line": line, "part": np.arange(len(line)) - np.searchsorted(line, line), "kv": kv, "km": _route_km(part), "start": start, "end": end})
    voltages = buses.groupby("station").size()
    report = pd.DataFrame({
        "what": ["line parts", "line ends", f"stations (ends within {snap_km:g} km)", "ends more than a metre from another of their station",
                 "stations with several voltages, transformers assumed", "stations with one line end", "parts that return to their station",
                 "parts without a voltage", "islands", "line ends in the largest island",
                 *([] if substations is None else [f"line ends within {substation_km:g} km of a substation of the file"])],
        "count": [len(part), len(ends), stations, _moved(ends, station), int((voltages > 1).sum()),
                  int((buses.groupby("station")["lines"].sum() == 1).sum()), int((station[: len(line)] == station[len(line):]).sum()),
                  int(np.isnan(kv).sum()), int(buses["island"].max() + 1) if len(buses) else 0,
                  int(buses.loc[buses["island"].eq(0), "lines"].sum()), *([] if substations is None else [met])]})
    return Topology(parts, buses, report)


def _parts(lines):
    """(parts in longitude and latitude, row of the line of each, [(N, 2) degrees where each starts, where each ends])."""
    if lines.crs is None:
        raise InputError('the lines say no coordinate reference system: set one, for example lines.set_crs("EPSG:4326")')
    shapes = lines.geometry.to_crs("EPSG:4326").to_numpy()
    if not np.isin(shapely.get_type_id(shapes), (1, 5)).all():
        raise InputError(f"line in row {int((~np.isin(shapely.get_type_id(shapes), (1, 5))).argmax())} is missing or no line: give LineString or MultiLineString")
    part, line = shapely.get_parts(shapes, return_index=True)
    return part, line, [shapely.get_coordinates(shapely.get_point(part, k)) for k in (0, -1)]


def _summed(lines, counted):
    """Corridors of rows tail, head, line, limit_mw: a row a pair, with the sum, the sum without the largest, and the rows of
    the file that are in it."""
    named = (lines["file"] if "file" in lines else pd.Series("lines", lines.index)).to_numpy(object)
    number = (lines["source_row"] if "source_row" in lines else pd.Series(range(1, len(lines) + 1))).to_numpy()
    groups = counted.groupby(["tail", "head"])
    sums = groups["limit_mw"].agg(["sum", "max", "size"]).reset_index()
    return pd.DataFrame({"tail": sums["tail"], "head": sums["head"], "forward_mw": sums["sum"], "backward_mw": sums["sum"],
                         "n1_mw": sums["sum"] - sums["max"], "lines": sums["size"], "kind": "AC", "name": "", "source": "lines",
                         "rows": [_rows(named, number, group["line"]) for _, group in groups]})


def _rows(named, number, line):
    return "; ".join(f"{named[k]} row {number[k]}" for k in sorted(set(line)))


def _limit(lines, line, kv, km):
    """(N,) MW; of a line of which only the thermal limit is known, that."""
    circuits = lines["circuits"].to_numpy(float)[line] if "circuits" in lines else np.ones(len(line))
    thermal = lines["thermal_mw"].to_numpy(float)[line] if "thermal_mw" in lines else np.full(len(line), np.nan)
    mw, known = circuits * thermal, kv > 0
    mw[known] = stclair.line_limit(kv[known], km[known], circuits[known], thermal[known])
    return mw


def _rated(lines):
    """(L,) bool: lines whose thermal limit the file says."""
    return (lines["thermal_mw"] > 0).to_numpy() if "thermal_mw" in lines else np.zeros(len(lines), bool)


def line_ends(lines, regions):
    """(N,) rows of the regions in which ends of lines of known voltage or thermal limit lie, one for each end."""
    part, line, ends = _parts(lines)
    known = (lines["voltage_kv"].to_numpy(float)[line] > 0) | _rated(lines)[line]
    home = np.concatenate([region_of(*end[known].T, regions) for end in ends]) if known.any() else np.zeros(0, int)
    return home[home >= 0]


def in_use(lines):
    """The lines that carry something (`line_files.read` says which do not); all where nothing is said."""
    return lines[lines["carries"]].reset_index(drop=True) if "carries" in lines else lines


def _sphere(ends):
    lon, lat = np.radians(ends).T
    return EARTH_KM * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _stations(ends, snap_km, substations=None, substation_km=0.0):
    """((N,) station of each end, how many, how many ends are at a substation of the file)."""
    from scipy.spatial import cKDTree

    if not len(ends):
        return np.zeros(0, int), 0, 0
    pairs, nodes, met = cKDTree(_sphere(ends)).query_pairs(snap_km, output_type="ndarray"), len(ends), 0
    if substations is not None and len(substations):
        points = substations.geometry.to_crs("EPSG:4326")
        near, which = cKDTree(_sphere(np.stack([points.x, points.y], axis=1))).query(_sphere(ends), distance_upper_bound=substation_km)
        at = np.flatnonzero(np.isfinite(near))
        pairs, nodes, met = np.concatenate([pairs, np.stack([at, len(ends) + which[at]], axis=1)]), nodes + len(points), len(at)
    piece, _ = graph_pieces(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), nodes)
    _, station = np.unique(np.asarray(piece)[: len(ends)], return_inverse=True)
    return station, int(station.max()) + 1, met


def _moved(ends, station):
    frame = pd.DataFrame(np.column_stack([_sphere(ends), station]), columns=["x", "y", "z", "station"])
    first = frame.groupby("station")[["x", "y", "z"]].transform("first")
    return int((np.linalg.norm(frame[["x", "y", "z"]] - first, axis=1) > 1e-3).sum())


def _islands(buses, start, end):
    """Island of each bus, the one with the most line ends first."""
    if not len(buses):
        return np.zeros(0, int)
    first = buses.groupby("station").ngroup(ascending=True).to_numpy()
    anchor = pd.Series(np.arange(len(buses))).groupby(first).transform("first").to_numpy()
    piece, count = graph_pieces(np.r_[start, np.arange(len(buses))], np.r_[end, anchor], len(buses))
    piece = np.asarray(piece)
    order = np.argsort(-np.bincount(piece, buses["lines"], int(count)), kind="stable")
    rank = np.empty(int(count), int)
    rank[order] = np.arange(int(count))
    return rank[piece]


def _route_km(parts):
    xy, owner = shapely.get_coordinates(parts, return_index=True)
    if not len(xy):
        return np.zeros(len(parts))
    step = geodesy.path_km(xy[:, 0], xy[:, 1])
    same = owner[1:] == owner[:-1]
    return np.bincount(owner[1:][same], step[same], len(parts))
