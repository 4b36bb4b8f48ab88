#include "ops/linear/panels.h"

#include <array>
#include <cstring>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/kernels/cpu/quant.h"

namespace yiti {
namespace {

using cpu::BlockType;

constexpr int64_t kMaxBlockBytes = cpu::panel_block_bytes(BlockType::kQ8_0);
using BlockFloats = std::array<float, 32 * 16>;

// Bytes of a row's block before its codes: the scale, and the minimum.
constexpr int64_t head_bytes(BlockType type) { return cpu::codes_offset(type) / kPanelRows; }

// Copies between the heads of a block of `count` rows of a file and those of a panel's, as
// for_each_piece.
template <class Move>
void for_each_head(BlockType type, int64_t row_bytes, int64_t count, Move&& move) {
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t at = 0; at < head_bytes(type); at += 2) {
      move(at * kPanelRows + 2 * r, r * row_bytes + at, int64_t{2});
    }
  }
}

// Copies between block `column` of up to 16 rows of a file and one of a panel: calls
// move(offset within the panel's block, offset within row r's, r, bytes).
template <class Move>
void for_each_piece(BlockType type, int64_t row_bytes, int64_t count, Move&& move) {
  for_each_head(type, row_bytes, count, move);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t codes = r * row_bytes + head_bytes(type);
    for (int64_t g = 0; g < cpu::code_groups(type); ++g) {
      move(cpu::codes_offset(type) + 64 * g + 4 * r, codes + 4 * g, int64_t{4});
    }
  }
}

const uint8_t* bytes_of(const MatrixView& weight) {
  return reinterpret_cast<const uint8_t*>(weight.data);
}

// Sixteen bytes, as four columns' codes of each of four groups.
using Codes [[gnu::vector_size(16)]] = uint32_t;

Codes load_codes(const uint8_t* from) {
  Codes codes;
  std::memcpy(&codes, from, sizeof(codes));
  return codes;
}

// Four groups of four rows, whose codes begin at `rows`, to their places in a panel's block.
void transpose_codes(const uint8_t* rows, int64_t row_bytes, uint8_t* to) {
  const Codes a = load_codes(rows), b = load_codes(rows + row_bytes);
  const Codes c = load_codes(rows + 2 * row_bytes), d = load_codes(rows + 3 * row_bytes);
  const Codes ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Codes ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Codes cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Codes cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const Codes groups[] = {__builtin_shufflevector(ab01, cd01, 0, 1, 4, 5),
                          __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7),
                          __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5),
                          __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7)};
  for (int64_t g = 0; g < 4; ++g) std::memcpy(to + 64 * g, &groups[g], sizeof(Codes));
}

// As for_each_piece would copy them, but whole vectors at once.
template <BlockType kType>
void interleave_panel(const uint8_t* rows, int64_t row_bytes, uint8_t* block) {
  for_each_head(kType, row_bytes, kPanelRows, [&](int64_t at, int64_t from, int64_t bytes) {
    std::memcpy(block + at, rows + from, static_cast<size_t>(bytes));
  });
  const uint8_t* codes = rows + head_bytes(kType);
  for (int64_t r = 0; r < kPanelRows; r += 4) {
    for (int64_t g = 0; g < cpu::code_groups(kType); g += 4) {
      transpose_codes(codes + r * row_bytes + 4 * g, row_bytes,
                      block + cpu::codes_offset(kType) + 64 * g + 4 * r);
    }
  }
}

void interleave(BlockType type, const uint8_t* rows, int64_t row_bytes, int64_t count,
                uint8_t* block) {
  if (count == kPanelRows) {
    switch (type) {
      case BlockType::kQ4_0: return interleave_panel<BlockType::kQ4_0>(rows, row_bytes, block);
      case BlockType::kQ4_1: return interleave_panel<BlockType::kQ4_1>(rows, row_bytes, block);
      case BlockType::kQ8_0: return interleave_panel<BlockType::kQ8_0>(rows, row_bytes, block);
    }
  }
  std::memset(block, 0, static_cast<size_t>(cpu::panel_block_bytes(type)));
  for_each_piece(type, row_bytes, count, [&](int64_t at, int64_t from, int64_t bytes) {
    std::memcpy(block + at, rows + from, static_cast<size_t>(bytes));
  });
}

// One tensor of several that are packed at once: its blocks are [begin, end) of all.
struct Packing {
  Tensor* tensor;
  Tensor panels;
  MatrixView source;
  int64_t begin, end;

  Packing(Tensor& rows, int64_t first)
      : tensor(&rows),
        panels(Tensor::of_storage(
            Storage::allocate(rows.device(),
                              byte_size(rows.shape(), rows.dtype(), Layout::kPanels)),
            0, rows.shape(), rows.dtype(), Layout::kPanels)),
        source(matrix(rows)),
        begin(first),
        end(first + (source.rows + kPanelRows - 1) / kPanelRows * (source.cols / cpu::kBlock)) {}

  // Those of its blocks that lie in [from, to).
  void run(int64_t from, int64_t to) const {
    const int64_t blocks = source.cols / cpu::kBlock;
    const int64_t block_bytes = cpu::panel_block_bytes(block_type(source.dtype));
    auto* target = reinterpret_cast<uint8_t*>(panels.raw());
    for (int64_t i = std::max(from, begin) - begin; i < std::min(to, end) - begin; ++i) {
      panel_block(source, i / blocks * kPanelRows, i % blocks, target + i * block_bytes);
    }
  }
};

