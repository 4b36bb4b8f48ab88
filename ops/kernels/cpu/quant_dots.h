// Integer products of one panel block with M rows of activation codes, for each instruction set.
// Only for *.isa.cpp.
#pragma once

#include "ops/kernels/cpu/quant.h"
#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// One block of 32 codes of several rows of activations.
struct CodeRows {
  const int8_t* codes;
  int64_t stride;
  const BlockScale* scales;
  int64_t scale_stride;

  const int8_t* row(int m) const { return codes + m * stride; }
  int32_t sum(int m) const { return scales[m * scale_stride].code_sum; }
};

#if defined(YITI_ISA_avx512) || defined(YITI_ISA_avx2)
/// Four codes in a register.
inline int32_t four_codes(const int8_t* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, 4);
  return four;
}
#endif

#if defined(YITI_ISA_avx512)

inline constexpr int kQuantRows = 8;

/// dots[m] lane r = sum of weight (r, k) * x.row(m)[k] over the block.
template <BlockType kType, int M>
inline void block_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  // The instruction wants unsigned weights: an offset is taken back through the sum of the codes.
  constexpr int32_t kOffset = kType == BlockType::kQ4_0 ? 8 : kType == BlockType::kQ8_0 ? 128 : 0;
  for (int m = 0; m < M; ++m) {
    dots[m] = kOffset == 0 ? izero() : iset1(-kOffset * x.sum(m));
  }
  const __m512i nibble = _mm512_set1_epi8(15), flip = _mm512_set1_epi8(-128);
  for (int g = 0; g < code_groups(kType); ++g) {
    const __m512i packed = _mm512_loadu_si512(weights + 64 * g);
    if constexpr (kType == BlockType::kQ8_0) {
      const __m512i w = _mm512_xor_si512(packed, flip);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        const __m512i codes = _mm512_set1_epi32(four_codes(x.row(m) + 4 * g));
        dots[m].v = _mm512_dpbusd_epi32(dots[m].v, w, codes);
      }
    } else {
      const __m512i low = _mm512_and_si512(packed, nibble);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(packed, 4), nibble);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        const int8_t* row = x.row(m) + 4 * g;
        dots[m].v = _mm512_dpbusd_epi32(dots[m].v, low, _mm512_set1_epi32(four_codes(row)));
        dots[m].v = _mm512_dpbusd_epi32(dots[m].v, high, _mm512_set1_epi32(four_codes(row + 16)));
      }
    }
  }
}

inline float max_abs(Vec a, Vec b) { return _mm512_reduce_max_ps(max(abs(a), abs(b)).v); }

/// Sixteen integers each of a and b as bytes; their sum.
inline int32_t store_codes(int8_t* codes, IVec a, IVec b) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtsepi32_epi8(a.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm512_cvtsepi32_epi8(b.v));
  return _mm512_reduce_add_epi32((a + b).v);
}

#elif defined(YITI_ISA_avx2)

inline constexpr int kQuantRows = 4;

inline __m256i load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Keeps the compiler from regrouping a sum of integers, for which it runs out of registers.
inline void keep_order(__m256i& sum) { __asm__ volatile("" : "+x"(sum)); }

// Sums of products of 4-bit weights fit 16 bits over a whole block: 16 * 15 * 127 < 2^15.
struct ShortSums {
  __m256i a, b;

  /// Adds products with four codes of every row's weights.
  void add(__m256i weights_a, __m256i weights_b, const int8_t* codes, bool begins) {
    const __m256i x = _mm256_set1_epi32(four_codes(codes));
    const __m256i product_a = _mm256_maddubs_epi16(weights_a, x);
    a = begins ? product_a : _mm256_add_epi16(a, product_a);
    keep_order(a);
    const __m256i product_b = _mm256_maddubs_epi16(weights_b, x);
    b = begins ? product_b : _mm256_add_epi16(b, product_b);
    keep_order(b);
  }
};

template <BlockType kType, int M>
inline void finish_dots(const ShortSums (&sums)[M], const CodeRows& x, IVec (&dots)[M]) {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m) {
    dots[m] = {_mm256_madd_epi16(sums[m].a, ones), _mm256_madd_epi16(sums[m].b, ones)};
    if constexpr (kType == BlockType::kQ4_0) dots[m] = dots[m] + iset1(-8 * x.sum(m));
  }
}

