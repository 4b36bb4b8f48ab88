#include "ops/shape/index_select.h"

#include <cstring>

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/indices.h"

namespace yiti {
namespace {

struct RowsAttrs {
  int64_t rows = 1;
  void visit(AttrVisitor& v) { v.field("rows", rows); }
};

Shape with_rows(const Shape& shape, int64_t rows) {
  Shape out = shape;
  out.set(0, rows);
  return out;
}

int64_t width_of(const Shape& shape) {
  int64_t width = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) width *= shape[axis];
  return width;
}

void run(const KernelArgs& args) {
  const Tensor x = ops::contiguous(args.in[0]);
  const Tensor index = checked_indices(args.in[1], x.dim(0), "index_select");
  const auto bytes = width_of(x.shape()) * info(x.dtype()).block_bytes;
  const int64_t* rows = index.data<int64_t>();
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, bytes));
  args.device.threads().parallel_for(index.numel(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(args.out[0].raw() + i * bytes, x.raw() + rows[i] * bytes,
                  static_cast<size_t>(bytes));
    }
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  const auto width = static_cast<size_t>(width_of(in[0].shape()));
  const std::vector<double> x = to_doubles(in[0]);
  std::vector<double> y;
  for (double row : to_doubles(in[1])) {
    for (size_t i = 0; i < width; ++i) y.push_back(x.at(static_cast<size_t>(row) * width + i));
  }
  return {of_doubles(y, with_rows(in[0].shape(), in[1].numel()), in[0].dtype(), in[0].device())};
}

void run_backward(const KernelArgs& args) {
  const Tensor dy = ops::contiguous(args.in[0]);
  const Tensor index =
      checked_indices(args.in[1], args.attrs.as<RowsAttrs>().rows, "index_select_backward");
  const int64_t* rows = index.data<int64_t>();
  const int64_t width = width_of(dy.shape());
  std::memset(args.out[0].raw(), 0, args.out[0].bytes());
  // Tasks split the columns: each row's sum is made in the order of the indices.
  cpu::visit_number(dy.dtype(), [&]<class T>() {
    if constexpr (std::is_floating_point_v<T>) {
      const T* source = dy.data<T>();
      T* target = args.out[0].data<T>();
      args.device.threads().parallel_for(width, 256, [&](int64_t begin, int64_t end) {
        for (int64_t i = 0; i < index.numel(); ++i) {
          for (int64_t j = begin; j < end; ++j)
            target[rows[i] * width + j] += source[i * width + j];
        }
      });
    }
  });
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int64_t rows = attrs.as<RowsAttrs>().rows;
  const auto width = static_cast<size_t>(width_of(in[0].shape()));
  const std::vector<double> dy = to_doubles(in[0]), index = to_doubles(in[1]);
  std::vector<double> dx(static_cast<size_t>(rows) * width);
  for (size_t i = 0; i < index.size(); ++i) {
    for (size_t j = 0; j < width; ++j) {
      dx.at(static_cast<size_t>(index[i]) * width + j) += dy[i * width + j];
    }
  }
  return {of_doubles(dx, with_rows(in[0].shape(), rows), in[0].dtype(), in[0].device())};
}

}  // namespace

const Op& index_select_op() {
  static const Op op =
      OpBuilder("index_select")
          .doc("Rows of x by number.")
          .source("NumPy's take")
          .input("x", "[R, ...]", Kind::kAny)
          .input("index", "[N]", Kind::kIndex)
          .output("y", "[N, ...]")
          .kernel({.name = "cpu.copy",
                   .device_kind = "cpu",
                   .refuses = [](std::span<const Tensor> in,
                                 const Attrs&) -> std::optional<std::string> {
                     if (is_quantised(in[0].dtype())) return "takes plain types";
                     return std::nullopt;
                   },
                   .run = &run})
          .reference(&reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {ops::index_select_backward(args.grad_out[0], args.in[1], args.in[0].dim(0)),
                        Tensor()};
              },
              {1})
          .sample({Shape{5, 33}, Shape{7}}, {}, 5)
          .sample({Shape{5, 2, 3}, Shape{2}}, {}, 5)
          .sample({Shape{5, 3}, Shape{0}}, {}, 5)
          .accuracy(0)
          .build();
  return op;
}

const Op& index_select_backward_op() {
  static const Op op =
      OpBuilder("index_select_backward")
          .doc("Zeros with rows of dy added by number: the gradient of index_select.")
          .source("NumPy's add.at")
          .attrs(RowsAttrs{})
          .input("dy", "[N, ...]")
          .input("index", "[N]", Kind::kIndex)
          .output("dx", "[R, ...]")
          .shape_rule([](std::span<const Tensor> in, const Attrs& attrs, const Op& self) {
            const int64_t rows = attrs.as<RowsAttrs>().rows;
            check(rows >= 0, self.name, "rows is {}", rows);
            return std::vector<Tensor>{
                Tensor::meta(with_rows(in[0].shape(), rows), in[0].dtype(), in[0].device())};
          })
          .kernel({.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_backward})
          .reference(&backward_reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                return {ops::index_select(args.grad_out[0], args.in[1]), Tensor()};
              },
              {1})
          .sample({Shape{7, 33}, Shape{7}}, RowsAttrs{5}, 5)
          .sample({Shape{2, 2, 3}, Shape{2}}, RowsAttrs{3}, 3)
          .sample({Shape{0, 3}, Shape{0}}, RowsAttrs{4}, 4)
          .accuracy(2, 7)
          .build();
  return op;
}

namespace ops {

Tensor index_select(const Tensor& x, const Tensor& index) {
  return index_select_op()({x, index})[0];
}
Tensor index_select_backward(const Tensor& dy, const Tensor& index, int64_t rows) {
  return index_select_backward_op()({dy, index}, RowsAttrs{rows})[0];
}

}  // namespace ops
}  // namespace yiti
