// stores.py says what is computed. One thread runs one sample through its hours, in the order of the CPU half.
struct Net {
    const int *lost, *tail, *head;  // lost: this sample's
    const long long *forward, *backward;
    int R, E, T, t;
};

__device__ inline long long limit(const Net& net, const long long* way, int e, int column) {
    long long in = way[e] - net.lost[(long long)column * net.T + net.t];
    return in < way[net.E + e] ? in : way[net.E + e];
}

__device__ long long least_unserved(const long long* lack, const Net& net) {
    int member = 0;
    long long own = 0, worst = 0;
    for (int i = 1; i < 1 << net.R; i++) {
        int r = 0;
        while (!(i >> r & 1)) r++;
        own += member >> r & 1 ? -lack[r] : lack[r];
        member ^= 1 << r;
        if (own <= worst) continue;
        long long cut = 0;
        for (int e = 0; e < net.E; e++) {
            int a = member >> net.tail[e] & 1, b = member >> net.head[e] & 1;
            if (b > a) cut += limit(net, net.forward, e, net.R + e);
            else if (a > b) cut += limit(net, net.backward, e, net.R + net.E + e);
        }
        if (own - cut > worst) worst = own - cut;
    }
    return worst;
}

// held of this sample: (G, T); the hour's column holds the energy while the hour runs. A store out, done or in use is marked.
__device__ int next_store(const long long* held, const long long* give, const unsigned char* busy, int G, int T, int t, bool longest) {
    int best = -1;
    for (int g = 0; g < G; g++) {
        long long mine = held[(long long)g * T + t];
        if (busy[g] || give[g] <= 0 || (longest && mine <= 0)) continue;
        if (best < 0) { best = g; continue; }
        long long more = mine * give[best] - held[(long long)best * T + t] * give[g];
        if (longest ? more > 0 : more < 0) best = g;
    }
    return best;
}

#define MOST_STORES 256

extern "C" __global__ void run_samples(const int* region, const long long* give, const long long* take, const long long* room,
                                       const long long* there, const double* out_share, const double* in_share, const double* kept,
                                       const int* lost, const long long* margin, const int* tail, const int* head, const long long* forward,
                                       const long long* backward, long long* given, long long* held, int R, int E, int G, int T, int S) {
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < S; s += gridDim.x * blockDim.x) {
        long long* energy = held + (long long)s * G * T;
        const int* mine = lost + (long long)s * (R + 2 * E + G) * T;
        unsigned char used[MOST_STORES], busy[MOST_STORES];
        for (int t = 0; t < T; t++) {
            long long lack[12];
            bool is_short = false;
            Net net = {mine, tail, head, forward, backward, R, E, T, t};
            for (int r = 0; r < R; r++) {
                lack[r] = mine[(long long)r * T + t] - margin[(long long)r * T + t];
                is_short |= lack[r] > 0;
            }
            for (int g = 0; g < G; g++) {
                long long k = (long long)g * T + t, before = t ? energy[k - 1] : there[g];
                energy[k] = (long long)(before * kept[g]);
                used[g] = busy[g] = mine[(long long)(R + 2 * E + g) * T + t] > 0;
            }
            long long unserved = is_short ? least_unserved(lack, net) : 0;
            while (unserved > 0) {
                int g = next_store(energy, give, busy, G, T, t, true);
                if (g < 0) break;
                busy[g] = 1;
                long long* has = energy + (long long)g * T + t;
                long long most = (long long)(*has * out_share[g]);
                if (give[g] < most) most = give[g];
                lack[region[g]] -= most;
                long long now = least_unserved(lack, net), gives = unserved - now;
                lack[region[g]] += most - gives;
                long long leaves = (long long)ceil(gives / out_share[g]);
                *has -= leaves < *has ? leaves : *has;
                given[((long long)s * R + region[g]) * T + t] += gives;
                if (gives > 0) used[g] = 1;
                unserved = now;
            }
            for (int g = 0; g < G; g++) busy[g] = used[g] || energy[(long long)g * T + t] >= room[g] || in_share[g] <= 0;
            for (int g; (g = next_store(energy, give, busy, G, T, t, false)) >= 0;) {
                busy[g] = 1;
                long long* has = energy + (long long)g * T + t;
                long long takes = (long long)ceil((room[g] - *has) / in_share[g]);
                if (take[g] < takes) takes = take[g];
                lack[region[g]] += takes;
                if (is_short || lack[region[g]] > 0) {
                    long long missing = least_unserved(lack, net) - unserved;
                    lack[region[g]] -= missing;
                    takes -= missing;
                    is_short = true;
                }
                *has += (long long)(takes * in_share[g]);
                if (*has > room[g]) *has = room[g];
            }
        }
    }
}
