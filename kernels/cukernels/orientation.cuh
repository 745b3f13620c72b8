// The twin of orientation.py: 1 if p lies left of a -> b, -1 if right, 0 if exactly on the line.

__device__ void grow(double* sum, int n, double b) {
    for (int i = 0; i < n; ++i) {
        double total = b + sum[i], seen = total - b;
        sum[i] = (b - (total - seen)) + (sum[i] - seen);
        b = total;
    }
    sum[n] = b;
}

__device__ int add_product(double* sum, int n, double a, double b) {
    const double splitter = 134217729.0;  // 2^27 + 1
    double high = a * b, ca = splitter * a, cb = splitter * b;
    double a_high = ca - (ca - a), a_low = a - a_high, b_high = cb - (cb - b), b_low = b - b_high;
    double low = a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low);
    grow(sum, n, low);
    grow(sum, n + 1, high);
    return n + 2;
}

// never inlined: it is needed about once in a million points and would cost every thread its registers
__device__ __noinline__ int exact_side(double ax, double ay, double bx, double by, double px, double py) {
    double sum[12];
    int n = add_product(sum, 0, ax, by);
    n = add_product(sum, n, -ay, bx);
    n = add_product(sum, n, -ax, py);
    n = add_product(sum, n, ay, px);
    n = add_product(sum, n, -px, by);
    add_product(sum, n, py, bx);
    for (int i = 11; i >= 0; --i) if (sum[i] != 0.0) return sum[i] > 0.0 ? 1 : -1;
    return 0;
}

__device__ int side(double ax, double ay, double bx, double by, double px, double py) {
    const double bound = (3.0 + 16.0 / 9007199254740992.0) / 9007199254740992.0;
    double left = (ax - px) * (by - py), right = (ay - py) * (bx - px), determinant = left - right;
    if (fabs(determinant) > bound * (fabs(left) + fabs(right))) return determinant > 0.0 ? 1 : -1;
    return exact_side(ax, ay, bx, by, px, py);
}
