// The least flow of carry.py, one hour a block; the passes are those of the CPU half, so the flows are the same.
#include "network.cuh"

// The working arrays of an hour: 4E + 3R units, then R ints.
struct Hour {
    units *room, *flow, *stock, *lack, *label;
    int* steps;
};

__device__ Hour place(const Network& net, units* memory) {
    units* u = memory + 4 * net.E;
    return {memory, memory + 2 * net.E, u, u + net.R, u + 2 * net.R, (int*)(u + 3 * net.R)};
}

// Of one more unit on the arc: 1, or -1 where it turns back a flow; a step more breaks ties.
__device__ inline units cost(const Network& net, const Hour& now, int arc) {
    return now.flow[arc] < 0 ? -net.R : net.R + 2;
}

// The cheapest way from stock to each region (-1: none). Returns the most steps of a way that ends in lack, or -1.
__device__ int find_labels(const Network& net, Hour& now) {
    volatile units* label = now.label;
    EACH(i, net.R) label[i] = now.stock[i] > 0 ? 0 : -1;
    __syncthreads();
    int lower;
    do {
        lower = 0;
        EACH(j, net.R) {
            units best = label[j];
            for (int p = net.first[j]; p < net.first[j + 1]; p++) {
                units there = label[net.to[p]];
                if (now.room[p] <= 0 || there < 0) continue;
                there += cost(net, now, p);
                if (best < 0 || there < best) best = there;
            }
            if (best != label[j]) { label[j] = best; lower = 1; }
        }
    } while (__syncthreads_or(lower));
    __shared__ int most;
    if (threadIdx.x == 0) most = -1;
    __syncthreads();
    EACH(i, net.R) {
        now.steps[i] = label[i] < 0 ? -1 : (int)(label[i] % (net.R + 1));
        if (now.lack[i] > 0) atomicMax(&most, now.steps[i]);
    }
    __syncthreads();
    int result = most;
    __syncthreads();
    return result;
}

// Hand the lack of region j to the regions one step nearer to stock along cheapest ways.
__device__ void fetch(const Network& net, Hour& now, int j) {
    units left = now.lack[j], before = left;
    for (int p = net.first[j]; p < net.first[j + 1] && left > 0; p++) {
        int i = net.to[p], q = net.mate[p];
        if (now.room[p] <= 0 || now.label[i] < 0 || now.label[i] + cost(net, now, p) != now.label[j]) continue;
        units most = now.flow[p] < 0 ? -now.flow[p] : now.room[p], m = left < most ? left : most;
        now.room[p] -= m;
        now.room[q] += m;
        now.flow[p] += m;
        now.flow[q] -= m;
        add(&now.lack[i], m);
        left -= m;
    }
    now.lack[j] -= before - left;
}

extern "C" __global__ void least(int T, int R, int E, const int* first, const int* to, const int* mate, const int* slot,
                                 const double* forward, const double* backward, int limit_hours, const double* scale,
                                 const units* balance, units* result, units* unmet, units* memory, int each) {
    Network net = {R, E, first, to, mate, slot};
    Hour now = place(net, memory + (long long)blockIdx.x * each);
    for (int h = blockIdx.x; h < T; h += gridDim.x) {
        long long limits = (long long)(h % limit_hours) * E;
        load_room(net, forward + limits, backward + limits, scale[h], now.room);
        EACH(p, 2 * E) now.flow[p] = 0;
        EACH(i, R) {
            units over = balance[(long long)h * R + i];
            now.stock[i] = over > 0 ? over : 0;
            now.lack[i] = over < 0 ? -over : 0;
        }
        __syncthreads();
        for (int d; (d = find_labels(net, now)) >= 0;) {
            for (; d > 0; d--) {
                EACH(j, R) if (now.steps[j] == d && now.lack[j] > 0) fetch(net, now, j);
                __syncthreads();
            }
            EACH(i, R) if (now.label[i] == 0) {
                units m = now.lack[i] < now.stock[i] ? now.lack[i] : now.stock[i];
                now.lack[i] -= m;
                now.stock[i] -= m;
            }
            __syncthreads();
        }
        EACH(i, R) if (now.lack[i] > 0) add(&unmet[h], now.lack[i]);
        EACH(e, E) result[(long long)h * E + e] = now.flow[slot[E + e]];
        __syncthreads();
    }
}
