// The session's side of the seam: attention over the paged cache, logits and hidden states of
// selected rows.
#include <map>

#include "inference/language_session.h"
#include "models/layers.h"
#include "ops/attention/attention_paged.h"
#include "ops/attention/key_block.h"
#include "ops/attention/kv_write.h"
#include "ops/shape/index_select.h"

namespace yiti {
namespace {

class LanguageSessionContext final : public Context {
 public:
  LanguageSessionContext(ProgramBuilder& builder, const LanguageModel& model, const KvCache& cache,
                         const LanguageSessionOptions& options, int64_t context_length)
      : builder_(builder), store_(*model.store()), version_(store_.current()), cache_(cache) {
    const Dim tokens = builder.symbol("T", options.max_batch_tokens);
    const Dim rows = builder.symbol("S", options.max_batch_tokens);
    const Dim hidden_rows = builder.symbol("H", options.max_batch_tokens);
    const int64_t table = (context_length + kKeyBlock - 1) / kKeyBlock;
    tokens_ = builder.input("tokens", {tokens}, DType::kI32);
    positions_ = builder.input("positions", {tokens}, DType::kI32);
    slots_ = builder.input("slots", {tokens}, DType::kI64);
    sequence_ = builder.input("sequence", {tokens}, DType::kI32);
    selected_ = builder.input("selected", {rows}, DType::kI64);
    kept_ = builder.input("kept", {hidden_rows}, DType::kI64);
    tables_ = builder.input("tables", {Dim{options.max_sequences}, Dim{table}}, DType::kI32);
  }

  Tensor parameter(Parameter p) override {
    const auto [found, fresh] = parameters_.try_emplace(p.index);
    if (fresh) {
      found->second =
          builder_.parameter(p, store_.names()[static_cast<size_t>(p.index)], (*version_)[p]);
    }
    return found->second;
  }

  Tensor positions() override { return positions_; }

  Tensor attend(const AttentionSpec& spec, const Tensor& q, const Tensor& k,
                const Tensor& v) override {
    const Tensor keys = builder_.state(fmt::format("keys.{}", spec.layer), cache_.keys(spec.layer));
    const Tensor values =
        builder_.state(fmt::format("values.{}", spec.layer), cache_.values(spec.layer));
    const auto [new_keys, new_values] = ops::kv_write(k, v, slots_, keys, values);
    return ops::attention_paged(q, new_keys, new_values, tables_, sequence_, positions_, spec.scale,
                                spec.window);
  }

  Tensor predict(const Tensor& x, const Linear& head) override {
    hidden_ = ops::index_select(x, kept_);
    return head(ops::index_select(x, selected_), *this);
  }

  const Tensor& hidden() const { return hidden_; }

  const Tensor& tokens() const { return tokens_; }

 private:
  ProgramBuilder& builder_;
  const ParameterStore& store_;
  VersionPtr version_;
  const KvCache& cache_;
  std::map<int32_t, Tensor> parameters_;
  Tensor tokens_, positions_, slots_, sequence_, selected_, kept_, tables_, hidden_;
};

}  // namespace

Program capture_session(const LanguageModel& model, const KvCache& cache,
                        const LanguageSessionOptions& options, int64_t context_length) {
  ProgramBuilder builder(model.config().architecture, model.device());
  LanguageSessionContext context(builder, model, cache, options, context_length);
  builder.output(model(context.tokens(), context));
  builder.output(context.hidden());
  return builder.finish();
}

}  // namespace yiti
