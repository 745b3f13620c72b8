"""For each known trap of real files a file that has it: what comes out, and what the report says of it."""

import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import small_grid
from click.testing import CliRunner
from national import loaded, repaired, rule

from gridmap import InputError, config, fill, ledger, limits, line_files, line_limits, read, repair, tables
from gridmap.__main__ import main

LINE = shapely.LineString([(-99, 41), (-98, 41)])


def plants(folder, name, text):
    book = ledger.Ledger()
    (folder / name).write_text(text)
    return read.read_plants(folder / name, book), book


# Workbooks and layouts


def workbook(path, sheets):
    """{sheet: rows of cells} as EIA publishes them, notes above and below included."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


MONTHLY = ["Entity ID", "Plant ID", "Plant Name", "Plant State", "County", "Balancing Authority Code", "Generator ID", "Nameplate\nCapacity (MW)",
           "Net Summer Capacity (MW)", "Technology", "Prime Mover Code", "Operating Year", "Status", "Latitude", "Longitude"]


def test_every_sheet_of_a_monthly_workbook(tmp_path):
    """Operating, planned and retired units stand on sheets of their own: all are kept, each with its status."""
    planned = [t if t != "Operating Year" else "Planned Operation Year" for t in MONTHLY]
    retired = [t if t != "Status" else "Retirement Year" for t in MONTHLY]
    path = workbook(tmp_path / "july_generator2023.xlsx", {
        "Operating": [["Inventory of Operating Generators as of July 2023"], [], MONTHLY,
                      [1, 7, "P", "CO", "Adams", "PSCO", "A", 100, 95, "Conventional Steam Coal", "ST", 1970, "(OP) Operating", 39.9, -104.3],
                      [1, 8, "Q", "CO", "Adams", "PSCO", "B", "50", " ", "Batteries", "BA", 2021, "(SB) Standby/Backup", 39.9, -104.2],
                      ["NOTES: capacity is as reported"]],
        "Planned": [["Planned"], [], planned, [1, 9, "R", "CO", "Adams", "PSCO", "C", 30, 30, "Solar Photovoltaic", "PV", 2025, "(U) Under construction", 39.9, -104.1]],
        "Retired": [["Retired"], [], retired, [1, 10, "S", "CO", "Adams", "PSCO", "D", 20, 20, "Petroleum Liquids", "IC", 1960, 2019, 39.9, -104.1]],
        "About": [["Contact: EIA"]]})
    book = ledger.Ledger()
    got = read.read_plants(path, book)
    assert got["file"].tolist() == [f"july_generator2023.xlsx[{s}]" for s in ("Operating", "Operating", "Planned", "Retired")]
    assert got["status"].tolist() == ["OP", "SB", "U", "OP"] and got["end_year"].tolist()[3] == 2019 and got["nameplate_mw"].sum() == 200
    assert got["technology"].tolist() == ["coal", "battery", "solar", "oil"] and got["source_row"].tolist() == [1, 2, 1, 1]
    note, = rule(book.table(), "note or blank row").to_dict("records")
    assert note["row"] == 3 and note["before"].startswith("NOTES")
    taken = book.sources()
    assert set(taken["layout"]) == {"eia860m"} and set(taken["sheet"]) == {"Operating", "Planned", "Retired"}
    placed = repair.repair(read.load(config.from_options(None, plants=path)))
    account = placed.account.groupby("where")["nameplate_mw"].sum()
    assert account["in a region"] == 150 and account["whole file"] == 200 and account["retired by 2023"] == 20
    assert account["status U: not built or retired"] == 30


def test_prime_movers_tell_technologies_only_with_their_fuel(tmp_path):
    """Old sheets name no technology; and "CT" is a part of a combined cycle, though one table at hand writes it for coal."""
    got, book = plants(tmp_path, "old.csv", "Plant Code,Generator ID,Prime Mover,Energy Source 1,Status,Nameplate Capacity (MW)\n"
                       "1,A,CT,NG,OP,10\n1,B,GT,NG,OP,10\n2,C,ST,SUB,OP,10\n3,D,ST,NUC,OP,10\n4,E,HY,WAT,OP,10\n5,F,IC,DFO,OP,10\n6,G,ZZ,QQ,OP,10\n")
    assert got.attrs["layout"] == "eia860_codes"
    assert got["technology"].tolist() == ["gas_cc", "gas_ct", "coal", "nuclear", "hydro", "oil", "other"]
    assert rule(book.table(), "technology unknown")["row"].tolist() == [7]
    bundle = loaded().plants
    assert set(bundle.loc[bundle["prime_mover"].eq("CT"), "technology"]) > {"nuclear", "coal"}  # so it is not believed there


def test_several_fuels_count_once(tmp_path):
    got, book = plants(tmp_path, "wri.csv", "country,name,gppd_idnr,capacity_mw,latitude,longitude,primary_fuel,other_fuel1,other_fuel2\n"
                       "USA,A,U1,100,41.5,-99.5,Gas,Oil,Coal\nUSA,B,U2,30,41.5,-98.5,Hydro,,\n")
    assert got["nameplate_mw"].sum() == 130 and got.groupby("technology")["nameplate_mw"].sum().to_dict() == {"gas_cc": 100, "hydro": 30}
    line, = rule(book.table(), "several fuels").to_dict("records")
    assert (line["row"], line["before"], line["after"], line["mw"]) == (1, "Gas, Oil", "Gas", 100)


def osm(folder, features):
    rows = [{"type": "Feature", "properties": tags, "geometry": shapely.geometry.mapping(shape)} for shape, tags in features]
    (folder / "osm.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    return folder / "osm.geojson"


def test_power_tags_of_plants(tmp_path):
    """A plant's generators stand beside the plant: counted once. Output is text with a unit, or only "yes"."""
    site = shapely.box(-99.6, 41.4, -99.4, 41.6)
    path = osm(tmp_path, [
        (site, {"@id": "way/1", "power": "plant", "plant:source": "gas;oil", "plant:output:electricity": "1.2 GW", "name": "Big"}),
        (shapely.Point(-99.5, 41.5), {"@id": "node/2", "power": "generator", "generator:source": "gas", "generator:output:electricity": "600 MW"}),
        (shapely.Point(-98.5, 41.5), {"@id": "node/3", "power": "generator", "generator:source": "wind", "generator:output:electricity": "2,500 kW"}),
        (shapely.Point(-98.4, 41.5), {"@id": "node/4", "power": "generator", "generator:source": "solar", "generator:output:electricity": "yes"})])
    book = ledger.Ledger()
    got = read.read_plants(path, book)
    assert got.attrs["layout"] == "osm" and got["nameplate_mw"].tolist() == [1200, 0, 2.5, 0]
    assert got["technology"].tolist() == ["gas_cc", "gas_cc", "wind", "solar"] and got["plant_id"][0] == "way/1"
    assert rule(book.table(), "inside a plant")[["row", "before", "after"]].values.tolist() == [[2, "600", "0"]]
    assert rule(book.table(), "capacity missing: counts as 0")["row"].tolist() == [4]


