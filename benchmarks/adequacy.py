"""Loss of load by drawn years: the IEEE RTS-79 against assetra, RTS-GMLC's three regions, the bundled country by zone.

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
NATIONAL = 100


def run(device="cpu"):
    return [*_rts_79(device), *_rts_gmlc(device), _country(device)]


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
               "years_a_second": 1 / ours, "bytes_moved": 4 * 4 * len(rts79.load()),
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
        yield {"what": f"a year of RTS-GMLC's three regions{words}", "ours_s": seconds / years, "peer": "-", "peer_s": None, "ratio": None,
               "years_a_second": years / seconds, "check": f"{neue.value:.2f} ppm, standard error {neue.error:.2f}"}


def _country(device):
    """`gridmap adequacy` as a user starts it, reading, pictures and files included."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "gridmap", "adequacy", "-o", f"{folder}/out", "--year", "2023", "--samples", str(NATIONAL),
                        "--device", device, "--quiet"], check=True)
        manifest, results = (json.loads((pathlib.Path(folder) / "out" / f"{name}.json").read_text()) for name in ("manifest", "results"))
    eue = results["system"]["eue_mwh"]
    return {"what": f"gridmap adequacy, 134 zones, {NATIONAL} years", "ours_s": manifest["seconds"], "peer": "-", "peer_s": None, "ratio": None,
            "peak_memory_mb": manifest["peak_memory_mb"], "check": f"EUE {eue['value']:,.0f} MWh, standard error {eue['standard_error']:,.0f}"}
