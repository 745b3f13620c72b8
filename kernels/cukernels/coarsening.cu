#include "node.cuh"

// See coarsening.py.

extern "C" __global__ void mg_links(const double* k, const unsigned char* free, const double* extra, int has_extra,
                                    double along_x, double along_y, double across, float* c, float* reaction, int ny, int nx) {
    NODE(ny, nx)
    int n = nx + 4;
    i64 plane = (i64)(ny + 4) * n, p = (i64)(ci + 2) * n + cj + 2;
    if (!free[p]) return;
    double nw = k[p - n - 1], ne = k[p - n], sw = k[p - 1], se = k[p];
    c[p] = along_x * (ne + se) * free[p + 1];
    c[plane + p] = along_y * (sw + se) * free[p + n];
    c[2 * plane + p] = across * se * free[p + n + 1];
    c[3 * plane + p] = across * sw * free[p + n - 1];
    double lost = along_x * ((ne + se) * (1 - free[p + 1]) + (nw + sw) * (1 - free[p - 1]))
                + along_y * ((sw + se) * (1 - free[p + n]) + (nw + ne) * (1 - free[p - n]))
                + across * (se * (1 - free[p + n + 1]) + sw * (1 - free[p + n - 1])
                            + ne * (1 - free[p - n + 1]) + nw * (1 - free[p - n - 1]));
    reaction[p] = has_extra ? lost + extra[p] : lost;
}

// Weights of a node between a near and a far coarse one; the rule stands at _split in coarsening.py.
__device__ void split(double near, double far, bool near_active, bool far_active, bool far_exists, double diagonal,
                      double loss, double* w_near, double* w_far) {
    if (near < 0 || far < 0) {
        near = fmax(near, 0.0), far = fmax(far, 0.0);
        if (near + far == 0) near = far = (diagonal - loss) / 2;
    }
    double total = near + far;
    if (total > 0 && (near_active || far_active)) {
        double share = 1 / (total + loss);
        *w_near = near_active ? (far_active ? near : total) * share : 0.0;
        *w_far = far_active ? (near_active ? far : total) * share : 0.0;
        return;
    }
    double kept = (diagonal - loss) / diagonal;
    bool to_far = far_exists && (far > near || (total == 0 && near_active && !far_active));
    *w_near = to_far ? 0.0 : kept;
    *w_far = to_far ? kept : 0.0;
}

extern "C" __global__ void mg_edge_weights(const float* c, const float* reaction, const float* inverse, double* w, int ny, int nx) {
    NODE((ny + 1) / 2, (nx + 1) / 2)
    int n = nx + 4, m = (nx + 1) / 2 + 4;
    i64 plane = (i64)(ny + 4) * n, coarse = (i64)((ny + 1) / 2 + 4) * m;
    i64 p = (i64)(2 * ci + 2) * n + 2 * cj + 2, o = (i64)(ci + 2) * m + cj + 2;
    const float *ce = c, *cs = c + plane, *cse = c + 2 * plane, *csw = c + 3 * plane;
    if (2 * cj + 1 < nx && inverse[p + 1] > 0)
        split((double)ce[p] + cse[p - n] + csw[p + 1], (double)ce[p + 1] + csw[p - n + 2] + cse[p + 1],
              inverse[p] > 0, inverse[p + 2] > 0, 2 * cj + 2 < nx, 1 / (double)inverse[p + 1], reaction[p + 1],
              w + o, w + coarse + o);
    if (2 * ci + 1 < ny && inverse[p + n] > 0)
        split((double)cs[p] + cse[p - 1] + csw[p + 1], (double)cs[p + n] + csw[p + n] + cse[p + n],
              inverse[p] > 0, inverse[p + 2 * n] > 0, 2 * ci + 2 < ny, 1 / (double)inverse[p + n], reaction[p + n],
              w + 2 * coarse + o, w + 3 * coarse + o);
}

extern "C" __global__ void mg_centre_weights(const float* c, const float* reaction, const float* inverse, double* w, int ny, int nx) {
    NODE(ny / 2, nx / 2)
    int n = nx + 4, m = (nx + 1) / 2 + 4;
    i64 plane = (i64)(ny + 4) * n, coarse = (i64)((ny + 1) / 2 + 4) * m;
    i64 p = (i64)(2 * ci + 3) * n + 2 * cj + 3, o = (i64)(ci + 2) * m + cj + 2;
    const float *ce = c, *cs = c + plane, *cse = c + 2 * plane, *csw = c + 3 * plane;
    double no = cs[p - n], so = cs[p], we = ce[p - 1], ea = ce[p];
    double nw = cse[p - n - 1], ne = csw[p - n + 1], sw = csw[p], se = cse[p];
    double d = no + so + we + ea + nw + ne + sw + se + reaction[p];
    if (!(d > 0)) return;
    const double *w0 = w + o, *w1 = w0 + coarse, *w2 = w1 + coarse, *w3 = w2 + coarse;
    w[4 * coarse + o] = (nw + no * w0[0] + we * w2[0]) / d;
    w[5 * coarse + o] = (ne + no * w1[0] + ea * w2[1]) / d;
    w[6 * coarse + o] = (sw + so * w0[m] + we * w3[0]) / d;
    w[7 * coarse + o] = (se + so * w1[m] + ea * w3[1]) / d;
}

