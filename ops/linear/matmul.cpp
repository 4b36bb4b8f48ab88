#include "ops/linear/matmul.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/linear/gemm.h"
#include "ops/reduce/sum_to.h"
#include "ops/shape/permute.h"

namespace yiti {
namespace {

Shape batch_of(const Tensor& x) {
  return Shape(x.shape().dims().first(static_cast<size_t>(x.rank() - 2)));
}

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs&, const Op& op) {
  const Tensor &a = in[0], &b = in[1];
  check(a.rank() >= 2 && b.rank() >= 2, op.name, "a is {}, b is {}; wants two axes or more",
        a.shape(), b.shape());
  check(a.dim(-1) == b.dim(-2), op.name, "b is {}; wants [..., K, N], K={} from a {}", b.shape(),
        a.dim(-1), a.shape());
  check(a.dtype() == b.dtype(), op.name, "b is {}; wants {} as a", name(b.dtype()),
        name(a.dtype()));
  Shape shape = broadcast_shapes(batch_of(a), batch_of(b), op.name);
  check(shape.rank() + 2 <= Shape::kMaxRank, op.name, "too many axes");
  shape.push_back(a.dim(-2));
  shape.push_back(b.dim(-1));
  return {Tensor::meta(shape, a.dtype(), a.device())};
}

// The matrix of x that goes with batch `index` of an output whose leading axes are `batch`.
MatrixView matrix_at(const Tensor& x, const Shape& batch, int64_t index) {
  int64_t offset = 0;
  for (int axis = batch.rank() - 1; axis >= 0; --axis) {
    const int own = axis - batch.rank() + x.rank() - 2;
    if (own >= 0 && x.dim(own) != 1) offset += index % batch[axis] * x.strides()[own];
    index /= batch[axis];
  }
  return {.data = x.raw() + offset * info(x.dtype()).block_bytes,
          .dtype = x.dtype(),
          .rows = x.dim(-2),
          .cols = x.dim(-1),
          .row_stride = x.strides()[-2],
          .col_stride = x.strides()[-1]};
}

void multiply(std::span<const Tensor> in, const Tensor& out, Device& device, std::byte* workspace) {
  if (out.numel() == 0) return;
  const Tensor &a = in[0], &b = in[1];
  const Shape batch = batch_of(out);
  const int64_t m = out.dim(-2), n = out.dim(-1);
  if (a.dtype() == DType::kF32 && batch_of(b).numel() == 1 && a.is_contiguous()) {
    // One b for all: the rows of all batches are one matrix.
    Tensor keep;
    return gemm(device, as_rows(a, keep), matrix_at(b, Shape{}, 0), out.data<float>(), n, {},
                workspace);
  }
  for (int64_t i = 0; i < batch.numel(); ++i) {
    const MatrixView x = matrix_at(a, batch, i), y = matrix_at(b, batch, i);
    if (a.dtype() == DType::kF64) {
      gemm_f64(x, y, out.data<double>() + i * m * n, n);
    } else {
      gemm(device, x, y, out.data<float>() + i * m * n, n, {}, workspace);
    }
  }
}

void run(const KernelArgs& args) { multiply(args.in, args.out[0], args.device, args.workspace); }

size_t workspace(std::span<const Tensor> in, const Attrs&, Device& device) {
  const int64_t k = in[0].dim(-1), n = in[1].dim(-1);
  const int64_t all_rows = k == 0 ? 0 : in[0].numel() / k;
  return std::max(gemm_workspace(device, all_rows, n, k),
                  gemm_workspace(device, in[0].dim(-2), n, k, GemmRows::kStrided));
}

// By plain loops; f32 in double precision too.
std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Tensor meta = infer(in, attrs, matmul_op())[0];
  const Tensor out = Tensor::zeros(meta.shape(), meta.dtype(), meta.device());
  const Shape batch = batch_of(out);
  const int64_t m = out.dim(-2), n = out.dim(-1), k = in[0].dim(-1);
  const auto fill = [&]<class T>(T* c) {
    for (int64_t i = 0; i < out.numel(); ++i) {
      const MatrixView a = matrix_at(in[0], batch, i / (m * n));
      const MatrixView b = matrix_at(in[1], batch, i / (m * n));
      const int64_t row = i / n % m, column = i % n;
      double sum = 0;
      for (int64_t p = 0; p < k; ++p) {
        sum += static_cast<double>(
                   reinterpret_cast<const T*>(a.data)[row * a.row_stride + p * a.col_stride]) *
               static_cast<double>(
                   reinterpret_cast<const T*>(b.data)[p * b.row_stride + column * b.col_stride]);
      }
      c[i] = static_cast<T>(sum);
    }
  };
  if (out.dtype() == DType::kF64) {
    fill(out.data<double>());
  } else {
    fill(out.data<float>());
  }
  return {out};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor &a = g.in[0], &b = g.in[1], &dy = g.grad_out[0];
  std::vector<Tensor> grads(2);
  if (g.wanted[0]) {
    grads[0] = ops::sum_to(ops::matmul(dy, ops::transpose(b, -2, -1)), a.shape());
  }
  if (g.wanted[1]) {
    grads[1] = ops::sum_to(ops::matmul(ops::transpose(a, -2, -1), dy), b.shape());
  }
  return grads;
}

}  // namespace

const Op& matmul_op() {
  static const Op op = OpBuilder("matmul")
                           .doc("a [..., M, K] times b [..., K, N]; leading axes broadcast.")
                           .source("The matrix product; broadcasting as in NumPy's matmul")
                           .input("a", "*")
                           .input("b", "*")
                           .output("y", "*")
                           .shape_rule(infer)
                           .kernel({.name = "cpu",
                                    .device_kind = "cpu",
                                    .refuses = nullptr,
                                    .run = run,
                                    .workspace = workspace})
                           .reference(reference)
                           .gradient(gradient, {0, 1})
                           .sample({Shape{33, 40}, Shape{40, 17}})
                           .sample({Shape{2, 3, 5, 8}, Shape{3, 8, 18}})
                           .sample({Shape{2, 1, 4, 3}, Shape{5, 3, 7}})
                           .sample({Shape{3, 7, 100}, Shape{100, 5}})
                           .sample({Shape{0, 4, 3}, Shape{3, 2}})
                           .sample({Shape{4, 0}, Shape{0, 2}})
                           .accuracy(1, 40)
                           .build();
  return op;
}

Tensor ops::matmul(const Tensor& a, const Tensor& b) { return matmul_op()({a, b})[0]; }

}  // namespace yiti
