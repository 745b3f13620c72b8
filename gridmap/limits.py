"""What the corridors between regions can carry, MW each way, with all lines in service."""

import numpy as np
import pandas as pd

from gridmap import InputError, tables
from gridmap.regions import county_codes

COLUMNS = ["tail", "head", "forward_mw", "backward_mw", "kind", "name", "source", "rows"]


def build(paths, regions, ledger, columns=None):
    """Corridors of one or more files of limits: DataFrame[tail, head, forward_mw, backward_mw, kind, name, source, rows].

    tail, head: rows of `regions`. forward_mw: tail to head; backward_mw: head to tail. kind: AC or DC. source: file name. rows: text, every row of a file it is made of.
    A pair is one row a kind, tail < head; repeated pairs are added (they are parallel ties).
    Left out and reported: ends in no region, both ends in one region, AC between two interconnects. N-1 columns are never used as limits here.
    Raises InputError for a limit that is missing, negative or infinite.
    """
    parts = [_read(path, regions, ledger, columns) for path in paths]
    corridors = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    corridors = _one_a_pair(corridors, regions, ledger)
    report_alone(corridors, regions, ledger)
    return corridors


def onto(corridors, parent):
    """The same corridors over other regions: parent (R,) int says which region each became.

    Limits between the same two are added; corridors inside one vanish.
    """
    moved = corridors.assign(tail=parent[corridors["tail"]], head=parent[corridors["head"]])
    inside = moved["tail"].eq(moved["head"])
    return _one_a_pair(moved[~inside])


def _read(path, regions, ledger, columns):
    frame, layout = tables.read(path, "limits", columns, ledger)
    for field in ("forward_mw", "backward_mw"):
        bad = ~(np.isfinite(frame[field]) & (frame[field] >= 0))
        if bad.any():
            row = frame[bad].iloc[0]
            raise InputError(f"{path}: row {row['source_row']}: the limit {row['tail']} to {row['head']} is {row[field]:g}; give MW from 0 up")
    _report_n1(path, frame, ledger)
    for end in ("tail", "head"):
        frame[end + "_id"] = frame[end]
        frame[end] = _region_rows(frame[end], regions)
    most = frame[["forward_mw", "backward_mw"]].max(axis=1)
    what = frame["tail_id"] + " to " + frame["head_id"]
    _report_merged(path, frame, what, most, regions, ledger)
    lost = (frame["tail"] < 0) | (frame["head"] < 0)
    ledger.add(path.name, "corridor to a place outside the region set", "left out", row=frame.loc[lost, "source_row"], plant=what[lost], mw=most[lost])
    inside = ~lost & frame["tail"].eq(frame["head"])
    ledger.add(path.name, "corridor inside one region", "left out", row=frame.loc[inside, "source_row"], plant=what[inside], mw=most[inside])
    zero = ~lost & ~inside & most.eq(0)
    ledger.add(path.name, "corridor with a limit of 0 both ways", "kept", row=frame.loc[zero, "source_row"], plant=what[zero], mw=most[zero])
    frame["back_to_back"] = frame["kind"].str.upper().isin(["B2B"]) if "kind" in frame else False
    frame["kind"] = np.where(frame["kind"].str.upper().isin(["AC", ""]), "AC", "DC") if "kind" in frame else "AC"
    frame["name"] = frame["name"] if "name" in frame else ""
    apart = _report_interconnects(path, frame[~lost & ~inside], what, most, regions, ledger)
    return frame[~lost & ~inside & ~apart.reindex(frame.index, fill_value=False)].assign(source=path.name, rows=lambda t: path.name + " row " + t["source_row"].astype(str))[COLUMNS]


