#include "tests/serving/fake_generator.h"

#include <limits>
#include <numeric>

#include "models/text/byte_alphabet.h"

namespace yiti::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kChatMl =
    "{% if tools %}<|im_start|>system\nAnswer with <tool_call>.\n"
    "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}{% for call in message.tool_calls %}"
    "<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

std::string text_after(const std::string& text, const std::string& mark) {
  const size_t at = text.rfind(mark);
  if (at == std::string::npos) return {};
  const std::string rest = text.substr(at + mark.size());
  return rest.substr(0, rest.find("<|"));
}

std::string prompt_text(const std::vector<int32_t>& prompt) {
  std::string text;
  for (const int32_t token : prompt) {
    text += token < 256 ? std::string(1, static_cast<char>(token)) : std::string("<|>");
  }
  return text;
}

// The text as far as the matcher lets it come, and where it does not, the first token that may.
std::string obedient(TokenMatcher& matcher, const std::string& text) {
  std::string said;
  while (!matcher.complete() && said.size() < 200) {
    std::vector<float> logits(kImEnd + 1);
    matcher.mask(logits);
    const auto may = [&](int32_t token) { return logits[static_cast<size_t>(token)] == 0; };
    const int32_t wanted =
        said.size() < text.size() ? static_cast<unsigned char>(text[said.size()]) : kImEnd;
    int32_t token = wanted;
    while (!may(token)) token = (token + 1) % (kImEnd + 1);
    if (token == kImEnd) break;
    matcher.accept(token);
    said += static_cast<char>(token);
  }
  return said;
}

GeneratedToken make_token(int32_t token, int64_t index, int top_logprobs) {
  GeneratedToken result = {.token = token,
                           .index = index,
                           .logprob = std::numeric_limits<float>::quiet_NaN(),
                           .top = {}};
  if (top_logprobs < 0) return result;
  result.logprob = -0.5F;
  for (int i = 0; i < top_logprobs; ++i) {
    result.top.push_back({(token + i) % 256, -0.5F - static_cast<float>(i)});
  }
  return result;
}

}  // namespace

TextModel fake_text_model() {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(alphabet_from_bytes(std::string(1, static_cast<char>(byte))));
  }
  spec.tokens.insert(spec.tokens.end(), {"<|im_start|>", "<|im_end|>"});
  spec.types.assign(256, TokenType::kNormal);
  spec.types.insert(spec.types.end(), {TokenType::kControl, TokenType::kControl});
  spec.pre_tokenizer = "gpt2";
  spec.eos = kImEnd;
  return {.tokenizer = Tokenizer(std::move(spec)),
          .chat = ChatTemplate::parse(kChatMl).value(),
          .chat_error = {},
          .stop_tokens = {kImEnd},
          .sampling = {}};
}

class FakeGenerator::Handle : public GenerationHandle {
 public:
  explicit Handle(FakeGenerator& owner) : owner_(owner) {}
  void cancel() override {
    {
      const std::lock_guard lock(owner_.mutex_);
      cancelled_ = true;
    }
    owner_.changed_.notify_all();
  }
  bool cancelled() const { return cancelled_; }

 private:
  FakeGenerator& owner_;
  std::atomic<bool> cancelled_ = false;
};

FakeGenerator::~FakeGenerator() {
  release();
  std::vector<std::shared_ptr<Handle>> handles;
  {
    const std::lock_guard lock(mutex_);
    handles = handles_;
  }
  for (const auto& handle : handles) handle->cancel();
  for (std::thread& thread : threads_) thread.join();
}

std::shared_ptr<GenerationHandle> FakeGenerator::submit(GenerateRequest request, OnToken token,
                                                        OnDone done) {
  auto handle = std::make_shared<Handle>(*this);
  ++under_way_;
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  handles_.push_back(handle);
  threads_.emplace_back([this, request = std::move(request), token = std::move(token),
                         done = std::move(done), handle] { run(request, token, done, *handle); });
  return handle;
}

