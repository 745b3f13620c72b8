// Philox4x32-10: random bits as a function of (seed, sample, item). philox.py says what it follows.
typedef unsigned int u32;
typedef unsigned long long u64;

struct Words { u32 w[4]; };

__device__ inline Words philox4x32(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
    for (int round = 0; round < 10; ++round) {
        u64 p = (u64)0xD2511F53u * c0, q = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(q >> 32) ^ c1 ^ k0;
        c2 = (u32)(p >> 32) ^ c3 ^ k1;
        c1 = (u32)q;
        c3 = (u32)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Words{{c0, c1, c2, c3}};
}

__device__ inline Words philox_words(u64 seed, u64 sample, u64 item) {
    return philox4x32((u32)sample, (u32)(sample >> 32), (u32)item, (u32)(item >> 32), (u32)seed, (u32)(seed >> 32));
}

// 52 bits in the middle of their cells: never 0, never 1, and 1 - u is exact.
__device__ inline double philox_unit(u32 high, u32 low) {
    u64 bits = ((u64)high << 20) | (low >> 12);
    return ((double)bits + 0.5) * (1.0 / 4503599627370496.0);
}

__device__ inline double philox_uniform(u64 seed, u64 sample, u64 item) {
    Words r = philox_words(seed, sample, item);
    return philox_unit(r.w[0], r.w[1]);
}

// log from + - * / and frexp alone, in the order of philox.py: the same bits everywhere.
__device__ inline double log_same_bits(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) { m *= 2.0; e -= 1; }
    double s = (m - 1.0) / (m + 1.0), z = s * s, sum = 0.0;
    for (int k = 25; k >= 3; k -= 2) sum = (sum + 1.0 / k) * z;
    return (2.0 * s + 2.0 * s * sum) + e * 0.69314718055994531;
}
