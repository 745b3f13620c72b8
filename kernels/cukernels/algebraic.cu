// See algebraic.py. One thread a row, grid-stride; the y-block is the field.
typedef long long i64;

#define ROW(first, last) for (int m = (first) + blockIdx.x * blockDim.x + threadIdx.x; m < (last); m += gridDim.x * blockDim.x)

// (b - A x) of node i, whose row is m, from b's value t.
__device__ float left_over(const float* x, float t, int i, int m, const i64* start, const int* other, const float* link, const float* loss) {
    float own = x[i];
    for (i64 e = start[m]; e < start[m + 1]; ++e) t += link[e] * (x[other[e]] - own);
    return t - loss[m] * own;
}

// The nodes of one colour, order[first] .. order[last - 1].
extern "C" __global__ void am_relax(float* x, const float* b, const i64* start, const int* other, const float* link, const float* loss,
                                    const float* inverse, const int* order, int first, int last, int n) {
    i64 field = (i64)blockIdx.y * n;
    ROW(first, last) {
        int i = order[m];
        x[field + i] += inverse[m] * left_over(x + field, b[field + i], i, m, start, other, link, loss);
    }
}

extern "C" __global__ void am_residual(const float* x, const float* b, const i64* start, const int* other, const float* link,
                                       const float* loss, const int* order, float* r, int n) {
    i64 field = (i64)blockIdx.y * n;
    ROW(0, n) {
        int i = order[m];
        r[field + i] = left_over(x + field, b[field + i], i, m, start, other, link, loss);
    }
}

extern "C" __global__ void am_multiply(const i64* start, const int* other, const float* value, const float* v, float* out, int add,
                                       int rows, int columns) {
    const float* from = v + (i64)blockIdx.y * columns;
    float* to = out + (i64)blockIdx.y * rows;
    ROW(0, rows) {
        float total = add ? to[m] : 0.0f;
        for (i64 e = start[m]; e < start[m + 1]; ++e) total += value[e] * from[other[e]];
        to[m] = total;
    }
}
