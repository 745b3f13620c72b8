"""Long work for one tab of a page: it says which step it is at, it can be cancelled, and other tabs don't see it.

Work runs in a thread, where the compiled loops let go of the interpreter, and stops at its next step when it is
cancelled. `command` runs a command line in a process of its own, which is ended at once.
"""

import contextlib
import logging
import secrets
import subprocess
import threading
import time

from cupages.safety import Refused

AT_ONCE = 6         # jobs running on a server
KEPT = 200          # finished jobs remembered
LOG = logging.getLogger("cupages")


class Cancelled(Exception):
    """The person cancelled the job."""


class Job:
    """One piece of work. `say(step, fraction)` is how the work tells where it is; it raises Cancelled once `cancel` was called."""

    def __init__(self, tab, what):
        self.id, self.tab, self.what = secrets.token_urlsafe(12), tab, what
        self.state, self.error, self.result = "running", "", None
        self.steps, self.fraction, self.started = [], None, time.monotonic()
        self._stop, self._lock, self._at_cancel = threading.Event(), threading.Lock(), []

    def say(self, step, fraction=None):
        """Begin a step, or tell how much of it is done (0 to 1)."""
        self.check()
        with self._lock:
            if not self.steps or self.steps[-1][0] != step:
                self.steps.append((step, time.monotonic()))
            self.fraction = None if fraction is None else min(max(float(fraction), 0.0), 1.0)

    def check(self):
        if self._stop.is_set():
            raise Cancelled

    def cancel(self):
        self._stop.set()
        for stop in list(self._at_cancel):
            stop()

    @contextlib.contextmanager
    def stopping(self, stop):
        """While this is entered, `cancel` also calls stop()."""
        self._at_cancel.append(stop)
        try:
            self.check()
            yield
        finally:
            self._at_cancel.remove(stop)

    def told(self):
        """What the page is told: JSON-able. Seconds of each step, the last one still running."""
        with self._lock:
            ends = [at for _, at in self.steps[1:]] + [time.monotonic()]
            steps = [{"step": step, "seconds": round(end - at, 2)} for (step, at), end in zip(self.steps, ends)]
            return {"id": self.id, "what": self.what, "state": self.state, "error": self.error, "steps": steps, "fraction": self.fraction,
                    "seconds": round(time.monotonic() - self.started, 2), "result": self.result if self.state == "done" else None}


class Jobs:
    """The jobs of a server. mendable: exceptions whose text is a sentence for the person; the text of others goes to the log."""

    def __init__(self, mendable=(), at_once=AT_ONCE):
        self._mendable, self._at_once, self._jobs, self._lock = tuple(mendable), at_once, {}, threading.Lock()

    def start(self, tab, what, work):
        """Begin work(job) in a thread; what it returns (JSON-able) is the job's result. Raises Refused where too many run."""
        job = Job(tab, what)
        with self._lock:
            if sum(j.state == "running" for j in self._jobs.values()) >= self._at_once:
                raise Refused(429, f"{self._at_once} computations are running: wait for one or cancel it")
            done = [j.id for j in self._jobs.values() if j.state != "running"]
            for old in done[: max(len(done) - KEPT, 0)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), daemon=True, name=f"job {what}").start()
        return job

    def of(self, tab, job_id):
        """The tab's own job. Raises Refused."""
        job = self._jobs.get(job_id)
        if job is None or job.tab != tab:
            raise Refused(404, "this tab has no such computation")
        return job

    def cancel_all(self, tab=None):
        for job in list(self._jobs.values()):
            if job.state == "running" and tab in (None, job.tab):
                job.cancel()

    def _run(self, job, work):
        try:
            result = work(job)
            job.check()
            job.result, job.state = result, "done"
        except Cancelled:
            job.error, job.state = "cancelled", "cancelled"
        except Refused as refused:
            job.error, job.state = refused.sentence, "failed"
        except self._mendable as error:
            job.error, job.state = " ".join(str(error).split()), "failed"
        except Exception:
            LOG.exception("%s failed", job.what)
            job.error, job.state = f"{job.what} failed for a reason that is no fault of yours; the terminal shows it", "failed"


def command(job, words, step_of=None):
    """Run a command line (a list of words) as a part of a job; every line it prints is a step. Returns its lines.

    step_of: function of a line, the step it tells or None. Cancelling ends the process. A command that fails raises
    Refused with the last line it wrote on stderr.
    """
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
    errors = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
    reader.start()
    lines = []
    try:
        with job.stopping(process.terminate):
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                step = step_of(lines[-1]) if step_of else lines[-1].strip()
                if step:
                    job.say(step)
            code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5)
    job.check()
    if code:
        said = [line.strip() for line in errors if line.strip()]
        raise Refused(422, (said[-1] if said else f"the command ended with {code}").removeprefix("Error: "))
    return lines


class Tabs:
    """What the server keeps for each tab of the page: `make()` when it first asks; the tabs longest unheard of are dropped."""

    def __init__(self, make, most=32, drop=None):
        self._make, self._most, self._drop, self._kept, self._lock = make, most, drop, {}, threading.Lock()

    def of(self, tab):
        with self._lock:
            held = self._kept.pop(tab, None)
            self._kept[tab] = held if held is not None else self._make()
            dropped = [self._kept.pop(old) for old in list(self._kept)[: max(len(self._kept) - self._most, 0)]]
            found = self._kept[tab]
        for old in dropped if self._drop else ():
            self._drop(old)
        return found

    def all(self):
        return list(self._kept.values())
