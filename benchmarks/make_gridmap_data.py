"""Make gridmap/data from a folder of source files: `python -m benchmarks.make_gridmap_data SOURCE`.

SOURCE holds plants/, transmission/, demand/, regions/ and profiles/ under the names used below (see gridmap/data/README.md
for where each file comes from). Tables keep their publisher's column names and values; columns nobody reads are left
out. Only the county polygons are changed: see `county_coverage`.
"""

import json
import pathlib
import sys

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely

HERE = pathlib.Path(__file__).resolve().parent.parent / "gridmap" / "data"
DEGREES = 6                     # decimals kept of a coordinate: 0.1 m

GENERATORS = [
    "plant_id_eia", "plant_name_eia", "generator_id", "Status", "operating_year", "tech_type", "fuel_type", "prime_mover",
    "capacity_mw", "summer_capacity_mw", "winter_capacity_mw", "State", "Latitude", "Longitude",
    "Balancing Authority Code", "energy_capacity_mwh",
]
PLANTS = ["Plant Code", "Plant Name", "State", "County", "Latitude", "Longitude", "Balancing Authority Code", "Grid Voltage (kV)"]
HYDRO = ["plant_id", "generator_id", "technology", "capacity_mw", "historical_capacity_factor"]
LINES = ["OBJECTID_1", "ID", "TYPE", "STATUS", "OWNER", "VOLTAGE", "VOLT_CLASS", "SUB_1", "SUB_2"]


def main(source):
    HERE.mkdir(exist_ok=True)
    regions(source / "regions")
    plants(source / "plants")
    demand(source / "demand")
    transmission(source / "transmission")
    profiles(source / "profiles")
    for path in sorted(HERE.iterdir()):
        print(f"{path.stat().st_size / 1e6:7.3f} MB  {path.name}")


def regions(folder):
    counties = pyogrio.read_dataframe(folder / "counties-10m.json", layer="counties")
    states = pd.read_csv(folder / "state_fips_codes.csv", dtype=str, encoding="utf-8-sig")
    write(states, "states.parquet")
    states = states[states["CONUS"].eq("TRUE")].set_index("state_fips")["state_code"]
    counties["state"] = counties["id"].str[:2].map(states)
    counties = counties.dropna(subset="state").sort_values("id").rename(columns={"id": "fips"})
    shapes, crossed = county_coverage(counties.geometry.to_numpy())
    print(f"{len(counties)} counties, {crossed} crossed or touched themselves")
    table = geopandas.GeoDataFrame(counties[["fips", "name", "state"]].reset_index(drop=True), geometry=shapes, crs=4326)
    table.to_parquet(HERE / "counties.parquet", compression="zstd", compression_level=19)
    zones = pd.read_csv(folder / "reeds_county2zone.csv", dtype=str)
    hierarchy = pd.read_csv(folder / "reeds_hierarchy.csv", dtype=str)
    hierarchy = hierarchy[hierarchy["country"].eq("USA")]
    write(zones.assign(FIPS=zones["FIPS"].str.zfill(5)), "county_zones.parquet")
    write(hierarchy[["ba", "nercr", "transreg", "transgrp", "st", "interconnect"]], "zones.parquet")


def county_coverage(shapes):
    """Valid polygons that share their borders vertex by vertex, and how many were invalid before.

    All borders are noded together and cut into faces; a face belongs to the county (each first made valid alone) that
    holds a point inside it. So a border stays one line, and nothing overlaps.
    """
    shapes = shapely.transform(shapes, lambda xy: np.round(xy, DEGREES))
    crossed = int((~shapely.is_valid(shapes)).sum())
    lines = shapely.union_all(shapely.boundary(shapes))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    owner = np.full(len(faces), -1)
    tree = shapely.STRtree(shapely.make_valid(shapes))
    face, county = tree.query(shapely.point_on_surface(faces), predicate="within")
    owner[face] = county
    whole = [shapely.coverage_union_all(faces[owner == i]) for i in range(len(shapes))]
    whole = [s if s.geom_type == "MultiPolygon" else shapely.MultiPolygon([s]) for s in whole]
    if not (shapely.is_valid(whole).all() and shapely.coverage_is_valid(whole)):
        raise SystemExit("the county polygons are still not a coverage")
    return np.array(whole), crossed


