// Errors in OpenAI's shape.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "serving/http.h"

namespace yiti::serving {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};                                     ///< the field at fault; empty: null
  std::string code = {};                                      ///< empty: null
  std::vector<std::pair<std::string, int64_t>> numbers = {};  ///< further members, as llama.cpp has
};

/// Thrown by what reads requests.
class ApiException : public std::exception {
 public:
  explicit ApiException(ApiError error) : error_(std::move(error)) {}
  const ApiError& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  ApiError error_;
};

/// The HTTP status for yiti's error code.
int http_status(Code code);

/// A client's mistake keeps its message; what only the server's operator can mend (500) does not.
ApiError to_api_error(const Error& error);

/// What requests are told that the server's end cuts off.
ApiError stopping_error();

/// What requests are told while the model is loaded (503), in llama.cpp's words.
ApiError loading_error();

/// What requests are told for which there is no memory (503).
ApiError memory_error();

/// What requests are told for which there is no place (429).
ApiError busy_error(std::string message);

/// {"error": {message, type, param, code}}
std::string error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);

}  // namespace yiti::serving
