// A template from the input, rendered on a small conversation.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "models/text/chat.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace yiti;
  static const auto kMessages = nlohmann::ordered_json::parse(R"([
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi é\n"},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments":
     {"a": [1, 2.5, null, true]}}}]}, {"role": "tool", "content": "21"},
    {"role": "assistant", "content": "Hello"}])");
  const auto chat =
      ChatTemplate::parse({reinterpret_cast<const char*>(data), size}, {"<s>", "</s>", "", ""});
  if (!chat.ok()) return 0;
  try {
    ChatTemplate copy = Result(chat).value();
    copy.render(kMessages, {true, nullptr, int64_t{0}});
    copy.render_with_spans(kMessages, {false, nullptr, int64_t{0}});
  } catch (const Error&) {
  }
  return 0;
}
