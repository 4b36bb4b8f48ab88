// Ops of one and two operands, one work-item an element. T is the element type of binary ones.

#define UNARY(name, result)                                                              \
  __kernel void name##_each(IN(float, in), OUT(float, out), const float p, const float q, \
                            const long count) {                                           \
    const long i = get_global_id(0);                                                      \
    AT(in);                                                                               \
    AT(out);                                                                              \
    if (i >= count) return;                                                               \
    const float x = in[i];                                                                \
    out[i] = result;                                                                      \
  }

#ifndef T
UNARY(neg, -x)
UNARY(exp, exp_of(x))
UNARY(log, log(x))
UNARY(sqrt, sqrt(x))
UNARY(rsqrt, 1.0f / sqrt(x))
UNARY(square, x * x)
UNARY(abs, fabs(x))
UNARY(tanh, tanh(x))
UNARY(sigmoid, sigmoid_of(x))
UNARY(relu, x < 0.0f ? 0.0f : x)
UNARY(silu, x * sigmoid_of(x))
UNARY(gelu, 0.5f * x * (1.0f + erf(x * 0.70710678118654752440f)))
UNARY(gelu_tanh, 0.5f * x * (1.0f + tanh(0.79788456080286535588f * fma(0.044715f * x * x, x, x))))
UNARY(scale, fma(x, p, q))
UNARY(clamp, x < p ? p : x > q ? q : x)
UNARY(sin, sin(x))
UNARY(cos, cos(x))

// silu(gate) * up.
__kernel void swiglu(IN(float, gate), IN(float, up), OUT(float, y), const long count) {
  const long i = get_global_id(0);
  AT(gate);
  AT(up);
  AT(y);
  if (i >= count) return;
  y[i] = swiglu_of(gate[i], up[i]);
}

// silu'(g) = s (1 + g (1 - s)) with s = sigmoid(g).
__kernel void swiglu_backward(IN(float, gate), IN(float, up), IN(float, dy), OUT(float, dgate),
                              OUT(float, dup), const long count) {
  const long i = get_global_id(0);
  AT(gate);
  AT(up);
  AT(dy);
  AT(dgate);
  AT(dup);
  if (i >= count) return;
  const float g = gate[i], s = sigmoid_of(g);
  dup[i] = dy[i] * (g * s);
  dgate[i] = dy[i] * up[i] * (s * fma(g, 1.0f - s, 1.0f));
}

// Ten rounds of Philox4x32 (Salmon et al. 2011): the first 64 bits of number `index` of a stream.
inline ulong random_bits(ulong index, ulong stream, ulong seed) {
  uint c0 = (uint)index, c1 = (uint)(index >> 32), c2 = (uint)stream, c3 = (uint)(stream >> 32);
  uint key0 = (uint)seed, key1 = (uint)(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const ulong a = 0xD2511F53UL * c0, b = 0xCD9E8D57UL * c2;
    c0 = (uint)(b >> 32) ^ c1 ^ key0;
    c1 = (uint)b;
    c2 = (uint)(a >> 32) ^ c3 ^ key1;
    c3 = (uint)a;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return (ulong)c1 << 32 | c0;
}

// x where a random number of 32 bits reaches the threshold, scaled up; else 0. Two elements share a
// draw.
__kernel void dropout(IN(float, x), OUT(float, y), const long seed, const long stream,
                      const long threshold, const float factor, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(y);
  if (i >= count) return;
  const ulong bits = random_bits((ulong)(i / 2), (ulong)stream, (ulong)seed);
  y[i] = (long)(i % 2 == 0 ? (uint)bits : bits >> 32) >= threshold ? x[i] * factor : 0.0f;
}
#else

// Operands whose elements repeat after left_count and right_count, or that a Walk describes.
#define BINARY(name, R, result)                                                                \
  __kernel void name##_each(IN(T, left), IN(T, right), OUT(R, out), const long left_count,     \
                            const long right_count, const long count) {                        \
    const long i = get_global_id(0);                                                           \
    AT(left);                                                                                  \
    AT(right);                                                                                 \
    AT(out);                                                                                   \
    if (i >= count) return;                                                                    \
    const T a = left[left_count == count ? i : i % left_count];                                \
    const T b = right[right_count == count ? i : i % right_count];                             \
    out[i] = result;                                                                           \
  }                                                                                            \
  __kernel void name##_walk(IN(T, left), const Walk left_walk, IN(T, right),                   \
                            const Walk right_walk, OUT(R, out), const long count) {            \
    const long i = get_global_id(0);                                                           \
    AT(left);                                                                                  \
    AT(right);                                                                                 \
    AT(out);                                                                                   \
    if (i >= count) return;                                                                    \
    const T a = left[walk_to(&left_walk, i)], b = right[walk_to(&right_walk, i)];              \
    out[i] = result;                                                                           \
  }

BINARY(add, T, a + b)
BINARY(sub, T, a - b)
BINARY(mul, T, a *b)
BINARY(maximum, T, a > b || a != a ? a : b)
BINARY(minimum, T, a < b || a != a ? a : b)
BINARY(equal, uchar, a == b)
BINARY(less, uchar, a < b)
BINARY(greater, uchar, a > b)
#ifdef FLOATS
BINARY(div, T, a / b)
BINARY(pow, T, pow(a, b))
#endif
#endif
