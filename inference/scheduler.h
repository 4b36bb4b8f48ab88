// Continuous batching: requests of many clients share the steps of one session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "core/gate.h"
#include "inference/fair_queue.h"
#include "inference/language_session.h"
#include "models/generator.h"

namespace yiti {

struct SchedulerOptions {
  LanguageSessionOptions session = {};
  size_t max_queue = 1024;  ///< requests waiting for a place
  /// Prompt tokens of a step in which others decode: what a new prompt may hold them up.
  int64_t prefill_beside_decoding = 256;
  /// Told when there is work and when there is none, so that training can yield; may be null.
  std::shared_ptr<Gate> gate = nullptr;
};

/// Runs a session in a thread of its own. A request pins the newest parameter version when it
/// begins and finishes on it; requests on different versions run in the same loop, step by step.
/// Long prompts are cut into chunks so that others go on decoding, and share a step with short ones
/// evenly; clients that wait take turns. A cancelled request leaves within a step, also while it
/// waits. Thread-safe.
class BatchScheduler final : public Generator {
 public:
  explicit BatchScheduler(ModelPtr model, SchedulerOptions options = {});
  /// Cancels what is under way and waits for it.
  ~BatchScheduler() override;

  std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                           OnDone done) override;
  std::shared_ptr<GenerationHandle> embed(EmbedRequest request, OnEmbedding done) override;
  GeneratorStats stats() const override;
  int64_t context_length() const override { return session_.context_length(); }

  const LanguageSession& session() const { return session_; }

 private:
  class Job;
  using JobPtr = std::shared_ptr<Job>;

  void check_prompt(const Job& job) const;
  /// Queues the job, or says why it cannot be.
  Result<bool> enqueue(const JobPtr& job);
  void run();
  void turn();
  void drop_cancelled();
  void admit();
  void step();
  void step_version(const VersionPtr& version);
  void run_step(std::span<const Feed> feeds, std::span<Job* const> jobs);
  void note_state();

  SchedulerOptions options_;
  LanguageSession session_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  FairQueue<JobPtr> queue_;  // with mutex_
  bool stopping_ = false;    // with mutex_
  std::atomic<int64_t> running_count_ = 0;
  std::atomic<int64_t> blocks_used_ = 0;
  std::atomic<int64_t> turn_began_ns_ = 0;  // 0: none is under way
  std::list<JobPtr> running_;               // the thread's own
  std::thread thread_;
};

}  // namespace yiti
