"""Compiled loops on every processor, without the seconds that numba's own parallel loops take to compile."""

import contextlib
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

_inside = threading.local()  # .work: whether this thread is one of many already


@functools.cache
def processors():
    """How many processors this process may use, 64 at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 64)


def in_pieces(function, bounds, *args):
    """[function(*args, first, last)] for each two neighbouring bounds, side by side; the first raises for all.

    For numba functions compiled with nogil that are called often: the threads stay.
    """
    if len(bounds) == 2 or _one_of_many():
        return [function(*args, first, last) for first, last in zip(bounds, bounds[1:])]
    return list(_pool(os.getpid()).map(lambda n: function(*args, bounds[n], bounds[n + 1]), range(len(bounds) - 1)))


@functools.cache
def _pool(process):  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(processors())


def in_threads(function, count, *args, least=20000):
    """function(*args, first, last) over 0 .. count in parts, on as many threads as this process has processors.

    For numba functions compiled with nogil: parts are independent, so the result doesn't depend on their number.
    """
    workers = processors()
    parts = max(1, min(4 * workers, count // least))
    bounds = [count * i // parts for i in range(parts + 1)]
    if parts == 1 or workers == 1 or _one_of_many():
        return [function(*args, 0, count)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda i: function(*args, bounds[i], bounds[i + 1]), range(parts)))


def side_by_side(function, items):
    """[function(item)] for pieces of work that are large in themselves: what each would do in threads it does in its own."""
    items = list(items)
    if len(items) < 2 or processors() == 1 or _one_of_many():
        return [function(item) for item in items]
    with ThreadPoolExecutor(processors(), initializer=lambda: setattr(_inside, "work", True)) as pool:
        return list(pool.map(function, items))


@contextlib.contextmanager
def meanwhile(work, together=True):
    """Work that goes on in a thread of its own while the block does: what takes turns with one processor in each fills both.

    The block is given a function for what `work` returned, which waits for it and raises what it raised; it ends when both
    have. With one processor, in one of many threads, or not `together`, work is done when it is asked for.
    """
    if not together or processors() == 1 or _one_of_many():
        yield functools.cache(work)
        return
    with ThreadPoolExecutor(1) as thread:
        task = thread.submit(work)
        yield task.result
        task.result()       # what it raised is never lost


def _one_of_many():
    return getattr(_inside, "work", False)
