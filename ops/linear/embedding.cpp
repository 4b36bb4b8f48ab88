#include "ops/linear/embedding.h"

#include <algorithm>

#include "core/error.h"
#include "ops/host_values.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

// The ids in row-major order, each checked.
std::vector<int64_t> read_ids(const Tensor& ids, int64_t rows, std::string_view op) {
  std::vector<int64_t> values;
  if (ids.dtype() == DType::kI64) {
    values = ids.to_vector<int64_t>();
  } else {
    const std::vector<int32_t> narrow = ids.to_vector<int32_t>();
    values.assign(narrow.begin(), narrow.end());
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= rows) {
      fail(Code::kOutOfRange, op, "id {} at position {}; wants 0 <= id < {}", values[i], i, rows);
    }
  }
  return values;
}

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
void gather(Device& device, const Tensor& weight, const std::vector<int64_t>& ids, float* out) {
  const T* source = weight.data<T>();
  const int64_t width = weight.dim(1), row = weight.strides()[0], step = weight.strides()[1];
  device.threads().parallel_for(static_cast<int64_t>(ids.size()), 16, [&](int64_t i, int64_t end) {
    for (; i < end; ++i) {
      const T* from = source + ids[static_cast<size_t>(i)] * row;
      for (int64_t d = 0; d < width; ++d) out[i * width + d] = widen(from[d * step]);
    }
  });
}

void forward_f32(const KernelArgs& args) {
  const Tensor& weight = args.in[1];
  const std::vector<int64_t> ids = read_ids(args.in[0], weight.dim(0), "embedding");
  float* out = args.out[0].data<float>();
  switch (weight.dtype()) {
    case DType::kF32: return gather<float>(args.device, weight, ids, out);
    case DType::kF16: return gather<Half>(args.device, weight, ids, out);
    case DType::kBF16: return gather<BFloat16>(args.device, weight, ids, out);
    default:
      gather_rows(args.device, matrix(weight), ids.data(), static_cast<int64_t>(ids.size()), out);
  }
}

std::vector<Tensor> forward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const Tensor& weight = in[1];
  const std::vector<int64_t> ids = read_ids(in[0], weight.dim(0), "embedding");
  const std::vector<double> values =
      to_doubles(is_quantised(weight.dtype()) ? dequantise(weight) : weight);
  const Tensor meta = infer(in, attrs, embedding_op())[0];
  const int64_t width = weight.dim(1);
  std::vector<double> out;
  for (int64_t id : ids) {
    const auto from = values.begin() + id * width;
    out.insert(out.end(), from, from + width);
  }
  return {of_doubles(out, meta.shape(), meta.dtype(), meta.device())};
}

std::vector<Tensor> infer_backward(std::span<const Tensor> in, const Attrs& attrs, const Op&) {
  const int64_t rows = attrs.as<EmbeddingBackwardAttrs>().rows;
  return {Tensor::meta({rows, in[0].dim(-1)}, in[0].dtype(), in[0].device())};
}

// Each range of rows walks all positions in order and takes those that are its own.
template <class T>
void scatter(Device& device, const T* dy, const std::vector<int64_t>& ids, int64_t rows,
             int64_t width, T* out) {
  const int64_t threads = device.threads().size();
  const int64_t grain = std::max<int64_t>(64, (rows + threads - 1) / threads);
  device.threads().parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    std::fill(out + begin * width, out + end * width, T{0});
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < begin || ids[i] >= end) continue;
      T* to = out + ids[i] * width;
      const T* from = dy + static_cast<int64_t>(i) * width;
      for (int64_t d = 0; d < width; ++d) to[d] += from[d];
    }
  });
}

void backward_f32(const KernelArgs& args) {
  const int64_t rows = args.attrs.as<EmbeddingBackwardAttrs>().rows;
  const Tensor dy = args.in[0].contiguous();
  const std::vector<int64_t> ids = read_ids(args.in[1], rows, "embedding_backward");
  scatter(args.device, dy.data<float>(), ids, rows, dy.dim(-1), args.out[0].data<float>());
}

std::vector<Tensor> backward_reference(std::span<const Tensor> in, const Attrs& attrs) {
  const int64_t rows = attrs.as<EmbeddingBackwardAttrs>().rows, width = in[0].dim(-1);
  const std::vector<double> dy = to_doubles(in[0]);
  const std::vector<int64_t> ids = read_ids(in[1], rows, "embedding_backward");
  std::vector<double> out(static_cast<size_t>(rows * width), 0.0);
  for (size_t i = 0; i < dy.size(); ++i) {
    const size_t w = static_cast<size_t>(width);
    out[static_cast<size_t>(ids[i / w] * width) + i % w] += dy[i];
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
                           .accuracy(4, 6)
                           .build();
  return op;
}

Tensor ops::embedding(const Tensor& ids, const Tensor& weight) {
  return embedding_op()({ids, weight})[0];
}

}  // namespace yiti
