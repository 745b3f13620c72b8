"""What a run asks of the system."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
from cukernels.run import keep_memory
if {keep}:
    keep_memory()
import numpy as np
first = np.ones(1 << 22)            # 32 MB, small pages where the system has no large ones
del first
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(1 << 22)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_memory_that_is_kept_is_not_cleared_again():
    freed, kept = (int(subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], check=True, capture_output=True,
                                       text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).stdout)
                   for keep in (False, True))
    assert kept < 20 < 20 * 16 <= freed     # sixteen large pages a time at the very least
