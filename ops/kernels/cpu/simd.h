// Sixteen float lanes, whatever the machine has: one AVX-512 register, two AVX registers or an
// array. Every instruction set computes each lane by the same IEEE operations in the same order, so
// kernels written with these give the same bits on all of them. Only for *.isa.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(YITI_ISA_avx2) || defined(YITI_ISA_avx512)
#include <immintrin.h>
#endif

namespace yiti::cpu::YITI_ISA {

inline constexpr int kLanes = 16;

#if defined(YITI_ISA_avx512)

struct Vec {
  __m512 v;
};
struct IVec {
  __m512i v;
};

inline Vec zero() { return {_mm512_setzero_ps()}; }
inline Vec set1(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
/// The first n lanes; the others are zero and are not read.
inline Vec load_n(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p)};
}
inline void store_n(float* p, Vec a, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), a.v);
}
inline Vec load_half(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_half(uint16_t* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, 0));
}
inline Vec load_bf16(const uint16_t* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline Vec load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}
inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// c - a * b, rounded once.
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }  ///< b where either is NaN
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec round(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/// yes where a < b, else no.
inline Vec select_less(Vec a, Vec b, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
}
inline __m256 low_half(Vec x) { return _mm512_castps512_ps256(x.v); }
inline __m256 high_half(Vec x) { return _mm512_extractf32x8_ps(x.v, 1); }
inline IVec to_int(Vec a) { return {_mm512_cvtps_epi32(a.v)}; }  ///< to nearest even
inline Vec to_float(IVec a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline IVec izero() { return {_mm512_setzero_si512()}; }
inline IVec iset1(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline IVec operator+(IVec a, IVec b) { return {_mm512_add_epi32(a.v, b.v)}; }
/// 2^n as floats, for -126 <= n <= 127.
inline Vec exp2i(IVec n) {
  return {
      _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23))};
}

#elif defined(YITI_ISA_avx2)

struct Vec {
  __m256 a, b;
};
struct IVec {
  __m256i a, b;
};

inline Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vec set1(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Vec x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline __m256i lane_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vec load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, lane_mask(n)), _mm256_maskload_ps(p + 8, lane_mask(n - 8))};
}
inline void store_n(float* p, Vec x, int n) {
  _mm256_maskstore_ps(p, lane_mask(n), x.a);
  _mm256_maskstore_ps(p + 8, lane_mask(n - 8), x.b);
}
inline Vec load_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline void store_half(uint16_t* p, Vec x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.a, 0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.b, 0));
}
inline __m256 widen_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline Vec load_bf16(const uint16_t* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }
inline __m256 widen_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
inline Vec load_i8(const int8_t* p) { return {widen_i8(p), widen_i8(p + 8)}; }
inline Vec operator+(Vec x, Vec y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Vec operator-(Vec x, Vec y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Vec operator*(Vec x, Vec y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Vec operator/(Vec x, Vec y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline Vec fma(Vec x, Vec y, Vec z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Vec fnma(Vec x, Vec y, Vec z) {
  return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
}
inline Vec max(Vec x, Vec y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Vec min(Vec x, Vec y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Vec sqrt(Vec x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
inline Vec abs(Vec x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
inline Vec round(Vec x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
}
inline Vec select_less(Vec x, Vec y, Vec yes, Vec no) {
  return {_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
          _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}
inline IVec to_int(Vec x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
inline Vec to_float(IVec x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline IVec izero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline IVec iset1(int32_t x) {
  const __m256i v = _mm256_set1_epi32(x);
  return {v, v};
}
inline IVec operator+(IVec x, IVec y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline __m256 low_half(Vec x) { return x.a; }
inline __m256 high_half(Vec x) { return x.b; }
inline Vec exp2i(IVec n) {
  const __m256i bias = _mm256_set1_epi32(127);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.a, bias), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.b, bias), 23))};
}

#else  // portable

struct Vec {
  float v[16];
};
struct IVec {
  int32_t v[16];
};

template <class F>
inline Vec each(F f) {
  Vec out;
  for (int i = 0; i < 16; ++i) out.v[i] = f(i);
  return out;
}
inline Vec set1(float x) {
  return each([&](int) { return x; });
}
inline Vec zero() { return set1(0.0f); }
inline Vec load(const float* p) {
  return each([&](int i) { return p[i]; });
}
inline void store(float* p, Vec x) {
  for (int i = 0; i < 16; ++i) p[i] = x.v[i];
}
inline Vec load_n(const float* p, int n) {
  return each([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store_n(float* p, Vec x, int n) {
  for (int i = 0; i < n && i < 16; ++i) p[i] = x.v[i];
}
inline float from_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t to_bits(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  if (rest >= 0x400u) return from_bits(sign | ((rest << 13) + (112u << 23)));
  return from_bits(sign | to_bits(static_cast<float>(rest) * 0x1p-24f));
}
inline uint16_t float_to_half(float x) {
  const uint32_t bits = to_bits(x), rest = bits & 0x7fffffffu;
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((rest >> 13) & 0x3ffu));
  if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (rest < 0x38800000u) {
    return static_cast<uint16_t>(sign | (to_bits(from_bits(rest) + 0.5f) - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | ((rest - (112u << 23) + 0xfffu + ((rest >> 13) & 1u)) >> 13));
}
inline Vec load_half(const uint16_t* p) {
  return each([&](int i) { return half_to_float(p[i]); });
}
inline void store_half(uint16_t* p, Vec x) {
  for (int i = 0; i < 16; ++i) p[i] = float_to_half(x.v[i]);
}
inline Vec load_bf16(const uint16_t* p) {
  return each([&](int i) { return from_bits(static_cast<uint32_t>(p[i]) << 16); });
}
inline Vec load_i8(const int8_t* p) {
  return each([&](int i) { return static_cast<float>(p[i]); });
}
inline Vec operator+(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] + y.v[i]; });
}
inline Vec operator-(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] - y.v[i]; });
}
inline Vec operator*(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] * y.v[i]; });
}
inline Vec operator/(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] / y.v[i]; });
}
inline Vec fma(Vec x, Vec y, Vec z) {
  return each([&](int i) { return __builtin_fmaf(x.v[i], y.v[i], z.v[i]); });
}
inline Vec fnma(Vec x, Vec y, Vec z) {
  return each([&](int i) { return __builtin_fmaf(-x.v[i], y.v[i], z.v[i]); });
}
inline Vec max(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] > y.v[i] ? x.v[i] : y.v[i]; });
}
inline Vec min(Vec x, Vec y) {
  return each([&](int i) { return x.v[i] < y.v[i] ? x.v[i] : y.v[i]; });
}
inline Vec sqrt(Vec x) {
  return each([&](int i) { return __builtin_sqrtf(x.v[i]); });
}
inline Vec abs(Vec x) {
  return each([&](int i) { return __builtin_fabsf(x.v[i]); });
}
inline Vec round(Vec x) {
  return each([&](int i) { return __builtin_rintf(x.v[i]); });
}
inline Vec select_less(Vec x, Vec y, Vec yes, Vec no) {
  return each([&](int i) { return x.v[i] < y.v[i] ? yes.v[i] : no.v[i]; });
}
inline IVec to_int(Vec x) {
  IVec out;
  for (int i = 0; i < 16; ++i) {
    // What x86 gives for what does not fit.
    const bool fits = x.v[i] >= -0x1p31f && x.v[i] < 0x1p31f;
    out.v[i] = fits ? static_cast<int32_t>(__builtin_rintf(x.v[i])) : INT32_MIN;
  }
  return out;
}
inline Vec to_float(IVec x) {
  return each([&](int i) { return static_cast<float>(x.v[i]); });
}
inline IVec iset1(int32_t x) {
  IVec out;
  for (int32_t& lane : out.v) lane = x;
  return out;
}
inline IVec izero() { return iset1(0); }
inline IVec operator+(IVec x, IVec y) {
  IVec out;
  for (int i = 0; i < 16; ++i) {
    out.v[i] = static_cast<int32_t>(static_cast<uint32_t>(x.v[i]) + static_cast<uint32_t>(y.v[i]));
  }
  return out;
}
inline Vec exp2i(IVec n) {
  return each([&](int i) { return from_bits(static_cast<uint32_t>(n.v[i] + 127) << 23); });
}

