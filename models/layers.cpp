#include "models/layers.h"

#include "core/error.h"
#include "core/shape_text.h"
#include "ops/elementwise/scale.h"
#include "ops/fused/linear_add.h"
#include "ops/linear/embedding.h"
#include "ops/linear/linear.h"
#include "ops/norm/rms_norm.h"

namespace yiti {
namespace {

void check_shape(const Scope& scope, std::string_view name, Parameter p, const Shape& wanted) {
  const Shape got = scope.shape(p);
  check(got == wanted, "model", "{}.{} is {}; wants {}", scope.path(), name, got, wanted);
}

}  // namespace

Scope Scope::operator/(std::string_view name) const {
  Scope child = *this;
  child.path_ = full(name);
  return child;
}

std::string Scope::full(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

Parameter Scope::at(std::string_view name) const { return store_->at(full(name)); }

Parameter Scope::find(std::string_view name) const {
  return store_->find(full(name)).value_or(Parameter{});
}

Shape Scope::shape(Parameter p) const { return (*store_->current())[p].shape(); }

std::optional<double> Scope::scalar(std::string_view name) const {
  const Parameter p = find(name);
  if (!p.defined()) return std::nullopt;
  return (*store_->current())[p].item();
}

Linear::Linear(const Scope& scope, int64_t in, int64_t out, int64_t unit)
    : weight(scope.at("weight")),
      bias(scope.find("bias")),
      lora_a(scope.find("lora_A.weight")),
      lora_b(scope.find("lora_B.weight")),
      lora_scale(scope.scalar("lora_scale").value_or(0)),
      leaf_unit(unit),
      exact_activations(scope.profile().exact_activations) {
  check_shape(scope, "weight", weight, {out, in});
  if (bias.defined()) check_shape(scope, "bias", bias, {out});
  if (!lora_a.defined()) return;
  const int64_t rank = scope.shape(lora_a)[0];
  check_shape(scope, "lora_A.weight", lora_a, {rank, in});
  check_shape(scope, "lora_B.weight", scope.at("lora_B.weight"), {out, rank});
}

Tensor Linear::operator()(const Tensor& x, Context& ctx) const {
  const Tensor b = bias.defined() ? ctx.parameter(bias) : Tensor();
  Tensor y = ops::linear(x, ctx.parameter(weight), b, leaf_unit, exact_activations);
  if (!lora_a.defined()) return y;
  const Tensor low = ops::scale(ops::linear(x, ctx.parameter(lora_a)), lora_scale);
  return ops::linear_add(y, low, ctx.parameter(lora_b));
}

RmsNorm::RmsNorm(const Scope& scope, int64_t width, double epsilon)
    : weight(scope.at("weight")), eps(epsilon) {
  check_shape(scope, "weight", weight, {width});
}

Tensor RmsNorm::operator()(const Tensor& x, Context& ctx) const {
  return ops::rms_norm(x, ctx.parameter(weight), eps);
}

Embedding::Embedding(const Scope& scope, int64_t vocab, int64_t width)
    : weight(scope.at("weight")), exact_activations(scope.profile().exact_activations) {
  check_shape(scope, "weight", weight, {vocab, width});
}

Tensor Embedding::operator()(const Tensor& ids, Context& ctx) const {
  return ops::embedding(ids, ctx.parameter(weight));
}

Linear Embedding::as_linear() const {
  Linear head;
  head.weight = weight;
  head.exact_activations = exact_activations;
  return head;
}

}  // namespace yiti
