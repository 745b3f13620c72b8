// Values under labels: grid-stride, whole numbers only (counts, pieces of sums, order-preserving keys), so the order in
// which atomics arrive does not matter. Labels of pictures come in runs: a warp that sees one label adds up first and
// sends one atomic. Tables that fit go to shared memory first, one copy a block.

typedef unsigned long long u64;
#define SHARED_LABELS 1024
#define SHARED_BINS 4096
#define WHOLE_WARP 0xffffffffu
// every lane makes the same number of rounds, so that a warp can vote; a lane past the end has label -1
#define FOR_ROUNDS(i, n) for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x, rounds_end = ((n) + 31) / 32 * 32; \
    i < rounds_end; i += (long long)gridDim.x * blockDim.x)

__device__ double value_at(const void* values, int single, long long i) {
    return single ? (double)((const float*)values)[i] : ((const double*)values)[i];
}

__device__ bool is_finite(double v) { return v - v == 0.0; }

__device__ bool one_label(int label) { return __all_sync(WHOLE_WARP, label == __shfl_sync(WHOLE_WARP, label, 0)); }

__device__ long long warp_sum(long long v) {
    for (int d = 16; d; d >>= 1) v += __shfl_down_sync(WHOLE_WARP, v, d);
    return v;  // of lane 0
}

__device__ void clear(u64* table, int size, u64 value) {
    for (int k = threadIdx.x; k < size; k += blockDim.x) table[k] = value;
}

extern "C" __global__ void zonal_count(const int* labels, long long n, int count, u64* table) {
    __shared__ u64 block[SHARED_LABELS];
    bool shared = count <= SHARED_LABELS;
    if (shared) clear(block, count, 0);
    __syncthreads();
    u64* to = shared ? block : table;
    FOR_ROUNDS(i, n) {
        int label = i < n ? labels[i] : -1;
        if (one_label(label)) {
            if (label >= 0 && threadIdx.x % 32 == 0) atomicAdd(to + label, (u64)32);
        } else if (label >= 0) atomicAdd(to + label, (u64)1);
    }
    __syncthreads();
    if (shared) for (int k = threadIdx.x; k < count; k += blockDim.x) if (block[k]) atomicAdd(table + k, block[k]);
}

// largest |value| under a label as bits: of numbers without sign, bits and sizes have one order, and NaN comes last
extern "C" __global__ void zonal_largest(const int* labels, long long n, const void* values, int single, u64* largest) {
    u64 mine = 0;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        if (labels[i] < 0) continue;
        u64 bits = (u64)__double_as_longlong(fabs(value_at(values, single, i)));
        if (bits > mine) mine = bits;
    }
    for (int d = 16; d; d >>= 1) {
        u64 other = __shfl_down_sync(WHOLE_WARP, mine, d);
        if (other > mine) mine = other;
    }
    if (threadIdx.x % 32 == 0 && mine) atomicMax(largest, mine);
}

extern "C" __global__ void zonal_add(const int* labels, long long n, const void* values, int single, int count, double up, double again,
                                     u64* high, u64* low) {
    __shared__ u64 block_high[SHARED_LABELS], block_low[SHARED_LABELS];
    bool shared = count <= SHARED_LABELS;
    if (shared) { clear(block_high, count, 0); clear(block_low, count, 0); }
    __syncthreads();
    u64 *to_high = shared ? block_high : high, *to_low = shared ? block_low : low;
    FOR_ROUNDS(i, n) {
        int label = i < n ? labels[i] : -1;
        long long piece = 0, rest = 0;
        if (label >= 0) {
            double scaled = value_at(values, single, i) * up, whole = rint(scaled);
            piece = (long long)whole;
            rest = (long long)rint((scaled - whole) * again);
        }
        bool send = label >= 0;
        if (one_label(label)) {
            piece = warp_sum(piece);
            rest = warp_sum(rest);
            send = send && threadIdx.x % 32 == 0;
        }
        if (send) {
            atomicAdd(to_high + label, (u64)piece);
            atomicAdd(to_low + label, (u64)rest);
        }
    }
    __syncthreads();
    if (shared) for (int k = threadIdx.x; k < count; k += blockDim.x) {
        if (block_high[k]) atomicAdd(high + k, block_high[k]);
        if (block_low[k]) atomicAdd(low + k, block_low[k]);
    }
}

// doubles as whole numbers in the same order
__device__ u64 key_of(double v) {
    u64 bits = (u64)__double_as_longlong(v);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

extern "C" __global__ void zonal_from_keys(const u64* keys, double* values, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        values[i] = __longlong_as_double((long long)(keys[i] >> 63 ? keys[i] & ~(1ull << 63) : ~keys[i]));
}

extern "C" __global__ void zonal_bounds(const int* labels, long long n, const void* values, int single, int count,
                                        u64* low, u64* high, int* bad) {
    __shared__ u64 block_low[SHARED_LABELS], block_high[SHARED_LABELS];
    bool shared = count <= SHARED_LABELS;
    if (shared) { clear(block_low, count, ~0ull); clear(block_high, count, 0); }
    __syncthreads();
    u64 *to_low = shared ? block_low : low, *to_high = shared ? block_high : high;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        if (labels[i] < 0) continue;
        double value = value_at(values, single, i);
        if (!is_finite(value)) *bad = 1;
        u64 key = key_of(value);
        // a look before the atomic: after the first few elements it rarely has to be sent
        if (key < to_low[labels[i]]) atomicMin(to_low + labels[i], key);
        if (key > to_high[labels[i]]) atomicMax(to_high + labels[i], key);
    }
    __syncthreads();
    if (shared) for (int k = threadIdx.x; k < count; k += blockDim.x) {
        if (block_low[k] != ~0ull) atomicMin(low + k, block_low[k]);
        if (block_high[k]) atomicMax(high + k, block_high[k]);
    }
}

extern "C" __global__ void zonal_histogram(const int* labels, long long n, const void* values, int single, int count,
                                           const double* edges, int bins, u64* table, int* bad) {
    __shared__ u64 block[SHARED_BINS];
    bool shared = (long long)count * bins <= SHARED_BINS;
    if (shared) clear(block, count * bins, 0);
    __syncthreads();
    u64* to = shared ? block : table;
    double low = edges[0], high = edges[bins], per = bins / (high - low);
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        if (labels[i] < 0) continue;
        double value = value_at(values, single, i);
        if (!is_finite(value)) *bad = 1;
        if (!(low <= value && value <= high)) continue;
        int k = (int)((value - low) * per);
        if (k > bins - 1) k = bins - 1;
        // the quotient is rounded, the edges decide
        if (value < edges[k]) --k;
        else if (k + 1 < bins && value >= edges[k + 1]) ++k;
        atomicAdd(to + (long long)labels[i] * bins + k, (u64)1);
    }
    __syncthreads();
    if (shared) for (int k = threadIdx.x; k < count * bins; k += blockDim.x) if (block[k]) atomicAdd(table + k, block[k]);
}
