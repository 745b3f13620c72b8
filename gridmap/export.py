"""The run for other programs: FlatGeobuf and PMTiles for web maps, a PyPSA network of the hour."""

import pandas as pd
import pyogrio

from gridmap import layers, tables

SHED = "unserved"
CHECKED_WITH = "1.4.0"  # the PyPSA that solved such a folder to the same total
WORLD = "EPSG:4326"
ZOOM = {"MIN": 2, "MAX": 8}  # at 8 the unit of a tile is 38 m: finer than the simplified borders are true


def flatgeobuf(folder, shown, found):
    """<layer>.fgb for every layer that has rows, in longitude and latitude."""
    (folder / "flatgeobuf").mkdir()
    for name, layer in _drawn(shown):
        pyogrio.write_dataframe(layer, folder / "flatgeobuf" / f"{name}.fgb", driver="FlatGeobuf", geometry_type=layers.SHAPES[name])


def pmtiles(folder, shown, found):
    """<layer>.pmtiles for every layer that has rows: vector tiles in one file, for a web map without a server."""
    (folder / "pmtiles").mkdir()
    for name, layer in _drawn(shown):
        pyogrio.write_dataframe(layer, folder / "pmtiles" / f"{name}.pmtiles", driver="PMTiles", layer=name,
                                dataset_options={"NAME": name, **{f"{end}ZOOM": str(zoom) for end, zoom in ZOOM.items()}})


def pypsa(folder, shown, found):
    """A folder that `pypsa.Network.import_from_csv_folder` reads, of the one hour.

    A bus a region; a generator for each technology it has, p_nom what it can give in the hour, at no cost; a load; a link
    for each corridor with its limits both ways; and one generator more a region for unserved demand at a cost of 1 a MW.
    So the least cost PyPSA finds is the total unserved demand in MW. found: flow.Findings.
    """
    (folder / "pypsa").mkdir()
    for name, table in pypsa_tables(shown, found).items():
        table.to_csv(folder / "pypsa" / f"{name}.csv", index=False)


def pypsa_tables(shown, found):
    """{component: DataFrame} as PyPSA names them."""
    regions, corridors = shown["regions"], shown["corridors"]
    inside = regions.geometry.representative_point().to_crs(WORLD)
    mw = regions.set_index("region_id")[[f"{t}_mw" for t in tables.fact("technologies")["technology"]]]
    units = mw.rename(columns=lambda c: c.removesuffix("_mw")).rename_axis(columns="carrier").stack().rename("p_nom").reset_index()
    units = units[units["p_nom"] > 0].rename(columns={"region_id": "bus"})
    short = pd.DataFrame({"bus": regions["region_id"], "carrier": SHED, "p_nom": regions["demand_mw"]})
    generators = pd.concat([units.assign(marginal_cost=0.0), short.assign(marginal_cost=1.0)])
    most = corridors[["forward_mw", "backward_mw"]].max(axis=1)
    share = corridors[["forward_mw", "backward_mw"]].div(most.where(most > 0, 1), axis=0)
    return {
        "network": pd.DataFrame({"name": ["gridmap"], "pypsa_version": [CHECKED_WITH]}),
        "snapshots": pd.DataFrame({"snapshot": [found.hour], "objective": 1.0, "stores": 1.0, "generators": 1.0}),
        "carriers": pd.DataFrame({"name": ["AC", "DC", *generators["carrier"].unique()]}),
        "buses": pd.DataFrame({"name": regions["region_id"], "carrier": "AC", "x": inside.x, "y": inside.y}),
        "generators": generators.assign(name=generators["bus"] + " " + generators["carrier"])[["name", "bus", "carrier", "p_nom", "marginal_cost"]],
        "loads": pd.DataFrame({"name": regions["region_id"], "bus": regions["region_id"], "p_set": regions["demand_mw"]}),
        "links": pd.DataFrame({
            "name": corridors["corridor_id"].astype(str), "bus0": corridors["tail"], "bus1": corridors["head"], "carrier": corridors["kind"],
            "p_nom": most, "p_max_pu": share["forward_mw"], "p_min_pu": -share["backward_mw"], "efficiency": 1.0}),
    }


def write(folder, shown, found, also):
    """Write each of `also`, names of config.EXPORTS."""
    for name in also:
        {"flatgeobuf": flatgeobuf, "pmtiles": pmtiles, "pypsa": pypsa}[name](folder, shown, found)


def _drawn(shown):
    """(name, layer in longitude and latitude) of every layer with something to draw: no spatial index takes an empty shape."""
    for name, layer in shown.items():
        drawn = layer[~(layer.geometry.isna() | layer.geometry.is_empty)]
        if len(drawn):
            yield name, drawn.to_crs(WORLD)
