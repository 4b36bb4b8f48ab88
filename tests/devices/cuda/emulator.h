// CUDA's model of blocks, warps and shared memory on one CPU thread, so that kernels run in tests
// where no GPU is: each thread of a block is a fiber that runs until it waits for others, the last
// one first where the environment has YITI_EMULATOR_REVERSED: a result that changes with that was
// read or overwritten without waiting. Include it before a kernel.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>

#include "core/dtype.h"

// Kernels are C.
#pragma GCC diagnostic ignored "-Wold-style-cast"

namespace yiti::emulated {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

/// Where the running fiber is.
struct Place {
  Dim thread, block, threads;
};
const Place& here();

/// Runs `kernel` for all threads of all blocks, one block after the other. Throws what it throws,
/// and std::logic_error where some threads wait for others that have ended.
void run(Dim blocks, Dim threads, const std::function<void()>& kernel);

void wait_for_block();
/// Makes tensor cores round row `row`, of either side, otherwise than the others; none where it is
/// negative.
void spoil_row(int row);
/// Waits until all lanes of the warp are here; the last one runs `together` with what each lane
/// gave.
void meet_warp(void* given, const std::function<void(void* const (&lanes)[32])>& together);

}  // namespace yiti::emulated

#define __global__ inline
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (yiti::emulated::here().thread)
#define blockIdx (yiti::emulated::here().block)

inline constexpr int kWarp = 32;

inline void __syncthreads() { yiti::emulated::wait_for_block(); }  // NOLINT: CUDA's name

// As mma.cuh says.
void add_product(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void add_product(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void add_product_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
float exchange(float x, int mask);
bool any_lane(bool holds);
inline void wait_for_warp() { any_lane(false); }

inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
inline float half_to_float(uint16_t bits) { return to_float(yiti::Half{bits}); }
