#include "philox.cuh"

// The normal quantile from + - * / sqrt and frexp alone, in the order of philox.py: the same bits everywhere.
__device__ double ratio(const double* t, double r) {
    double a = t[7], b = t[15];
    for (int i = 6; i >= 0; --i) { a = a * r + t[i]; b = b * r + t[8 + i]; }
    return a / b;
}

__device__ double quantile(double u, const double* tables) {
    double q = u - 0.5;
    if (fabs(q) <= 0.425) return q * ratio(tables, 0.180625 - q * q);
    double r = sqrt(-log_same_bits(q < 0.0 ? u : 1.0 - u));
    double x = r <= 5.0 ? ratio(tables + 16, r - 1.6) : ratio(tables + 32, r - 5.0);
    return q < 0.0 ? -x : x;
}

extern "C" __global__ void philox_fill_words(u64 seed, const u64* sample, const u64* item, u32* out, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        Words r = philox_words(seed, sample[i], item[i]);
        for (int j = 0; j < 4; ++j) out[4 * i + j] = r.w[j];
    }
}

extern "C" __global__ void philox_fill_uniform(u64 seed, const u64* sample, const u64* item, double* out, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        out[i] = philox_uniform(seed, sample[i], item[i]);
}

extern "C" __global__ void philox_fill_normal(u64 seed, const u64* sample, const u64* item, const double* tables,
                                              double* out, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        out[i] = quantile(philox_uniform(seed, sample[i], item[i]), tables);
}
