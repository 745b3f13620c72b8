"""Loss of load by drawn years: the IEEE RTS-79 against assetra, RTS-GMLC's three regions, the bundled country by zone and county.

assetra draws every hour anew, so it is compared with sequential=False; `pip install --no-deps assetra xarray` brings it
(its own list of requirements is for notebooks). Both sides must agree with the exact answer within 4 standard errors.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd

from .timing import best_of

TESTS = pathlib.Path(__file__).parent.parent / "tests"
PEER_YEARS = 20
YEARS = 4000
NATIONAL = {"zone": 100, "county": 4}
COVERAGE = 200  # seeds


def run(device="cpu"):
    return [*_rts_79(device), *_cases(device), _coverage(device), *_rts_gmlc(device), *(_country(device, by, years) for by, years in NATIONAL.items())]


def _rts_79(device):
    from gridmap.adequacy import System, exact, simulate
    sys.path.insert(0, str(TESTS))
    import rts79
    system = System(["A"], rts79.load()[:, None], rts79.units().assign(region="A"))
    want = exact(rts79.units(), rts79.load())
    peer, theirs, peer_error = _assetra(rts79.units(), rts79.load(), want.eue_mwh)
    for words, sequential in (("every hour anew", False), ("sequential", True)):
        seconds, got = best_of(lambda s=sequential: simulate(system, YEARS, sequential=s, device=device))
        off = abs(got.system.eue_mwh.value - want.eue_mwh) / got.system.eue_mwh.error
        if off > 4:
            raise AssertionError(f"EUE is {off:.1f} standard errors off")
        ours = seconds / YEARS
        yield {"what": f"a year of RTS-79, {words}", "ours_s": ours, "peer": peer, "peer_s": theirs, "ratio": theirs and theirs / ours,
               "years_a_second": 1 / ours, "bar": "20 x assetra", "met": bool(theirs and theirs / ours >= 20), "bytes_moved": 4 * 4 * len(rts79.load()),
               "check": f"EUE within {off:.1f} standard errors of exact{peer_error}"}


def _assetra(units, load, want):
    """(name or why not, seconds a year, how far off)."""
    try:
        import xarray
        from assetra.metrics import ExpectedUnservedEnergy
        from assetra.simulation import ProbabilisticSimulation
        from assetra.system import EnergySystemBuilder
        from assetra.units import DemandUnit, StochasticUnit
    except ImportError as error:
        return f"assetra is not there: {error}", None, ""
    hours = pd.date_range("2019-01-01", periods=len(load), freq="h")
    series = lambda values: xarray.DataArray(np.broadcast_to(values, len(load)).copy(), coords={"time": hours})  # noqa: E731
    builder = EnergySystemBuilder()
    builder.add_unit(DemandUnit(0, series(load)))
    for i, unit in enumerate(units.itertuples(), 1):
        builder.add_unit(StochasticUnit(i, unit.capacity_mw, series(unit.capacity_mw), series(unit.forced_outage_rate)))
    simulation = ProbabilisticSimulation(hours[0], hours[-1], PEER_YEARS)
    simulation.assign_energy_system(builder.build())
    seconds, _ = best_of(simulation.run)
    yearly = -simulation.net_hourly_capacity_matrix.where(simulation.net_hourly_capacity_matrix < 0, 0).sum("time").to_numpy()
    error = yearly.std(ddof=1) / np.sqrt(PEER_YEARS)
    off = abs(float(ExpectedUnservedEnergy(simulation).evaluate()) - want) / error
    if off > 4:
        raise AssertionError(f"assetra's EUE is {off:.1f} standard errors off")
    return "assetra", seconds / PEER_YEARS, f"; theirs within {off:.1f} of its own"


def _rts_gmlc(device):
    from gridmap.adequacy import System, simulate
    system = System.read(TESTS / "rts_gmlc")
    tight = dataclasses.replace(system, load=system.load + 700)
    for words, which, years in ((" and a battery", system, 2000), (" and a battery, 700 MW more load each", tight, 400)):
        simulate(which, 10, device=device)
        seconds, got = best_of(lambda w=which, y=years: simulate(w, y, device=device))
        neue = got.system.neue_ppm
        yield {"what": f"a year of RTS-GMLC's three regions{words}", "ours_s": seconds / years, "years_a_second": years / seconds,
               "bar": "500 years a second", "met": years / seconds >= 500,
               "check": f"{years / seconds:,.0f} years a second; {neue.value:.2f} ppm, standard error {neue.error:.2f}"}


def _country(device, by, years):
    """`gridmap adequacy` as a user starts it, reading, pictures and files included."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "gridmap", "adequacy", "-o", f"{folder}/out", "--by", by, "--year", "2023", "--samples", str(years),
                        "--device", device, "--quiet"], check=True)
        manifest, results = (json.loads((pathlib.Path(folder) / "out" / f"{name}.json").read_text()) for name in ("manifest", "results"))
    eue, drawn = results["system"]["eue_mwh"], sum(s["seconds"] for s in manifest["steps"] if "samples" in s["step"])
    return {"what": f"gridmap adequacy by {by}, {results['regions']} regions, {years} years", "ours_s": manifest["seconds"],
            **({"bar": "100 years in 10 minutes and 8 GB", "met": manifest["seconds"] < 600 and manifest["peak_memory_mb"] < 8000} if by == "zone" else {}),
            "years_a_second": years / drawn, "cpu_s": sum(s["cpu_seconds"] for s in manifest["steps"]), "peak_memory_mb": manifest["peak_memory_mb"],
            "check": f"EUE {eue['value']:,.0f} MWh, standard error {eue['standard_error']:,.0f}; {drawn:,.0f} s of it drawing, {manifest['peak_memory_mb'] / 1e3:.1f} GB"}


