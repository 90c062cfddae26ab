// The mathematics of one column: exp and log in float32, Philox, the chain rule, Adam and the gate. These
// are twins of l0np.maths, with the operations in the order of Numba's kernels and none of them fused
// (-fmad=false), so that every backend decides every gate alike. Tests compare constants and results.

// --- Elementary functions.

__device__ constexpr float EXP_RANGE = 86.0f;
__device__ constexpr float WEIGHT_RANGE = 89.0f;  // Above it exp overflows.
__device__ constexpr float LOG2_E = 1.4426950408889634;
__device__ constexpr float LN2_HIGH = 0.693359375, LN2_LOW = -2.1219444005469057e-4, LN2 = 0.6931471805599453;
__device__ constexpr int ROOT_HALF_BITS = 0x3F3504F3;  // These are the bits of sqrt(1/2).

template <class T> __device__ inline T smaller(T a, T b) { return b < a ? b : a; }
template <class T> __device__ inline T larger(T a, T b) { return b > a ? b : a; }
// NaN stays NaN.
template <class T> __device__ inline T clip(T x, T low, T high) { return smaller(larger(x, low), high); }
template <class T> __device__ inline T magnitude(T x) { return x < T(0) ? -x : x; }

__device__ inline float power_of_two(int exponent) { return __int_as_float((exponent + 127) << 23); }

// Return 2^exponent, or the nearest that is a normal number.
__device__ inline double wide_power_of_two(int exponent) {
    return __longlong_as_double((i64)(clip(exponent, -1022, 1023) + 1023) << 52);
}

// Return p, where exp x = p 2^k.
__device__ inline float exp_reduced(float x, float& k) {
    k = floorf(x * LOG2_E + 0.5f);
    const float r = x - k * LN2_HIGH - k * LN2_LOW;
    constexpr float e7 = 1.0 / 5040, e6 = 1.0 / 720, e5 = 1.0 / 120, e4 = 1.0 / 24, e3 = 1.0 / 6, e2 = 0.5;
    return ((((((e7 * r + e6) * r + e5) * r + e4) * r + e3) * r + e2) * r + 1.0f) * r + 1.0f;
}

// Convert to an integer. A result that is NaN stays NaN by its other factor, the series.
__device__ inline int whole(float k) { return k == k ? (int)k : 0; }

__device__ inline float exp_clipped(float x) {
    float k;
    const float p = exp_reduced(clip(x, -EXP_RANGE, EXP_RANGE), k);
    return p * power_of_two(whole(k));
}
__device__ inline double exp_clipped(double x) { return exp(clip(x, -700.0, 700.0)); }

// Return exp x, infinite where it overflows, so that the divergence is noticed. A factor of 2^128 takes two
// steps.
__device__ inline float exp_weight(float x) {
    float k;
    const float p = exp_reduced(clip(x, -EXP_RANGE, WEIGHT_RANGE), k);
    return p * power_of_two(whole(k) - 1) * 2.0f;
}
__device__ inline double exp_weight(double x) { return exp(x); }

// Return log x = log m + k log 2, where x = m 2^k and log m = 2 artanh((m - 1) / (m + 1)).
__device__ inline float log_positive(float x) {
    const int bits = __float_as_int(x), k = (bits - ROOT_HALF_BITS) >> 23;
    const float m = __int_as_float(bits - (k << 23)), s = (m - 1.0f) / (m + 1.0f), q = s * s;
    constexpr float a3 = 1.0 / 3, a5 = 1.0 / 5, a7 = 1.0 / 7, a9 = 1.0 / 9;
    return 2.0f * s * (1.0f + q * (a3 + q * (a5 + q * (a7 + q * a9)))) + (float)k * LN2;
}
__device__ inline double log_positive(double x) { return log(x); }

__device__ inline float root(float x) { return sqrtf(x); }
__device__ inline double root(double x) { return sqrt(x); }

// --- The draw of one column (philox.uniform), clipped as HardConcrete does.

__device__ inline float clipped_uniform(u64 seed, u64 epoch, u64 column) {
    const u64 quad = column >> 2;
    u32 c0 = (u32)quad, c1 = (u32)(quad >> 32), c2 = (u32)epoch, c3 = 0;  // Gates are stream 0.
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const u64 product0 = (u64)c0 * 0xD2511F53u, product1 = (u64)c2 * 0xCD9E8D57u;
        c0 = (u32)(product1 >> 32) ^ c1 ^ k0, c1 = (u32)product1;
        c2 = (u32)(product0 >> 32) ^ c3 ^ k1, c3 = (u32)product0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    const u32 half = (column & 2) ? 2 : 0, word = (column & 1) ? (half ? c3 : c1) : (half ? c2 : c0);
    constexpr float smallest = 1e-6, largest = 1.0 - 1e-6, step = 1.0 / 8388608;
    return clip(((float)(int)(word >> 9) + 0.5f) * step, smallest, largest);
}

