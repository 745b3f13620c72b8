"""Published systems read from files: what they hold, what comes out, and how bad files are refused."""

import dataclasses
import pathlib
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import rts79

from gridmap import InputError
from gridmap.adequacy import System, paired, simulate

GMLC = pathlib.Path(__file__).with_name("rts_gmlc")


@pytest.fixture
def gmlc(tmp_path):
    shutil.copytree(GMLC, tmp_path / "gmlc")
    return tmp_path / "gmlc"


def test_rts_gmlc_holds_what_is_published():
    """Peaks of 2,850 MW an area, 37,656 GWh, 14,550 MW with 250 of them in storage, 1,175, 600 and 500 MW between areas."""
    system = System.read(GMLC)
    assert system.regions == ("1", "2", "3") and system.load.shape == (8784, 3)
    np.testing.assert_allclose(system.load.max(axis=0), 2850, atol=1e-3)
    assert system.load.sum() / 1e3 == pytest.approx(37656, abs=.5) and system.load.sum(axis=1).max() == pytest.approx(8191.8, abs=.05)
    limits = system.corridors.groupby(system.corridors[["tail", "head"]].apply(lambda r: "".join(sorted(r)), axis=1))["forward_mw"].sum()
    assert dict(limits) == {"12": 1175, "13": 600, "23": 500}
    generators = pd.read_csv(GMLC / "gen.csv")
    assert generators["PMax MW"].sum() == pytest.approx(14549.8, abs=.3)
    assert list(system.storage[["region", "power_mw", "energy_mwh", "charge_efficiency"]].iloc[0]) == ["3", 50, 150, .85]
    hydro = [n for n in system.ratings if "HYDRO" in n]
    assert len(hydro) == 20 == len(system.ratings.columns) and set(system.units.set_index("name").loc[hydro, "forced_outage_rate"]) == {.01}
    firm = system.units[~system.units["name"].isin(hydro)]
    assert firm["capacity_mw"].sum() == generators[generators["Unit Type"].isin(["CT", "CC", "STEAM", "NUCLEAR"])]["PMax MW"].sum()


def test_rts_gmlc_with_700_mw_more_each():
    """The walkthrough of PRAS makes the system tight so and finds some 470 ppm; it is about 600 without storage, 550 with the battery."""
    system = System.read(GMLC)
    tight = dataclasses.replace(system, load=system.load + 700)
    got = simulate(tight, 100, groups={"west": ["1", "2"]})
    assert 400 < got.system.neue_ppm.value < 700
    change = paired(got, simulate(dataclasses.replace(tight, storage=system.storage[:0]), 100)).set_index("place").loc["system"]
    assert -90 < 1e6 * change["eue_mwh"] / got.energy_mwh[-1] < -20 and change["eue_mwh_error"] < -.1 * change["eue_mwh"]
    # one pocket of three nearly always: equal shares of demand
    parts = [got[r].neue_ppm.value for r in system.regions]
    assert max(parts) < 1.4 * min(parts)
    assert sum(got[r].eue_mwh.value for r in system.regions) == pytest.approx(got.system.eue_mwh.value, rel=1e-12)
    assert got["west"].eue_mwh.value == pytest.approx(got["1"].eue_mwh.value + got["2"].eue_mwh.value, rel=1e-12)
    assert simulate(system, 100).system.lole_hours.value < .1


def test_rts_79_folder(tmp_path):
    rts79.units().rename_axis("unit").reset_index().to_csv(tmp_path / "generators.csv", index=False)
    pd.DataFrame({"load_mw": rts79.load()}).to_csv(tmp_path / "hourly_load.csv", index=False)
    got = simulate(System.read(tmp_path), 50)
    want = simulate(System(["1"], rts79.load()[:, None], rts79.units().assign(region="1")), 50)
    np.testing.assert_array_equal(got.kwh, want.kwh)


