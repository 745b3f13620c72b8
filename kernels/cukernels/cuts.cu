// cuts.py says what is computed. One thread an hour; sets in Gray order, so that each differs from the last by one region.
__device__ inline long long worst_set(const long long* lack, const long long* demand, const long long* cut, int fixed, int R, int* chosen_out,
                                      long long* whole_out) {
    int n = 0, member = 0, chosen = 0;
    long long own = 0, whole = 0, best = 0, best_whole = 1;
    for (int r = 0; r < R; r++) n += !(fixed >> r & 1);
    for (int i = 1; i < 1 << n; i++) {
        int flip = i & -i, r = 0;
        for (;; r++) {
            if (fixed >> r & 1) continue;
            if (flip == 1) break;
            flip >>= 1;
        }
        long long sign = member >> r & 1 ? -1 : 1;
        member ^= 1 << r;
        own += sign * lack[r];
        whole += sign * demand[r];
        long long amount = own - cut[fixed | member] + cut[fixed];
        if (whole == 0 || amount <= 0) continue;
        long long gain = amount * best_whole - best * whole;
        if (gain > 0) { best = amount; best_whole = whole; chosen = member; }
        else if (gain == 0) chosen |= member;
    }
    own = 0;
    whole = 0;
    for (int r = 0; r < R; r++)
        if (chosen >> r & 1) { own += lack[r]; whole += demand[r]; }
    *chosen_out = chosen;
    *whole_out = whole;
    return own - cut[fixed | chosen] + cut[fixed];
}

extern "C" __global__ void split_hours(const long long* lack, const long long* demand, const long long* cuts, const int* which,
                                       long long* unserved, int* pocket, int R, long long K) {
    for (long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x; k < K; k += (long long)gridDim.x * blockDim.x) {
        const long long* need = demand + k * R;
        long long* short_of = unserved + k * R;
        const long long* cut = cuts + ((long long)which[k] << R);
        int fixed = 0;
        while (true) {
            int more;
            long long whole, amount = worst_set(lack + k * R, need, cut, fixed, R, &more, &whole);
            if (amount <= 0) break;
            long long rest = amount;
            for (int r = 0; r < R; r++)
                if (more >> r & 1) { short_of[r] = amount * need[r] / whole; rest -= short_of[r]; }
            for (int r = 0; r < R; r++)
                if (rest > 0 && more >> r & 1 && need[r] > short_of[r]) { short_of[r]++; rest--; }
            fixed |= more;
        }
        pocket[k] = fixed;
    }
}
