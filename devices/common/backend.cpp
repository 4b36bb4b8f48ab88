#include "devices/common/backend.h"

#include <algorithm>

namespace yiti::devices {

std::string BuildOptions::text() const {
  std::string all;
  for (const Piece& piece : std::span(pieces_).first(count_)) {
    all += fmt::format("{}{}{}", all.empty() ? "" : " ", piece.name, piece.value);
    if (piece.number != kNone) all += std::to_string(piece.number);
  }
  return all;
}

size_t BuildOptions::hash() const {
  const std::hash<std::string_view> of_text;
  size_t sum = 0;
  for (const Piece& piece : std::span(pieces_).first(count_)) {
    sum = (sum * 31 + of_text(piece.name)) * 31 + of_text(piece.value);
    sum = sum * 31 + static_cast<size_t>(piece.number);
  }
  return sum;
}

bool BuildOptions::operator==(const BuildOptions& other) const {
  return std::ranges::equal(std::span(pieces_).first(count_),
                            std::span(other.pieces_).first(other.count_));
}

}  // namespace yiti::devices
