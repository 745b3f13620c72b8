"""What other programs get: FlatGeobuf, a PyPSA network, and the second answer with artefacts joined to a neighbour."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyogrio
import pytest
import small_grid
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gridmap import confidence, merge
from gridmap.__main__ import main


def run(*arguments):
    done = CliRunner().invoke(main, ["run", "--device", "cpu", *map(str, arguments)])
    assert done.exit_code == 0, done.output + str(done.exception)
    return done.output


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    run("-o", folder / "out", "--config", small_grid.write(folder), "--also", "flatgeobuf", "--also", "pmtiles", "--also", "pypsa", "--merge")
    return folder / "out"


def residual(folder):
    return json.loads((folder / "results.json").read_text())["residual_deficit_mw"]["value"]


def least_cost(folder):
    """The least cost of a PyPSA CSV folder of one snapshot with generators, loads and links, as an LP read from its files."""
    part = {name: pd.read_csv(folder / f"{name}.csv", dtype={"name": str, "bus": str, "bus0": str, "bus1": str}) for name in ("buses", "generators", "loads", "links")}
    bus = pd.Series(range(len(part["buses"])), index=part["buses"]["name"])
    units, ways = part["generators"], part["links"]
    balance = np.zeros((len(bus), len(units) + len(ways)))
    balance[bus[units["bus"]], range(len(units))] = 1
    columns = range(len(units), len(units) + len(ways))
    balance[bus[ways["bus0"]], columns] = -1
    balance[bus[ways["bus1"]], columns] = ways["efficiency"]
    load = np.zeros(len(bus))
    np.add.at(load, bus[part["loads"]["bus"]].to_numpy(), part["loads"]["p_set"].to_numpy())
    bounds = [*((0, p) for p in units["p_nom"]), *zip(ways["p_nom"] * ways["p_min_pu"], ways["p_nom"] * ways["p_max_pu"])]
    return linprog(np.r_[units["marginal_cost"], np.zeros(len(ways))], A_eq=balance, b_eq=load, bounds=bounds).fun


@pytest.mark.parametrize("part", ["", "merged"])
def test_pypsa_network_has_the_same_unserved_demand(out, part):
    assert least_cost(out / part / "pypsa") == pytest.approx(residual(out / part), rel=1e-6)


def test_pypsa_itself_solves_it(out):
    pypsa = pytest.importorskip("pypsa")
    network = pypsa.Network()
    network.import_from_csv_folder(out / "pypsa")
    network.optimize(solver_name="highs")
    assert network.objective == pytest.approx(residual(out), rel=1e-6)


def test_flatgeobuf_by_gdal(out):
    for name in ("regions", "plants", "lines", "corridors", "pockets"):
        layer, info = pyogrio.read_dataframe(out / "flatgeobuf" / f"{name}.fgb"), pyogrio.read_info(out / "flatgeobuf" / f"{name}.fgb")
        assert info["driver"] == "FlatGeobuf" and layer.crs.to_epsg() == 4326
        # features come in the order of the spatial index
        wanted = pyogrio.read_dataframe(out / "gridmap.gpkg", layer=name)
        assert sorted(layer.iloc[:, 0]) == sorted(wanted.iloc[:, 0])
    west, south, east, north = pyogrio.read_dataframe(out / "flatgeobuf" / "regions.fgb").total_bounds
    assert (west, south, east, north) == pytest.approx((-100, 40, -97, 42), abs=1e-6)


def test_pmtiles_by_gdal(out):
    """The file is of version 3 of the format, and its closest zoom holds every feature, some cut at tile borders."""
    for name in ("regions", "plants", "lines", "corridors", "pockets"):
        path = out / "pmtiles" / f"{name}.pmtiles"
        assert path.read_bytes()[:8] == b"PMTiles\x03"
        wanted = pyogrio.read_dataframe(out / "gridmap.gpkg", layer=name)
        assert set(pyogrio.read_dataframe(path)[wanted.columns[0]]) == set(wanted[wanted.columns[0]])


def test_a_region_without_a_corridor_can_join_none(out):
    """D, the one artefact, is tied to nobody: the second answer is the first."""
    assert pd.read_csv(out / "merged" / "joined.csv").empty
    assert residual(out / "merged") == residual(out) == pytest.approx(80)


def test_an_artefact_joins_its_strongest_tie(tmp_path):
    """With 5 MW to A and 3 to E, D could not even carry its lightest hour (25): it joins A, which has 80 to spare."""
    toml = small_grid.write(tmp_path)
    small_grid.rows(tmp_path / "limits.csv", "tail,head,forward_mw,backward_mw", (*small_grid.LIMITS, ("A", "D", 5, 0), ("D", "E", 0, 3)))
    said = run("-o", tmp_path / "out", "--config", toml, "--merge")
    assert "1 regions joined" in said
    assert residual(tmp_path / "out") == pytest.approx(10 + 20 + 50 - 8)  # E's 3 come from A over A - E
    assert residual(tmp_path / "out" / "merged") == pytest.approx(10 + 20)
    joined = pd.read_csv(tmp_path / "out" / "merged" / "joined.csv").to_dict("records")
    assert joined == [{"region_id": "D", "name": "Region D", "into": "A", "into_name": "Region A", "limit_mw": 5.0}]
    regions = pyogrio.read_dataframe(tmp_path / "out" / "merged" / "gridmap.gpkg", layer="regions").set_index("region_id")
    whole = pyogrio.read_dataframe(tmp_path / "out" / "gridmap.gpkg", layer="regions").set_index("region_id")
    assert list(regions.index) == ["A", "B", "C", "E"] and regions["demand_mw"]["A"] == pytest.approx(150)
    assert regions.area["A"] == pytest.approx(whole.area["A"] + whole.area["D"])
    for column in ("supply_mw", "demand_mw"):
        assert regions[column].sum() == pytest.approx(whole[column].sum())


@given(st.lists(st.integers(-1, 7), min_size=8, max_size=8), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_groups_by_law(target, size):
    """Regions joined, however far the chain, become one; others stay alone; each is named after its largest member."""
    target = np.array([-1 if t == i else t for i, t in enumerate(target)])
    parent, root = merge.groups(target, np.array(size, float))
    for i, t in enumerate(target):
        assert t < 0 or parent[i] == parent[t]
    assert sorted(set(parent)) == list(range(len(root))) and list(root) == sorted(root)
    alone = 8 - len({frozenset(e) for e in zip(range(8), target) if e[1] >= 0})
    assert len(root) >= alone  # a forest of so many links leaves at least so many groups
    for new, old in enumerate(root):
        members = np.flatnonzero(parent == new)
        assert old in members and size[old] == max(np.array(size)[members])


def test_limits_and_moved_plants_by_hand():
    """Region 1 may take 2 MW and send 50; of region 2's 40 MW repair placed 30."""
    inputs = SimpleNamespace(
        corridors=pd.DataFrame({"tail": [1, 1], "head": [0, 2], "forward_mw": [25.0, 25], "backward_mw": [1.0, 1]}),
        plants=pd.DataFrame({"file": "p", "source_row": [1, 2, 3, 4], "region": [0, 2, 2, -1], "nameplate_mw": [5.0, 30, 10, 99]}),
        report=pd.DataFrame({"file": ["p", "p"], "row": pd.array([2, 4], "Int64"), "rule": ["point outside every region: to the nearest one"] * 2,
                             "action": ["changed", "left out"]}))
    np.testing.assert_allclose(confidence.moved_share(inputs, np.array([5.0, 0, 40])), [0, 0, 0.75])
    np.testing.assert_allclose(np.stack(confidence.both_limits(inputs.corridors, np.arange(3), 3)), [[25, 2, 25], [1, 50, 1]])
    np.testing.assert_allclose(np.stack(confidence.both_limits(inputs.corridors, np.array([0, 1, 1]), 2)), [[25, 1], [1, 25]])


def test_shares_of_imputed_hours_by_hand():
    from scipy.sparse import csr_array

    demand = SimpleNamespace(weights=csr_array([[0.5, 1.0], [0.5, 0.0], [0.0, 0.0]]), hourly=np.array([[60.0, 40], [25, 25]]), imputed=np.array([0.4, np.nan]))
    # region 0 has 50 of the area 40 % imputed and 50 of the one that says nothing; region 1 only of the first; 2 has no demand
    np.testing.assert_allclose(confidence.imputed_share(demand), [0.2, 0.4, 0])


def test_parallel_ties_count_together():
    """Region 2 is tied to 0 by 5 MW, and to 1 by 4 AC and 3 DC."""
    corridors = pd.DataFrame({"tail": [0, 1, 2], "head": [2, 2, 1], "forward_mw": [3.0, 4, 0], "backward_mw": [2.0, 0, 3]})
    target, mw = merge.nearest(corridors, np.array([False, False, True]))
    assert target.tolist() == [-1, -1, 1] and mw.tolist() == [0, 0, 7]
    parent, root = merge.groups(target, np.array([1.0, 5, 6]))
    assert parent.tolist() == [0, 1, 1] and root.tolist() == [0, 2]
