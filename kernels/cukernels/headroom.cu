// The questions of headroom.py: a block takes a run of them, so that those of one hour share its base.
#include "network.cuh"
#include "bring.cuh"

// The working arrays of a block: 4E + 3R units, then 2R ints.
struct Question {
    units *room, *stock, *lack, *base, *spare;
    int *depth, *reached;
};

__device__ Question place(const Network& net, units* memory) {
    units* u = memory + 4 * net.E;
    int R = net.R, *i = (int*)(u + 3 * R);
    return {memory, u, u + R, memory + 2 * net.E, u + 2 * R, i, i + R};
}

// Everybody served as well as can be; what is left is the base of every question.
__device__ void serve(const Network& net, Question& now, const double* forward, const double* backward, double scale,
                      const units* supply, const units* demand) {
    load_room(net, forward, backward, scale, now.room);
    EACH(i, net.R) {
        units over = supply[i] - demand[i];
        now.stock[i] = over > 0 ? over : 0;
        now.lack[i] = over < 0 ? -over : 0;
    }
    __syncthreads();
    bring(net, now);
    EACH(p, 2 * net.E) now.base[p] = now.room[p];
    EACH(i, net.R) {
        now.spare[i] = now.stock[i];
        now.reached[i] = now.depth[i] < net.R;
    }
    __syncthreads();
}

// What region r and its corridors have, or all stock where that is less.
__device__ units most_there_can_be(const Network& net, const Question& now, int r) {
    __shared__ units everything;
    if (threadIdx.x == 0) everything = 0;
    __syncthreads();
    EACH(i, net.R) add(&everything, now.spare[i]);
    __syncthreads();
    units own = now.spare[r], all = everything;
    for (int p = net.first[r]; p < net.first[r + 1]; p++) {
        own += now.base[p];
        if (own > 2305843009213693952LL) own = 2305843009213693952LL;  // 2^61
    }
    __syncthreads();
    return own < all ? own : all;
}

__device__ units all_lack(const Network& net, const Question& now) {
    __shared__ units left;
    if (threadIdx.x == 0) left = 0;
    __syncthreads();
    EACH(i, net.R) if (now.lack[i] > 0) add(&left, now.lack[i]);
    __syncthreads();
    units result = left;
    __syncthreads();
    return result;
}

// Mark the regions that could still bring something to r; those that nothing reached have nothing to bring.
__device__ void find_side(const Network& net, const Question& now, int r, volatile unsigned char* side) {
    EACH(i, net.R) side[i] = i == r;
    __syncthreads();
    int more;
    do {
        more = 0;
        EACH(j, net.R) if (side[j])
            for (int p = net.first[j]; p < net.first[j + 1]; p++)
                if (now.room[p] > 0 && now.reached[net.to[p]] && !side[net.to[p]]) { side[net.to[p]] = 1; more = 1; }
    } while (__syncthreads_or(more));
}

extern "C" __global__ void ask(int N, int R, int E, const int* first, const int* to, const int* mate, const int* slot,
                               const double* forward, const double* backward, int limit_hours, const double* scale,
                               const units* supply, const units* demand, const int* hour, const int* region,
                               units* most, unsigned char* side, int sides, units* memory, int each) {
    Network net = {R, E, first, to, mate, slot};
    Question now = place(net, memory + (long long)blockIdx.x * each);
    int start = (int)((long long)N * blockIdx.x / gridDim.x), stop = (int)((long long)N * (blockIdx.x + 1) / gridDim.x), before = -1;
    for (int n = start; n < stop; n++) {
        int h = hour[n], r = region[n];
        long long row = (long long)h * R, limits = (long long)(h % limit_hours) * E;
        if (h != before) serve(net, now, forward + limits, backward + limits, scale[h], supply + row, demand + row);
        before = h;
        if (!now.reached[r]) continue;
        units asked = most_there_can_be(net, now, r);
        EACH(p, 2 * E) now.room[p] = now.base[p];
        EACH(i, R) {
            now.stock[i] = now.spare[i];
            now.lack[i] = i == r ? asked : 0;
        }
        __syncthreads();
        bring(net, now);
        units left = all_lack(net, now);
        if (threadIdx.x == 0) most[n] = asked - left;
        if (sides) {
            EACH(i, R) now.stock[i] = i == r ? left : 0;  // what found no supply goes back to r: then the flow is one that there can be
            __syncthreads();
            bring(net, now);
            find_side(net, now, r, side + (long long)n * R);
        }
        __syncthreads();
    }
}
