"""What is peculiar to the registries that files of plants come from, each noted in the report."""

import numpy as np
import pandas as pd
import shapely

from gridmap import tables

OSM = "osm"
COUNTED_ONCE = ("wri", "hifld")  # registries that name further fuels of a plant beside its capacity


def named(path, frame):
    """The file of each row, and in brackets its sheet where the file has several."""
    if "sheet" not in frame:
        return path.name
    return path.name + "[" + frame.pop("sheet").astype(str) + "]"


def leave_parts(frame, book):
    """OpenStreetMap has a plant's generators beside the plant: those inside a plant's area that has a capacity get none
    of their own, for it is in the plant's. frame: GeoDataFrame with nameplate_mw, changed in place."""
    shapes = frame.geometry.to_numpy()
    area = np.isin(shapely.get_type_id(shapes), (3, 6)) & (frame["nameplate_mw"] > 0).to_numpy()
    plant = np.flatnonzero(area)
    if not len(plant):
        return
    point = shapely.point_on_surface(shapes)
    inside, within = shapely.STRtree(shapes[plant]).query(point, predicate="within")
    smaller = shapely.area(shapes[inside]) < shapely.area(shapes[plant[within]])
    part = np.unique(inside[smaller])
    part = part[(frame["nameplate_mw"].to_numpy()[part] > 0)]
    rows = frame.iloc[part]
    _add(book, rows, "inside a plant with a capacity of its own: its capacity is part of that", "changed", before=rows["nameplate_mw"], after=0.0)
    frame.loc[frame.index[part], "nameplate_mw"] = 0.0


def fill_blank(path, frame, layout, book):
    """Capacity that the publisher leaves blank: nameplate from the net rating, else 0. frame is changed in place."""
    blank = frame["nameplate_mw"].isna()
    if tables.gaps(layout) != "unknown" or not blank.any():
        return
    net = frame["summer_mw"].fillna(frame["winter_mw"])
    for chosen, rule, value in ((blank & net.notna(), "capacity missing: net rating taken", net), (blank & net.isna(), "capacity missing: counts as 0 MW", 0.0)):
        rows = frame[chosen]
        _add(book, rows, rule, "changed", before="", after=value[chosen] if isinstance(value, pd.Series) else value)
        frame.loc[chosen, "nameplate_mw"] = value[chosen] if isinstance(value, pd.Series) else value


def note_fuels(path, frame, layout, book):
    """Plants of several fuels: their capacity counts once, under the first; a count of each fuel's plants would add it twice."""
    if layout not in COUNTED_ONCE:
        return
    rows = frame[frame["fuel"].ne("")]
    _add(book, rows, "several fuels: capacity counted once, under the first", "kept", before=rows["technology"] + ", " + rows["fuel"], after=rows["technology"])


def _add(book, rows, rule, action, before, after):
    for file, part in rows.groupby("file", sort=False):
        texts = [column.loc[part.index] if isinstance(column, pd.Series) else column for column in (before, after)]
        book.add(file, rule, action, row=part["source_row"], plant=part["plant_id"], before=texts[0], after=texts[1], mw=part["nameplate_mw"])
