// Counter-based random numbers: each is a pure function of (seed, stream, index), so that any one
// can be drawn alone, in any order, by any thread. Philox4x32-10: Salmon, Moraes, Dror & Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace yiti {

/// Ten rounds of Philox4x32: 128 random bits for a counter and a key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Names an endless sequence of random numbers, independent of those of other keys.
struct RandomKey {
  uint64_t seed = 0;
  uint64_t stream = 0;
};

/// 64 random bits: number `index` of the sequence.
uint64_t random_bits(RandomKey key, uint64_t index);
/// In [0, 1), a multiple of 2^-53.
double uniform(RandomKey key, uint64_t index);
/// Of mean 0 and variance 1 (Box & Muller 1958).
double normal(RandomKey key, uint64_t index);

/// Fills a contiguous f32 tensor in host memory: element i is number i of the sequence. The same
/// bits for any number of threads. Throws kInvalidArgument for another dtype or strides.
void fill_uniform(const Tensor& tensor, float low, float high, RandomKey key);
void fill_normal(const Tensor& tensor, float mean, float deviation, RandomKey key);

}  // namespace yiti
