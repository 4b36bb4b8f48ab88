#include "ops/shape/contiguous.h"

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

void copy_elements(const Tensor& source, const Tensor& target, Device& device) {
  const RowWalk walk(target.shape(), {source, target});
  visit_width(target.dtype(), [&]<class T>() {
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