// (A f)(p) for f given on the 7 x 7 window around the coarse node, at row r and column s of it.
__device__ double times(const float* c, const float* reaction, i64 plane, const double f[7][7], i64 p, int n, int r, int s) {
    const float *ce = c, *cs = c + plane, *cse = c + 2 * plane, *csw = c + 3 * plane;
    double m = f[r][s];
    return (double)ce[p] * (m - f[r][s + 1]) + (double)ce[p - 1] * (m - f[r][s - 1])
         + (double)cs[p] * (m - f[r + 1][s]) + (double)cs[p - n] * (m - f[r - 1][s])
         + (double)cse[p] * (m - f[r + 1][s + 1]) + (double)cse[p - n - 1] * (m - f[r - 1][s - 1])
         + (double)csw[p] * (m - f[r + 1][s - 1]) + (double)csw[p - n + 1] * (m - f[r - 1][s + 1])
         + (double)reaction[p] * m;
}

extern "C" __global__ void mg_galerkin(const float* c, const float* reaction, const float* inverse, const double* w,
                                       float* out, float* loss, int ny, int nx) {
    NODE((ny + 1) / 2, (nx + 1) / 2)
    int n = nx + 4, m = (nx + 1) / 2 + 4, rows = ny + 4;
    i64 plane = (i64)rows * n, coarse = (i64)((ny + 1) / 2 + 4) * m;
    int i = 2 * ci + 2, j = 2 * cj + 2;
    i64 o = (i64)(ci + 2) * m + cj + 2, base = (i64)i * n + j;
    const double *w0 = w + o, *w1 = w0 + coarse, *w2 = w1 + coarse, *w3 = w2 + coarse,
                 *w4 = w3 + coarse, *w5 = w4 + coarse, *w6 = w5 + coarse, *w7 = w6 + coarse;
    double f[7][7], v[5][5];
    for (int r = 0; r < 7; ++r) for (int s = 0; s < 7; ++s) f[r][s] = 0.0;
    f[3][3] = inverse[base] > 0 ? 1.0 : 0.0;
    f[3][4] = w0[0], f[3][2] = w1[-1], f[4][3] = w2[0], f[2][3] = w3[-m];
    f[4][4] = w4[0], f[4][2] = w5[-1], f[2][4] = w6[-m], f[2][2] = w7[-m - 1];
    for (int di = -1; di <= 2; ++di) for (int dj = -2; dj <= 2; ++dj)
        v[di + 2][dj + 2] = i + di < ny + 3 && j + dj < nx + 3 && j + dj > 0
            ? times(c, reaction, plane, f, base + (i64)di * n + dj, n, di + 3, dj + 3)
            : j + dj == 0 ? -(double)c[3 * plane + base + (i64)(di - 1) * n - 1] * f[di + 2][2] - (double)c[base + (i64)di * n - 2] * f[di + 3][2]
                            - (double)c[2 * plane + base + (i64)di * n - 2] * f[di + 4][2] : 0.0;
    out[o] = -(v[2][4] + w1[0] * v[2][3] + w2[1] * v[3][4] + w3[1 - m] * v[1][4] + w5[0] * v[3][3] + w7[-m] * v[1][3]);
    out[coarse + o] = -(v[4][2] + w3[0] * v[3][2] + w0[m] * v[4][3] + w1[m - 1] * v[4][1] + w6[0] * v[3][3] + w7[-1] * v[3][1]);
    out[2 * coarse + o] = -(v[4][4] + w1[m] * v[4][3] + w3[1] * v[3][4] + w7[0] * v[3][3]);
    out[3 * coarse + o] = -(v[4][0] + w0[m - 1] * v[4][1] + w3[-1] * v[3][0] + w6[-1] * v[3][1]);
    // what only rounding leaves, see coarsening.py
    double size = 0.0;
    for (int di = -1; di <= 1; ++di) for (int dj = -1; dj <= 1; ++dj) {
        float d = inverse[base + (i64)di * n + dj];
        if (d > 0) size += f[di + 3][dj + 3] / d;
    }
    size *= 1e-13;
    for (int l = 0; l < 4; ++l) if (fabs(out[l * coarse + o]) <= size) out[l * coarse + o] = 0.0f;

    double lost = 0.0;
    for (int y = i - 2; y < i + 3 && y < rows; ++y) for (int x = j - 2; x < j + 3 && x < n; ++x) lost += reaction[(i64)y * n + x];
    if (!(lost > 0)) return;
    double q[7][7];
    for (int r = 0; r < 7; ++r) for (int s = 0; s < 7; ++s) q[r][s] = 0.0;
    for (int d = -1; d <= 1; ++d) {
        q[2 * d + 3][1] = q[2 * d + 3][3] = q[2 * d + 3][5] = 1.0;
        q[2 * d + 3][2] = w0[d * m - 1] + w1[d * m - 1];
        q[2 * d + 3][4] = w0[d * m] + w1[d * m];
        q[2][2 * d + 3] = w2[d - m] + w3[d - m];
        q[4][2 * d + 3] = w2[d] + w3[d];
    }
    for (int di = 0; di < 2; ++di) for (int dj = 0; dj < 2; ++dj) {
        int at = (di - 1) * m + dj - 1;
        q[2 + 2 * di][2 + 2 * dj] = w4[at] + w5[at] + w6[at] + w7[at];
    }
    double total = 0.0;
    for (int di = -1; di <= 1; ++di) for (int dj = -1; dj <= 1; ++dj) {
        i64 p = base + (i64)di * n + dj;
        total += f[di + 3][dj + 3] * times(c, reaction, plane, q, p, n, di + 3, dj + 3);
    }
    loss[o] = total > size ? total : 0.0;
}