def _cases(device):
    """Every tabled case at 1e5 years: how many standard errors off."""
    from gridmap.adequacy import exact, simulate
    sys.path.insert(0, str(TESTS))
    import rts79
    import test_gridmap_simulate as t
    want = exact(rts79.units(), rts79.load())
    cases = (("RTS-79", t.rts(), want.lole_hours, want.eue_mwh), ("one region of PRAS", t.single_a(), .355, 1.59),
             ("three regions, copper plate", t.three_nodes(100.0), 1.17877, 11.73276), ("three regions, lines of 8 MW", t.three_nodes(8.0), 1.3756, 12.12885),
             ("two regions, a line that fails", t.two_regions(), .19, .647), ("a unit and a store", t.with_store(), .2, 1.5542),
             ("two regions, a line and a store that fail", t.with_store("AB"), .320951, 3.179289))
    for words, system, lole, eue in cases:
        seconds, got = best_of(lambda s=system: simulate(s, 100_000, seed=7, device=device), 1)
        off = [abs(found.value - w) / found.error for found, w in ((got.system.lole_hours, lole), (got.system.eue_mwh, eue))]
        if max(off) > 4:
            raise AssertionError(f"{words}: {max(off):.1f} standard errors off")
        yield {"what": f"{words}, 100,000 samples", "ours_s": seconds, "bar": "3 standard errors", "met": max(off) <= 3,
               "check": f"LOLE {off[0]:.2f} and EUE {off[1]:.2f} standard errors from the exact answer"}


def _coverage(device):
    """How many of the 95 % intervals of `COVERAGE` seeds hold the exact answer of RTS-79's year."""
    import test_gridmap_simulate as t

    from gridmap.adequacy import exact, simulate
    want, hits = exact(t.rts79.units(), t.rts79.load()), np.zeros(2, int)
    system = t.rts()
    for seed in range(COVERAGE):
        got = simulate(system, 2000, seed=seed, device=device).system
        hits += [e.low <= w <= e.high for e, w in ((got.lole_hours, want.lole_hours), (got.eue_mwh, want.eue_mwh))]
    share = 100 * hits / COVERAGE
    return {"what": f"95 % intervals of RTS-79 that hold the exact answer, {COVERAGE} seeds", "bar": "95 %, as far as luck lets (91 to 99)",
            "met": bool((share >= 91).all() and (share <= 99).all()), "check": f"LOLE {share[0]:.1f} %, EUE {share[1]:.1f} %"}
