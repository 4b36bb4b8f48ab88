#include "serving/sampling_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBiases = 1024;
constexpr size_t kMaxStops = 4;

float bias_value(const Json& given) {
  if (given == false) return -std::numeric_limits<float>::infinity();
  if (!given.is_number() || given.get<double>() < -100 || given.get<double>() > 100) {
    reject_field("logit_bias", "'logit_bias' wants biases from -100 to 100, or false");
  }
  return given.get<float>();
}

// A token's number as OpenAI writes it, else a text as llama.cpp takes it.
std::variant<int32_t, std::string> bias_key(const std::string& text) {
  int32_t token = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, token);
  if (read.ec == std::errc() && read.ptr == end && token >= 0) return token;
  return text;
}

BiasWish bias_pair(const Json& pair) {
  if (!pair.is_array() || pair.size() != 2) {
    reject_field("logit_bias", "'logit_bias' as a list wants pairs of a token and a bias");
  }
  if (pair[0].is_string()) return {pair[0].get<std::string>(), bias_value(pair[1])};
  if (!pair[0].is_number_unsigned() || pair[0].get<uint64_t>() > INT32_MAX) {
    reject_field("logit_bias", "'logit_bias' wants tokens of 0 or more, or texts");
  }
  return {pair[0].get<int32_t>(), bias_value(pair[1])};
}

std::vector<BiasWish> read_logit_bias(RequestFields& fields) {
  const Json* given = fields.find("logit_bias");
  if (given == nullptr) return {};
  if (!given->is_structured()) {
    reject_field("logit_bias", "'logit_bias' wants an object from tokens to biases");
  }
  if (given->size() > kMaxBiases) {
    reject_field("logit_bias", fmt::format("'logit_bias' has {} tokens; wants at most {}",
                                           given->size(), kMaxBiases));
  }
  std::vector<BiasWish> biases;
  for (const auto& [key, value] : given->items()) {
    biases.push_back(given->is_object() ? BiasWish{bias_key(key), bias_value(value)}
                                        : bias_pair(value));
  }
  return biases;
}

}  // namespace

SamplingWishes read_sampling(RequestFields& fields) {
  SamplingWishes wishes;
  wishes.temperature = fields.number("temperature", 0, 2);
  wishes.top_p = fields.number("top_p", 0, 1);
  wishes.min_p = fields.number("min_p", 0, 1);
  wishes.repetition_penalty = fields.number("repetition_penalty", 0.01, 10);
  wishes.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  wishes.presence_penalty = fields.number("presence_penalty", -2, 2);
  wishes.top_k = fields.integer("top_k", -1);
  if (wishes.top_k == -1) wishes.top_k = 0;
  const auto seed = fields.integer("seed", INT64_MIN);
  if (seed) wishes.seed = static_cast<uint64_t>(*seed);
  wishes.logit_bias = read_logit_bias(fields);
  wishes.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  return wishes;
}

std::vector<std::string> read_stop(RequestFields& fields) {
  const Json* given = fields.find("stop");
  if (given == nullptr) return {};
  const Json list = given->is_array() ? *given : Json::array({*given});
  if (list.size() > kMaxStops) {
    reject_field("stop",
                 fmt::format("'stop' has {} strings; wants at most {}", list.size(), kMaxStops));
  }
  std::vector<std::string> stop;
  for (const Json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) {
      reject_field("stop", "'stop' wants a string that is not empty, or several");
    }
    stop.push_back(one.get<std::string>());
  }
  return stop;
}

Sampling merge_sampling(const Sampling& defaults, const SamplingWishes& wishes) {
  Sampling result = defaults;
  if (result.temperature == 0) result.temperature = 1;
  result.temperature = wishes.temperature.value_or(result.temperature);
  result.top_k = wishes.top_k.value_or(result.top_k);
  result.top_p = wishes.top_p.value_or(result.top_p);
  result.min_p = wishes.min_p.value_or(result.min_p);
  result.repetition_penalty = wishes.repetition_penalty.value_or(result.repetition_penalty);
  result.frequency_penalty = wishes.frequency_penalty.value_or(result.frequency_penalty);
  result.presence_penalty = wishes.presence_penalty.value_or(result.presence_penalty);
  result.seed = wishes.seed.value_or(result.seed);
  return result;
}

}  // namespace yiti::serving
