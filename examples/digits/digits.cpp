#include "examples/digits/digits.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/io/safetensors.h"
#include "core/random.h"
#include "ops/conv/conv2d.h"
#include "ops/conv/pool2d.h"
#include "ops/elementwise/scale.h"
#include "ops/elementwise/unary.h"
#include "ops/linear/linear.h"
#include "ops/loss/cross_entropy.h"
#include "ops/reduce/arg.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/cast.h"
#include "ops/shape/index_select.h"
#include "ops/shape/pad.h"
#include "ops/shape/reshape.h"
#include "ops/shape/slice.h"
#include "training/schedule.h"
#include "training/trainer.h"

namespace yiti::digits {
namespace {

// A weight after He et al. 2015 (its rows see `inputs` values) and a bias of zeros.
void add_layer(std::vector<ParameterStore::Named>& parameters, const std::string& name,
               const Shape& shape, const DevicePtr& device, uint64_t seed) {
  const Tensor weight = Tensor::empty(shape, DType::kF32, device);
  const double inputs = static_cast<double>(shape.numel() / shape[0]);
  fill_normal(weight, 0, static_cast<float>(std::sqrt(2 / inputs)), {seed, parameters.size()});
  parameters.push_back({name + ".weight", weight});
  parameters.push_back({name + ".bias", Tensor::zeros({shape[0]}, DType::kF32, device)});
}

Tensor mlp(const Tensor& images, const Lookup& parameter) {
  Tensor x = ops::reshape(images, {-1, 64});
  x = ops::relu(ops::linear(x, parameter("hidden.weight"), parameter("hidden.bias")));
  return ops::linear(x, parameter("head.weight"), parameter("head.bias"));
}

Tensor conv(const Tensor& images, const Lookup& parameter) {
  Tensor x = images;
  for (const std::string layer : {"conv1", "conv2"}) {
    x = ops::conv2d(x, parameter(layer + ".weight"), parameter(layer + ".bias"), {.padding = 1});
    x = ops::relu(x);
  }
  x = ops::max_pool2d(x, {.kernel = 2});
  x = ops::reshape(x, {-1, 24 * 4 * 4});
  return ops::linear(x, parameter("head.weight"), parameter("head.bias"));
}

// The numbers below `count` in an order that follows from the key (Fisher & Yates).
std::vector<int32_t> shuffled(int64_t count, RandomKey key) {
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random_bits(key, i) % i]);
  }
  return order;
}

// The images moved by up to one pixel along each axis, all alike.
Tensor moved(const Tensor& images, RandomKey key, uint64_t index) {
  const auto down = static_cast<int64_t>(random_bits(key, 2 * index) % 3);
  const auto right = static_cast<int64_t>(random_bits(key, 2 * index + 1) % 3);
  const Tensor framed = ops::pad(images, {0, 0, 0, 0, 1, 1, 1, 1});
  return ops::slice(ops::slice(framed, 2, down, down + 8), 3, right, right + 8);
}

Pictures rows(const Pictures& pictures, int64_t begin, int64_t end) {
  return {ops::slice(pictures.images, 0, begin, end), ops::slice(pictures.labels, 0, begin, end)};
}

}  // namespace

Data load_data(const std::string& path, const DevicePtr& device) {
  const auto file = SafetensorsFile::open(path, device);
  const int64_t train_rows = std::stoll(file->metadata().at("train_rows"));
  Pictures all{ops::scale(ops::cast(file->tensor("images"), DType::kF32), 1.0 / 16),
               ops::cast(file->tensor("labels"), DType::kI32)};
  all.images = ops::unsqueeze(all.images, 1);
  return {rows(all, 0, train_rows), rows(all, train_rows, all.labels.dim(0))};
}

Model make_mlp(const DevicePtr& device, uint64_t seed) {
  std::vector<ParameterStore::Named> parameters;
  add_layer(parameters, "hidden", {256, 64}, device, seed);
  add_layer(parameters, "head", {10, 256}, device, seed);
  return {"mlp", std::make_shared<ParameterStore>(std::move(parameters)), mlp};
}

Model make_conv(const DevicePtr& device, uint64_t seed) {
  std::vector<ParameterStore::Named> parameters;
  add_layer(parameters, "conv1", {24, 1, 3, 3}, device, seed);
  add_layer(parameters, "conv2", {24, 24, 3, 3}, device, seed);
  add_layer(parameters, "head", {10, 24 * 4 * 4}, device, seed);
  return {"conv", std::make_shared<ParameterStore>(std::move(parameters)), conv};
}

void train(const Model& model, const Pictures& pictures, const TrainOptions& options) {
  Trainer trainer(model.store, {}, {});
  const Lookup watched = [&](const std::string& name) {
    return trainer.watched().at(model.store->at(name).index);
  };
  const int64_t count = pictures.labels.dim(0);
  const int64_t steps_an_epoch = (count + options.batch - 1) / options.batch;
  const Schedule schedule({.lr = options.lr, .total_steps = options.epochs * steps_an_epoch});
  for (int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    const std::vector<int32_t> order =
        shuffled(count, {options.seed, static_cast<uint64_t>(epoch)});
    double loss_sum = 0;
    for (int64_t first = 0; first < count; first += options.batch) {
      const int64_t size = std::min(options.batch, count - first);
      const Tensor chosen = Tensor::from(
          std::span(order).subspan(static_cast<size_t>(first), static_cast<size_t>(size)), {size},
          pictures.images.device());
      Tensor images = ops::index_select(pictures.images, chosen);
      if (options.move) {
        images = moved(images, {options.seed, 0}, static_cast<uint64_t>(trainer.steps()));
      }
      trainer.begin_step();
      const Tensor logits = model.logits(images, watched);
      const Tensor labels = ops::index_select(pictures.labels, chosen);
      trainer.accumulate(ops::sum(ops::cross_entropy(logits, labels)), size);
      loss_sum += trainer.update(schedule.at(trainer.steps())).loss * static_cast<double>(size);
    }
    if (options.progress) options.progress(epoch, loss_sum / static_cast<double>(count));
  }
  trainer.publish();
}

Tensor eager_logits(const Model& model, const Tensor& images) {
  const VersionPtr version = model.store->current();
  return model.logits(images,
                      [&](const std::string& name) { return (*version)[model.store->at(name)]; });
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  const std::vector<int64_t> best = ops::argmax(logits).to_vector<int64_t>();
  const std::vector<int32_t> wanted = labels.to_vector<int32_t>();
  int64_t right = 0;
  for (size_t i = 0; i < best.size(); ++i) right += best[i] == wanted[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(best.size());
}

Program capture(const Model& model, const DevicePtr& device, int64_t max_batch) {
  ProgramBuilder builder(model.name, device);
  const VersionPtr version = model.store->current();
  const Dim n = builder.symbol("N", max_batch);
  const Tensor images = builder.input("images", {n, {1}, {8}, {8}}, DType::kF32);
  builder.output(model.logits(images, [&](const std::string& name) {
    const Parameter p = model.store->at(name);
    return builder.parameter(p, name, (*version)[p]);
  }));
  return builder.finish();
}

}  // namespace yiti::digits
