"""One test body, three ways: the fixture `xp` is NumPy, the emulated CuPy, and CuPy where there is a GPU."""

import os
import pathlib
import sys

import browsing
import hypothesis
import numpy as np
import pytest
from cukernels import backend
from emulator import fake_cupy, kernel_names, launched

# a noisy machine or a first compilation is no failure
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

KERNELS = pathlib.Path(backend.__file__).parent
LEDGER = pathlib.Path(__file__).parent.parent / "build" / "emulator" / "launched.txt"
NO_GPU = "no CUDA device"


def has_gpu():
    try:
        import cupy
        return cupy.cuda.is_available()
    except ImportError:
        return False


@pytest.fixture(params=["cpu", "emulated", "cuda"])
def xp(request, monkeypatch):
    """An array module: make inputs with `xp.asarray`, bring answers back with `cukernels.backend.to_host`."""
    if request.param == "cpu":
        yield np
    elif request.param == "emulated":
        cupy = fake_cupy()
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        backend._module.cache_clear()
        yield cupy
        backend._module.cache_clear()
    elif has_gpu():
        import cupy
        yield cupy
    else:
        pytest.skip(NO_GPU)


@pytest.fixture(scope="session")
def browser():
    """A headless browser for all tests of a process; skipped with a reason where there is none."""
    with browsing.launched() as found:
        yield found


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        LEDGER.parent.mkdir(parents=True, exist_ok=True)
        LEDGER.write_text("")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    """After the whole suite: every kernel of every .cu must have been run by an emulated test."""
    with LEDGER.open("a") as file:
        file.writelines(f"{name}\n" for name in launched)
    result = yield  # the controller of parallel workers waits for them here
    if hasattr(session.config, "workerinput") or not _whole_suite(session.config):
        return result
    ran = set(LEDGER.read_text().split())
    missing = [f"{cu.name}: {name}" for cu in sorted(KERNELS.glob("*.cu")) for name in kernel_names(cu.read_text()) if name not in ran]
    if missing and not os.environ.get("CUKERNELS_BREAK"):
        print("\nCUDA kernels that no emulated test ran: " + ", ".join(missing))
        session.exitstatus = 1
    return result


def pytest_terminal_summary(terminalreporter):
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if NO_GPU in str(r.longrepr)]
    terminalreporter.write_line(f"tests skipped for want of a GPU: {len(skipped)}")


def _whole_suite(config):
    return not (config.option.keyword or config.option.collectonly or getattr(config.option, "lf", False)) and all(
        pathlib.Path(a).name == "tests" for a in config.args)
