// Regions joined by corridors, and one hour of it in whole units of power: what flow.cu, carry.cu and headroom.cu share.
// The words are those of flow.py. One block works on one hour; its threads stride over regions.

#define EACH(i, n) for (int i = threadIdx.x; i < (n); i += blockDim.x)

typedef long long units;

struct Network {
    int R, E;
    const int *first, *to, *mate, *slot;
};

__device__ inline units whole(double limit_mw, double scale) {
    return (units)floor(fmin(limit_mw * scale, 2305843009213693952.0) + 0.5);  // 2^61: no limit
}

// What each arc can still bring to the region where it stands.
__device__ void load_room(const Network& net, const double* forward, const double* backward, double scale, units* room) {
    EACH(e, net.E) {
        room[net.slot[e]] = whole(backward[e], scale);
        room[net.slot[net.E + e]] = whole(forward[e], scale);
    }
}

__device__ inline void add(units* sum, units amount) {
    atomicAdd((unsigned long long*)sum, (unsigned long long)amount);  // whole numbers: any order gives the same sum
}
