#include "serving/api_error.h"

#include "serving/json_text.h"

namespace yiti::serving {

int http_status(Code code) {
  switch (code) {
    case Code::kCancelled:
    case Code::kUnavailable: return 503;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition: return 400;
    case Code::kNotFound: return 404;
    case Code::kAlreadyExists: return 409;
    case Code::kResourceExhausted: return 429;
    case Code::kUnimplemented: return 501;
    case Code::kDataLoss:
    case Code::kInternal: return 500;
  }
  return 500;
}

ApiError to_api_error(const Error& error) {
  ApiError result;
  result.status = http_status(error.code());
  result.message = error.what();
  result.code = code_name(error.code());
  if (result.status == 429) result.type = "rate_limit_error";
  if (result.status >= 500) result.type = "server_error";
  if (result.status == 500) {
    result.message = "The server had an error while processing the request; see its log.";
  }
  return result;
}

ApiError stopping_error() {
  return {.status = 503,
          .message = "The server is shutting down.",
          .type = "server_error",
          .code = "unavailable"};
}

ApiError loading_error() {
  return {.status = 503,
          .message = "Loading model",
          .type = "unavailable_error",
          .numbers = {{"code", 503}}};
}

ApiError memory_error() {
  return {.status = 503,
          .message = "The server has no memory for this request.",
          .type = "server_error",
          .code = "out_of_memory"};
}

ApiError busy_error(std::string message) {
  return {.status = 429,
          .message = std::move(message),
          .type = "rate_limit_error",
          .code = "rate_limit_exceeded"};
}

std::string error_json(const ApiError& error) {
  nlohmann::ordered_json inner = {{"message", error.message},
                                  {"type", error.type},
                                  {"param", text_or_null(error.param)},
                                  {"code", text_or_null(error.code)}};
  for (const auto& [name, number] : error.numbers) inner[name] = number;
  return json_text({{"error", std::move(inner)}});
}

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = error_json(error);
  if (error.status == 429) response.headers.emplace_back("Retry-After", "1");
  if (error.status == 503) response.headers.emplace_back("Retry-After", "5");
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace yiti::serving
