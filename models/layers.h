// The layers that architectures are built of. A layer holds the places of its parameters, not
// their values: the context gives those, in the version that it runs on.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/parameters.h"
#include "models/context.h"
#include "models/profile.h"

namespace yiti {

/// A place in the tree of parameter names; paths equal checkpoint names.
class Scope {
 public:
  Scope(const ParameterStore& store, const NumericProfile& profile, std::string path = "")
      : store_(&store), profile_(&profile), path_(std::move(path)) {}

  Scope operator/(std::string_view name) const;
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  const std::string& path() const { return path_; }
  const NumericProfile& profile() const { return *profile_; }
  /// The parameter `name` here. Throws kNotFound.
  Parameter at(std::string_view name) const;
  /// The same, or an undefined parameter.
  Parameter find(std::string_view name) const;
  /// The parameter's shape in the store's current version.
  Shape shape(Parameter p) const;
  /// The value of a scalar entry, such as an adapter's scale; nullopt when there is none.
  std::optional<double> scalar(std::string_view name) const;

 private:
  std::string full(std::string_view name) const;

  const ParameterStore* store_;
  const NumericProfile* profile_;
  std::string path_;
};

/// y = x Wᵀ + b, plus scale · (x Aᵀ) Bᵀ where a LoRA adapter is attached (Hu et al. 2021).
/// W may be float or quantised. x [..., in] -> [..., out]
class Linear {
 public:
  Linear() = default;
  /// Finds `weight` [out, in], `bias`, `lora_A.weight` and `lora_B.weight` at `scope`. Throws
  /// kInvalidArgument unless weight is [out, in]. `leaf_unit`: see ops::linear.
  Linear(const Scope& scope, int64_t in, int64_t out, int64_t leaf_unit = 0);

  Tensor operator()(const Tensor& x, Context& ctx) const;

  Parameter weight, bias, lora_a, lora_b;
  double lora_scale = 0;
  int64_t leaf_unit = 0;
  bool exact_activations = false;
};

/// Root-mean-square norm of the last axis (Zhang & Sennrich 2019).
class RmsNorm {
 public:
  RmsNorm() = default;
  RmsNorm(const Scope& scope, int64_t width, double eps);
  Tensor operator()(const Tensor& x, Context& ctx) const;

  Parameter weight;
  double eps = 0;
};

/// ids [T] -> rows of weight [vocab, width]
class Embedding {
 public:
  Embedding() = default;
  Embedding(const Scope& scope, int64_t vocab, int64_t width);
  Tensor operator()(const Tensor& ids, Context& ctx) const;
  /// A Linear over the same weight: the tied output head.
  Linear as_linear() const;

  Parameter weight;
  bool exact_activations = false;
};

}  // namespace yiti
