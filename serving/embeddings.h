// POST /v1/embeddings.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serving/generation_task.h"
#include "serving/prompt.h"

namespace yiti::serving {

struct EmbeddingRequest {
  std::string model;  ///< empty: left out
  std::vector<Prompt> inputs;
  bool base64 = false;
  std::optional<Pooling> pooling;  ///< beyond OpenAI's: mean or last
};

/// Throws ApiException.
EmbeddingRequest parse_embedding_request(std::string_view body);

/// The answer for normalised embeddings, in the order of the inputs.
std::string embeddings_json(const std::string& model, const std::vector<std::vector<float>>& data,
                            bool base64, int64_t prompt_tokens);

/// `vector` with length 1; zeros stay.
std::vector<float> normalised(std::vector<float> vector);

/// Embeds and answers. Throws ApiException or Error where it cannot begin. What is passed by
/// reference must outlive the exchange.
std::shared_ptr<Activity> start_embedding(const EmbeddingRequest& request, ServedModelPtr model,
                                          const Services& services, const std::string& client,
                                          Exchange& exchange);

}  // namespace yiti::serving
