#include "ops/derived/comparison.h"

#include <cmath>
#include <limits>

#include "ops/host_values.h"

namespace yiti::derived {
namespace {

double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::kF64: return std::numeric_limits<double>::epsilon();
    case DType::kF32: return std::numeric_limits<float>::epsilon();
    case DType::kF16: return 0x1p-10;
    case DType::kBF16: return 0x1p-7;
    default: return 0;
  }
}

}  // namespace

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  std::vector<std::byte> left(a.bytes()), right(b.bytes());
  a.copy_to_host(left);
  b.copy_to_host(right);
  return left == right;
}

double error_ratio(const Tensor& got, const Tensor& wanted, const Accuracy& accuracy) {
  const std::vector<double> g = to_doubles(got), w = to_doubles(wanted);
  double largest = 0, worst = 0;
  for (double value : w)
    largest = std::isfinite(value) ? std::max(largest, std::fabs(value)) : largest;
  const double allowed = accuracy.ulps * epsilon_of(wanted.dtype()) *
                         std::sqrt(static_cast<double>(accuracy.reduced)) * largest;
  for (size_t i = 0; i < w.size(); ++i) {
    if (g[i] == w[i] || (std::isnan(g[i]) && std::isnan(w[i]))) continue;
    const double apart = std::fabs(g[i] - w[i]);
    worst = std::max(worst, std::isfinite(apart) && allowed > 0
                                ? apart / allowed
                                : std::numeric_limits<double>::infinity());
  }
  return worst;
}

std::vector<std::string> differences(const Op& op, const std::vector<Tensor>& got,
                                     const std::vector<Tensor>& wanted, double& worst) {
  std::vector<std::string> found;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!(wanted[i].shape() == got[i].shape()) || wanted[i].dtype() != got[i].dtype()) {
      found.push_back(fmt::format("reference output {} is {} of {}; wants {} of {}", i,
                                  wanted[i].shape().str(), name(wanted[i].dtype()),
                                  got[i].shape().str(), name(got[i].dtype())));
      continue;
    }
    const double ratio = error_ratio(got[i], wanted[i], op.accuracy);
    worst = std::max(worst, ratio);
    if (!(ratio <= 1)) {
      found.push_back(fmt::format("output {} is {:.3g} times the allowed error off",
                                  op.outputs[i].name, ratio));
    }
  }
  return found;
}

}  // namespace yiti::derived
