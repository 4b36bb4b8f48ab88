// What decides a model's bits beyond its weights.
#pragma once

#include <string>

#include "core/dtype.h"

namespace yiti {

/// Belongs to a loaded model; its trainer and its sessions share it, and its text is part of every
/// cache key and checkpoint.
struct NumericProfile {
  /// K and V are kept, and in training rounded, as this: f32, f16, bf16, or i8 (8-bit codes with a
  /// scale for each token's head).
  DType kv = DType::kF32;
  /// Quantised and bf16 weights multiply float32 activations instead of rounded ones (8-bit codes
  /// in blocks, or bf16): slower, and the same as on float32 weights.
  bool exact_activations = false;

  /// "kv=f16 activations=rounded kernels=1"
  std::string str() const;
  friend bool operator==(const NumericProfile&, const NumericProfile&) = default;
};

/// The revision of the kernels: it changes whenever a kernel's bits do. All instruction sets give
/// the same bits, so they share it.
inline constexpr int kKernelRevision = 4;

}  // namespace yiti