template <BlockType kType, int M>
inline void nibble_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  const __m256i nibble = _mm256_set1_epi8(15);
  ShortSums sums[M];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const __m256i pa = load_bytes(weights + 64 * g), pb = load_bytes(weights + 64 * g + 32);
    const __m256i low_a = _mm256_and_si256(pa, nibble), low_b = _mm256_and_si256(pb, nibble);
    const __m256i high_a = _mm256_and_si256(_mm256_srli_epi16(pa, 4), nibble);
    const __m256i high_b = _mm256_and_si256(_mm256_srli_epi16(pb, 4), nibble);
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) {
      sums[m].add(low_a, low_b, x.row(m) + 4 * g, g == 0);
      sums[m].add(high_a, high_b, x.row(m) + 4 * g + 16, false);
    }
  }
  finish_dots<kType>(sums, x, dots);
}

inline constexpr bool kUnpacks = true;
inline constexpr int kUnpackRows = 32;

/// As block_dots, of an UnpackedBlock.
template <BlockType kType, int M>
inline void unpacked_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  ShortSums sums[M];
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const __m256i a = load_bytes(weights + 64 * g), b = load_bytes(weights + 64 * g + 32);
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) sums[m].add(a, b, x.row(m) + 4 * g, g == 0);
  }
  finish_dots<kType>(sums, x, dots);
}

// The first factor must be unsigned: the weight's sign moves to the activation, whose codes are
// never -128.
template <int M>
inline void byte_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m) dots[m] = izero();
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const __m256i wa = load_bytes(weights + 64 * g), wb = load_bytes(weights + 64 * g + 32);
    const __m256i size_a = _mm256_abs_epi8(wa), size_b = _mm256_abs_epi8(wb);
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) {
      const __m256i codes = _mm256_set1_epi32(four_codes(x.row(m) + 4 * g));
      const __m256i pa = _mm256_maddubs_epi16(size_a, _mm256_sign_epi8(codes, wa));
      const __m256i pb = _mm256_maddubs_epi16(size_b, _mm256_sign_epi8(codes, wb));
      dots[m] = dots[m] + IVec{_mm256_madd_epi16(pa, ones), _mm256_madd_epi16(pb, ones)};
      keep_order(dots[m].a);
      keep_order(dots[m].b);
    }
  }
}

template <BlockType kType, int M>
inline void block_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  if constexpr (kType == BlockType::kQ8_0) {
    byte_dots<M>(weights, x, dots);
  } else {
    nibble_dots<kType, M>(weights, x, dots);
  }
}

inline float max_abs(Vec x, Vec y) {
  const Vec top = max(abs(x), abs(y));
  const __m256 eight = _mm256_max_ps(top.a, top.b);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

inline int32_t store_codes(int8_t* codes, IVec x, IVec y) {
  // Packing works within 128-bit halves; the permutation puts the fours back in order.
  const __m256i bytes =
      _mm256_packs_epi16(_mm256_packs_epi32(x.a, x.b), _mm256_packs_epi32(y.a, y.b));
  _mm256_storeu_si256(
      reinterpret_cast<__m256i*>(codes),
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  const __m256i eight =
      _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

#else

inline constexpr int kQuantRows = 4;

template <BlockType kType>
inline int32_t weight_at(const uint8_t* weights, int row, int k) {
  if constexpr (kType == BlockType::kQ8_0) {
    return static_cast<int8_t>(weights[64 * (k / 4) + 4 * row + k % 4]);
  } else {
    const int half = k % 16;
    const int byte = weights[64 * (half / 4) + 4 * row + half % 4];
    return (k < 16 ? byte & 15 : byte >> 4) - (kType == BlockType::kQ4_0 ? 8 : 0);
  }
}

template <BlockType kType, int M>
inline void block_dots(const uint8_t* weights, const CodeRows& x, IVec (&dots)[M]) {
  for (int m = 0; m < M; ++m) dots[m] = izero();
  for (int k = 0; k < kBlock; ++k) {
    for (int row = 0; row < 16; ++row) {
      const int32_t weight = weight_at<kType>(weights, row, k);
      for (int m = 0; m < M; ++m) dots[m].v[row] += weight * x.row(m)[k];
    }
  }
}

inline float max_abs(Vec a, Vec b) { return max_lane(max(abs(a), abs(b))); }

inline int32_t store_codes(int8_t* codes, IVec a, IVec b) {
  int32_t total = 0;
  for (int i = 0; i < 32; ++i) {
    const int32_t code = i < 16 ? a.v[i] : b.v[i - 16];
    codes[i] = static_cast<int8_t>(code < -128 ? -128 : code > 127 ? 127 : code);
    total += codes[i];
  }
  return total;
}

#endif

#if !defined(YITI_ISA_avx2)
// Here taking nibbles apart costs too little to be saved.
inline constexpr bool kUnpacks = false;
inline constexpr int kUnpackRows = 1 << 30;
#endif

}  // namespace yiti::cpu::YITI_ISA
