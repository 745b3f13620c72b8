"""Samples divided into parts and solved: in this process, or by the workers of a dask.distributed scheduler.

Parts are taken in, in the order of their samples, whoever solved them, so a run can stop, be kept and go on anywhere.
"""

import contextlib
import warnings

from cukernels.threads import processors

from gridmap import InputError
from gridmap.adequacy.solver import BLOCK, Solver

TIMEOUT = "10s"  # until a scheduler must answer
_AHEAD = 3  # parts in work or waiting, for each worker
_WIDE = 16  # blocks that samples side by side may fill
_STEPS, _FEW = 20, 256  # a run has at least so many parts, to tell and keep how far it is, unless they were of so few samples
_TRIES = 20  # a part whose workers died so often is given up


@contextlib.contextmanager
def parts(scheduler, solver, make, tally, seed, done, samples, looks=None):
    """An iterator over numbers of samples done: each part is in `tally` when its last sample is named.

    make(first, last): an empty Tally of these samples. done: samples that are in already. looks: a function that yields
    the numbers of samples that must end a part. Raises InputError where dask.distributed is not installed or not reached.
    """
    if scheduler is None:
        most = min(_most(solver), max(_FEW, -(-samples // _STEPS)))
        yield _here(solver, tally, seed, bounds(done, samples, most, looks))
        return
    with _client(scheduler) as client:
        workers = max(len(client.scheduler_info()["workers"]), 1)
        most = max(1, min(_most(solver), -(-(samples - done) // (4 * workers))))
        yield _there(client, solver, make, tally, seed, bounds(done, samples, most, looks), _AHEAD * workers)


def bounds(first, samples, most, looks=None):
    """(first, last) of parts of at most `most` samples."""
    while first < samples:
        last = min(first + most, samples)
        if looks:
            last = min(last, next(look for look in looks() if look > first))
        yield first, last
        first = last


def _most(solver):
    """Samples of a part: what fits into a block, but where stores run, sample by sample, one for each processor."""
    size = solver.problem.columns * solver.margin.shape[1]
    side_by_side = min(processors(), _WIDE * BLOCK // size) if len(solver.stores.region) else 1
    return max(BLOCK // size, side_by_side, 1)


def _here(solver, tally, seed, blocks):
    for first, last in blocks:
        tally.add(*solver.shortages(seed, first, last))
        yield last


def solve(problem, device, tally, seed, last):
    """What a worker does: fill an empty Tally."""
    tally.add(*Solver(problem, device).shortages(seed, tally.first, last))
    return tally


def handed_on(problem):
    """A task, unlike scattered data, is done again where all workers that held it died."""
    return problem


def _there(client, solver, make, tally, seed, blocks, ahead):
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    def submit(first, last):
        return client.submit(solve, problem, solver.kind, make(first, last), seed, last, pure=False)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")  # it is: once
        problem = client.submit(handed_on, solver.problem, pure=False)
    blocks, waiting = iter(blocks), []
    while True:
        for first, last in blocks:
            waiting.append((first, last, submit(first, last)))
            if len(waiting) >= ahead:
                break
        if not waiting:
            return
        first, last, future = waiting.pop(0)
        for again in range(_TRIES):
            try:
                part = future.result()
                break
            except (KilledWorker, FutureCancelledError):
                if again == _TRIES - 1:
                    raise
                future = submit(first, last)
        tally.absorb(part)
        future.release()
        yield last


@contextlib.contextmanager
def _client(scheduler):
    try:
        import dask
        import distributed
    except ImportError:
        raise InputError("spreading over workers needs dask.distributed: pip install 'cukernels-chipmap-gridmap[scale]'") from None
    if isinstance(scheduler, distributed.Client):
        yield scheduler
        return
    kind, _, count = str(scheduler).partition(":")
    if kind == "local":
        if count and not (count.isdigit() and int(count) > 0):
            raise InputError(f"scheduler {scheduler!r}: {count!r} is no number of workers; write local:4")
        with dask.config.set({"distributed.scheduler.allowed-failures": _TRIES, "distributed.comm.timeouts.connect": "30s"}), distributed.LocalCluster(
                n_workers=int(count or processors()), threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
                silence_logs=50) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    try:
        client = distributed.Client(scheduler, timeout=TIMEOUT)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"scheduler {scheduler!r}: not reached ({error}); give local, local:4 or the address of a running one, tcp://host:8786") from None
    with client:
        yield client
