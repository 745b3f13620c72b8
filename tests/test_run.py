"""What a run asks of the system."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from cukernels.backend import choose_device
from cukernels.run import Run
from cukernels.threads import meanwhile

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


def test_work_meanwhile(monkeypatch):
    """What it returns and raises comes where it is asked for; the block ends when it has; on one processor it waits to be asked."""
    seen = []

    def work():
        time.sleep(0.05)
        seen.append(threading.current_thread() is threading.main_thread())
        return 7
    with meanwhile(work) as result:
        assert result() == 7
    with meanwhile(work):
        pass
    assert len(seen) == 2
    with pytest.raises(ZeroDivisionError), meanwhile(lambda: 1 / 0) as result:
        result()
    with pytest.raises(ZeroDivisionError), meanwhile(lambda: 1 / 0):
        pass
    with pytest.raises(KeyError), meanwhile(work):
        raise KeyError
    assert len(seen) == 3
    with meanwhile(work, False) as result:
        assert len(seen) == 3 and result() == result() == 7
    assert seen[3:] == [True]
    monkeypatch.setattr("cukernels.threads.processors", lambda: 1)
    with meanwhile(work) as result:
        pass
    assert len(seen) == 4


def test_a_step_beside_gives_its_result_and_is_told(tmp_path):
    with Run(tmp_path / "out", "x", {}, choose_device("cpu")) as run:
        with run.beside("aside", lambda: [1]) as aside, run.step("main"):
            pass
        assert aside() == [1]
        run.finish()
    steps = json.loads((tmp_path / "out" / "manifest.json").read_text())["steps"]
    assert [step["step"] for step in steps] == ["main", "aside"] and steps[1]["beside_the_others"]
    with pytest.raises(ValueError), Run(tmp_path / "no", "x", {}, choose_device("cpu")) as run:
        with run.beside("aside", lambda: int("a")):
            pass
    assert not list(tmp_path.glob("*no*"))
