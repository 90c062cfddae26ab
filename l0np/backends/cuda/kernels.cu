// The fused epoch on a CUDA device: two kernels, launched in turn, that never wait for the host.
//
//   columns   visits each column once: gather M_j . gradient, chain rule, Adam, gate, scatter w_j z_j M_j.
//   rows      turns the sums into predictions, and these into the loss's gradient for the next epoch.
//
// An example with 3 rows and 4 columns, of which 2 warps take 2 each; the gate of column 1 comes out closed:
//
//              column   0   1   2   3        gradient   sums
//              row 0  [ a   .   c   d ]         g0        0
//              row 1  [ .   b   .   e ]         g1        0
//              row 2  [ f   .   h   . ]         g2        0
//                       \___/   \___/
//                       warp 0  warp 1
//
//              warp 0                                  warp 1
//   gather     32 lanes together: a g0 + f g2          32 lanes together: c g0 + h g2
//              32 lanes together: b g1                 32 lanes together: d g0 + e g1
//   train      lane 0 trains column 0: w0, z0          lane 0 trains column 2: w2, z2
//              lane 1 trains column 1: w1, z1 = 0      lane 1 trains column 3: w3, z3
//   scatter    32 lanes together: w0 z0 (a, f)         32 lanes together: w2 z2 (c, h)
//              column 1 is closed and not read         32 lanes together: w3 z3 (d, e)
//
//   rows       row 0: sums = w0 z0 a + w2 z2 c + w3 z3 d  ->  prediction  ->  gradient g0 of the next epoch
//              row 1: sums = w3 z3 e                      ->  ...
//              row 2: sums = w0 z0 f + w2 z2 h            ->  ...           the sums are 0 again
//
// Where columns are short, 8 lanes read a column together, and a warp reads 4 columns at a time.
//
// Fixed-point sums. The sums over columns are int64 multiples of a unit, so that they do not depend on the
// order of additions. They must not overflow, and the unit must be small:
//
//   - When a matrix is loaded, each row is scaled by a power of two, which is exact, so that the absolute
//     values of its entries sum to at most 1. A row of extreme spread keeps its smallest entry a normal
//     number and may exceed 1; `headroom` is by how many doublings the worst row does.
//   - While all weights are below 2^E, E a multiple of 4, no sum passes 2^(E + headroom). The unit is
//     2^(E + headroom - 62), so that none overflows, and a row of n entries errs by at most n / 2 units.
//   - E follows the heaviest weight of the state itself, so that a resumed run rounds like one that was not
//     stopped. It is known only when all columns have been visited, so a visit takes the E of the one before.
//     Where the two differ, `rows` drops the sums and orders a repair: a visit that only scatters, with the
//     right E.
//   - The gradient by the scaled rows is `lift` doublings smaller than it should be, so that no float
//     overflows in rows of huge sums.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#include "enums.h"  // In its place source.py writes Constant, Clock, Mode and Switch from Python's lists.
#include "column_maths.cuh"

__device__ constexpr u32 FULL = 0xFFFFFFFFu;
__device__ constexpr int BITS = 62, UNIT_STEP = 4;
__device__ constexpr int ENDLESS = 5000;  // This is the exponent of a weight that is not finite.

// In double, 64 registers do not suffice.
template <class T> __device__ constexpr int MOST_THREADS = sizeof(T) == 4 ? 1024 : 512;

template <class T, class Index> struct Entries {
    const T* data;
    const Index* indices;
    const i64* indptr;
    i64 n_columns;
    int n_rows;
};

// Return the smallest E with |x| < 2^E.
__device__ inline int exponent_of(double x) {
    const int biased = (int)((u64)__double_as_longlong(x) >> 52) & 0x7FF;
    return biased == 0x7FF ? ENDLESS : larger(biased - 1022, LIGHTEST);
}

// Return E for weights of this exponent.
__device__ inline int unit_for(int heaviest) { return (heaviest + UNIT_STEP - 1) & -UNIT_STEP; }

// Return 2^(BITS - headroom - E), the factor from weights to multiples of the unit.
__device__ inline double fixed_scale(const i64* clock) {
    return wide_power_of_two(BITS - (int)clock[HEADROOM] - (int)clock[UNIT]);
}

