// Answers one request that generates: prompts in, a reply or a stream of events out.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "serving/api_error.h"
#include "serving/choice_text.h"
#include "serving/generation_request.h"
#include "serving/http.h"
#include "serving/limiter.h"
#include "serving/mailbox.h"
#include "serving/metrics.h"
#include "serving/options.h"
#include "serving/reply_writer.h"

namespace yiti::serving {

/// What the requests of a server share; outlives them.
struct Services {
  const ServerOptions& options;
  std::shared_ptr<Limiter> limiter;
  std::shared_ptr<Metrics> metrics;
};

/// Lives on the strand of its exchange.
class GenerationTask : public Activity, public std::enable_shared_from_this<GenerationTask> {
 public:
  /// Submits the request's generations for `client`. Throws ApiException or Error where it cannot.
  /// What is passed by reference must outlive the exchange.
  static std::shared_ptr<Activity> start(ApiRequest request, ServedModelPtr model,
                                         const Services& services, const std::string& client,
                                         Exchange& exchange);

  GenerationTask(ApiRequest request, const PreparedRequest& prepared, ServedModelPtr model,
                 const Services& services, Exchange& exchange);
  ~GenerationTask() override;
  void client_gone() override;
  void shut_down() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Choice {
    ChoiceText text;
    std::string echo = {};  // comes before the text
    std::optional<ToolCallParser> tools = {};
    int64_t calls = 0;
    std::shared_ptr<GenerationHandle> handle = nullptr;
    ReplyChoice reply = {};  // what it said so far, unless it streams
    ReplyState state = {};   // while it streams
    Clock::time_point first_token = {}, last_token = {};
    bool done = false;
  };

  void submit(std::vector<GenerateRequest> requests);
  void drain();
  void on_progress(Choice& choice, const PromptProgress& progress);
  void on_token(Choice& choice, const GeneratedToken& token);
  void on_done(Choice& choice, Result<Generation> result);
  void measure(Choice& choice);
  void take_calls(Choice& choice, ReplyChoice& delta);
  void emit(Choice& choice, ReplyChoice delta);
  void send(const std::string& events);
  void complete();
  void fail_with(const Error& error);
  void fail_with(const ApiError& error);
  void let_go();

  const ServedModelPtr model_;  // kept while its name may be given to another, or go
  const Services services_;
  Exchange* exchange_;  // null: the answer is over
  const std::string id_;
  const bool stream_, tells_progress_, tells_counts_;
  const size_t choices_per_prompt_;
  std::unique_ptr<ReplyWriter> writer_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<Choice> choices_;
  size_t choices_done_ = 0;
  bool stream_begun_ = false;
  ReplyState end_;
  const Clock::time_point received_;
  std::set<std::string> fingerprints_;  // more than one if a version came between two choices
};

}  // namespace yiti::serving
