// Bilinear, rows first, in the order of resample.py, so that the bits are the same.
extern "C" __global__ void enlarge(const float* planes, const int* above, const int* below, const float* down, const int* before,
                                   const int* after, const float* across, float* out, int P, int h, int w, int H, int W) {
    const long long n = (long long)P * H * W;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        const int x = (int)(i % W), y = (int)(i / W % H);
        const float* plane = planes + i / W / H * h * w;
        const float *a = plane + (long long)above[y] * w, *b = plane + (long long)below[y] * w;
        const float down_other = 1.0f - down[y], across_other = 1.0f - across[x];
        const float left = a[before[x]] * down_other + b[before[x]] * down[y];
        const float right = a[after[x]] * down_other + b[after[x]] * down[y];
        out[i] = left * across_other + right * across[x];
    }
}
