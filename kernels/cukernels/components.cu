// Union-find on pixels and nodes. A parent is never larger than its child, so a root is the first pixel of its piece.

__device__ inline int find(const volatile int* parent, int i) {
    int p = parent[i];
    while (p != i) { i = p; p = parent[i]; }
    return i;
}

// Hook the larger root under the smaller one; if another thread moved it meanwhile, go on from where it points now.
__device__ inline void unite(int* parent, int a, int b) {
    for (;;) {
        a = find(parent, a);
        b = find(parent, b);
        if (a == b) return;
        if (a > b) { int t = a; a = b; b = t; }
        int old = atomicMin(&parent[b], a);
        if (old == b) return;
        b = old;
    }
}

template <class T>
__device__ inline bool same(const volatile int* local, const T* value, int other, T mine) {
    return local[other] >= 0 && value[other] == mine;
}

// One tile of 32 x 8 pixels at a time in shared memory: runs along a row by ballot, then unions with the row above.
template <class T>
__device__ void tile(const T* image, int H, int W, int diagonal, T background, int has_background, int* parent) {
    __shared__ int local[256];
    __shared__ T value[256];
    int lane = threadIdx.x, here = threadIdx.y * 32 + lane;
    for (int top = blockIdx.y * 8; top < H; top += gridDim.y * 8) {
        int x = blockIdx.x * 32 + lane, y = top + threadIdx.y;
        bool inside = x < W && y < H;
        T mine = inside ? image[(long long)y * W + x] : background;
        bool active = inside && !(has_background && mine == background);
        T left = __shfl_up_sync(0xffffffffu, mine, 1);
        bool left_active = __shfl_up_sync(0xffffffffu, (int)active, 1);
        bool starts = !active || lane == 0 || !left_active || left != mine;
        unsigned starts_before = __ballot_sync(0xffffffffu, starts) & (0xffffffffu >> (31 - lane));
        local[here] = active ? threadIdx.y * 32 + 31 - __clz(starts_before) : -1;
        value[here] = mine;
        __syncthreads();
        if (active && threadIdx.y) {
            if (same(local, value, here - 32, mine)) {
                // where the pixel on the left sees the same pair of runs, it does the union
                if (starts || !same(local, value, here - 33, mine)) unite(local, here, here - 32);
            } else if (diagonal) {
                if (lane && same(local, value, here - 33, mine)) unite(local, here, here - 33);
                if (lane < 31 && same(local, value, here - 31, mine)) unite(local, here, here - 31);
            }
        }
        __syncthreads();
        if (inside) {
            int root = active ? find(local, here) : -1;
            parent[y * W + x] = active ? (top + root / 32) * W + blockIdx.x * 32 + root % 32 : -1;
        }
        __syncthreads();
    }
}

template <class T>
__device__ inline void join_if_equal(const T* image, int a, int b, T background, int has_background, int* parent) {
    if (image[a] == image[b] && !(has_background && image[a] == background)) unite(parent, a, b);
}

// Unions across the borders of the tiles, and round the picture where it is periodic.
template <class T>
__device__ void join(const T* image, int H, int W, int diagonal, T background, int has_background, int periodic,
                     int* parent) {
    long long n = (long long)H * W;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        int y = i / W, x = i % W;
        bool first_row = y % 8 == 0, first_column = x % 32 == 0, last_column = x % 32 == 31 || x == W - 1;
        if (first_column && (x || periodic))
            join_if_equal(image, i, y * W + (x ? x - 1 : W - 1), background, has_background, parent);
        int above = y ? y - 1 : H - 1;
        if (!y && !periodic) continue;
        if (first_row) join_if_equal(image, i, above * W + x, background, has_background, parent);
        if (!diagonal) continue;
        if ((first_row || first_column) && (x || periodic))
            join_if_equal(image, i, above * W + (x ? x - 1 : W - 1), background, has_background, parent);
        if ((first_row || last_column) && (x < W - 1 || periodic))
            join_if_equal(image, i, above * W + (x < W - 1 ? x + 1 : 0), background, has_background, parent);
    }
}

extern "C" __global__ void pieces_tile_u8(const unsigned char* image, int H, int W, int diagonal, unsigned char background,
                                          int has_background, int* parent) {
    tile(image, H, W, diagonal, background, has_background, parent);
}

extern "C" __global__ void pieces_join_u8(const unsigned char* image, int H, int W, int diagonal, unsigned char background,
                                          int has_background, int periodic, int* parent) {
    join(image, H, W, diagonal, background, has_background, periodic, parent);
}

extern "C" __global__ void pieces_tile_i32(const int* image, int H, int W, int diagonal, int background,
                                          int has_background, int* parent) {
    tile(image, H, W, diagonal, background, has_background, parent);
}

extern "C" __global__ void pieces_join_i32(const int* image, int H, int W, int diagonal, int background,
                                          int has_background, int periodic, int* parent) {
    join(image, H, W, diagonal, background, has_background, periodic, parent);
}

extern "C" __global__ void pieces_tile_i64(const long long* image, int H, int W, int diagonal, long long background,
                                          int has_background, int* parent) {
    tile(image, H, W, diagonal, background, has_background, parent);
}

extern "C" __global__ void pieces_join_i64(const long long* image, int H, int W, int diagonal, long long background,
                                          int has_background, int periodic, int* parent) {
    join(image, H, W, diagonal, background, has_background, periodic, parent);
}

extern "C" __global__ void graph_unite(const int* tail, const int* head, int E, int* parent) {
    for (int e = blockIdx.x * blockDim.x + threadIdx.x; e < E; e += gridDim.x * blockDim.x) unite(parent, tail[e], head[e]);
}

extern "C" __global__ void number_by_root(const int* parent, const int* rank, int n, int* labels) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        labels[i] = parent[i] < 0 ? 0 : rank[find(parent, i)];
}
