// Setup of rigid_coarsening.py; the same sums, a thread an edge, a cell or a node. d is the number of unknowns a node, T the precision
// of the level.

struct Elements {
    const double *lam, *mu, *k_lam, *k_mu, *packed, *height, *width;
    const unsigned char* fixed;
    int ny, nx, NY, NX, wrap_y, wrap_x;
    double tiny;
};

__device__ inline bool is_fixed(const Elements& e, int i, int j, int unknown) {
    return unknown < 2 && (e.fixed[(i + e.NY) % e.NY * e.NX + (j + e.NX) % e.NX] >> unknown & 1);
}

// (i, j) wrapped where sides wrap; false where there is no such element
__device__ inline bool inside(const Elements& e, int& i, int& j) {
    if ((i < 0 && !e.wrap_y) || i >= e.ny || (j < 0 && !e.wrap_x) || j >= e.nx) return false;
    i = (i + e.ny) % e.ny;
    j = (j + e.nx) % e.nx;
    return true;
}

template <int d>
__device__ inline double entry(const Elements& e, int i, int j, int a, int b) {
    long long n = (long long)i * e.nx + j;
    if (d == 2) return e.lam[n] * e.k_lam[a * 8 + b] + e.mu[n] * e.k_mu[a * 8 + b];
    int low = a < b ? a : b, high = a < b ? b : a;
    return e.packed[n * 78 + low * 12 - low * (low - 1) / 2 + high - low];
}

__device__ inline long long first_thread() { return blockIdx.x * (long long)blockDim.x + threadIdx.x; }
__device__ inline long long all_threads() { return (long long)gridDim.x * blockDim.x; }

// Symmetric sweeps; a pivot that is tiny is a motion that nothing resists.
template <int n>
__device__ void generalised_inverse(double (*a)[n], double tiny) {
    for (int k = 0; k < n; ++k) {
        double pivot = a[k][k];
        if (!(pivot > tiny)) {
            for (int i = 0; i < n; ++i) a[i][k] = a[k][i] = 0.0;
            continue;
        }
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j)
                if (i != k && j != k) a[i][j] -= a[i][k] * a[k][j] / pivot;
        for (int i = 0; i < n; ++i)
            if (i != k) a[k][i] = a[i][k] = a[i][k] / pivot;
        a[k][k] = -1.0 / pivot;
    }
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) a[i][j] = -a[i][j];
}

template <int d, typename T>
__device__ void assemble(const Elements& e, T* link, T* diagonal, T* inverse) {
    long long plane = (long long)(e.NY + 2) * (e.NX + 2);
    for (long long node = first_thread(); node < (long long)e.NY * e.NX; node += all_threads()) {
        int i = node / e.NX, j = node % e.NX;
        double sums[4][d][d] = {}, own[d][d] = {};
        for (int p = 0; p < 2; ++p)
            for (int q = 0; q < 2; ++q) {
                int y = i - p, x = j - q;
                if (!inside(e, y, x)) continue;
                for (int a = 0; a < d; ++a)
                    for (int b = 0; b < d; ++b) {
                        int me = (2 * p + q) * d + a;
                        own[a][b] += entry<d>(e, y, x, me, (2 * p + q) * d + b);
                        if (q == 0) sums[0][a][b] += entry<d>(e, y, x, me, (2 * p + 1) * d + b);
                        if (p == 0) sums[1][a][b] += entry<d>(e, y, x, me, (2 + q) * d + b);
                        if (p == 0) sums[2 + q][a][b] += entry<d>(e, y, x, me, (3 - q) * d + b);
                    }
            }
        long long here = (long long)(i + 1) * (e.NX + 2) + j + 1;
        const int down[4] = {0, 1, 1, 1}, right[4] = {1, 0, 1, -1};
        for (int a = 0; a < d; ++a)
            for (int b = 0; b < d; ++b) {
                bool gone = is_fixed(e, i, j, a);
                for (int n = 0; n < 4; ++n)
                    link[((n * d + a) * d + b) * plane + here] =
                        gone || is_fixed(e, i + down[n], j + right[n], b) ? T(0) : (T)sums[n][a][b];
                if (gone || is_fixed(e, i, j, b)) own[a][b] = 0.0;
                diagonal[(a * d + b) * plane + here] = (T)own[a][b];
            }
        generalised_inverse<d>(own, e.tiny);
        for (int a = 0; a < d; ++a)
            for (int b = 0; b < d; ++b) inverse[(a * d + b) * plane + here] = (T)own[a][b];
    }
}

