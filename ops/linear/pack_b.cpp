#include "ops/linear/pack_b.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

using cpu::kBlock, cpu::kPanelWidth;

// Floats of one dequantised block, [column of the block][row of the panel].
using BlockFloats = std::array<float, static_cast<size_t>(kBlock* kPanelWidth)>;
using BlockBytes = std::array<uint8_t, cpu::panel_block_bytes(cpu::BlockType::kQ8_0)>;

void pack_floats(const cpu::GemmTable& gemm, const MatrixView& b, int64_t k0, int64_t k, int64_t n0,
                 int columns, float* panel) {
  const cpu::FloatSource type = float_source(b.dtype);
  const std::byte* first =
      b.data + (k0 * b.row_stride + n0 * b.col_stride) * info(b.dtype).block_bytes;
  if (b.row_stride == 1) return gemm.pack_rows(type, first, b.col_stride, columns, k, panel);
  if (b.col_stride == 1) return gemm.pack_columns(type, first, b.row_stride, columns, k, panel);
  gemm.pack_strided(type, first, b.row_stride, b.col_stride, columns, k, panel);
}

// The reduction runs along the blocks of a weight stored as [N, K].
void pack_along_blocks(const cpu::QuantTable& quant, const MatrixView& weight, int64_t k0,
                       int64_t k, int64_t n0, float* panel) {
  const cpu::BlockType type = block_type(weight.dtype);
  alignas(64) BlockBytes scratch;
  for (int64_t i = 0; i < k; i += kBlock) {
    quant.dequantise(type, panel_block(weight, n0, (k0 + i) / kBlock, scratch.data()),
                     panel + i * kPanelWidth);
  }
}

// The reduction runs over the rows of a weight stored as [K, N].
void pack_across_rows(const cpu::GemmTable& gemm, const cpu::QuantTable& quant,
                      const MatrixView& weight, int64_t k0, int64_t k, int64_t n0, float* panel) {
  const cpu::BlockType type = block_type(weight.dtype);
  alignas(64) BlockBytes scratch;
  BlockFloats values;
  const float* columns = values.data() + n0 % kBlock * kPanelWidth;
  for (int64_t i = 0; i < k; i += kPanelRows) {
    quant.dequantise(type, panel_block(weight, k0 + i, n0 / kBlock, scratch.data()), values.data());
    gemm.pack_rows(cpu::FloatSource::kF32, columns, kPanelWidth, kPanelWidth,
                   std::min(kPanelRows, k - i), panel + i * kPanelWidth);
  }
}

}  // namespace

cpu::FloatSource float_source(DType dtype) {
  switch (dtype) {
    case DType::kF32: return cpu::FloatSource::kF32;
    case DType::kF16: return cpu::FloatSource::kF16;
    case DType::kBF16: return cpu::FloatSource::kBF16;
    default:
      fail(Code::kInvalidArgument, "gemm", "B is {}; wants f32, f16, bf16 or quantised",
           name(dtype));
  }
}

void pack_b(const cpu::GemmTable& gemm, const cpu::QuantTable& quant, const MatrixView& b,
            int64_t k0, int64_t k, int64_t n0, int columns, float* panel) {
  if (!is_quantised(b.dtype)) return pack_floats(gemm, b, k0, k, n0, columns, panel);
  if (b.transposed) return pack_along_blocks(quant, b.t(), k0, k, n0, panel);
  pack_across_rows(gemm, quant, b, k0, k, n0, panel);
}

}  // namespace yiti
