"""What lifting a corridor is worth, and what the tables of an hour say, by laws on random networks."""

from types import SimpleNamespace

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from cukernels import residual_deficit
from cukernels.backend import to_host
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from gridmap import flow

R = 5
PAIRS = [(i, j) for i in range(R) for j in range(i)]
amounts = st.lists(st.integers(0, 9), min_size=R, max_size=R)
limits = st.lists(st.integers(0, 4), min_size=len(PAIRS), max_size=len(PAIRS))
networks = st.tuples(amounts, amounts, limits, limits).map(
    lambda n: (*(np.array(a, float) for a in n[:2]), *(np.array(end) for end in zip(*PAIRS)), *(np.array(a, float) for a in n[2:])))


@given(networks)
def test_worth_is_what_solving_again_says(network):
    """Lifting any corridor, either way, lowers the total by `worth` in the direction that binds and by nothing in the other."""
    deficit = residual_deficit(*network)
    got = flow.worth(deficit, *network)
    for corridor in range(len(PAIRS)):
        fall = []
        for side in (4, 5):
            wider = [a.copy() for a in network]
            wider[side][corridor] = np.inf
            fall.append(deficit.total - residual_deficit(*wider).total)
        assert max(fall) == pytest.approx(got[corridor], abs=1e-9) and min(fall) == pytest.approx(0, abs=1e-9)


def test_worth_on_every_device(xp):
    """0 has 9 to spare, 3 of which reach 1 and 2, who lack 13: with 0 - 1 lifted 1 gets its 5 and 2 its 1, 6 in all."""
    network = [xp.asarray(np.array(a)) for a in ([9.0, 0, 0], [0.0, 5, 8], [0, 1], [1, 2], [3.0, 1], [0.0, 0])]
    got = flow.worth(residual_deficit(*network), *network)
    np.testing.assert_allclose(to_host(got), [3, 0], atol=1e-9)


@given(networks)
def test_tables_by_law(network):
    """Each region balances, pockets hold every unserved MW and are ranked, bottlenecks are full and lead into their pocket."""
    supply, demand, tail, head, forward, backward = network
    inputs, balance = system(*network)
    found = flow.solve(inputs, balance)
    regions, corridors, pockets = found.regions, found.corridors, found.pockets
    come = np.bincount(head, corridors["flow_mw"], R) - np.bincount(tail, corridors["flow_mw"], R)
    np.testing.assert_allclose(supply - regions["spare_mw"] + come, demand - regions["residual_deficit_mw"], atol=1e-9)
    assert regions["residual_deficit_mw"].sum() == pytest.approx(residual_deficit(*network).total)
    assert pockets["residual_deficit_mw"].sum() == pytest.approx(regions["residual_deficit_mw"].sum(), abs=1e-9)
    assert pockets["pocket_id"].tolist() == list(range(1, len(pockets) + 1)) and pockets["residual_deficit_mw"].is_monotonic_decreasing
    for pocket in pockets.itertuples():
        assert regions.loc[pocket.members, "pocket_id"].eq(pocket.pocket_id).all() and len(pocket.members) == pocket.regions
        assert pocket.corridors == (corridors["pocket_id"] == pocket.pocket_id).sum()
    full = corridors[corridors["bottleneck"] > 0]
    assert full["loading_pct"].to_numpy() == pytest.approx(100) and (full["pocket_id"] > 0).all()
    assert (corridors["loading_pct"] <= 100 + 1e-9).all()


def system(supply, demand, tail, head, forward, backward):
    """(inputs, balance) of a network, as read and supply would give them."""
    names = [f"r{i}" for i in range(R)]
    regions = geopandas.GeoDataFrame({"region_id": names, "name": names, "state": "", "zone": "", "interconnect": ""},
                                     geometry=[shapely.box(i, 0, i + 1, 1) for i in range(R)], crs=4326)
    plants = pd.DataFrame({"plant_id": names, "plant_name": names, "state": "", "file": "p", "source_row": range(1, R + 1), "region": range(R),
                           "lon": np.arange(R) + 0.5, "lat": 0.5, "technology": "coal", "status": "OP", "nameplate_mw": supply,
                           "summer_mw": supply, "winter_mw": supply})
    corridors = pd.DataFrame({"tail": tail, "head": head, "forward_mw": forward, "backward_mw": backward, "kind": "AC"})
    hours = SimpleNamespace(weights=csr_array(np.eye(R)), hourly=demand[:, None], imputed=np.zeros(R), hours=pd.date_range("2023-01-01", periods=1),
                            onto=lambda group, count: SimpleNamespace(between=lambda a, b: np.bincount(group, demand, count)[None]))
    balance = pd.DataFrame(regions[["region_id", "name"]]).assign(
        supply_mw=supply, demand_mw=demand, net_mw=supply - demand, isolated_deficit_mw=np.maximum(demand - supply, 0))
    balance.attrs = {"hour": pd.Timestamp("2023-01-01"), "basis": "nameplate", "says": ""}
    report = pd.DataFrame({"file": [], "row": pd.array([], "Int64"), "rule": pd.Series(dtype=str), "action": pd.Series(dtype=str)})
    return SimpleNamespace(interfaces=None, regions=regions, plants=plants, corridors=corridors, demand=hours, report=report), balance