std::shared_ptr<GenerationHandle> FakeGenerator::embed(EmbedRequest request, OnEmbedding done) {
  const auto sum = std::accumulate(request.tokens.begin(), request.tokens.end(), 0);
  done(
      std::vector<float>{static_cast<float>(sum), request.pooling == Pooling::kLast ? 1.0F : 0.0F});
  return std::make_shared<Handle>(*this);
}

GeneratorStats FakeGenerator::stats() const {
  return {.running = under_way_,
          .slots = 4,
          .slots_used = under_way_,
          .kv_tokens = 100,
          .kv_tokens_used = 20,
          .kv_tokens_kept = 30,
          .kv_tokens_touched = 60,
          .kv_token_bytes = 100'000,
          .tensor_bytes = 8192,
          .store = BlockStoreStats{.blocks = 1234, .bytes = 2'500'000'000, .loaded = 5, .saved = 6},
          .step_under_way_s = stalled_s_};
}

void FakeGenerator::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeGenerator::release() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  changed_.notify_all();
}

std::vector<GenerateRequest> FakeGenerator::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

bool FakeGenerator::wait_for_cancelled(int64_t count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 10s, [&] { return cancelled_ >= count; });
}

// False when the generation was cancelled.
bool FakeGenerator::pause(const Handle& handle, bool first) {
  std::unique_lock lock(mutex_);
  if (first) changed_.wait(lock, [&] { return !held_ || handle.cancelled(); });
  changed_.wait_for(lock, std::chrono::milliseconds(delay_ms_), [&] { return handle.cancelled(); });
  return !handle.cancelled();
}

void FakeGenerator::run(const GenerateRequest& request, const OnToken& token, const OnDone& done,
                        const Handle& handle) {
  Result<Generation> result = generate_tokens(request, token, handle);
  const bool was_cancelled = result.ok() && result.value().finish == Finish::kCancelled;
  --under_way_;
  done(std::move(result));
  {
    const std::lock_guard lock(mutex_);
    if (was_cancelled) ++cancelled_;
  }
  changed_.notify_all();
}

Result<Generation> FakeGenerator::generate_tokens(const GenerateRequest& request,
                                                  const OnToken& token, const Handle& handle) {
  const std::string prompt = prompt_text(request.prompt);
  const bool fails = prompt.find("fail:") != std::string::npos;
  const bool forever = prompt.find("forever") != std::string::npos;
  std::string text = text_after(prompt, fails ? "fail:" : "say:");
  if (text.empty() && !fails) text = "ok";
  Generation generation;
  generation.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  generation.cached_tokens = 3;
  generation.fingerprint = "fp_fake";
  generation.drafts = {.drafts = 2, .tokens = 7, .accepted = 5};
  if (request.on_progress) {
    request.on_progress({generation.prompt_tokens, 3, 3, 0});
    request.on_progress({generation.prompt_tokens, 3, generation.prompt_tokens, 0.25});
  }
  std::unique_ptr<TokenMatcher> matcher;
  if (request.constraint != nullptr) {
    matcher = request.constraint->begin();
    text = obedient(*matcher, text);
  }
  for (int64_t i = 0;; ++i) {
    const bool at_end = !forever && i == static_cast<int64_t>(text.size());
    generation.finish = Finish::kCancelled;
    if (!pause(handle, i == 0)) return generation;
    if (at_end && fails) return Error(Code::kInternal, "fake", "a secret detail");
    generation.finish = Finish::kLength;
    if (i == request.max_tokens) return generation;
    const int32_t next = at_end    ? kImEnd
                         : forever ? int32_t{'a'}
                                   : static_cast<unsigned char>(text[static_cast<size_t>(i)]);
    const bool goes_on = token(make_token(next, i, request.top_logprobs));
    generation.finish = at_end ? Finish::kStop : Finish::kCancelled;
    if (at_end || !goes_on) return generation;
    generation.tokens.push_back(next);
  }
}

}  // namespace yiti::testing
