// Elementwise kernels over whole tensors, by the vector rows of the device's instruction set.
#pragma once

#include "core/op.h"
#include "ops/kernels/cpu/elementwise.h"

namespace yiti::cpu {

/// out[0] = f(in[0], in[1]) with broadcasting. f32, f16 or bf16, all alike; 16-bit ones compute in
/// f32 and round.
void run_binary_rows(BinaryFn fn, const KernelArgs& args);

/// out[0] = f(in[0]; p, q), dtypes as above.
void run_unary_rows(UnaryFn fn, const KernelArgs& args, float p, float q);

/// out = in, between f32 and a 16-bit float. `out` is contiguous.
void run_convert_rows(const Tensor& in, const Tensor& out, Device& device);

/// Why the rows cannot run these: all float inputs must be 32 or 16 bits wide.
std::optional<std::string> refuses_rows(std::span<const Tensor> in, const Attrs& attrs);

}  // namespace yiti::cpu
