"""Repair: each defect of the published plant tables on rows made for it, and the account of every MW of the real file."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from national import loaded, repaired, rule

from gridmap import InputError, ledger, read, repair

# Wayne County MI holds Detroit: 42.33 N, 83.05 W. Points are given as lon, lat.
DETROIT = {"plant_id": "900001", "state": "MI", "county": "Wayne", "lon": -83.10, "lat": 42.35, "technology": "Coal", "nameplate_mw": 100.0}


def mended(tmp_path, *rows, places=None, **limits):
    """Repair of made-up plants in the counties of the 48 states; returns (plants by plant_id, report, account)."""
    frame = pd.DataFrame([{**DETROIT, "plant_id": str(900001 + i), **row} for i, row in enumerate(rows)])
    frame.to_csv(tmp_path / "plants.csv", index=False)
    book = ledger.Ledger()
    plants = read.read_plants(tmp_path / "plants.csv", book)
    got = repair.repair(replace(loaded(), plants=plants, places=places, report=book.table()), **limits)
    regions = got.regions["region_id"].reindex(range(-1, len(got.regions)), fill_value="").to_numpy()
    return [regions[r + 1] for r in got.plants["region"]], got.report, got.account


def only(report, start):
    line, = rule(report, start).to_dict("records")
    return line


def test_a_point_inside_its_county_is_left_alone(tmp_path):
    home, report, account = mended(tmp_path, {})
    assert home == ["26163"] and len(rule(report, "point")) == 0
    assert account["where"].tolist() == ["in a region", "whole file"]


def test_on_the_shore_the_named_county_decides(tmp_path):
    """Ludington's pumped storage: 43.894 N, 86.445 W, in Lake Michigan by the simplified shore; Mason County MI."""
    home, report, _ = mended(tmp_path, {"lon": -86.48, "lat": 43.894, "county": "Mason"})
    assert home == ["26105"]
    line = only(report, "point outside every region: to the county it names")
    assert line["row"] == 1 and line["after"].startswith("26105 Mason (") and line["action"] == "changed"


def test_at_sea_without_an_address_the_nearest_within_reach(tmp_path):
    rows = [{"lon": -86.48, "lat": 43.894, "county": ""}, {"lon": -87.0, "lat": 43.894, "county": ""}]
    home, report, account = mended(tmp_path, *rows)
    assert home == ["26105", ""]
    assert only(report, "point outside every region: to the nearest one")["row"] == 1
    line = only(report, "over 5 km from every region")
    assert (line["row"], line["action"], line["mw"]) == (2, "left out", 100.0)
    assert account.set_index("where")["nameplate_mw"].to_dict() == {"in a region": 100.0, "over 5 km from every region": 100.0, "whole file": 200.0}
    assert mended(tmp_path, *rows, snap_km=60)[0] == ["26105", "26105"]


def test_a_dam_across_the_river_goes_to_its_state(tmp_path):
    """Gavin's coordinates (38.935 N, 82.116 W) are 1 km from the Ohio; a point on the West Virginia bank says Ohio."""
    home, report, _ = mended(tmp_path, {"state": "OH", "county": "Gallia", "lon": -82.085, "lat": 38.93},
                             {"state": "OH", "county": "", "lon": -82.085, "lat": 38.93},
                             {"state": "TX", "county": "Travis"})
    assert home == ["39053", "39053", "26163"]
    assert only(report, "point in another state than it names: to the county it names")["row"] == 1
    assert only(report, "point in another state than it names: to the nearest region of that state")["row"] == 2
    kept = only(report, "point in another state than it names: coordinates kept")
    assert (kept["row"], kept["before"], kept["after"]) == (3, "TX", "26163 Wayne")


def test_another_county_of_the_state_is_believed_only_at_the_border(tmp_path):
    near_oakland = {"lon": -83.10, "lat": 42.45, "county": "Wayne"}        # the county line lies at 42.4465 here
    home, report, _ = mended(tmp_path, near_oakland, {"county": "Oakland"})
    assert home == ["26163", "26163"]
    assert only(report, "point just across a border")["row"] == 1
    kept = only(report, "point in another county than it names: coordinates kept")
    assert (kept["row"], kept["before"], kept["after"]) == (2, "26125 Oakland", "26163 Wayne")


