"""A stand-in for CuPy that runs the real .cu files on the CPU, so that CI tests every CUDA kernel without a GPU.

`fake_cupy()` is a module: NumPy's functions on an array class of its own, plus `RawModule`. Like CuPy it refuses to mix
its arrays with NumPy's, copies at the border, returns 0-d arrays from reductions and hands out uninitialised memory.
"""

import types

import numpy as np

from .compiler import RawModule, kernel_names, launched

__all__ = ["fake_cupy", "kernel_names", "launched"]


class ndarray(np.ndarray):
    """An array "on the device"."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        _refuse_numpy((*inputs, *(out or ())))
        if out is not None:
            kwargs["out"] = tuple(_bare(o) for o in out)
        result = getattr(ufunc, method)(*[_bare(i) for i in inputs], **kwargs)
        return out[0] if out is not None and len(out) == 1 else _wrap(result)

    def __array_function__(self, function, types, args, kwargs):
        _refuse_numpy((*args, *kwargs.values()))
        return _wrap(function(*_bare(args), **_bare(kwargs)))

    def __getitem__(self, key):
        return _wrap(np.ndarray.__getitem__(_bare(self), _bare(key)))

    def __setitem__(self, key, value):
        _refuse_numpy((value,))
        np.ndarray.__setitem__(_bare(self), _bare(key), _bare(value))

    def get(self):
        return np.array(_bare(self))

    def sort(self, axis=-1):
        np.ndarray.sort(_bare(self), axis=axis)


def _bare(x):
    if isinstance(x, ndarray):
        return x.view(np.ndarray)
    if isinstance(x, tuple | list):
        return type(x)(_bare(i) for i in x)
    if isinstance(x, dict):
        return {k: _bare(v) for k, v in x.items()}
    return x


def _wrap(x):
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x).view(ndarray)
    if isinstance(x, tuple | list):
        return type(x)(_wrap(i) for i in x)
    return x


def _refuse_numpy(values):
    for v in values:
        if type(v) is np.ndarray and v.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>: an array of the host met one of the device")
        if isinstance(v, tuple | list):
            _refuse_numpy(v)


def _poisoned(shape, dtype=float, **_):
    array = np.empty(shape, dtype)
    array.view(np.uint8 if array.ndim else array.dtype).fill(0xCB if array.ndim else 0)
    return _wrap(array)


def _on_device(function):
    def wrapped(*args, **kwargs):
        return _wrap(function(*_bare(args), **_bare(kwargs)))
    return wrapped


class _FakeCupy(types.ModuleType):
    def __getattr__(self, name):
        value = getattr(np, name)
        if callable(value) and not isinstance(value, type):
            return _on_device(value)
        return value


def fake_cupy():
    """The stand-in module, to be put in `sys.modules["cupy"]`."""
    cupy = _FakeCupy("cupy")
    cupy.ndarray = ndarray
    cupy.RawModule = RawModule
    cupy.empty = _poisoned
    cupy.empty_like = lambda a, dtype=None: _poisoned(a.shape, dtype or a.dtype)
    cupy.asarray = lambda a, dtype=None, **_: a if isinstance(a, ndarray) and dtype in (None, a.dtype) else _wrap(np.array(_bare(a), dtype))
    cupy.array = lambda a, dtype=None, **_: _wrap(np.array(_bare(a), dtype))
    cupy.ascontiguousarray = lambda a, dtype=None: _wrap(np.ascontiguousarray(_bare(a), dtype))
    cupy.asnumpy = lambda a: np.array(_bare(a))
    cupy.get_array_module = lambda *arrays: cupy if any(isinstance(a, ndarray) for a in arrays) else np
    quiet = types.SimpleNamespace(synchronize=lambda: None)
    cupy.cuda = types.SimpleNamespace(
        is_available=lambda: True,
        Device=lambda *_: quiet,
        Stream=types.SimpleNamespace(null=quiet),
        runtime=types.SimpleNamespace(getDeviceProperties=lambda _: {"name": b"emulated device"}, getDeviceCount=lambda: 1),
    )
    return cupy
