// The picture of a run: loss against step, as SVG.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace yiti {

struct CurvePoint {
  double step;
  double value;
};

struct LossCurve {
  std::string title = "Loss";
  std::vector<CurvePoint> train = {};  ///< ascending in step
  std::vector<CurvePoint> eval = {};   ///< ascending in step
  double smoothing = 0.9;              ///< of the train curve, 0 (none) to below 1
};

/// Exponential moving average with the start's bias taken out (Kingma & Ba 2015, section 3).
/// Values that are not finite are left out.
std::vector<CurvePoint> smoothed(std::span<const CurvePoint> points, double smoothing);

/// Round numbers that divide [low, high] into about `wanted` steps of 1, 2 or 5 times a power of
/// ten; all lie within the range.
std::vector<double> axis_ticks(double low, double high, int wanted);

/// A self-contained SVG, 800 by 450, with axes, ticks, title and legend; it follows the viewer's
/// light or dark scheme. Long curves are thinned to a point per pixel. Points that are not finite
/// are left out; without any, the picture says so.
std::string loss_curve_svg(const LossCurve& curve);

}  // namespace yiti