__device__ inline double sum_of_warp(double x) {
    for (int offset = 16; offset; offset >>= 1) x += __shfl_xor_sync(FULL, x, offset);
    return x;
}
__device__ inline u64 sum_of_warp(u64 x) {
    for (int offset = 16; offset; offset >>= 1) x += __shfl_xor_sync(FULL, x, offset);
    return x;
}
__device__ inline int most_of_warp(int x) {
    for (int offset = 16; offset; offset >>= 1) x = larger(x, __shfl_xor_sync(FULL, x, offset));
    return x;
}

// --- Gather and scatter for a warp's columns: lane i owns column i, and LANES lanes read a column together.

// The product of two floats is exact in double, so that fma rounds as often as two operations.
__device__ inline double multiply_add(float a, float b, double sum) { return fma((double)a, (double)b, sum); }
template <class A> __device__ inline double multiply_add(A a, double b, double sum) {
    return sum + (double)a * b;
}

// Return M_j . rows to the lane that owns column j. The length of a column that is not wanted is 0.
template <int LANES, class T, class Index, class Row>
__device__ inline double gather(const Entries<T, Index>& m, i64 begin, int length, int n,
                                const Row* __restrict__ rows) {
    const int lane = threadIdx.x & 31;
    double mine = 0;
    for (int first = 0; first < n; first += 32 / LANES) {
        const int owner = first + lane / LANES;
        const i64 start = __shfl_sync(FULL, begin, owner);
        const int size = __shfl_sync(FULL, length, owner);
        const T* __restrict__ data = m.data + start;
        const Index* __restrict__ indices = m.indices + start;
        double sum = 0;
#pragma unroll 4
        for (int k = lane % LANES; k < size; k += LANES) sum = multiply_add(data[k], rows[indices[k]], sum);
#pragma unroll
        for (int offset = LANES / 2; offset; offset >>= 1) sum += __shfl_xor_sync(FULL, sum, offset);
        const double theirs = __shfl_sync(FULL, sum, ((lane - first) * LANES) & 31);
        if (lane >= first && lane < first + 32 / LANES) mine = theirs;
    }
    return mine;
}

// Add to a sum. In shared memory it is two words, because 64-bit atomics are a loop there; carries may come
// in any order.
template <bool SHARED> __device__ inline void add(u64* sums, u32* words, int n_rows, int row, i64 value) {
    if (SHARED) {
        const u32 low = (u32)value, before = atomicAdd(&words[row], low);
        const u32 carry = before + low < low ? 1u : 0u;
        atomicAdd(&words[n_rows + row], (u32)((u64)value >> 32) + carry);
    } else {
        atomicAdd(&sums[row], (u64)value);
    }
}

// Add multiple_j M_j to the sums for each column. The lane that owns column j has its `multiple`, counted
// in units.
template <int LANES, bool SHARED, class T, class Index>
__device__ inline void scatter(const Entries<T, Index>& m, i64 begin, int length, int n, double multiple,
                               u64* sums, u32* words) {
    const int lane = threadIdx.x & 31;
    for (int first = 0; first < n; first += 32 / LANES) {
        const int owner = first + lane / LANES;
        const i64 start = __shfl_sync(FULL, begin, owner);
        const int size = __shfl_sync(FULL, length, owner);
        const double factor = __shfl_sync(FULL, multiple, owner);
        const T* __restrict__ data = m.data + start;
        const Index* __restrict__ indices = m.indices + start;
#pragma unroll 4
        for (int k = lane % LANES; k < size; k += LANES)
            add<SHARED>(sums, words, m.n_rows, (int)indices[k], __double2ll_rn(factor * (double)data[k]));
    }
}

template <bool SHARED> __device__ inline void clear_words(u32* words, int n_rows) {
    if (SHARED) {
        for (int i = threadIdx.x; i < 2 * n_rows; i += blockDim.x) words[i] = 0;
        __syncthreads();
    }
}

template <bool SHARED> __device__ inline void pour_words(u64* sums, const u32* words, int n_rows) {
    if (SHARED) {
        __syncthreads();
        for (int i = threadIdx.x; i < n_rows; i += blockDim.x) {
            const u64 value = (u64)words[n_rows + i] << 32 | words[i];
            if (value) atomicAdd(&sums[i], value);
        }
    }
}

