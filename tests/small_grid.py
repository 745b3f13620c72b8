"""A made-up system of five regions, small enough to solve by hand, as files a user would have.

    A 300/100 --120-- B 0/100 --30-- C 50/100        supply/demand in MW at the peak hour (the second of three)
    D   0/50          E 100/100                      D has no corridor at all; A - E may carry 40

A sends 120 into B and C together, which lack 150: C can get no more than 30 and keeps 20 unserved (20 %), B keeps 10
(10 %). D keeps its 50. Alone, B, C and D lack 100 + 50 + 50.
"""

import json

PEAK = "2023-07-01T20:00Z"
SUPPLY = {"A": 300, "B": 0, "C": 50, "D": 0, "E": 100}
DEMAND = {"A": 100, "B": 100, "C": 100, "D": 50, "E": 100}
UNSERVED = {"A": 0, "B": 10, "C": 20, "D": 50, "E": 0}
CORNERS = {"A": (-100, 41), "B": (-99, 41), "C": (-98, 41), "D": (-100, 40), "E": (-99, 40)}
LIMITS = (("A", "B", 120, 60), ("B", "C", 30, 30), ("A", "E", 40, 40))
PLANTS = (("1", "Alpha", "Nuclear", 200, -99.5, 41.5), ("2", "Beta", "Coal", 100, -99.2, 41.2),
          ("3", "Gamma", "Oil", 50, -97.5, 41.5), ("4", "Epsilon", "Geothermal", 100, -98.5, 40.5))


def square(corner):
    x, y = corner
    return [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1], [x, y]]


def write(folder, east=0, north=0):
    """The five files and run.toml; returns the path of the latter. east, north: degrees by which to move it all."""
    features = [{"type": "Feature", "properties": {"region_id": name, "name": f"Region {name}", "state": "XX"},
                 "geometry": {"type": "Polygon", "coordinates": [square((corner[0] + east, corner[1] + north))]}}
                for name, corner in CORNERS.items()]
    (folder / "regions.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    rows(folder / "plants.csv", "plant_id,plant_name,technology,nameplate_mw,lon,lat", [(*plant, lon + east, lat + north) for *plant, lon, lat in PLANTS])
    hours = (("2023-07-01T19:00Z", 0.5), (PEAK, 1.0), ("2023-07-01T21:00Z", 0.8))
    rows(folder / "demand.csv", "hour_utc,area,demand_mw", [(h, r, DEMAND[r] * f) for h, f in hours for r in DEMAND])
    rows(folder / "limits.csv", "tail,head,forward_mw,backward_mw", LIMITS)
    line = {"type": "Feature", "properties": {"voltage_kv": 345.0}, "geometry": {"type": "LineString", "coordinates": [[-99.5, 41.5], [-98.5, 41.5]]}}
    (folder / "lines.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [line]}))
    toml = folder / "run.toml"
    toml.write_text('plants = "plants.csv"\ndemand = "demand.csv"\nlimits = "limits.csv"\nregions = "regions.geojson"\n'
                    'lines = "lines.geojson"\nbasis = "nameplate"\n')
    return toml


def rows(path, head, table):
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in table)]) + "\n")
