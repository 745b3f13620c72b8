// One thread a node, fine or coarse; the z-block is the field. Arrays are padded by 2.
typedef long long i64;
#define NODE(rows, columns) \
    int cj = blockIdx.x * blockDim.x + threadIdx.x, ci = blockIdx.y * blockDim.y + threadIdx.y; \
    if (ci >= (rows) || cj >= (columns)) return;
