// Functions of single elements, for kernels of each compiler: before common.cl, and where nvcc compiles.
// A function is DEVICE.
#ifdef __OPENCL_VERSION__
#pragma OPENCL FP_CONTRACT OFF
#endif
#ifndef DEVICE
#define DEVICE
#endif

// e^x within 2 ulp by plain IEEE operations, so that every compiler gives the same bits: 0 below
// -87.3, infinity above 88.72. Cody-Waite reduction to |r| <= ln(2)/2, then a polynomial. Adding and
// taking off 1.5 * 2^23 rounds to the nearest integer.
#define EXPONENTIAL(name, T, I, convert_I, as_T)                        \
  inline T name(T x) {                                                  \
    const T low = x < (T)(-87.3f) ? (T)(-87.3f) : x;                    \
    const T kept = low > (T)(88.72f) ? (T)(88.72f) : low;               \
    const T n = fma(kept, (T)(1.44269504088896341f), (T)(12582912.0f)) - (T)(12582912.0f); \
    T r = fma(-n, (T)(0.693359375f), kept);                             \
    r = fma(-n, (T)(-2.12194440e-4f), r);                               \
    T p = fma((T)(1.9875691500e-4f), r, (T)(1.3981999507e-3f));         \
    p = fma(p, r, (T)(8.3334519073e-3f));                               \
    p = fma(p, r, (T)(4.1665795894e-2f));                               \
    p = fma(p, r, (T)(1.6666665459e-1f));                               \
    p = fma(p, r, (T)(5.0000001201e-1f));                               \
    p = fma(p * r, r, r + (T)(1.0f));                                   \
    /* 2^n in two steps, since n may be 128. */                         \
    const I whole = convert_I(n), part = whole >> 1;                    \
    const T y = p * as_T((part + 127) << 23) * as_T((whole - part + 127) << 23); \
    return x != x ? x : x < (T)(-87.3f) ? (T)(0.0f) : x > (T)(88.72f) ? (T)(INFINITY) : y; \
  }

DEVICE EXPONENTIAL(exp_of, float, int, (int), as_float)

DEVICE inline float sigmoid_of(float x) { return 1.0f / (1.0f + exp_of(-x)); }
DEVICE inline float swiglu_of(float gate, float up) { return gate * sigmoid_of(gate) * up; }

// The next value of a parameter by AdamW, and of its moments. Multiplications and additions are rounded
// one by one, in the order in which torch.optim writes them.
DEVICE inline float adamw_of(float param, float grad, float *m, float *v, float grad_scale,
                             float decay, float mix1, float beta2, float mix2,
                             float root_correction2, float eps, float step_size) {
  const float g = grad * grad_scale;
  const float first = *m + mix1 * (g - *m);
  const float second = *v * beta2 + mix2 * g * g;
  *m = first;
  *v = second;
  return param * decay - step_size * first / (sqrt(second) / root_correction2 + eps);
}
