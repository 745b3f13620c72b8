"""`gridmap run --year`: hours solved by hand, pockets followed, and a run cut off that goes on."""

import json

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyogrio
import pytest
import small_grid
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from small_grid import DEMAND

from gridmap import chronicle, year
from gridmap.__main__ import main

# demand x 0.5, 1 and 0.8, the last in the next month: D lacks 25, 50, 40; B and C lack 10 and 20 in the second hour only
HOURS = {"2023-06-30T22:00Z": 0.5, "2023-06-30T23:00Z": 1.0, "2023-07-01T00:00Z": 0.8}
UNSERVED = {"A": 0, "B": 10, "C": 20, "D": 115, "E": 0}


def system(folder):
    toml = small_grid.write(folder)
    small_grid.rows(folder / "demand.csv", "hour_utc,area,demand_mw", [(h, r, DEMAND[r] * f) for h, f in HOURS.items() for r in DEMAND])
    return toml


def run(*arguments):
    return CliRunner().invoke(main, ["run", "--device", "cpu", *map(str, arguments)])


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("year")
    done = run("-o", folder / "out", "--config", system(folder), "--year", 2023)
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_regions_by_hand(told):
    got = pd.read_csv(told / "regions.csv").set_index("region_id")
    assert got["unserved_mwh"].to_dict() == pytest.approx(UNSERVED)
    assert got["hours_short"].to_dict() == {"A": 0, "B": 1, "C": 1, "D": 3, "E": 0}
    assert got["longest_h"]["D"] == 3 and got["worst_mw"]["D"] == pytest.approx(50)
    assert got["worst_hour"]["D"] == "2023-06-30T23:00Z" and pd.isna(got["worst_hour"]["A"])
    assert got["demand_mwh"].to_dict() == pytest.approx({r: 2.3 * d for r, d in DEMAND.items()})
    assert got["unserved_pct"]["D"] == pytest.approx(100)


def test_pockets_and_corridors_by_hand(told):
    pockets = pd.read_csv(told / "pockets.csv").set_index("name")
    assert pockets["unserved_mwh"].to_dict() == pytest.approx({"Region D, XX": 115, "Region C, XX": 20, "Region B, XX": 10})
    assert pockets["pocket_id"].tolist() == [1, 2, 3]
    # only A has to spare, so only A - B is worth something: a MWh a MW in the one hour it is full
    assert pockets["corridor"].to_dict() == {"Region B, XX": "A - B"} | {n: pytest.approx(np.nan, nan_ok=True) for n in ("Region C, XX", "Region D, XX")}
    ways = pd.read_csv(told / "corridors.csv").set_index(["tail", "head"])
    assert ways["hours_full"].to_dict() == {("A", "B"): 1, ("B", "C"): 1, ("A", "E"): 0}
    assert ways["worth_mwh_per_mw"].to_dict() == {("A", "B"): 1, ("B", "C"): 0, ("A", "E"): 0}


def test_totals_agree_everywhere(told):
    found = json.loads((told / "results.json").read_text())
    assert found["unserved_mwh"]["value"] == pytest.approx(145)
    assert found["worst_hour"]["value"] == pytest.approx(80) and found["worst_hour"]["hour"] == "2023-06-30T23:00Z"
    assert pd.read_csv(told / "hours.csv")["unserved_mw"].tolist() == pytest.approx([25, 80, 40])
    short = pyarrow.dataset.dataset(told / "hourly" / "short", partitioning="hive").to_table().to_pandas()
    assert short["unserved_mw"].sum() == pytest.approx(145) and set(short["month"]) == {"2023-06", "2023-07"}
    assert short.groupby("region_id", observed=True)["unserved_mw"].sum().to_dict() == pytest.approx({"B": 10, "C": 20, "D": 115})
    full = pyarrow.dataset.dataset(told / "hourly" / "full", partitioning="hive").to_table().to_pandas()
    assert full[["corridor_id", "into", "worth"]].astype({"into": str}).to_dict("records") == [
        {"corridor_id": 1, "into": "B", "worth": 1}, {"corridor_id": 3, "into": "C", "worth": 0}]  # 2 is A - E
    for name in ("regions", "pockets"):
        assert pyogrio.read_dataframe(told / "gridmap.gpkg", layer=name)["unserved_mwh"].sum() == pytest.approx(145)
    manifest = json.loads((told / "manifest.json").read_text())
    assert {"hourly/full/month=2023-06/hours.parquet", "map.png", "hours.csv"} <= {o["file"] for o in manifest["outputs"]}
    assert manifest["options"]["year"] == "2023"


