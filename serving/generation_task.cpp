#include "serving/generation_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/unix_time.h"
#include "serving/random_id.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

std::string make_id(Api api) {
  switch (api) {
    case Api::kChat: return "chatcmpl-" + random_hex(3);
    case Api::kResponses:
    case Api::kNativeResponses: return "resp_" + random_hex(6);
    case Api::kCompletion:
    case Api::kNative: break;
  }
  return "cmpl-" + random_hex(3);
}

ReplyContext make_context(ApiRequest request, const PreparedRequest& prepared, std::string id,
                          std::string model) {
  const GenerateRequest& first = prepared.generations[0];
  const ReplyHead head = {.api = request.api,
                          .id = std::move(id),
                          .created_unix_s = now_unix_s(),
                          .model = std::move(model)};
  request.messages = nullptr;
  request.prompts.clear();
  return {.request = std::move(request),
          .head = head,
          .sampling = first.sampling,
          .max_tokens = first.max_tokens,
          .prompt_text = prepared.prompt_texts.empty() ? "" : prepared.prompt_texts[0]};
}

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

std::vector<int32_t> sorted(std::vector<int32_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace

std::shared_ptr<Activity> GenerationTask::start(ApiRequest request, ServedModelPtr model,
                                                const Services& services, const std::string& client,
                                                Exchange& exchange) {
  request.verbose = request.verbose || services.options.verbose_replies;
  PreparedRequest prepared = prepare_request(request, *model, services.options);
  for (GenerateRequest& one : prepared.generations) {
    one.client = client;
    if (services.options.isolate_clients) one.cache_owner = client;
  }
  Limiter& limiter = *services.limiter;
  const auto count = static_cast<int64_t>(prepared.generations.size());
  if (count > limiter.most()) {
    throw ApiException({.message = fmt::format("the request asks for {} generations; this server "
                                               "runs at most {} at once",
                                               count, limiter.most()),
                        .param = "n"});
  }
  if (!limiter.acquire(count)) {
    throw ApiException(busy_error("The server is at its limit of generations; try again soon."));
  }
  const auto task = std::make_shared<GenerationTask>(std::move(request), prepared, std::move(model),
                                                     services, exchange);
  task->submit(std::move(prepared.generations));
  return task;
}

GenerationTask::GenerationTask(ApiRequest request, const PreparedRequest& prepared,
                               ServedModelPtr model, const Services& services, Exchange& exchange)
    : model_(std::move(model)),
      services_(services),
      exchange_(&exchange),
      id_(make_id(request.api)),
      stream_(request.stream),
      tells_progress_(request.stream && request.progress),
      tells_counts_(request.timings || request.continuous_usage),
      choices_per_prompt_(static_cast<size_t>(request.n)),
      received_(request.received) {
  const std::vector<int32_t> stop_tokens = sorted(model_->text->stop_tokens);
  const size_t count = prepared.generations.size();
  choices_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto index = static_cast<int64_t>(i);
    const bool with_logprobs = request.top_logprobs >= 0;
    Choice choice = {
        ChoiceText(index, model_->text->tokenizer, request.stop, stop_tokens, with_logprobs)};
    if (request.echo) choice.echo = prepared.prompt_texts[i / choices_per_prompt_];
    if (prepared.tools) choice.tools.emplace(*prepared.tools);
    choice.reply.index = index;
    choice.reply.with_logprobs = with_logprobs;
    choices_.push_back(std::move(choice));
  }
  writer_ = make_reply_writer(make_context(std::move(request), prepared, id_, model_->name));
}

GenerationTask::~GenerationTask() { let_go(); }

