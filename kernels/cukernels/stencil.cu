#include "stencil.cuh"

// q = A u, one thread a node, one z-block a field.
extern "C" __global__ void conduction_apply(const double* k, int pixels, const double* reaction, int has_reaction, double along_x,
                                            double along_y, double across, const double* u, double* q, int ny, int nx) {
    int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i >= ny || j >= nx) return;
    int n = nx + 4;
    long long plane = (long long)(ny + 4) * n, p = (long long)(i + 2) * n + j + 2, f = blockIdx.z * plane;
    double t = -link_sum(k, pixels, plane, u + f, p, n, along_x, along_y, across);
    if (has_reaction) t += reaction[p] * u[f + p];
    q[f + p] = t;
}
