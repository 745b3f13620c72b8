"""What was wrong with the plants, what was done, row by row; and every plant in its region or in the list of those left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import shapely

from gridmap import InputError, ledger, tables
from gridmap.capacity import IN_SERVICE
from gridmap.names import are_counties, county_rows

SNAP_KM = 5.0                   # a point outside every region goes to the nearest one within this distance
ADDRESS_KM = 80.0               # ... or to the county it names, which may be far for wind farms at sea
BORDER_KM = 0.5                 # simplified borders are off by up to this: nearer than that, the address decides
OPERABLE = ("OP", "SB", "OS", "OA")
KM_PER_DEGREE = 111.195         # of latitude, mean Earth radius 6,371.0 km


def repair(inputs, snap_km=SNAP_KM, address_km=ADDRESS_KM, border_km=BORDER_KM, device="cpu"):
    """Inputs with every plant placed: plants.region is a row of regions, or -1 for those left out.

    Placing: the polygon that holds the point decides, except that (1) a point outside all goes to the county it names
    within address_km, else to the nearest region (of its state) within snap_km; (2) a point in another state than it
    names goes to the county it names, else to the nearest region of that state, within snap_km, else stays;
    (3) a point within border_km of the county it names goes there; (4) a plant without coordinates goes to the county
    it names. Nothing is dropped in silence: `report` has a line for each row changed or left out and `account` says
    where the MW went; its "whole file" lines are the files' totals. device: where points are looked up.
    Raises InputError for coordinates that fall into a region only when longitude and latitude are exchanged.
    """
    book = ledger.Ledger()
    plants = with_addresses(inputs.plants.copy(), inputs.places, book)
    note_units(plants, inputs, book)
    plants["region"], reasons = place(plants, inputs.regions, book, snap_km, address_km, border_km, device)
    reasons = leave_out(plants, reasons, inputs.demand.hours[0].year, book)
    plants.loc[reasons.ne(""), "region"] = -1
    home = inputs.regions["state"].to_numpy(object)[plants["region"]]
    plants["state"] = plants["state"].mask(plants["state"].eq("") & (plants["region"] >= 0), pd.Series(home, plants.index))
    report = pd.concat([inputs.report, book.table()], ignore_index=True)
    return replace(inputs, plants=plants, report=report, account=ledger.account(plants, reasons))


def with_addresses(plants, places, book):
    """State, county and coordinates that the plant file lacks, from the table of addresses."""
    null = plants["lon"].eq(0) & plants["lat"].eq(0)
    _note(book, plants[null], "coordinates 0, 0: taken as missing", "changed", before="0, 0")
    plants.loc[null, ["lon", "lat"]] = np.nan
    if places is None:
        return plants
    known = places.reindex(plants["plant_id"])
    for field in ("state", "county", "ba", "plant_name"):
        if field in known:
            plants[field] = plants[field].mask(plants[field].eq(""), known[field].fillna("").to_numpy())
    missing = plants["lon"].isna() | plants["lat"].isna()
    found = missing & known["lon"].notna().to_numpy() & known["lat"].notna().to_numpy()
    for field in ("lon", "lat"):
        plants[field] = plants[field].where(~found, known[field].to_numpy())
    _note(book, plants[found], "coordinates missing: taken from the table of addresses", "changed", after=_point(plants[found]))
    return plants


def note_units(plants, inputs, book):
    """Report what is odd but kept: statuses, repeated keys, ratings, batteries, balancing areas."""
    for status, rows in plants.groupby("status"):
        if status != "OP" and status in OPERABLE:
            does = "counts as running" if status in IN_SERVICE else "counts only on bases that hold every operable unit"
            _note(book, rows, f"status {status}: kept, {does}", "kept")
    named = plants[plants["generator_id"].ne("")]
    again = named[named.duplicated(["plant_id", "generator_id"], keep=False)]
    _note(book, again, "plant and generator repeated: kept and added, shares of one unit or units of one name", "kept", before=again["generator_id"])
    above = plants[plants["summer_mw"] > plants["nameplate_mw"]]
    _note(book, above, "net summer rating above nameplate: kept", "kept", before=above["nameplate_mw"], after=above["summer_mw"])
    kind = plants["technology"].map(tables.fact("technologies").set_index("technology")["kind"])
    battery = plants[plants["technology"].isin(["battery", "storage_other"]) & ~(plants["energy_mwh"] > 0)]
    _note(book, battery, "storage without energy: taken to hold its power for the hour", "kept")
    plants.loc[kind.eq("storage") & ~(plants["energy_mwh"] > 0), "energy_mwh"] = np.nan
    no_area = plants[plants["ba"].eq("") & plants["ba"].ne("").any()]
    _note(book, no_area, "no balancing area: placed by its coordinates all the same", "kept")
    areas = {name.split("-")[0] for name in inputs.demand.areas}
    only = plants[plants["ba"].ne("") & ~plants["ba"].isin(areas)] if set(plants["ba"]) & areas else plants[:0]
    for area, rows in only.groupby("ba"):
        book.add(rows["file"].iloc[0], "balancing area without demand: its plants supply the regions they stand in", "kept",
                 plant=area, before=f"{len(rows)} units", mw=rows["nameplate_mw"].sum())


def place(plants, regions, book, snap_km, address_km, border_km, device="cpu"):
    """((N,) region rows, (N,) reasons why a plant is in none)."""
    from gridmap.place import region_of

    lon, lat = plants["lon"].to_numpy(float), plants["lat"].to_numpy(float)
    has_point = np.isfinite(lon) & np.isfinite(lat)
    region = np.full(len(plants), -1)
    region[has_point] = region_of(lon[has_point], lat[has_point], regions, device)
    states = regions["state"].to_numpy(str)
    state = plants["state"].to_numpy(str)
    foreign = (state != "") & ~np.isin(state, states) & (states != "").all()
    named = county_rows(regions, plants["county"], plants["state"])
    moves = _Moves(plants, regions, region, book)

    outside = has_point & (region < 0) & ~foreign
    _refuse_swapped(plants, regions, outside)
    far = pair_km(lon, lat, regions, named, outside & (named >= 0))
    moves.move(far <= address_km, named, "point outside every region: to the county it names", far)
    near, near_km = nearest(lon, lat, regions, outside & (region < 0), states, state, snap_km)
    moves.move(near >= 0, near, "point outside every region: to the nearest one", near_km)

    abroad = has_point & (region >= 0) & ~outside & (state != "") & ~foreign
    abroad[abroad] = (states[region[abroad]] != "") & (states[region[abroad]] != state[abroad])
    far = pair_km(lon, lat, regions, named, abroad & (named >= 0))
    moves.move(far <= snap_km, named, "point in another state than it names: to the county it names", far)
    rest = abroad & (region >= 0)
    rest[rest] = states[region[rest]] != state[rest]
    near, near_km = nearest(lon, lat, regions, rest, states, state, snap_km)
    moves.move(near >= 0, near, "point in another state than it names: to the nearest region of that state", near_km)
    _note(book, plants[rest & (near < 0)], "point in another state than it names: coordinates kept", "kept",
          before=plants["state"][rest & (near < 0)], after=_region_names(regions, region[rest & (near < 0)]))

    other = has_point & (region >= 0) & (named >= 0) & (named != region) & ~outside & ~abroad
    far = pair_km(lon, lat, regions, named, other)
    moves.move(far <= border_km, named, "point just across a border: to the county it names", far)
    stay = other & ~(far <= border_km)
    _note(book, plants[stay], "point in another county than it names: coordinates kept", "kept",
          before=_region_names(regions, named[stay]), after=_region_names(regions, region[stay]))

    blind = ~has_point & (named >= 0)
    moves.move(blind, named, "no coordinates: to the county it names", np.full(len(plants), np.nan))
    odd = plants["county"].ne("").to_numpy() & (named < 0) & ~foreign & plants["state"].ne("").to_numpy()
    if are_counties(regions):
        _note(book, plants[odd], "county name matches no region: coordinates decide", "kept", before=plants["county"][odd])
    reasons = np.where(region >= 0, "", np.where(foreign, "in a state outside the region set",
                       np.where(has_point, f"over {snap_km:g} km from every region", "without coordinates or a known county")))
    return region, pd.Series(reasons, plants.index, dtype=object)


def leave_out(plants, reasons, year, book):
    """Reasons, with those for units that do not run in the year: by status, or by years of start and end."""
    unbuilt = ~plants["status"].isin(OPERABLE)
    reasons = reasons.mask(reasons.eq("") & unbuilt, "status " + plants["status"] + ": not built or retired")
    reasons = reasons.mask(reasons.eq("") & (plants["start_year"] > year), f"starts after {year}")
    reasons = reasons.mask(reasons.eq("") & (plants["end_year"] <= year), f"retired by {year}")
    out = plants[reasons.ne("")]
    for reason, rows in out.groupby(reasons[out.index]):
        _note(book, rows, reason, "left out", before=_point(rows))
    return reasons


def pair_km(lon, lat, regions, row, chosen):
    """(N,) km from each chosen point to the region of its row; NaN for the others. Plane around the point: good to 1 % at
    100 km."""
    km = np.full(len(lon), np.nan)
    km[chosen] = _pair_km(lon[chosen], lat[chosen], regions.geometry.to_numpy()[row[chosen]])
    return km


def nearest(lon, lat, regions, chosen, states, state, within_km):
    """((N,) row, (N,) km) of the nearest region within within_km, of the point's own state where it names one that the
    regions have; -1 and NaN where none is."""
    rows, km = np.full(len(lon), -1), np.full(len(lon), np.nan)
    index = np.flatnonzero(chosen)
    if len(index) == 0:
        return rows, km
    shapes = regions.geometry.to_numpy()
    reach = within_km / KM_PER_DEGREE / np.cos(np.radians(np.abs(lat[index])))
    point, region = shapely.STRtree(shapes).query(shapely.points(lon[index], lat[index]), predicate="dwithin", distance=reach)
    point = index[point]
    own = (states[region] == state[point]) | (state[point] == "") | (states[region] == "")
    point, region = point[own], region[own]
    far = _pair_km(lon[point], lat[point], shapes[region])
    order = np.lexsort((region, far))[::-1]                 # the nearest is written last; of two as near the lower row
    order = order[far[order] <= within_km]
    rows[point[order]], km[point[order]] = region[order], far[order]
    return rows, km


def _pair_km(lon, lat, shapes):
    if len(shapes) == 0:
        return np.zeros(0)
    xy, which = shapely.get_coordinates(shapes, return_index=True)
    xy = (xy - np.stack([lon, lat], axis=1)[which]) * KM_PER_DEGREE
    xy[:, 0] *= np.cos(np.radians(lat))[which]
    return shapely.distance(shapely.set_coordinates(shapes.copy(), xy), shapely.Point(0, 0))


class _Moves:
    """Changes of region, each with its line in the report."""

    def __init__(self, plants, regions, region, book):
        self.plants, self.regions, self.region, self.book = plants, regions, region, book

    def move(self, chosen, to, rule, km):
        rows = self.plants[chosen]
        after = _region_names(self.regions, to[chosen])
        if len(rows) and np.isfinite(km[chosen]).all():
            after = after + pd.Series([f" ({d:.2f} km)" for d in km[chosen]], dtype=object)
        _note(self.book, rows, rule, "changed", before=_region_names(self.regions, self.region[chosen]), after=after)
        self.region[chosen] = to[chosen]


def _refuse_swapped(plants, regions, outside):
    from gridmap.place import region_of

    rows = plants[outside & (plants["lat"].abs() <= 90).to_numpy() & (plants["lon"].abs() <= 90).to_numpy()]
    if len(rows) == 0:
        return
    swapped = region_of(rows["lat"].to_numpy(float), rows["lon"].to_numpy(float), regions) >= 0
    if swapped.any():
        row = rows[swapped].iloc[0]
        raise InputError(
            f"{row['file']}: row {row['source_row']} (plant {row['plant_id']}): lat {row['lat']:g}, lon {row['lon']:g} is outside every "
            "region, exchanged it is inside one; longitude and latitude look swapped, exchange them"
        )


def _region_names(regions, rows):
    names = np.append((regions["region_id"] + " " + regions["name"]).to_numpy(object), "")
    return pd.Series(names[rows], dtype=object)


def _point(rows):
    return pd.Series([f"{lat:.5f}, {lon:.5f}" for lat, lon in zip(rows["lat"], rows["lon"])], dtype=object)


def _note(book, rows, rule, action, before="", after=""):
    for file, part in rows.groupby("file", sort=False):
        inside = rows["file"].eq(file).to_numpy()
        texts = [column[inside] if isinstance(column, pd.Series) else column for column in (before, after)]
        book.add(file, rule, action, row=part["source_row"], plant=part["plant_id"] + " " + part["plant_name"],
                 before=texts[0], after=texts[1], mw=part["nameplate_mw"])