// --- The epoch in column space.

template <class T, class Index, int LANES, bool SHARED>
__global__ void __launch_bounds__(MOST_THREADS<T>, 1)
columns(const T* data, const Index* indices, const i64* indptr, i64 n_columns, int n_rows,
        const T* rows, u64* sums, T* theta, T* theta_first, T* theta_second,
        T* log_alpha, T* log_alpha_first, T* log_alpha_second,
        T* theta_slope, T* log_alpha_slope, const T* anchor, const T* schedule, i64* clock,
        u64 seed, u64 column_offset, int switches, int columns_per_warp, int repair_only) {
    extern __shared__ u32 words[];
    __shared__ u64 warp_tallies[3][32];
    __shared__ int warp_heaviest[32];
    const int mode = (int)clock[MODE];
    if (repair_only && mode != REPAIR) return;  // All threads agree, because only `rows` writes the mode.
    clear_words<SHARED>(words, n_rows);

    const Entries<T, Index> m = {data, indices, indptr, n_columns, n_rows};
    const Vectors<T> v = {theta, theta_first, theta_second, log_alpha, log_alpha_first, log_alpha_second,
                          theta_slope, log_alpha_slope, anchor};
    const bool exponential = switches & EXPONENTIAL, gated = switches & GATED;
    const i64 epoch = clock[EPOCH] + (mode == TRAIN ? 1 : 0);  // Its gates are drawn.
    const T* c = schedule + (epoch - clock[SCHEDULE_START]) * N_CONSTANTS;
    const double scale = fixed_scale(clock), lift = wide_power_of_two((int)clock[LIFT]);
    const int lane = threadIdx.x & 31, warps_per_block = blockDim.x >> 5, warp_of_block = threadIdx.x >> 5;
    const i64 warp = (i64)blockIdx.x * warps_per_block + warp_of_block;
    const i64 n_warps = (i64)gridDim.x * warps_per_block;
    u64 gathered = 0, scattered = 0, closed = 0;
    int heaviest = LIGHTEST;
    bool fine = true;

    for (i64 first = warp * columns_per_warp; first < n_columns; first += n_warps * columns_per_warp) {
        const int n = (int)smaller((i64)columns_per_warp, n_columns - first);
        const i64 j = first + lane;
        const bool mine = lane < n;
        const i64 begin = mine ? indptr[j] : 0;
        const int length = mine ? (int)(indptr[j + 1] - begin) : 0;
        if (mode == TRAIN) {
            const bool wanted = mine && (theta_slope[j] != T(0) || log_alpha_slope[j] != T(0));
            const T gradient = (T)(gather<LANES>(m, begin, wanted ? length : 0, n, rows) * lift);
            gathered += wanted ? length : 0;
            if (mine) fine = train(v, j, gradient, c, exponential, gated) && fine;
        }
        T product = T(0);
        if (mine && mode == REPAIR) {
            const T slope = theta_slope[j];  // It is w z where w = exp(theta), else z.
            product = exponential ? slope : (slope > T(0) ? theta[j] * slope : T(0));
        } else if (mine) {
            const float u = gated ? clipped_uniform(seed, (u64)epoch, column_offset + (u64)j) : 0.5f;
            const Drawn<T> drawn = draw(v, j, u, c, exponential, gated);
            product = drawn.product;
            heaviest = larger(heaviest, exponent_of((double)drawn.weight));
            fine = magnitude(drawn.weight) <= c[LARGEST_NUMBER] && fine;
            closed += drawn.closed;
            scattered += product != T(0) ? length : 0;
        }
        const int scattered_length = product != T(0) ? length : 0;
        scatter<LANES, SHARED>(m, begin, scattered_length, n, (double)product * scale, sums, words);
    }

    pour_words<SHARED>(sums, words, n_rows);
    if (mode == REPAIR) return;
    if (!fine) atomicMin(&clock[FIRST_BAD], epoch);
    gathered = sum_of_warp(gathered), scattered = sum_of_warp(scattered), closed = sum_of_warp(closed);
    heaviest = most_of_warp(heaviest);
    if (lane == 0) {
        warp_tallies[0][warp_of_block] = gathered, warp_tallies[1][warp_of_block] = scattered;
        warp_tallies[2][warp_of_block] = closed, warp_heaviest[warp_of_block] = heaviest;
    }
    __syncthreads();
    if (warp_of_block == 0) {  // One warp for the block, because atomics on one number wait for each other.
        const bool used = lane < warps_per_block;
        heaviest = most_of_warp(used ? warp_heaviest[lane] : LIGHTEST);
        for (int i = 0; i < 3; ++i) {
            const u64 tally = sum_of_warp(used ? warp_tallies[i][lane] : 0);
            if (lane == 0) atomicAdd((u64*)&clock[GATHERED + i], tally);
        }
        if (lane == 0) atomicMax(&clock[HEAVIEST], (i64)heaviest);
    }
}

