#include "cli/chat.h"

#include <chrono>

#include "cli/terminal.h"
#include "models/text/text_stream.h"

namespace yiti::cli {

Reply generate_text(Generator& generator, const TextModel& text, GenerateRequest request,
                    const std::function<void(std::string_view)>& show) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Reply reply;
  TextStream stream(text.tokenizer);
  const auto emit = [&](const std::string& piece) {
    reply.text += piece;
    if (show) show(piece);
  };
  request.stop_tokens = text.stop_tokens;
  Result<Generation> result =
      generator.generate(std::move(request), [&](const GeneratedToken& token) {
        emit(stream.push(token.token));
        return !interrupt_flag();
      });
  reply.generation = std::move(result.value());
  emit(stream.finish());
  reply.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return reply;
}

}  // namespace yiti::cli