// t (d, 3): how node (i + down, j + right) follows the rigid motion of its column's node on the edge.
template <int d>
__device__ void rigid(const Elements& e, int i, int j, int down, int right, int way, double height, double width, double (*t)[3]) {
    for (int a = 0; a < d; ++a)
        for (int b = 0; b < 3; ++b) t[a][b] = 0.0;
    if (!is_fixed(e, i + down, j + right, 0)) { t[0][0] = 1.0; t[0][2] = way == 0 ? -0.5 * down * height : 0.0; }
    if (!is_fixed(e, i + down, j + right, 1)) { t[1][1] = 1.0; t[1][2] = way == 1 ? 0.5 * right * width : 0.0; }
    if (d == 3) t[d - 1][2] = 0.5;
}

template <int d, typename T>
__device__ void edge_weights(const Elements& e, int NYc, int NXc, T* along, T* down) {
    long long plane = (long long)(NYc + 2) * (NXc + 2);
    for (long long n = first_thread(); n < 2LL * NYc * NXc; n += all_threads()) {
        int way = n % 2, J = n / 2 % NXc, I = n / 2 / NXc;
        int i = way ? 2 * I + 1 : min(2 * I, e.NY - 1), j = way ? min(2 * J, e.NX - 1) : 2 * J + 1;
        if (way ? i >= e.NY - !e.wrap_y : j >= e.NX - !e.wrap_x) continue;
        double own[3 * d][3 * d] = {}, sums[3 * d][6] = {}, t[d][3];
        for (int p = 0; p < 2; ++p)
            for (int q = 0; q < 2; ++q) {
                int y = i - 1 + p, x = j - 1 + q;
                if (!inside(e, y, x)) continue;
                for (int m = 0; m < 4; ++m) {
                    int below = p - 1 + m / 2, right = q - 1 + m % 2, me = (way ? right : below) + 1;
                    if (way ? below : right) continue;
                    for (int o = 0; o < 4; ++o) {
                        int below_o = p - 1 + o / 2, right_o = q - 1 + o % 2;
                        int across = way ? below_o : right_o, other = (way ? right_o : below_o) + 1;
                        if (across) rigid<d>(e, i, j, below_o, right_o, way, e.height[y], e.width[x], t);
                        for (int a = 0; a < d; ++a)
                            for (int b = 0; b < d; ++b) {
                                double value = entry<d>(e, y, x, m * d + a, o * d + b);
                                if (across)
                                    for (int c = 0; c < 3; ++c) sums[me * d + a][(across < 0 ? 0 : 3) + c] += value * t[b][c];
                                else if (!is_fixed(e, i + below, j + right, a) && !is_fixed(e, i + below_o, j + right_o, b))
                                    own[me * d + a][other * d + b] += value;
                            }
                    }
                }
            }
        generalised_inverse<3 * d>(own, e.tiny);
        T* out = (way ? down : along) + (long long)(I + 1) * (NXc + 2) + J + 1;
        for (int a = 0; a < d; ++a)
            for (int c = 0; c < 6; ++c) {
                double total = 0.0;
                for (int b = 0; b < 3 * d; ++b) total -= own[d + a][b] * sums[b][c];
                out[(a * 6 + c) * plane] = (T)total;
            }
    }
}