def test_openstreetmap_s_own_format(tmp_path):
    (tmp_path / "map.osm").write_text(
        '<osm version="0.6"><node id="1" lat="41.5" lon="-99.5"/><node id="2" lat="41.5" lon="-98.5"/>'
        '<node id="3" lat="41.2" lon="-99.5"><tag k="power" v="plant"/><tag k="plant:source" v="coal"/><tag k="plant:output:electricity" v="70 MW"/><tag k="name" v="P"/></node>'
        '<way id="9"><nd ref="1"/><nd ref="2"/><tag k="power" v="line"/><tag k="voltage" v="380000;110000"/><tag k="cables" v="6"/></way></osm>')
    got, book = line_files.read(tmp_path / "map.osm", ledger.Ledger())[0], ledger.Ledger()
    assert got["voltage_kv"].tolist() == [380] and got["circuits"].tolist() == [2] and got["kind"].tolist() == ["line"]
    found = read.read_plants(tmp_path / "map.osm", book)
    assert found[["technology", "nameplate_mw", "plant_name"]].values.tolist() == [["coal", 70, "P"]]


def test_hifld_plants_and_their_mark_for_unknown(tmp_path):
    got, book = plants(tmp_path, "pp.csv", "PLANT_CODE,NAME,STATE,COUNTY,LATITUDE,LONGITUDE,STATUS,PRIM_FUEL,SEC_FUEL,OPER_CAP,SUMMER_CAP,WINTER_CAP\n"
                       "1,A,NE,X,41.5,-99.5,OP,NUC,,200,190,195\n2,B,NE,X,41.5,-98.5,OP,NG,DFO,-999999,40,-999999\n")
    assert got["nameplate_mw"].tolist() == [200, 40] and got["technology"].tolist() == ["nuclear", "gas_cc"]
    assert rule(book.table(), "capacity missing: net rating")["row"].tolist() == [2]


