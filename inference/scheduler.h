// Continuous batching: requests of many clients share the steps of one session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/gate.h"
#include "inference/drafter.h"
#include "inference/fair_queue.h"
#include "inference/language_session.h"
#include "models/generator.h"

namespace yiti {

struct SchedulerOptions {
  LanguageSessionOptions session = {};
  size_t max_queue = 1024;  ///< requests waiting for a place
  /// Prompt tokens of a step in which others decode: what a new prompt may hold them up.
  int64_t prefill_beside_decoding = 256;
  /// Told of requests and steps, so that training can yield; may be null.
  std::shared_ptr<Gate> gate = nullptr;
  /// Guesses tokens that a step then checks all at once; may be null. It changes no result.
  std::shared_ptr<Drafter> drafter = nullptr;
  /// Tokens of a step's decoding requests and their guesses together, beyond which none are made.
  int64_t draft_rows = 8;
};

/// Runs a session in a thread of its own. A request pins the newest parameter version when it
/// begins and finishes on it. Long prompts are cut into chunks so that others go on decoding, and
/// share a step with short ones evenly; clients that wait take turns. A cancelled request leaves
/// within a step, also while it waits. Models over the same base, such as its adapters, share the
/// thread, its turns and the KV memory, and those that run the same program share its steps.
/// Thread-safe.
class BatchScheduler final : public Generator {
 public:
  explicit BatchScheduler(ModelPtr model, SchedulerOptions options = {});
  /// Cancels what is under way and waits for it.
  ~BatchScheduler() override;

  std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                           OnDone done) override;
  std::shared_ptr<GenerationHandle> embed(EmbedRequest request, OnEmbedding done) override;
  GeneratorStats stats() const override;
  int64_t context_length() const override { return session_->context_length(); }

  /// Another model over this one's base, as a generator. Its requests run on `version`, or on the
  /// model's newest one when they begin; they wait, run and take KV memory together with all
  /// others. Throws kInvalidArgument for a model of another shape or profile. The scheduler must
  /// outlive the generator; a request keeps its model alive.
  std::shared_ptr<Generator> add_model(ModelPtr model, VersionPtr version = nullptr);

  const LanguageSession& session() const { return *session_; }

 private:
  class Job;
  class AddedModel;
  /// What a step takes of a request.
  struct Work {
    Job* job;
    Feed feed;
  };
  using JobPtr = std::shared_ptr<Job>;
  using SessionPtr = std::shared_ptr<LanguageSession>;
  /// The requests of one model.
  struct Counts {
    std::atomic<int64_t> waiting = 0, running = 0;
  };
  /// What a request runs: a session whose program is the model's, and the version (null: newest).
  struct Target {
    ModelPtr model = nullptr;
    SessionPtr session = nullptr;
    VersionPtr version = nullptr;
    std::shared_ptr<Counts> counts = nullptr;
  };

  std::shared_ptr<GenerationHandle> submit(const Target& target, GenerateRequest request,
                                           OnToken token, OnDone done);
  std::shared_ptr<GenerationHandle> embed(const Target& target, EmbedRequest request,
                                          OnEmbedding done);
  GeneratorStats stats(const Counts& counts) const;
  SessionPtr session_for(const ModelPtr& model);
  void check_prompt(const Job& job) const;
  /// Queues the job. Throws Error where it cannot.
  void enqueue(const JobPtr& job);
  void run();
  void turn();
  void drop_cancelled();
  bool has_room_for(const Job& job) const;
  void admit();
  void step();
  void step_session(const SessionPtr& session);
  std::vector<Work> decode(std::span<Job* const> jobs);
  static int64_t best_of(std::span<const Work> work);
  void run_step(LanguageSession& session, std::vector<Work> work);
  void remove_finished();
  void note_state();

  SchedulerOptions options_;
  SessionPtr session_;  // of the model that it was made with
  const Target own_;    // that model
  std::mutex adding_;
  std::vector<std::weak_ptr<LanguageSession>> sessions_;  // all that are in use; with adding_
  std::mutex mutex_;
  std::condition_variable wake_;
  FairQueue<JobPtr> queue_;  // with mutex_
  bool stopping_ = false;    // with mutex_
  std::atomic<int64_t> running_count_ = 0;
  std::atomic<int64_t> blocks_used_ = 0, blocks_kept_ = 0, blocks_touched_ = 0;
  std::atomic<int64_t> turn_began_ns_ = 0;  // 0: none is under way
  std::list<JobPtr> running_;               // the thread's own
  uint64_t begun_ = 0;                      // jobs; the thread's own
  std::thread thread_;
};

}  // namespace yiti
