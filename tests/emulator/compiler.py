"""Compile a .cu for the CPU and call its kernels: what `cupy.RawModule` is on a GPU."""

import ctypes
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "emulator"
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(")
BLOCKWISE = re.compile(r"__sync|__shfl|__ballot|__any_sync|__all_sync|__reduce_|__shared__")

launched = set()  # names of kernels run so far, for the check that none was left out


def kernel_names(code):
    return KERNEL.findall(code)


class RawModule:
    def __init__(self, code, options=()):
        self._library = _load(code)

    def get_function(self, name):
        entry = getattr(self._library, f"emu_launch_{name}")
        entry.restype = ctypes.c_char_p
        return functools.partial(_call, name, entry)


def _call(name, entry, blocks, threads, args):
    launched.add(name)
    if name == os.environ.get("CUKERNELS_BREAK"):  # a mutant: this kernel does nothing (tests/test_mutants.py)
        return
    shape = (ctypes.c_uint * 6)(*blocks, *threads)
    held = [np.array([a]) if isinstance(a, np.generic) else np.array([a.ctypes.data], np.uint64) for a in args]
    pointers = (ctypes.c_void_p * len(held))(*[h.ctypes.data for h in held])
    failure = entry(shape, pointers, ctypes.c_uint(int(os.environ.get("EMU_SEED", "1"))))
    if failure:
        raise RuntimeError(f"{name}: {failure.decode()}")


@functools.cache
def compiler():
    """The command of a C++ compiler: $CXX, g++, c++, clang++, or the one in the ziglang wheel."""
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        if name and shutil.which(name):
            return [name]
    try:
        import ziglang  # noqa: F401
    except ImportError:
        raise RuntimeError("the emulated tests need a C++ compiler: install g++, or pip install ziglang") from None
    return [sys.executable, "-m", "ziglang", "c++"]


@functools.cache
def _load(code):
    text = re.sub(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;", r"\1* \2 = (\1*)emu::dynamic_shared();", code)
    entries = "\n".join(
        f'extern "C" const char* emu_launch_{name}(const unsigned* shape, void** args, unsigned seed) '
        f"{{ return emu::launch({name}, shape, args, seed); }}" for name in kernel_names(code))
    fibres = "#define EMU_FIBRES\n" if BLOCKWISE.search(code) else ""
    unit = f'{fibres}#include "cuda_on_cpu.h"\n#line 1 "kernel.cu"\n{text}\n{entries}\n'
    # zig links without the GNU section symbols' help and traps on overflow unless told not to
    command = [*compiler(), "-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fwrapv",
               "-fno-strict-aliasing", "-fno-sanitize=all", f"-I{HERE}", "-x", "c++"]
    key = hashlib.sha256((unit + (HERE / "cuda_on_cpu.h").read_text() + " ".join(command)).encode()).hexdigest()[:20]
    library = BUILD / f"{key}.so"
    if not library.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        part = BUILD / f"{key}-{os.getpid()}"
        part.with_suffix(".cpp").write_text(unit)
        done = subprocess.run([*command, str(part.with_suffix(".cpp")), "-o", str(part.with_suffix(".so"))], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the emulator can't compile this .cu:\n{done.stderr[:4000]}")
        part.with_suffix(".cpp").unlink()
        os.replace(str(part.with_suffix(".so")), library)
    return ctypes.CDLL(str(library))