def test_every_column_is_explained(told):
    said = pd.read_csv(told / "columns.csv").groupby("layer")["column"].agg(list)
    for name in ("regions", "plants", "lines", "corridors", "pockets"):
        assert list(pyogrio.read_dataframe(told / "gridmap.gpkg", layer=name).columns) == [*said[name], "geometry"]
    for name in year.DATASETS:
        columns = pyarrow.dataset.dataset(told / "hourly" / name, partitioning="hive").schema.names
        assert [c for c in columns if c != "month"] == said[f"hourly/{name}"]


@pytest.mark.parametrize("hour", HOURS)
def test_an_hour_of_the_year_is_that_hour_alone(told, tmp_path, hour):
    assert run("-o", tmp_path / "out", "--config", system(tmp_path), "--hour", hour).exit_code == 0
    alone = json.loads((tmp_path / "out" / "results.json").read_text())["residual_deficit_mw"]["value"]
    assert pd.read_csv(told / "hours.csv").set_index("hour")["unserved_mw"][hour] == pytest.approx(alone)


def test_cut_off_it_goes_on(told, tmp_path, monkeypatch):
    """The second month fails: no result stands; started again, only that month is solved, and the answer is the same."""
    toml, solve, asked = system(tmp_path), year.solve_month, []

    def failing(inputs, hours, basis, device):
        asked.append(hours[0].month)
        if hours[0].month == 7 and len(asked) == 2:
            raise KeyboardInterrupt
        return solve(inputs, hours, basis, device)

    monkeypatch.setattr(year, "solve_month", failing)
    assert run("-o", tmp_path / "out", "--config", toml, "--year", 2023).exit_code != 0
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == [".out.hours"]
    assert run("-o", tmp_path / "out", "--config", toml, "--year", 2023).exit_code == 0
    assert asked == [6, 7, 7]
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == ["out"]
    for name in ("regions.csv", "pockets.csv", "hours.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (told / name).read_bytes()


def test_both_answers_of_a_year(tmp_path):
    """D, tied to A by 5 and E by 3 MW, is dark even in its lightest hour; joined to A, only B and C lack, in one hour."""
    toml = system(tmp_path)
    small_grid.rows(tmp_path / "limits.csv", "tail,head,forward_mw,backward_mw", (*small_grid.LIMITS, ("A", "D", 5, 0), ("D", "E", 0, 3)))
    done = run("-o", tmp_path / "out", "--config", toml, "--year", 2023, "--merge")
    assert done.exit_code == 0, done.output
    for part, unserved, artefact in (("", 25 + 80 + 40 - 3 * 8, 25 + 50 + 40 - 3 * 8), ("merged", 30, 0)):
        found = json.loads((tmp_path / "out" / part / "results.json").read_text())
        assert found["unserved_mwh"]["value"] == pytest.approx(unserved) and found["artefact_mwh"]["value"] == pytest.approx(artefact)
        short = pyarrow.dataset.dataset(tmp_path / "out" / part / "hourly" / "short", partitioning="hive").to_table().to_pandas()
        assert short["unserved_mw"].sum() == pytest.approx(unserved)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == ["out"]


def test_months_of_other_inputs_are_not_taken(tmp_path):
    toml = system(tmp_path)
    store = year.Store(tmp_path / "out", "", "a key of other inputs")
    store.put("2023-06", {name: pd.DataFrame({"hour": [0]}) for name in year.DATASETS})
    assert store.has("2023-06")
    assert run("-o", tmp_path / "out", "--config", toml, "--year", 2023).exit_code == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["unserved_mwh"]["value"] == pytest.approx(145)


@pytest.mark.parametrize("options, parts", [
    (("--year", 1999), ("year 1999", "choose a year")),
    (("--year", 2023, "--hour", "2023-06-30T22:00Z"), ("both given", "choose one")),
    (("--year", 2023, "--basis", "wishful"), ("wishful", "choose one")),
])
def test_bad_years(tmp_path, options, parts):
    done = run("-o", tmp_path / "out", "--config", system(tmp_path), *options)
    assert done.exit_code == 2 and all(part in done.stderr for part in parts), done.output
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_a_month_takes_the_hours_of_its_own_basis_and_demand():
    hours = pd.date_range("2023-01-31 22:00", periods=4, freq="h")
    months = year.months_of(hours)
    assert {name: len(part) for name, part in months.items()} == {"2023-01": 2, "2023-02": 2}
    assert pd.DatetimeIndex(np.concatenate(list(months.values()))).equals(pd.DatetimeIndex(hours))


def rows_of(amounts):
    """DataFrame[hour, region, unserved_mw] of a (T, R) table; 0 is not short."""
    hour, region = np.nonzero(amounts)
    return pd.DataFrame({"hour": pd.Timestamp("2023-01-01") + hour * pd.Timedelta("1h"), "region": region, "unserved_mw": amounts[hour, region].astype(float)})


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=12).filter(lambda a: np.any(a)))
def test_spells_by_definition(amounts):
    amounts = np.array(amounts)
    got = chronicle.spells(rows_of(amounts), "region", "unserved_mw")
    for region in range(3):
        column = amounts[:, region]
        if not column.any():
            assert region not in got.index
            continue
        runs = "".join("x" if a else " " for a in column).split()
        row = got.loc[region]
        assert row["hours_short"] == np.count_nonzero(column) and row["longest_h"] == max(map(len, runs))
        assert row["unserved_mwh"] == column.sum() and row["worst_mw"] == column.max()
        assert row["worst_hour"] == pd.Timestamp("2023-01-01") + pd.Timedelta(hours=int(np.argmax(column)))


