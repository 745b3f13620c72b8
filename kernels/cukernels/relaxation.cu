#include "stencil.cuh"
#include "node.cuh"

// See relaxation.py.

// One colour of Gauss-Seidel: node rows row0, row0 + 2, ... below row1, columns likewise.
extern "C" __global__ void mg_relax(float* x, const float* b, const float* c, int pixels, const float* reaction,
                                    int has_reaction, const float* inverse, float along_x, float along_y, float across,
                                    int row0, int row1, int column0, int column1, int ny, int nx) {
    int i = row0 + 2 * (blockIdx.y * blockDim.y + threadIdx.y), j = column0 + 2 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= row1 || j >= column1) return;
    int n = nx + 4;
    i64 plane = (i64)(ny + 4) * n, p = (i64)(i + 2) * n + j + 2, f = blockIdx.z * plane;
    float t = b[f + p] + link_sum(c, pixels, plane, x + f, p, n, along_x, along_y, across);
    if (has_reaction) t -= reaction[p] * x[f + p];
    x[f + p] += inverse[p] * t;
}

extern "C" __global__ void mg_residual(const float* x, const float* b, const float* c, int pixels, const float* reaction,
                                       int has_reaction, float along_x, float along_y, float across, float factor,
                                       float* r, int ny, int nx) {
    NODE(ny, nx)
    int n = nx + 4;
    i64 plane = (i64)(ny + 4) * n, p = (i64)(ci + 2) * n + cj + 2, f = blockIdx.z * plane;
    float t = link_sum(c, pixels, plane, x + f, p, n, along_x, along_y, across);
    if (has_reaction) t -= reaction[p] * x[f + p];
    r[f + p] = b[f + p] + factor * t;
}

extern "C" __global__ void mg_restrict(const float* r, const float* inverse, const float* w, float* out, int ny, int nx) {
    NODE((ny + 1) / 2, (nx + 1) / 2)
    int n = nx + 4, m = (nx + 1) / 2 + 4;
    i64 coarse = (i64)((ny + 1) / 2 + 4) * m, o = (i64)(ci + 2) * m + cj + 2;
    i64 p = (i64)(2 * ci + 2) * n + 2 * cj + 2;
    const float* q = r + blockIdx.z * (i64)(ny + 4) * n + p;
    const float *w0 = w + o, *w1 = w0 + coarse, *w2 = w1 + coarse, *w3 = w2 + coarse,
                *w4 = w3 + coarse, *w5 = w4 + coarse, *w6 = w5 + coarse, *w7 = w6 + coarse;
    out[blockIdx.z * coarse + o] = (inverse[p] > 0 ? q[0] : 0.0f) + w0[0] * q[1] + w1[-1] * q[-1] + w2[0] * q[n] + w4[0] * q[n + 1] + w5[-1] * q[n - 1]
                                 + w3[-m] * q[-n] + w6[-m] * q[1 - n] + w7[-m - 1] * q[-n - 1];
}

extern "C" __global__ void mg_prolong(float* x, const float* inverse, const float* w, const float* xc, int ny, int nx) {
    NODE(ny, nx)
    int n = nx + 4, m = (nx + 1) / 2 + 4;
    i64 coarse = (i64)((ny + 1) / 2 + 4) * m, o = (i64)(ci / 2 + 2) * m + cj / 2 + 2, p = (i64)(ci + 2) * n + cj + 2;
    const float *u = xc + blockIdx.z * coarse + o, *v = w + o;
    float t;
    if (ci % 2 == 0 && cj % 2 == 0) t = inverse[p] > 0 ? u[0] : 0.0f;
    else if (ci % 2 == 0) t = v[0] * u[0] + v[coarse] * u[1];
    else if (cj % 2 == 0) t = v[2 * coarse] * u[0] + v[3 * coarse] * u[m];
    else t = v[4 * coarse] * u[0] + v[5 * coarse] * u[1] + v[6 * coarse] * u[m] + v[7 * coarse] * u[m + 1];
    x[blockIdx.z * (i64)(ny + 4) * n + p] += t;
}
