// Reads the body of a request for a fine-tuning job.
#include <fmt/format.h>

#include "serving/fine_tuning.h"
#include "serving/request_fields.h"

namespace yiti::serving {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxSuffixBytes = 64;
constexpr size_t kMaxMetadata = 16, kMaxMetadataKeyBytes = 64, kMaxMetadataBytes = 512;

// A field that "auto" leaves to the server.
template <class Read>
auto unless_auto(RequestFields& fields, std::string_view name, Read read) -> decltype(read()) {
  const Json* value = fields.find(name);
  if (value != nullptr && *value == "auto") return std::nullopt;
  return read();
}

Hyperparameters read_hyperparameters(const Json& json, const std::string& where) {
  if (!json.is_object()) reject_field(where, fmt::format("'{}' wants an object", where));
  RequestFields fields(json);
  Hyperparameters values;
  values.n_epochs =
      unless_auto(fields, "n_epochs", [&] { return fields.integer("n_epochs", 1, 1000); });
  values.batch_size =
      unless_auto(fields, "batch_size", [&] { return fields.integer("batch_size", 1, 4096); });
  values.learning_rate_multiplier = unless_auto(fields, "learning_rate_multiplier", [&] {
    return fields.number("learning_rate_multiplier", 1e-6, 1e3);
  });
  fields.refuse_unknown();
  return values;
}

// The hyperparameters under `method`; unset where it has none.
std::optional<Hyperparameters> read_method(const Json* method) {
  if (method == nullptr) return std::nullopt;
  if (!method->is_object()) reject_field("method", "'method' wants an object");
  RequestFields fields(*method);
  const std::string type = fields.string("type").value_or("supervised");
  if (type != "supervised") {
    reject_field(
        "method.type",
        fmt::format("'method.type' is '{}'; only supervised is supported", type.substr(0, 64)),
        "unsupported_parameter");
  }
  fields.refuse_unless("dpo", nullptr);
  fields.refuse_unless("reinforcement", nullptr);
  const Json* supervised = fields.find("supervised");
  fields.refuse_unknown();
  if (supervised == nullptr) return std::nullopt;
  if (!supervised->is_object()) {
    reject_field("method.supervised", "'method.supervised' wants an object");
  }
  RequestFields inner(*supervised);
  const Json* values = inner.find("hyperparameters");
  inner.refuse_unknown();
  if (values == nullptr) return std::nullopt;
  return read_hyperparameters(*values, "method.supervised.hyperparameters");
}

std::string read_suffix(RequestFields& fields) {
  std::string suffix = fields.string("suffix").value_or("");
  constexpr const char* kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (suffix.size() > kMaxSuffixBytes || suffix.find_first_not_of(kAllowed) != std::string::npos) {
    reject_field("suffix", fmt::format("'suffix' wants up to {} letters, digits, '-', '_' and '.'",
                                       kMaxSuffixBytes));
  }
  return suffix;
}

std::map<std::string, std::string> read_metadata(const Json* json) {
  std::map<std::string, std::string> metadata;
  if (json == nullptr) return metadata;
  if (!json->is_object() || json->size() > kMaxMetadata) {
    reject_field("metadata",
                 fmt::format("'metadata' wants an object of up to {} members", kMaxMetadata));
  }
  for (const auto& [key, value] : json->items()) {
    if (key.size() > kMaxMetadataKeyBytes || !value.is_string() ||
        value.get_ref<const std::string&>().size() > kMaxMetadataBytes) {
      reject_field("metadata", fmt::format("'metadata' wants keys of up to {} bytes and strings of "
                                           "up to {}",
                                           kMaxMetadataKeyBytes, kMaxMetadataBytes));
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

std::string require_string(RequestFields& fields, std::string_view name) {
  fields.require(name);
  return *fields.string(name);
}

}  // namespace

JobRequest parse_job_request(std::string_view body) {
  const Json json = parse_request_object(body);
  RequestFields fields(json);
  JobRequest request;
  request.model = require_string(fields, "model");
  request.training_file = require_string(fields, "training_file");
  request.validation_file = fields.string("validation_file").value_or("");
  request.suffix = read_suffix(fields);
  request.seed = fields.integer("seed", 0, INT32_MAX);
  const Json* at_the_top = fields.find("hyperparameters");
  const auto in_method = read_method(fields.find("method"));
  if (at_the_top != nullptr && in_method) {
    reject_field("hyperparameters", "the hyperparameters are given twice: here and under 'method'");
  }
  if (at_the_top != nullptr) {
    request.hyperparameters = read_hyperparameters(*at_the_top, "hyperparameters");
  } else if (in_method) {
    request.hyperparameters = *in_method;
  }
  request.metadata = read_metadata(fields.find("metadata"));
  fields.refuse_unless("integrations", nullptr);
  fields.refuse_unknown();
  return request;
}

}  // namespace yiti::serving
