// Lack that travels to stock, level by level: what flow.cu and headroom.cu share. State is any struct with room, lack,
// stock (units) and depth (int). The words are those of flow.py; network.cuh comes before it.

// Breadth first from stock, with the power: depth R is out of reach. Returns the greatest depth within reach.
template <class State>
__device__ int measure(const Network& net, State& now) {
    EACH(i, net.R) now.depth[i] = now.stock[i] > 0 ? 0 : net.R;
    __syncthreads();
    for (int deepest = 0;; deepest++) {
        int met = 0;
        EACH(j, net.R) if (now.depth[j] == net.R)
            for (int p = net.first[j]; p < net.first[j + 1]; p++)
                if (now.depth[net.to[p]] == deepest && now.room[p] > 0) { now.depth[j] = deepest + 1; met = 1; break; }
        if (!__syncthreads_or(met)) return deepest;
    }
}

// Hand the lack of region j to the regions one step nearer to stock. Only this thread touches its corridors now.
template <class State>
__device__ void pass_on(const Network& net, State& now, int j) {
    units left = now.lack[j], before = left;
    for (int p = net.first[j]; p < net.first[j + 1] && left > 0; p++) {
        int i = net.to[p];
        if (now.depth[i] != now.depth[j] - 1 || now.room[p] <= 0) continue;
        units m = left < now.room[p] ? left : now.room[p];
        now.room[p] -= m;
        now.room[net.mate[p]] += m;
        add(&now.lack[i], m);
        left -= m;
    }
    now.lack[j] -= before - left;
}

template <class State>
__device__ void bring(const Network& net, State& now) {
    for (;;) {
        int deepest = measure(net, now), moving = 0;
        EACH(i, net.R) moving |= now.lack[i] > 0 && now.depth[i] < net.R;
        if (!__syncthreads_or(moving)) return;
        for (int d = deepest; d > 0; d--) {
            EACH(j, net.R) if (now.depth[j] == d && now.lack[j] > 0) pass_on(net, now, j);
            __syncthreads();
        }
        EACH(i, net.R) {
            units m = now.lack[i] < now.stock[i] ? now.lack[i] : now.stock[i];
            now.lack[i] -= m;
            now.stock[i] -= m;
        }
        __syncthreads();
    }
}
