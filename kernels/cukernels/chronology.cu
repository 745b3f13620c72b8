#include "philox.cuh"

// chronology.py says what is computed. One thread walks one item of one sample; changes are integers, so their order is free.
__device__ inline int leave(int t, double wait, double hazard, int T) {
    if (hazard * (T - t) <= wait) return T;
    double stay = wait / hazard;
    return stay < T - t - 1 ? t + 1 + (int)stay : T;
}

__device__ inline int leave_season(int t, double wait, const double* sums, int T) {
    double goal = sums[t] + wait;
    int low = t + 1, high = T + 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sums[middle] > goal) high = middle; else low = middle + 1;
    }
    return low < T ? low : T;
}

__device__ inline int mark(const int* begin, const int* power, int piece, int last, int t, int until, int* change, int T, double left) {
    while (piece < last && begin[piece + 1] <= t) piece++;
    int p = piece, now = 0;
    while (true) {
        int lost = power[p] - (int)(power[p] * left + 0.5);
        atomicAdd(&change[t], lost - now);
        now = lost;
        if (p == last || begin[p + 1] >= until) break;
        t = begin[++p];
    }
    if (until < T) atomicAdd(&change[until], -now);
    return piece;
}

extern "C" __global__ void walk(const int* column, const long long* stream, const double* start, const double* fail, const double* back,
                                const int* season, const int* first, const int* begin, const int* power, const double* seasons,
                                const int* level, const double* chance, const double* share, u64 seed, const long long* samples, int* lost, int N, int C, int T, long long count) {
    for (long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x; k < count; k += (long long)gridDim.x * blockDim.x) {
        int i = (int)(k % N), t = 0, piece = first[i], last = first[i + 1] - 1;
        long long s = k / N;
        u64 sample = (u64)samples[s], base = (u64)stream[i] << 32, draw = 1;
        int* change = lost + (s * C + column[i]) * T;
        Words r = philox_words(seed, sample, base);
        bool out = philox_unit(r.w[0], r.w[1]) < start[i];
        while (t < T) {
            if (!(draw & 1)) r = philox_words(seed, sample, base | (draw >> 1));
            double wait = -log_same_bits(draw & 1 ? philox_unit(r.w[2], r.w[3]) : philox_unit(r.w[0], r.w[1]));
            draw++;
            int until;
            if (out) {
                until = leave(t, wait, back[i], T);
                double left = 0.0;
                if (level[i] < level[i + 1]) {
                    Words pick = philox_words(seed, sample, base | 2147483648ull | draw);
                    double u = philox_unit(pick.w[0], pick.w[1]);
                    for (int n = level[i]; n < level[i + 1]; n++)
                        if (u < chance[n]) { left = share[n]; break; }
                }
                piece = mark(begin, power, piece, last, t, until, change, T, left);
            } else if (season[i] >= 0) {
                until = leave_season(t, wait, seasons + (long long)season[i] * (T + 1), T);
            } else {
                until = leave(t, wait, fail[i], T);
            }
            t = until;
            out = !out;
        }
    }
}