def _report_interconnects(path, frame, what, most, regions, ledger):
    """(N,) bool: alternating-current corridors between two interconnects, which can't be and are left out. A tie of
    converters that stays inside one interconnect is kept; its ends are probably named wrongly."""
    if "interconnect" not in regions:
        return pd.Series(False, frame.index)
    side = regions["interconnect"].to_numpy(object)
    a, b = side[frame["tail"]], side[frame["head"]]
    across = (a != "") & (b != "") & (a != b)
    apart = frame["kind"].eq("AC") & across
    ledger.add(path.name, "AC corridor between two interconnects, which do not run in step", "left out",
               row=frame.loc[apart, "source_row"], plant=what[apart.index[apart]], mw=most[apart.index[apart]])
    odd = frame["kind"].eq("DC") & frame["back_to_back"] & (a != "") & ~across
    ledger.add(path.name, "back-to-back tie whose ends lie in one interconnect", "kept", row=frame.loc[odd, "source_row"],
               plant=what[odd.index[odd]], after=frame.loc[odd, "name"], mw=most[odd.index[odd]])
    return apart


def _region_rows(names, regions):
    """Rows of `regions` by region_id; "p" and five digits is a county's code, merged counties are their region."""
    ids = county_codes(names)
    merges = tables.fact("county_merges").set_index("fips")["region_id"]
    known = pd.Index(regions["region_id"])
    rows = known.get_indexer(ids)
    return np.where(rows < 0, known.get_indexer(ids.map(merges).fillna("")), rows)


def _report_n1(path, frame, ledger):
    if "forward_n1_mw" not in frame:
        return
    empty = frame["forward_n1_mw"].eq(0).all() and frame["backward_n1_mw"].eq(0).all()
    what = "all zero: not computed, not a limit" if empty else "present; limits with all lines in service are used"
    ledger.add(path.name, "columns with one line out", "left out" if empty else "kept", plant=f"{len(frame)} rows", before=what)


def _report_merged(path, frame, what, most, regions, ledger):
    merges = tables.fact("county_merges")
    merged = set(merges.loc[merges["fips"].ne(merges["region_id"]), "fips"])
    moved = (frame["tail_id"].str[-5:].isin(merged) & (frame["tail"] >= 0)) | (frame["head_id"].str[-5:].isin(merged) & (frame["head"] >= 0))
    moved &= frame["tail"].ne(frame["head"])
    ids = regions["region_id"].to_numpy()
    after = pd.Series(ids[frame["tail"]], frame.index) + " to " + pd.Series(ids[frame["head"]], frame.index)
    ledger.add(path.name, "end in a county that is part of a merged region", "merged", row=frame.loc[moved, "source_row"],
               plant=what[moved], after=after[moved], mw=most[moved])


def _one_a_pair(corridors, regions=None, ledger=None):
    """Sorted so that tail < head, parallel ties of one kind added."""
    turn = corridors["tail"].to_numpy() > corridors["head"].to_numpy()
    straight = corridors.copy()
    for a, b in (("tail", "head"), ("forward_mw", "backward_mw")):
        straight[a] = np.where(turn, corridors[b], corridors[a])
        straight[b] = np.where(turn, corridors[a], corridors[b])
    how = {"forward_mw": "sum", "backward_mw": "sum", "name": _joined, "source": _joined, "rows": _joined}
    grouped = straight.groupby(["tail", "head", "kind"], sort=True)
    if ledger is not None:
        size = grouped["forward_mw"].agg(["size", "sum"])
        size = size[size["size"] > 1].reset_index()
        ids = regions["region_id"].to_numpy(object)
        ledger.add("corridors", "parallel ties of one pair of regions are added", "merged",
                   plant=pd.Series(ids[size["tail"]] + " to " + ids[size["head"]], dtype=object), before=size["size"].astype(str) + " rows", mw=size["sum"])
    summed = grouped.agg(how).reset_index()
    return summed.astype({"tail": np.int64, "head": np.int64, "forward_mw": float, "backward_mw": float})[COLUMNS]


def _joined(texts):
    return "; ".join(dict.fromkeys(t for t in texts if t))


def report_alone(corridors, regions, ledger):
    touched = np.zeros(len(regions), bool)
    touched[corridors["tail"]] = True
    touched[corridors["head"]] = True
    alone = regions[~touched]
    ledger.add("corridors", "region without any corridor: it stands alone", "kept", plant=alone["region_id"] + " " + alone["name"])
