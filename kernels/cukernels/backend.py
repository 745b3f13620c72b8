"""Which kind of array, which device, and how a kernel is launched. The only module that knows both worlds.

A kernel is a pair with one stem: `stem.py` (contract, checks, CPU half, CUDA half) and `stem.cu` beside it.
"""

import functools
import pathlib
import sys
from dataclasses import dataclass

import numpy as np

HERE = pathlib.Path(__file__).parent
# fmad off: a*b+c rounds twice, as on the CPU, so predicates and counts agree to the bit.
COMPILE_OPTIONS = ("--std=c++17", "--fmad=false")


class NotConverged(RuntimeError):
    """An iteration stopped before its tolerance; nothing it computed may be used."""


class DeviceError(RuntimeError):
    """The device asked for can't be had; the message says why."""


@dataclass(frozen=True)
class Device:
    """Where the arrays of a run live. `kind` is "cpu" or "cuda"; `why` is a sentence for the user."""

    kind: str
    name: str
    why: str


def on_device(*arrays):
    """True if the arrays live on a CUDA device, False if they are NumPy's (scalars and None don't count).

    Raises TypeError where the two kinds are mixed, and names the remedy.
    """
    if all(type(a) is np.ndarray for a in arrays):      # nearly always, and asked for thousands of times a solve
        return False
    kinds = {_is_cupy(a) for a in arrays if isinstance(a, np.ndarray) or _is_cupy(a)}
    if len(kinds) == 2:
        raise TypeError("some arrays are NumPy's and some CuPy's: move them to one side with cupy.asarray or cupy.asnumpy")
    return kinds == {True}


def array_module(*arrays):
    """`cupy` for arrays on a device, else `numpy`. Raises TypeError on a mixture."""
    if on_device(*arrays):
        import cupy
        return cupy
    return np


def to_device(array, device):
    """The array on `device` (a `Device` or "cpu"/"cuda"): a CuPy copy for cuda, the NumPy array for cpu."""
    kind = getattr(device, "kind", device)
    if kind == "cuda":
        import cupy
        return cupy.asarray(array)
    return to_host(array)


def to_host(array):
    """The array as NumPy's; a copy only if it lay on a device."""
    if _is_cupy(array):
        import cupy
        return cupy.asnumpy(array)
    return np.asarray(array)


def choose_device(wish="auto"):
    """The device for a run: wish is "auto", "cpu" or "cuda".

    "cpu" never imports CuPy. "cuda" raises DeviceError with the reason where there is none, and never falls back.
    "auto" takes the GPU where there is one and says in `.why` what it took and why.
    """
    if wish == "cpu":
        return Device("cpu", "cpu", "cpu, as asked")
    if wish not in ("auto", "cuda"):
        raise ValueError(f"device {wish!r} is unknown: use auto, cpu or cuda")
    problem = _cuda_problem()
    if problem and wish == "cuda":
        raise DeviceError(f"no CUDA device: {problem}")
    if problem:
        return Device("cpu", "cpu", f"cpu, because {problem}")
    import cupy
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return Device("cuda", name, f"cuda ({name})" + (", as asked" if wish == "cuda" else ", found here"))


def launch(stem, kernel, blocks, threads, *args):
    """Launch `kernel` of `<stem>.cu` on `blocks` x `threads` (ints or tuples up to 3).

    args: CuPy arrays (C-contiguous) and NumPy scalars. A bare Python number is a TypeError: the CUDA parameter's type
    must be visible where it is passed.
    """
    import cupy
    for i, arg in enumerate(args):
        if isinstance(arg, np.generic):
            continue
        if not isinstance(arg, cupy.ndarray):
            raise TypeError(f"{kernel}: argument {i} is a {type(arg).__name__}; pass a CuPy array or a NumPy scalar")
        if not arg.flags.c_contiguous:
            raise ValueError(f"{kernel}: argument {i} is not C-contiguous")
    _module(stem).get_function(kernel)(_triple(blocks), _triple(threads), args)


def grid(count, threads=256, limit=65535):
    """Blocks for a grid-stride loop over `count` items, at least 1."""
    return max(1, min(limit, -(-int(count) // threads)))


@functools.cache
def _module(stem):
    import cupy
    return cupy.RawModule(code=source(stem), options=COMPILE_OPTIONS)


def source(stem):
    """The text of `<stem>.cu` with its own `#include "x.cuh"` lines resolved, so that NVRTC needs no search path."""
    out = []
    for line in (HERE / f"{stem}.cu").read_text().splitlines():
        if line.startswith('#include "'):
            out.append((HERE / line.split('"')[1]).read_text())
        else:
            out.append(line)
    return "\n".join(out) + "\n"


def _triple(n):
    n = (n,) if isinstance(n, (int, np.integer)) else tuple(n)
    return tuple(int(i) for i in n) + (1,) * (3 - len(n))


def _is_cupy(array):
    # looked up, never imported: --device cpu must not load CuPy
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def _cuda_problem():
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed (pip install '.[cuda13]' or '.[cuda12]')"
    except Exception as error:  # a broken driver or toolkit shows itself at import in many ways
        return f"CuPy does not load: {error}"
    if not cupy.cuda.is_available():
        return "CuPy finds no CUDA device or driver"
    return ""
