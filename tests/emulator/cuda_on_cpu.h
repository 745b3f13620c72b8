// Lets a C++ compiler build a .cu file for the CPU: the threads of a block are fibres on one CPU thread, so shared
// memory, barriers, warp shuffles and atomics keep their meaning. Made for small tests, not for speed.
//
// It is stricter than a GPU where that finds bugs: threads and blocks run in a scrambled order, shared memory starts
// as garbage, and threads of one block that wait at different barriers are an error.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <sys/mman.h>
#include <type_traits>
#include <utility>

#define __global__
#define __device__ static
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("emu_shared")))
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __CUDA_ARCH__ 800

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
#define EMU_VECTOR(T, N) \
    struct N##2 { T x, y; }; struct N##3 { T x, y, z; }; struct N##4 { T x, y, z, w; }; \
    static inline N##2 make_##N##2(T x, T y) { return {x, y}; } \
    static inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; } \
    static inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMU_VECTOR(int, int) EMU_VECTOR(float, float) EMU_VECTOR(double, double) EMU_VECTOR(long long, longlong)
struct uint2 { unsigned x, y; }; struct uint4 { unsigned x, y, z, w; };
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace emu {

enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Fibre { ucontext_t context; State state; int line; unsigned mask; int vote; char* stack; };
static Fibre fibres[1024];
static ucontext_t scheduler;
static int current, block_size, barrier_result;
static unsigned char slots[1024][16];
static const size_t stack_bytes = 256 * 1024;
static const char* failure;
static double dynamic_memory[128 * 1024 / 8];
static inline void* dynamic_shared() { return dynamic_memory; }

static void yield_as(State state, int line, unsigned mask) {
    Fibre& f = fibres[current];
    f.state = state; f.line = line; f.mask = mask;
    swapcontext(&f.context, &scheduler);
}

static inline int block_barrier(int line, int vote, int how) {
    fibres[current].vote = vote;
    yield_as(AT_BARRIER, line, how);
    return barrier_result;
}
static inline void warp_barrier(int line, unsigned mask) { yield_as(AT_WARP, line, mask); }

static void release_barrier() {
    int line = -1, count = 0, all = 1, any = 0;
    for (int i = 0; i < block_size; i++) {
        if (fibres[i].state == DONE) continue;
        if (fibres[i].state != AT_BARRIER) return;
        if (line >= 0 && fibres[i].line != line) { failure = "threads of one block wait at different barriers"; return; }
        line = fibres[i].line;
        bool v = fibres[i].vote != 0; count += v; all &= v; any |= v;
    }
    for (int i = 0; i < block_size; i++) if (fibres[i].state == AT_BARRIER) {
        barrier_result = fibres[i].mask == 1 ? count : fibres[i].mask == 2 ? all : any;
        fibres[i].state = READY;
    }
}

static void release_warps() {
    for (int w = 0; w < block_size; w += 32) for (int l = 0; l < 32 && w + l < block_size; l++) {
        Fibre& f = fibres[w + l];
        if (f.state != AT_WARP) continue;
        if (!(f.mask >> l & 1)) { failure = "a lane waits with a mask it is not in"; return; }
        bool whole = true;
        for (int k = 0; k < 32 && w + k < block_size; k++) {
            Fibre& g = fibres[w + k];
            if (f.mask >> k & 1 && g.state != DONE) whole &= g.state == AT_WARP && g.mask == f.mask && g.line == f.line;
        }
        if (whole) for (int k = 0; k < 32 && w + k < block_size; k++)
            if (f.mask >> k & 1 && fibres[w + k].state == AT_WARP) fibres[w + k].state = READY;
    }
}

// a scrambled order of 0 .. n-1: i -> (a i + b) mod n, a coprime to n
struct Order {
    unsigned long long n, a, b;
    Order(unsigned long long n, unsigned seed) : n(n), a(n > 2 ? 1 + (seed * 7919ull + 12289) % (n - 1) : 1), b(seed * 31ull % n) {
        while (gcd(a, n) != 1) a++;
    }
    static unsigned long long gcd(unsigned long long x, unsigned long long y) { while (y) { auto t = x % y; x = y; y = t; } return x; }
    unsigned long long operator()(unsigned long long i) const { return (a * i + b) % n; }
};

static void (*body)(void*);
static void* body_data;
static void enter() { body(body_data); fibres[current].state = DONE; swapcontext(&fibres[current].context, &scheduler); }

static void set_thread(int t) {
    current = t;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

static void run_block_of_fibres(unsigned seed) {
    for (int t = 0; t < block_size; t++) {
        Fibre& f = fibres[t];
        if (!f.stack) f.stack = (char*)mmap(0, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack; f.context.uc_stack.ss_size = stack_bytes; f.context.uc_link = &scheduler;
        makecontext(&f.context, enter, 0);
        f.state = READY;
    }
    for (int alive = block_size; alive && !failure; seed++) {
        Order order(block_size, seed);
        bool ran = false;
        alive = 0;
        for (int i = 0; i < block_size; i++) {
            int t = order(i);
            if (fibres[t].state == READY) { ran = true; set_thread(t); swapcontext(&scheduler, &fibres[t].context); }
            alive += fibres[t].state != DONE;
        }
        if (!ran) { failure = "deadlock: threads wait for each other for ever"; return; }
        release_warps();
        release_barrier();
    }
}

extern "C" char __start_emu_shared[] __attribute__((weak));
extern "C" char __stop_emu_shared[] __attribute__((weak));

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** args, std::index_sequence<I...>) { kernel(*(std::remove_reference_t<A>*)args[I]...); }

template <class... A> struct Launch { void (*kernel)(A...); void** args; };

template <class... A>
static const char* launch(void (*kernel)(A...), const unsigned* shape, void** args, unsigned seed) {
    gridDim = {shape[0], shape[1], shape[2]};
    blockDim = {shape[3], shape[4], shape[5]};
    block_size = blockDim.x * blockDim.y * blockDim.z;
    if (block_size < 1 || block_size > 1024) return "a block has more than 1024 threads, or none";
    failure = 0;
    Launch<A...> data{kernel, args};
    body_data = &data;
    body = [](void* p) { auto* d = (Launch<A...>*)p; call(d->kernel, d->args, std::index_sequence_for<A...>{}); };
    unsigned long long blocks = (unsigned long long)gridDim.x * gridDim.y * gridDim.z;
    Order order(blocks, seed);
    for (unsigned long long i = 0; i < blocks && !failure; i++) {
        unsigned long long b = order(i);
        blockIdx = {(unsigned)(b % gridDim.x), (unsigned)(b / gridDim.x % gridDim.y), (unsigned)(b / gridDim.x / gridDim.y)};
#ifdef EMU_FIBRES
        if (__start_emu_shared) memset(__start_emu_shared, 0xCB, __stop_emu_shared - __start_emu_shared);
        memset(dynamic_memory, 0xCB, sizeof dynamic_memory);
        run_block_of_fibres(seed + (unsigned)i);
#else
        Order threads(block_size, seed + (unsigned)i);
        for (int t = 0; t < block_size; t++) { set_thread(threads(t)); body(body_data); }
#endif
    }
    return failure;
}

template <class T> static inline T shuffle(int line, unsigned mask, T value, int source, int width) {
    static_assert(sizeof(T) <= 16);
    int lane = current % 32, base = current - lane, first = lane / width * width;
    memcpy(slots[current], &value, sizeof(T));
    warp_barrier(line, mask);
    T result = value;
    if (source >= first && source < first + width && base + source < block_size) memcpy(&result, slots[base + source], sizeof(T));
    warp_barrier(-line, mask);
    return result;
}
static inline unsigned ballot(int line, unsigned mask, int predicate) {
    int base = current - current % 32;
    *(int*)slots[current] = predicate != 0;
    warp_barrier(line, mask);
    unsigned result = 0;
    for (int k = 0; k < 32 && base + k < block_size; k++)
        if (mask >> k & 1 && fibres[base + k].state != DONE && *(int*)slots[base + k]) result |= 1u << k;
    warp_barrier(-line, mask);
    return result;
}
template <class T, class F> static inline T reduce(int line, unsigned mask, T value, F f) {
    int base = current - current % 32;
    memcpy(slots[current], &value, sizeof(T));
    warp_barrier(line, mask);
    T result = value;
    for (int k = 0; k < 32 && base + k < block_size; k++)
        if (base + k != current && mask >> k & 1 && fibres[base + k].state != DONE) { T v; memcpy(&v, slots[base + k], sizeof(T)); result = f(result, v); }
    warp_barrier(-line, mask);
    return result;
}
}  // namespace emu

#define __syncthreads() ((void)emu::block_barrier(__LINE__, 0, 0))
#define __syncthreads_or(v) emu::block_barrier(__LINE__, (v) != 0, 0)
#define __syncthreads_count(v) emu::block_barrier(__LINE__, (v) != 0, 1)
#define __syncthreads_and(v) emu::block_barrier(__LINE__, (v) != 0, 2)
#define EMU_PICK(_1, _2, NAME, ...) NAME
#define __syncwarp(...) emu::warp_barrier(__LINE__, emu_mask(__VA_ARGS__))
static inline unsigned emu_mask(unsigned m = 0xffffffffu) { return m; }
static inline int emu_width(int w = 32) { return w; }
#define __shfl_sync(m, v, s, ...) emu::shuffle(__LINE__, m, v, (emu::current % 32) / emu_width(__VA_ARGS__) * emu_width(__VA_ARGS__) + (s) % emu_width(__VA_ARGS__), emu_width(__VA_ARGS__))
#define __shfl_up_sync(m, v, d, ...) emu::shuffle(__LINE__, m, v, emu::current % 32 - (int)(d), emu_width(__VA_ARGS__))
#define __shfl_down_sync(m, v, d, ...) emu::shuffle(__LINE__, m, v, emu::current % 32 + (int)(d), emu_width(__VA_ARGS__))
#define __shfl_xor_sync(m, v, x, ...) emu::shuffle(__LINE__, m, v, (emu::current % 32) ^ (x), emu_width(__VA_ARGS__))
#define __ballot_sync(m, p) emu::ballot(__LINE__, m, p)
#define __any_sync(m, p) (emu::ballot(__LINE__, m, p) != 0)
#define __all_sync(m, p) (emu::ballot(__LINE__, m, !(p)) == 0)
#define __reduce_add_sync(m, v) emu::reduce(__LINE__, m, v, [](auto a, auto b) { return a + b; })
#define __reduce_min_sync(m, v) emu::reduce(__LINE__, m, v, [](auto a, auto b) { return b < a ? b : a; })
#define __reduce_max_sync(m, v) emu::reduce(__LINE__, m, v, [](auto a, auto b) { return a < b ? b : a; })
#define __threadfence()
#define __threadfence_block()
#define __nanosleep(ns)
#define __trap() abort()

template <class T> static inline T emu_swap(T* p, T v) { T old = *p; *p = v; return old; }
#define EMU_ATOMICS(T) \
    static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; } \
    static inline T atomicExch(T* p, T v) { return emu_swap(p, v); }
