#include "training/report/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <vector>

namespace yiti {
namespace {

constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kAscii = {"_", ".", ",", "-", "~", "=", "*", "#"};

/// The means of `parts` equal parts.
std::vector<double> part_means(const std::vector<double>& values, size_t parts) {
  std::vector<double> means;
  for (size_t i = 0; i < parts; ++i) {
    const size_t begin = i * values.size() / parts, end = (i + 1) * values.size() / parts;
    const double sum = std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                       values.begin() + static_cast<std::ptrdiff_t>(end), 0.0);
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

}  // namespace

std::string sparkline(std::span<const double> values, int columns, bool unicode) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double value) { return std::isfinite(value); });
  if (finite.empty() || columns <= 0) return "";
  const std::vector<double> means =
      part_means(finite, std::min(finite.size(), static_cast<size_t>(columns)));
  const auto [low, high] = std::minmax_element(means.begin(), means.end());
  const double range = *high - *low;
  std::string text;
  for (const double mean : means) {
    const double level = range > 0 ? (mean - *low) / range * 8 : 0;
    text += (unicode ? kBlocks : kAscii)[static_cast<size_t>(std::clamp(level, 0.0, 7.0))];
  }
  return text;
}

}  // namespace yiti
