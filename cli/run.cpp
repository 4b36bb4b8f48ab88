// yiti run: one answer, or a chat.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/chat.h"
#include "cli/command.h"
#include "cli/draft_options.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "inference/scheduler.h"

namespace yiti::cli {
namespace {

struct RunOptions {
  ModelOptions model;
  ContextOptions context;
  SamplingOptions sampling;
  DraftOptions drafts;
  std::string prompt;
  std::string system;
  bool raw = false;
};

class RunCommand {
 public:
  explicit RunCommand(const RunOptions& options)
      : options_(options),
        loaded_(options.model.load()),
        text_(text_of(loaded_)),
        scheduler_(loaded_.model, scheduler_options()) {}

  int answer() {
    if (options_.raw || !text_.chat) {
      reply(text_.tokenizer.encode(options_.prompt));
    } else {
      say(options_.prompt);
    }
    return 0;
  }

  int chat() {
    if (!text_.chat) {
      print_error("the model has no chat template: give a prompt with --raw" +
                  (text_.chat_error.empty() ? "" : " (" + text_.chat_error + ")"));
      return 1;
    }
    const bool terminal = err_is_terminal();
    if (terminal) note(fmt::format("{}: an empty line or Ctrl-D ends the chat.", loaded_.name));
    std::string line;
    while (!interrupt_flag()) {
      if (terminal) std::cerr << "\n> " << std::flush;
      if (!std::getline(std::cin, line) || line.empty()) break;
      say(line);
    }
    return 0;
  }

 private:
  SchedulerOptions scheduler_options() const {
    SchedulerOptions wanted{.session = options_.context.session()};
    options_.drafts.apply(options_.model, loaded_, wanted);
    return wanted;
  }

  void say(const std::string& content) {
    if (messages_.empty() && !options_.system.empty()) {
      messages_.push_back({{"role", "system"}, {"content", options_.system}});
    }
    messages_.push_back({{"role", "user"}, {"content", content}});
    const Reply given = reply(text_.chat_prompt(messages_));
    messages_.push_back({{"role", "assistant"}, {"content", given.text}});
  }

  Reply reply(std::vector<int32_t> prompt) {
    GenerateRequest request{.prompt = std::move(prompt),
                            .max_tokens = options_.sampling.max_tokens,
                            .sampling = options_.sampling.over(text_.sampling),
                            .stop_tokens = {}};
    Reply given = generate_text(scheduler_, text_, std::move(request),
                                [](std::string_view piece) { print(piece); });
    print("\n");
    if (err_is_terminal()) {
      const auto tokens = static_cast<double>(given.generation.tokens.size());
      const DraftCounts& drafts = given.generation.drafts;
      const std::string guessed = drafts.tokens == 0 ? ""
                                                     : fmt::format(", {} of {} guesses right",
                                                                   drafts.accepted, drafts.tokens);
      note(fmt::format("\x1b[2m{} tokens, {:.1f} tokens/s{}\x1b[0m", given.generation.tokens.size(),
                       tokens / given.seconds, guessed));
    }
    return given;
  }

  const RunOptions& options_;
  LoadedModel loaded_;
  const TextModel& text_;
  BatchScheduler scheduler_;
  nlohmann::ordered_json messages_ = nlohmann::ordered_json::array();
};

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Answer a prompt, or chat when there is none");
  options->model.add(*command);
  command->add_option("PROMPT", options->prompt, "What to answer; left out: a chat");
  command->add_option("--system", options->system, "A system message");
  command->add_flag("--raw", options->raw, "Continue PROMPT as it is, without the chat template");
  options->context.add(*command);
  options->sampling.add(*command);
  options->drafts.add(*command);
  command->callback([&action, options] {
    action = [options] {
      RunCommand run(*options);
      return options->prompt.empty() ? run.chat() : run.answer();
    };
  });
}

}  // namespace yiti::cli
