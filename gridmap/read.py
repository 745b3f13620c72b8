"""Everything a run reads, as tables with gridmap's own columns: `load(config)`, or `load_bundle()` for the 48 states."""

import pathlib
from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd

from gridmap import (
    InputError,
    demand,
    factors,
    grids,
    ledger,
    limits,
    line_files,
    line_limits,
    overlay,
    regions,
    registries,
    tables,
)
from gridmap import loads as large
from gridmap.config import Config

BUNDLED = {
    "plants": "generators_2022.parquet", "places": "plants_2023.parquet", "hydro": "hydro_2025.parquet",
    "demand": "demand_2023.parquet", "population": "population_2021.parquet", "lines": "lines_230kv.parquet",
}
BUNDLED_LIMITS = ("limits_county.parquet", "ties_county.parquet")
CAPACITIES = ("nameplate_mw", "summer_mw", "winter_mw")
TRUNCATED = "query cut off at 2,000 lines: dense in UT, CO and WY, single lines elsewhere; for display only"


@dataclass
class Inputs:
    """What a run works on.

    regions: GeoDataFrame[region_id, name, state, interconnect, zone, geometry] in EPSG:4326; row = region number.
    plants: one row a generator, see `read_plants`; `region` is set by `repair.repair`.
    demand: demand.Demand. corridors: see limits.build. lines: GeoDataFrame for display, or None.
    places: addresses of plants by plant_id, or None. weather: factors.Weather. outages: factors.Outages.
    report: the repair report (ledger.COLUMNS). account: where every MW went, None before repair.
    beside: with own lines what limits they make beside the given ones, `line_limits.beside`. substations: `line_files.read_substations`, or None. interfaces:
    limits between groups, `nested.Interfaces`, or None. files: every file read. sources: `ledger.Ledger.sources`. truncated: why the lines are not the whole grid, or "". own_lines: whether the user gave them.
    """

    regions: geopandas.GeoDataFrame
    plants: pd.DataFrame
    demand: demand.Demand
    corridors: pd.DataFrame
    lines: geopandas.GeoDataFrame | None
    places: pd.DataFrame | None
    weather: object
    outages: object
    report: pd.DataFrame
    files: list[pathlib.Path]
    sources: pd.DataFrame | None = None
    truncated: str = ""
    own_lines: bool = False
    account: pd.DataFrame | None = None
    beside: pd.DataFrame | None = None
    substations: geopandas.GeoDataFrame | None = None
    interfaces: object = None


def load_bundle():
    """The bundled data: 48 states by county, generators of 2022, demand of 2023."""
    return load(Config())


def load(config=None):
    """Read what a Config names, and the bundled files for what it leaves None where they fit: addresses and rivers for
    plants numbered as EIA does; people, lines, and limits for the bundled counties, which own regions without own demand
    are laid over (`overlay`). Raises InputError (see `tables.read`)."""
    files = _Files(config or Config())
    book = ledger.Ledger()
    ground = _ground(files, book)
    plants = read_plants(files.path("plants"), book, files.columns("plants"))
    eia = tables.registry(plants.attrs["layout"]) == "EIA"
    places = read_places(files.path("places"), files.columns("places"), book) if eia or "places" in files.own else None
    if eia or "hydro" in files.own:
        plants = with_hydro(plants, files.path("hydro"), book, files.columns("hydro"))
    weather, outages, read = factors.read_factors(files.own, book)
    files.read += read
    loads, spread = _demand(files, ground, plants, book)
    by_lines, beside = config is not None and config.limits_from == "lines", None
    here = ground.counties is not None
    lines, cut_off = line_files.read(files.path("lines"), book, files.columns("lines")) if here or "lines" in files.own else (None, "")
    substations = line_files.read_substations(files.path("substations"), book, files.columns("substations")) if "substations" in files.own else None
    corridors = _corridors(files, ground, book, spread) if here or "limits" in files.own or not by_lines else None
    if not by_lines and corridors is not None and "lines" in files.own:
        beside = line_limits.beside(line_limits.estimates(lines, ground.regions, substations=substations), ground.regions, corridors)
    if by_lines:
        corridors, beside = line_limits.take(lines, ground.regions, corridors, book, substations=substations)
    return Inputs(
        regions=ground.regions, plants=plants, demand=loads, corridors=corridors, lines=lines, places=places, weather=weather,
        outages=outages, report=book.table(), files=files.read, sources=book.sources(),
        truncated=TRUNCATED if lines is not None and "lines" not in files.own else cut_off, own_lines="lines" in files.own, beside=beside, substations=substations,
    )


