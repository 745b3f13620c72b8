"""The bundled 48 states, read and repaired once for all tests of a process."""

import functools

from gridmap import read, repair


@functools.cache
def loaded():
    return read.load_bundle()


@functools.cache
def repaired():
    return repair.repair(loaded())


def rule(report, start):
    """The lines of the repair report whose rule starts so."""
    return report[report["rule"].str.startswith(start)]
