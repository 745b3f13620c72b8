"""Reading: layouts found by their columns, bad input refused in one sentence, the bundled files as published."""

import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import small_grid
from click.testing import CliRunner
from national import loaded, repaired, rule

from gridmap import InputError, config, ledger, read, regions, tables
from gridmap.__main__ import main

PLANT = {"plant_id": "7", "generator_id": "1", "technology": "Coal", "nameplate_mw": 10.0, "lon": -99.5, "lat": 41.5}


def plants_file(folder, *changes, name="plants.csv"):
    pd.DataFrame([{**PLANT, **change} for change in changes or [{}]]).to_csv(folder / name, index=False)
    return folder / name


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def load_small(folder, **options):
    return read.load(config.from_options(small_grid.write(folder), **options))


# Layouts


def test_every_layout_maps_known_fields():
    known = tables.fact("columns")
    for table, rows in known.groupby("table"):
        typed = rows[rows["type"].ne("")]
        assert set(rows["field"]) <= set(typed["field"]), table
        assert not rows.duplicated(["layout", "field"]).any(), table
        assert set(typed["type"]) <= {"text", "number", "time"}
    assert set(known["need"]) == {"yes", "no"}


SAMPLES = {
    "gridmap": "plant_id,technology,nameplate_mw",
    "eia860_table": "plant_id_eia,plant_name_eia,generator_id,Status,tech_type,fuel_type,capacity_mw,State,Latitude,Longitude",
    "eia860_sheet": "Plant Code,Plant Name,State,County,Generator ID,Status,Technology,Prime Mover,Nameplate Capacity (MW)",
    # as documented by their publishers; no file of theirs is at hand
    "wri": "country,country_long,name,gppd_idnr,capacity_mw,latitude,longitude,primary_fuel,other_fuel1,other_fuel2,other_fuel3,commissioning_year,owner",
    "gem": "Date Last Researched,Country/area,Type,Plant / Project name,Unit / Phase name,Capacity (MW),Status,Start year,Retired year,"
           "Technology,Latitude,Longitude,GEM location ID,GEM unit/phase ID",
    "powersimdata": "plant_id,bus_id,Pg,Qg,Qmax,Qmin,Vg,mBase,status,Pmax,Pmin,type,interconnect,lat,lon,zone_id,zone_name",
    "reeds": "technology,plant_id,generator_id,capacity_mw,capacity_mwh,nameplate_capacity_mw,winter_capacity_mw",
}


@pytest.mark.parametrize("layout", SAMPLES)
def test_layout_is_found_by_its_columns(layout):
    assert tables.detect("x.csv", "plants", SAMPLES[layout].split(","))[0] == layout


def test_files_by_the_documented_columns_of_other_registries(tmp_path):
    """Made from the published column names: technologies, statuses and years come out in our words, nothing is left out."""
    book = ledger.Ledger()
    (tmp_path / "wri.csv").write_text(SAMPLES["wri"] + "\nUSA,United States,A,USA1,30,41.5,-99.5,Hydro,,,,1950,X\nUSA,United States,B,USA2,70,41.5,-98.5,Gas,Oil,,,,X\n")
    wri = read.read_plants(tmp_path / "wri.csv", book)
    assert wri["technology"].tolist() == ["hydro", "gas_cc"] and wri["nameplate_mw"].sum() == 100 and wri["start_year"][0] == 1950
    row = "2025,United States,{},P,1,{},{},2001,,{},41.5,-99.5,L{},G{}"
    units = [("oil/gas", 50, "operating", "gas turbine"), ("hydropower", 20, "mothballed", "pumped storage"), ("solar", 9, "pre-construction", "PV"),
             ("coal", 8, "cancelled - inferred 4 y", "subcritical"), ("wind", 7, "construction", "Onshore")]
    (tmp_path / "gem.csv").write_text("\n".join([SAMPLES["gem"], *(row.format(*unit, n, n) for n, unit in enumerate(units))]) + "\n")
    gem = read.read_plants(tmp_path / "gem.csv", book)
    assert gem["technology"].tolist() == ["gas_ct", "pumped_storage", "solar", "coal", "wind"]
    assert gem["status"].tolist() == ["OP", "OS", "P", "CN", "V"] and gem["nameplate_mw"].sum() == 94
    (tmp_path / "sim.csv").write_text(SAMPLES["powersimdata"] + "\n1,10,0,0,0,0,1,100,1,55,0,ng,Eastern,41.5,-99.5,1,X\n2,11,0,0,0,0,1,100,1,5,0,dfo,Eastern,41.5,-98.5,1,X\n")
    sim = read.read_plants(tmp_path / "sim.csv", book)
    assert sim["technology"].tolist() == ["gas_cc", "oil"] and sim["nameplate_mw"].tolist() == [55, 5]
    assert not book.table()["rule"].str.contains("unknown").any()


