#include "ops/norm/softmax.h"

#include <algorithm>
#include <cmath>

#include "ops/host_values.h"
#include "ops/kernels/cpu/row_view.h"
#include "ops/kernels/cpu/softmax.h"
#include "ops/norm/norm_rows.h"

namespace yiti {
namespace {

using cpu::RowView;
using cpu::SoftmaxTable;

// Calls row(table, i) for all rows of `width`.
template <class F>
void for_rows(const KernelArgs& args, int64_t rows, int64_t width, F row) {
  const SoftmaxTable& table = cpu::softmax_table_for(args.device.isa());
  args.device.threads().parallel_for(rows, cpu::row_grain(width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(table, i);
  });
}

void softmax_f32(const KernelArgs& args) {
  const RowView x(args.in[0]);
  float* y = args.out[0].data<float>();
  const int64_t n = x.width();
  for_rows(args, x.rows(), n,
           [&](const SoftmaxTable& table, int64_t i) { table.softmax(x.row(i), y + i * n, n); });
}

void log_softmax_f32(const KernelArgs& args) {
  const RowView x(args.in[0]);
  float* y = args.out[0].data<float>();
  const int64_t n = x.width();
  for_rows(args, x.rows(), n, [&](const SoftmaxTable& table, int64_t i) {
    table.subtract(x.row(i), table.log_sum_exp(x.row(i), n), y + i * n, n);
  });
}

template <auto kGrad>
void backward_f32(const KernelArgs& args) {
  const RowView y(args.in[0]), dy(args.in[1]);
  float* dx = args.out[0].data<float>();
  const int64_t n = y.width();
  for_rows(args, y.rows(), n, [&](const SoftmaxTable& table, int64_t i) {
    (table.*kGrad)(y.row(i), dy.row(i), dx + i * n, n);
  });
}

// Calls f(row) on each row of `values`, n long.
template <class F>
Tensor map_rows(const Tensor& like, std::vector<double> values, F f) {
  const int64_t n = like.dim(-1);
  for (size_t at = 0; at < values.size(); at += static_cast<size_t>(n)) {
    f(std::span(values).subspan(at, static_cast<size_t>(n)), at);
  }
  return of_doubles(values, like.shape(), like.dtype(), like.device());
}

double log_sum_exp(std::span<const double> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (double value : row) total += std::exp(value - top);
  return top + std::log(total);
}

std::vector<Tensor> softmax_reference(std::span<const Tensor> in, const Attrs&) {
  return {map_rows(in[0], to_doubles(in[0]), [](std::span<double> row, size_t) {
    const double lse = log_sum_exp(row);
    for (double& value : row) value = std::exp(value - lse);
  })};
}

std::vector<Tensor> log_softmax_reference(std::span<const Tensor> in, const Attrs&) {
  return {map_rows(in[0], to_doubles(in[0]), [](std::span<double> row, size_t) {
    const double lse = log_sum_exp(row);
    for (double& value : row) value -= lse;
  })};
}

std::vector<Tensor> softmax_backward_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> y = to_doubles(in[0]);
  return {map_rows(in[0], to_doubles(in[1]), [&](std::span<double> row, size_t at) {
    double dot = 0;
    for (size_t i = 0; i < row.size(); ++i) dot += row[i] * y[at + i];
    for (size_t i = 0; i < row.size(); ++i) row[i] = y[at + i] * (row[i] - dot);
  })};
}

std::vector<Tensor> log_softmax_backward_reference(std::span<const Tensor> in, const Attrs&) {
  const std::vector<double> y = to_doubles(in[0]);
  return {map_rows(in[0], to_doubles(in[1]), [&](std::span<double> row, size_t at) {
    double total = 0;
    for (double value : row) total += value;
    for (size_t i = 0; i < row.size(); ++i) row[i] -= std::exp(y[at + i]) * total;
  })};
}

Op forward(std::string name, std::string doc, void (*kernel)(const KernelArgs&),
           Op::Reference reference, const Op& (*backward)()) {
  return OpBuilder(std::move(name))
      .doc(std::move(doc))
      .source("Bridle 1990")
      .input("x", "[..., D]")
      .output("y", "[..., D]")
      .kernel(cpu_kernel("cpu.f32", DType::kF32, kernel))
      .reference(std::move(reference))
      .gradient(
          [backward](const GradArgs& g) -> std::vector<Tensor> {
            return {backward()({g.out[0], g.grad_out[0]})[0]};
          },
          {}, {0})
      .sample({Shape{3, 2, 64}})
      .sample({Shape{5, 67}})
      .sample({Shape{4, 1}})
      .sample({Shape{0, 8}})
      .accuracy(4)
      .build();
}

Op backward(std::string name, std::string doc, void (*kernel)(const KernelArgs&),
            Op::Reference reference) {
  return OpBuilder(std::move(name))
      .doc(std::move(doc))
      .source("Bridle 1990")
      .input("y", "[..., D]")
      .input("dy", "[..., D]")
      .output("dx", "[..., D]")
      .kernel(cpu_kernel("cpu.f32", DType::kF32, kernel))
      .reference(std::move(reference))
      .not_differentiable()
      .sample({Shape{3, 64}, Shape{3, 64}})
      .sample({Shape{5, 67}, Shape{5, 67}})
      .sample({Shape{0, 8}, Shape{0, 8}})
      .accuracy(1, 67)
      .build();
}

}  // namespace

const Op& softmax_op() {
  static const Op op = forward("softmax", "e^x / sum(e^x) over the last axis.", softmax_f32,
                               softmax_reference, softmax_backward_op);
  return op;
}

const Op& log_softmax_op() {
  static const Op op = forward("log_softmax", "x - log(sum(e^x)) over the last axis.",
                               log_softmax_f32, log_softmax_reference, log_softmax_backward_op);
  return op;
}

const Op& softmax_backward_op() {
  static const Op op =
      backward("softmax_backward", "The gradient of softmax, from its result.",
               backward_f32<&SoftmaxTable::softmax_grad>, softmax_backward_reference);
  return op;
}

const Op& log_softmax_backward_op() {
  static const Op op =
      backward("log_softmax_backward", "The gradient of log_softmax, from its result.",
               backward_f32<&SoftmaxTable::log_softmax_grad>, log_softmax_backward_reference);
  return op;
}

Tensor ops::softmax(const Tensor& x) { return softmax_op()({x})[0]; }

Tensor ops::log_softmax(const Tensor& x) { return log_softmax_op()({x})[0]; }

}  // namespace yiti