// --- The epoch in row space.

// Return to thread 0 the sum of x over the threads of its block, in a fixed order.
__device__ inline double sum_of_block(double x) {
    __shared__ double warp_sums[32];
    x = sum_of_warp(x);
    if ((threadIdx.x & 31) == 0) warp_sums[threadIdx.x >> 5] = x;
    __syncthreads();
    double sum = 0;
    if (threadIdx.x == 0)
        for (int i = 0; i < blockDim.x >> 5; ++i) sum += warp_sums[i];
    return sum;
}

// Write d loss / d prediction of plain SquaredErrors for one row, and the same scaled as the rows of M.
template <class T>
__device__ inline double row_gradient(int i, double prediction, const T* intercept, const double* target,
                                      const double* curvature, const int* exponents, int lift,
                                      double* gradient, T* scaled) {
    double g = intercept ? prediction + (double)intercept[0] : prediction;
    g -= target[i];
    g *= curvature[i];
    gradient[i] = g;
    scaled[i] = (T)ldexp(g, exponents[i] - lift);
    return g;
}

// Turn sums into predictions and, where there is a target, predictions into gradients. The last block to
// finish sets the clock.
template <class T>
__global__ void rows(u64* sums, const int* exponents, int n_rows, double* prediction, const T* intercept,
                     const double* target, const double* curvature, double* gradient, T* scaled,
                     double* partial_sums, i64* clock, int repair_only) {
    const int mode = (int)clock[MODE], heaviest = (int)clock[HEAVIEST], unit = (int)clock[UNIT];
    if (repair_only && mode != REPAIR) return;
    const bool finite = heaviest != ENDLESS, right = !finite || unit_for(heaviest) == unit;
    const int units = unit + (int)clock[HEADROOM] - BITS, i = blockIdx.x * blockDim.x + threadIdx.x;
    double g = 0;
    if (i < n_rows) {
        const double sum = (double)(i64)sums[i];
        sums[i] = 0;
        if (right) {
            const double not_a_number = __longlong_as_double(0x7FF8000000000000);
            const double p = finite ? ldexp(sum, units + exponents[i]) : not_a_number;
            prediction[i] = p;
            const bool is_finite = magnitude(p) <= 1.7976931348623157e308;
            if (!is_finite) atomicMin(&clock[FIRST_BAD], clock[EPOCH] + (mode == TRAIN));
            if (target)
                g = row_gradient(i, p, intercept, target, curvature, exponents, (int)clock[LIFT],
                                 gradient, scaled);
        }
    }
    g = sum_of_block(g);
    if (threadIdx.x) return;
    if (target && right) partial_sums[blockIdx.x] = g;
    if (atomicAdd((u64*)&clock[TICKETS], 1) != gridDim.x - 1) return;  // After this, all blocks have read it.
    clock[TICKETS] = 0;
    if (mode == TRAIN) ++clock[EPOCH];
    clock[MODE] = right ? TRAIN : REPAIR;
    if (right) clock[HEAVIEST] = LIGHTEST;
    else clock[UNIT] = unit_for(heaviest);
}

// Write the same gradient for a prediction that is not a visit's own, such as the sum over ranks.
template <class T>
__global__ void gradients(int n_rows, const double* prediction, const T* intercept, const double* target,
                          const double* curvature, const int* exponents, const i64* clock, double* gradient,
                          T* scaled, double* partial_sums) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    double g = 0;
    if (i < n_rows)
        g = row_gradient(i, prediction[i], intercept, target, curvature, exponents, (int)clock[LIFT],
                         gradient, scaled);
    g = sum_of_block(g);
    if (threadIdx.x == 0) partial_sums[blockIdx.x] = g;
}

