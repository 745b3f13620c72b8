"""Break one CUDA kernel at a time (its launch does nothing): a test of its stem must turn red."""

import os
import pathlib
import subprocess
import sys

import pytest
from cukernels import backend
from emulator import kernel_names

ROOT = pathlib.Path(__file__).parent.parent
KERNELS = [(cu.stem, name) for cu in sorted(pathlib.Path(backend.__file__).parent.glob("*.cu"))
           for name in kernel_names(cu.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("stem, kernel", KERNELS, ids=lambda x: x)
def test_a_broken_kernel_turns_a_test_red(stem, kernel):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-k", "emulated", f"tests/test_{stem}.py", "-p", "no:cacheprovider"],
        cwd=ROOT, env={**os.environ, "CUKERNELS_BREAK": kernel}, capture_output=True, text=True)
    # 1: a test failed; negative: reading what was never written crashed the process
    assert done.returncode == 1 or done.returncode < 0, f"breaking {kernel} of {stem}.cu went unnoticed:\n{done.stdout[-2000:]}"
