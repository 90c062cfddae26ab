// What kernels.cu needs of CUDA, for g++: a kernel runs on the CPU, its blocks one after the other, the
// threads of a block as fibres of one system thread that hand over at barriers and shuffles. It is not for
// speed but for running the unmodified source.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <ucontext.h>
#endif

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ thread_local  // static where a kernel declares it, and the same for all fibres

struct Place3 {
    unsigned x, y, z;
};
static Place3 threadIdx, blockIdx, blockDim, gridDim;
static thread_local unsigned words[232448 / 4];  // `extern __shared__` in the kernels: the most on an H100

namespace shim {

constexpr size_t STACK = 64 << 10;
constexpr int WARP = 32;

struct Fibre {
    unsigned index;
    bool finished, waits_for_warp, waits_for_block;
#if defined(__x86_64__)
    void* stack_pointer;
#else
    ucontext_t context;
#endif
};

static std::vector<Fibre> fibres;
static std::vector<char> stacks;
static std::vector<unsigned char> slots;  // 8 bytes for each thread, through which a warp shuffles
static Fibre* current;
static void (*task)(void*);
static void* task_argument;

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "cuda_shim: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
    std::abort();
}

#if defined(__x86_64__)
extern "C" void l0np_switch(void** from, void* to);
asm(R"(
.text
.globl l0np_switch
.hidden l0np_switch
.type l0np_switch, @function
l0np_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
static void* scheduler_stack;
inline void to_scheduler() { l0np_switch(&current->stack_pointer, scheduler_stack); }
inline void to_fibre(Fibre& fibre) { l0np_switch(&scheduler_stack, fibre.stack_pointer); }
#else
static ucontext_t scheduler_context;
inline void to_scheduler() { swapcontext(&current->context, &scheduler_context); }
inline void to_fibre(Fibre& fibre) { swapcontext(&scheduler_context, &fibre.context); }
#endif

inline void body() {
    task(task_argument);
    current->finished = true;
    to_scheduler();
    fail("a finished thread ran on");
}

inline void prepare(Fibre& fibre, char* stack) {
    fibre.finished = fibre.waits_for_warp = fibre.waits_for_block = false;
#if defined(__x86_64__)
    void** top = (void**)(((uintptr_t)(stack + STACK) & ~(uintptr_t)15) - 64);
    for (int i = 0; i < 6; ++i) top[i] = nullptr;
    top[6] = (void*)&body;  // where the first switch returns to; the stack is then aligned as after a call
    fibre.stack_pointer = top;
#else
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = stack;
    fibre.context.uc_stack.ss_size = STACK;
    makecontext(&fibre.context, body, 0);
#endif
}

// Open a barrier that all living threads of a warp, or of the block, have reached.
inline bool release(size_t first, size_t last, bool Fibre::*waits) {
    bool any = false;
    for (size_t i = first; i < last; ++i) {
        if (!fibres[i].finished && !(fibres[i].*waits)) return false;
        any = any || fibres[i].*waits;
    }
    for (size_t i = first; any && i < last; ++i) {
        if (waits == &Fibre::waits_for_warp && fibres[i].finished) fail("a shuffle that not all lanes reach");
        fibres[i].*waits = false;
    }
    return any;
}

inline void run_block(unsigned n, bool backwards) {
    for (unsigned i = 0; i < n; ++i) prepare(fibres[i], stacks.data() + i * STACK);
    for (bool alive = true; alive;) {
        bool progress = false;
        alive = false;
        for (unsigned i = 0; i < n; ++i) {
            Fibre& fibre = fibres[backwards ? n - 1 - i : i];
            if (fibre.finished) continue;
            alive = true;
            if (fibre.waits_for_warp || fibre.waits_for_block) continue;
            current = &fibre;
            threadIdx.x = fibre.index;
            to_fibre(fibre);
            progress = true;
        }
        for (size_t warp = 0; warp < n; warp += WARP)
            progress |= release(warp, warp + WARP < n ? warp + WARP : n, &Fibre::waits_for_warp);
        progress |= release(0, n, &Fibre::waits_for_block);
        if (alive && !progress) fail("the threads of a block wait for each other");
    }
}

inline void warp_barrier() {
    current->waits_for_warp = true;
    to_scheduler();
}

template <class Value> Value exchange(unsigned mask, Value value, unsigned source) {
    static_assert(sizeof(Value) <= 8, "a shuffle moves up to 8 bytes");
    if (mask != 0xFFFFFFFFu) fail("a shuffle without all lanes");
    const unsigned warp = threadIdx.x & ~31u;
    std::memcpy(&slots[8 * threadIdx.x], &value, sizeof(Value));
    warp_barrier();
    Value theirs;
    std::memcpy(&theirs, &slots[8 * (warp + source)], sizeof(Value));
    warp_barrier();
    return theirs;
}

// Launch: `backwards` runs threads and blocks in the other order, which must not change anything.
inline void launch(void (*kernel)(void*), void* argument, unsigned grid, unsigned block,
                   unsigned shared_bytes, bool backwards) {
    const bool impossible = block == 0 || block > 1024 || block % WARP && block != 1;
    if (impossible || shared_bytes > sizeof(words)) fail("an impossible launch");
    if (fibres.size() < block) {
        fibres.resize(block);
        stacks.resize(block * STACK);
        slots.resize(8 * block);
    }
#if defined(__x86_64__)
    const unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040);  // CuPy compiles with -ftz=true: numbers that are not normal are zero
#endif
    task = kernel, task_argument = argument;
    gridDim = {grid, 1, 1}, blockDim = {block, 1, 1};
    for (unsigned i = 0; i < block; ++i) fibres[i].index = i;
    for (unsigned b = 0; b < grid; ++b) {
        blockIdx = {backwards ? grid - 1 - b : b, 0, 0};
        std::memset(words, 0xA5, shared_bytes);  // shared memory begins with rubbish
        run_block(block, backwards);
    }
#if defined(__x86_64__)
    _mm_setcsr(control);
#endif
}

