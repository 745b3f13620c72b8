// The fair split of flow.py, one hour a block. Where the CPU half passes lack on from a queue, a block works level by
// level; the minimum cuts, and so every result, are the same.
#include "network.cuh"
#include "bring.cuh"

// The working arrays of an hour: 2E + 5R units, then 4R ints.
struct Hour {
    units *room, *lack, *stock, *held, *wanted, *sum;
    int *depth, *group, *side, *mark;
};

__device__ Hour place(const Network& net, units* memory) {
    units* u = memory + 2 * net.E;
    int *i = (int*)(u + 5 * net.R), R = net.R;
    return {memory, u, u + R, u + 2 * R, u + 3 * R, u + 4 * R, i, i + R, i + 2 * R, i + 3 * R};
}

// Cut the corridors between groups and sides, and make each connected piece a group numbered by its lowest region.
// Returns whether any region still lives.
__device__ int divide(const Network& net, Hour& now) {
    EACH(i, net.R) for (int p = net.first[i]; p < net.first[i + 1]; p++) {
        int j = net.to[p];
        if (!now.side[i] || now.side[j] != now.side[i] || now.group[j] != now.group[i])
            now.room[p] = now.room[net.mate[p]] = 0;
    }
    __syncthreads();
    volatile int* mark = now.mark;
    EACH(i, net.R) mark[i] = i;
    __syncthreads();
    int lower;
    do {
        lower = 0;
        EACH(i, net.R) if (now.side[i]) {
            int lowest = mark[mark[i]];
            for (int p = net.first[i]; p < net.first[i + 1]; p++)
                if (now.room[p] + now.room[net.mate[p]] > 0) {
                    int other = mark[net.to[p]];
                    lowest = other < lowest ? other : lowest;
                }
            if (lowest < mark[i]) { mark[i] = lowest; lower = 1; }
        }
    } while (__syncthreads_or(lower));
    int live = 0;
    EACH(i, net.R) { now.group[i] = mark[i]; live |= now.side[i]; }
    return __syncthreads_or(live);
}

// Give every group the one share that its means allow; what a region holds above or below it is stock or lack.
__device__ void share_out(const Network& net, Hour& now, const units* demand, units* served, double* level) {
    EACH(i, net.R) {
        now.held[i] = now.wanted[i] = now.sum[i] = 0;
        now.mark[i] = net.R;
    }
    __syncthreads();
    EACH(i, net.R) if (now.side[i]) {
        add(&now.held[now.group[i]], served[i] + now.stock[i] - now.lack[i]);
        add(&now.wanted[now.group[i]], demand[i]);
        if (demand[i] > 0) atomicMin(&now.mark[now.group[i]], i);
    }
    __syncthreads();
    EACH(i, net.R) if (now.side[i]) {
        int g = now.group[i];
        units missing = now.wanted[g] - now.held[g];
        now.stock[i] += served[i] - now.lack[i];
        level[i] = (double)(missing > 0 ? missing : 0) / (double)(now.wanted[g] > 1 ? now.wanted[g] : 1);
        served[i] = (units)floor((1.0 - level[i]) * (double)demand[i]);
        add(&now.sum[g], served[i]);
    }
    __syncthreads();
    EACH(i, net.R) if (now.side[i]) {
        int g = now.group[i];
        if (now.mark[g] == i) served[i] += now.held[g] - now.sum[g];  // what rounding lost goes where there is demand
        units over = now.stock[i] - served[i];
        now.stock[i] = over > 0 ? over : 0;
        now.lack[i] = over < 0 ? -over : 0;
    }
    __syncthreads();
}

// A group whose lack is met is a pocket and done; the others part in what has stock in reach and the rest.
__device__ void settle(const Network& net, Hour& now, units* served, double* level, int* root) {
    EACH(i, net.R) now.sum[i] = 0;
    __syncthreads();
    EACH(i, net.R) if (now.side[i]) add(&now.sum[now.group[i]], now.lack[i]);
    __syncthreads();
    EACH(i, net.R) if (now.side[i]) {
        int g = now.group[i];
        if (now.sum[g] > net.R + (now.wanted[g] >> 40)) {
            now.side[i] = now.depth[i] < net.R ? 1 : 2;
            continue;
        }
        now.side[i] = 0;
        served[i] -= now.lack[i];
        now.stock[i] = now.lack[i] = 0;
        if (level[i] * 1099511627776.0 > 1.0) root[i] = g;  // 2^40
        else level[i] = 0.0;
    }
    __syncthreads();
}

// Regions that the cut would part from all demand of side 2 go to side 1.
__device__ void rejoin(const Network& net, Hour& now, const units* demand) {
    const int adrift = 3;
    int any = 0;
    EACH(i, net.R) if (now.side[i] == 2 && demand[i] == 0) { now.side[i] = adrift; any = 1; }
    volatile int* side = now.side;
    while (__syncthreads_or(any)) {
        any = 0;
        EACH(i, net.R) if (side[i] == adrift)
            for (int p = net.first[i]; p < net.first[i + 1]; p++)
                if (side[net.to[p]] == 2 && now.room[p] + now.room[net.mate[p]] > 0) { side[i] = 2; any = 1; break; }
    }
    EACH(i, net.R) if (side[i] == adrift) side[i] = 1;
    __syncthreads();
}

__device__ void fair(const Network& net, const double* forward, const double* backward, double scale,
                     const units* supply, const units* demand, double* level, int* root, unsigned char* spare,
                     units* served, units* memory) {
    Hour now = place(net, memory);
    load_room(net, forward, backward, scale, now.room);
    EACH(i, net.R) {
        units over = supply[i] - demand[i];
        now.stock[i] = over > 0 ? over : 0;
        now.lack[i] = over < 0 ? -over : 0;
        now.group[i] = 0;
        served[i] = demand[i];
    }
    __syncthreads();
    bring(net, now);
    EACH(i, net.R) {
        spare[i] = now.depth[i] < net.R;
        now.side[i] = !spare[i];
        if (spare[i]) now.stock[i] = now.lack[i] = 0;
    }
    __syncthreads();
    while (divide(net, now)) {
        share_out(net, now, demand, served, level);
        bring(net, now);
        settle(net, now, served, level, root);
        rejoin(net, now, demand);
    }
}

#define ARGUMENTS \
    int T, int R, int E, const int *first, const int *to, const int *mate, const int *slot, const double *forward, \
    const double *backward, int limit_hours, const double *scale, const units *supply, const units *demand, \
    double *level, int *root, unsigned char *spare, units *served

#define EVERY_HOUR(memory) \
    Network net = {R, E, first, to, mate, slot}; \
    for (int h = blockIdx.x; h < T; h += gridDim.x) { \
        long long row = (long long)h * R, limits = (long long)(h % limit_hours) * E; \
        fair(net, forward + limits, backward + limits, scale[h], supply + row, demand + row, level + row, root + row, \
             spare + row, served + row, memory); \
        __syncthreads(); \
    }

// Working arrays in shared memory, for networks of up to 44 KB of them (some hundred regions).
extern "C" __global__ void fair_small(ARGUMENTS) {
    __shared__ units memory[44 * 128];
    EVERY_HOUR(memory)
}

// Working arrays in global memory, `each` units of it a block.
extern "C" __global__ void fair_large(ARGUMENTS, units* memory, int each) {
    units* mine = memory + (long long)blockIdx.x * each;
    EVERY_HOUR(mine)
}
