#include "serving/embeddings.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "serving/exchange_link.h"
#include "serving/json_text.h"
#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostAtOnce = 32;  // texts of one request

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      const auto byte = i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0;
      group = group << 8 | static_cast<uint32_t>(byte);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

// Little-endian float32, as OpenAI sends it.
std::string float_bytes(const std::vector<float>& numbers) {
  std::string bytes;
  for (const float number : numbers) {
    const auto bits = std::bit_cast<uint32_t>(number);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 255);
  }
  return bytes;
}

class EmbeddingTask : public Activity, public std::enable_shared_from_this<EmbeddingTask> {
 public:
  EmbeddingTask(const EmbeddingRequest& request, ServedModelPtr model, const Services& services,
                Exchange& exchange)
      : model_(std::move(model)),
        link_(std::make_shared<ExchangeLink>(exchange)),
        base64_(request.base64),
        log_(services.options.log) {}
  ~EmbeddingTask() override { let_go(); }

  /// A text for each of `places` at once; the others follow as those are done.
  void submit(std::vector<EmbedRequest> texts, std::vector<std::shared_ptr<Place>> places) {
    data_.resize(texts.size());
    for (const EmbedRequest& text : texts) {
      prompt_tokens_ += static_cast<int64_t>(text.tokens.size());
    }
    texts_ = std::move(texts);
    for (const std::shared_ptr<Place>& place : places) submit_next(place);
  }

  void client_gone() override { let_go(); }
  void shut_down() override { answer(error_response(stopping_error())); }

 private:
  void submit_next(const std::shared_ptr<Place>& place) {
    if (next_ == texts_.size()) return place->release();
    const size_t index = next_++;
    auto done = [weak = weak_from_this(), link = link_, place,
                 index](Result<std::vector<float>> result) {
      const bool wanted = link->post([weak, place, index, result = std::move(result)]() mutable {
        if (const auto self = weak.lock()) self->on_done(index, place, std::move(result));
      });
      if (!wanted) place->release();
    };
    handles_.push_back(model_->generator->embed(std::move(texts_[index]), std::move(done)));
  }

  void on_done(size_t index, const std::shared_ptr<Place>& place,
               Result<std::vector<float>> result) {
    if (link_->get() == nullptr) return;
    if (!result.ok()) {
      if (log_) log_(result.error().what());
      return answer(error_response(to_api_error(result.error())));
    }
    data_[index] = normalised(std::move(result).value());
    submit_next(place);
    if (++done_ < data_.size()) return;
    HttpResponse response;
    response.body = embeddings_json(model_->name, data_, base64_, prompt_tokens_);
    answer(std::move(response));
  }

  void answer(HttpResponse response) {
    Exchange* const exchange = link_->take();
    let_go();
    if (exchange != nullptr) exchange->respond(std::move(response));
  }

  void let_go() {
    link_->take();
    for (const auto& handle : handles_) handle->cancel();
    handles_.clear();
  }

  const ServedModelPtr model_;                // kept while its name may be given to another, or go
  const std::shared_ptr<ExchangeLink> link_;  // outlives the task where the generator does
  const bool base64_;
  const std::function<void(std::string_view)> log_;
  std::vector<EmbedRequest> texts_;
  size_t next_ = 0;  // of texts_
  std::vector<std::shared_ptr<GenerationHandle>> handles_;
  std::vector<std::vector<float>> data_;
  size_t done_ = 0;
  int64_t prompt_tokens_ = 0;
};

}  // namespace

std::vector<float> normalised(std::vector<float> vector) {
  double square = 0;
  for (const float x : vector) square += static_cast<double>(x) * static_cast<double>(x);
  if (square == 0) return vector;
  for (float& x : vector) x = static_cast<float>(static_cast<double>(x) / std::sqrt(square));
  return vector;
}

EmbeddingRequest parse_embedding_request(std::string_view body) {
  const Json json = parse_request_object(body);
  RequestFields fields(json);
  EmbeddingRequest request;
  request.model = fields.string("model").value_or("");
  request.inputs = read_prompts(fields.require("input"), "input");
  const std::string format = fields.string("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    reject_field("encoding_format", "'encoding_format' wants float or base64");
  }
  request.base64 = format == "base64";
  if (const auto pooling = fields.string("pooling")) {
    if (*pooling != "mean" && *pooling != "last") {
      reject_field("pooling", "'pooling' wants mean or last");
    }
    request.pooling = *pooling == "mean" ? Pooling::kMean : Pooling::kLast;
  }
  fields.refuse_unless("dimensions", nullptr);
  fields.ignore("user");
  fields.refuse_unknown();
  return request;
}

std::string embeddings_json(const std::string& model, const std::vector<std::vector<float>>& data,
                            bool base64, int64_t prompt_tokens) {
  Json list = Json::array();
  for (size_t i = 0; i < data.size(); ++i) {
    list.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", base64 ? Json(base64_of(float_bytes(data[i]))) : Json(data[i])}});
  }
  return json_text(
      {{"object", "list"},
       {"data", std::move(list)},
       {"model", model},
       {"usage", {{"prompt_tokens", prompt_tokens}, {"total_tokens", prompt_tokens}}}});
}

std::shared_ptr<Activity> start_embedding(const EmbeddingRequest& request, ServedModelPtr model,
                                          const Services& services, const std::string& client,
                                          Exchange& exchange) {
  std::vector<EmbedRequest> texts;
  for (const Prompt& input : request.inputs) {
    EmbedRequest text;
    text.tokens = encode_prompt(input, model->text->tokenizer, "input");
    if (text.tokens.empty()) reject_field("input", "'input' gives no tokens");
    if (static_cast<int64_t>(text.tokens.size()) > model->generator->context_length()) {
      reject_field("input",
                   fmt::format("the input is too large: {} tokens; this model's context holds {}",
                               text.tokens.size(), model->generator->context_length()),
                   "context_length_exceeded");
    }
    text.pooling = request.pooling.value_or(services.options.pooling);
    text.client = client;
    texts.push_back(std::move(text));
  }
  const int64_t at_once =
      std::min({static_cast<int64_t>(texts.size()), kMostAtOnce, services.limiter->most()});
  if (!services.limiter->acquire(at_once)) {
    throw ApiException(busy_error("The server is at its limit of generations; try again soon."));
  }
  std::vector<std::shared_ptr<Place>> places;
  for (int64_t i = 0; i < at_once; ++i) {
    places.push_back(std::make_shared<Place>(services.limiter));
  }
  const auto task = std::make_shared<EmbeddingTask>(request, std::move(model), services, exchange);
  task->submit(std::move(texts), std::move(places));
  return task;
}

}  // namespace yiti::serving