#endif

/// Rounded to nearest even; NaN stays NaN. A plain integer function, which the compiler vectorises.
inline uint16_t to_bf16(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : rounded);
}
inline void store_bf16(uint16_t* p, Vec x) {
  float lanes[kLanes];
  store(lanes, x);
  for (int i = 0; i < kLanes; ++i) p[i] = to_bf16(lanes[i]);
}

/// The sum of the lanes, by a fixed tree: halves, quarters, …
inline float sum(Vec x) {
#if defined(YITI_ISA_avx512) || defined(YITI_ISA_avx2)
  const __m256 half = _mm256_add_ps(low_half(x), high_half(x));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
#else
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] + x.v[i + half];
  }
  return x.v[0];
#endif
}

/// The largest lane, by the same tree of max.
inline float max_lane(Vec x) {
#if defined(YITI_ISA_avx512) || defined(YITI_ISA_avx2)
  const __m256 half = _mm256_max_ps(low_half(x), high_half(x));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
#else
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] > x.v[i + half] ? x.v[i] : x.v[i + half];
  }
  return x.v[0];
#endif
}

/// e^x / 2^n for -88 < x < 89, with n = x / ln(2) rounded: Cody-Waite reduction to
/// |r| <= ln(2)/2, then a polynomial of degree 6 (Taylor, with its last terms refitted).
inline Vec exp_mantissa(Vec x, Vec& n) {
  n = round(x * set1(1.44269504088896341f));
  Vec r = fnma(n, set1(0.693359375f), x);
  r = fnma(n, set1(-2.12194440e-4f), r);
  Vec p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  return fma(p * r, r, r + set1(1.0f));
}

/// e^x within 2 ulp; 0 below -87.3, +inf above 88.7, NaN for NaN.
inline Vec exp(Vec x) {
  const Vec low = set1(-87.3f), high = set1(88.72f);
  Vec n;
  const Vec p = exp_mantissa(min(high, max(low, x)), n);
  // 2^n in two steps, since n may be 128.
  const IVec half_n = to_int(n * set1(0.5f));
  const Vec scale = exp2i(half_n);
  const Vec rest = exp2i(to_int(n - to_float(half_n)));
  Vec y = p * scale * rest;
  y = select_less(x, low, zero(), y);
  y = select_less(high, x, set1(__builtin_inff()), y);
  return select_less(set1(-__builtin_inff()), abs(x), y, x);  // NaN compares false
}

/// e^x for x <= 0, faster; NaN for NaN.
inline Vec exp_below_zero(Vec x) {
  const Vec low = set1(-87.3f);
  Vec n;
  const Vec p = exp_mantissa(max(low, x), n);
  return select_less(x, low, zero(), p * exp2i(to_int(n)));
}

inline Vec sigmoid(Vec x) { return set1(1.0f) / (set1(1.0f) + exp(zero() - x)); }

}  // namespace yiti::cpu::YITI_ISA
