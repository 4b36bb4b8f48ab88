// A generator and a text model that need no weights: what the prompt says, they say.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "models/generator.h"
#include "models/text/text_model.h"

namespace yiti::testing {

inline constexpr int32_t kImStart = 256, kImEnd = 257;

/// One token a byte, and the two of ChatML, whose template it has, with tools as Qwen writes them.
TextModel fake_text_model();

/// Answers a prompt that holds "say:TEXT" (up to a control token) with TEXT and the stop token,
/// "forever" with endless a's, "fail:TEXT" with TEXT and then an internal error, anything else
/// with "ok". A constraint is kept to. Each generation runs on a thread of its own.
class FakeGenerator : public Generator {
 public:
  ~FakeGenerator() override;

  std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                           OnDone done) override;
  /// The sum of the tokens, and whether the last one was asked for.
  std::shared_ptr<GenerationHandle> embed(EmbedRequest request, OnEmbedding done) override;
  GeneratorStats stats() const override;
  void stall_for(double time_s) { stalled_s_ = time_s; }
  int64_t context_length() const override { return context_length_; }
  void set_context_length(int64_t tokens) { context_length_ = tokens; }

  void set_token_delay(std::chrono::milliseconds delay) { delay_ms_ = delay.count(); }
  /// Keeps generations before their first token until release().
  void hold();
  void release();

  std::vector<GenerateRequest> requests() const;
  int64_t under_way() const { return under_way_; }
  int64_t cancelled() const { return cancelled_; }
  /// Whether `count` generations were cancelled within some seconds.
  bool wait_for_cancelled(int64_t count) const;

 private:
  class Handle;
  void run(const GenerateRequest& request, const OnToken& token, const OnDone& done,
           const Handle& handle);
  Result<Generation> generate_tokens(const GenerateRequest& request, const OnToken& token,
                                     const Handle& handle);
  bool pause(const Handle& handle, bool first);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::atomic<int64_t> context_length_ = 2048;
  bool held_ = false;
  std::vector<GenerateRequest> requests_;
  std::vector<std::shared_ptr<Handle>> handles_;
  std::vector<std::thread> threads_;
  std::atomic<int64_t> delay_ms_ = 0;
  std::atomic<double> stalled_s_ = 0;
  std::atomic<int64_t> under_way_ = 0;
  std::atomic<int64_t> cancelled_ = 0;
};

}  // namespace yiti::testing
