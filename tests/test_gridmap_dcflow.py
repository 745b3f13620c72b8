"""Linear power flow: the printed answers of published cases, identities of distribution factors, interfaces by hand."""

import pathlib

import numpy as np
import pandas as pd
import pytest
import scipy.sparse.csgraph
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmap import InputError
from gridmap.dcflow import (
    bridges,
    interface_limit,
    network,
    outage_factors,
    power_flow,
    read_case,
    read_dc_lines,
    transfer_factors,
    with_dc_lines,
)
from gridmap.islands import bridge_edges

CASES = pathlib.Path(__file__).parent / "cases"
# load, slack, largest flow of a line (no transformer), lowest and highest angle: pandapower's DC power flow, to the printed digits
ANSWERS = {
    "case9": (315.000, 67.0000, 163.0000, -4.0634, 9.7960),
    "case14": (259.000, 219.0000, 147.8386, -17.1883, 0.0),
    "case24": (2850.000, -54.2000, 382.8501, -11.9415, 24.7627),
    "case39": (6254.230, 634.2300, 608.7758, -13.4611, 7.4046),
}


def case(name):
    return read_case(CASES / f"{name}.m")


def grid_of(bus, branch, gen, base=100.0):
    """Short tables: bus (number, type, load), branch (from, to, x, rating), gen (bus, MW)."""
    return (base, pd.DataFrame(bus, columns=["bus", "type", "pd_mw"]), pd.DataFrame(branch, columns=["from_bus", "to_bus", "x_pu", "rate_a_mw"]),
            pd.DataFrame(gen, columns=["bus", "pg_mw"]))


@pytest.mark.parametrize("name", ANSWERS)
def test_printed_answers(name):
    base, bus, branch, gen = case(name)
    net = network(base, bus, branch, gen)
    flow = power_flow(net)
    line = branch["tap"].to_numpy() == 0
    slack, = flow.slack_mw.values()
    got = net.load.sum(), slack, np.abs(flow.flow_mw[line]).max(), flow.angle_deg.min(), flow.angle_deg.max()
    np.testing.assert_allclose(got, ANSWERS[name], atol=0.5e-4)


@pytest.mark.parametrize("name", ANSWERS)
def test_power_is_conserved_at_every_bus(name):
    net = network(*case(name))
    flow = power_flow(net)
    injection = np.bincount(net.generator_bus, flow.generation_mw, len(net.bus)) - net.load
    np.testing.assert_allclose(net.incidence.T @ flow.flow_mw, injection, atol=1e-9)  # MW, of thousands