// --- A column: its parameters, their moments, and the slopes of its effective weight w z (Slopes).

template <class T> struct Vectors {
    T *theta, *theta_first, *theta_second, *log_alpha, *log_alpha_first, *log_alpha_second;
    T *theta_slope, *log_alpha_slope;
    const T* anchor;  // It is null without an anchor, and is read only where LAMBDA_ANCHOR is above 0.
};

template <class T> struct Drawn {
    T weight, product;  // They are w and w z.
    bool closed;
};

// Update in place (adam_update); return whether the numbers are still in their range.
template <class T> __device__ inline bool adam(T& value, T& first, T& second, T gradient, const T* c) {
    const T m = c[DECAY1] * first + c[GAIN1] * gradient;
    const T v = c[DECAY2] * second + c[GAIN2] * (gradient * gradient);
    const T x = value - c[STEP_SIZE] * m / (root(v) * c[ROOT_FACTOR] + c[EPSILON]);
    first = m, second = v, value = x;
    return v <= c[LARGEST_NUMBER] && magnitude(x) <= c[LARGEST_NUMBER];
}

// The backward half of a column's epoch, given M_j . dloss/dprediction; return whether the numbers are
// still in their range.
template <class T>
__device__ inline bool train(const Vectors<T>& v, i64 j, T gradient, const T* c, bool exponential,
                             bool gated) {
    T theta = v.theta[j], by_theta = gradient * v.theta_slope[j];
    if (c[LAMBDA_L2] > T(0)) {
        const T weight = exponential ? exp_weight(theta) : theta;
        by_theta += c[LAMBDA_L2] * (exponential ? T(2) * weight * weight : T(2) * weight);
    }
    if (c[LAMBDA_ANCHOR] > T(0)) {  // Weights are exp(theta).
        const T ratio = exp_weight(theta - v.anchor[j]);
        by_theta += c[LAMBDA_ANCHOR] * (T(2) * (ratio - T(1)) * ratio);
    }
    bool fine = adam(theta, v.theta_first[j], v.theta_second[j], by_theta, c);
    v.theta[j] = theta;
    if (gated) {
        T a = v.log_alpha[j], by_log_alpha = gradient * v.log_alpha_slope[j];
        if (c[LAMBDA_L0] != T(0)) {  // It is below 0 where a controller holds gates open.
            const T grown = exp_clipped(clip(a, -c[BOUND], c[BOUND]) + c[PENALTY_SHIFT]);
            const T closed = T(1) / (T(1) + grown);
            const T derivative = (grown * closed) * closed;
            by_log_alpha += c[LAMBDA_L0] * (magnitude(a) <= c[BOUND] ? derivative : derivative - derivative);
        }
        fine = adam(a, v.log_alpha_first[j], v.log_alpha_second[j], by_log_alpha, c) && fine;
        v.log_alpha[j] = a;
    }
    return fine;
}

// The forward half: draw the gate (HardConcrete.sample), leave the slopes.
template <class T>
__device__ inline Drawn<T> draw(const Vectors<T>& v, i64 j, float u, const T* c, bool exponential,
                                bool gated) {
    const T theta = v.theta[j], weight = exponential ? exp_weight(theta) : theta;
    T gate = T(1), gate_slope = T(0);
    bool is_open = true;
    if (gated) {
        const T log_alpha = v.log_alpha[j], a = clip(log_alpha, -c[BOUND], c[BOUND]);
        is_open = u > 1.0f / (1.0f + exp_clipped((float)(a + c[SHIFT])));  // See HardConcrete.is_closed.
        const T wide = u;
        const T s = T(1) / (T(1) + exp_clipped(-(log_positive(wide / (T(1) - wide)) + a) / c[BETA]));
        const T stretched = s * c[STRETCH] + c[GAMMA];
        gate = is_open ? clip(stretched, T(0), T(1)) : T(0);
        const bool moves = is_open && stretched < T(1) && magnitude(log_alpha) <= c[BOUND];
        gate_slope = moves ? s * (T(1) - s) * c[SLOPE] : T(0);
    }
    const T product = gate > T(0) ? weight * gate : T(0);  // A weight may be infinite, and 0 times it is NaN.
    v.theta_slope[j] = exponential ? product : gate;
    v.log_alpha_slope[j] = gate_slope != T(0) ? weight * gate_slope : T(0);
    return {weight, product, !is_open};
}
