"""Every .cu compiles to machine code for each GPU generation we support: NVRTC from its wheel, no driver needed."""

import ctypes
import pathlib

import pytest
from cukernels import backend

STEMS = sorted(p.stem for p in pathlib.Path(backend.__file__).parent.glob("*.cu"))


@pytest.fixture(scope="module")
def nvrtc():
    try:
        import nvidia.cu13 as wheel
    except ImportError:
        pytest.skip("nvidia-cuda-nvrtc is not installed: pip install '.[nvrtc]'")
    for folder in map(pathlib.Path, wheel.__path__):
        for path in (folder / "lib").glob("libnvrtc-builtins.so*"):
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)  # NVRTC opens it by bare name, which finds it once it is loaded
        for path in (folder / "lib").glob("libnvrtc.so*"):
            return ctypes.CDLL(str(path))
    raise FileNotFoundError("the nvidia-cuda-nvrtc wheel holds no libnvrtc.so")


def compile_to_cubin(nvrtc, code, arch):
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={arch}".encode(), *(o.encode() for o in backend.COMPILE_OPTIONS)]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
    cubin = ctypes.create_string_buffer(size.value)
    assert nvrtc.nvrtcGetCUBIN(program, cubin) == 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return cubin.raw


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90"])
@pytest.mark.parametrize("stem", STEMS)
def test_compiles_to_machine_code(nvrtc, stem, arch):
    cubin = compile_to_cubin(nvrtc, backend.source(stem), arch)
    assert cubin[:4] == b"\x7fELF"


def test_a_broken_kernel_is_noticed(nvrtc):
    with pytest.raises(AssertionError, match="error"):
        compile_to_cubin(nvrtc, 'extern "C" __global__ void f(int* a) { a[0] = not_declared; }', "sm_80")