struct Entry {
    void (*run)(void** arguments, unsigned grid, unsigned block, unsigned shared_bytes, bool backwards);
};

template <auto KERNEL> struct Launcher;
template <class... Arguments, void (*KERNEL)(Arguments...)> struct Launcher<KERNEL> {
    template <size_t... I> static void call(void** a, std::index_sequence<I...>) {
        KERNEL(*(Arguments*)a[I]...);
    }
    static void run(void** arguments, unsigned grid, unsigned block, unsigned shared_bytes, bool backwards) {
        auto thunk = [](void* a) { call((void**)a, std::index_sequence_for<Arguments...>()); };
        launch(thunk, arguments, grid, block, shared_bytes, backwards);
    }
};

}  // namespace shim

inline void __syncthreads() {
    shim::current->waits_for_block = true;
    shim::to_scheduler();
}
template <class V> V __shfl_sync(unsigned mask, V value, int source) {
    return shim::exchange(mask, value, source & 31);
}
template <class V> V __shfl_xor_sync(unsigned mask, V value, int offset) {
    return shim::exchange(mask, value, (threadIdx.x & 31) ^ offset);
}

template <class V> V shim_atomic(V* address, V value) {
    const V before = *address;
    *address = value;
    return before;
}
typedef unsigned long long shim_u64;
typedef long long shim_i64;
inline unsigned atomicAdd(unsigned* at, unsigned value) { return shim_atomic(at, *at + value); }
inline shim_u64 atomicAdd(shim_u64* at, shim_u64 value) { return shim_atomic(at, *at + value); }
inline shim_i64 atomicMin(shim_i64* at, shim_i64 value) { return shim_atomic(at, value < *at ? value : *at); }
inline shim_i64 atomicMax(shim_i64* at, shim_i64 value) { return shim_atomic(at, value > *at ? value : *at); }
inline shim_u64 atomicMin(shim_u64* at, shim_u64 value) { return shim_atomic(at, value < *at ? value : *at); }
inline shim_u64 atomicMax(shim_u64* at, shim_u64 value) { return shim_atomic(at, value > *at ? value : *at); }

template <class To, class From> To shim_bits(From from) {
    To to;
    static_assert(sizeof(To) == sizeof(From), "");
    std::memcpy(&to, &from, sizeof(To));
    return to;
}
inline int __float_as_int(float x) { return shim_bits<int>(x); }
inline float __int_as_float(int x) { return shim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return shim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return shim_bits<double>(x); }
inline long long __double2ll_rn(double x) { return std::llrint(x); }
using std::ceil;
using std::exp;
using std::floor;
using std::fma;
using std::ldexp;
using std::log;
using std::sqrt;