template <int d, typename T>
__device__ void coarse_elements(const Elements& e, int NYc, int NXc, const T* along, const T* down, T* middle,
                                double* out) {
    long long pitch = NXc + 2, plane = (NYc + 2) * pitch;
    int cells = (e.nx + 1) / 2;
    for (long long cell = first_thread(); cell < (long long)((e.ny + 1) / 2) * cells; cell += all_threads()) {
        int I = cell / cells, J = cell % cells, high = min(2, e.ny - 2 * I), wide = min(2, e.nx - 2 * J);
        long long here = (I + 1) * pitch + J + 1;
        double p[9][d][12] = {};
        for (int n = 0; n < 4; ++n)
            for (int a = 0; a < d; ++a)
                if (!is_fixed(e, 2 * I + high * (n / 2), 2 * J + wide * (n % 2), a))
                    p[3 * high * (n / 2) + wide * (n % 2)][a][3 * n + a] = a == 2 ? 0.5 : 1.0;
        for (int a = 0; a < d; ++a)
            for (int n = 0; n < 6; ++n) {
                long long w = (a * 6 + n) * plane + here;
                if (wide == 2) { p[1][a][n] = along[w]; p[3 * high + 1][a][6 + n] = along[w + pitch]; }
                if (high == 2) { p[3][a][6 * (n / 3) + n % 3] = down[w]; p[3 + wide][a][3 + 6 * (n / 3) + n % 3] = down[w + 1]; }
            }
        if (high == 2 && wide == 2) {
            double own[d][d] = {}, sums[d][12] = {};
            for (int m = 0; m < 4; ++m)
                for (int a = 0; a < d; ++a)
                    for (int n = 0; n < 4; ++n)
                        for (int b = 0; b < d; ++b) {
                            double value = entry<d>(e, 2 * I + m / 2, 2 * J + m % 2, (3 - m) * d + a, n * d + b);
                            int node = 3 * (m / 2 + n / 2) + m % 2 + n % 2;
                            if (n == 3 - m) own[a][b] += value;
                            else for (int c = 0; c < 12; ++c) sums[a][c] += value * p[node][b][c];
                        }
            for (int a = 0; a < d; ++a)
                for (int b = 0; b < d; ++b)
                    if (is_fixed(e, 2 * I + 1, 2 * J + 1, a) || is_fixed(e, 2 * I + 1, 2 * J + 1, b)) own[a][b] = 0.0;
            generalised_inverse<d>(own, e.tiny);
            for (int a = 0; a < d; ++a)
                for (int c = 0; c < 12; ++c) {
                    double total = 0.0;
                    for (int b = 0; b < d; ++b) total -= own[a][b] * sums[b][c];
                    p[4][a][c] = middle[(a * 12 + c) * plane + here] = (T)total;  // as rounded: that of the cycle
                }
        }
        double result[78] = {};
        for (int m = 0; m < high * wide; ++m) {
            int y = m / wide, x = m % wide, corner = 3 * y + x;
            for (int a = 0; a < 4 * d; ++a) {
                double kp[12] = {};
                for (int b = 0; b < 4 * d; ++b) {
                    double value = entry<d>(e, 2 * I + y, 2 * J + x, a, b);
                    for (int c = 0; c < 12; ++c) kp[c] += value * p[corner + 3 * (b / d / 2) + b / d % 2][b % d][c];
                }
                const double* row = p[corner + 3 * (a / d / 2) + a / d % 2][a % d];
                for (int r = 0, place = 0; r < 12; ++r)
                    for (int c = r; c < 12; ++c, ++place) result[place] += row[r] * kp[c];
            }
        }
        for (int n = 0; n < 78; ++n) out[cell * 78 + n] = result[n];
    }
}

extern "C" __global__ void assemble2(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, float* link, float* diagonal, float* inverse) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    assemble<2>(e, link, diagonal, inverse);
}

extern "C" __global__ void edge_weights2(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, float* along, float* down) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    edge_weights<2>(e, NYc, NXc, along, down);
}

extern "C" __global__ void coarse_elements2(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, const float* along, const float* down, float* middle, double* out) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    coarse_elements<2>(e, NYc, NXc, along, down, middle, out);
}

extern "C" __global__ void assemble3(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, float* link, float* diagonal, float* inverse) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    assemble<3>(e, link, diagonal, inverse);
}

extern "C" __global__ void edge_weights3(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, float* along, float* down) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    edge_weights<3>(e, NYc, NXc, along, down);
}

extern "C" __global__ void coarse_elements3(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, const float* along, const float* down, float* middle, double* out) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    coarse_elements<3>(e, NYc, NXc, along, down, middle, out);
}

// those below the finest level in hard pictures

extern "C" __global__ void assemble3_double(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, double* link, double* diagonal, double* inverse) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    assemble<3>(e, link, diagonal, inverse);
}

extern "C" __global__ void edge_weights3_double(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, double* along, double* down) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    edge_weights<3>(e, NYc, NXc, along, down);
}

extern "C" __global__ void coarse_elements3_double(const double* lam, const double* mu, const double* k_lam, const double* k_mu, const double* packed, const double* height,
    const double* width, const unsigned char* fixed, int ny, int nx, int NY, int NX, int wrap_y, int wrap_x,
    double tiny, int NYc, int NXc, const double* along, const double* down, double* middle, double* out) {
    Elements e{lam, mu, k_lam, k_mu, packed, height, width, fixed, ny, nx, NY, NX, wrap_y, wrap_x, tiny};
    coarse_elements<3>(e, NYc, NXc, along, down, middle, out);
}
