#include "training/report/loss_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace yiti {
namespace {

constexpr double kWidth = 800, kHeight = 450;
constexpr double kLeft = 70, kRight = 780, kTop = 60, kBottom = 395;

constexpr std::string_view kStyle = R"(<style>
  text { font: 13px system-ui, sans-serif; fill: #57606a; }
  .title { font-size: 16px; font-weight: 600; fill: #1f2328; }
  .back { fill: #ffffff; }
  .grid { stroke: #d8dee4; }
  .axis { stroke: #8c959f; }
  .train { stroke: #93b4e8; } .smooth { stroke: #1f5fc4; }
  .eval { stroke: #c2410c; } .dot { fill: #c2410c; }
  polyline { fill: none; stroke-linejoin: round; stroke-linecap: round; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9aa4af; }
    .title { fill: #e6edf3; }
    .back { fill: #0d1117; }
    .grid { stroke: #262c34; }
    .axis { stroke: #6e7681; }
    .train { stroke: #2d4f80; } .smooth { stroke: #6cb0ff; }
    .eval { stroke: #ffa657; } .dot { fill: #ffa657; }
  }
</style>
)";

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double span() const { return high - low; }
};

std::vector<CurvePoint> finite_points(std::span<const CurvePoint> points) {
  std::vector<CurvePoint> finite;
  std::copy_if(points.begin(), points.end(), std::back_inserter(finite),
               [](const CurvePoint& p) { return std::isfinite(p.step) && std::isfinite(p.value); });
  return finite;
}

/// The means of as many runs of neighbours as the picture has columns.
std::vector<CurvePoint> thinned(std::vector<CurvePoint> points) {
  const auto most = static_cast<size_t>(kRight - kLeft);
  if (points.size() <= most) return points;
  std::vector<CurvePoint> means;
  for (size_t i = 0; i < most; ++i) {
    const size_t begin = i * points.size() / most, end = (i + 1) * points.size() / most;
    CurvePoint sum{0, 0};
    for (size_t j = begin; j < end; ++j) {
      sum.step += points[j].step;
      sum.value += points[j].value;
    }
    const auto count = static_cast<double>(end - begin);
    means.push_back({sum.step / count, sum.value / count});
  }
  return means;
}

/// Where data lies in the picture.
class Plane {
 public:
  Plane(Range steps, Range values) : steps_(steps), values_(values) {
    if (!(steps_.span() > 0)) steps_.high = steps_.low + 1;
    const double margin =
        values_.span() > 0 ? values_.span() * 0.05 : std::max(0.1, std::abs(values_.low) * 0.1);
    const bool positive = values_.low >= 0;
    values_ = {values_.low - margin, values_.high + margin};
    if (positive) values_.low = std::max(0.0, values_.low);
  }

  double x(double step) const {
    return kLeft + (step - steps_.low) / steps_.span() * (kRight - kLeft);
  }
  double y(double value) const {
    return kBottom - (value - values_.low) / values_.span() * (kBottom - kTop);
  }
  const Range& steps() const { return steps_; }
  const Range& values() const { return values_; }

 private:
  Range steps_, values_;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      default:
        // Control characters are not allowed in XML at all.
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text,
                    std::string_view css = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, css.empty() ? "" : fmt::format(" class=\"{}\"", css), escaped(text));
}

std::string line_between(double x1, double y1, double x2, double y2, std::string_view css,
                         double width = 1) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\" "
      "stroke-width=\"{}\"/>\n",
      x1, y1, x2, y2, css, width);
}

std::string axes(const Plane& plane) {
  std::string svg;
  for (const double tick : axis_ticks(plane.values().low, plane.values().high, 6)) {
    svg += line_between(kLeft, plane.y(tick), kRight, plane.y(tick), "grid");
    svg += text_at(kLeft - 8, plane.y(tick) + 4, "end", fmt::format("{:.6g}", tick));
  }
  for (const double tick : axis_ticks(plane.steps().low, plane.steps().high, 8)) {
    if (tick != std::floor(tick)) continue;
    svg += line_between(plane.x(tick), kBottom, plane.x(tick), kBottom + 5, "axis");
    svg += text_at(plane.x(tick), kBottom + 20, "middle", fmt::format("{:.10g}", tick));
  }
  svg += line_between(kLeft, kBottom, kRight, kBottom, "axis");
  svg += line_between(kLeft, kTop, kLeft, kBottom, "axis");
  svg += text_at((kLeft + kRight) / 2, kHeight - 12, "middle", "step");
  return svg + fmt::format(
                   "<text transform=\"translate(18 {:.1f}) rotate(-90)\" "
                   "text-anchor=\"middle\">loss</text>\n",
                   (kTop + kBottom) / 2);
}

std::string polyline(const Plane& plane, std::vector<CurvePoint> points, std::string_view css,
                     double width) {
  if (points.size() < 2) return "";
  std::string list;
  for (const CurvePoint& p : thinned(std::move(points))) {
    list += fmt::format("{:.1f},{:.1f} ", plane.x(p.step), plane.y(p.value));
  }
  return fmt::format("<polyline class=\"{}\" stroke-width=\"{}\" points=\"{}\"/>\n", css, width,
                     list);
}

std::string dots(const Plane& plane, const std::vector<CurvePoint>& points) {
  std::string svg;
  for (const CurvePoint& p : points) {
    svg += fmt::format("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n",
                       plane.x(p.step), plane.y(p.value));
  }
  return svg;
}

/// Right of the title, from right to left.
std::string legend(bool train, bool smooth, bool eval, const LossCurve& curve) {
  struct Entry {
    bool shown;
    std::string_view css;
    std::string text;
    double width;
  };
  const auto last = [](const std::vector<CurvePoint>& points) {
    return points.empty() ? 0.0 : points.back().value;
  };
  const Entry entries[] = {{eval, "eval", fmt::format("eval {:.3f}", last(curve.eval)), 118},
                           {smooth, "smooth", "train, smoothed", 146},
                           {train, "train", "train", 78}};
  std::string svg;
  double x = kRight;
  for (const Entry& entry : entries) {
    if (!entry.shown) continue;
    x -= entry.width;
    svg += line_between(x, 28, x + 22, 28, entry.css, 2.5);
    svg += text_at(x + 29, 32.5, "start", entry.text);
  }
  return svg;
}

}  // namespace

std::vector<CurvePoint> smoothed(std::span<const CurvePoint> points, double smoothing) {
  std::vector<CurvePoint> result;
  double average = 0, weight = 0;
  for (const CurvePoint& p : finite_points(points)) {
    average = smoothing * average + (1 - smoothing) * p.value;
    weight = smoothing * weight + (1 - smoothing);
    result.push_back({p.step, average / weight});
  }
  return result;
}

std::vector<double> axis_ticks(double low, double high, int wanted) {
  const double raw = (high - low) / std::max(1, wanted);
  if (!std::isfinite(raw) || raw <= 0) return {};
  const double power = std::pow(10, std::floor(std::log10(raw)));
  // Each bound is the geometric mean of its multiple and the next.
  const double scaled = raw / power;
  const double multiple = scaled < std::sqrt(2)    ? 1
                          : scaled < std::sqrt(10) ? 2
                          : scaled < std::sqrt(50) ? 5
                                                   : 10;
  const double step = multiple * power;
  std::vector<double> ticks;
  // By count, not by adding up: rounding must not add or lose a tick, nor loop without end.
  const double first = std::ceil(low / step), last = std::floor(high / step);
  const int count = static_cast<int>(std::clamp(last - first + 1, 0.0, 100.0));
  for (int i = 0; i < count; ++i) ticks.push_back((first + i) * step);
  return ticks;
}

std::string loss_curve_svg(const LossCurve& curve) {
  LossCurve clean = curve;
  clean.train = finite_points(curve.train);
  clean.eval = finite_points(curve.eval);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n{3}<rect class=\"back\" width=\"{0}\" "
      "height=\"{1}\" rx=\"8\"/>\n",
      kWidth, kHeight, escaped(curve.title), kStyle);
  svg += text_at(kLeft - 50, 33, "start", curve.title, "title");
  Range steps, values;
  for (const std::vector<CurvePoint>* points : {&clean.train, &clean.eval}) {
    for (const CurvePoint& p : *points) {
      steps.add(p.step);
      values.add(p.value);
    }
  }
  if (!(steps.span() >= 0)) {
    return svg + text_at(kWidth / 2, kHeight / 2, "middle", "no steps yet") + "</svg>\n";
  }
  const Plane plane(steps, values);
  const std::vector<CurvePoint> smooth = smoothed(clean.train, curve.smoothing);
  svg += axes(plane);
  svg += polyline(plane, clean.train, "train", 1.2);
  svg += polyline(plane, smooth, "smooth", 2.5);
  svg += polyline(plane, clean.eval, "eval", 2);
  svg += dots(plane, clean.eval);
  svg += legend(!clean.train.empty(), smooth.size() > 1, !clean.eval.empty(), clean);
  return svg + "</svg>\n";
}

}  // namespace yiti
