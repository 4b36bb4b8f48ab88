// Whether a row's sums on a tensor core depend on its place among other rows, which the row contract
// forbids and no document promises: a warp multiplies one row at each place, each time beside other
// rows, and compares the bits.
#pragma once

#include "devices/cuda/kernels/products.h"
#include "devices/cuda/kernels/warp.cuh"

namespace yiti::devices::cuda {

// A number of mixed size and sign whose 16 upper bits are not zero alone.
__device__ inline float mixed(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t x = a * 0x9e3779b1u ^ b * 0x85ebca77u ^ c * 0xc2b2ae3du;
  x = (x ^ x >> 15) * 0x2c1b3c6du;
  x = (x ^ x >> 12) * 0x297a2d39u;
  x ^= x >> 15;
  // Exponents from 2^-8 to 2^7.
  return float_of((x & 0x807fffffu) | (119 + (x >> 23 & 15)) << 23);
}
__device__ inline uint32_t mixed_pair(uint32_t a, uint32_t b, uint32_t c) {
  return to_bf16(mixed(a, b, 2 * c)) | static_cast<uint32_t>(to_bf16(mixed(a, b, 2 * c + 1))) << 16;
}

inline constexpr int kSteps = 5;  // of a chain of products

// A row of number 0 at `place`, and others there, which differ by the place.
__device__ inline uint32_t row_number(int row, int place) {
  return row == place ? 0 : static_cast<uint32_t>(1 + row + 16 * place);
}

// Rows on the right side, weights on the left, as products have them. Lanes give the sums of the row.
__device__ inline void bf16_row(int place, float (&d)[4]) {
  const uint32_t lane = threadIdx.x, g = lane / 4, q = lane % 4;
  const uint32_t row = row_number(static_cast<int>(g), place);
  for (float& sum : d) sum = 0;
  for (uint32_t step = 0; step < kSteps; ++step) {
    const uint32_t k = 8 * step + q;
    const uint32_t a[4] = {mixed_pair(1000 + g, 0, k), mixed_pair(1008 + g, 0, k),
                           mixed_pair(1000 + g, 0, k + 4), mixed_pair(1008 + g, 0, k + 4)};
    const uint32_t b[2] = {mixed_pair(row, 1, k), mixed_pair(row, 1, k + 4)};
    add_product(d, a, b);
  }
}

// Rows on the left side, as attention has them.
__device__ inline void tf32_row(int place, float (&d)[4]) {
  const uint32_t lane = threadIdx.x, g = lane / 4, q = lane % 4;
  const uint32_t rows[2] = {row_number(static_cast<int>(g), place),
                            row_number(static_cast<int>(g) + 8, place)};
  for (float& sum : d) sum = 0;
  for (uint32_t step = 0; step < kSteps; ++step) {
    const uint32_t k = 8 * step + q;
    const uint32_t a[4] = {bits_of(mixed(rows[0], 2, k)), bits_of(mixed(rows[1], 2, k)),
                           bits_of(mixed(rows[0], 2, k + 4)), bits_of(mixed(rows[1], 2, k + 4))};
    const uint32_t b[2] = {bits_of(mixed(1000 + g, 3, k)), bits_of(mixed(1000 + g, 3, k + 4))};
    add_product_tf32(d, a, b);
  }
}

__global__ void __launch_bounds__(32) compare_row_places(int* differences) {
  __shared__ float bf16_sums[8][16], tf32_sums[16][8];
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, q = lane % 4;
  float d[4];
  int different = 0;
  for (int place = 0; place < 8; ++place) {
    bf16_row(place, d);
    for (int i = 0; i < 4; ++i) {
      if (2 * q + i % 2 == place) bf16_sums[place][g + i / 2 * 8] = d[i];
    }
  }
  for (int place = 0; place < 16; ++place) {
    tf32_row(place, d);
    for (int i = 0; i < 4; ++i) {
      if (g + i / 2 * 8 == place) tf32_sums[place][2 * q + i % 2] = d[i];
    }
    // Products with nothing leave a sum as it is: attention masks keys so.
    const uint32_t zeros[4] = {}, weights[2] = {bits_of(mixed(1, 4, place)), bits_of(0.0f)};
    const float before[4] = {d[0], d[1], d[2], d[3]};
    add_product_tf32(d, zeros, weights);
    for (int i = 0; i < 4; ++i) different += bits_of(d[i]) != bits_of(before[i]);
  }
  __syncthreads();
  for (int place = 1; place < 8; ++place) {
    different += bits_of(bf16_sums[place][lane % 16]) != bits_of(bf16_sums[0][lane % 16]);
  }
  for (int place = 1; place < 16; ++place) {
    different += bits_of(tf32_sums[place][lane % 8]) != bits_of(tf32_sums[0][lane % 8]);
  }
  differences[lane] = different;
}

}  // namespace yiti::devices::cuda
