// Decision forests, forest.py says what they follow. Counts are integers, so the order of threads changes nothing.
#include "philox.cuh"

#define BINS 64
#define MAX_CLASSES 16
#define MAX_FEATURES 256

// How often each tree sees each sample.
extern "C" __global__ void bootstrap(u64 seed, const long long* group, const double* poisson, int steps, unsigned char* used,
                                     int T, long long N) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < T * N; i += (long long)gridDim.x * blockDim.x) {
        double u = philox_uniform(seed, 2 * (u64)(i / N), (u64)group[i % N]);
        int times = 0;
        while (times < steps && u >= poisson[times]) ++times;
        used[i] = (unsigned char)times;
    }
}

__device__ inline double purity(const long long* total, const double* weight, int K) {
    double mass = 0.0, square = 0.0;
    for (int k = 0; k < K; ++k) {
        double a = weight[k] * total[k];
        mass += a;
        square += a * a;
    }
    return mass > 0.0 ? square / mass : 0.0;
}

__device__ inline double score_of(const int* left, const long long* total, const double* weight, int K, long long least) {
    long long here = 0, there = 0;
    double mass_left = 0.0, mass_right = 0.0, square_left = 0.0, square_right = 0.0;
    for (int k = 0; k < K; ++k) {
        here += left[k];
        there += total[k] - left[k];
        double a = weight[k] * left[k], b = weight[k] * (total[k] - left[k]);
        mass_left += a;
        mass_right += b;
        square_left += a * a;
        square_right += b * b;
    }
    return here < least || there < least ? -1.0 : square_left / mass_left + square_right / mass_right;
}

// One block of BINS threads a node: thread b judges the cut after bin b. tries = 0 makes every node a leaf.
extern "C" __global__ void best_split(const unsigned char* codes, const int* labels, const unsigned char* used, const int* order,
                                      const int* tree, const long long* node, const long long* start, const long long* end,
                                      const double* weight, u64 seed, int F, long long N, int K, int tries, long long least,
                                      double more, int* feature, int* cut, long long* counts) {
    __shared__ int histogram[BINS * MAX_CLASSES];
    __shared__ int sum[MAX_CLASSES];
    __shared__ long long total[MAX_CLASSES];
    __shared__ double score[BINS];
    __shared__ int choice[MAX_FEATURES];
    __shared__ int found, found_cut, present;
    __shared__ double best;
    const int n = blockIdx.x, b = threadIdx.x;
    const unsigned char* times = used + tree[n] * N;
    if (b < MAX_CLASSES) sum[b] = 0;
    for (int f = b; f < F; f += BINS) choice[f] = f;
    __syncthreads();
    for (long long i = start[n] + b; i < end[n]; i += BINS) atomicAdd(&sum[labels[order[i]]], (int)times[order[i]]);
    __syncthreads();
    if (b < K) counts[n * (long long)K + b] = total[b] = sum[b];
    __syncthreads();
    if (b == 0) {
        found = -1;
        found_cut = present = 0;
        for (int k = 0; k < K; ++k) present += total[k] > 0;
        best = purity(total, weight, K) * more;
    }
    __syncthreads();
    for (int j = 0; j < F && present > 1 && tries > 0 && (j < tries || found < 0); ++j) {
        if (b == 0) {
            u64 word = philox_words(seed, 2 * (u64)tree[n] + 1, (u64)node[n] * 256 + j).w[0];
            int other = j + (int)((word * (u64)(F - j)) >> 32), kept = choice[j];
            choice[j] = choice[other];
            choice[other] = kept;
        }
        for (int i = b; i < BINS * K; i += BINS) histogram[i] = 0;
        __syncthreads();
        const unsigned char* row = codes + choice[j] * N;
        for (long long i = start[n] + b; i < end[n]; i += BINS)
            atomicAdd(&histogram[row[order[i]] * K + labels[order[i]]], (int)times[order[i]]);
        __syncthreads();
        if (b < K)
            for (int bin = 1; bin < BINS - 1; ++bin) histogram[bin * K + b] += histogram[(bin - 1) * K + b];
        __syncthreads();
        if (b < BINS - 1) score[b] = score_of(histogram + b * K, total, weight, K, least);
        __syncthreads();
        if (b == 0)
            for (int bin = 0; bin < BINS - 1; ++bin)
                if (score[bin] > best) {
                    best = score[bin];
                    found = choice[j];
                    found_cut = bin;
                }
        __syncthreads();
    }
    if (b == 0) {
        feature[n] = found;
        cut[n] = found_cut;
    }
}

// The samples of a node, those that go left from the front and the others from the back; their order doesn't matter.
extern "C" __global__ void divide(const unsigned char* codes, const int* order, const long long* start, const long long* end,
                                  const int* feature, const int* cut, long long N, int* out, long long* left) {
    __shared__ int lefts, rights;
    const int n = blockIdx.x;
    if (threadIdx.x == 0) lefts = rights = 0;
    __syncthreads();
    if (feature[n] >= 0) {
        const unsigned char* row = codes + feature[n] * N;
        for (long long i = start[n] + threadIdx.x; i < end[n]; i += blockDim.x) {
            int sample = order[i];
            if (row[sample] <= cut[n]) out[start[n] + atomicAdd(&lefts, 1)] = sample;
            else out[end[n] - 1 - atomicAdd(&rights, 1)] = sample;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) left[n] = lefts;
}

// Mean vote of the trees; with `only_unseen`, of those with used == 0 for the sample.
extern "C" __global__ void vote(const int* feature, const float* threshold, const int* child, const float* votes, const int* roots,
                                int T, int K, const float* features, int F, long long N, const unsigned char* used,
                                int only_unseen, float* out, int* bad) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < N; i += (long long)gridDim.x * blockDim.x) {
        float total[MAX_CLASSES];
        int number = 0;
        for (int k = 0; k < K; ++k) total[k] = 0.0f;
        for (int f = 0; f < F; ++f)
            if (features[f * N + i] != features[f * N + i]) *bad = 1;
        for (int t = 0; t < T; ++t) {
            if (only_unseen && used[t * N + i]) continue;
            int node = roots[t], last = -1;
            while (node != last) {
                last = node;
                node = child[node] + (features[feature[node] * N + i] > threshold[node]);
            }
            for (int k = 0; k < K; ++k) total[k] += votes[node * (long long)K + k];
            ++number;
        }
        for (int k = 0; k < K; ++k) out[k * N + i] = number ? total[k] / (float)number : nanf("");
    }
}
