#include "ops/linear/embedding.h"

#include <algorithm>

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

// The ids in row-major order, each checked; it allocates nothing where they are contiguous.
class Ids {
 public:
  Ids(const Tensor& ids, int64_t rows, std::string_view op)
      : ids_(ids.contiguous()), wide_(ids.dtype() == DType::kI64), data_(ids_.raw()) {
    for (int64_t i = 0; i < size(); ++i) {
      const int64_t id = (*this)[i];
      if (id < 0 || id >= rows) {
        fail(Code::kOutOfRange, op, "id {} at position {}; wants 0 <= id < {}", id, i, rows);
      }
    }
  }
  int64_t size() const { return ids_.numel(); }
  int64_t operator[](int64_t i) const {
    return wide_ ? reinterpret_cast<const int64_t*>(data_)[i]
                 : reinterpret_cast<const int32_t*>(data_)[i];
  }

 private:
  Tensor ids_;
  bool wide_;
  const std::byte* data_;
};

std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs&, const Op&) {
  Shape shape = in[0].shape();
  shape.push_back(in[1].dim(1));
  const DType dtype = in[1].dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  return {Tensor::meta(shape, dtype, in[1].device())};
}

template <class T>
float widen(T value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return to_float(value);
  }
}

template <class T>
void copy_row(const Tensor& weight, int64_t row, float* out) {
  const T* from = weight.data<T>() + row * weight.strides()[0];
  for (int64_t d = 0; d < weight.dim(1); ++d) out[d] = widen(from[d * weight.strides()[1]]);
}

void forward_f32(const KernelArgs& args) {
  const Tensor& weight = args.in[1];
  const Ids ids(args.in[0], weight.dim(0), "embedding");
  const MatrixView blocks = is_quantised(weight.dtype()) ? matrix(weight) : MatrixView{};
  const int64_t width = weight.dim(1);
  float* out = args.out[0].data<float>();
  args.device.threads().parallel_for(ids.size(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* to = out + i * width;
      switch (weight.dtype()) {
        case DType::kF32: copy_row<float>(weight, ids[i], to); break;
        case DType::kF16: copy_row<Half>(weight, ids[i], to); break;
        case DType::kBF16: copy_row<BFloat16>(weight, ids[i], to); break;
        default: dequantise_row(args.device.isa(), blocks, ids[i], to);
      }
    }
  });
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Tensor& weight = in[1];
  const Ids ids(in[0], weight.dim(0), "embedding");
  const std::vector<double> values =
      to_doubles(is_quantised(weight.dtype()) ? dequantise(weight) : weight);
  const Tensor meta = infer(in, attrs, embedding_op())[0];
  const int64_t width = weight.dim(1);
  std::vector<double> out;
  for (int64_t i = 0; i < ids.size(); ++i) {
    const auto from = values.begin() + ids[i] * width;
    out.insert(out.end(), from, from + width);
  }
  return {of_doubles(out, meta.shape(), meta.dtype(), meta.device())};
}

std::vector<Tensor> infer_backward(std::span<const Tensor> in, const Attrs& attrs, const Op& op) {
  const int64_t rows = attrs.as<EmbeddingBackwardAttrs>().rows;
  check(rows >= 0, op.name, "rows is {}; wants 0 or more", rows);
  return {Tensor::meta({rows, in[0].dim(-1)}, in[0].dtype(), in[0].device())};
}

// Each range of rows walks all positions in order and takes those that are its own.
template <class T>
void scatter(Device& device, const T* dy, const Ids& ids, int64_t rows, int64_t width, T* out) {
  const int64_t threads = device.threads().size();
  const int64_t grain = std::max<int64_t>(64, (rows + threads - 1) / threads);
  device.threads().parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    std::fill(out + begin * width, out + end * width, T{0});
    for (int64_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < begin || ids[i] >= end) continue;
      T* to = out + ids[i] * width;
      const T* from = dy + i * width;
      for (int64_t d = 0; d < width; ++d) to[d] += from[d];
    }
  });
}

