// Columns of a row-major matrix as vectors: 16 rows of kColumns adjacent elements are loaded,
// widened to floats and transposed in registers. Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// How elements are read as floats, 16 at a time.
struct F32Source {
  using Type = float;
  static Vec load16(const float* p) { return load(p); }
};
struct F16Source {
  using Type = uint16_t;
  static Vec load16(const uint16_t* p) { return load_half(p); }
};
struct BF16Source {
  using Type = uint16_t;
  static Vec load16(const uint16_t* p) { return load_bf16(p); }
};
struct I8Source {
  using Type = int8_t;
  static Vec load16(const int8_t* p) { return load_i8(p); }
};

/// Sixteen elements that lie `stride` apart, of which `count` exist; the rest are zero.
template <class Source>
inline Vec gather(const typename Source::Type* p, int64_t stride, int count) {
  typename Source::Type lane[16] = {};
  for (int i = 0; i < count; ++i) lane[i] = p[i * stride];
  return Source::load16(lane);
}

#if defined(YITI_ISA_avx512)

inline constexpr int kColumns = 16;

inline __m512 unpack_low64(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
inline __m512 unpack_high64(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

/// out[j] lane i = rows[i][j]
template <class Source>
inline void load_columns(const typename Source::Type* const rows[16], int64_t at, Vec out[16]) {
  __m512 quad[16];  // [4 rows][column within a quarter], quarters of 4 columns in the 128-bit lanes
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const __m512 r0 = Source::load16(rows[i] + at).v, r1 = Source::load16(rows[i + 1] + at).v;
    const __m512 r2 = Source::load16(rows[i + 2] + at).v, r3 = Source::load16(rows[i + 3] + at).v;
    const __m512 a = _mm512_unpacklo_ps(r0, r1), b = _mm512_unpackhi_ps(r0, r1);
    const __m512 c = _mm512_unpacklo_ps(r2, r3), d = _mm512_unpackhi_ps(r2, r3);
    quad[i] = unpack_low64(a, c);
    quad[i + 1] = unpack_high64(a, c);
    quad[i + 2] = unpack_low64(b, d);
    quad[i + 3] = unpack_high64(b, d);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 even01 = _mm512_shuffle_f32x4(quad[j], quad[j + 4], 0x88);
    const __m512 odd01 = _mm512_shuffle_f32x4(quad[j], quad[j + 4], 0xdd);
    const __m512 even23 = _mm512_shuffle_f32x4(quad[j + 8], quad[j + 12], 0x88);
    const __m512 odd23 = _mm512_shuffle_f32x4(quad[j + 8], quad[j + 12], 0xdd);
    out[j].v = _mm512_shuffle_f32x4(even01, even23, 0x88);
    out[j + 4].v = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    out[j + 8].v = _mm512_shuffle_f32x4(even01, even23, 0xdd);
    out[j + 12].v = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
  }
}

#elif defined(YITI_ISA_avx2)

inline constexpr int kColumns = 8;

inline __m256 load8(F32Source, const float* p) { return _mm256_loadu_ps(p); }
inline __m256 load8(F16Source, const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256 load8(BF16Source, const uint16_t* p) { return widen_bf16(p); }

/// The 128-bit halves at p and q, of which q becomes the upper one.
inline __m256 two_halves(const float* p, const float* q) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1);
}

/// v[j] = columns j (lower half: rows 0-3, upper: rows 4-7) of four rows of four, both halves.
inline void transpose_quads(const __m256 r[4], __m256 v[4]) {
  const __m256 a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
  const __m256 c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
  v[0] = _mm256_shuffle_ps(a, c, 0x44);
  v[1] = _mm256_shuffle_ps(a, c, 0xee);
  v[2] = _mm256_shuffle_ps(b, d, 0x44);
  v[3] = _mm256_shuffle_ps(b, d, 0xee);
}

template <class Source>
inline void transpose8(const typename Source::Type* const rows[8], int64_t at, __m256 out[8]) {
  __m256 left[4], right[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(typename Source::Type) == 4) {
      left[i] = two_halves(rows[i] + at, rows[i + 4] + at);
      right[i] = two_halves(rows[i] + at + 4, rows[i + 4] + at + 4);
    } else {
      const __m256 low = load8(Source{}, rows[i] + at), high = load8(Source{}, rows[i + 4] + at);
      left[i] = _mm256_permute2f128_ps(low, high, 0x20);
      right[i] = _mm256_permute2f128_ps(low, high, 0x31);
    }
  }
  transpose_quads(left, out);
  transpose_quads(right, out + 4);
}

template <class Source>
inline void load_columns(const typename Source::Type* const rows[16], int64_t at, Vec out[8]) {
  __m256 half[8];
  transpose8<Source>(rows, at, half);
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) out[j].a = half[j];
  transpose8<Source>(rows + 8, at, half);
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) out[j].b = half[j];
}

#else

inline constexpr int kColumns = 8;

template <class Source>
inline void load_columns(const typename Source::Type* const rows[16], int64_t at, Vec out[8]) {
  for (int j = 0; j < 8; ++j) {
    typename Source::Type lane[16];
    for (int i = 0; i < 16; ++i) lane[i] = rows[i][at + j];
    out[j] = Source::load16(lane);
  }
}

#endif

/// Column `at` alone.
template <class Source>
inline Vec load_column(const typename Source::Type* const rows[16], int64_t at) {
  typename Source::Type lane[16];
  for (int i = 0; i < 16; ++i) lane[i] = rows[i][at];
  return Source::load16(lane);
}

}  // namespace yiti::cpu::YITI_ISA