// Scale a gradient that another loss has written, for the gather.
template <class T>
__global__ void scale_rows(int n_rows, const double* gradient, const int* exponents, const i64* clock,
                           T* scaled) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n_rows) scaled[i] = (T)ldexp(gradient[i], exponents[i] - (int)clock[LIFT]);
}

// Train the intercept, in one thread.
template <class T>
__global__ void intercept(T* value, T* first, T* second, const double* partial_sums, int n_partial_sums,
                          const T* schedule, i64* clock) {
    if (clock[MODE] != TRAIN) return;  // The visit that follows only repairs: the intercept has been trained.
    const i64 epoch = clock[EPOCH] + 1;
    double sum = 0;
    for (int i = 0; i < n_partial_sums; ++i) sum += partial_sums[i];
    const T* c = schedule + (epoch - clock[SCHEDULE_START]) * N_CONSTANTS;
    if (!adam(*value, *first, *second, (T)sum, c)) atomicMin(&clock[FIRST_BAD], epoch);
}

// --- Folded rows: sums of other rows, that are not in the matrix. They are added up level by level.

// Add to each parent of a level what its children have. A warp sums for each parent, in a fixed order. Before
// a repair there is nothing to add to: the prediction is that of an earlier visit.
__global__ void add_children(const int* parents, const int* starts, const int* children, int n_parents,
                             double* totals, i64* clock) {
    const int lane = threadIdx.x & 31, i = (int)((blockIdx.x * blockDim.x + threadIdx.x) >> 5);
    if (i >= n_parents || clock[MODE] == REPAIR) return;
    double sum = 0;
    for (int k = starts[i] + lane; k < starts[i + 1]; k += 32) sum += totals[children[k]];
    sum = sum_of_warp(sum);
    if (lane) return;
    const double total = totals[parents[i]] + sum;
    totals[parents[i]] = total;
    const bool is_finite = magnitude(total) <= 1.7976931348623157e308;
    if (!is_finite) atomicMin(&clock[FIRST_BAD], clock[EPOCH]);
}

// Copy the gradient by each prediction, from which that by each stored row is made: by a kernel, in a graph.
__global__ void copy_rows(int n_rows, const double* gradient, double* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n_rows) out[i] = gradient[i];
}

// Add to each child of a level's parents what these have: the transpose, for the levels in reverse order.
__global__ void add_parents(const int* children, const int* starts, const int* parents, int n_children,
                            double* gradient) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_children) return;
    double sum = gradient[children[i]];
    for (int k = starts[i]; k < starts[i + 1]; ++k) sum += gradient[parents[k]];
    gradient[children[i]] = sum;
}

// --- Products with M outside the epoch.

// Note the heaviest coefficient in a clock, and the unit that follows from it.
__global__ void weigh(const double* coefficients, i64 n_columns, i64* clock) {
    int heaviest = LIGHTEST;
    for (i64 j = (i64)blockIdx.x * blockDim.x + threadIdx.x; j < n_columns; j += (i64)gridDim.x * blockDim.x)
        heaviest = larger(heaviest, exponent_of(coefficients[j]));
    heaviest = most_of_warp(heaviest);
    if ((threadIdx.x & 31) == 0) {
        atomicMax(&clock[HEAVIEST], (i64)heaviest);
        atomicMax(&clock[UNIT], (i64)unit_for(heaviest));
    }
}

template <class T, class Index, int LANES, bool SHARED>
__global__ void __launch_bounds__(1024, 1)
matvec(const T* data, const Index* indices, const i64* indptr, i64 n_columns, int n_rows,
       const double* coefficients, u64* sums, const i64* clock, int columns_per_warp) {
    extern __shared__ u32 words[];
    clear_words<SHARED>(words, n_rows);
    const Entries<T, Index> m = {data, indices, indptr, n_columns, n_rows};
    const double scale = fixed_scale(clock);
    const int lane = threadIdx.x & 31;
    const i64 warp = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
    const i64 n_warps = (i64)gridDim.x * (blockDim.x >> 5);
    for (i64 first = warp * columns_per_warp; first < n_columns; first += n_warps * columns_per_warp) {
        const int n = (int)smaller((i64)columns_per_warp, n_columns - first);
        const double coefficient = lane < n ? coefficients[first + lane] : 0;
        const i64 begin = lane < n ? indptr[first + lane] : 0;
        const int length = coefficient != 0 ? (int)(indptr[first + lane + 1] - begin) : 0;
        scatter<LANES, SHARED>(m, begin, length, n, coefficient * scale, sums, words);
    }
    pour_words<SHARED>(sums, words, n_rows);
}

