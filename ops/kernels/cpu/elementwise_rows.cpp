#include "ops/kernels/cpu/elementwise_rows.h"

#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"

namespace yiti::cpu {
namespace {

constexpr size_t kPiece = RowWalk::kPiece;

// A piece of an operand as f32: itself where it lies so, else a copy in `buffer`.
class FloatPiece {
 public:
  FloatPiece(const ElementwiseTable& table, const Tensor& tensor, int64_t offset, int64_t step,
             int64_t n)
      : step_(step == 0 ? 0 : 1) {
    const int64_t count = step == 0 ? 1 : n;
    if (tensor.dtype() == DType::kF32) {
      const float* first = tensor.data<float>() + offset;
      data_ = step <= 1 ? first : gather(first, step, count, floats_);
      return;
    }
    const uint16_t* first = reinterpret_cast<const uint16_t*>(tensor.raw()) + offset;
    uint16_t gathered[kPiece];
    if (step > 1) first = gather(first, step, count, gathered);
    (tensor.dtype() == DType::kF16 ? table.half_to_float : table.bf16_to_float)(first, floats_,
                                                                                count);
    data_ = floats_;
  }
  const float* data() const { return data_; }
  int64_t step() const { return step_; }

 private:
  template <class T>
  static const T* gather(const T* first, int64_t step, int64_t n, T* buffer) {
    for (int64_t i = 0; i < n; ++i) buffer[i] = first[i * step];
    return buffer;
  }

  const float* data_;
  int64_t step_;
  float floats_[kPiece];
};

// Calls f(y) with where n floats go, then rounds them into `out` at `offset`.
template <class F>
void store_piece(const ElementwiseTable& table, const Tensor& out, int64_t offset, int64_t n, F f) {
  if (out.dtype() == DType::kF32) return f(out.data<float>() + offset);
  float buffer[kPiece];
  f(buffer);
  uint16_t* target = reinterpret_cast<uint16_t*>(out.raw()) + offset;
  (out.dtype() == DType::kF16 ? table.float_to_half : table.float_to_bf16)(buffer, target, n);
}

}  // namespace

void run_binary_rows(BinaryFn fn, const KernelArgs& args) {
  const ElementwiseTable& table = elementwise_table_for(args.device.isa());
  const BinaryRow row = table.binary[static_cast<size_t>(fn)];
  const Tensor &a = args.in[0], &b = args.in[1], &y = args.out[0];
  const RowWalk walk(y.shape(), {a, b, y});
  walk.run(args.device.threads(), [&](const RowWalk::Offsets& at, int64_t n) {
    const FloatPiece left(table, a, at[0], walk.step(0), n);
    const FloatPiece right(table, b, at[1], walk.step(1), n);
    store_piece(table, y, at[2], n, [&](float* target) {
      row(left.data(), left.step(), right.data(), right.step(), target, n);
    });
  });
}

void run_unary_rows(UnaryFn fn, const KernelArgs& args, float p, float q) {
  const ElementwiseTable& table = elementwise_table_for(args.device.isa());
  const UnaryRow row = table.unary[static_cast<size_t>(fn)];
  const Tensor &x = args.in[0], &y = args.out[0];
  const RowWalk walk(y.shape(), {x, y});
  walk.run(args.device.threads(), [&](const RowWalk::Offsets& at, int64_t n) {
    const FloatPiece piece(table, x, at[0], walk.step(0), n);
    store_piece(table, y, at[1], n, [&](float* target) {
      if (piece.step() != 0) return row(piece.data(), target, n, p, q);
      row(piece.data(), target, 1, p, q);
      std::fill_n(target + 1, n - 1, target[0]);
    });
  });
}

void run_convert_rows(const Tensor& in, const Tensor& out, Device& device) {
  const ElementwiseTable& table = elementwise_table_for(device.isa());
  const RowWalk walk(out.shape(), {in, out});
  walk.run(device.threads(), [&](const RowWalk::Offsets& at, int64_t n) {
    const FloatPiece piece(table, in, at[0], walk.step(0), n);
    store_piece(table, out, at[1], n, [&](float* target) {
      if (piece.step() != 0) {
        std::copy_n(piece.data(), n, target);
      } else {
        std::fill_n(target, n, piece.data()[0]);
      }
    });
  });
}

std::optional<std::string> refuses_rows(std::span<const Tensor> in, const Attrs&) {
  for (const Tensor& tensor : in) {
    const DType dtype = tensor.dtype();
    if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
      return fmt::format("takes f32, f16 or bf16; got {}", name(dtype));
    }
  }
  return std::nullopt;
}

}  // namespace yiti::cpu
