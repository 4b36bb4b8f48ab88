#include "ops/shape/top_k.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/host_values.h"
#include "ops/kernels/cpu/visit_dtype.h"
#include "ops/shape/contiguous.h"
#include "ops/shape/gather.h"

namespace yiti {
namespace {

Shape shape_of(const Shape& x, int64_t k) {
  Shape shape = x;
  shape.set(-1, k);
  return shape;
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const int64_t k = attrs.as<TopKAttrs>().k;
  check(k >= 0 && k <= in[0].dim(-1), op.name, "k is {}; wants at most {} of x {}", k,
        in[0].dim(-1), in[0].shape());
  const Shape shape = shape_of(in[0].shape(), k);
  return {Tensor::meta(shape, in[0].dtype(), in[0].device()),
          Tensor::meta(shape, DType::kI64, in[0].device())};
}

// A heap of the k best so far, worst on top: one pass over the row.
template <class T>
void select_row(const T* x, int64_t width, int64_t k, T* values, int64_t* indices) {
  const auto before = [&](int64_t a, int64_t b) {
    const bool a_nan = x[a] != x[a], b_nan = x[b] != x[b];
    if (a_nan != b_nan) return a_nan;
    if (!a_nan && x[a] != x[b]) return x[a] > x[b];
    return a < b;
  };
  if (k == 0) return;
  int64_t* end = indices + k;
  std::iota(indices, end, 0);
  std::make_heap(indices, end, before);
  for (int64_t i = k; i < width; ++i) {
    if (!before(i, indices[0])) continue;
    std::pop_heap(indices, end, before);
    end[-1] = i;
    std::push_heap(indices, end, before);
  }
  std::sort_heap(indices, end, before);
  for (int64_t i = 0; i < k; ++i) values[i] = x[indices[i]];
}

template <class T>
void run(const KernelArgs& args) {
  const Tensor x = ops::contiguous(args.in[0]);
  const int64_t k = args.attrs.as<TopKAttrs>().k, width = x.dim(-1);
  const int64_t rows = width == 0 ? 0 : x.numel() / width;
  const T* source = x.data<T>();
  T* values = args.out[0].data<T>();
  int64_t* indices = args.out[1].data<int64_t>();
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, width));
  args.device.threads().parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      select_row(source + row * width, width, k, values + row * k, indices + row * k);
    }
  });
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int64_t k = attrs.as<TopKAttrs>().k, width = in[0].dim(-1);
  const std::vector<double> x = to_doubles(in[0]);
  std::vector<double> values, indices;
  for (size_t row = 0; width > 0 && row < x.size() / static_cast<size_t>(width); ++row) {
    const double* first = x.data() + row * static_cast<size_t>(width);
    std::vector<int64_t> order(static_cast<size_t>(width));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return first[a] > first[b]; });
    for (int64_t i = 0; i < k; ++i) {
      indices.push_back(static_cast<double>(order[static_cast<size_t>(i)]));
      values.push_back(first[order[static_cast<size_t>(i)]]);
    }
  }
  const Shape shape = shape_of(in[0].shape(), k);
  return {of_doubles(values, shape, in[0].dtype(), in[0].device()),
          of_doubles(indices, shape, DType::kI64, in[0].device())};
}

}  // namespace

const Op& top_k_op() {
  static const Op op =
      OpBuilder("top_k")
          .doc("The k largest of each row in descending order, equal ones by lower index.")
          .source("Heap selection: Knuth, volume 3, section 5.2.3")
          .attrs(TopKAttrs{})
          .input("x", "[..., D]")
          .output("values", "[..., K]")
          .output("indices", "[..., K]", DType::kI64)
          .shape_rule(&infer)
          .kernel(cpu_kernel("cpu.f32", DType::kF32, &run<float>))
          .kernel(cpu_kernel("cpu.f64", DType::kF64, &run<double>))
          .reference(&reference)
          .gradient(
              [](const GradArgs& args) -> std::vector<Tensor> {
                const Tensor& dy = args.grad_out[0];
                const Tensor zeros = Tensor::zeros(args.in[0].shape(), dy.dtype(), dy.device());
                return {ops::scatter_add(zeros, args.out[1], dy, -1)};
              },
              {}, {1})
          .sample({Shape{3, 67}}, TopKAttrs{5})
          .sample({Shape{2, 3, 4}}, TopKAttrs{4})
          .sample({Shape{0, 4}}, TopKAttrs{2})
          .sample({Shape{2, 5000}}, TopKAttrs{3})
          .accuracy(0)
          .build();
  return op;
}

namespace ops {

TopK top_k(const Tensor& x, int64_t k) {
  std::vector<Tensor> out = top_k_op()({x}, TopKAttrs{k});
  return {out[0], out[1]};
}

}  // namespace ops
}  // namespace yiti