def test_layouts_are_listed():
    listed = CliRunner().invoke(main, ["layouts", "plants"]).output
    assert all(name in listed for name in SAMPLES) and "GEM location ID" in listed and "hour_utc" not in listed
    refused_kind = CliRunner().invoke(main, ["layouts", "cakes"])
    assert refused_kind.exit_code == 2 and "plants" in refused_kind.stderr


def test_unknown_layout_names_the_file_and_what_is_missing(tmp_path):
    (tmp_path / "odd.csv").write_text("Plant Code,Generator ID,Megawatts\n1,A,5\n")
    refused(lambda: tables.read(tmp_path / "odd.csv", "plants"), "odd.csv", "eia860_sheet", "'Technology'", "'Nameplate Capacity (MW)'", "[columns.plants]")


def test_columns_of_an_unknown_layout_can_be_mapped(tmp_path):
    (tmp_path / "odd.csv").write_text("id,kind,MW\n1,Coal,5\n")
    got, layout = tables.read(tmp_path / "odd.csv", "plants", {"plant_id": "id", "technology": "kind", "nameplate_mw": "MW"})
    assert got[["plant_id", "technology", "nameplate_mw"]].values.tolist() == [["1", "Coal", 5.0]]
    refused(lambda: tables.read(tmp_path / "odd.csv", "plants", {"plant_id": "id"}), "'technology'", "'nameplate_mw'")
    refused(lambda: tables.read(tmp_path / "odd.csv", "plants", {"watts": "MW"}), "'watts'")


def test_notes_above_the_titles_are_passed_over(tmp_path):
    """EIA's sheets begin with a line of notes; the rows are counted from the first below the titles."""
    head = "Plant Code,Plant Name,State,County,Generator ID,Status,Technology,Nameplate Capacity (MW)"
    (tmp_path / "sheet.csv").write_text(f"2023 Form EIA-860 Data - Schedule 3\n{head}\n1,Sand Point,AK,Aleutians East,WT1,OS,Onshore Wind Turbine,0.5\n")
    got = read.read_plants(tmp_path / "sheet.csv", ledger.Ledger())
    assert got.attrs["layout"] == "eia860_sheet"
    assert got[["source_row", "plant_id", "technology", "nameplate_mw"]].values.tolist() == [[1, "1", "wind", 0.5]]


def test_old_western_letters_and_marks_for_missing(tmp_path):
    (tmp_path / "p.csv").write_bytes("plant_id,plant_name,technology,nameplate_mw,summer_mw\n1,Cañon,Coal,5,.\n".encode("cp1252"))
    got = read.read_plants(tmp_path / "p.csv", ledger.Ledger()).iloc[0]
    assert got["plant_name"] == "Cañon" and got["summer_mw"] == 5


def test_a_mapped_column_must_be_there(tmp_path):
    (tmp_path / "odd.csv").write_text("id,kind,MW\n1,Coal,5\n")
    refused(lambda: tables.read(tmp_path / "odd.csv", "plants", {"plant_id": "id", "technology": "kind", "nameplate_mw": "GW"}), "'GW'", "'id', 'kind', 'MW'")


@pytest.mark.parametrize("name", ["plants.csv", "plants.parquet", "plants.gpkg", "plants.geojson"])
def test_formats_give_the_same_plants(tmp_path, name):
    frame = pd.DataFrame([PLANT, {**PLANT, "plant_id": "8", "lon": -98.25}])
    path = tmp_path / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        geometry = shapely.points(frame["lon"], frame["lat"])
        geopandas.GeoDataFrame(frame.drop(columns=["lon", "lat"]), geometry=geometry, crs=4326).to_file(path)
    got = read.read_plants(path, ledger.Ledger())
    assert got["plant_id"].tolist() == ["7", "8"]
    assert got["source_row"].tolist() == [1, 2]
    np.testing.assert_allclose(got[["lon", "lat"]], [[-99.5, 41.5], [-98.25, 41.5]])