def write_pras(path, power="MW", steps=2, **more):
    """PRAS's test system 1 over two hours, and a generator whose capacity changes; sizes in `power`."""
    scale = {"MW": 1, "GW": 1}[power]
    core = lambda *rows, names=("name", "category", "region"): np.array(list(rows), [(n, "S64") for n in names])  # noqa: E731
    hours = lambda *values: np.tile(np.array(values), (steps, 1))  # noqa: E731
    with h5py.File(path, "w") as file:
        file.attrs.update({"pras_dataversion": np.bytes_("v0.8.0"), "start_timestamp": np.bytes_("2020-01-01T00:00:00+00:00"), "timestep_count": steps,
                           "timestep_length": 1, "timestep_unit": np.bytes_("h"), "power_unit": np.bytes_(power), "energy_unit": np.bytes_("MWh")} | more)
        file["regions/_core"] = np.array([("A",), ("B",)], [("name", "S64")])
        file["regions/load"] = hours(8, 9) * scale
        file["generators/_core"] = core(("G1", "", "A"), ("G2", "", "B"), ("G3", "", "B"))
        file["generators/capacity"] = hours(15, 15, 0) + np.array([[0, 0, 0]] + [[0, 0, 3]] * (steps - 1))
        file["generators/failureprobability"] = hours(.1, .1, 0)
        file["generators/repairprobability"] = hours(.9, .9, 1)
        file["interfaces/_core"] = core(("A", "B"), names=("region_from", "region_to"))
        file["lines/_core"] = core(("L", "", "A", "B"), names=("name", "category", "region_from", "region_to"))
        for way in ("forwardcapacity", "backwardcapacity"):
            file[f"interfaces/{way}"] = hours(2**32 - 1)
            file[f"lines/{way}"] = hours(8)
        file["lines/failureprobability"], file["lines/repairprobability"] = hours(.1), hours(.9)
    return path


def test_pras_file(tmp_path):
    system = System.read(write_pras(tmp_path / "one.pras"))
    assert system.regions == ("A", "B") and list(system.ratings) == ["G3"] and system.start == pd.Timestamp("2020-01-01", tz="UTC")
    got = simulate(system, 100_000, seed=6)
    # hour 0 is PRAS's test system 1: LOLP .19, EUE .647; hour 1 has 3 MW more in B
    assert abs(got.system.lolp[0] - .19) < 3 * got.system.lolp_error[0]
    assert got.system.eue_hour_mwh[0] == pytest.approx(.647, rel=.03)
    assert got.system.eue_hour_mwh[1] < got.system.eue_hour_mwh[0]
    assert System.read(write_pras(tmp_path / "two.pras", "GW")).units["capacity_mw"].max() == 15000


@pytest.mark.parametrize("more, words", [
    (dict(pras_dataversion=np.bytes_("v1.0.0")), "versions 0.5 to 0.8"), (dict(timestep_length=5, timestep_unit=np.bytes_("min")), "steps of 5 min"),
])
def test_pras_files_that_are_not_read(tmp_path, more, words):
    with pytest.raises(InputError, match=words):
        System.read(write_pras(tmp_path / "bad.pras", **more))


def test_pras_storage(tmp_path):
    """Storage as the file says."""
    path = write_pras(tmp_path / "one.pras")
    names = np.array([("S", "", "B")], [(n, "S64") for n in ("name", "category", "region")])
    with h5py.File(path, "a") as file:
        for name, value in dict(chargecapacity=5, dischargecapacity=6, energycapacity=7, chargeefficiency=.8, dischargeefficiency=.9,
                                carryoverefficiency=.95, failureprobability=.1, repairprobability=.9).items():
            file[f"storages/{name}"] = np.full((2, 1), value)
        file["storages/_core"] = names
    row = System.read(path).storage.iloc[0]
    assert list(row[["charge_mw", "power_mw", "energy_mwh", "charge_efficiency", "discharge_efficiency", "carryover_efficiency"]]) == [5, 6, 7, .8, .9, .95]
    assert row["region"] == "B" and row["forced_outage_rate"] == pytest.approx(.1)


