"""St. Clair's curve at its tabled points; corridors and topology of lines by hand; the real lines."""

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from gridmap import InputError, stclair
from gridmap.lines import compare_limits, corridor_limits, topology
from gridmap.tables import DATA

MILES = np.array([50, 100, 150, 200, 300, 400, 500, 600])
CURVE = np.array([3.173, 1.998, 1.524, 1.257, 0.959, 0.791, 0.682, 0.604])


def test_curve_at_its_tabled_points():
    np.testing.assert_allclose(stclair.curve(MILES * stclair.KM_PER_MILE), CURVE, atol=0.5e-3 + 1e-4)


def test_curve_from_first_principles():
    got = stclair.voltage_drop_curve(np.array([50, 100, 200, 300]) * stclair.KM_PER_MILE)
    np.testing.assert_allclose(got, [3.00, 1.70, 1.16, 1.04], atol=0.6e-2)


def test_the_curve_obeys_the_line_equations():
    """Start from the load's end: its voltage and current carried along the lossless line give the voltage at the start."""
    km = np.array([100.0, 250.0, 480.0])
    t, p = stclair.PHASE_PER_KM * km, stclair.voltage_drop_curve(km)
    start = 0.95 * np.cos(t) + 1j * (p / 0.95) * np.sin(t)
    np.testing.assert_allclose(np.abs(start), 1.0, rtol=1e-12)
    assert (np.diff(p) < 0).all()


def test_surge_impedance_loading():
    kv, mw = [34.5, 69, 138, 161, 230, 287, 330, 345, 500, 765], [3, 12, 48, 65, 132, 205, 295, 400, 910, 2200]
    np.testing.assert_allclose(stclair.surge_impedance_loading(kv), mw, rtol=1e-12)
    assert stclair.surge_impedance_loading(215, 406.4) == pytest.approx(113.7, abs=0.05)
    between = stclair.surge_impedance_loading(np.linspace(34.5, 1100, 300))
    assert (np.diff(between) > 0).all()
    with pytest.raises(ValueError, match="-999999"):
        stclair.surge_impedance_loading([230, -999999])


def test_line_limits():
    assert stclair.line_limit(215, 370, impedance_ohm=406.4) == pytest.approx(1.14534 * 215**2 / 406.4, rel=5e-4)
    assert stclair.line_limit(345, 10) == pytest.approx(1200)  # heat: 3 x SIL
    assert stclair.line_limit(345, 10, thermal_mw=900) == pytest.approx(900)
    assert stclair.line_limit(345, 100, thermal_mw=900) == pytest.approx(900)  # the curve would allow more
    assert stclair.line_limit(345, 600, circuits=2) == pytest.approx(2 * 400 * stclair.curve(600))
    np.testing.assert_allclose(stclair.line_limit([345, 345], [10, 10], thermal_mw=[np.nan, 5]), [1200, 5])
    limits = stclair.line_limit(np.full(300, 230.0), np.linspace(1, 900, 300))
    assert (np.diff(limits) <= 0).all()


SQUARES = [shapely.box(k, 40, k + 1, 41) for k in (0, 1, 2)] + [shapely.box(4, 40, 5, 41)]


def frame(shapes, **columns):
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326")


