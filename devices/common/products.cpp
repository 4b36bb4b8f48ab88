#include "devices/common/products.h"

#include <algorithm>

namespace yiti::devices {
namespace {

constexpr int64_t kBlock = 32;
constexpr size_t kLeaves = 8;       // LEAVES in kernels/products.cl
constexpr int64_t kTileRows = 8;    // of activations that meet a block of a weight at once
constexpr int64_t kPanelRows = 16;  // STEP in kernels/quantised.cl, of packed weights
constexpr size_t kColumns = 16;     // COLUMNS in kernels/quantised.cl

size_t ceil_div(int64_t n, int64_t by) { return static_cast<size_t>((n + by - 1) / by); }

// Elements of a leaf of K, a multiple of 32: at most 8 leaves of at least 128.
int64_t leaf_elements(int64_t k) {
  const int64_t units = (k + kBlock - 1) / kBlock;
  return std::max<int64_t>(4, (units + 7) / 8) * kBlock;
}

const char* factor_options(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F32: return "-DB_TYPE=float -DB_AT(i)=b[i]";
    case YITI_DTYPE_F16: return "-DB_TYPE=half -DB_AT(i)=vload_half(i,b)";
    case YITI_DTYPE_BF16: return "-DB_TYPE=ushort -DB_AT(i)=from_bf16(b[i])";
    default: require(false, "takes no weight of {}", dtype_name(dtype));
  }
  return "";
}

FloatMatrix rounded_rows(Launcher& run, const FloatMatrix& a) {
  const int64_t count = a.rows * a.columns;
  const FloatMatrix rounded = row_major(run.take_floats(count), a.rows, a.columns);
  run.each({"products", "round_rows", ""}, count, floats(a.place), a.row_step, a.column_step,
           a.columns, floats(rounded.place));
  return rounded;
}

}  // namespace

FloatMatrix row_major(const Place& place, int64_t rows, int64_t columns) {
  return {place, rows, columns, columns, 1, YITI_DTYPE_F32};
}

FloatMatrix as_rows(const Operand& x) {
  FloatMatrix matrix = row_major(pointer(x).place, x.rows(), x.width());
  matrix.dtype = x.dtype();
  return matrix;
}

void multiply(Launcher& run, const FloatMatrix& a, const FloatMatrix& b, const Place& c,
              const ProductOptions& options) {
  constexpr int64_t kRows = 8, kWidth = 32;  // of a tile in kernels/products.cl
  const int64_t m = a.rows, n = b.columns, k = a.columns;
  const char* type = factor_options(b.dtype);
  require(!options.bias || options.bias.is_f32(), "takes an f32 bias");
  if (m == 0 || n == 0) return;
  const int64_t leaf = leaf_elements(k);
  FloatProductCall call{a, b, c, options, leaf};
  if (options.rounds && !run.backend().rounds(call)) call.a = rounded_rows(run, a);
  if (run.backend().multiply(run, call)) return;
  const size_t row_tiles = ceil_div(m, kRows);
  const int64_t packed = static_cast<int64_t>(row_tiles) * kRows * k;
  const Place tiles = run.take_floats(packed);
  run.each({"products", "pack_rows", type}, packed, floats(call.a.place), call.a.row_step,
           call.a.column_step, m, k, floats(tiles));
  run.launch({"products", "multiply", type}, {ceil_div(n, kWidth) * 8, kLeaves, row_tiles},
             {8, kLeaves, 1}, floats(tiles), Pointer{b.place, element_bytes(b.dtype)}, b.row_step,
             b.column_step, pointer(options.bias), options.bias ? 1 : 0, floats(c),
             options.accumulates ? 1 : 0, m, n, k, leaf);
}

BuildOptions quantised_options(const Operand& weight, int64_t rows, const char* index) {
  const uint32_t dtype = weight.dtype();
  const char* type = dtype == YITI_DTYPE_Q4_0   ? "-DQ4_0"
                     : dtype == YITI_DTYPE_Q4_1 ? "-DQ4_1"
                                                : "-DQ8_0";
  BuildOptions options(type);
  if (weight.is_packed()) options.define("-DSTEP=", kPanelRows);
  return options.define("-DROWS=", rows).define("-DINDEX=", index);
}

uint64_t bytes_in_panels(const Operand& rows) {
  const uint32_t dtype = rows.dtype();
  const int64_t block = dtype == YITI_DTYPE_Q4_0 ? 18 : dtype == YITI_DTYPE_Q4_1 ? 20 : 34;
  const int64_t panels = static_cast<int64_t>(ceil_div(rows.dim(0), kPanelRows));
  return static_cast<uint64_t>(panels * kPanelRows * (rows.dim(1) / kBlock) * block);
}

