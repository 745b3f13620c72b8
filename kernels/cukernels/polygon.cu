// Which polygon holds each point: one thread a point, grid-stride. Most points are one read of `cell`; the index of a
// country (a few million cells, 4 bytes each) stays in the L2 cache.
#include "orientation.cuh"
#include "polygon.cuh"

extern "C" __global__ void polygon_locate(INDEX_PARAMETERS, const double* x, const double* y, int* home, long long n) {
    Index index = INDEX;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        home[i] = home_of(index, x[i], y[i]);
}

// numbers as in rasterise: corner x0 y0 and signed pixel size dx dy
extern "C" __global__ void polygon_paint(INDEX_PARAMETERS, double x0, double y0, double dx, double dy, int* label, int H, int W) {
    Index index = INDEX;
    long long n = (long long)H * W;
    for (long long p = blockIdx.x * (long long)blockDim.x + threadIdx.x; p < n; p += (long long)gridDim.x * blockDim.x)
        label[p] = home_of(index, x0 + (p % W + 0.5) * dx, y0 + (p / W + 0.5) * dy);
}
