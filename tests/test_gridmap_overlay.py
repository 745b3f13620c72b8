"""Own polygons over the bundled counties: what is inside comes along, what is outside is in the report."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import shapely
from national import loaded, rule

from gridmap import config, demand, ledger, overlay, read, repair, supply

PEAK = "2023-07-27T22:00Z"


def frame(*shapes):
    return geopandas.GeoDataFrame({"region_id": [f"R{i}" for i in range(len(shapes))], "name": ["x"] * len(shapes)}, geometry=list(shapes), crs=4326)


def test_shares_by_hand():
    """Two counties side by side; the first region covers the first county and half the second, the other a quarter of it."""
    counties = frame(shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1))
    got = overlay.shares(counties, frame(shapely.box(-1, 0, 1.5, 1), shapely.box(1.5, 0, 1.75, 1))).toarray()
    np.testing.assert_allclose(got, [[1, 0.5], [0, 0.25]], atol=1e-9)


def test_demand_by_hand():
    """90 MW, 60 in the first county and 30 in the second: 75 and 7.5 come along, 7.5 is left out."""
    hours = pd.date_range("2023-01-01", periods=1, freq="h")
    base = demand.Demand(scipy.sparse.csr_array([[2 / 3], [1 / 3]]), np.array([[90.0]]), hours, ("All",), np.array([0.0]))
    book = ledger.Ledger()
    got = overlay.demand_onto(base, scipy.sparse.csr_array([[1, 0.5], [0, 0.25]]), book)
    np.testing.assert_allclose(got.at("2023-01-01T00:00Z"), [75, 7.5], rtol=1e-9)
    assert book.table()["mw"].item() == pytest.approx(7.5) and got.national()[0] == pytest.approx(82.5)


def test_corridors_by_hand():
    """Counties 0 and 1 in the first region, 2 in the second, 3 in none; so for each end of a corridor."""
    counties = frame(*(shapely.box(i, 0, i + 1, 1) for i in range(4)))
    rows = [(0, 1, 5, 6), (1, 2, 7, 8), (0, 2, 1, 2), (2, 3, 9, 9), (0, 3, 4, 3)]
    corridors = pd.DataFrame(rows, columns=["tail", "head", "forward_mw", "backward_mw"]).astype({"forward_mw": float, "backward_mw": float})
    book = ledger.Ledger()
    got = overlay.corridors_onto(corridors.assign(kind="AC", name="", source="f", rows=""), counties, frame(shapely.box(0, 0, 2, 1), shapely.box(2, 0, 3, 1)), book)
    assert got[["tail", "head", "forward_mw", "backward_mw"]].values.tolist() == [[0, 1, 8, 10]]
    assert rule(book.table(), "county corridors to places outside")[["plant", "mw"]].values.tolist() == [["2 corridors", 13.0]]
    assert rule(book.table(), "county corridors inside one region")["mw"].tolist() == [6.0]


@pytest.fixture(scope="module")
def colorado_and_utah(tmp_path_factory):
    """Both states, cut by meridians into strips that no county follows."""
    folder = tmp_path_factory.mktemp("strips")
    counties = loaded().regions
    ground = shapely.union_all(counties.geometry[counties["state"].isin(["CO", "UT"])].to_numpy())
    edges = np.linspace(-114.1, -102.0, 8)
    strips = [shapely.intersection(ground, shapely.box(a, 36.9, b, 42.1)) for a, b in zip(edges, edges[1:])]
    frame(*strips).to_file(folder / "strips.gpkg")
    return repair.repair(read.load(config.from_options(None, regions=folder / "strips.gpkg")))


def test_strips_use_what_their_counties_do(colorado_and_utah):
    got, counties = colorado_and_utah, loaded().regions
    here = counties["state"].isin(["CO", "UT"]).to_numpy()
    wanted = loaded().demand.at(PEAK)[here].sum()
    table = supply.balance(got, PEAK)
    assert table["demand_mw"].sum() == pytest.approx(wanted, rel=1e-6)
    out = rule(got.report, "demand in places outside the region set")
    mean = loaded().demand.hourly.mean(axis=1)
    inside = np.asarray(got.demand.weights.sum(axis=0)).ravel()
    assert out["mw"].sum() + inside @ mean == pytest.approx(mean.sum(), rel=1e-12)
    assert got.demand.national()[got.demand.row(PEAK)] == pytest.approx(wanted, rel=1e-6)


def test_strips_have_their_plants_and_corridors(colorado_and_utah):
    got = colorado_and_utah
    placed = got.plants[got.plants["region"] >= 0]
    states = placed["state"].value_counts()
    assert states["CO"] > 400 and states["UT"] > 200 and states.drop(["CO", "UT"]).sum() < 0.01 * len(placed)
    account = got.account.set_index("where")["nameplate_mw"]
    assert account.drop("whole file").sum() == pytest.approx(account["whole file"], rel=1e-12)
    ac = got.corridors[got.corridors["kind"].eq("AC")]
    assert len(ac) >= 6 and (ac["head"] - ac["tail"]).min() == 1
    assert len(rule(got.report, "county corridors to places outside")) == 1
