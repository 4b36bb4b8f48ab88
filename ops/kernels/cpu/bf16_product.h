// What products of factors that are rounded to bf16 do differently. Only for *.isa.cpp.
//
// Their chains are those of float products: the product of two bf16 is exact in float32, so a fused
// multiply-add of rounded floats has the bits of the processor's instruction for pairs, which adds
// the products of a pair one after the other and rounds each sum. It takes the upper half of each
// word first: there the earlier element lies. (It counts results below 1e-38 as zero.)
#pragma once

#include "ops/kernels/cpu/simd.h"

namespace yiti::cpu::YITI_ISA {

/// Two floats rounded, in one word.
inline float pair_of(float first, float second) {
  return __builtin_bit_cast(float, uint32_t{to_bf16(first)} << 16 | to_bf16(second));
}
/// One, as a float.
inline float rounded(float x) { return __builtin_bit_cast(float, uint32_t{to_bf16(x)} << 16); }

/// k floats rounded: as floats or, where kSteps is 2 and k even, as pairs in words.
template <int kSteps>
void round_row(const float* x, int64_t k, float* words) {
  if constexpr (kSteps == 1) {
    for (int64_t i = 0; i < k; ++i) words[i] = rounded(x[i]);
  } else {
    for (int64_t i = 0; i < k / 2; ++i) words[i] = pair_of(x[2 * i], x[2 * i + 1]);
  }
}

/// The same for a panel [k][16], in place.
template <int kSteps>
void round_panel(float* panel, int64_t k) {
  if constexpr (kSteps == 1) {
    round_row<1>(panel, k * kLanes, panel);
  } else {
    for (int64_t i = 0; i < k / 2; ++i) {
      const float* pair = panel + 2 * i * kLanes;
      float words[kLanes];
      for (int j = 0; j < kLanes; ++j) words[j] = pair_of(pair[j], pair[kLanes + j]);
      store(panel + i * kLanes, load(words));
    }
  }
}

/// Words of pairs as memory has them, the earlier element in the lower half, in place.
inline void swap_halves(float* words, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto word = __builtin_bit_cast(uint32_t, words[i]);
    words[i] = __builtin_bit_cast(float, word << 16 | word >> 16);
  }
}

#if defined(YITI_ISA_avx512)

/// chain + the products of the pairs in *word and in each lane of `column`. Not every processor of
/// this instruction set has it, so the compiler is not told of it.
inline Vec add_pairs(Vec chain, const float* word, Vec column) {
  __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(chain.v) : "v"(column.v), "m"(*word));
  return chain;
}

/// Whether the processor has it and gives the bits that it should.
inline bool multiplies_pairs() {
  if (!__builtin_cpu_supports("avx512bf16")) return false;
  for (int i = 0; i < 64; ++i) {
    // Products and a chain of changing sizes, so that each of the two sums must round.
    const float large = static_cast<float>(1u << i % 24),
                odd = 1.0f + static_cast<float>(i) / 64.0f;
    const float a[2] = {rounded(odd * large), rounded(-odd)}, b[2] = {rounded(odd), rounded(large)};
    const float chain = odd / 3.0f * large;
    const Vec wanted = fma(set1(a[1]), set1(b[1]), fma(set1(a[0]), set1(b[0]), set1(chain)));
    const float word = pair_of(a[0], a[1]);
    const Vec sum = add_pairs(set1(chain), &word, set1(pair_of(b[0], b[1])));
    if (max_lane(abs(sum - wanted)) != 0) return false;
  }
  return true;
}

#endif

}  // namespace yiti::cpu::YITI_ISA