@pytest.mark.parametrize("name", ANSWERS)
def test_transfer_factors_are_differences_of_flows(name):
    base, bus, branch, gen = case(name)
    net = network(base, bus, branch, gen)
    ptdf, before = transfer_factors(net), power_flow(net).flow_mw
    for row in (1, len(bus) // 2, len(bus) - 1):
        less = bus.assign(pd_mw=bus["pd_mw"] - 50.0 * (np.arange(len(bus)) == row))
        np.testing.assert_allclose(power_flow(network(base, less, branch, gen)).flow_mw, before + 50 * ptdf[:, row], atol=1e-9)
    assert (ptdf[:, net.reference] == 0).all()


@pytest.mark.parametrize("name", ANSWERS)
def test_outage_factors_equal_solving_again(name):
    """LODF x flow is the flow of the network without the branch, for every branch that is no bridge."""
    base, bus, branch, gen = case(name)
    net = network(base, bus, branch, gen)
    before, factors, bridge = power_flow(net).flow_mw, outage_factors(net), bridges(net)
    assert np.isnan(factors[:, bridge]).any(axis=0).all() and np.isfinite(factors[:, ~bridge]).all()
    for k in range(len(branch)):
        out = branch.assign(status=branch["status"] * (np.arange(len(branch)) != k))
        if bridge[k]:
            with pytest.raises(InputError, match="reference"):
                network(base, bus, out, gen)
        else:
            np.testing.assert_allclose(power_flow(network(base, bus, out, gen)).flow_mw, before + factors[:, k] * before[k], atol=1e-8)


def test_triangle_by_hand():
    """Equal reactances: two thirds the short way, one third round."""
    net = network(*grid_of([(1, 3, 0), (2, 1, 0), (3, 1, 90)], [(1, 2, 0.1, 0), (2, 3, 0.1, 0), (1, 3, 0.1, 0)], [(1, 0)]))
    flow = power_flow(net)
    np.testing.assert_allclose(flow.flow_mw, [30, 30, 60], rtol=1e-12)
    np.testing.assert_allclose(flow.angle_deg, np.degrees([0, -0.03, -0.06]), rtol=1e-12)
    assert flow.slack_mw == {1: pytest.approx(90)}
    np.testing.assert_allclose(transfer_factors(net), np.array([[0, -2, -1], [0, 1, -1], [0, -1, -2]]) / 3, atol=1e-15)
    np.testing.assert_allclose(outage_factors(net), [[-1, -1, 1], [-1, -1, 1], [1, 1, -1]], rtol=1e-12)


def test_phase_shift_and_tap_by_hand():
    """A shifter in one of two parallel branches drives power round the loop: 0.01 rad over 0.1 + 0.1 pu of 100 MVA."""
    base, bus, branch, gen = grid_of([(1, 3, 0), (2, 1, 0)], [(1, 2, 0.1, 0), (1, 2, 0.05, 0)], [(1, 0)])
    shifted = branch.assign(shift_deg=[np.degrees(0.01), 0], tap=[0, 2.0])  # tap 2 makes 0.05 into 0.1
    np.testing.assert_allclose(power_flow(network(base, bus, shifted, gen)).flow_mw, [-5, 5], rtol=1e-12)


def test_islands_balance_alone_and_reference_angles_hold():
    tables = grid_of([(10, 3, 0), (20, 1, 30), (7, 3, 5), (8, 1, 10), (9, 4, 99)], [(10, 20, 0.1, 0), (7, 8, 0.2, 0), (8, 9, 0.1, 0)], [(10, 1), (7, 2), (9, 3)])
    net = network(tables[0], tables[1].assign(va_deg=[10.0, 0, -20, 0, 0]), *tables[2:])
    flow = power_flow(net)
    assert flow.slack_mw == {10: pytest.approx(30), 7: pytest.approx(15)}
    np.testing.assert_allclose(flow.flow_mw, [30, 10, 0], rtol=1e-12)
    assert flow.angle_deg[0] == pytest.approx(10) and flow.angle_deg[2] == pytest.approx(-20)
    assert net.island[4] == -1 and net.load.sum() == 45
    assert (transfer_factors(net)[0, 2:] == 0).all()


def test_several_references_hold_their_angles():
    """Two references 0.1 rad apart over a chain of reactance 0.2 with a load of 30 in the middle: 15 + 50 from one, 15 - 50 from the other."""
    base, bus, branch, gen = grid_of([(1, 3, 0), (2, 1, 30), (3, 3, 0)], [(1, 2, 0.1, 0), (2, 3, 0.1, 0)], [(1, 0), (3, 0)])
    net = network(base, bus.assign(va_deg=[np.degrees(0.1), 0, 0]), branch, gen)
    flow = power_flow(net)
    np.testing.assert_allclose(flow.flow_mw, [65, 35], rtol=1e-12)
    assert flow.slack_mw == {1: pytest.approx(65), 3: pytest.approx(-35)} and sum(flow.generation_mw) == pytest.approx(30)


def test_direct_current_lines_by_hand(tmp_path):
    """20 MW leave at bus 1 and 19 arrive at bus 2; one out of service counts nothing."""
    (tmp_path / "dc.m").write_text("mpc.baseMVA = 100;\nmpc.bus = [\n1 3 0 0 0 0 1 1 0;\n2 1 50 0 0 0 1 1 0;\n];\nmpc.gen = [1 50 0 0 0 1 100 1 99 0];\n"
                                   "mpc.branch = [1 2 0 0.1 0 0 0 0 0 0 1];\nmpc.dcline = [\n1 2 1 20 19 0 0 1 1;\n2 1 0 99 99 0 0 1 1;\n];\n")
    base, bus, branch, gen = read_case(tmp_path / "dc.m")
    flow = power_flow(network(base, with_dc_lines(bus, read_dc_lines(tmp_path / "dc.m")), branch, gen))
    np.testing.assert_allclose(flow.flow_mw, [31], rtol=1e-12)
    assert flow.slack_mw == {1: pytest.approx(51)} and len(read_dc_lines(CASES / "case9.m")) == 0
    with pytest.raises(InputError, match="bus 7"):
        with_dc_lines(bus, pd.DataFrame({"from_bus": [7.0], "to_bus": [1.0], "status": [1.0], "from_mw": [1.0], "to_mw": [1.0]}))


def test_interface_by_hand():
    """Two paths of unequal reactance: the short one fills first, so the interface carries less than its ratings' sum."""
    net = network(*grid_of([(1, 3, 0), (2, 1, 0)], [(1, 2, 0.1, 100), (1, 2, 0.2, 100)], [(1, 0)]))
    limit = interface_limit(net, [0, 1], [1, 1], -1e4, 1e4)
    assert limit.limit_mw == pytest.approx(150)
    np.testing.assert_allclose(limit.flow_mw, [100, 50])
    np.testing.assert_allclose(limit.injection_mw, [150, -150])
    assert limit.binding.tolist() == [0]
    assert interface_limit(net, [0, 1], [1, 1], -1e4, [60, 1e4]).limit_mw == pytest.approx(60)
    assert interface_limit(net, [0, 1], [-1, -1], -1e4, 1e4).limit_mw == pytest.approx(150)


def test_interface_inside_case24():
    """No more than the ratings cut; more room never lowers it; its flows are those of the power flow of its injections."""
    base, bus, branch, gen = case("case24")
    net = network(base, bus, branch, gen)
    north = bus["bus"].to_numpy() > 10
    crossing = np.flatnonzero(north[net.start] != north[net.end])
    signs = np.where(north[net.start[crossing]], 1, -1)
    free = interface_limit(net, crossing, signs, -5000, 5000)
    tight = interface_limit(net, crossing, signs, -500, 500)
    assert 0 < tight.limit_mw <= free.limit_mw <= net.rating[crossing].sum()
    assert (np.abs(free.flow_mw) <= net.rating * (1 + 1e-7)).all() and len(free.binding)
    np.testing.assert_allclose(transfer_factors(net) @ free.injection_mw, free.flow_mw, atol=1e-6)


def test_interface_without_bounds_or_answer():
    net = network(*grid_of([(1, 3, 0), (2, 1, 0)], [(1, 2, 0.1, 0)], [(1, 0)]))
    with pytest.raises(InputError, match="no limit to find"):
        interface_limit(net, [0], [1], -np.inf, np.inf)
    with pytest.raises(InputError, match="no limit to find"):
        interface_limit(net, [0], [1], 10, 20)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.data())
