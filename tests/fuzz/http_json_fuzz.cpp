// Requests of the HTTP API: each body is read as each API that generates.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "serving/api_error.h"
#include "serving/openai_request.h"

namespace {

using yiti::serving::Api;

void read_request(Api api, std::string_view body) {
  try {
    const auto request = yiti::serving::parse_api_request(api, body);
    yiti::serving::merge_sampling({}, request.sampling);
  } catch (const yiti::serving::ApiException& refused) {
    yiti::serving::error_json(refused.error());
  } catch (const yiti::Error& refused) {
    yiti::serving::error_json(yiti::serving::to_api_error(refused));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(static_cast<const char*>(static_cast<const void*>(data)), size);
  for (const Api api : {Api::kChat, Api::kCompletion, Api::kResponses, Api::kNative}) {
    read_request(api, body);
  }
  return 0;
}
