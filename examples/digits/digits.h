// Two small models of handwritten digits, written in ops: one forward for training and programs.
#pragma once

#include <functional>
#include <string>

#include "core/parameters.h"
#include "inference/program.h"

namespace yiti::digits {

/// Pictures with what they show.
struct Pictures {
  Tensor images;  ///< [N, 1, 8, 8] f32, from 0 (paper) to 1 (ink)
  Tensor labels;  ///< [N] i32, 0 to 9
};

struct Data {
  Pictures train, test;
};

/// Reads examples/data/digits/digits.safetensors.
Data load_data(const std::string& path, const DevicePtr& device);

/// A parameter by name: watched in training, a program's in a capture, else a version's tensor.
using Lookup = std::function<Tensor(const std::string& name)>;

struct Model {
  std::string name;
  StorePtr store;
  /// images [N, 1, 8, 8] -> logits [N, 10].
  Tensor (*logits)(const Tensor& images, const Lookup& parameter);
};

/// Two linear layers: 64 pixels, 256 hidden units.
Model make_mlp(const DevicePtr& device, uint64_t seed);
/// Two 3x3 convolutions of 24 channels, pooling, and a linear layer.
Model make_conv(const DevicePtr& device, uint64_t seed);

struct TrainOptions {
  int64_t epochs = 15;
  int64_t batch = 32;
  double lr = 3e-3;   ///< at the start; it falls to 0 in a line
  bool move = false;  ///< each batch's images by up to one pixel, which convolutions learn from
  uint64_t seed = 0;
  /// Told each epoch, from 1, and its mean loss; may be empty.
  std::function<void(int64_t epoch, double loss)> progress;
};

/// Trains with AdamW and publishes what came out to the model's store.
void train(const Model& model, const Pictures& pictures, const TrainOptions& options);

/// Logits by the training forward with the store's current version.
Tensor eager_logits(const Model& model, const Tensor& images);
/// The fraction of pictures whose largest logit is the right one.
double accuracy(const Tensor& logits, const Tensor& labels);

/// The forward as a program: input "images" [N, 1, 8, 8] with the symbol N up to max_batch.
Program capture(const Model& model, const DevicePtr& device, int64_t max_batch);

}  // namespace yiti::digits
