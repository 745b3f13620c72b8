// stores.py says what is computed. One thread runs one sample through its hours, in the order of the CPU half.
typedef long long amount;

struct Net {
    const int *tail, *head, *first, *arc;
    amount *room, *queue, *via, *near;  // of this sample
    int R;
};

__device__ inline int arc_from(const Net& net, int a) { return a & 1 ? net.head[a >> 1] : net.tail[a >> 1]; }
__device__ inline int arc_to(const Net& net, int a) { return a & 1 ? net.tail[a >> 1] : net.head[a >> 1]; }

__device__ int search(const Net& net, int r, const amount* wanted, int against) {
    if (wanted[r] > 0) return r;
    for (int i = 0; i < net.R; i++) net.via[i] = -1;
    net.via[r] = -2;
    net.queue[0] = r;
    for (int k = 0, n = 1; k < n; k++) {
        int i = (int)net.queue[k];
        for (int p = net.first[i]; p < net.first[i + 1]; p++) {
            int a = net.arc[p], j = arc_to(net, a);
            if (net.via[j] != -1 || net.room[a ^ against] <= 0) continue;
            net.via[j] = a;
            if (wanted[j] > 0) return j;
            net.queue[n++] = j;
        }
    }
    return -1;
}

__device__ void reach(const Net& net, const amount* wanted, int against) {
    int n = 0;
    for (int i = 0; i < net.R; i++)
        if ((net.near[i] = wanted[i] > 0)) net.queue[n++] = i;
    for (int k = 0; k < n; k++) {
        int i = (int)net.queue[k];
        for (int p = net.first[i]; p < net.first[i + 1]; p++) {
            int a = net.arc[p], j = arc_to(net, a);
            if (net.near[j] || net.room[a ^ 1 ^ against] <= 0) continue;
            net.near[j] = 1;
            net.queue[n++] = j;
        }
    }
}

// against 0: from r to those who lack; 1: into r from what others have left.
__device__ amount move(const Net& net, int r, amount most, amount* wanted, int against) {
    amount left = most;
    while (left > 0) {
        int goal = search(net, r, wanted, against);
        if (goal < 0) break;
        amount m = left < wanted[goal] ? left : wanted[goal];
        for (int i = goal; i != r; i = arc_from(net, (int)net.via[i])) {
            amount there = net.room[net.via[i] ^ against];
            if (there < m) m = there;
        }
        for (int i = goal; i != r; i = arc_from(net, (int)net.via[i])) {
            net.room[net.via[i] ^ against] -= m;
            net.room[net.via[i] ^ against ^ 1] += m;
        }
        wanted[goal] -= m;
        left -= m;
    }
    return most - left;
}

// held of this sample: (G, T); the hour's column holds the energy while the hour runs. A store out, done or in use is busy.
__device__ int next_store(const amount* held, const amount* give, const int* rank, const unsigned char* busy, int G, int T, int t, bool empties) {
    int best = -1;
    for (int g = 0; g < G; g++) {
        amount mine = held[(amount)g * T + t];
        if (busy[g] || give[g] <= 0 || (empties && mine <= 0)) continue;
        if (best < 0) { best = g; continue; }
        int order = rank[best] - rank[g];
        amount more = mine * give[best] - held[(amount)best * T + t] * give[g];
        if (empties ? order > 0 || (order == 0 && more > 0) : order < 0 || (order == 0 && more < 0)) best = g;
    }
    return best;
}

__device__ inline amount limit(const amount* way, int e, int E, int lost) {
    amount in = way[e] - lost;
    return in < way[E + e] ? in : way[E + e];
}

extern "C" __global__ void run_samples(const int* region, const amount* give, const amount* take, const amount* room, const amount* there,
                                       const double* out_share, const double* in_share, const double* kept, const int* rank, const int* row,
                                       const amount* inflow, const int* lost, const amount* margin, const int* tail, const int* head,
                                       const amount* forward, const amount* backward, const int* first, const int* arc, amount* rooms,
                                       amount* work, unsigned char* flags, amount* given, amount* held, int R, int E, int G, int T, int S) {
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < S; s += gridDim.x * blockDim.x) {
        amount* energy = held + (amount)s * G * T;
        amount *lack = work + (amount)s * 5 * R, *stock = lack + R;
        const int* mine = lost + (amount)s * (R + 2 * E + G) * T;
        unsigned char *used = flags + (amount)s * 2 * G, *busy = used + G;
        Net net = {tail, head, first, arc, rooms + (amount)s * 2 * E, stock + R, stock + 2 * R, stock + 3 * R, R};
        for (int t = 0; t < T; t++) {
            amount unserved = 0;
            for (int r = 0; r < R; r++) {
                amount over = margin[(amount)r * T + t] - mine[(amount)r * T + t];
                stock[r] = over > 0 ? over : 0;
                lack[r] = over < 0 ? -over : 0;
            }
            for (int g = 0; g < G; g++) {
                amount k = (amount)g * T + t, before = t ? energy[k - 1] : there[g];
                energy[k] = (amount)(before * kept[g]);
                if (row[g] >= 0) {
                    energy[k] += inflow[(amount)row[g] * T + t];
                    if (energy[k] > room[g]) energy[k] = room[g];
                }
                used[g] = busy[g] = mine[(amount)(R + 2 * E + g) * T + t] > 0;
            }
            for (int e = 0; e < E; e++) {
                net.room[2 * e] = limit(forward, e, E, mine[(amount)(R + e) * T + t]);
                net.room[2 * e + 1] = limit(backward, e, E, mine[(amount)(R + E + e) * T + t]);
            }
            for (int r = 0; r < R; r++)
                if (lack[r] > 0) {
                    lack[r] -= move(net, r, lack[r], stock, 1);
                    unserved += lack[r];
                }
            if (unserved > 0) {
                reach(net, lack, 0);
                for (int g = 0; g < G; g++) busy[g] |= !net.near[region[g]];
            }
            while (unserved > 0) {
                int g = next_store(energy, give, rank, busy, G, T, t, true);
                if (g < 0) break;
                busy[g] = 1;
                amount* has = energy + (amount)g * T + t;
                amount most = (amount)(*has * out_share[g]);
                if (give[g] < most) most = give[g];
                amount gives = move(net, region[g], most, lack, 0);
                amount leaves = (amount)ceil(gives / out_share[g]);
                *has -= leaves < *has ? leaves : *has;
                given[((amount)s * R + region[g]) * T + t] += gives;
                if (gives > 0) used[g] = 1;
                unserved -= gives;
            }
            reach(net, stock, 1);
            for (int g = 0; g < G; g++) busy[g] = used[g] || !net.near[region[g]] || energy[(amount)g * T + t] >= room[g] || in_share[g] <= 0 || take[g] <= 0;
            for (int g; (g = next_store(energy, give, rank, busy, G, T, t, false)) >= 0;) {
                busy[g] = 1;
                amount* has = energy + (amount)g * T + t;
                amount takes = (amount)ceil((room[g] - *has) / in_share[g]);
                if (take[g] < takes) takes = take[g];
                takes = move(net, region[g], takes, stock, 1);
                *has += (amount)(takes * in_share[g]);
                if (*has > room[g]) *has = room[g];
            }
        }
    }
}