def test_pras_reservoir(tmp_path):
    """A generator with storage that only its inflow fills: 3 MW in hour 1, of which 2 can be taken in and 1 injected."""
    path = write_pras(tmp_path / "one.pras")
    with h5py.File(path, "a") as file:
        for name, value in dict(chargecapacity=2, dischargecapacity=6, energycapacity=7, chargeefficiency=1, dischargeefficiency=1, gridinjectioncapacity=1,
                                gridwithdrawalcapacity=0, carryoverefficiency=1, failureprobability=0, repairprobability=1, inflow=3).items():
            file[f"generatorstorages/{name}"] = np.full((2, 1), value)
        file["generatorstorages/_core"] = np.array([("S", "", "B")], [(n, "S64") for n in ("name", "category", "region")])
    system = System.read(path)
    assert list(system.storage[["power_mw", "charge_mw", "energy_mwh"]].iloc[0]) == [1, 0, 7] and list(system.inflow["S"]) == [2, 2]
    without = dataclasses.replace(system, storage=system.storage[:0])
    change = paired(simulate(system, 4000), simulate(without, 4000)).set_index("place").loc["system"]
    assert -.38 < change["eue_mwh"] < -.2  # a MW in each hour in which it is short, .19 of hour 0 and less of hour 1
    with h5py.File(path, "a") as file:
        file["demandresponses/_core"] = file["generatorstorages/_core"][:]
    with pytest.raises(InputError, match="demandresponses, whose time of payback"):
        System.read(path)


def test_pras_chances_that_change(tmp_path):
    path = write_pras(tmp_path / "bad.pras")
    with h5py.File(path, "a") as file:
        file["generators/failureprobability"][1, 1] = .2
    with pytest.raises(InputError, match="failureprobability changes with time in column 1"):
        System.read(path)
    path.write_text("no HDF5")
    with pytest.raises(InputError, match="can't be read as HDF5"):
        System.read(path)


