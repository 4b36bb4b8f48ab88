// What a request says on sampling.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/generator.h"
#include "serving/request_fields.h"

namespace yiti::serving {

/// A bias for a token, or for all tokens of a text.
struct BiasWish {
  std::variant<int32_t, std::string> what;
  float bias = 0;
};

/// What a request leaves out comes from the model.
struct SamplingWishes {
  std::optional<double> temperature = {};
  std::optional<double> top_p = {};
  std::optional<double> min_p = {};
  std::optional<double> repetition_penalty = {};
  std::optional<double> frequency_penalty = {};
  std::optional<double> presence_penalty = {};
  std::optional<int64_t> top_k = {};
  std::optional<uint64_t> seed = {};
  std::vector<BiasWish> logit_bias = {};
  bool ignore_eos = false;  ///< no stop token may come
};

/// Reads the fields of OpenAI's API and those that local servers share. Throws ApiException.
SamplingWishes read_sampling(RequestFields& fields);

/// `stop`: one string or a few. Throws ApiException.
std::vector<std::string> read_stop(RequestFields& fields);

/// `defaults` with the wishes put over it, but for logit_bias and ignore_eos, which want a
/// tokenizer. Temperature 0 in the defaults becomes 1.
Sampling merge_sampling(const Sampling& defaults, const SamplingWishes& wishes);

}  // namespace yiti::serving
