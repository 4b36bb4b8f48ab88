#include "ops/linear/dequantise.h"

#include "ops/host_values.h"
#include "ops/linear/linear_reference.h"
#include "ops/linear/panels.h"

namespace yiti {
namespace {

void run(const KernelArgs& args) {
  dequantise_into(args.device, matrix(args.in[0]), args.out[0].data<float>());
}

std::vector<Tensor> reference(std::span<const Tensor> in, const Attrs&) {
  const Tensor& weight = in[0];
  if (is_quantised(weight.dtype())) return {dequantise(weight)};
  return {of_doubles(to_doubles(weight), weight.shape(), DType::kF32, weight.device())};
}

Sample sample_of(DType dtype, int64_t rows, bool panels) {
  Sample sample;
  sample.make = [=](DType, const DevicePtr& device) {
    const Tensor weight = random_quantised(dtype, rows, 64, 3, device);
    return std::vector<Tensor>{panels ? pack_panels(weight) : weight};
  };
  return sample;
}

}  // namespace

const Op& dequantise_op() {
  static const Op op = OpBuilder("dequantise")
                           .doc("The values of a quantised (or float) matrix as f32.")
                           .source("The block formats of GGUF")
                           .input("weight", "[N, K]", Kind::kWeight)
                           .output("y", "[N, K]", DType::kF32)
                           .kernel({.name = "cpu.quantised",
                                    .device_kind = "cpu",
                                    .refuses = [](std::span<const Tensor> in,
                                                  const Attrs&) -> std::optional<std::string> {
                                      if (is_quantised(in[0].dtype())) return std::nullopt;
                                      return "takes quantised types";
                                    },
                                    .run = run})
                           .reference(reference)
                           .not_differentiable()
                           .sample(sample_of(DType::kQ4_0, 5, false))
                           .sample(sample_of(DType::kQ4_1, 33, true))
                           .sample(sample_of(DType::kQ8_0, 16, true))
                           .sample(sample_of(DType::kQ8_0, 0, true))
                           .sample({Shape{3, 5}})
                           .accuracy(0)
                           .build();
  return op;
}

Tensor ops::dequantise(const Tensor& weight) { return dequantise_op()({weight})[0]; }

}  // namespace yiti
