// Continuous batching: requests of many clients share the steps of one session.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "core/gate.h"
#include "inference/language_session.h"
#include "inference/sampler.h"
#include "models/generator.h"

namespace yiti {

struct SchedulerOptions {
  LanguageSessionOptions session = {};
  size_t max_queue = 1024;  ///< requests waiting for a place
  /// Told when there is work and when there is none, so that training can yield; may be null.
  std::shared_ptr<Gate> gate = nullptr;
};

/// Runs a session in a thread of its own. A request pins the newest parameter version when it
/// begins and finishes on it; requests on different versions run in the same loop, step by step.
/// Long prompts are cut into chunks so that others go on decoding. Models over the same base, such
/// as its adapters, share the thread, its turns and the KV memory. Thread-safe.
class BatchScheduler final : public Generator {
 public:
  explicit BatchScheduler(ModelPtr model, SchedulerOptions options = {});
  /// Cancels what is under way and waits for it.
  ~BatchScheduler() override;

  std::shared_ptr<GenerationHandle> submit(GenerateRequest request, OnToken token,
                                           OnDone done) override;
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
  using JobPtr = std::shared_ptr<Job>;
  using SessionPtr = std::shared_ptr<LanguageSession>;
  /// What a request runs: a session whose program is the model's, and the version (null: newest).
  struct Target {
    ModelPtr model;
    SessionPtr session;
    VersionPtr version;
  };

  std::shared_ptr<GenerationHandle> submit(Target target, GenerateRequest request, OnToken token,
                                           OnDone done);
  SessionPtr session_for(const ModelPtr& model);
  void run();
  void admit();
  void step();
  void step_version(const VersionPtr& version);
  void advance(Job& job, std::span<const float> logits);
  void finish(Job& job, Result<Generation> result);
  void drop_finished();

  SchedulerOptions options_;
  SessionPtr session_;  // of the model that it was made with
  std::mutex adding_;
  std::vector<std::weak_ptr<LanguageSession>> sessions_;  // all that are in use; with adding_
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<JobPtr> queue_;   // with mutex_
  bool stopping_ = false;      // with mutex_
  std::list<JobPtr> running_;  // the thread's own
  std::thread thread_;
};

}  // namespace yiti
