"""Sums so far in a file, so that a run cut off goes on. Samples are numbered, so it ends with the same numbers."""

import hashlib
import os
import pathlib
import time
import zipfile

import numpy as np

EVERY_S = float(os.environ.get("GRIDMAP_KEEP_EVERY_S", 5.0))  # seconds between two writes


class Partial:
    """The file of one system and seed: what belongs to another is not read, and overwritten."""

    def __init__(self, path, problem, seed, members):
        self.path, self._written = pathlib.Path(path), time.monotonic()
        parts = [a for field in vars(problem).values() for a in (field if isinstance(field, tuple) else (field,))]
        text = hashlib.sha256(b"|".join([str(seed).encode(), *(np.ascontiguousarray(a).tobytes() + str(np.shape(a)).encode() for a in [*parts, members])]))
        self.key = text.hexdigest()

    def load(self, tally):
        """Put the sums of the file into an empty `tally`; how many samples they hold, 0 for none that fit."""
        try:
            with np.load(self.path) as file:
                if str(file["key"]) != self.key or len(file["totals"]) > len(tally.totals):
                    return 0
                return tally.restore({name: file[name] for name in file.files if name != "key"})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return 0

    def save(self, tally, done, whole=False):
        """Write the sums of the first `done` samples, under their name only when they are whole; not more often than `EVERY_S`."""
        if not whole and time.monotonic() - self._written < EVERY_S:
            return
        part = self.path.with_name(f".{self.path.name}.part{os.getpid()}")
        with open(part, "wb") as file:
            np.savez(file, key=self.key, **tally.state(done))
        part.rename(self.path)
        self._written = time.monotonic()
