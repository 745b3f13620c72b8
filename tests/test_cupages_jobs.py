"""Long work: steps, cancelling, failing in sentences, tabs of their own."""

import sys
import threading
import time

import pytest
from cupages.jobs import Jobs, Tabs, command
from cupages.safety import Refused


def ended(job):
    for _ in range(2000):
        if job.state != "running":
            return job.told()
        time.sleep(0.01)
    raise AssertionError("does not end")


def test_steps_and_result():
    def work(job):
        job.say("read")
        job.say("solve", 0.5)
        return {"mw": 3}

    told = ended(Jobs().start("tab", "a job", work))
    assert told["state"] == "done" and told["result"] == {"mw": 3}
    assert [s["step"] for s in told["steps"]] == ["read", "solve"] and told["fraction"] == 0.5


def test_what_goes_wrong_is_a_sentence():
    def bad(job):
        raise ValueError("no plant 3;\n give another")

    def bug(job):
        raise KeyError("inside")

    jobs = Jobs(mendable=(ValueError,))
    assert ended(jobs.start("tab", "a job", bad))["error"] == "no plant 3; give another"
    told = ended(jobs.start("tab", "a job", bug))
    assert told["state"] == "failed" and "inside" not in told["error"] and "no fault of yours" in told["error"]


def test_a_command_is_stopped_at_once_by_cancelling():
    jobs = Jobs()
    begun = threading.Event()

    def work(job):
        return command(job, [sys.executable, "-uc", "import time; print('solving'); time.sleep(60)"], lambda line: begun.set() or line)

    job = jobs.start("tab", "sleep", work)
    assert begun.wait(20)
    started = time.monotonic()
    job.cancel()
    assert ended(job)["state"] == "cancelled" and time.monotonic() - started < 5


def test_a_command_tells_its_lines_and_why_it_failed():
    jobs = Jobs()
    job = jobs.start("tab", "c", lambda job: command(job, [sys.executable, "-c", "print('one'); print('two')"]))
    assert ended(job)["result"] == ["one", "two"] and [s["step"] for s in job.told()["steps"]] == ["one", "two"]
    job = jobs.start("tab", "c", lambda job: command(job, [sys.executable, "-c", "import sys; sys.exit('Error: no such file; correct it')"]))
    assert ended(job)["error"] == "no such file; correct it"


def test_too_many_at_once_are_refused_and_other_tabs_see_nothing():
    jobs, stop = Jobs(at_once=2), threading.Event()
    running = [jobs.start("tab", "w", lambda job: stop.wait(20)) for _ in range(2)]
    with pytest.raises(Refused, match="wait for one or cancel"):
        jobs.start("tab", "w", lambda job: None)
    with pytest.raises(Refused):
        jobs.of("other", running[0].id)
    assert jobs.of("tab", running[0].id) is running[0]
    stop.set()
    assert all(ended(job)["state"] == "done" for job in running)


def test_tabs_have_states_of_their_own_and_old_ones_are_dropped():
    dropped = []
    tabs = Tabs(dict, most=2, drop=dropped.append)
    tabs.of("a")["x"] = 1
    tabs.of("b")["x"] = 2
    assert tabs.of("a") == {"x": 1}
    tabs.of("c")
    assert dropped == [{"x": 2}] and tabs.of("a") == {"x": 1} and tabs.of("b") == {}