def test_corridors_by_hand():
    lines = frame([
        shapely.LineString([(0.95, 40.5), (1.05, 40.5)]),  # 0 - 1, short
        shapely.LineString([(1.05, 40.2), (0.95, 40.2), (0.95, 40.3), (1.05, 40.3)]),  # 1 - 0 - 1: counts once
        shapely.LineString([(0.9, 40.6), (1.5, 40.6), (2.1, 40.6)]),  # 0 - 1 - 2
        shapely.LineString([(2.9, 40.5), (4.1, 40.5)]),  # 2 - water - 3
        shapely.LineString([(0.5, 40.9995), (1.0, 41.0002), (1.0003, 40.9999), (1.001, 41.01)]),  # clips 1 for metres: no visit
        shapely.LineString([(0.95, 40.7), (1.05, 40.7)]),  # no voltage
        shapely.LineString([(0.1, 40.1), (0.2, 40.1)]),  # inside
    ], voltage_kv=[345.0, 230, 345, 500, 345, np.nan, 345], circuits=[2, 1, 1, 1, 1, 1, 1])
    corridors, crossings = corridor_limits(lines, frame(SQUARES))
    assert corridors[["tail", "head", "lines"]].to_numpy().tolist() == [[0, 1, 3], [1, 2, 1], [2, 3, 1]]
    geod = pyproj.Geod(ellps="WGS84")
    km = [geod.geometry_length(lines.geometry[k]) / 1e3 for k in (2, 3)]
    long, wet = stclair.line_limit([345, 500], km)
    np.testing.assert_allclose(corridors["forward_mw"], [2400 + 396 + long, long, wet], rtol=1e-9)
    np.testing.assert_allclose(corridors["n1_mw"], [396 + long, 0, 0], rtol=1e-9, atol=1e-9)
    assert corridors["backward_mw"].equals(corridors["forward_mw"])
    assert crossings["line"].tolist() == [0, 1, 1, 2, 2, 3, 5] and crossings["limit_mw"].isna().tolist() == [False] * 6 + [True]


def test_compare_limits_by_hand():
    derived = pd.DataFrame({"tail": [0, 0, 1, 2], "head": [1, 2, 2, 3], "forward_mw": [10.0, 20, 30, 5], "backward_mw": [10.0, 20, 30, 5]})
    given = pd.DataFrame({"tail": [0, 0, 1, 7, 8], "head": [1, 2, 2, 8, 9], "forward_mw": [1.0, 4, 9, 1, 1], "backward_mw": [3.0, 4, 11, 1, 1]})
    got = compare_limits(derived, given)
    assert got["pairs"] == 3 and got["spearman"] == pytest.approx(1) and (got["only_derived"], got["only_given"]) == (1, 2)
    assert got["ratio_median"] == pytest.approx(5)
    with pytest.raises(InputError, match="0 corridors stand in both"):
        compare_limits(derived[3:], given)


def test_topology_by_hand():
    """Two lines meet within 100 m, a transformer joins a third of another voltage; a fourth stands alone."""
    lines = frame([
        shapely.LineString([(0, 40), (1, 40)]), shapely.LineString([(1.001, 40), (2, 40)]), shapely.LineString([(2, 40.0005), (2, 41)]),
        shapely.LineString([(7, 40), (8, 40)]),
    ], voltage_kv=[345.0, 345, 138, -999999])
    net = topology(lines)
    assert net.buses["island"][net.parts["start"]].tolist() == [0, 0, 0, 1] and len(net.buses) == 7
    assert net.parts["end"][0] == net.parts["start"][1]
    assert net.parts["end"][1] != net.parts["start"][2]
    assert net.buses["station"][net.parts["end"][1]] == net.buses["station"][net.parts["start"][2]]
    assert np.isnan(net.parts["kv"][3]) and net.parts["km"][0] == pytest.approx(85.39, abs=0.01)
    counts = net.report.set_index("what")["count"]
    assert counts["islands"] == 2 and counts["parts without a voltage"] == 1 and counts["stations with one line end"] == 4
    assert counts["stations (ends within 0.3 km)"] == 6 and counts["stations with several voltages, transformers assumed"] == 1
    assert topology(lines, snap_km=0.01).buses["island"].max() == 3


def test_real_lines_every_end_is_somewhere():
    lines = geopandas.read_parquet(DATA / "lines_230kv.parquet").rename(columns={"VOLTAGE": "voltage_kv"})
    net = topology(lines)
    assert net.buses["lines"].sum() == 2 * len(net.parts)
    assert (net.buses["island"][net.parts["start"]].to_numpy() == net.buses["island"][net.parts["end"]].to_numpy()).all()
    assert (np.diff(net.buses.groupby("island")["lines"].sum()) <= 0).all()


def test_bad_lines():
    with pytest.raises(InputError, match="coordinate reference system"):
        topology(geopandas.GeoDataFrame({"voltage_kv": [1.0]}, geometry=[shapely.LineString([(0, 0), (1, 1)])]))
    with pytest.raises(InputError, match="row 0 is missing or no line"):
        topology(frame([shapely.Point(0, 0)], voltage_kv=[1.0]))
