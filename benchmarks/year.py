"""The year 2023 of the 48 states by county: hours drawn from it against OR-tools' maximum flow, and the whole run.

Each side gets the same hours as NumPy arrays of MW; OR-tools solves them one by one in a process of its own
(`python -m benchmarks.year FILE`), graph building included, the total only. Ours gives the fair split and pockets too.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from . import flow
from .timing import best_of

HOURS = 200
PEER_UNITS = 10**6  # OR-tools takes whole numbers: W, so that totals compare to 1e-6
REPEATS = 3


def run(device="cpu"):
    return [_same_hours(device), _whole_year(device)]


def _same_hours(device):
    from cukernels import residual_deficit
    from cukernels.backend import to_device, to_host
    hours = _random_hours()
    ours = [to_device(a, device) for a in hours]
    seconds, got = best_of(lambda: residual_deficit(*ours).unserved, REPEATS)
    total = to_host(got).sum(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "hours.npz"
        np.savez(path, *hours)
        done = subprocess.run([sys.executable, "-m", "benchmarks.year", str(path)], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    off = np.abs(np.array(theirs["total_mw"]) / total - 1).max()
    if off > 1e-6:
        raise AssertionError(f"a total differs by {off:.1e} of itself")
    return {"what": f"{HOURS} hours drawn from 2023, {hours[0].shape[1]} counties", "ours_s": seconds, "peer": "OR-tools max flow, total only",
            "peer_s": theirs["seconds"], "ratio": theirs["seconds"] / seconds, "ours_ms_an_hour": 1e3 * seconds / HOURS,
            "check": f"totals within {off:.0e}"}


def _random_hours():
    """supply, demand (T, R), tail, head, forward, backward of hours drawn at random from the bundled year."""
    from gridmap import read, repair, supply
    inputs = repair.repair(read.load_bundle())
    hours = inputs.demand.hours[np.sort(np.random.default_rng(2023).choice(len(inputs.demand.hours), HOURS, replace=False))]
    demand = np.stack([inputs.demand.at(hour) for hour in hours])
    return supply.hourly_supply(inputs, hours), demand, *(inputs.corridors[c].to_numpy() for c in ("tail", "head", "forward_mw", "backward_mw"))


def _whole_year(device):
    """`gridmap run --year 2023` as a user starts it, reading, pictures and files included."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "gridmap", "run", "-o", f"{folder}/out", "--year", "2023", "--device", device, "--quiet"], check=True)
        manifest = json.loads((pathlib.Path(folder) / "out" / "manifest.json").read_text())
        results = json.loads((pathlib.Path(folder) / "out" / "results.json").read_text())
    return {"what": "gridmap run --year 2023, files and pictures included", "ours_s": manifest["seconds"], "peer": None, "peer_s": None, "ratio": None,
            "peak_memory_mb": manifest["peak_memory_mb"], "unserved_mwh": results["unserved_mwh"]["value"], "check": "tests/test_gridmap_year.py"}


def _peer(path):
    flow.PEER_UNITS = PEER_UNITS
    supply, demand, *ways = np.load(path).values()
    seconds, total = best_of(lambda: [flow._by_ortools(s, d, *ways) for s, d in zip(supply, demand, strict=True)], REPEATS)
    print(json.dumps({"seconds": seconds, "total_mw": total}))


if __name__ == "__main__":
    _peer(sys.argv[1])
