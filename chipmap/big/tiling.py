"""A big picture cut into tiles with enough around them; where the work stands is kept, so that it can go on after a stop."""

import fcntl
import json
import os
import pathlib
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chipmap import InputError


@dataclass(frozen=True)
class Tile:
    """Rows top .. top + height and columns left .. left + width of the picture; `window` is the same with the halo around
    it, cut off at the picture's frame."""

    number: int
    top: int
    left: int
    height: int
    width: int
    window: tuple

    @property
    def inner(self):
        """Slices of the tile in an array (..., h, w) of its window."""
        y, x = self.top - self.window[0], self.left - self.window[1]
        return (..., slice(y, y + self.height), slice(x, x + self.width))


def cut(shape, size, halo, multiple=2):
    """Tiles that cover (H, W) once, row by row; tiles and windows begin at multiples of `multiple`."""
    halo = -(-halo // multiple) * multiple
    if size % multiple or size < multiple:
        raise InputError(f"tiles of {size} pixels: give a multiple of {multiple}")
    corners = [(top, left) for top in range(0, shape[0], size) for left in range(0, shape[1], size)]
    return [Tile(n, top, left, min(size, shape[0] - top), min(size, shape[1] - left), _window(shape, size, halo, top, left))
            for n, (top, left) in enumerate(corners)]


def _window(shape, size, halo, top, left):
    y, x = max(top - halo, 0), max(left - halo, 0)
    return y, x, min(top + size + halo, shape[0]) - y, min(left + size + halo, shape[1]) - x


def read_ahead(read, windows):
    """read(*window) for each window in order, the next one read while this one is worked on."""
    windows = list(windows)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, *windows[0]) if windows else None
        for following in [*windows[1:], None]:
            part = coming.result()
            coming = reader.submit(read, *following) if following else None
            yield part
            del part


class Progress:
    """Says how far a step is: a bar on a terminal, a line every tenth elsewhere."""

    def __init__(self, name, total, say, done=0):
        self._name, self._total, self._say, self._done, self._first = name, total, say, done, done
        self._started, self._told, self._bar = time.monotonic(), int(10 * done / max(total, 1)), None

    def __enter__(self):
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=self._total, completed=self._done)
        return self

    def __exit__(self, *error):
        if self._bar:
            self._bar.stop()

    def step(self, count=1):
        """So many more are done."""
        self._done += count
        if self._bar:
            self._bar.update(self._task, completed=self._done)
        elif int(10 * self._done / self._total) > self._told:
            self._told = int(10 * self._done / self._total)
            left = (time.monotonic() - self._started) * (self._total - self._done) / (self._done - self._first)
            self._say(f"  {self._name}: {10 * self._told} %, about {left:.0f} s left")


class Work:
    """The folder of unfinished work beside `out`, kept when a run is stopped and taken up by the next one with the same `key`.

    key: JSON-able, everything that the results depend on. As a context manager: `done()` removes the folder at the end, an
    InputError too, for what is refused once is refused again. Raises InputError where another run is at work there.
    """

    def __init__(self, out, key, say):
        out = pathlib.Path(out)
        self.folder = out.parent / f".{out.name}.work"
        self._key, self._say = json.loads(json.dumps(key)), say

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{self.folder}: another run is at work there: wait for it, or choose another -o") from None
        if self.load("key") != self._key:
            if self.load("key") is not None:
                self._say("unfinished work of a run with other options or another picture is thrown away")
            for left in self.folder.iterdir():
                if left.name != "lock":
                    left.unlink()
            self.save("key", self._key)
        return self

    def __exit__(self, kind, *error):
        self._lock.close()
        if kind and issubclass(kind, InputError):
            self.done()

    def done(self):
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def path(self, name):
        return self.folder / name

    def load(self, name):
        """What `save` kept under this name, or None."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def save(self, name, facts):
        """Keep JSON-able facts, whole or not at all."""
        partial = self.folder / f"{name}.partial"
        partial.write_text(json.dumps(facts))
        os.replace(partial, self.folder / f"{name}.json")

    def kept(self, name, make):
        """What is kept under `name`; made by make() and kept where it is not there yet."""
        facts = self.load(name)
        if facts is None:
            facts = json.loads(json.dumps(make()))
            self.save(name, facts)
        return facts

    def journal(self, name):
        """Facts of the tiles done so far, {number: facts}; a line cut short by a stop does not count."""
        path = self.folder / f"{name}.jsonl"
        if not path.exists():
            return {}
        lines = path.read_bytes().split(b"\n")
        with path.open("r+b") as file:      # what follows the last whole line goes
            file.truncate(sum(len(line) + 1 for line in lines[:-1]))
        return {facts.pop("tile"): facts for facts in map(json.loads, lines[:-1])}

    def note(self, name, tile, facts):
        """Add a finished tile to the journal."""
        with (self.folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps({"tile": tile, **facts}) + "\n")


def available_memory():
    """Bytes of memory that a process may still take here, or None where the system doesn't say."""
    try:
        text = pathlib.Path("/proc/meminfo").read_text()
        return 1024 * int(next(line.split()[1] for line in text.splitlines() if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        return None