def test_folders_that_are_not_read(gmlc, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        System.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither units.csv"):
        System.read(tmp_path)
    (gmlc / "gen.csv").write_text((gmlc / "gen.csv").read_text().replace("101_CT_1,101", "101_CT_1,999"))
    with pytest.raises(InputError, match="gen.csv: row 0: bus 999 is not in bus.csv"):
        System.read(gmlc)
    (gmlc / "day_ahead_wind.parquet").unlink()
    with pytest.raises(InputError, match="day_ahead_wind"):
        System.read(gmlc)
    (gmlc / "bus.csv").write_text("Bus ID\n1\n")
    with pytest.raises(InputError, match="bus.csv: no column 'Area'"):
        System.read(gmlc)


UNITS = "region,name,capacity_mw,forced_outage_rate,mttr_h,derated_mw,derated_rate\n"
OWN = {
    "units.csv": UNITS + "A,G1,10,.1,24,5,.1\nA,G2,10,.1,24,,\nB,G3,20,.05,48,,\n",
    "load.csv": "hour_utc,B,A\n" + "".join(f"2023-07-01T{h:02}:00Z,{14 + h % 3},{12 + h % 5}\n" for h in range(24)),
    "corridors.csv": "tail,head,forward_mw,backward_mw,forced_outage_rate,mttr_h\nA,B,5,6,.01,10\n",
    "storage.csv": "region,power_mw,energy_mwh,charge_efficiency\nB,2,8,.8\n",
    "weather.csv": "hour_utc,A\n" + "".join(f"2023-07-01T{h:02}:00Z,{h % 4}\n" for h in range(24)),
}


def own(folder, **change):
    for name, text in {**OWN, **{f"{n}.csv": t for n, t in change.items()}}.items():
        (folder / name).write_text(text)
    return folder


def test_own_tables(tmp_path):
    system = System.read(own(tmp_path))
    assert system.regions == ("B", "A") and system.start == pd.Timestamp("2023-07-01", tz="UTC")
    assert list(system.units["states"]) == [((5.0, .1),), (), ()] and system.weather[3, 1] == 3 and not system.weather[:, 0].any()
    assert 0 < simulate(system, 200).system.lole_hours.value < 24


@pytest.mark.parametrize("change, words", [
    (dict(units=UNITS + "A,G1,10,1.1,24,,\n"), "units.csv, row 0: forced_outage_rate is 1.1; give a share of time from 0 to 1"),
    (dict(units=UNITS + "A,G1,10,.1,24,,\nB,G2,10,.1,0,,\n"), "units.csv, row 1: mttr_h is 0.0; give hours from 1 up"),
    (dict(units=UNITS + "A,G1,10,.1,24,,\nC,G2,10,.1,9,,\n"), "units.csv, row 1: region is C; give a region of the system"),
    (dict(load=OWN["load.csv"].replace("T03:00Z,14", "T03:00Z,-14")), "load.csv: row 3: B is -14; give a number from 0 up"),
    (dict(load=OWN["load.csv"].replace("T03:00Z,14", "T03:00Z,much")), "load.csv: row 3: B is much"),
    (dict(load=OWN["load.csv"].replace("T05:00Z", "T07:00Z")), "load.csv, row 5: 2023-07-01 07:00:00.00:00 comes after 2023-07-01 04"),
    (dict(weather=OWN["weather.csv"].replace("Z,", "-05:00,")), "weather.csv is in time zone UTC-05:00 and .*load.csv in UTC; convert both to UTC"),
    (dict(weather=OWN["weather.csv"].replace("2023-07-01T03:00Z", "2023-07-01T03:00+01:00")), "weather.csv: hour_utc is not all times of one time zone"),
    (dict(weather="".join(OWN["weather.csv"].splitlines(True)[:10])), "weather.csv has 9 hours from 2023-07-01 00:00:00.00:00 and .*load.csv 24"),
    (dict(corridors="tail,head,forward_mw,backward_mw\nA,C,5,6\n"), "corridors.csv, row 0: head is C; give a region"),
    (dict(corridors="tail,head,forward_mw,backward_mw\nA,B,-5,6\n"), "corridors.csv, row 0: forward_mw is -5; give MW from 0 up|forward_mw is -5.0"),
    (dict(load="hour_utc,A,B,Z\n2023-07-01T00:00Z,1,1,1\n", weather="hour_utc,A\n2023-07-01T00:00Z,1\n"),
     "region Z, column 2 of the load, is an island: it has load, and no unit, store or corridor serves it; add one, or leave the region out"),
    (dict(storage="region,power_mw,energy_mwh,charge_efficiency\nB,2,8,1.8\n"), "storage.csv, row 0: charge_efficiency is 1.8"),
])
def test_bad_own_tables_are_named(tmp_path, change, words):
    with pytest.raises(InputError, match=words) as caught:
        System.read(own(tmp_path, **change))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("file, old, new, words", [
    ("gen.csv", None, ("FOR", 3, 1.5), "gen.csv, row 3: forced_outage_rate is 1.5"), ("gen.csv", None, ("MTTR Hr", 2, 0), "gen.csv, row 2: MTTR Hr is 0"),
])
def test_bad_published_files_are_named(gmlc, file, old, new, words):
    column, row, value = new
    frame = pd.read_csv(gmlc / file)
    frame[column] = frame[column].astype(float)
    frame.loc[row, column] = value
    frame.to_csv(gmlc / file, index=False)
    with pytest.raises(InputError, match=words):
        System.read(gmlc)


def test_series_of_other_lengths_and_below_zero(gmlc):
    wind = pd.read_parquet(gmlc / "day_ahead_wind.parquet")
    wind.iloc[:-1].to_parquet(gmlc / "day_ahead_wind.parquet")
    with pytest.raises(InputError, match="day_ahead_wind.parquet: 8783 hours, and the load has 8784"):
        System.read(gmlc)
    load = pd.read_parquet(gmlc / "day_ahead_load.parquet")
    load.loc[load.index[7], load.columns[-1]] = -1.0
    load.to_parquet(gmlc / "day_ahead_load.parquet")
    with pytest.raises(InputError, match="day_ahead_load.parquet: row 7: 3 is -1.0; give MW from 0 up"):
        System.read(gmlc)
