// The options of `serve` that say who may ask, and what requests get where they say nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "serving/options.h"

namespace yiti::cli {

struct RequestOptions {
  std::vector<std::string> keys;
  std::string key_file;
  std::vector<std::string> origins;
  std::string tls_certificate, tls_key;
  std::string pooling = "mean";
  int64_t stall_s = 60;
  bool any_model_name = false;
  bool cors_proxy = false;
  bool no_slots = false;
  bool isolate_keys = false;
  bool verbose_replies = false;
  std::optional<double> temperature;
  std::optional<uint64_t> seed;
  int64_t max_tokens = 0;
  int64_t default_max_tokens = 0;
  std::string chat_template;
  ChatDefaults chat;
  std::vector<std::string> aliases;
  std::vector<std::string> tags;

  void add(CLI::App& command);
  /// Throws Error for a key file that holds no key.
  void apply(ServerOptions& server) const;
  /// What requests for the model get where they ask for nothing.
  void apply(ServedModel& model) const;
  /// `text` with the chat template that was asked for. Throws Error where it cannot be read.
  TextModel with_template(TextModel text) const;

 private:
  void add_chat(CLI::App& command);
};

}  // namespace yiti::cli