@pytest.mark.parametrize("state, county, region", [
    ("IL", "La Salle", "17099"), ("IL", "LaSalle", "17099"), ("NY", "St Lawrence", "36089"), ("NY", "St. Lawrence", "36089"),
    ("MO", "Ste Genevieve", "29186"), ("MO", "St. Louis City", "29510"), ("MO", "St Louis", "29189"), ("MD", "Prince Georges", "24033"),
    ("MD", "Baltimore City", "24510"), ("VA", "Richmond City", "51760"), ("VA", "Richmond", "51159"), ("VA", "Chesapeake", "51550"),
    ("VA", "Fairfax City", "51600"), ("VA", "Falls Church City", "51059"), ("VA", "Charles City", "51036"), ("LA", "De Soto", "22031"),
    ("CT", "Hartford", "09000"), ("SD", "Shannon", "46102"), ("NV", "Carson City", "32510"), ("DC", "District of Columbia", "11001"),
])
def test_without_coordinates_the_named_county(tmp_path, state, county, region):
    home, report, _ = mended(tmp_path, {"state": state, "county": county, "lon": None, "lat": None})
    assert home == [region]
    assert only(report, "no coordinates: to the county it names")["after"].startswith(region)


def test_coordinates_and_county_from_the_table_of_addresses(tmp_path):
    places = pd.DataFrame({"state": ["MI", "OH"], "county": ["Mason", "Gallia"], "lon": [-86.48, -82.2], "lat": [43.894, 38.9]}, index=["900001", "900002"])
    home, report, _ = mended(tmp_path, {"county": None, "lon": 0, "lat": 0}, {"county": "", "state": "", "lon": -82.085, "lat": 38.93}, places=places)
    assert home == ["26105", "39053"]
    assert only(report, "coordinates 0, 0: taken as missing")["row"] == 1
    assert only(report, "coordinates missing: taken from the table of addresses")["row"] == 1


def test_nowhere_at_all_is_left_out_and_said(tmp_path):
    home, report, account = mended(tmp_path, {"lon": None, "lat": None, "county": "Atlantis"}, {"state": "HI", "county": "Maui", "lon": -156.5, "lat": 20.8})
    assert home == ["", ""]
    assert only(report, "without coordinates or a known county")["row"] == 1
    assert only(report, "county name matches no region")["before"] == "Atlantis"
    assert only(report, "in a state outside the region set")["row"] == 2
    assert account.set_index("where")["units"].to_dict() == {
        "in a region": 0, "without coordinates or a known county": 1, "in a state outside the region set": 1, "whole file": 2}


def test_swapped_coordinates_inside_the_world_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"plants.csv: row 2 \(plant 900002\).*look swapped"):
        mended(tmp_path, {}, {"lon": 42.35, "lat": -83.10})


def test_nothing_else_is_dropped(tmp_path):
    """Statuses, repeated keys, ratings above nameplate and batteries without energy: all kept, all reported."""
    home, report, account = mended(
        tmp_path,
        {"generator_id": "1", "status": "SB"}, {"generator_id": "2", "status": "OS"}, {"generator_id": "3", "status": "OA"},
        {"plant_id": "900009", "generator_id": "1"}, {"plant_id": "900009", "generator_id": "1", "nameplate_mw": 60.0},
        {"generator_id": "6", "summer_mw": 110.0}, {"generator_id": "7", "technology": "Battery"},
        {"generator_id": "8", "technology": "Perpetuum mobile"})
    assert home == ["26163"] * 8
    assert rule(report, "status SB: kept, counts as running")["row"].tolist() == [1]
    assert rule(report, "status O")["row"].tolist() == [3, 2]
    assert rule(report, "plant and generator repeated: kept and added")["row"].tolist() == [4, 5]
    assert only(report, "net summer rating above nameplate")["row"] == 6
    assert only(report, "storage without energy")["row"] == 7
    assert only(report, "technology unknown")["before"] == "Perpetuum mobile"
    assert account["nameplate_mw"].iloc[-1] == math.fsum([100] * 7 + [60])


def test_planned_and_retired_units_are_left_out_with_their_mw(tmp_path):
    home, report, account = mended(tmp_path, {"status": "P"}, {"start_year": 2030}, {"end_year": 2023}, {"start_year": 2023, "end_year": 2024})
    assert home == ["", "", "", "26163"]
    assert set(account["where"]) == {"in a region", "status P: not built or retired", "starts after 2023", "retired by 2023", "whole file"}
    assert len(report[report["action"].eq("left out") & report["row"].notna()]) == 3


