#include "cli/request_options.h"

#include <fmt/ranges.h>

#include <fstream>

#include "core/error.h"
#include "core/io/files.h"
#include "models/text/named_templates.h"

namespace yiti::cli {
namespace {

constexpr size_t kMaxTemplateBytes = 1 << 20;

// One key a line; empty lines and those that begin with # do not count.
std::vector<std::string> read_keys(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    const size_t end = line.find_last_not_of(" \t\r");
    if (end == std::string::npos || line[0] == '#') continue;
    keys.push_back(line.substr(0, end + 1));
  }
  check(!keys.empty(), "serve", "{} holds no key", path);
  return keys;
}

}  // namespace

void RequestOptions::add(CLI::App& command) {
  command.add_option("--api-key", keys, "Ask clients for this key; may be given several times")
      ->allow_extra_args(false)
      ->envname("YITI_API_KEY");
  command.add_option("--api-key-file", key_file, "A file of further keys, one a line")
      ->check(CLI::ExistingFile);
  command
      .add_option("--cors-origin", origins,
                  "Let pages of this origin ask; '*': of any, 'localhost': of this machine")
      ->allow_extra_args(false);
  command.add_flag("--cors-proxy", cors_proxy,
                   "A risk: whoever may ask here reaches, through /cors-proxy, all that this "
                   "machine reaches");
  CLI::Option* certificate =
      command.add_option("--tls-cert", tls_certificate, "Serve HTTPS: a PEM file with the chain")
          ->check(CLI::ExistingFile);
  command.add_option("--tls-key", tls_key, "Its key, a PEM file")
      ->check(CLI::ExistingFile)
      ->needs(certificate);
  command.add_option("--pooling", pooling, "Of embeddings: mean or last")
      ->check(CLI::IsMember({"mean", "last"}))
      ->capture_default_str();
  command.add_option("--stall-seconds", stall_s, "A longer step makes /health fail")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--temperature", temperature, "Where a request names none");
  command.add_option("--seed", seed, "The same for all requests that name none");
  command
      .add_option("--max-tokens", max_tokens, "Of an answer, at most; 0: what the context holds")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--isolate-keys", isolate_keys,
                   "Caches of prompts are apart by key, or by address without keys");
  command
      .add_option("--default-max-tokens", default_max_tokens,
                  "Of an answer where a request names none; 0: as many as it may have")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--alias", aliases, "A further name of the model; may be given several times")
      ->allow_extra_args(false);
  command.add_option("--tag", tags, "Told of the model in /v1/models; may be given several times")
      ->allow_extra_args(false);
  command.add_flag("--any-model-name", any_model_name,
                   "Answer requests for models that are not there, too");
  command.add_flag("--no-slots", no_slots, "Do not show /slots");
  command.add_flag("--verbose-replies", verbose_replies,
                   "Put the prompt and the sampling into all replies that do not stream");
  add_chat(command);
}

void RequestOptions::add_chat(CLI::App& command) {
  command
      .add_option("--chat-template", chat_template,
                  fmt::format("In place of the model's own: a Jinja file, or one of {}",
                              fmt::join(chat_template_names(), ", ")))
      ->check(CLI::ExistingFile | CLI::IsMember(chat_template_names()))
      ->group("Chats");
  command
      .add_option("--chat-template-kwargs", chat.variables_json,
                  "Variables of the template where a request gives none: a JSON object")
      ->group("Chats");
  command
      .add_flag("--template-dates", chat.dates,
                "Tell the template today's date, as date_string and datetime")
      ->group("Chats");
  command
      .add_flag("--prefill-assistant", chat.prefill_assistant,
                "Go on with the last message where it is the assistant's")
      ->group("Chats");
}

void RequestOptions::apply(ServerOptions& server) const {
  server.api_keys = keys;
  if (!key_file.empty()) {
    for (std::string& key : read_keys(key_file)) server.api_keys.push_back(std::move(key));
  }
  server.cors_origins = origins;
  server.tls_certificate = tls_certificate;
  server.tls_key = tls_key;
  server.pooling = pooling == "mean" ? Pooling::kMean : Pooling::kLast;
  server.stall = std::chrono::seconds(stall_s);
  server.any_model_name = any_model_name;
  server.isolate_clients = isolate_keys;
  server.cors_proxy = cors_proxy;
  server.serve_slots = !no_slots;
  server.verbose_replies = verbose_replies;
  server.max_tokens = max_tokens;
  server.default_max_tokens = default_max_tokens;
}

void RequestOptions::apply(ServedModel& model) const {
  model.chat = chat;
  model.aliases = aliases;
  model.tags = tags;
  if (!temperature && !seed) return;
  model.sampling = model.text->sampling;
  model.sampling->temperature = temperature.value_or(model.sampling->temperature);
  model.sampling->seed = seed.value_or(0);
  model.fixed_seed = seed.has_value();
}

TextModel RequestOptions::with_template(TextModel text) const {
  if (chat_template.empty()) return text;
  const auto piece = [&](int32_t token) {
    return token < 0 ? std::string() : std::string(text.tokenizer.token_piece(token));
  };
  SpecialTokenTexts special;
  special.eos = piece(text.tokenizer.eos());
  special.pad = piece(text.tokenizer.pad());
  const auto named = named_chat_template(chat_template);
  // A template that was not written for this tokenizer leaves the choice to it.
  if (!named || text.tokenizer.adds_bos()) special.bos = piece(text.tokenizer.bos());
  const std::string source =
      named ? std::string(*named) : read_file(chat_template, kMaxTemplateBytes);
  text.chat = ChatTemplate::parse(source, special).value();
  return text;
}

}  // namespace yiti::cli
