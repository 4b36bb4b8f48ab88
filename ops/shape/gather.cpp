#include "ops/shape/gather.h"

#include <cstring>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/shape/attrs.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/indices.h"

namespace yiti {
namespace {

// Where element i of an index tensor [outer, along, inner] reads or adds in [outer, size, inner].
struct Places {
  int64_t outer = 1, along = 1, size = 1, inner = 1;

  Places(const Shape& x, const Shape& index, int axis) : along(index[axis]), size(x[axis]) {
    for (int i = 0; i < x.rank(); ++i) {
      if (i < axis) outer *= x[i];
      if (i > axis) inner *= x[i];
    }
  }
  int64_t of(int64_t i, int64_t index) const {
    return (i / (along * inner) * size + index) * inner + i % inner;
  }
};

int gather_axis(const Attrs& attrs, const Tensor& x, std::string_view where) {
  return axis_of(x.shape(), attrs.as<AxisAttrs>().axis, where);
}

// `index` has x's shape but for the axis.
void check_index(const Tensor& x, const Tensor& index, int axis, const Op& op) {
  bool fits = x.rank() == index.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || x.dim(i) == index.dim(i);
  check(fits, op.name, "index is {}; wants {} as x but for axis {}", index.shape(), x.shape(),
        axis);
}

std::vector<Tensor> infer_gather(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check(!is_quantised(in[0].dtype()), op.name, "x is {}; wants a plain type", name(in[0].dtype()));
  check_index(in[0], in[1], gather_axis(attrs, in[0], op.name), op);
  return {Tensor::meta(in[1].shape(), in[0].dtype(), in[0].device())};
}

void run_gather(const KernelArgs& args) {
  const int axis = gather_axis(args.attrs, args.in[0], "gather");
  const Tensor x = ops::contiguous(args.in[0]);
  const Tensor index = checked_indices(args.in[1], x.dim(axis), "gather");
  const Places places(x.shape(), index.shape(), axis);
  const int64_t* at = index.data<int64_t>();
  cpu::visit_width(x.dtype(), [&]<class T>() {
    const T* source = reinterpret_cast<const T*>(x.raw());
    T* target = reinterpret_cast<T*>(args.out[0].raw());
    args.device.threads().parallel_for(index.numel(), 8192, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) target[i] = source[places.of(i, at[i])];
    });
  });
}

std::vector<Tensor> gather_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Places places(in[0].shape(), in[1].shape(), gather_axis(attrs, in[0], "gather"));
  const std::vector<double> x = to_doubles(in[0]), index = to_doubles(in[1]);
  std::vector<double> y;
  for (size_t i = 0; i < index.size(); ++i) {
    y.push_back(x.at(
        static_cast<size_t>(places.of(static_cast<int64_t>(i), static_cast<int64_t>(index[i])))));
  }
  return {of_doubles(y, in[1].shape(), in[0].dtype(), in[0].device())};
}

std::vector<Tensor> infer_scatter(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  check_index(in[0], in[1], gather_axis(attrs, in[0], op.name), op);
  check(in[2].shape() == in[1].shape() && in[2].dtype() == in[0].dtype(), op.name,
        "source is {} of {}; wants {} of {}", in[2].shape(), name(in[2].dtype()), in[1].shape(),
        name(in[0].dtype()));
  return {in[0].as_meta()};
}

void run_scatter(const KernelArgs& args) {
  const int axis = gather_axis(args.attrs, args.in[0], "scatter_add");
  cpu::copy_elements(args.in[0], args.out[0], args.device);
  const Tensor source = ops::contiguous(args.in[2]);
  const Tensor index = checked_indices(args.in[1], args.in[0].dim(axis), "scatter_add");
  const Places places(args.in[0].shape(), index.shape(), axis);
  const int64_t* at = index.data<int64_t>();
  // A task owns lines along the axis, so that what is added to one element is added in order.
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, places.along));
  cpu::visit_number(source.dtype(), [&]<class T>() {
    if constexpr (!cpu::kIsHalf<T>) {
      const T* values = source.data<T>();
      T* target = args.out[0].data<T>();
      args.device.threads().parallel_for(
          places.outer * places.inner, grain, [&](int64_t begin, int64_t end) {
            for (int64_t line = begin; line < end; ++line) {
              const int64_t first =
                  line / places.inner * places.along * places.inner + line % places.inner;
              for (int64_t j = 0; j < places.along; ++j) {
                const int64_t i = first + j * places.inner;
                target[places.of(i, at[i])] += values[i];
              }
            }
          });
    }
  });
}

std::vector<Tensor> scatter_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Places places(in[0].shape(), in[1].shape(), gather_axis(attrs, in[0], "scatter_add"));
  std::vector<double> y = to_doubles(in[0]);
  const std::vector<double> index = to_doubles(in[1]), source = to_doubles(in[2]);
  for (size_t i = 0; i < index.size(); ++i) {
    y.at(static_cast<size_t>(places.of(static_cast<int64_t>(i), static_cast<int64_t>(index[i])))) +=
        source[i];
  }
  return {of_doubles(y, in[0].shape(), in[0].dtype(), in[0].device())};
}

struct OneHotAttrs {
  int64_t size = 1;
  void visit(AttrVisitor& v) { v.field("size", size); }
};

