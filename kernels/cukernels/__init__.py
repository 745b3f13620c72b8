"""Kernels on arrays and numbers, each with a CPU half (NumPy, numba) and a CUDA half (CuPy)."""

import importlib

_HOME = {
    "residual_deficit": "flow",
}


def __getattr__(name):
    # only when asked for: importing numba takes a third of a second, which --help must not pay
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME])