@given(st.lists(st.lists(st.integers(-1, 2), min_size=5, max_size=5), min_size=1, max_size=8).filter(lambda a: np.max(a) >= 0), st.randoms(use_true_random=False))
def test_seats_by_law(pockets, random):
    """Every pocket of every hour has one seat, a member; no two of one hour share it; none of its members lacks more."""
    pockets = np.array(pockets)
    hour, region = np.nonzero(pockets >= 0)
    short = pd.DataFrame({"hour": hour, "region": region, "pocket": pockets[hour, region], "unserved_mw": [float(random.randint(0, 5)) for _ in hour]})
    got = chronicle.follow(short)
    energy = short.groupby("region")["unserved_mw"].sum()
    seats = got.groupby(["hour", "pocket"])["seat"].agg(["nunique", "first"])
    assert (seats["nunique"] == 1).all()
    assert not seats.reset_index().duplicated(["hour", "first"]).any()
    for _, rows in got.groupby(["hour", "pocket"]):
        seat = rows["seat"].iloc[0]
        assert seat in set(rows["region"])
        best = energy[rows["region"]]
        assert energy[seat] == best.max() and seat == best.index[best == best.max()].min()


@pytest.mark.slow
def test_random_hours_of_the_nation_against_highs():
    """The total of 200 hours drawn at random from the year, by county, each against a linear program."""
    import scipy.sparse
    from cukernels import residual_deficit
    from scipy.optimize import linprog

    from gridmap import read, repair, supply

    inputs = repair.repair(read.load_bundle())
    hours = inputs.demand.hours[np.sort(np.random.default_rng(2023).choice(8760, 200, replace=False))]
    give, need = supply.hourly_supply(inputs, hours), np.stack([inputs.demand.at(hour) for hour in hours])
    ways = [inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw")]
    got = residual_deficit(give, need, *ways).total
    R, E = need.shape[1], len(ways[0])
    incidence = scipy.sparse.csr_array((np.repeat([1.0, -1], E), (np.concatenate([ways[1], ways[0]]), np.tile(np.arange(E), 2))), shape=(R, E))
    # served + unserved = demand: what the region gives, what comes in, what is missing
    balance = scipy.sparse.hstack([scipy.sparse.eye_array(R), scipy.sparse.eye_array(R), incidence]).tocsr()
    cost = np.repeat([0.0, 1, 0], [R, R, E])
    for total, supply_mw, demand_mw in zip(got, give, need):
        bounds = np.column_stack([np.r_[np.zeros(2 * R), -ways[3]], np.r_[supply_mw, demand_mw, ways[2]]])
        assert linprog(cost, A_eq=balance, b_eq=demand_mw, bounds=bounds, method="highs").fun == pytest.approx(total, rel=1e-6)


def test_curves_are_the_hours_of_a_region(tmp_path):
    from gridmap import InputError, config, curves, pipeline
    pipeline.run(config.from_options(small_grid.write(tmp_path), year=2023, also=("curves",)), tmp_path / "out", say=lambda line: None)
    got = curves.read(tmp_path / "out", "C")
    assert got["demand_mw"].tolist() == [50, 100, 80] and got["supply_mw"].tolist() == [50, 50, 50]
    assert got["unserved_mw"].iloc[1] == 20 and str(got.index[1]) == "2023-07-01 20:00:00"
    national = np.load(tmp_path / "out" / "curves" / "unserved_mw.npy").sum(axis=0)
    np.testing.assert_allclose(national, pd.read_csv(tmp_path / "out" / "hours.csv")["unserved_mw"])
    with pytest.raises(InputError, match="regions.csv"):
        curves.read(tmp_path / "out", "Z")
    with pytest.raises(InputError, match="--year"):
        config.from_options(small_grid.write(tmp_path), also=("curves",))