def test_numbers_with_blanks_commas_and_whole_ids(tmp_path):
    (tmp_path / "p.csv").write_text('plant_id,technology,nameplate_mw,summer_mw,lon,lat\n007,Coal,"1,250.5", , -99.5,41.5\n')
    got = read.read_plants(tmp_path / "p.csv", ledger.Ledger()).iloc[0]
    assert got["plant_id"] == "007" and got["nameplate_mw"] == 1250.5 and got["summer_mw"] == 1250.5
    pd.DataFrame({"plant_id": [7.0, 8.0], "technology": "Coal", "nameplate_mw": 1.0}).to_parquet(tmp_path / "p.parquet")
    assert read.read_plants(tmp_path / "p.parquet", ledger.Ledger())["plant_id"].tolist() == ["7", "8"]


# Bad input: one sentence, with the file, the row and the remedy


@pytest.mark.parametrize("change, words", [
    ({"nameplate_mw": -5}, ["row 2", "plant 7", "nameplate_mw is negative"]),
    ({"nameplate_mw": None}, ["row 2", "nameplate_mw is missing"]),
    ({"nameplate_mw": "inf"}, ["row 2", "nameplate_mw is infinite"]),
    ({"summer_mw": -1}, ["row 2", "summer_mw is negative"]),
    ({"nameplate_mw": "ten"}, ["row 2", "'nameplate_mw'", "'ten' is not a number"]),
    ({"lon": 41.5, "lat": -99.5}, ["row 2", "swapped"]),
    ({"lon": -999.0}, ["row 2", "outside the world"]),
])
def test_bad_plants_are_named_by_row(tmp_path, change, words):
    path = plants_file(tmp_path, {}, change)
    refused(lambda: read.read_plants(path, ledger.Ledger()), "plants.csv", *words)


def test_missing_empty_and_unreadable_files(tmp_path):
    book = ledger.Ledger()
    refused(lambda: read.read_plants(tmp_path / "none.csv", book), "none.csv", "no such file")
    (tmp_path / "empty.csv").write_text("")
    refused(lambda: read.read_plants(tmp_path / "empty.csv", book), "empty.csv")
    (tmp_path / "head.csv").write_text("plant_id,technology,nameplate_mw\n")
    refused(lambda: read.read_plants(tmp_path / "head.csv", book), "head.csv", "no rows")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    refused(lambda: read.read_plants(tmp_path / "torn.parquet", book), "torn.parquet", "can't be read")
    (tmp_path / "notes.docx").write_text("x")
    refused(lambda: read.read_plants(tmp_path / "notes.docx", book), "notes.docx", ".docx")


def regions_file(folder, shapes, crs=4326, ids=None, name="regions.gpkg"):
    ids = ids or [f"R{i}" for i in range(len(shapes))]
    geopandas.GeoDataFrame({"region_id": ids}, geometry=shapes, crs=crs).to_file(folder / name)
    return folder / name


SQUARE = shapely.box(-100, 40, -99, 41)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("shapes, options, words", [
    ([SQUARE], {"crs": None}, ["coordinate reference system", "EPSG:4326"]),
    ([SQUARE, SQUARE], {"ids": ["A", "A"]}, ["row 2 (A)", "repeats"]),
    ([SQUARE, shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], {}, ["row 2 (R1)", "crosses or touches itself"]),
    ([shapely.LineString([(0, 0), (1, 1)])], {}, ["row 1 (R0)", "no polygon"]),
    ([SQUARE, shapely.Polygon()], {}, ["row 2 (R1)", "no geometry"]),
    ([shapely.box(500000, 4e6, 600000, 5e6)], {"crs": 4326}, ["row 1 (R0)", "outside the world"]),
])
def test_bad_regions_are_named_by_row(tmp_path, shapes, options, words):
    path = regions_file(tmp_path, shapes, **options)
    refused(lambda: regions.read(path, ledger.Ledger()), "regions.gpkg", *words)


def test_regions_in_metres_come_back_in_degrees(tmp_path):
    there = geopandas.GeoSeries([SQUARE], crs=4326).to_crs(5070)
    got = regions.read(regions_file(tmp_path, list(there), crs=5070), ledger.Ledger())
    np.testing.assert_allclose(got.total_bounds, [-100, 40, -99, 41], atol=1e-6)
    assert got.crs.to_epsg() == 4326 and set(got.geom_type) == {"MultiPolygon"}


