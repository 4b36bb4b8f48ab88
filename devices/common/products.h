// Matrix products that several ops are made of.
#pragma once

#include "devices/common/launcher.h"

namespace yiti::devices {

/// A matrix of floats somewhere in memory.
struct FloatMatrix {
  Place place;
  int64_t rows = 0, columns = 0;
  int64_t row_step = 0, column_step = 1;  ///< in elements
  uint32_t dtype = YITI_DTYPE_F32;

  FloatMatrix transposed() const { return {place, columns, rows, column_step, row_step, dtype}; }
};

FloatMatrix row_major(const Place& place, int64_t rows, int64_t columns);
/// A tensor [..., D] as that many rows.
FloatMatrix as_rows(const Operand& x);

struct ProductOptions {
  Operand bias{nullptr};  ///< f32 [N], or left out
  bool accumulates = false;
  /// Nobody asks for the same bits of a row beside other rows: gradients of weights.
  bool rows_together = false;
  bool rounds = false;  ///< rounds A to bf16
  /// With it, C = swiglu(A · B, A · upᵀ): only where Backend::gates().
  Operand up{nullptr};
};

/// A product as a backend gets it; `leaf` counts elements of K.
struct FloatProductCall {
  FloatMatrix a, b;
  Place c;
  const ProductOptions& options;
  int64_t leaf;
};

/// Y [rows, N] = codes [rows, blocks, 32] · weightᵀ + bias; scales are pairs (scale, scale * sum of
/// the codes) for each block; `leaf` counts blocks. With `up`, Y is swiglu of both products.
struct CodeProductCall {
  Place codes, scales;
  const Operand &weight, &bias, &up;
  Place y;
  int64_t rows, blocks, leaf;
};

/// C [M, N] = A [M, K] · B [K, N]; A is f32, B is f32, f16 or bf16.
void multiply(Launcher& run, const FloatMatrix& a, const FloatMatrix& b, const Place& c,
              const ProductOptions& options = {});

/// Activations [M, K] rounded to 8-bit codes in blocks, to meet any number of quantised weights.
class QuantisedRows {
 public:
  QuantisedRows(Launcher& run, const Place& x, int64_t rows, int64_t columns);
  /// Y [M, N] = X · weightᵀ + bias; with `up`, swiglu(X · weightᵀ, X · upᵀ) where Backend::gates().
  void multiply(Launcher& run, const Operand& weight, const Operand& bias, const Place& y,
                const Operand& up = Operand(nullptr)) const;

 private:
  int64_t rows_, blocks_;
  Place values_, scales_;  // codes and scales, or floats
};

/// Y = X · weightᵀ + bias as the op linear defines it: X [rows, K] is f32.
void linear(Launcher& run, const Place& x, int64_t rows, const Operand& weight, const Operand& bias,
            bool exact_activations, const Place& y);
/// As of the core: whether products with such a weight round activations, and gradients both
/// factors to bf16.
bool rounds_activations(const Operand& weight, bool exact_activations);
/// A weight as floats: itself, or dequantised in the workspace, there rounded to bf16 if `rounded`.
FloatMatrix float_weight(Launcher& run, const Operand& weight, bool rounded = false);
/// Build options of kernels/quantised.cl for a weight, rows of activations and type of ids.
BuildOptions quantised_options(const Operand& weight, int64_t rows = 1, const char* index = "int");

/// A weight's bytes between GGUF's rows and panels of 16 rows, which padded rows fill up.
void pack_weight(Launcher& run, const Operand& rows, const Operand& packed);
void unpack_weight(Launcher& run, const Operand& packed, const Operand& rows);
uint64_t bytes_in_panels(const Operand& rows);

}  // namespace yiti::devices
