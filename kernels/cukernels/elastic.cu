// The elastic operator, a thread a node: the forces of the four pixels around it (elastic.py says where they come from).

extern "C" __global__ void elastic_apply(const double* lam, const double* mu, double dx, double dy, int H, int W, int rows,
                                         int columns, int wrap_y, int wrap_x, const unsigned char* free, int masked,
                                         const double* u, double* q) {
    int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y * blockDim.y + threadIdx.y;
    if (i >= rows || j >= columns) return;
    long long pitch = columns + 2, plane = (rows + 2) * pitch;
    const double *ux = u + blockIdx.z * 2 * plane, *uy = ux + plane;
    double fx = 0.0, fy = 0.0, a = dy / dx, b = dx / dy;
    for (int down = -1; down <= 0; ++down)
        for (int right = -1; right <= 0; ++right) {
            int y = i + down, x = j + right;
            if ((y < 0 && !wrap_y) || y >= H || (x < 0 && !wrap_x) || x >= W) continue;
            long long pixel = (long long)(y < 0 ? H - 1 : y) * W + (x < 0 ? W - 1 : x);
            double s = mu[pixel], l = lam[pixel], m = l + 2 * s;
            if (m == 0.0) continue;
            long long nw = (y + 1) * pitch + x + 1, sw = nw + pitch;
            double ex = ux[nw + 1] - ux[nw], gx = ux[sw + 1] - ux[sw], bx = (ux[sw] - ux[nw]) + (ux[sw + 1] - ux[nw + 1]);
            double ey = uy[nw + 1] - uy[nw], gy = uy[sw + 1] - uy[sw], by = (uy[sw] - uy[nw]) + (uy[sw + 1] - uy[nw + 1]);
            double ax = ex + gx, ay = ey + gy;
            int across = right ? 1 : -1, along = down ? 1 : -1;  // where this node stands in the pixel
            fx += across * 0.25 * (m * a * ax + l * by) + along * 0.25 * s * (b * bx + ay)
                + across * along * (gx - ex) * (m * a + s * b) / 12;
            fy += across * 0.25 * s * (bx + a * ay) + along * 0.25 * (m * b * by + l * ax)
                + across * along * (gy - ey) * (m * b + s * a) / 12;
        }
    long long node = (i + 1) * pitch + j + 1;
    double* out = q + blockIdx.z * 2 * plane;
    out[node] = masked ? fx * free[node] : fx;
    out[plane + node] = masked ? fy * free[plane + node] : fy;
}
