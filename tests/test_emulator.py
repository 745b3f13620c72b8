"""The emulator itself: shared memory, barriers, shuffles and atomics mean what they mean on a GPU."""

import sys

import numpy as np
import pytest
from emulator import fake_cupy
from emulator.compiler import RawModule

CODE = r"""
extern "C" __global__ void reverse_in_block(const int* a, int* b) {
    __shared__ int tile[64];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    tile[t] = a[i];
    __syncthreads();
    b[i] = tile[blockDim.x - 1 - t];
}
extern "C" __global__ void reverse_without_barrier(const int* a, int* b) {
    __shared__ int tile[64];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    tile[t] = a[i];
    b[i] = tile[blockDim.x - 1 - t];
    __syncthreads();
}
extern "C" __global__ void warp_sums(const double* a, double* b, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    double s = i < n ? a[i] : 0.0;
    for (int d = 16; d; d /= 2) s += __shfl_down_sync(0xffffffffu, s, d);
    if (threadIdx.x % 32 == 0) b[i / 32] = s;
}
extern "C" __global__ void ballots(const int* a, unsigned* b, int* c) {
    int i = threadIdx.x;
    unsigned m = __ballot_sync(0xffffffffu, a[i] > 0);
    if (i % 32 == 0) b[i / 32] = m;
    c[i] = __syncthreads_count(a[i] > 0);
}
extern "C" __global__ void count(int* n, float* x) { atomicAdd(n, 1); atomicAdd(x, 0.5f); }
extern "C" __global__ void dynamic(const double* a, double* b) {
    extern __shared__ double buffer[];
    buffer[threadIdx.x] = a[threadIdx.x];
    __syncthreads();
    b[threadIdx.x] = buffer[(threadIdx.x + 1) % blockDim.x];
}
extern "C" __global__ void split_barrier(int* a) {
    if (threadIdx.x % 2) { a[0] = 1; __syncthreads(); }
    else __syncthreads();
}
extern "C" __global__ void shapes(int* out) {
    int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[b * (blockDim.x * blockDim.y * blockDim.z) + t] += 1 + t;
}
"""


@pytest.fixture(scope="module")
def module():
    return RawModule(CODE)


def call(module, name, blocks, threads, *args):
    full = lambda n: tuple(np.atleast_1d(n)) + (1,) * (3 - len(np.atleast_1d(n)))  # noqa: E731
    module.get_function(name)(full(blocks), full(threads), args)


def test_barrier_and_shared_memory(module):
    a = np.arange(256, dtype=np.int32)
    b = np.zeros_like(a)
    call(module, "reverse_in_block", 4, 64, a, b)
    np.testing.assert_array_equal(b.reshape(4, 64), a.reshape(4, 64)[:, ::-1])


def test_a_missing_barrier_shows(module):
    a = np.arange(64, dtype=np.int32)
    b = np.zeros_like(a)
    call(module, "reverse_without_barrier", 1, 64, a, b)
    assert (b != a[::-1]).any()


def test_shuffles(module):
    a = np.arange(100, dtype=float)
    b = np.zeros(4)
    call(module, "warp_sums", 1, 128, a, b, np.int32(100))
    np.testing.assert_array_equal(b, [a[:32].sum(), a[32:64].sum(), a[64:96].sum(), a[96:].sum()])


def test_ballot_and_count(module):
    a = np.tile([1, 0, 0, 1], 16).astype(np.int32)
    b, c = np.zeros(2, np.uint32), np.zeros(64, np.int32)
    call(module, "ballots", 1, 64, a, b, c)
    assert (b == 0x99999999).all() and (c == 32).all()


def test_atomics(module):
    n, x = np.zeros(1, np.int32), np.zeros(1, np.float32)
    call(module, "count", (3, 2), (8, 4), n, x)
    assert n[0] == 192 and x[0] == 96


def test_dynamic_shared_memory(module):
    a = np.arange(32.0)
    b = np.zeros(32)
    call(module, "dynamic", 1, 32, a, b)
    np.testing.assert_array_equal(b, np.roll(a, -1))


def test_different_barriers_are_an_error(module):
    with pytest.raises(RuntimeError, match="different barriers"):
        call(module, "split_barrier", 1, 4, np.zeros(1, np.int32))


def test_every_thread_of_every_block_runs_once(module):
    out = np.zeros(2 * 3 * 2 * 4 * 2 * 3, np.int32)
    call(module, "shapes", (2, 3, 2), (4, 2, 3), out)
    np.testing.assert_array_equal(out.reshape(12, 24), np.tile(1 + np.arange(24), (12, 1)))


def test_fake_cupy_is_strict(monkeypatch):
    cupy = fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    a = cupy.arange(4.0)
    assert isinstance(a, cupy.ndarray) and isinstance(a.sum(), cupy.ndarray) and isinstance(a[1], cupy.ndarray)
    assert isinstance(cupy.cumsum(a), cupy.ndarray) and isinstance(np.sqrt(a), cupy.ndarray)
    assert type(cupy.asnumpy(a)) is np.ndarray
    with pytest.raises(TypeError, match="host"):
        a + np.ones(4)
    with pytest.raises(TypeError, match="host"):
        np.concatenate([a, np.ones(4)])
    host = np.ones(3)
    device = cupy.asarray(host)
    device[0] = 7
    assert host[0] == 1
