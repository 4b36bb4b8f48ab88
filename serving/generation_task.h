// Answers one chat or completion request: prompts in, a reply or a stream of events out.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "serving/api_error.h"
#include "serving/choice_text.h"
#include "serving/http.h"
#include "serving/limiter.h"
#include "serving/mailbox.h"
#include "serving/openai_request.h"
#include "serving/openai_response.h"
#include "serving/options.h"

namespace yiti::serving {

/// Lives on the strand of its exchange.
class GenerationTask : public Activity, public std::enable_shared_from_this<GenerationTask> {
 public:
  /// Submits the request's generations. Throws ApiException or Error where it cannot. What is
  /// passed by reference must outlive the exchange.
  static std::shared_ptr<Activity> start(const ApiRequest& request, ServedModelPtr model,
                                         const ServerOptions& options,
                                         const std::shared_ptr<Limiter>& limiter,
                                         Exchange& exchange);

  GenerationTask(const ApiRequest& request, ServedModelPtr model, const ServerOptions& options,
                 Exchange& exchange);
  ~GenerationTask() override;
  void client_gone() override;
  void shut_down() override;

 private:
  struct Choice {
    ChoiceText text;
    std::shared_ptr<GenerationHandle> handle = nullptr;
    ReplyChoice reply = {};  // what it said so far, unless it streams
    bool role_sent = false;
    bool done = false;
  };

  void submit(std::vector<GenerateRequest> requests, const std::shared_ptr<Limiter>& limiter);
  void drain();
  void on_token(Choice& choice, const GeneratedToken& token);
  void on_done(Choice& choice, Result<Generation> result);
  void emit(Choice& choice, const ReplyChoice& delta, const std::string& fingerprint);
  void send(const std::string& json);
  void complete();
  void fail_with(const Error& error);
  void fail_with(const ApiError& error);
  void let_go();

  const ServedModelPtr model_;  // kept while its name may be given to another, or go
  const ServerOptions& options_;
  Exchange* exchange_;  // null: the answer is over
  const ReplyHead head_;
  const bool stream_;
  const bool include_usage_;
  const size_t choices_per_prompt_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<Choice> choices_;
  size_t choices_done_ = 0;
  bool stream_begun_ = false;
  Usage usage_;
  std::set<std::string> fingerprints_;  // more than one if a version came between two choices
};

}  // namespace yiti::serving