def test_owners_shares_of_one_unit_are_added(tmp_path):
    """The ReEDS list has a row for each owner: equal rows are two halves, never one row too many."""
    head = "technology,plant_id,generator_id,capacity_mw,nameplate_capacity_mw,winter_capacity_mw,operating_year,retirement_year"
    share = "Nuclear,649,1,550,575,560,1987,2049"
    (tmp_path / "reeds.csv").write_text(f"{head}\n{share}\n{share}\nNuclear,649,3,1100,1150,1120,2023,2084\nNuclear,649,4,1100,1150,1120,2024,2084\n")
    book = ledger.Ledger()
    plants = read.read_plants(tmp_path / "reeds.csv", book)
    got = repair.repair(replace(loaded(), plants=plants, report=book.table()))
    account = got.account.set_index("where")
    assert account.loc["in a region", ["units", "summer_mw"]].tolist() == [3, 2200]             # Vogtle, Burke County GA
    assert account.loc["starts after 2023", "summer_mw"] == 1100
    assert rule(got.report, "plant and generator repeated")["row"].tolist() == [1, 2]
    assert set(got.regions["region_id"].to_numpy()[got.plants["region"][:3]]) == {"13033"}


def test_distance_is_that_on_the_ellipsoid():
    """From points up to 60 km off Texas and Maine to counties, against the geodesic to the nearest border point."""
    regions = loaded().regions
    lon, lat = np.array([-96.5, -97.0, -68.0, -124.9]), np.array([28.0, 26.5, 43.9, 47.0])
    row = pd.Index(regions["region_id"]).get_indexer(["48057", "48061", "23009", "53027"])
    got = repair.pair_km(lon, lat, regions, row, np.ones(4, bool))
    border = [shapely.get_coordinates(shapely.segmentize(shape, 0.001)) for shape in regions.geometry.iloc[row]]
    wanted = [pyproj.Geod(ellps="WGS84").inv(*np.broadcast_arrays(x, y, *xy.T))[2].min() / 1e3 for x, y, xy in zip(lon, lat, border)]
    np.testing.assert_allclose(got, wanted, rtol=0.01)       # a plane and a sphere for the ellipsoid


# The real file


def test_every_mw_is_in_a_region_or_in_the_account():
    got = repaired()
    account = got.account.set_index("where")
    for column in ledger.CAPACITIES:
        whole = math.fsum(loaded().plants[column])
        assert account.loc["whole file", column] == whole
        assert abs(math.fsum(account[column].drop("whole file")) - whole) <= 1e-9 * whole
        assert abs(math.fsum(got.plants.loc[got.plants["region"] >= 0, column]) - account.loc["in a region", column]) <= 1e-9 * whole
    assert account["units"].drop("whole file").sum() == len(loaded().plants) == 25327
    out = got.report[got.report["action"].eq("left out") & got.report["file"].eq("generators_2022.parquet")]
    assert math.fsum(out["mw"]) == pytest.approx(account["nameplate_mw"].drop(["whole file", "in a region"]).sum(), rel=1e-12)
    assert set(got.plants.loc[got.plants["region"] < 0, "state"]) == {"AK", "HI"}


def test_the_known_defects_of_the_file_are_all_reported():
    """The counts of the data's own description."""
    report = repaired().report
    assert len(rule(report, "point outside every region")) == 56
    assert len(rule(report, "point in another state")) == 242
    assert rule(report, "point in another state")["mw"].sum() == pytest.approx(19.4e3, rel=0.005)
    assert len(rule(report, "net summer rating above nameplate")) == 1645
    assert rule(report, "plant and generator repeated")["plant"].tolist() == ["56032 Equus Freeport Power"] * 2
    statuses = rule(report, "status")
    assert len(statuses) == 2291 and statuses["mw"].sum() == pytest.approx(24.5e3, rel=0.005)
    assert len(rule(report, "storage without energy")) == 5
    alone = set(rule(report, "balancing area without demand")["plant"])
    assert {"AVRN", "HGMA", "DEAA", "GRID", "GRIF", "SEPA", "YAD", "GWA", "WWA", "SEC"} <= alone


@pytest.mark.parametrize("plant, region", [
    ("2410", "34033"), ("6118", "34033"), ("566", "09000"), ("1713", "26105"),        # Salem, Hope Creek, Millstone, Ludington
    ("8102", "39053"), ("3082", "41055"), ("3895", "41065"),                            # Gavin, John Day, The Dalles
])
def test_plants_on_shores_and_rivers_are_at_home(plant, region):
    got = repaired()
    here = got.plants[got.plants["plant_id"].eq(plant)]
    assert len(here) and set(got.regions["region_id"].to_numpy()[here["region"]]) == {region}
