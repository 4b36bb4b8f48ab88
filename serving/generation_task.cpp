#include "serving/generation_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "serving/generation_request.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

ReplyHead make_head(const ApiRequest& request) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.api = request.api,
          .id = (request.api == Api::kChat ? "chatcmpl-" : "cmpl-") + random_hex(3),
          .created_unix_s = std::chrono::duration_cast<std::chrono::seconds>(now).count(),
          .model = request.model};
}

std::vector<int32_t> sorted(std::vector<int32_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace

std::shared_ptr<Activity> GenerationTask::start(const ApiRequest& request, ServedModelPtr model,
                                                const ServerOptions& options,
                                                const std::shared_ptr<Limiter>& limiter,
                                                Exchange& exchange) {
  std::vector<GenerateRequest> requests = generate_requests(request, *model);
  const auto count = static_cast<int64_t>(requests.size());
  if (count > limiter->most()) {
    throw ApiException({.message = fmt::format("the request asks for {} generations; this server "
                                               "runs at most {} at once",
                                               count, limiter->most()),
                        .param = "n"});
  }
  if (!limiter->acquire(count)) {
    throw ApiException({.status = 429,
                        .message = "The server is at its limit of generations; try again soon.",
                        .type = "rate_limit_error",
                        .code = "rate_limit_exceeded"});
  }
  const auto task = std::make_shared<GenerationTask>(request, std::move(model), options, exchange);
  task->submit(std::move(requests), limiter);
  return task;
}

GenerationTask::GenerationTask(const ApiRequest& request, ServedModelPtr model,
                               const ServerOptions& options, Exchange& exchange)
    : model_(std::move(model)),
      options_(options),
      exchange_(&exchange),
      head_(make_head(request)),
      stream_(request.stream),
      include_usage_(request.include_usage),
      choices_per_prompt_(static_cast<size_t>(request.n)) {
  const size_t prompts = std::max<size_t>(request.prompts.size(), 1);
  const size_t count = prompts * static_cast<size_t>(request.n);
  const std::vector<int32_t> stop_tokens = sorted(model_->text->stop_tokens);
  choices_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto index = static_cast<int64_t>(i);
    const bool with_logprobs = request.top_logprobs >= 0;
    choices_.push_back(
        {ChoiceText(index, model_->text->tokenizer, request.stop, stop_tokens, with_logprobs)});
    choices_.back().reply = {.index = index,
                             .text = {},
                             .details = {},
                             .with_logprobs = with_logprobs,
                             .finish_reason = {}};
  }
}

GenerationTask::~GenerationTask() { let_go(); }

void GenerationTask::submit(std::vector<GenerateRequest> requests,
                            const std::shared_ptr<Limiter>& limiter) {
  std::vector<std::shared_ptr<Place>> places;
  for (size_t i = 0; i < requests.size(); ++i) places.push_back(std::make_shared<Place>(limiter));
  // Weak, since a generator may keep the mailbox longer than the server lives.
  auto drain = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  };
  mailbox_ = std::make_shared<Mailbox>(*exchange_, drain,
                                       static_cast<size_t>(options_.max_buffered_tokens));
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % choices_per_prompt_ == 0) {
      usage_.prompt_tokens += static_cast<int64_t>(requests[i].prompt.size());
    }
    auto on_token = [mailbox = mailbox_, i](const GeneratedToken& token) {
      return mailbox->push({i, token});
    };
    auto on_done = [mailbox = mailbox_, place = places[i], i](Result<Generation> result) {
      place->release();
      mailbox->push({i, std::move(result)});
    };
    choices_[i].handle =
        model_->generator->submit(std::move(requests[i]), std::move(on_token), std::move(on_done));
  }
}

void GenerationTask::client_gone() { let_go(); }

void GenerationTask::shut_down() {
  if (exchange_ != nullptr) fail_with(stopping_error());
}

void GenerationTask::drain() {
  try {
    for (GenerationEvent& event : mailbox_->take()) {
      if (exchange_ == nullptr) return;
      Choice& choice = choices_[event.choice];
      if (const auto* token = std::get_if<GeneratedToken>(&event.what)) {
        on_token(choice, *token);
      } else {
        on_done(choice, std::get<Result<Generation>>(std::move(event.what)));
      }
    }
  } catch (const Error& error) {
    fail_with(error);
  } catch (const std::exception& error) {
    fail_with(Error(Code::kInternal, "serving", error.what()));
  }
}

