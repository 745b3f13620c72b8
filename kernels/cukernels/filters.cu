// Sums run in the order of filters.py, so that the bits are the same.

// Along the axis whose neighbours are `step` apart: step 1 are the rows, step W the columns of a padded image.
template <class T>
__device__ void convolve(const T* padded, const T* half, int radius, int odd, long long step, long long pitch, int H, int W,
                         T* out) {
    long long n = (long long)H * W;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        const T* here = padded + i / W * pitch + i % W + radius * step;
        T sum = half[0] * here[0];
        for (int k = 1; k <= radius; ++k) {
            T after = here[k * step], before = here[-k * step];
            sum += half[k] * (odd ? after - before : after + before);
        }
        out[i] = sum;
    }
}

extern "C" __global__ void convolve_f32(const float* padded, const float* half, int radius, int odd, long long step,
                                        long long pitch, int H, int W, float* out) {
    convolve(padded, half, radius, odd, step, pitch, H, W, out);
}

extern "C" __global__ void convolve_f64(const double* padded, const double* half, int radius, int odd, long long step,
                                        long long pitch, int H, int W, double* out) {
    convolve(padded, half, radius, odd, step, pitch, H, W, out);
}

__device__ inline float weight_of_pair(const float* a, const float* b, long long pitch, int size, float inverse_strength,
                                       float scale) {
    float sum = 0.0f;
    for (int y = 0; y < size; ++y) {
        float row = 0.0f;
        for (int x = 0; x < size; ++x) {
            float d = a[y * pitch + x] - b[y * pitch + x];
            row += d * d;
        }
        sum += row;
    }
    float d = fmaxf(sum * scale - 1.0f, 0.0f);
    float w = fmaxf(1.0f - d * inverse_strength, 0.0f);
    return w * w;
}

// The pixels a 32 x 8 block needs (with patch 2, search 7: 50 x 26) stay in the L1 cache.
extern "C" __global__ void non_local_means(const float* padded, float inverse_strength, float scale, int patch, int search,
                                           int H, int W, float* out) {
    int size = 2 * patch + 1;
    long long pitch = W + 2 * (patch + search);
    int x = blockIdx.x * 32 + threadIdx.x;
    if (x >= W) return;
    for (int y = blockIdx.y * 8 + threadIdx.y; y < H; y += gridDim.y * 8) {
        const float* corner = padded + (y + search) * pitch + x + search;  // of the neighbourhood of this pixel
        long long centre = patch * (pitch + 1);
        float mean = corner[centre], total = 1.0f;
        for (int dy = 0; dy <= search; ++dy)
            for (int dx = dy ? -search : 1; dx <= search; ++dx) {
                long long shift = dy * pitch + dx;
                float after = weight_of_pair(corner, corner + shift, pitch, size, inverse_strength, scale);
                float before = weight_of_pair(corner - shift, corner, pitch, size, inverse_strength, scale);
                mean += after * corner[centre + shift];
                total += after;
                mean += before * corner[centre - shift];
                total += before;
            }
        out[(long long)y * W + x] = mean / total;
    }
}