def test_simulated_branches_between_two_ends(tmp_path):
    (tmp_path / "branch.csv").write_text("branch_id,from_bus_id,to_bus_id,rateA,branch_device_type,from_lat,from_lon,to_lat,to_lon\n5,1,2,150,Line,40.5,-99.5,40.5,-98.5\n")
    got, _ = line_files.read(tmp_path / "branch.csv", ledger.Ledger())
    squares = geopandas.GeoDataFrame({"region_id": ["a", "b"]}, geometry=[shapely.box(-100, 40, -99, 41), shapely.box(-99, 40, -98, 41)], crs=4326)
    assert line_limits.estimates(got, squares)[["tail", "head", "ends_mw"]].values.tolist() == [[0, 1, 150]]  # its rating: no voltage is known


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "geojson", "parquet", "fgb", "zip"])
def test_lines_in_every_format(tmp_path, suffix):
    frame = geopandas.GeoDataFrame({"VOLTAGE": [345.0, -999999.0], "VOLT_CLASS": ["345", "100-161"], "STATUS": "IN SERVICE", "TYPE": "AC; OVERHEAD"},
                                   geometry=[LINE, shapely.LineString([(-99, 41), (-97, 41)])], crs=4326)
    path = tmp_path / f"lines.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "zip":
        import shutil
        (tmp_path / "z").mkdir()
        frame.to_file(tmp_path / "z" / "lines.shp")
        shutil.make_archive(str(tmp_path / "lines"), "zip", tmp_path / "z")
    else:
        frame.to_file(path)
    got, _ = line_files.read(path, ledger.Ledger())
    assert sorted(got["voltage_kv"]) == [138, 345] and got["carries"].all()  # FlatGeobuf has an order of its own


