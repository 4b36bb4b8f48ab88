// Which products run by the kernels of kernels/*.cu. Where rows are to be alone, that is decided by
// types and shapes but never by the number of rows; large ones whose rows need not be go to
// cuBLASLt.
#include "devices/cuda/kernels/products.h"
#include "devices/cuda/stream_backend.h"

namespace yiti::devices::cuda {
namespace {

void check_launch(int error, const char* kernel) { check(static_cast<cudaError_t>(error), kernel); }

// Whether split_products.cuh takes it.
bool splits(const FloatProductCall& call) {
  const FloatMatrix &a = call.a, &b = call.b;
  const int64_t depth = a.columns;
  return b.dtype == YITI_DTYPE_BF16 && depth % 8 == 0 && b.row_step == 1 &&
         b.column_step == depth && a.row_step == depth && a.column_step == 1 &&
         !call.options.accumulates;
}

// Whether a product is worth a call of cuBLASLt.
bool is_large(const FloatProductCall& call) {
  return call.a.rows >= 16 && call.b.columns >= 16 && call.a.columns >= 16 &&
         call.a.rows * call.a.columns * call.b.columns >= int64_t{1} << 22;
}

// Rows that the op does not round are rounded to a bfloat16 weight only where that `may` be.
bool multiply_together(Blas& blas, bool may_round, Launcher& run, const FloatProductCall& call,
                       cudaStream_t stream) {
  FloatProductCall own = call;
  const FloatMatrix& a = call.a;
  const bool rounds = call.b.dtype == YITI_DTYPE_BF16;
  const bool may = may_round || call.options.rounds;
  if (call.b.dtype == YITI_DTYPE_F16 || (rounds && !may)) return false;
  if (rounds) {
    if (a.row_step != a.columns || a.column_step != 1) return false;
    own.a = {run.take(a.rows * a.columns * 2), a.rows, a.columns, a.columns, 1, YITI_DTYPE_BF16};
  }
  const auto product = blas_product(own);
  if (!product) return false;
  const Place workspace = run.take(Blas::kWorkspace);
  if (run.plans()) return true;
  if (rounds) {
    check_launch(launch_split(elements<const float>(a.place), 1, elements<uint16_t>(own.a.place),
                              a.rows * a.columns, stream),
                 "round");
  }
  blas.run(*product,
           {address(own.b.place), address(own.a.place), elements<const float>(call.options.bias),
            address(call.c), address(workspace)},
           stream);
  return true;
}

FloatFormat format_of(uint32_t dtype) {
  return dtype == YITI_DTYPE_F32   ? FloatFormat::kF32
         : dtype == YITI_DTYPE_F16 ? FloatFormat::kF16
                                   : FloatFormat::kBF16;
}

}  // namespace

bool StreamBackend::gates(const Operand& weight, bool exact_activations) const {
  return is_quantised(weight.dtype()) ? !exact_activations : device_.keeps_rows();
}

bool StreamBackend::rounds(const FloatProductCall& call) const { return splits(call); }

bool StreamBackend::multiply(Launcher& run, const FloatProductCall& call) {
  const FloatMatrix &a = call.a, &b = call.b;
  const bool together = call.options.rows_together || !device_.keeps_rows();
  if (together && device_.blas() != nullptr && is_large(call) &&
      multiply_together(*device_.blas(), device_.multiplies_plainly(), run, call, stream_)) {
    return true;
  }
  if (splits(call)) {
    const int64_t count = a.rows * a.columns;
    const bool is_split = a.rows > kFewRows;
    const int part_count = call.options.rounds ? 1 : kParts;
    const Place parts = run.take(is_split ? part_count * count * 2 : 0);
    if (run.plans()) return true;
    const auto* x = elements<const float>(a.place);
    auto* split = is_split ? elements<uint16_t>(parts) : nullptr;
    if (is_split) check_launch(launch_split(x, part_count, split, count, stream_), "split");
    const SplitProduct product{x,
                               split,
                               elements<const uint16_t>(b.place),
                               elements<const float>(call.options.bias),
                               elements<float>(call.c),
                               a.rows,
                               b.columns,
                               a.columns,
                               call.leaf,
                               part_count,
                               elements<const uint16_t>(call.options.up)};
    check_launch(cuda::launch(product, stream_), "multiply split floats");
    return true;
  }
  if (run.plans()) return true;
  const FloatProduct product{elements<const float>(a.place),
                             a.row_step,
                             a.column_step,
                             elements<const void>(b.place),
                             b.row_step,
                             b.column_step,
                             elements<const float>(call.options.bias),
                             elements<float>(call.c),
                             call.options.accumulates,
                             a.rows,
                             b.columns,
                             a.columns,
                             call.leaf,
                             elements<const void>(call.options.up)};
  check_launch(cuda::launch(product, format_of(b.dtype), stream_), "multiply floats");
  return true;
}

bool StreamBackend::multiply(Launcher& run, const CodeProductCall& call) {
  if (run.plans()) return true;
  const CodeProduct product{elements<const int8_t>(call.codes),
                            elements<const CodeScale>(call.scales),
                            elements<const uint8_t>(call.weight),
                            elements<const float>(call.bias),
                            elements<float>(call.y),
                            call.rows,
                            call.weight.dim(0),
                            call.blocks,
                            call.leaf,
                            elements<const uint8_t>(call.up)};
  const uint32_t dtype = call.weight.dtype();
  const BlockFormat format = dtype == YITI_DTYPE_Q4_0   ? BlockFormat::kQ4_0
                             : dtype == YITI_DTYPE_Q4_1 ? BlockFormat::kQ4_1
                                                        : BlockFormat::kQ8_0;
  check_launch(cuda::launch(product, format, stream_), "multiply codes");
  return true;
}

}  // namespace yiti::devices::cuda