def test_lines_without_crs_or_voltage(tmp_path):
    line = shapely.LineString([(-99, 41), (-98, 41)])
    frame = geopandas.GeoDataFrame({"VOLTAGE": [345.0, -999999.0], "VOLT_CLASS": ["345", "220-287"]}, geometry=[line, line], crs=4326)
    frame.to_file(tmp_path / "lines.gpkg")
    book = ledger.Ledger()
    got = read.read_lines(tmp_path / "lines.gpkg", book)
    assert got["voltage_kv"].tolist() == [345, 230]
    line = rule(book.table(), "line without").iloc[0]
    assert (line["row"], line["rule"], line["before"], line["after"]) == (2, "line without a voltage: the usual one of its class", "-999999", "230 kV")
    frame.set_crs(None, allow_override=True).to_parquet(tmp_path / "lines.parquet")
    refused(lambda: read.read_lines(tmp_path / "lines.parquet", book), "lines.parquet", "coordinate reference system")


def test_own_regions_need_own_limits(tmp_path):
    toml = small_grid.write(tmp_path)
    toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith("limits")))
    refused(lambda: read.load(config.from_options(toml)), "regions.geojson", "--limits")


def test_own_plants_are_not_looked_up_under_eia_numbers(tmp_path):
    got = load_small(tmp_path)
    assert got.places is None and got.plants["river_factor"].isna().all()
    assert "plants_2023.parquet" not in {f.name for f in got.files}


# The bundle


def test_national_capacity_is_that_of_the_publisher():
    """EIA-860, operable at the end of 2022, 50 states and DC: 1,253 GW nameplate, 1,159 GW net summer."""
    plants = loaded().plants
    assert len(plants) == 25327 and plants["plant_id"].nunique() == 11791
    assert plants["nameplate_mw"].sum() == pytest.approx(1_253e3, rel=5e-4)
    assert plants["summer_mw"].sum() == pytest.approx(1_159e3, rel=5e-4)


def test_counties_are_a_coverage():
    """Valid, one geometry type, and neighbours share their borders vertex by vertex: nothing overlaps, no gap between."""
    raw = geopandas.read_parquet(tables.DATA / "counties.parquet")
    assert len(raw) == 3108 and raw.crs.to_epsg() == 4326
    for shapes in (raw.geometry.to_numpy(), loaded().regions.geometry.to_numpy()):
        assert shapely.is_valid(shapes).all() and set(shapely.get_type_id(shapes)) == {6}
        assert shapely.coverage_is_valid(shapes)
    area = raw.to_crs(5070).area.sum() / 1e12
    assert 7.66 < area < 8.08       # Census: 7.66 million km2 of land, 8.08 with the Great Lakes and coastal waters


def test_connecticut_is_one_region_and_said_so():
    inputs = loaded()
    here = inputs.regions[inputs.regions["state"].eq("CT")]
    assert here[["region_id", "name"]].values.tolist() == [["09000", "Connecticut"]]
    assert len(inputs.regions) == 3108 - 8 + 1 - 1        # and Falls Church, without a polygon, is part of Fairfax
    merged = rule(inputs.report, "merged into one region")
    assert merged["after"].value_counts().to_dict() == {"09000 Connecticut": 8, "51059 Fairfax": 2}


def test_every_county_has_zone_and_interconnect():
    counts = loaded().regions["interconnect"].value_counts()
    assert set(counts.index) == {"eastern", "western", "ercot"} and counts.sum() == 3100
    assert loaded().regions["zone"].nunique() == 134


def test_bundle_is_small_and_licensed():
    assert sum(p.stat().st_size for p in tables.DATA.iterdir()) < 9e6
    readme, licences = ((tables.DATA / name).read_text() for name in ("README.md", "LICENSES.md"))
    for path in tables.DATA.glob("*.parquet"):
        assert path.name in readme, path.name
        assert path.stem in licences or path.name in licences, path.name


def test_every_file_read_is_listed():
    names = {path.name for path in loaded().files}
    assert names == {path.name for path in tables.DATA.glob("*.parquet")} - {"limits_zone.parquet", "limits_group.parquet"}


def test_report_is_plain_text():
    """A report that can be written as CSV: every action known, no NaN but in mw and row, every rule said in words."""
    report = repaired().report
    assert list(report.columns) == ledger.COLUMNS
    assert set(report["action"]) <= set(ledger.ACTIONS)
    assert not report[["file", "plant", "rule", "action", "before", "after"]].isna().any().any()
    assert json.dumps(report.head(50).to_dict("list"), default=str)