@dataclass(frozen=True)
class _Ground:
    """The regions of the run, the bundled counties where they are needed (else None), and whether the two are the same; where
    each region lies in one county, that, and the share of its area (`grids.cut`)."""

    regions: geopandas.GeoDataFrame
    counties: geopandas.GeoDataFrame | None
    same: bool
    share: object = None
    home: object = None


def _ground(files, book):
    own = regions.read(files.path("regions"), book, files.columns("regions")) if "regions" in files.own else None
    if grids.is_grid(files.by):
        return _grid(files, own, book)
    if own is not None and "demand" in files.own:
        return _Ground(own, None, False)
    counties, read = regions.bundled(book)
    files.read += read
    return _Ground(counties if own is None else overlay.apart(own, counties, book), counties, own is None)


def _grid(files, own, book):
    """Cells over the bundled counties, or over the part of them that own regions cover."""
    if "demand" in files.own and "areas" not in files.own:
        raise InputError(f"by {files.by}: own demand is by its own regions, not by cells; leave --demand out or say with --areas which cells each area covers")
    counties, read = regions.bundled(book)
    files.read += read
    ground, home, share = grids.cut(grids.make(files.by, counties if own is None else own), counties)
    book.add("regions", f"{files.by}: cells cut at county borders, where limits are known", "added", plant=f"{len(ground)} parts of {ground['region_id'].str.split('-').str[0].nunique()} cells")
    return _Ground(ground, counties, False, share, home)


def _demand(files, ground, plants, book):
    """(demand over the regions, `overlay.Spread` or None); the bundled areas reach own regions by way of the counties."""
    by_county = ground.counties is not None and "areas" not in files.own
    base = ground.counties if by_county else ground.regions
    people = read_population(files.path("population"), files.columns("population"), book) if by_county or "population" in files.own else None
    areas = files.path("areas") if "areas" in files.own else None
    loads, read = demand.build(files.path("demand"), base, book, areas=areas, population=people, columns=files.columns("demand"),
                               fill=files.fill)
    files.read += read
    spread = None
    if by_county and not ground.same:
        share = overlay.shares(ground.counties, ground.regions) if ground.share is None else ground.share
        spread = overlay.spread(ground.counties, ground.regions, share, loads, plants) if ground.share is None else None
        loads = overlay.demand_onto(loads, share, book)
    if "loads" in files.own:
        path = files.path("loads")
        loads = large.take_out(path, large.read(path, files.columns("loads"), book), loads, ground.regions, book)
    return loads, spread


def _corridors(files, ground, book, spread=None):
    """Corridors between the regions: the user's, or the bundled ones of the counties, folded where the regions are others."""
    if "limits" in files.own:
        return limits.build([files.path("limits")], ground.regions, book, files.columns("limits"))
    if ground.counties is None:
        raise InputError(f"{files.own['regions']}: own regions with their own demand need their own limits; give --limits "
                         "(tail, head, forward_mw, backward_mw)")
    paths = [tables.DATA / name for name in BUNDLED_LIMITS]
    files.read += paths
    corridors = limits.build(paths, ground.counties, book)
    return corridors if ground.same else overlay.corridors_onto(corridors, ground.counties, ground.regions, book, spread, ground.home)


class _Files:
    """The file of each role, the user's or the bundled one, and a list of those asked for."""

    def __init__(self, config):
        self.own = {role: pathlib.Path(path) for role, path in config.own_files.items()}
        self._columns, self.fill = config.columns, config.fill_demand
        self.by = config.by
        self.read = []

    def path(self, role):
        self.read.append(self.own.get(role) or tables.DATA / BUNDLED[role])
        return self.read[-1]

    def columns(self, table):
        """The user's {field: column} for the user's file of this table, or None."""
        return self._columns.get(table) if table in self.own else None


