#include "serving/multipart.h"

#include <algorithm>

#include "core/error.h"

namespace yiti::serving {
namespace {

constexpr const char* kWhere = "multipart body";
constexpr size_t kMaxParts = 32;
constexpr size_t kMaxHeadBytes = 8 << 10;
constexpr size_t kMaxBoundaryBytes = 70;
constexpr std::string_view kLineEnd = "\r\n";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The value of a header's parameter, as in `form-data; name="file"`; empty where it is not there.
std::string parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at < header.size()) {
    header.remove_prefix(at + 1);
    const size_t equals = header.find('=');
    if (equals == std::string_view::npos) return {};
    const bool wanted = equal_ignoring_case(trimmed(header.substr(0, equals)), name);
    header = trimmed(header.substr(equals + 1));
    std::string value;
    if (header.starts_with('"')) {
      size_t end = 1;
      for (; end < header.size() && header[end] != '"'; ++end) {
        if (header[end] == '\\' && end + 1 < header.size()) ++end;
        value += header[end];
      }
      at = header.find(';', end);
    } else {
      at = header.find(';');
      value = trimmed(header.substr(0, at));
    }
    if (wanted) return value;
  }
  return {};
}

FormPart read_head(std::string_view head, size_t position) {
  FormPart part;
  while (!head.empty()) {
    const size_t end = std::min(head.find(kLineEnd), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + kLineEnd.size(), head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!equal_ignoring_case(line.substr(0, colon), "content-disposition")) continue;
    part.name = parameter(line.substr(colon + 1), "name");
    part.filename = parameter(line.substr(colon + 1), "filename");
  }
  check(!part.name.empty(), kWhere, "the part at byte {} has no name", position);
  return part;
}

}  // namespace

std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body) {
  const std::string boundary = parameter(content_type, "boundary");
  check(!boundary.empty() && boundary.size() <= kMaxBoundaryBytes, kWhere,
        "the Content-Type's boundary has {} bytes; wants 1 to {}", boundary.size(),
        kMaxBoundaryBytes);
  const std::string first = "--" + boundary, between = "\r\n--" + boundary;
  size_t at = body.starts_with(first) ? first.size() : body.find(between);
  check(at != std::string_view::npos, kWhere, "no boundary found");
  if (!body.starts_with(first)) at += between.size();
  std::vector<FormPart> parts;
  while (!body.substr(at).starts_with("--")) {
    while (at < body.size() && (body[at] == ' ' || body[at] == '\t')) ++at;
    check(body.substr(at).starts_with(kLineEnd), kWhere, "byte {}: wants a line end", at);
    check(parts.size() < kMaxParts, kWhere, "more than {} parts", kMaxParts);
    // A head may be empty: its end is then the boundary's own line end.
    const size_t head_end = body.substr(at, kMaxHeadBytes).find("\r\n\r\n");
    check(head_end != std::string_view::npos, kWhere,
          "the head of the part at byte {} does not end within {} bytes", at, kMaxHeadBytes);
    const size_t begin = at + head_end + 4;
    FormPart part = read_head(body.substr(at + 2, head_end < 2 ? 0 : head_end - 2), at);
    const size_t end = body.find(between, begin);
    check(end != std::string_view::npos, kWhere, "the part at byte {} does not end", at);
    part.contents = body.substr(begin, end - begin);
    parts.push_back(std::move(part));
    at = end + between.size();
  }
  return parts;
}

}  // namespace yiti::serving
