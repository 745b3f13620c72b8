// One y-block a right-hand side. See krylov.py.

extern "C" __global__ void cg_advance(double* x, double* r, const double* p, const double* q, const double* alpha,
                                      const double* scale, float* single, long long n) {
    long long f = blockIdx.y;
    double a = alpha[f], s = scale[f];
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        long long m = f * n + i;
        x[m] += a * p[m];
        r[m] -= a * q[m];
        single[m] = (float)(r[m] * s);
    }
}

extern "C" __global__ void cg_turn(double* p, const float* z, const double* scale, const double* beta, long long n) {
    long long f = blockIdx.y;
    double s = scale[f], b = beta[f];
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        p[f * n + i] = s * z[f * n + i] + b * p[f * n + i];
}
