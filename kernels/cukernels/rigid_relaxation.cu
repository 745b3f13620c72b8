// The cycle of rigid_relaxation.py; the same sums, a thread a node. d is the number of unknowns a node,
// T the precision of the level and C that of the coarse one.

__device__ inline long long first_thread() { return blockIdx.x * (long long)blockDim.x + threadIdx.x; }
__device__ inline long long all_threads() { return (long long)gridDim.x * blockDim.x; }

// t -= what the eight neighbours of a padded node pull
template <int d, typename T>
__device__ void neighbours(const T* link, const T* x, long long plane, long long here, long long pitch, T* t) {
    const int away[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
    for (int n = 0; n < 4; ++n) {
        long long shift = away[n][0] * pitch + away[n][1];
        const T* block = link + n * d * d * plane;
        for (int a = 0; a < d; ++a)
            for (int b = 0; b < d; ++b)
                t[a] -= block[(a * d + b) * plane + here] * x[b * plane + here + shift]
                    + block[(b * d + a) * plane + here - shift] * x[b * plane + here - shift];
    }
}

// The far side's node where the sides wrap, so that the pad is right for the next colour.
template <typename T>
__device__ void store(T* x, T value, int i, int j, int NY, int NX, int wrap_y, int wrap_x) {
    long long pitch = NX + 2;
    int rows[2] = {i, wrap_y && i == 1 ? NY + 1 : wrap_y && i == NY ? 0 : i};
    int columns[2] = {j, wrap_x && j == 1 ? NX + 1 : wrap_x && j == NX ? 0 : j};
    for (int m = 0; m < 2; ++m)
        for (int n = 0; n < 2; ++n) x[rows[m] * pitch + columns[n]] = value;
}

template <int d, typename T>
__device__ void relax(const T* link, const T* inverse, T* x, const T* b, int NY, int NX, int wrap_y, int wrap_x,
                      int fields, int row, int rows, int column, int columns) {
    long long pitch = NX + 2, plane = (NY + 2) * pitch;
    for (long long n = first_thread(); n < (long long)fields * rows * columns; n += all_threads()) {
        int j = column + 2 * (int)(n % columns) + 1, i = row + 2 * (int)(n / columns % rows) + 1;
        long long here = i * pitch + j, field = n / columns / rows * d * plane;
        T t[d];
        for (int a = 0; a < d; ++a) t[a] = b[field + a * plane + here];
        neighbours<d>(link, x + field, plane, here, pitch, t);
        for (int a = 0; a < d; ++a) {
            T value = T(0);
            for (int c = 0; c < d; ++c) value += inverse[(a * d + c) * plane + here] * t[c];
            store(x + field + a * plane, value, i, j, NY, NX, wrap_y, wrap_x);
        }
    }
}

template <int d, typename T>
__device__ void residual(const T* link, const T* diagonal, const T* x, const T* b, int NY, int NX, int fields,
                         T* out) {
    long long pitch = NX + 2, plane = (NY + 2) * pitch;
    for (long long n = first_thread(); n < (long long)fields * NY * NX; n += all_threads()) {
        long long here = (n / NX % NY + 1) * pitch + n % NX + 1, field = n / NX / NY * d * plane;
        T t[d];
        for (int a = 0; a < d; ++a) t[a] = b[field + a * plane + here];
        neighbours<d>(link, x + field, plane, here, pitch, t);
        for (int a = 0; a < d; ++a) {
            for (int c = 0; c < d; ++c) t[a] -= diagonal[(a * d + c) * plane + here] * x[field + c * plane + here];
            out[field + a * plane + here] = t[a];
        }
    }
}

// A thread a coarse node: it collects from the fine nodes around it. Fine and coarse arrays have fresh pads.
template <int d, typename T, typename C>
__device__ void restriction(const T* along, const T* down, const T* middle, const T* r, int NY, int NX, int wrap_y,
                            int wrap_x, int fields, int NYc, int NXc, C* coarse) {
    long long pitch = NX + 2, plane = (NY + 2) * pitch, pitch_c = NXc + 2, plane_c = (NYc + 2) * pitch_c;
    for (long long n = first_thread(); n < (long long)fields * NYc * NXc; n += all_threads()) {
        int J = n % NXc, I = n / NXc % NYc, i = min(2 * I, NY - 1), j = min(2 * J, NX - 1);
        const T* field = r + n / NXc / NYc * d * plane;
        C sum[3] = {};
        for (int a = 0; a < d; ++a) sum[a] = field[a * plane + (i + 1) * pitch + j + 1] * (a == 2 ? T(0.5) : T(1));
        for (int y = -1; y <= 1; ++y)
            for (int x = -1; x <= 1; ++x) {
                // the cell (and its odd row and column) on this side, if it has one
                int cy = y < 0 ? (I ? I - 1 : NYc - 1) : I, cx = x < 0 ? (J ? J - 1 : NXc - 1) : J;
                if ((!y && !x) || (y < 0 && !I && !wrap_y) || (x < 0 && !J && !wrap_x)) continue;
                if ((y && 2 * cy + 1 >= NY - !wrap_y) || (x && 2 * cx + 1 >= NX - !wrap_x)) continue;
                long long fine = (y ? 2 * cy + 2 : i + 1) * pitch + (x ? 2 * cx + 2 : j + 1);
                long long cell = (cy + 1) * pitch_c + cx + 1;
                const T* w = y && x ? middle : y ? down : along;
                int step = y && x ? 12 : 6, first = y && x ? 6 * (y < 0) + 3 * (x < 0) : 3 * (y + x < 0);
                for (int a = 0; a < d; ++a)
                    for (int c = 0; c < 3; ++c) sum[c] += w[(first + step * a + c) * plane_c + cell] * field[a * plane + fine];
            }
        for (int c = 0; c < 3; ++c)
            coarse[(n / NXc / NYc * 3 + c) * plane_c + (I + 1) * pitch_c + J + 1] = sum[c];
    }
}

template <int d, typename T, typename C>
__device__ void prolongation(const T* inverse, const T* along, const T* down, const T* middle, const C* coarse,
                             int NY, int NX, int wrap_y, int wrap_x, int fields, int NYc, int NXc, T* x) {
    long long pitch = NX + 2, plane = (NY + 2) * pitch, pitch_c = NXc + 2, plane_c = (NYc + 2) * pitch_c;
    for (long long n = first_thread(); n < (long long)fields * NY * NX; n += all_threads()) {
        int j = n % NX, i = n / NX % NY;
        bool odd_row = i % 2 && i < NY - !wrap_y, odd_column = j % 2 && j < NX - !wrap_x;
        long long here = (i + 1) * pitch + j + 1, field = n / NX / NY;
        // an even last node is coarse and the last of its kind
        long long cell = ((odd_row ? i / 2 : (i + 1) / 2) + 1) * pitch_c + (odd_column ? j / 2 : (j + 1) / 2) + 1;
        const C* q = coarse + field * 3 * plane_c + cell;
        for (int a = 0; a < d; ++a) {
            C total = T(0);
            if (!odd_row && !odd_column) {
                if (inverse[(a * d + a) * plane + here] > T(0)) total = q[a * plane_c] * (a == 2 ? T(0.5) : T(1));
            } else {
                const T* w = (odd_row && odd_column ? middle : odd_row ? down : along) + cell;
                for (int m = 0; m < (odd_row && odd_column ? 4 : 2); ++m) {
                    long long end = odd_row && odd_column ? m / 2 * pitch_c + m % 2 : m * (odd_row ? pitch_c : 1);
                    int first = a * (odd_row && odd_column ? 12 : 6) + 3 * m;
                    for (int c = 0; c < 3; ++c) total += w[(first + c) * plane_c] * q[c * plane_c + end];
                }
            }
            x[(field * d + a) * plane + here] += total;
        }
    }
}

extern "C" __global__ void relax2(const float* link, const float* inverse, float* x, const float* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int row, int rows, int column, int columns) {
    relax<2>(link, inverse, x, b, NY, NX, wrap_y, wrap_x, fields, row, rows, column, columns);
}

extern "C" __global__ void residual2(const float* link, const float* diagonal, const float* x, const float* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    float* out) {
    residual<2>(link, diagonal, x, b, NY, NX, fields, out);
}

extern "C" __global__ void restrict2(const float* along, const float* down, const float* middle, const float* r, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int NYc, int NXc, float* coarse) {
    restriction<2>(along, down, middle, r, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, coarse);
}

extern "C" __global__ void prolong2(const float* inverse, const float* along, const float* down, const float* middle,
    const float* coarse, int NY, int NX, int wrap_y, int wrap_x, int fields, int NYc, int NXc, float* x) {
    prolongation<2>(inverse, along, down, middle, coarse, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, x);
}

extern "C" __global__ void relax3(const float* link, const float* inverse, float* x, const float* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int row, int rows, int column, int columns) {
    relax<3>(link, inverse, x, b, NY, NX, wrap_y, wrap_x, fields, row, rows, column, columns);
}

extern "C" __global__ void residual3(const float* link, const float* diagonal, const float* x, const float* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    float* out) {
    residual<3>(link, diagonal, x, b, NY, NX, fields, out);
}

extern "C" __global__ void restrict3(const float* along, const float* down, const float* middle, const float* r, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int NYc, int NXc, float* coarse) {
    restriction<3>(along, down, middle, r, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, coarse);
}

extern "C" __global__ void prolong3(const float* inverse, const float* along, const float* down, const float* middle,
    const float* coarse, int NY, int NX, int wrap_y, int wrap_x, int fields, int NYc, int NXc, float* x) {
    prolongation<3>(inverse, along, down, middle, coarse, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, x);
}

// in hard pictures: below the finest level in double precision, and between the two

extern "C" __global__ void restrict2_double(const float* along, const float* down, const float* middle, const float* r, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int NYc, int NXc, double* coarse) {
    restriction<2>(along, down, middle, r, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, coarse);
}

extern "C" __global__ void prolong2_double(const float* inverse, const float* along, const float* down, const float* middle,
    const double* coarse, int NY, int NX, int wrap_y, int wrap_x, int fields, int NYc, int NXc, float* x) {
    prolongation<2>(inverse, along, down, middle, coarse, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, x);
}

extern "C" __global__ void relax3_double(const double* link, const double* inverse, double* x, const double* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int row, int rows, int column, int columns) {
    relax<3>(link, inverse, x, b, NY, NX, wrap_y, wrap_x, fields, row, rows, column, columns);
}

extern "C" __global__ void residual3_double(const double* link, const double* diagonal, const double* x, const double* b, int NY, int NX, int wrap_y, int wrap_x, int fields,
    double* out) {
    residual<3>(link, diagonal, x, b, NY, NX, fields, out);
}

extern "C" __global__ void restrict3_double(const double* along, const double* down, const double* middle, const double* r, int NY, int NX, int wrap_y, int wrap_x, int fields,
    int NYc, int NXc, double* coarse) {
    restriction<3>(along, down, middle, r, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, coarse);
}

extern "C" __global__ void prolong3_double(const double* inverse, const double* along, const double* down, const double* middle,
    const double* coarse, int NY, int NX, int wrap_y, int wrap_x, int fields, int NYc, int NXc, double* x) {
    prolongation<3>(inverse, along, down, middle, coarse, NY, NX, wrap_y, wrap_x, fields, NYc, NXc, x);
}