def plants(folder):
    write(pd.read_csv(folder / "eia860_2022_generators.csv", usecols=GENERATORS, dtype={"generator_id": str}), "generators_2022.parquet")
    places = pd.read_csv(folder / "eia860_2023_plants.csv", usecols=PLANTS, dtype=str, keep_default_na=False)
    write(places, "plants_2023.parquet")
    hydro = pd.read_csv(folder / "reeds_generators_2025.csv", usecols=HYDRO, dtype={"generator_id": str})
    write(hydro[hydro["technology"].str.contains("Hydro")], "hydro_2025.parquet")


def demand(folder):
    hours = pd.read_parquet(folder / "eia930_demand_2023.parquet")
    hours["raw_mw"] = hours["raw_mw"].where(hours["category"] != "OKAY")     # as cleaned unless replaced
    write(hours.sort_values(["region", "datetime_utc"]), "demand_2023.parquet", row_group_size=len(hours))
    keys = json.loads((folder / "ba_county_map.json").read_text())
    write(pd.DataFrame([(k, c) for k, names in keys.items() for c in names], columns=["key", "county"]), "area_counties.parquet")
    write(pd.read_csv(folder / "county_population_2021.csv"), "population_2021.parquet")
    utilities = pd.read_csv(folder / "eia861_2018_county_utility_ba.csv", dtype=str, keep_default_na=False)
    write(utilities.drop(columns="NERC_Region_Short_Name"), "county_utilities.parquet")
    sales = pd.read_csv(folder / "eia861_state_sales_2010_2022.csv")
    write(sales[sales["year"].eq(2022)], "state_sales_2022.parquet")


def transmission(folder):
    write(pd.read_csv(folder / "transmission_capacity_init_AC_county_NARIS2024.csv"), "limits_county.parquet")
    write(pd.read_csv(folder / "transmission_capacity_init_AC_ba_NARIS2024.csv"), "limits_zone.parquet")
    write(pd.read_csv(folder / "transmission_capacity_init_AC_transgrp_NARIS2024.csv").drop(columns="interface"), "limits_group.parquet")
    write(pd.read_csv(folder / "transmission_capacity_init_nonAC_county.csv"), "ties_county.parquet")
    lines = pyogrio.read_dataframe(folder / "hifld_lines_230kv_first2000.geojson")
    lines = lines[[c for c in LINES if c in lines.columns] + ["geometry"]].to_crs(4326)
    lines.geometry = shapely.transform(lines.geometry.to_numpy(), lambda xy: np.round(xy, 5))
    lines.to_parquet(HERE / "lines_230kv.parquet", compression="zstd", compression_level=19)


def profiles(folder):
    for source in ("wind", "solar"):
        cf = pd.read_parquet(folder / f"ipm_region_{source}_cf.parquet")
        write(cf.astype(np.float32), f"{source}_cf.parquet")
    wind = pd.read_csv(folder / "ipm_region_wind_metadata.csv").assign(source="wind")
    solar = pd.read_csv(folder / "ipm_region_solarpv_metadata.csv").assign(source="solar")
    write(pd.concat([wind, solar])[["source", "ipm_region", "mw", "plant_count"]], "profile_fleets.parquet")
    write(pd.read_csv(folder / "ipm_state_pop_weight.csv")[["ipm_region", "state", "zone_prop", "state_prop"]], "profile_states.parquet")
    forced = pd.read_csv(folder / "reeds_outage_forced_static.csv", names=["technology", "forced"])
    scheduled = pd.read_csv(folder / "reeds_outage_scheduled_static.csv", names=["technology", "scheduled"])
    write(forced.merge(scheduled, on="technology", how="outer"), "outages.parquet")
    write(pd.read_csv(folder / "reeds_outage_scheduled_monthly.csv"), "outages_monthly.parquet")


def write(table, name, row_group_size=None):
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False), HERE / name, compression="zstd", compression_level=19,
        row_group_size=row_group_size,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(pathlib.Path(sys.argv[1]))
