// Potts label smoothing in four colours: pixels of one colour have no neighbour of that colour, so they may change at once.

#define MAX_LABELS 16

__device__ void label_costs(const float* unary, const float* guide, float strength, float contrast, const int* labels,
                            int count, int height, int width, int y, int x, float* cost)
{
    const long long plane = (long long)height * width, p = (long long)y * width + x;
    float total = 0.0f;
    for (int k = 0; k < count; k++) cost[k] = unary[k * plane + p];
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            const int yy = y + dy, xx = x + dx;
            if ((dy == 0 && dx == 0) || yy < 0 || yy >= height || xx < 0 || xx >= width) continue;
            const long long q = (long long)yy * width + xx;
            const float step = (guide[p] - guide[q]) / contrast;
            float weight = strength / (1.0f + step * step);
            if (dy != 0 && dx != 0) weight = weight * 0.70710678f;
            total = total + weight;
            cost[labels[q]] -= weight;
        }
    for (int k = 0; k < count; k++) cost[k] += total;
}

extern "C" __global__ void sweep(const float* unary, const float* guide, float strength, float contrast, int* labels,
                                 int* changed, int count, int height, int width, int colour)
{
    const int rows = (height - colour / 2 + 1) / 2, columns = (width - colour % 2 + 1) / 2;
    const long long total = (long long)rows * columns;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < total; i += (long long)gridDim.x * blockDim.x) {
        const int y = 2 * (int)(i / columns) + colour / 2, x = 2 * (int)(i % columns) + colour % 2;
        float cost[MAX_LABELS];
        label_costs(unary, guide, strength, contrast, labels, count, height, width, y, x, cost);
        const int own = labels[(long long)y * width + x];
        int best = own;
        for (int k = 0; k < count; k++)
            if (cost[k] < cost[best]) best = k;
        if (best != own) {
            labels[(long long)y * width + x] = best;
            atomicAdd(changed, 1);
        }
    }
}

extern "C" __global__ void posterior(const float* unary, const float* guide, float strength, float contrast,
                                     const int* labels, float* out, int count, int height, int width)
{
    const long long plane = (long long)height * width;
    for (long long p = blockIdx.x * (long long)blockDim.x + threadIdx.x; p < plane; p += (long long)gridDim.x * blockDim.x) {
        float cost[MAX_LABELS];
        label_costs(unary, guide, strength, contrast, labels, count, height, width, (int)(p / width), (int)(p % width), cost);
        float least = cost[0], total = 0.0f;
        for (int k = 1; k < count; k++) least = fminf(least, cost[k]);
        for (int k = 0; k < count; k++) {
            cost[k] = expf(least - cost[k]);
            total += cost[k];
        }
        for (int k = 0; k < count; k++) out[k * plane + p] = cost[k] / total;
    }
}
