// llama.cpp's POST /completion (its tools/server/README, 2025), as far as it has a meaning here.
#include <fmt/format.h>

#include "serving/openai_request.h"

namespace yiti::serving {

using Json = nlohmann::ordered_json;

void read_native_request(RequestFields& fields, ApiRequest& request) {
  request.prompts = read_prompts(fields.require("prompt"), "prompt");
  const auto limit = fields.integer("n_predict", -1);
  const auto same = fields.integer("max_tokens", -1);
  request.max_tokens = limit ? limit : same;
  if (request.max_tokens == -1) request.max_tokens.reset();
  if (request.max_tokens == 0)
    reject_field("n_predict", "'n_predict' is 0; wants 1 or more, or -1");
  request.stop = read_stop(fields);
  request.sampling = read_sampling(fields);
  if (const auto penalty = fields.number("repeat_penalty", 0.01, 10)) {
    request.sampling.repetition_penalty = penalty;
  }
  if (request.sampling.seed == static_cast<uint64_t>(-1)) request.sampling.seed.reset();
  request.format = read_output_format(fields);
  const auto probabilities = fields.integer("n_probs", 0, 20).value_or(0);
  request.top_logprobs = probabilities > 0 ? static_cast<int>(probabilities) : -1;
  request.native.return_tokens = fields.boolean("return_tokens").value_or(false);
  if (const Json* wanted = fields.find("response_fields")) {
    if (!wanted->is_array()) reject_field("response_fields", "'response_fields' wants names");
    for (const Json& name : *wanted) {
      if (!name.is_string()) reject_field("response_fields", "'response_fields' wants names");
      request.native.response_fields.push_back(name.get<std::string>());
    }
  }
  request.native.sampled_probabilities = fields.boolean("post_sampling_probs").value_or(false);
  fields.ignore("backend_sampling");  // where llama.cpp draws
  fields.refuse_unless("image_data", nullptr);
}

}  // namespace yiti::serving