void GenerationTask::submit(std::vector<GenerateRequest> requests) {
  std::vector<std::shared_ptr<Place>> places;
  for (size_t i = 0; i < requests.size(); ++i)
    places.push_back(std::make_shared<Place>(services_.limiter));
  // Weak, since a generator may keep the mailbox longer than the server lives.
  auto drain = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  };
  mailbox_ = std::make_shared<Mailbox>(*exchange_, drain,
                                       static_cast<size_t>(services_.options.max_buffered_tokens));
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % choices_per_prompt_ == 0) {
      end_.usage.prompt_tokens += static_cast<int64_t>(requests[i].prompt.size());
    }
    if (tells_progress_ || tells_counts_) {
      requests[i].on_progress = [mailbox = mailbox_, i](const PromptProgress& progress) {
        mailbox->push({i, progress});
      };
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
      if (const auto* progress = std::get_if<PromptProgress>(&event.what)) {
        on_progress(choice, *progress);
      } else if (const auto* token = std::get_if<GeneratedToken>(&event.what)) {
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

void GenerationTask::on_progress(Choice& choice, const PromptProgress& progress) {
  choice.state.usage.prompt_tokens = progress.total;
  choice.state.usage.cached_tokens = progress.cached;
  choice.state.times.prompt_s = progress.time_s;
  if (tells_progress_) send(writer_->progress(choice.text.index(), progress));
}

void GenerationTask::on_token(Choice& choice, const GeneratedToken& token) {
  if (choice.done || choice.text.hit_stop_string()) return;
  measure(choice);
  ReplyChoice delta = choice.text.push(token);
  if (choice.text.hit_stop_string() && choice.handle != nullptr) choice.handle->cancel();
  take_calls(choice, delta);
  choice.state.usage.completion_tokens = choice.text.tokens();
  emit(choice, std::move(delta));
}

void GenerationTask::measure(Choice& choice) {
  const Clock::time_point now = Clock::now();
  if (choice.last_token == Clock::time_point()) {
    services_.metrics->first_token(model_->name, seconds(now - received_));
    choice.first_token = now;
  } else {
    services_.metrics->next_token(model_->name, seconds(now - choice.last_token));
  }
  choice.last_token = now;
  choice.state.times.decode_s = seconds(now - choice.first_token);
}

// Of text that may call tools, keeps only the text.
void GenerationTask::take_calls(Choice& choice, ReplyChoice& delta) {
  if (!choice.tools) return;
  ParsedReply parsed = choice.tools->push(delta.text);
  if (!delta.finish_reason.empty()) {
    ParsedReply rest = choice.tools->finish();
    parsed.text += rest.text;
    parsed.calls.insert(parsed.calls.end(), rest.calls.begin(), rest.calls.end());
  }
  delta.text = std::move(parsed.text);
  for (ToolCall& call : parsed.calls) {
    delta.tool_calls.push_back({.index = choice.calls++,
                                .id = "call_" + random_hex(3),
                                .name = std::move(call.name),
                                .arguments = std::move(call.arguments)});
  }
  if (delta.finish_reason == "stop" && choice.calls > 0) delta.finish_reason = "tool_calls";
}

void GenerationTask::on_done(Choice& choice, Result<Generation> result) {
  if (std::exchange(choice.done, true)) return;
  if (!result.ok()) return fail_with(result.error());
  const Generation generation = std::move(result).value();
  if (generation.finish == Finish::kCancelled && !choice.text.hit_stop_string()) {
    return fail_with(Error(Code::kCancelled, "generation", "it was cancelled"));
  }
  const std::string fingerprint = model_->numerics + generation.fingerprint;
  fingerprints_.insert(fingerprint);
  ReplyChoice last = choice.text.finish(generation.finish);
  take_calls(choice, last);
  end_.usage.completion_tokens += choice.text.tokens();
  if (choice.text.index() % static_cast<int64_t>(choices_per_prompt_) == 0) {
    end_.usage.cached_tokens += generation.cached_tokens;
  }
  if (generation.times.prompt_s + generation.times.decode_s >
      end_.times.prompt_s + end_.times.decode_s) {
    end_.times = generation.times;
  }
  services_.metrics->finished(model_->name, generation, last.finish_reason, choice.text.tokens(),
                              seconds(Clock::now() - received_));
  choice.state = {
      .usage = {generation.prompt_tokens, choice.text.tokens(), generation.cached_tokens},
      .fingerprint = fingerprint,
      .times = generation.times};
  emit(choice, std::move(last));
  if (++choices_done_ == choices_.size() && exchange_ != nullptr) complete();
}

void GenerationTask::emit(Choice& choice, ReplyChoice delta) {
  if (!choice.echo.empty()) delta.text = std::exchange(choice.echo, {}) + delta.text;
  if (stream_) return send(writer_->delta(delta, choice.state));
  ReplyChoice& reply = choice.reply;
  const auto append = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  reply.text += delta.text;
  append(reply.details, delta.details);
  append(reply.tokens, delta.tokens);
  append(reply.tool_calls, delta.tool_calls);
  reply.finish_reason = delta.finish_reason;
  reply.stop_string = delta.stop_string;
}

void GenerationTask::send(const std::string& events) {
  if (exchange_ == nullptr || events.empty()) return;
  if (!std::exchange(stream_begun_, true)) {
    HttpResponse head = sse_head();
    head.headers.emplace_back("X-Request-Id", id_);
    exchange_->begin_stream(std::move(head));
  }
  if (!exchange_->write(events)) let_go();
}

void GenerationTask::complete() {
  end_.fingerprint = fmt::format("{}", fmt::join(fingerprints_, ","));
  if (stream_) {
    send(writer_->end(end_));
    if (exchange_ != nullptr) exchange_->finish();
  } else {
    std::vector<ReplyChoice> replies;
    for (Choice& choice : choices_) replies.push_back(std::move(choice.reply));
    HttpResponse response;
    response.headers.emplace_back("X-Request-Id", id_);
    response.body = writer_->whole(replies, end_);
    exchange_->respond(std::move(response));
  }
  let_go();
}

void GenerationTask::fail_with(const Error& error) {
  const auto& log = services_.options.log;
  if (log) log(fmt::format("{}: {}", id_, error.what()));
  services_.metrics->failed(model_->name);
  fail_with(to_api_error(error));
}

void GenerationTask::fail_with(const ApiError& error) {
  if (exchange_ == nullptr) return;
  if (stream_begun_) {
    send(writer_->failure(error));
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