void check_quantised(const Tensor& tensor, std::string_view where) {
  check(is_quantised(tensor.dtype()) && tensor.rank() == 2, where,
        "got {} of {}; wants a quantised matrix", tensor.shape(), name(tensor.dtype()));
}

}  // namespace

BlockType block_type(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0: return BlockType::kQ4_0;
    case DType::kQ4_1: return BlockType::kQ4_1;
    case DType::kQ8_0: return BlockType::kQ8_0;
    default: fail(Code::kInvalidArgument, "panels", "{} has no panels", name(dtype));
  }
}

const uint8_t* panel_block(const MatrixView& weight, int64_t row, int64_t column,
                           uint8_t* scratch) {
  const BlockType type = block_type(weight.dtype);
  const int64_t blocks = weight.cols / cpu::kBlock;
  if (weight.layout == Layout::kPanels) {
    return bytes_of(weight) + (row / kPanelRows * blocks + column) * cpu::panel_block_bytes(type);
  }
  const int64_t block_bytes = info(weight.dtype).block_bytes, row_bytes = blocks * block_bytes;
  interleave(type, bytes_of(weight) + row * row_bytes + column * block_bytes, row_bytes,
             std::min(kPanelRows, weight.rows - row), scratch);
  return scratch;
}

Tensor pack_panels(const Tensor& rows) {
  check_quantised(rows, "pack_panels");
  Tensor panels = rows;
  pack_panels({&panels, 1});
  return panels;
}

void pack_panels(std::span<Tensor> tensors) {
  std::vector<Packing> packings;
  int64_t blocks = 0;
  for (Tensor& tensor : tensors) {
    if (!is_quantised(tensor.dtype()) || tensor.layout() == Layout::kPanels) continue;
    packings.emplace_back(tensor, blocks);
    blocks = packings.back().end;
  }
  if (packings.empty()) return;
  constexpr int64_t kGrain = 64;
  Device& device = *tensors[0].device();
  device.threads().parallel_for(blocks, kGrain, [&](int64_t begin, int64_t end) {
    for (const Packing& packing : packings) packing.run(begin, end);
  });
  for (const Packing& packing : packings) *packing.tensor = packing.panels;
}

Tensor unpack_panels(const Tensor& panels) {
  check_quantised(panels, "unpack_panels");
  if (panels.layout() == Layout::kRows) return panels;
  Tensor rows = Tensor::empty(panels.shape(), panels.dtype(), panels.device());
  const MatrixView source = matrix(panels);
  const BlockType type = block_type(panels.dtype());
  const int64_t blocks = source.cols / cpu::kBlock;
  const int64_t block_bytes = info(panels.dtype()).block_bytes, row_bytes = blocks * block_bytes;
  auto* target = reinterpret_cast<uint8_t*>(rows.raw());
  const int64_t count = (source.rows + kPanelRows - 1) / kPanelRows;
  panels.device()->threads().parallel_for(count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * blocks; i < end * blocks; ++i) {
      const int64_t row = i / blocks * kPanelRows, column = i % blocks;
      const uint8_t* block = panel_block(source, row, column, nullptr);
      uint8_t* first = target + row * row_bytes + column * block_bytes;
      for_each_piece(type, row_bytes, std::min(kPanelRows, source.rows - row),
                     [&](int64_t at, int64_t to, int64_t bytes) {
                       std::memcpy(first + to, block + at, static_cast<size_t>(bytes));
                     });
    }
  });
  return rows;
}

Tensor dequantise(const Tensor& weight) {
  check_quantised(weight, "dequantise");
  Tensor out = Tensor::empty(weight.shape(), DType::kF32, weight.device());
  dequantise_into(*weight.device(), matrix(weight), out.data<float>());
  return out;
}

void dequantise_into(Device& device, const MatrixView& weight, float* out) {
  const BlockType type = block_type(weight.dtype);
  const auto& table = cpu::quant_table_for(device.isa());
  const int64_t blocks = weight.cols / cpu::kBlock;
  const int64_t count = (weight.rows + kPanelRows - 1) / kPanelRows;
  device.threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    alignas(64) std::array<uint8_t, kMaxBlockBytes> scratch;
    BlockFloats values;
    for (int64_t i = begin * blocks; i < end * blocks; ++i) {
      const int64_t row = i / blocks * kPanelRows, column = i % blocks;
      table.dequantise(type, panel_block(weight, row, column, scratch.data()), values.data());
      for (int64_t r = 0; r < std::min(kPanelRows, weight.rows - row); ++r) {
        float* to = out + (row + r) * weight.cols + column * cpu::kBlock;
        for (size_t k = 0; k < cpu::kBlock; ++k) to[k] = values[k * 16 + static_cast<size_t>(r)];
      }
    }
  });
}

void dequantise_row(Isa isa, const MatrixView& weight, int64_t row, float* out) {
  const BlockType type = block_type(weight.dtype);
  const auto& table = cpu::quant_table_for(isa);
  alignas(64) std::array<uint8_t, kMaxBlockBytes> scratch;
  BlockFloats values;
  // In panels it is one lane of 16; a row of a file is made the only one of a panel.
  const bool panels = weight.layout == Layout::kPanels;
  const MatrixView one = panels ? weight : weight.row_range(row, row + 1);
  const int64_t first = panels ? row / kPanelRows * kPanelRows : 0;
  const auto lane = static_cast<size_t>(panels ? row % kPanelRows : 0);
  for (int64_t b = 0; b < weight.cols / cpu::kBlock; ++b) {
    table.dequantise(type, panel_block(one, first, b, scratch.data()), values.data());
    for (size_t k = 0; k < cpu::kBlock; ++k) *out++ = values[k * 16 + lane];
  }
}

}  // namespace yiti