def read_plants(path, book, columns=None):
    """Generators: DataFrame[file, source_row, plant_id, generator_id, plant_name, state, county, lon, lat, technology,
    fuel, status, nameplate_mw, summer_mw, winter_mw, energy_mwh, ba, start_year, end_year, prime_mover, river_factor, region].
    file: name of the file, and in brackets the sheet where it has several.

    technology: a name of technologies.csv. MW and MWh float64, NaN only in energy_mwh; lon, lat NaN where the file has
    none; years NaN where unknown; text "" where unknown; river_factor NaN until `with_hydro`; region -1 until `repair`.
    Every row of the file is here. `.attrs["layout"]` is the layout found.
    Raises InputError for capacity that is missing, negative or infinite and for coordinates outside the world.
    """
    path = pathlib.Path(path)
    frame, layout = tables.read(path, "plants", columns, book)
    if len(frame) == 0:
        raise InputError(f"{path}: holds no rows; give a file with at least one plant")
    frame["file"] = registries.named(path, frame)
    if "geometry" in frame:
        if layout == registries.OSM:
            registries.leave_parts(frame, book)
        frame = _point_columns(path, frame)
    for field, kind in zip(tables.layouts("plants")[tables.OWN]["field"], tables.layouts("plants")[tables.OWN]["type"]):
        if field not in frame:
            frame[field] = "" if kind == "text" else np.nan
    registries.fill_blank(path, frame, layout, book)
    _check_capacity(path, frame)
    _check_coordinates(path, frame)
    _fill_capacity(path, frame, book)
    frame["status"] = _statuses(frame["status"])
    frame["state"] = frame["state"].str.upper()
    registries.note_fuels(path, frame, layout, book)
    frame["technology"] = _technologies(path, frame, book)
    frame["region"] = -1
    frame["river_factor"] = np.nan
    order = ["file", "source_row", *tables.layouts("plants")[tables.OWN]["field"], "river_factor", "region"]
    frame = pd.DataFrame(frame)[order]
    frame.attrs["layout"] = layout
    return frame


def read_places(path, columns=None, book=None):
    """Addresses: DataFrame by plant_id [plant_name, state, county, lon, lat, ba]; of a repeated plant_id the first."""
    frame, _ = tables.read(path, "places", columns, book)
    return pd.DataFrame(frame).drop_duplicates("plant_id").set_index("plant_id")


def with_hydro(plants, path, book, columns=None):
    """Plants with `river_factor`: of hydro its historical capacity factor 0..1, the mean of its kind where the list lacks it; NaN elsewhere.

    The EIA tables do not tell a reservoir from the river's flow; the ReEDS list does. A hydro unit that it calls "Run of
    River" becomes hydro_run_of_river, and one it calls pumped storage pumped_storage.
    """
    frame, _ = tables.read(path, "hydro", columns, book)
    frame["technology"] = frame["technology"].map(_plain_names())
    frame["mwh"] = frame["capacity_factor"].fillna(0) * frame["summer_mw"]
    known = frame[frame["technology"].isin(["hydro_run_of_river", "hydro"]) & frame["capacity_factor"].notna()]
    factor = known.groupby("plant_id")["mwh"].sum() / known.groupby("plant_id")["summer_mw"].sum()
    kind = frame.sort_values("summer_mw").drop_duplicates(["plant_id", "generator_id"], keep="last")
    kind = kind.set_index(["plant_id", "generator_id"])["technology"]
    by_plant = frame.groupby(["plant_id", "technology"])["summer_mw"].sum().reset_index().sort_values("summer_mw")
    by_plant = by_plant.drop_duplicates("plant_id", keep="last").set_index("plant_id")["technology"]
    hydro = plants["technology"].eq("hydro")
    unit = pd.Series(pd.MultiIndex.from_frame(plants[["plant_id", "generator_id"]]).map(kind), plants.index, dtype=object)
    found = unit.fillna(plants["plant_id"].map(by_plant))
    changed = hydro & found.isin(["hydro_run_of_river", "pumped_storage"])
    plants["technology"] = plants["technology"].mask(changed, found)
    for technology, rows in plants[changed].groupby("technology"):
        book.add(plants["file"].iloc[0], f"hydro that the ReEDS list calls {technology}", "changed", before="hydro", after=technology,
                 plant=f"{len(rows)} units", mw=rows["nameplate_mw"].sum())
    unknown = plants[hydro & found.isna()]
    if len(unknown):
        book.add(plants["file"].iloc[0], "hydro that the ReEDS list does not hold: taken as having a reservoir", "kept",
                 plant=f"{len(unknown)} units", mw=unknown["nameplate_mw"].sum())
    for technology in ("hydro_run_of_river", "hydro"):
        mine = known[known["technology"].eq(technology)]
        usual = mine["mwh"].sum() / mine["summer_mw"].sum() if len(mine) else np.nan
        rows = plants["technology"].eq(technology)
        plants.loc[rows, "river_factor"] = plants.loc[rows, "plant_id"].map(factor).astype(float).fillna(usual)
    return plants