Tensor hot(const Tensor& index, int64_t size) {
  check(size >= 1 && size < int64_t{1} << 32, "one_hot", "size is {}", size);
  Shape shape = index.shape();
  shape.push_back(size);
  return Tensor::meta(shape, DType::kF32, index.device());
}

void run_one_hot(const KernelArgs& args) {
  const int64_t size = args.attrs.as<OneHotAttrs>().size;
  const Tensor index = checked_indices(args.in[0], size, "one_hot");
  float* y = args.out[0].data<float>();
  std::fill_n(y, args.out[0].numel(), 0.0f);
  for (int64_t i = 0; i < index.numel(); ++i) y[i * size + index.data<int64_t>()[i]] = 1;
}

std::vector<Tensor> one_hot_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int64_t size = attrs.as<OneHotAttrs>().size;
  const Shape shape = hot(in[0], size).shape();
  std::vector<double> y;
  for (double index : to_doubles(in[0])) {
    for (int64_t i = 0; i < size; ++i) y.push_back(static_cast<double>(i) == index ? 1 : 0);
  }
  return {of_doubles(y, shape, DType::kF32, in[0].device())};
}

}  // namespace

const Op& gather_op() {
  static const Op op =
      OpBuilder("gather")
          .doc("Elements of x at indices along an axis.")
          .source("NumPy's take_along_axis")
          .attrs(AxisAttrs{})
          .input("x", "*", Kind::kAny)
          .input("index", "*", Kind::kIndex)
          .output("y", "*")
          .shape_rule(&infer_gather)
          .kernel({.name = "cpu.copy", .device_kind = "cpu", .refuses = {}, .run = &run_gather})
          .reference(&gather_reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const Tensor& dy = args.grad_out[0];
                const Tensor zeros = Tensor::zeros(args.in[0].shape(), dy.dtype(), dy.device());
                const int64_t axis = args.attrs.as<AxisAttrs>().axis;
                return {ops::scatter_add(zeros, args.in[1], dy, static_cast<int>(axis)), Tensor()};
              },
              {1})
          .sample({Shape{4, 7}, Shape{4, 3}}, AxisAttrs{1}, 7)
          .sample({Shape{5, 2, 3}, Shape{9, 2, 3}}, AxisAttrs{0}, 5)
          .sample({Shape{0, 7}, Shape{0, 2}}, AxisAttrs{-1}, 7)
          .accuracy(0)
          .build();
  return op;
}

const Op& scatter_add_op() {
  static const Op op =
      OpBuilder("scatter_add")
          .doc("x with the source added at indices along an axis, in order.")
          .source("NumPy's add.at")
          .attrs(AxisAttrs{})
          .input("x", "*", Kind::kNumber)
          .input("index", "*", Kind::kIndex)
          .input("source", "*", Kind::kNumber)
          .output("y", "*")
          .shape_rule(&infer_scatter)
          .kernel({.name = "cpu.scalar", .device_kind = "cpu", .refuses = {}, .run = &run_scatter})
          .reference(&scatter_reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const Tensor& dy = args.grad_out[0];
                const int64_t axis = args.attrs.as<AxisAttrs>().axis;
                return {dy, Tensor(), ops::gather(dy, args.in[1], static_cast<int>(axis))};
              },
              {1})
          .sample({Shape{4, 7}, Shape{4, 9}, Shape{4, 9}}, AxisAttrs{1}, 7)
          .sample({Shape{5, 2, 3}, Shape{9, 2, 3}, Shape{9, 2, 3}}, AxisAttrs{0}, 5)
          .sample({Shape{3, 7}, Shape{3, 0}, Shape{3, 0}}, AxisAttrs{1}, 7)
          .accuracy(2, 9)
          .build();
  return op;
}

const Op& one_hot_op() {
  static const Op op =
      OpBuilder("one_hot")
          .doc("1 at the index along a new last axis, else 0.")
          .source("Goodfellow, Bengio & Courville 2016, section 5.2")
          .attrs(OneHotAttrs{})
          .input("index", "*", Kind::kIndex)
          .output("y", "*", DType::kF32)
          .shape_rule([](std::span<const Tensor> in, const Attrs& attrs, const Op&) {
            return std::vector<Tensor>{hot(in[0], attrs.as<OneHotAttrs>().size)};
          })
          .kernel({.name = "cpu.f32", .device_kind = "cpu", .refuses = {}, .run = &run_one_hot})
          .reference(&one_hot_reference)
          .not_differentiable()
          .sample({Shape{3, 2}}, OneHotAttrs{5}, 5)
          .sample({Shape{0}}, OneHotAttrs{5}, 5)
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

Tensor gather(const Tensor& x, const Tensor& index, int axis) {
  return gather_op()({x, index}, AxisAttrs{axis})[0];
}
Tensor scatter_add(const Tensor& x, const Tensor& index, const Tensor& source, int axis) {
  return scatter_add_op()({x, index, source}, AxisAttrs{axis})[0];
}
Tensor one_hot(const Tensor& index, int64_t size) {
  return one_hot_op()({index}, OneHotAttrs{size})[0];
}

}  // namespace ops
}  // namespace yiti
