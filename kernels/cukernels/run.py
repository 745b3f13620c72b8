"""A run: its steps timed, its inputs hashed, its folder there whole or not at all."""

import contextlib
import ctypes
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import resource
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

MANIFEST = "manifest.json"
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4     # of malloc.h


class Run:
    """One run of a pipeline, written to a hidden folder beside `out` and renamed to `out` by `finish`.

    out: path; an earlier run there (a folder with a manifest) is replaced, anything else is a FileExistsError.
    command, options, seed: recorded as given (options JSON-able). device: a `backend.Device`.
    packages: names whose versions the manifest records. say: called with one line a step (None for silence).

    Use as a context manager: leaving it by an exception removes the hidden folder; entering it those of killed runs.
    """

    def __init__(self, out, command, options, device, packages=(), seed=None, say=None):
        self.out = pathlib.Path(out)
        if self.out.exists() and not (self.out.is_dir() and ((self.out / MANIFEST).exists() or not any(self.out.iterdir()))):
            raise FileExistsError(f"{out} exists and is not the folder of an earlier run: choose another -o or remove it")
        self._started = time.perf_counter()
        self._say = say or (lambda line: None)
        self._hashed = {}
        self.folder = self.out.parent / f".{self.out.name}.part{os.getpid()}"
        self.manifest = {
            "command": command,
            "options": options,
            "seed": seed,
            "device": {"kind": device.kind, "name": device.name, "why": device.why},
            "versions": {"python": platform.python_version(), **{p: _version(p) for p in packages}},
            "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "inputs": [],
            "steps": [],
        }

    def __enter__(self):
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._clear_the_dead()
            self.folder.mkdir()
        except OSError as error:
            raise FileExistsError(f"{self.out} can't be made ({error.strerror}): choose another -o") from None
        return self

    def __exit__(self, kind, error, trace):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear_the_dead(self):
        """Remove what runs of this `out` left behind that were killed: folders of processes that are no more."""
        prefix = f".{self.out.name}.part"
        for left in self.out.parent.iterdir():
            process = left.name.removeprefix(prefix)
            if left.name.startswith(prefix) and process.isdecimal() and not _lives(int(process)):
                shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def step(self, name):
        """Time a step, by the clock and on all processors together, and note the process's peak memory at its end."""
        started, worked = time.perf_counter(), time.process_time()
        yield
        seconds = time.perf_counter() - started
        cpu = round(time.process_time() - worked, 3)
        self.manifest["steps"].append({"step": name, "seconds": round(seconds, 3), "cpu_seconds": cpu, "peak_memory_mb": round(peak_memory_mb())})
        self._say(f"{name:<28} {seconds:7.2f} s")

    @contextlib.contextmanager
    def beside(self, name, work):
        """A step that runs in a thread of its own while the block does; its processor time counts in the block's steps.

        The block ends when both have: nothing is written any more when an error leaves it. `work` may return a result: then
        the function that the block is given has it.
        """
        def timed():
            started = time.perf_counter()
            return work(), time.perf_counter() - started

        with ThreadPoolExecutor(1) as thread:
            task = thread.submit(timed)
            yield lambda: task.result()[0]
            seconds = task.result()[1]
        self.manifest["steps"].append({"step": name, "seconds": round(seconds, 3), "cpu_seconds": 0.0, "beside_the_others": True,
                                       "peak_memory_mb": round(peak_memory_mb())})
        self._say(f"{name:<28} {seconds:7.2f} s beside the others")

    def hashed(self, path, digest):
        """Note the SHA-256 of an output that was taken as it was written."""
        self._hashed[pathlib.Path(path)] = digest

    def read(self, path):
        """Record an input file with its SHA-256; returns the path, so that it wraps the argument of a reader."""
        path = pathlib.Path(path)
        self.manifest["inputs"].append({"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)})
        return path

    def finish(self):
        """Write the manifest and put the folder in its place."""
        self.manifest["seconds"] = round(time.perf_counter() - self._started, 3)
        self.manifest["peak_memory_mb"] = round(peak_memory_mb())
        self.manifest["outputs"] = [
            {"file": str(p.relative_to(self.folder)), "bytes": p.stat().st_size, "sha256": self._hashed.get(p) or sha256(p)}
            for p in sorted(self.folder.rglob("*")) if p.is_file()
        ]
        write_json(self.folder / MANIFEST, self.manifest)
        if self.out.exists():
            shutil.rmtree(self.out)
        self.folder.rename(self.out)
        return self.out


def keep_memory():
    """Let this process keep what its arrays give back, where the C library can (glibc); for commands, which end. Before
    NumPy is imported.

    Large blocks otherwise go back to the system each time, which clears every page again when it is next asked for: a
    third of the time of a run on a large picture. The peak stays what it is. Memory that is asked for once needs no huge
    pages either, for which the system may have to make room first: NumPy asks for them unless told otherwise.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)             # no block by itself
    mallopt(_M_TRIM_THRESHOLD, -1)      # nor the end of the heap
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")


def write_json(path, data):
    """JSON without NaN or infinity (both are errors), indented, numpy scalars as numbers."""
    text = json.dumps(data, indent=1, allow_nan=False, default=lambda x: x.item() if hasattr(x, "item") else str(x))
    pathlib.Path(path).write_text(text + "\n")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak_memory_mb():
    """Peak resident memory of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _lives(process):
    """Whether this user's machine runs a process of that number (one of another user counts too)."""
    if process == os.getpid():
        return False        # this very process has not begun yet: an earlier one had its number
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OSError):
        return True
    return True


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