void backward_f32(const KernelArgs& args) {
  const int64_t rows = args.attrs.as<EmbeddingBackwardAttrs>().rows;
  const Tensor dy = args.in[0].contiguous();
  const Ids ids(args.in[1], rows, "embedding_backward");
  scatter(args.device, dy.data<float>(), ids, rows, dy.dim(-1), args.out[0].data<float>());
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int64_t rows = attrs.as<EmbeddingBackwardAttrs>().rows, width = in[0].dim(-1);
  const std::vector<double> dy = to_doubles(in[0]);
  const Ids ids(in[1], rows, "embedding_backward");
  std::vector<double> out(static_cast<size_t>(rows * width), 0.0);
  for (size_t i = 0; i < dy.size(); ++i) {
    const size_t w = static_cast<size_t>(width);
    out[static_cast<size_t>(ids[static_cast<int64_t>(i / w)] * width) + i % w] += dy[i];
  }
  return {of_doubles(out, {rows, width}, in[0].dtype(), in[0].device())};
}

std::vector<Tensor> gradient(const GradArgs& g) {
  const Tensor &ids = g.in[0], &weight = g.in[1];
  std::vector<Tensor> grads(2);
  if (g.wanted[1]) {
    if (is_quantised(weight.dtype())) {
      fail(Code::kUnimplemented, "embedding",
           "weight is {}: it has no gradient; dequantise it first", name(weight.dtype()));
    }
    grads[1] =
        embedding_backward_op()({g.grad_out[0], ids}, EmbeddingBackwardAttrs{weight.dim(0)})[0];
  }
  return grads;
}

std::vector<Tensor> backward_gradient(const GradArgs& g) {
  std::vector<Tensor> grads(2);
  if (g.wanted[0]) grads[0] = ops::embedding(g.in[1], g.grad_out[0]);
  return grads;
}

Sample quantised_sample(DType dtype, bool panels) {
  Sample sample;
  sample.make = [=](DType, const DevicePtr& device) {
    const Tensor weight = random_quantised(dtype, 21, 64, 5, device);
    return std::vector<Tensor>{Tensor::from(std::vector<int32_t>{20, 0, 7, 16}, {4}, device),
                               panels ? pack_panels(weight) : weight};
  };
  return sample;
}

constexpr const char* kSource = "A lookup table: one row an id";

}  // namespace

const Op& embedding_op() {
  static const Op op = OpBuilder("embedding")
                           .doc("The rows of weight that ids name.")
                           .source(kSource)
                           .input("ids", "[...]", Kind::kIndex)
                           .input("weight", "[V, D]", Kind::kWeight)
                           .output("y", "[..., D]", 1)
                           .shape_rule(infer)
                           .kernel({.name = "cpu.f32",
                                    .device_kind = "cpu",
                                    .refuses = [](std::span<const Tensor> in,
                                                  const Attrs&) -> std::optional<std::string> {
                                      if (in[1].dtype() != DType::kF64) return std::nullopt;
                                      return "takes no f64";
                                    },
                                    .run = forward_f32})
                           .reference(forward_reference)
                           .gradient(gradient, {0})
                           .sample({Shape{2, 3}, Shape{11, 8}}, {}, 11)
                           .sample({Shape{7}, Shape{5, 3}}, {}, 5)
                           .sample(quantised_sample(DType::kQ8_0, true))
                           .sample(quantised_sample(DType::kQ4_1, false))
                           .sample({Shape{0}, Shape{5, 3}}, {}, 5)
                           .accuracy(0)
                           .build();
  return op;
}

const Op& embedding_backward_op() {
  static const Op op = OpBuilder("embedding_backward")
                           .doc(
                               "The gradient of embedding for weight: rows of dy added where ids "
                               "say, in order of position.")
                           .source(kSource)
                           .attrs(EmbeddingBackwardAttrs{})
                           .input("dy", "[..., D]")
                           .input("ids", "[...]", Kind::kIndex)
                           .output("dweight", "[V, D]")
                           .shape_rule(infer_backward)
                           .kernel(cpu_kernel("cpu.f32", DType::kF32, backward_f32))
                           .reference(backward_reference)
                           .gradient(backward_gradient, {1})
                           .sample({Shape{2, 3, 8}, Shape{2, 3}}, EmbeddingBackwardAttrs{4}, 4)
                           .sample({Shape{131, 5}, Shape{131}}, EmbeddingBackwardAttrs{70}, 70)
                           .sample({Shape{0, 8}, Shape{0}}, EmbeddingBackwardAttrs{4}, 4)
                           .accuracy(1, 6)
                           .build();
  return op;
}

Tensor ops::embedding(const Tensor& ids, const Tensor& weight) {
  return embedding_op()({ids, weight})[0];
}

}  // namespace yiti
