// What the tests on reference results share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/io/files.h"
#include "core/io/safetensors.h"
#include "models/loader.h"
#include "training/language_trainer.h"

namespace yiti {

inline nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(read_file(path, size_t{16} << 20));
}

/// The rows of `ids` [B, T] as documents of one batch, every token but each row's last with a loss.
inline Batch batch_of(const Tensor& ids) {
  Batch batch;
  const std::vector<int32_t> tokens = ids.to_vector<int32_t>();
  const auto length = static_cast<size_t>(ids.dim(1));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool last = i % length + 1 == length;
    batch.tokens.push_back(tokens[i]);
    batch.positions.push_back(static_cast<int32_t>(i % length));
    batch.labels.push_back(last ? kIgnoredLabel : tokens[i + 1]);
    batch.trained_tokens += last ? 0 : 1;
  }
  batch.documents = ids.dim(0);
  return batch;
}

/// Logits of all tokens by the training forward, without gradients.
inline Tensor training_logits(const LanguageModel& model, const Batch& batch) {
  TrainingInputs inputs = to_inputs(batch, model.device());
  inputs.labels = Tensor();
  TrainingContext context(model, model.store()->current(), inputs);
  return model(inputs.tokens, context);
}

inline float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!(std::abs(a[i] - b[i]) <= worst)) worst = std::abs(a[i] - b[i]);
  }
  return worst;
}

inline float largest_magnitude(const std::vector<float>& a) {
  float most = 0;
  for (float x : a) most = std::max(most, std::abs(x));
  return most;
}

inline void print_measured(const std::string& what, double value) {
  std::cout << "measured: " << what << " " << value << "\n";
}

}  // namespace yiti
