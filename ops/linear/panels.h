// Quantised matrices between their two layouts (Layout::kRows as files have them, Layout::kPanels
// as the kernels read them) and as floats. All work in parallel on the tensor's device.
#pragma once

#include "core/tensor.h"
#include "ops/kernels/cpu/panels.h"
#include "ops/linear/gemm.h"

namespace yiti {

/// How panels name a quantised dtype. Throws kInvalidArgument for others.
cpu::BlockType block_type(DType dtype);

/// A copy of the quantised matrix `rows` [N, K] in panels; itself where it is that already. Nothing
/// of the source is referred to afterwards, so that its pages may be let go.
Tensor pack_panels(const Tensor& rows);
/// Packs the quantised ones among tensors of one device in place. Each thread takes a run of their
/// memory, which it is the first to touch: a huge page that two want at once is cleared twice.
void pack_panels(std::span<Tensor> tensors);
/// A copy of `panels` as rows of blocks, bit for bit what pack_panels got.
Tensor unpack_panels(const Tensor& panels);
/// A quantised matrix [N, K] in either layout as f32.
Tensor dequantise(const Tensor& weight);
void dequantise_into(Device& device, const MatrixView& weight, float* out);
/// Row `row` of a quantised matrix in either layout as f32 into out [K].
void dequantise_row(Isa isa, const MatrixView& weight, int64_t row, float* out);

/// One block of a panel, from block `column` of `count` (up to 16) rows starting at row `row` of a
/// matrix in either layout that is not transposed; `scratch` (panel_block_bytes) is used for rows.
const uint8_t* panel_block(const MatrixView& weight, int64_t row, int64_t column, uint8_t* scratch);

}  // namespace yiti
