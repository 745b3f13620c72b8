// One unit into the table of outage.py: `count` steps of `table` (2, K) to `result`.
extern "C" __global__ void convolve_unit(const double* table, double* result, long long K, long long count,
                                         const long long* out, const double* probability, const double* rate, int M) {
    for (long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x; k < count; k += (long long)gridDim.x * blockDim.x) {
        double p = 0.0, often = 0.0;
        for (int m = 0; m < M; m++) {
            long long j = k - out[m];
            if (j < 0) continue;
            p += probability[m] * table[j];
            often += probability[m] * (table[K + j] + rate[m] * table[j]);
        }
        result[k] = p;
        result[K + k] = often;
    }
}
