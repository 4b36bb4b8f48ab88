#include "ops/shape/contiguous.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "ops/kernels/cpu/row_walk.h"
#include "ops/kernels/cpu/visit_dtype.h"

namespace yiti {

const Op& contiguous_op() {
  static const Op op =
      OpBuilder("contiguous")
          .doc("A row-major copy.")
          .source("NumPy's ascontiguousarray")
          .input("x", "[...]", Kind::kAny)
          .output("y", "[...]")
          .kernel({.name = "cpu.copy",
                   .device_kind = "cpu",
                   .refuses = {},
                   .run =
                       [](const KernelArgs& args) {
                         cpu::copy_elements(args.in[0], args.out[0], args.device);
                       }})
          .reference([](std::span<const Tensor> in, const Attrs&) -> std::vector<Tensor> {
            std::vector<std::byte> bytes(in[0].bytes());
            in[0].copy_to_host(bytes);
            return {Tensor::from_bytes(bytes, in[0].shape(), in[0].dtype(), in[0].device())};
          })
          .gradient([](const GradArgs& args) -> std::vector<Tensor> { return {args.grad_out[0]}; },
                    {})
          .sample({Shape{3, 67}})
          .sample({Shape{2, 3, 4}})
          .sample({Shape{0, 4}})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : contiguous_op()({x})[0]; }

}  // namespace ops

namespace cpu {
namespace {

// The axis along which `source` has its neighbours where the target has them along its last axis:
// a transposed copy. -1 where both or neither have them there.
int transposed_axis(const Tensor& source, const Tensor& target) {
  if (source.rank() != target.rank() || source.rank() < 2 || source.strides()[-1] == 1 ||
      target.strides()[-1] != 1) {
    return -1;
  }
  for (int axis = 0; axis + 1 < source.rank(); ++axis) {
    if (source.strides()[axis] == 1 && source.dim(axis) > 1 &&
        source.dim(axis) == target.dim(axis)) {
      return axis;
    }
  }
  return -1;
}

// Copies in squares that stay in the cache, in both tensors' order of memory.
template <class T>
void copy_transposed(const Tensor& source, const Tensor& target, int axis, Device& device) {
  constexpr int64_t kSide = 32;
  const int last = target.rank() - 1;
  const int64_t rows = target.dim(axis), columns = target.dim(last);
  const int64_t from_step = source.strides()[last], to_step = target.strides()[axis];
  const int64_t squares = (rows + kSide - 1) / kSide;
  // What is left is walked plane by plane.
  Shape outer = target.shape();
  outer.set(axis, 1);
  outer.set(last, 1);
  const int64_t planes = outer.numel();
  const Shape outer_strides = contiguous_strides(outer);
  device.threads().parallel_for(planes * squares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const T* from = reinterpret_cast<const T*>(source.raw());
      T* to = reinterpret_cast<T*>(target.raw());
      for (int i = 0; i < outer.rank(); ++i) {
        const int64_t at = unit / squares / outer_strides[i] % std::max<int64_t>(1, outer[i]);
        from += at * (source.dim(i) == 1 ? 0 : source.strides()[i]);
        to += at * target.strides()[i];
      }
      const int64_t top = unit % squares * kSide, bottom = std::min(rows, top + kSide);
      T square[kSide][kSide];
      for (int64_t left = 0; left < columns; left += kSide) {
        const int64_t width = std::min(kSide, columns - left);
        for (int64_t c = 0; c < width; ++c) {
          std::copy_n(from + top + (left + c) * from_step, bottom - top, square[c]);
        }
        for (int64_t r = top; r < bottom; ++r) {
          for (int64_t c = 0; c < width; ++c) to[r * to_step + left + c] = square[c][r - top];
        }
      }
    }
  });
}

}  // namespace

void copy_elements(const Tensor& source, const Tensor& target, Device& device) {
  const int axis = transposed_axis(source, target);
  const RowWalk walk(target.shape(), {source, target});
  visit_width(target.dtype(), [&]<class T>() {
    if (axis >= 0) return copy_transposed<T>(source, target, axis, device);
    const T* from = reinterpret_cast<const T*>(source.raw());
    T* to = reinterpret_cast<T*>(target.raw());
    const int64_t from_step = walk.step(0), to_step = walk.step(1);
    walk.run(device.threads(), [&](const RowWalk::Offsets& at, int64_t n) {
      if (from_step == 1 && to_step == 1) {
        std::memcpy(to + at[1], from + at[0], static_cast<size_t>(n) * sizeof(T));
        return;
      }
      for (int64_t i = 0; i < n; ++i) to[at[1] + i * to_step] = from[at[0] + i * from_step];
    });
  });
}

}  // namespace cpu
}  // namespace yiti