template <class T, class Index, int LANES>
__global__ void __launch_bounds__(1024, 1)
rmatvec(const T* data, const Index* indices, const i64* indptr, i64 n_columns, int n_rows,
        const double* rows, double* out, const i64* clock, int columns_per_warp) {
    const Entries<T, Index> m = {data, indices, indptr, n_columns, n_rows};
    const double lift = wide_power_of_two((int)clock[LIFT]);
    const int lane = threadIdx.x & 31;
    const i64 warp = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
    const i64 n_warps = (i64)gridDim.x * (blockDim.x >> 5);
    for (i64 first = warp * columns_per_warp; first < n_columns; first += n_warps * columns_per_warp) {
        const int n = (int)smaller((i64)columns_per_warp, n_columns - first);
        const i64 begin = lane < n ? indptr[first + lane] : 0;
        const int length = lane < n ? (int)(indptr[first + lane + 1] - begin) : 0;
        const double sum = gather<LANES>(m, begin, length, n, rows);
        if (lane < n) out[first + lane] = sum * lift;
    }
}

// --- Scaling the rows, once, when a matrix is loaded: in integers again, so that it can be repeated exactly.

// Note the largest and the smallest magnitude of each row.
template <class T, class Index>
__global__ void row_extremes(const T* data, const Index* indices, i64 n_entries, u64* largest,
                             u64* smallest) {
    const i64 n_threads = (i64)gridDim.x * blockDim.x;
    for (i64 k = (i64)blockIdx.x * blockDim.x + threadIdx.x; k < n_entries; k += n_threads) {
        // The bits of positive numbers are ordered as the numbers.
        const u64 bits = (u64)__double_as_longlong((double)magnitude(data[k]));
        const int row = (int)indices[k];
        if (bits > largest[row]) atomicMax(&largest[row], bits);  // What is read may be old, never too large.
        if (bits && bits < smallest[row]) atomicMin(&smallest[row], bits);
    }
}

// Sum the magnitudes of each row; an entry counts as a multiple, rounded up, of 2^-30 of the largest power
// of two.
template <class T, class Index>
__global__ void row_sums(const T* data, const Index* indices, i64 n_entries, const u64* largest, u64* sums) {
    const i64 n_threads = (i64)gridDim.x * blockDim.x;
    for (i64 k = (i64)blockIdx.x * blockDim.x + threadIdx.x; k < n_entries; k += n_threads) {
        const int row = (int)indices[k];
        const int top = exponent_of(__longlong_as_double((i64)largest[row]));
        atomicAdd(&sums[row], (u64)ceil(ldexp((double)magnitude(data[k]), 30 - top)));
    }
}

// Choose the exponent of each row; below the exponent `lowest`, numbers of type T are not normal.
__global__ void row_exponents(const u64* largest, const u64* smallest, u64* sums, int n_rows, int lowest,
                              int* exponents, i64* clock) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_rows) return;
    const u64 total = sums[i];
    sums[i] = 0;
    exponents[i] = 0;
    if (!total) return;
    const int wanted = exponent_of(__longlong_as_double((i64)largest[i])) - 30 + exponent_of((double)total);
    const int possible = exponent_of(__longlong_as_double((i64)smallest[i])) - 1 - lowest;
    exponents[i] = smaller(wanted, possible);
    if (wanted > possible) atomicMax(&clock[HEADROOM], (i64)(wanted - possible));
}

template <class T, class Index>
__global__ void scale_entries(T* data, const Index* indices, i64 n_entries, const int* exponents) {
    const i64 n_threads = (i64)gridDim.x * blockDim.x;
    for (i64 k = (i64)blockIdx.x * blockDim.x + threadIdx.x; k < n_entries; k += n_threads)
        data[k] = (T)ldexp((double)data[k], -exponents[(int)indices[k]]);
}