void GenerationTask::on_token(Choice& choice, const GeneratedToken& token) {
  if (choice.done || choice.text.hit_stop_string()) return;
  const ReplyChoice delta = choice.text.push(token);
  if (choice.text.hit_stop_string() && choice.handle != nullptr) choice.handle->cancel();
  emit(choice, delta, {});
}

void GenerationTask::on_done(Choice& choice, Result<Generation> result) {
  if (std::exchange(choice.done, true)) return;
  if (!result.ok()) return fail_with(result.error());
  const Generation generation = std::move(result).value();
  if (generation.finish == Finish::kCancelled && !choice.text.hit_stop_string()) {
    return fail_with(Error(Code::kCancelled, "generation", "it was cancelled"));
  }
  fingerprints_.insert(generation.fingerprint);
  const ReplyChoice last = choice.text.finish(generation.finish);
  usage_.completion_tokens += choice.text.tokens();
  if (choice.text.index() % static_cast<int64_t>(choices_per_prompt_) == 0) {
    usage_.cached_tokens += generation.cached_tokens;
  }
  emit(choice, last, generation.fingerprint);
  if (++choices_done_ == choices_.size() && exchange_ != nullptr) complete();
}

void GenerationTask::emit(Choice& choice, const ReplyChoice& delta,
                          const std::string& fingerprint) {
  if (!stream_) {
    choice.reply.text += delta.text;
    choice.reply.details.insert(choice.reply.details.end(), delta.details.begin(),
                                delta.details.end());
    choice.reply.finish_reason = delta.finish_reason;
    return;
  }
  const ChunkOptions chunk = {.fingerprint = fingerprint, .include_usage = include_usage_};
  if (!std::exchange(choice.role_sent, true) && head_.api == Api::kChat) {
    send(role_chunk_json(head_, delta.index, chunk));
  }
  if (delta.finish_reason.empty()) {
    if (!delta.text.empty()) send(chunk_json(head_, delta, chunk));
    return;
  }
  // The text that was held back goes before the end, as clients expect an empty last delta.
  if (!delta.text.empty() || !delta.details.empty()) {
    ReplyChoice rest = delta;
    rest.finish_reason.clear();
    send(chunk_json(head_, rest, chunk));
  }
  send(chunk_json(head_,
                  {.index = delta.index,
                   .text = {},
                   .details = {},
                   .with_logprobs = delta.with_logprobs,
                   .finish_reason = delta.finish_reason},
                  chunk));
}

void GenerationTask::send(const std::string& json) {
  if (exchange_ == nullptr) return;
  if (!std::exchange(stream_begun_, true)) {
    HttpResponse head = sse_head();
    head.headers.emplace_back("X-Request-Id", head_.id);
    exchange_->begin_stream(std::move(head));
  }
  if (!exchange_->write(sse_event(json))) let_go();
}

void GenerationTask::complete() {
  const std::string fingerprint = fmt::format("{}", fmt::join(fingerprints_, ","));
  if (stream_) {
    if (include_usage_) send(usage_chunk_json(head_, usage_, fingerprint));
    send("[DONE]");
    if (exchange_ != nullptr) exchange_->finish();
  } else {
    std::vector<ReplyChoice> replies;
    for (Choice& choice : choices_) replies.push_back(std::move(choice.reply));
    HttpResponse response;
    response.headers.emplace_back("X-Request-Id", head_.id);
    response.body = reply_json(head_, replies, usage_, fingerprint);
    exchange_->respond(std::move(response));
  }
  let_go();
}

void GenerationTask::fail_with(const Error& error) {
  if (options_.log) options_.log(fmt::format("{}: {}", head_.id, error.what()));
  fail_with(to_api_error(error));
}

void GenerationTask::fail_with(const ApiError& error) {
  if (exchange_ == nullptr) return;
  if (stream_begun_) {
    send(error_json(error));
    if (exchange_ != nullptr) exchange_->finish();
  } else {
    exchange_->respond(error_response(error));
  }
  let_go();
}

// Idempotent; generations that have ended ignore the cancelling.
void GenerationTask::let_go() {
  exchange_ = nullptr;
  if (mailbox_ != nullptr) mailbox_->detach();
  for (const Choice& choice : choices_) {
    if (!choice.done && choice.handle != nullptr) choice.handle->cancel();
  }
}

}  // namespace yiti::serving