#define EMU_INT_ATOMICS(T) EMU_ATOMICS(T) \
    static inline T atomicSub(T* p, T v) { T old = *p; *p = old - v; return old; } \
    static inline T atomicMin(T* p, T v) { T old = *p; if (v < old) *p = v; return old; } \
    static inline T atomicMax(T* p, T v) { T old = *p; if (v > old) *p = v; return old; } \
    static inline T atomicAnd(T* p, T v) { T old = *p; *p = old & v; return old; } \
    static inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; } \
    static inline T atomicXor(T* p, T v) { T old = *p; *p = old ^ v; return old; } \
    static inline T atomicCAS(T* p, T expected, T v) { T old = *p; if (old == expected) *p = v; return old; }
EMU_ATOMICS(float) EMU_ATOMICS(double)
EMU_INT_ATOMICS(int) EMU_INT_ATOMICS(unsigned) EMU_INT_ATOMICS(long long) EMU_INT_ATOMICS(unsigned long long)

template <class T> static inline T __ldg(const T* p) { return *p; }
template <class To, class From> static inline To emu_bits(From v) { static_assert(sizeof(To) == sizeof(From)); To r; memcpy(&r, &v, sizeof r); return r; }
static inline int __float_as_int(float v) { return emu_bits<int>(v); }
static inline unsigned __float_as_uint(float v) { return emu_bits<unsigned>(v); }
static inline float __int_as_float(int v) { return emu_bits<float>(v); }
static inline float __uint_as_float(unsigned v) { return emu_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return emu_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return emu_bits<double>(v); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __ffsll(long long v) { return __builtin_ffsll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
static inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdividef(float a, float b) { return a / b; }
#define __expf expf  // glibc owns these names
#define __logf logf
#define __sinf sinf
#define __cosf cosf
#define __powf powf
static inline double rsqrt(double v) { return 1 / sqrt(v); }
static inline float rsqrtf(float v) { return 1 / sqrtf(v); }
static inline double sinpi(double v) { return sin(M_PI * v); }
static inline double cospi(double v) { return cos(M_PI * v); }
static inline void sincospi(double v, double* s, double* c) { *s = sinpi(v); *c = cospi(v); }
template <class A, class B> static inline std::common_type_t<A, B> min(A a, B b) { std::common_type_t<A, B> x = a, y = b; return y < x ? y : x; }
template <class A, class B> static inline std::common_type_t<A, B> max(A a, B b) { std::common_type_t<A, B> x = a, y = b; return x < y ? y : x; }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