def test_what_is_taken_is_shown(tmp_path):
    toml = small_grid.write(tmp_path)
    done = CliRunner().invoke(main, ["run", "--config", str(toml), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0 and "plants.csv: plants, gridmap" in done.output
    taken = pd.read_csv(tmp_path / "out" / "sources.csv", keep_default_na=False)
    row = taken[taken["file"].eq("limits.csv") & taken["field"].eq("forward_mw")].iloc[0]
    assert (row["table"], row["layout"], row["rows"], row["column"]) == ("limits", "gridmap", 3, "forward_mw")
    looked = CliRunner().invoke(main, ["inspect", str(tmp_path / "plants.csv"), str(tmp_path / "lines.geojson")])
    assert looked.exit_code == 0 and "plants, gridmap" in looked.output and "lines, gridmap" in looked.output
    (tmp_path / "odd.csv").write_text("id,kW,kind\n1,500,Coal\n")
    odd = CliRunner().invoke(main, ["inspect", str(tmp_path / "odd.csv")])
    assert odd.exit_code == 0 and "[columns." in odd.output and "kW" in odd.output


def test_unknown_columns_with_another_unit_and_values_for_all_rows(tmp_path):
    toml = small_grid.write(tmp_path)
    (tmp_path / "odd.csv").write_text("id,kW,x,y\n1,500000,-99.5,41.5\n")
    toml.write_text(toml.read_text().replace("plants.csv", "odd.csv") + '[columns.plants]\nplant_id = "id"\nnameplate_mw = {column = "kW", times = 0.001}\n'
                    'technology = {value = "wind"}\nlon = "x"\nlat = "y"\n')
    got = read.load(config.from_options(toml)).plants
    assert got[["plant_id", "nameplate_mw", "technology", "lon"]].values.tolist() == [["1", 500, "wind", -99.5]]
    toml.write_text(toml.read_text().replace("times = 0.001", "twice = 2"))
    with pytest.raises(InputError, match="columns"):
        config.from_options(toml)


# Lines


def test_lines_that_carry_nothing_are_kept_and_not_counted(tmp_path):
    """Statuses stay in the table; a limit counts only what is in use, of alternating current, and once said doubtful what is drawn twice."""
    frame = geopandas.GeoDataFrame({"VOLTAGE": [345.0] * 6, "TYPE": ["AC; OVERHEAD"] * 4 + ["DC; OVERHEAD", "AC; OVERHEAD"],
                                    "STATUS": ["IN SERVICE", "NOT AVAILABLE", "INACTIVE", "UNDER CONSTRUCTION", "IN SERVICE", "IN SERVICE"]},
                                   geometry=[shapely.LineString([(-99.5, 40.1 + k / 10), (-98.5, 40.1 + k / 10)]) for k in (0, 1, 2, 3, 4, 0)], crs=4326)
    frame.to_file(tmp_path / "lines.gpkg")
    book = ledger.Ledger()
    got, _ = line_files.read(tmp_path / "lines.gpkg", book)
    assert len(got) == 6 and got["carries"].tolist() == [True, True, False, False, False, True]
    report = book.table()
    assert rule(report, "line that carries nothing")["before"].tolist() == ["INACTIVE", "UNDER CONSTRUCTION"]
    assert rule(report, "direct current")["row"].tolist() == [5] and rule(report, "geometry repeated")["row"].tolist() == [6]
    squares = geopandas.GeoDataFrame({"region_id": ["a", "b"]}, geometry=[shapely.box(-100, 40, -99, 41), shapely.box(-99, 40, -98, 41)], crs=4326)
    assert line_limits.estimates(got, squares)["lines"].tolist() == [3]


def test_a_query_that_was_cut_off_is_said(tmp_path):
    collection = json.loads(geopandas.GeoDataFrame({"VOLTAGE": [345]}, geometry=[LINE], crs=4326).to_json())
    (tmp_path / "cut.geojson").write_text(json.dumps({**collection, "properties": {"exceededTransferLimit": True}}))
    book = ledger.Ledger()
    assert "exceededTransferLimit" in line_files.read(tmp_path / "cut.geojson", book)[1]
    assert rule(book.table(), "file probably not whole")["plant"].tolist() == ["1 rows"]
    (tmp_path / "page.geojson").write_text(geopandas.GeoDataFrame({"VOLTAGE": [345] * 1000}, geometry=[LINE] * 1000, crs=4326).to_json())
    assert "1,000" in line_files.read(tmp_path / "page.geojson", ledger.Ledger())[1]


def test_lengths_are_true_whatever_the_file_says(tmp_path):
    """`Shape__Length` of Web Mercator is 1.30 times too long at 40 degrees; kilometres come from the geometry."""
    from gridmap import lines
    frame = geopandas.GeoDataFrame({"VOLTAGE": [345], "Shape__Length": [111319.5]}, geometry=[LINE], crs=4326).to_crs(3857)
    frame.to_file(tmp_path / "l.gpkg")
    got, _ = line_files.read(tmp_path / "l.gpkg", ledger.Ledger())
    assert lines.topology(got).parts["km"].iloc[0] == pytest.approx(84.11, abs=0.05) and frame.length.iloc[0] / 84110 == pytest.approx(1.32, abs=0.01)


def test_substations_join_line_ends(tmp_path):
    """Two lines that end 700 m apart meet in the yard between them; OpenStreetMap's and HIFLD's points both say so."""
    from gridmap import lines
    two = geopandas.GeoDataFrame({"voltage_kv": [345.0, 345.0]}, geometry=[shapely.LineString([(-99, 41), (-98.004, 41)]), shapely.LineString([(-97.996, 41), (-97, 41)])], crs=4326)
    assert lines.topology(two).buses["station"].nunique() == 4
    (tmp_path / "subs.csv").write_text("ID,NAME,STATE,STATUS,LATITUDE,LONGITUDE,LINES,MAX_VOLT,MIN_VOLT\n1,YARD,NE,IN SERVICE,41.0,-98.0,2,345,-999999\n"
                                       "2,OLD,NE,INACTIVE,41.0,-97.0,2,-999999,-999999\n3,NOWHERE,NE,IN SERVICE,,,2,69,69\n")
    book = ledger.Ledger()
    subs = line_files.read_substations(tmp_path / "subs.csv", book)
    assert subs["name"].tolist() == ["YARD"] and book.table()["rule"].tolist() == ["substation without a place", "substation not in use"]
    joined = lines.topology(two, substations=subs)
    assert joined.buses["station"].nunique() == 3 and joined.buses["island"].nunique() == 1 and joined.report["count"].iloc[-1] == 2
    path = osm(tmp_path, [(shapely.box(-98.001, 40.999, -97.999, 41.001), {"power": "substation", "voltage": "345000;138000", "name": "YARD"}),
                          (shapely.Point(-98, 41), {"power": "tower", "voltage": "345000"})])
    mapped = line_files.read_substations(path, ledger.Ledger())
    assert mapped["voltage_kv"].tolist() == [345] and lines.topology(two, substations=mapped).buses["station"].nunique() == 3


# Codes, counties, demand


def test_county_codes_that_lost_their_zero(tmp_path):
    """A spreadsheet makes 01001 a number. Limits, areas and polygons find their counties all the same."""
    from gridmap import regions
    book = ledger.Ledger()
    counties, _ = regions.bundled(book)
    (tmp_path / "limits.csv").write_text("tail,head,forward_mw,backward_mw\n1001,1021,100,90\n1001,1051,10,9\n1001,12033,1,1\n")
    got = limits.build([tmp_path / "limits.csv"], counties, book)
    assert got["forward_mw"].sum() == 111
    alabama = counties[counties["state"].eq("AL")].assign(region_id=lambda t: t["region_id"].str.lstrip("0"))[["region_id", "geometry"]]
    alabama.to_file(tmp_path / "al.gpkg")
    mended = regions.read(tmp_path / "al.gpkg", book)
    assert mended["region_id"].str.len().eq(5).all() and len(rule(book.table(), "county code that lost")) == len(alabama)


def test_hours_that_can_t_be_right_are_refused_or_filled(tmp_path):
    """Missing rows, blanks, negative, zero and absurd hours: refused by row, or with --fill-demand filled and said."""
    hours = pd.date_range("2023-01-01", periods=24 * 28, freq="h")
    wave = 100 + 30 * np.sin(2 * np.pi * hours.hour / 24) + 10 * (hours.dayofweek < 5)
    frame = pd.DataFrame({"datetime_utc": hours, "region": "A", "raw_mw": wave})
    frame.loc[[100, 101], "raw_mw"] = np.nan
    frame.loc[200, "raw_mw"], frame.loc[300, "raw_mw"], frame.loc[330, "raw_mw"] = -5, 0, 661194
    frame = frame.drop(index=range(400, 424))  # a day is not there at all
    frame.to_csv(tmp_path / "raw.csv", index=False)
    from gridmap import demand
    with pytest.raises(InputError, match="row 101 .*--fill-demand"):
        demand.read_hours(tmp_path / "raw.csv", ledger.Ledger())
    book = ledger.Ledger()
    got_hours, names, hourly, imputed = demand.read_hours(tmp_path / "raw.csv", book, fill=True)
    assert len(got_hours) == len(hours) and names == ["A"] and imputed[0] == pytest.approx(29 / len(hours))
    np.testing.assert_allclose(hourly[0], wave, atol=6)  # a line through two or three hours of a sine
    np.testing.assert_allclose(hourly[0][400:424], np.asarray(wave)[400:424], rtol=1e-6)  # a day by the weeks around it
    told = rule(book.table(), "hour of demand filled")
    assert len(told) == 29 and set(told["before"].str.split(":").str[0]) == {"missing", "not above zero", "spike"}


def test_filling_finds_what_the_publisher_replaced():
    """The bundled year holds what was reported: of the hours that were missing, zero or absurd not one stays, none of an area that is right is touched."""
    raw = tables.load(tables.DATA / "demand_2023.parquet")
    given = raw["raw_mw"].where(raw["category"].ne("OKAY"), raw["cleaned_mw"])
    wide = {name: raw.assign(v=values).pivot(index="datetime_utc", columns="region", values="v").to_numpy().T.astype(float)
            for name, values in (("given", given), ("cleaned", raw["cleaned_mw"]), ("ok", raw["category"].eq("OKAY")))}
    filled, why = fill.fill(wide["given"])
    assert (why == 1).sum() == 10267 and (why == 2).sum() == 65 and filled.min() >= 0 and filled.max() < 60e3
    assert ((why > 0) & (wide["ok"] > 0)).sum() == 0
    assert filled.sum() == pytest.approx(wide["cleaned"].sum(), rel=1e-4)


def test_publisher_s_own_balance_file(tmp_path):
    (tmp_path / "EIA930_BALANCE_2023_Jan_Jun.csv").write_text(
        "Balancing Authority,Data Date,Hour Number,Local Time at End of Hour,UTC Time at End of Hour,Demand Forecast (MW),Demand (MW),Demand (MW) (Imputed),Demand (MW) (Adjusted)\n"
        'A,01/01/2023,1,01/01/2023 1:00:00 AM,01/01/2023 6:00:00 AM,,"1,000",,"1,000"\nA,01/01/2023,2,01/01/2023 2:00:00 AM,01/01/2023 7:00:00 AM,,"-5",1010,\n')
    from gridmap import demand
    hours, _, hourly, _ = demand.read_hours(tmp_path / "EIA930_BALANCE_2023_Jan_Jun.csv", ledger.Ledger())
    assert str(hours[0]) == "2023-01-01 06:00:00" and hourly.tolist() == [[1000, 1010]]


def test_semicolons_and_decimal_commas(tmp_path):
    """As a European spreadsheet saves it; and a comma that groups no thousands is no number elsewhere."""
    got, _ = plants(tmp_path, "eu.csv", "plant_id;technology;nameplate_mw;lon;lat\n1;Coal;12,5;-99,5;41,25\n2;Coal;1000;-98,5;41,5\n")
    assert got[["nameplate_mw", "lon", "lat"]].values.tolist() == [[12.5, -99.5, 41.25], [1000, -98.5, 41.5]]
    for text in ("plant_id\ttechnology\tnameplate_mw\n1\tCoal\t\"1,250.5\"\n", "plant_id|technology|nameplate_mw\n1|Coal|1250.5\n"):
        assert plants(tmp_path, "t.txt", text)[0]["nameplate_mw"].tolist() == [1250.5]
    with pytest.raises(InputError, match="row 1.*'12,5' is not a number"):
        plants(tmp_path, "us.csv", 'plant_id,technology,nameplate_mw\n1,Coal,"12,5"\n')


def test_a_sheet_of_wind_alone(tmp_path):
    """A file with no hydro, no storage and no coordinates: placed by county, the river list has nothing to say."""
    (tmp_path / "wind.csv").write_text("Plant Code,Plant Name,State,County,Generator ID,Status,Technology,Prime Mover,Nameplate Capacity (MW),Summer Capacity (MW)\n"
                                       "999999,New,CO,Weld,W1,OP,Onshore Wind Turbine,WT,100,100\n")
    placed = repair.repair(read.load(config.from_options(None, plants=tmp_path / "wind.csv")))
    assert placed.regions["region_id"].iloc[placed.plants["region"].iloc[0]] == "08123" and np.isnan(placed.plants["river_factor"].iloc[0])


# The bundled files' own traps (each is in the data as published)


def test_traps_of_the_bundled_files_are_reported():
    report, plants_ = repaired().report, repaired().plants
    merged = rule(report, "merged into one region")["after"]
    assert merged.eq("09000 Connecticut").sum() == 8                                       # Connecticut's counties have two sets of codes
    assert len(rule(report, "balancing area without demand")) >= 10                        # generation-only areas
    assert rule(report, "area reports no demand all year")["plant"].tolist() == ["AEC"]
    assert rule(report, "columns with one line out")["before"].tolist()[0].startswith("all zero")
    assert len(rule(report, "plant and generator repeated")) == 2                          # plant 56032
    assert len(rule(report, "net summer rating above nameplate")) == 1645
    assert len(rule(report, "line that carries nothing")) == 4 and len(rule(report, "direct current")) == 1
    assert len(rule(report, "point outside every region")) >= 56
    assert len(plants_) == 25327 and repaired().account.query("where == 'whole file'")["nameplate_mw"].sum() == pytest.approx(plants_["nameplate_mw"].sum(), rel=1e-12)
    assert report["file"].str.len().gt(0).all() and report["action"].isin(ledger.ACTIONS).all()
