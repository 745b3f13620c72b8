import numpy as np
import pytest
from cukernels import backend
from cukernels.backend import array_module, choose_device, launch, on_device, to_device, to_host


def test_array_kind_decides(xp):
    a = xp.asarray(np.arange(3.0))
    assert on_device(a) == (xp is not np)
    assert array_module(a, None, 2.0, np.float64(1)) is xp
    assert type(to_host(a)) is np.ndarray


def test_mixed_arrays_name_the_remedy(xp):
    if xp is np:
        assert not on_device(np.zeros(1), np.zeros(2))
        return
    with pytest.raises(TypeError, match=r"cupy\.asarray"):
        on_device(np.zeros(1), xp.zeros(1))


def test_launch_wants_visible_types(xp):
    if xp is np:
        assert to_device(np.ones(2), "cpu").sum() == 2
        return
    with pytest.raises(TypeError, match="argument 1 is a int"):
        launch("backend", "no_such_kernel", 1, 1, xp.zeros(2), 3)
    with pytest.raises(ValueError, match="argument 0 is not C-contiguous"):
        launch("backend", "no_such_kernel", 1, 1, xp.zeros((4, 4))[:, ::2])


def test_cpu_never_loads_cupy(monkeypatch):
    import builtins
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        assert not name.startswith("cupy"), "cupy was imported"
        return real(name, *args, **kwargs)
    monkeypatch.setattr(builtins, "__import__", guarded)
    assert choose_device("cpu").kind == "cpu"


def test_cuda_never_falls_back(monkeypatch):
    monkeypatch.setattr(backend, "_cuda_problem", lambda: "the driver is on holiday")
    with pytest.raises(backend.DeviceError, match="on holiday"):
        choose_device("cuda")
    assert choose_device("auto").kind == "cpu" and "on holiday" in choose_device("auto").why
    with pytest.raises(ValueError, match="tpu"):
        choose_device("tpu")
