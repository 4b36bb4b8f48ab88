// The only seam between a model's definition and the world that runs it.
#pragma once

#include <functional>

#include "core/parameters.h"
#include "core/tensor.h"

namespace yiti {

class Linear;

/// How one layer attends. Shapes are per token: queries [T, heads, head_dim].
struct AttentionSpec {
  int64_t layer = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 0;    ///< multiplies q·k
  int64_t window = 0;  ///< a token sees this many tokens, itself among them; 0: all before it
};

/// A training step, a session's program capture or another place where a model's forward runs.
/// Tokens of all sequences lie one after the other in one axis T. One thread at a time.
class Context {
 public:
  virtual ~Context() = default;
  /// The parameter's value in the version that this forward runs on.
  virtual Tensor parameter(Parameter p) = 0;
  /// Each token's position in its own sequence or document: [T], i32.
  virtual Tensor positions() = 0;
  /// Causal attention of each token over its own sequence up to itself.
  /// q [T, heads, D], k and v [T, kv_heads, D] -> [T, heads, D]
  virtual Tensor attend(const AttentionSpec& spec, const Tensor& q, const Tensor& k,
                        const Tensor& v) = 0;
  /// What is wanted of the last hidden states x [T, D]: a session gives head(x) for the rows whose
  /// logits are asked for [S, vocab]; a training step gives each token's loss [T].
  virtual Tensor predict(const Tensor& x, const Linear& head) = 0;
  /// f(x), which training may compute again in the backward pass instead of keeping it.
  virtual Tensor recompute(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
    return f(x);
  }
};

}  // namespace yiti
