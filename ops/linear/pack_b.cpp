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

// The reduction runs over the rows of a weight stored as [K, N], each of whose blocks lies in
// several panels.
void pack_across_rows(const cpu::GemmTable& gemm, const cpu::QuantTable& quant,
                      const MatrixView& weight, int64_t k0, int64_t k, int64_t n0, int64_t columns,
                      float* panels, int64_t stride) {
  const cpu::BlockType type = block_type(weight.dtype);
  alignas(64) BlockBytes scratch;
  BlockFloats values;
  for (int64_t n = n0, past = 0; n < n0 + columns; n = past) {
    past = std::min((n / kBlock + 1) * kBlock, n0 + columns);
    for (int64_t i = 0; i < k; i += kPanelRows) {
      quant.dequantise(type, panel_block(weight, k0 + i, n / kBlock, scratch.data()),
                       values.data());
      for (int64_t at = n; at < past; at += kPanelWidth) {
        gemm.pack_rows(cpu::FloatSource::kF32, values.data() + at % kBlock * kPanelWidth,
                       kPanelWidth, kPanelWidth, std::min(kPanelRows, k - i),
                       panels + (at - n0) / kPanelWidth * stride + i * kPanelWidth);
      }
    }
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
            int64_t k0, int64_t k, int64_t n0, int64_t columns, float* panels, int64_t stride) {
  if (is_quantised(b.dtype) && !b.transposed) {
    return pack_across_rows(gemm, quant, b, k0, k, n0, columns, panels, stride);
  }
  for (int64_t at = 0; at < columns; at += kPanelWidth, panels += stride) {
    if (is_quantised(b.dtype)) {
      pack_along_blocks(quant, b.t(), k0, k, n0 + at, panels);
    } else {
      const auto width = static_cast<int>(std::min<int64_t>(kPanelWidth, columns - at));
      pack_floats(gemm, b, k0, k, n0 + at, width, panels);
    }
  }
}

}  // namespace yiti