def read_population(path, columns=None, book=None):
    """Series by region_id: people. Counties merged into another region are added there."""
    frame, _ = tables.read(path, "population", columns, book)
    ids = regions.county_codes(frame["region_id"])
    merges = tables.fact("county_merges").set_index("fips")["region_id"]
    return frame["population"].groupby(ids.map(merges).fillna(ids)).sum()


def read_lines(path, book, columns=None):
    """Lines as `line_files.read` gives them, without why the file may be cut off."""
    return line_files.read(path, book, columns)[0]


def _point_columns(path, frame):
    if frame.crs is None:
        raise InputError(f"{path}: says no coordinate reference system; write the file with one (EPSG:4326 for longitude and latitude)")
    points = frame.to_crs(4326).geometry.representative_point()
    return pd.DataFrame(frame.drop(columns="geometry")).assign(lon=points.x.to_numpy(), lat=points.y.to_numpy())


def _check_capacity(path, frame):
    for field in CAPACITIES:
        mw = frame[field]
        missing = mw.isna() if field == "nameplate_mw" else pd.Series(False, frame.index)
        for bad, what in ((missing, "is missing"), (np.isinf(mw), "is infinite"), (mw < 0, "is negative")):
            if bad.any():
                row = frame[bad].iloc[0]
                raise InputError(
                    f"{path}: row {row['source_row']} (plant {row['plant_id']}, generator {row['generator_id']}): {field} {what}; "
                    "give MW from 0 up"
                )


def _check_coordinates(path, frame):
    lon, lat = frame["lon"], frame["lat"]
    swapped = (lat.abs() > 90) & (lon.abs() <= 90) & (lat.abs() <= 180)
    outside = (lat.abs() > 90) | (lon.abs() > 180) | np.isinf(lon) | np.isinf(lat)
    for bad, why in ((swapped, "longitude and latitude look swapped; exchange them"), (outside, "outside the world; give degrees")):
        if bad.any():
            row = frame[bad].iloc[0]
            raise InputError(f"{path}: row {row['source_row']} (plant {row['plant_id']}): lat {row['lat']:g}, lon {row['lon']:g}: {why}")


def _fill_capacity(path, frame, book):
    for field in ("summer_mw", "winter_mw"):
        blank = frame[field].isna()
        if blank.all():
            book.add(path.name, f"no {field} in the file: nameplate taken", "changed", plant=f"{len(frame)} units", mw=frame["nameplate_mw"].sum())
        else:
            rows = frame[blank]
            book.add(path.name, f"{field} missing: nameplate taken", "changed", row=rows["source_row"], plant=rows["plant_id"],
                     after=rows["nameplate_mw"], mw=rows["nameplate_mw"])
        frame[field] = frame[field].fillna(frame["nameplate_mw"])


def _statuses(words):
    """EIA's codes: those of status_names.csv for other registries' words ("cancelled - inferred 4 y" is cancelled), OP for none."""
    words = words.str.upper()
    names = tables.fact("status_names").set_index("source")["status"]
    return words.str.split(" - ").str[0].map(names).fillna(words).mask(words.eq(""), "OP")


def _technologies(path, frame, book):
    """The name of technologies.csv for each row: by technology and fuel, else by technology alone, else "other"."""
    names = tables.fact("technology_names")
    exact = names[names["fuel"].ne("")].set_index(["source", "fuel"])["technology"]
    found = pd.Series(pd.MultiIndex.from_frame(frame[["technology", "fuel"]]).map(exact), frame.index, dtype=object)
    found = found.fillna(frame["technology"].map(_plain_names()))
    found = found.fillna(frame["technology"].str.split(";").str[0].str.strip().map(_plain_names()))      # OpenStreetMap: "gas;oil"
    unknown = frame[found.isna()]
    book.add(path.name, "technology unknown to technology_names.csv: taken as other", "changed", row=unknown["source_row"],
             plant=unknown["plant_id"], before=unknown["technology"], after="other", mw=unknown["nameplate_mw"])
    return found.fillna("other")


def _plain_names():
    """Series by a source's word for a technology, where no fuel is needed to tell; gridmap's own words are among them."""
    names = tables.fact("technology_names")
    own = tables.fact("technologies")["technology"]
    return pd.concat([names[names["fuel"].eq("")].set_index("source")["technology"], own.set_axis(own)])
