// Products by cuBLASLt, which is loaded when it is first wanted. It chooses how to add by the whole
// shape, so it is for results whose rows nobody wants alone.
#pragma once

#include <compare>
#include <memory>
#include <optional>

#include "devices/common/products.h"

struct CUstream_st;

namespace yiti::devices::cuda {

/// A matrix as cuBLASLt sees memory: columns of `rows` elements, `step` elements apart.
struct BlasMatrix {
  uint64_t rows, columns;
  int64_t step;
  bool transposed;  ///< when it is multiplied
  uint32_t dtype;
  auto operator<=>(const BlasMatrix&) const = default;
};

/// D [rows, columns] = left · right + bias, or D + left · right, D being columns of float32 one
/// behind the other. This is what an algorithm is chosen by.
struct BlasProduct {
  BlasMatrix left, right;
  uint64_t rows, columns;
  bool has_bias, accumulates;
  uint32_t alignment;  ///< of all matrices, in bytes
  auto operator<=>(const BlasProduct&) const = default;
};

/// C = A · B with rows in memory is Cᵀ = Bᵀ · Aᵀ with columns. nullopt where neither the rows nor
/// the columns of a matrix are runs of neighbours.
std::optional<BlasProduct> blas_product(const FloatProductCall& call);

class Blas {
 public:
  /// Bytes of workspace that a product is given, wherever they begin.
  static constexpr int64_t kWorkspace = (32 << 20) + 256;

  /// For the thread's device. Throws a Failure where the library or one of its functions is
  /// missing, or no handle can be had.
  static std::unique_ptr<Blas> open();
  virtual ~Blas() = default;

  struct Addresses {
    const void *left, *right, *bias;
    void *result, *workspace;
  };
  /// Gives the product to the stream. Its algorithm is chosen when that product is first run, and
  /// kept: the same call has the same bits each time. Safe for many threads.
  virtual void run(const BlasProduct& product, const Addresses& at, CUstream_st* stream) = 0;
};

}  // namespace yiti::devices::cuda
