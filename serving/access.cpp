#include "serving/access.h"

#include <algorithm>
#include <array>

#include "serving/random_id.h"

namespace yiti::serving {
namespace {

constexpr std::string_view kBearer = "Bearer ";

std::string_view given_key(const HttpRequest& request) {
  const std::string_view authorization = request.authorization;
  return authorization.starts_with(kBearer) ? authorization.substr(kBearer.size())
                                            : std::string_view(request.api_key);
}

bool is_local(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    const std::string_view rest = origin.substr(scheme.size());
    for (const std::string_view host : {"localhost", "127.0.0.1", "[::1]"}) {
      if (rest.starts_with(host) && (rest.size() == host.size() || rest[host.size()] == ':')) {
        return true;
      }
    }
  }
  return false;
}

bool is_allowed(std::string_view origin, const std::vector<std::string>& origins) {
  return std::any_of(origins.begin(), origins.end(), [&](const std::string& one) {
    return one == "*" || one == origin || (one == "localhost" && is_local(origin));
  });
}

// A star does not stand for Authorization (Fetch Standard), which clients of OpenAI's API send.
// llama.cpp answers with a star all the same, and its tests want that of its own routes.
const char* allowed_headers(const HttpRequest& request) {
  return request.path.starts_with("/v1/")
             ? "Authorization, Content-Type, X-Api-Key, X-Request-Id, *"
             : "*";
}

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size() && !secret.empty(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  }
  return difference == 0;
}

bool has_key(const HttpRequest& request, const std::vector<std::string>& keys) {
  const std::string_view given = given_key(request);
  bool found = keys.empty();
  for (const std::string& key : keys) {
    // All keys are compared, so that the time does not tell which one it was.
    const bool equal = equal_in_constant_time(given, key);
    found = found || equal;
  }
  return found;
}

std::string client_of(const HttpRequest& request) {
  const std::string_view key = given_key(request);
  return key.empty() ? request.peer : std::string(key);
}

bool is_foreign_page(const HttpRequest& request, const std::vector<std::string>& origins) {
  const std::string& origin = request.origin;
  const bool own = origin == "http://" + request.host || origin == "https://" + request.host;
  return !origin.empty() && !own && !is_allowed(origin, origins);
}

bool is_preflight(const HttpRequest& request) {
  return request.method == "OPTIONS" && request.asks_to_ask && !request.origin.empty();
}

std::vector<std::pair<std::string, std::string>> cors_headers(
    const HttpRequest& request, const std::vector<std::string>& origins) {
  if (request.origin.empty() || !is_allowed(request.origin, origins)) return {};
  return {{"Access-Control-Allow-Origin", request.origin},
          {"Vary", "Origin"},
          {"Access-Control-Allow-Credentials", "true"},
          {"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
          {"Access-Control-Allow-Headers", allowed_headers(request)}};
}

std::string request_id_of(std::string_view given) {
  constexpr std::string_view kOther = "-_.:/";
  const bool fits =
      !given.empty() && given.size() <= 128 && std::all_of(given.begin(), given.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kOther.find(c) != std::string_view::npos;
      });
  return fits ? std::string(given) : "req-" + random_hex(3);
}

}  // namespace yiti::serving