def test_bridges_are_edges_whose_loss_splits(nodes, data):
    edges = data.draw(st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), max_size=25))
    tail, head = np.array(edges, int).reshape(-1, 2).T

    def pieces(keep):
        graph = scipy.sparse.coo_array((np.ones(keep.sum()), (tail[keep], head[keep])), (nodes, nodes))
        return scipy.sparse.csgraph.connected_components(graph, directed=False)[0]

    every = np.ones(len(edges), bool)
    expected = [pieces(every & (np.arange(len(edges)) != k)) > pieces(every) for k in range(len(edges))]
    np.testing.assert_array_equal(bridge_edges(nodes, tail, head), np.array(expected, bool))


def test_a_long_chain_is_all_bridges():
    assert bridge_edges(50_000, np.arange(49_999), np.arange(1, 50_000)).all()


def test_arrays_in_the_order_of_the_format():
    base, bus, branch, gen = case("case9")
    whole = power_flow(network(base, bus, branch, gen)).flow_mw
    np.testing.assert_array_equal(power_flow(network(base, bus.to_numpy(), branch.to_numpy(), gen.to_numpy())).flow_mw, whole)


@pytest.mark.parametrize("change, why", [
    (lambda b, l, g: (b.assign(bus=1), l, g), "bus in row 1.*number 1 is taken"),
    (lambda b, l, g: (b, l.assign(to_bus=[4, 99, *l["to_bus"][2:]]), g), "branch in row 1: there is no bus 99"),
    (lambda b, l, g: (b, l.assign(x_pu=[0.1, 0, *l["x_pu"][2:]]), g), "branch in row 1 has reactance 0"),
    (lambda b, l, g: (b.assign(pd_mw=[0, np.nan, *b["pd_mw"][2:]]), l, g), "bus in row 1: pd_mw is not finite"),
    (lambda b, l, g: (b.assign(type=1), l, g), "island of bus 1 has no reference bus"),
    (lambda b, l, g: (b.assign(type=3), l, g), "reference bus 4 has no unit"),
    (lambda b, l, g: (b, l, g.assign(status=0)), "reference bus 1 has no unit"),
    (lambda b, l, g: (b, l.drop(columns="x_pu"), g), "branch: has no column x_pu"),
    (lambda b, l, g: (b.to_numpy()[:, :3], l, g), "at least 9"),
])
def test_bad_tables_are_named(change, why):
    base, *tables = case("case9")
    with pytest.raises(InputError, match=why):
        network(base, *change(*tables))


def test_bad_case_files_are_named(tmp_path):
    file = tmp_path / "x.m"
    file.write_text("mpc.bus = [1 2 3];")
    with pytest.raises(InputError, match="x.m: has no mpc.baseMVA"):
        read_case(file)
    file.write_text("mpc.baseMVA = 100;\nmpc.bus = [1 2 3;\n4 5];")
    with pytest.raises(InputError, match="rows of mpc.bus"):
        read_case(file)
