"""The run for other programs: FlatGeobuf and PMTiles for web maps, a cloud-optimised GeoTIFF and a PyPSA network of the hour."""

import numpy as np
import pandas as pd
import pyogrio

from gridmap import InputError, layers, reach, tables
from gridmap.config import OF_YEARS

SHED = "unserved"
CHECKED_WITH = "1.4.0"  # the PyPSA that solved such a folder to the same total
WORLD = "EPSG:4326"
CELL_M = 2000  # finer than the counties' demand is known
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


def cog(folder, shown, found):
    """surface.tif, a cloud-optimised GeoTIFF of cells of CELL_M in the layers' equal-area projection, of the one hour.

    Bands: demand and unserved demand (MW/km2, spread evenly over each region's cells: a sum over all cells times their area
    is the total), and access, the MW of supply within electrical reach for each MW of demand (`reach.access`).
    """
    import rasterio
    import rasterio.shutil

    regions = shown["regions"]
    label, transform = cells(regions)
    near = reach.access(regions["supply_mw"].to_numpy(), regions["demand_mw"].to_numpy(),
                        *(found.corridors[c].to_numpy() for c in ("tail_row", "head_row", "forward_mw", "backward_mw")))
    each = np.maximum(np.bincount(label[label >= 0], minlength=len(regions)), 1) * CELL_M**2 / 1e6
    bands = {"demand (MW/km2)": regions["demand_mw"] / each, "unserved demand (MW/km2)": regions["residual_deficit_mw"] / each,
             "supply within reach (MW per MW of demand)": near}
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "GTiff", "height": label.shape[0], "width": label.shape[1], "count": len(bands), "dtype": "float32", "nodata": np.nan,
                   "crs": regions.crs.to_wkt(), "transform": transform}
        with memory.open(**profile) as image:
            for k, (words, values) in enumerate(bands.items(), 1):
                image.write(np.append(values, np.nan)[label].astype(np.float32), k)  # label -1 is outside, the last
                image.set_band_description(k, words)
        with memory.open() as image:
            rasterio.shutil.copy(image, folder / "surface.tif", driver="COG", compress="deflate", predictor="3", overview_resampling="average")


def cells(regions):
    """((H, W) int row of the region of each cell, -1 outside, transform). A region between all cell centres takes the cell
    that holds a point of it. Raises InputError where two such want one cell: what they lack would be lost."""
    import rasterio.transform
    from cukernels.polygon import rasterise

    from gridmap.place import region_index

    west, south, east, north = regions.total_bounds
    west, north = np.floor(west / CELL_M) * CELL_M, np.ceil(north / CELL_M) * CELL_M
    shape = int(np.ceil((north - south) / CELL_M)), int(np.ceil((east - west) / CELL_M))
    label = np.array(rasterise(region_index(regions), (west, north), (CELL_M, -CELL_M), shape))
    lost = np.setdiff1d(np.flatnonzero(~regions.geometry.is_empty), label)
    point = regions.geometry.iloc[lost].representative_point()
    label[((north - point.y) // CELL_M).astype(int), ((point.x - west) // CELL_M).astype(int)] = lost
    gone = np.setdiff1d(np.flatnonzero(~regions.geometry.is_empty), label)
    if len(gone):
        raise InputError(f"also = cog: region {regions['region_id'].iloc[gone[0]]} is smaller than a cell of {CELL_M} m and shares it; leave cog out")
    return label, rasterio.transform.from_origin(west, north, CELL_M, CELL_M)


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
    for name in set(also) - set(OF_YEARS):
        {"flatgeobuf": flatgeobuf, "pmtiles": pmtiles, "cog": cog, "pypsa": pypsa}[name](folder, shown, found)


def _drawn(shown):
    """(name, layer in longitude and latitude) of every layer with something to draw: no spatial index takes an empty shape."""
    for name, layer in shown.items():
        drawn = layer[~(layer.geometry.isna() | layer.geometry.is_empty)]
        if len(drawn):
            yield name, drawn.to_crs(WORLD)