void pack_weight(Launcher& run, const Operand& rows, const Operand& packed) {
  const int64_t blocks = rows.dim(1) / kBlock;
  run.each({"quantised", "pack", quantised_options(packed)},
           static_cast<int64_t>(ceil_div(rows.dim(0), kPanelRows)) * kPanelRows * blocks,
           pointer(rows), pointer(packed), rows.dim(0), blocks);
}

void unpack_weight(Launcher& run, const Operand& packed, const Operand& rows) {
  const int64_t blocks = rows.dim(1) / kBlock;
  run.each({"quantised", "unpack", quantised_options(packed)}, rows.dim(0) * blocks,
           pointer(packed), pointer(rows), blocks);
}

QuantisedRows::QuantisedRows(Launcher& run, const Place& x, int64_t rows, int64_t columns)
    : rows_(rows), blocks_(columns / kBlock) {
  static const BuildOptions kRounding =
      BuildOptions("-DQ8_0").define("-DROWS=", int64_t{1}).define("-DINDEX=", "int");
  if (run.backend().multiplies_codes()) {
    values_ = run.take(rows * columns);
    scales_ = run.take(rows * blocks_ * 8);
    run.each({"quantised", "quantise_rows", kRounding}, rows_ * blocks_, floats(x),
             Pointer{values_, 1}, Pointer{scales_, 8});
  } else {
    // With rows that are missing in the last tile.
    values_ =
        run.take_floats(static_cast<int64_t>(ceil_div(rows, kTileRows)) * kTileRows * columns);
    run.each({"quantised", "round_rows", kRounding}, rows_ * blocks_, floats(x), floats(values_));
  }
}

void QuantisedRows::multiply(Launcher& run, const Operand& weight, const Operand& bias,
                             const Place& y, const Operand& up) const {
  const int64_t n = weight.dim(0);
  if (rows_ == 0 || n == 0) return;
  require(!bias || bias.is_f32(), "takes an f32 bias");
  if (run.backend().multiplies_codes()) {
    const int64_t leaf = leaf_elements(blocks_ * kBlock) / kBlock;
    run.backend().multiply(
        run, CodeProductCall{values_, scales_, weight, bias, up, y, rows_, blocks_, leaf});
    return;
  }
  const int64_t tile = rows_ == 1 ? 1 : kTileRows;
  if (weight.is_packed()) {
    return run.launch({"quantised", "multiply_panels", quantised_options(weight, tile)},
                      {ceil_div(n, kPanelRows), ceil_div(rows_, tile), 1}, {1, 1, 1},
                      floats(values_), pointer(weight), pointer(bias), bias ? 1 : 0, floats(y),
                      rows_, n, blocks_);
  }
  run.launch({"quantised", "multiply_blocks", quantised_options(weight, tile)},
             {ceil_div(n, kColumns) * kColumns, ceil_div(rows_, tile), 1}, {kColumns, 1, 1},
             floats(values_), pointer(weight), pointer(bias), bias ? 1 : 0, floats(y), rows_, n,
             blocks_);
}

bool rounds_activations(const Operand& weight, bool exact_activations) {
  return !exact_activations && (is_quantised(weight.dtype()) || weight.dtype() == YITI_DTYPE_BF16);
}

FloatMatrix float_weight(Launcher& run, const Operand& weight, bool rounded) {
  if (!is_quantised(weight.dtype())) return as_rows(weight);
  const Place values = run.take_floats(weight.numel());
  BuildOptions options = quantised_options(weight);
  if (rounded) options.add("-DROUNDED");
  run.each({"quantised", "dequantise", options}, weight.numel() / kBlock, pointer(weight),
           floats(values), weight.dim(1) / kBlock);
  return row_major(values, weight.dim(0), weight.dim(1));
}

void linear(Launcher& run, const Place& x, int64_t rows, const Operand& weight, const Operand& bias,
            bool exact_activations, const Place& y) {
  const int64_t k = weight.dim(1);
  if (is_quantised(weight.dtype()) && !exact_activations) {
    QuantisedRows(run, x, rows, k).multiply(run, weight, bias, y);
  } else {
    multiply(run, row_major(x, rows, k), float_weight(run, weight).transposed(), y,
             {.bias = bias, .rounds = rounds_activations(weight, exact_activations)});
  }
}

}  // namespace yiti::devices
