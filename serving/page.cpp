#include "serving/page.h"

#include <algorithm>

#include "serving/api_error.h"

namespace yiti::serving {
namespace {

// Nothing from elsewhere, no inline script or style, and no other site's frame.
constexpr const char* kPolicy =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'";

const char* content_type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

}  // namespace

bool wants_page(const HttpRequest& request) {
  return request.accept.find("text/html") != std::string::npos;
}

HttpResponse page_response(std::string_view name) {
  const std::span<const PageFile> files = page_files();
  const auto file = std::find_if(files.begin(), files.end(),
                                 [&](const PageFile& one) { return one.name == name; });
  if (file == files.end()) {
    return error_response(
        {.status = 404, .message = "The page has no such file", .code = "unknown_url"});
  }
  return {.status = 200,
          .content_type = content_type_of(name),
          .body = std::string(file->bytes),
          .headers = {{"Content-Security-Policy", kPolicy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"}}};
}

}  // namespace yiti::serving
