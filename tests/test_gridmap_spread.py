"""Samples spread over workers: the same numbers for any of them, and when some are killed. And a killed run that goes on."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import small_grid
from click.testing import CliRunner
from test_gridmap_simulate import many_regions, three_nodes, with_store

from gridmap import InputError
from gridmap.__main__ import main
from gridmap.adequacy import draws, simulate, simulation, spread
from gridmap.adequacy.tally import Tally

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50) as cluster:
        yield cluster


def same(got, want):
    assert got.samples == want.samples
    for name in ("totals", "plate", *Tally.SUMS, *Tally.KEPT):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name), err_msg=name)


def test_a_tally_travels_light():
    """Empty, it is far smaller than its arrays; and nothing of it is lost on the way."""
    system = three_nodes(8.0)
    problem = draws.problem(system)
    members = simulation.places(system, {})[1]
    make = lambda: Tally(300, members, simulation.peaks(problem.margin, members), 10**5, 700)  # noqa: E731
    assert len(pickle.dumps(make())) < 3000 < make().totals.nbytes
    tally = spread.solve(problem, "cpu", make(), 5, 1000)
    there = pickle.loads(pickle.dumps(tally))
    assert vars(there).keys() == vars(tally).keys() and tally.count.any()
    for name, value in vars(tally).items():
        np.testing.assert_array_equal(getattr(there, name), value, strict=isinstance(value, np.ndarray))


def test_the_same_for_any_number_of_workers(cluster):
    for system, error in ((three_nodes(8.0), None), (with_store("AB"), .05), (many_regions(), None)):
        want = simulate(system, 400, seed=5, relative_error=error)
        with distributed.Client(cluster) as client:
            same(simulate(system, 400, seed=5, relative_error=error, scheduler=client), want)
    same(simulate(system, 400, seed=5, scheduler="local:1"), want)
    same(simulate(system, 400, seed=5, scheduler=cluster.scheduler_address), want)


def test_a_worker_killed_costs_nothing_but_time(cluster):
    system, killed = three_nodes(8.0), []
    want = simulate(system, 3000, seed=6)
    with distributed.Client(cluster) as client:
        def kill(done):
            if len(killed) < 2 and (not killed or done > killed[-1][0] + 500):
                process = client.run(os.getpid)
                worker = sorted(process)[0]
                killed.append((done, process[worker]))
                os.kill(process[worker], signal.SIGKILL)

        same(simulate(system, 3000, seed=6, scheduler=client, say=kill), want)
        assert 0 < killed[0][0] < 3000 and killed[0][1] not in client.run(os.getpid).values()


def test_the_command_by_a_scheduler(cluster, tmp_path):
    toml = small_grid.write(tmp_path)
    for out, more in (("here", []), ("there", ["--scheduler", cluster.scheduler_address])):
        got = CliRunner().invoke(main, ["adequacy", "-o", str(tmp_path / out), "--config", str(toml), "--by", "county", "--samples", "300", *more])
        assert got.exit_code == 0, got.output
    for name in ("regions.csv", "hours.csv", "worst_hours.csv", "distributions.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(spread, "TIMEOUT", "1s")
    with pytest.raises(InputError, match="not reached"):
        simulate(three_nodes(8.0), 10, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="'many' is no number of workers"):
        simulate(three_nodes(8.0), 10, scheduler="local:many")


def run_study(folder, out, samples, **more):
    """`gridmap adequacy` on the small system in a process of its own."""
    command = [sys.executable, "-m", "gridmap", "adequacy", "-o", str(folder / out), "--config", str(folder / "run.toml"), "--by", "county",
               "--device", "cpu", "--samples", str(samples), "--seed", "3"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "GRIDMAP_KEEP_EVERY_S": "0"}, **more)


def test_the_main_process_killed_and_started_again(tmp_path):
    small_grid.write(tmp_path)
    kept, samples = tmp_path / ".out.samples.npz", 60_000
    first = run_study(tmp_path, "out", samples)
    try:
        deadline = time.monotonic() + 120
        while not kept.exists() and time.monotonic() < deadline and first.poll() is None:
            time.sleep(.005)
        assert kept.exists() and first.poll() is None, "the run was over before it could be killed"
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (tmp_path / "out").exists()
    done = len(np.load(kept)["totals"])
    assert 0 < done < samples
    assert run_study(tmp_path, "out", samples).wait() == 0 and run_study(tmp_path, "whole", samples).wait() == 0
    assert not kept.exists()
    for name in ("regions.csv", "groups.csv", "hours.csv", "worst_hours.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / name), pd.read_csv(tmp_path / "whole" / name), check_exact=True)
