// A program that embeds yiti: loads a model, answers a question, token by token as they come.
//
//   embed MODEL.gguf "A question"
#include <yiti.h>

#include <iostream>
#include <nlohmann/json.hpp>

namespace {

int answer(const yiti::LoadedModel& loaded, const std::string& question) {
  const yiti::TextModel& text = loaded.text.value();
  yiti::BatchScheduler scheduler(loaded.model, {.session = {.max_tokens = 2048}});
  yiti::TextStream stream(text.tokenizer);
  yiti::GenerateRequest request{
      .prompt = text.chat_prompt({{{"role", "user"}, {"content", question}}}),
      .max_tokens = 48,
      .stop_tokens = text.stop_tokens};
  const auto result = scheduler.generate(std::move(request), [&](const yiti::GeneratedToken& next) {
    std::cout << stream.push(next.token) << std::flush;
    return true;  // false would stop it
  });
  if (!result) {
    std::cerr << result.error().what() << '\n';
    return 1;
  }
  std::cout << stream.finish() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: embed MODEL.gguf QUESTION\n";
    return 2;
  }
  const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 2});
  auto loaded = yiti::load_model(argv[1], device);
  if (!loaded) {
    std::cerr << loaded.error().what() << '\n';
    return 1;
  }
  if (!loaded.value().text) {
    std::cerr << "no tokenizer: " << loaded.value().text_error << '\n';
    return 1;
  }
  return answer(loaded.value(), argv[2]);
}
