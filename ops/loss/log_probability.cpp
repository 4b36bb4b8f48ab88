#include "ops/loss/log_probability.h"

#include "core/error.h"
#include "core/isa.h"
#include "ops/kernels/cpu/softmax.h"

namespace yiti {
namespace {

// All give the same bits, so this is about speed alone.
Isa fastest_isa() {
  for (Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (is_supported(isa)) return isa;
  }
  return Isa::kPortable;
}

}  // namespace

float log_sum_exp(std::span<const float> logits) {
  return cpu::softmax_table_for(fastest_isa())
      .log_sum_exp(logits.data(), static_cast<int64_t>(logits.size()));
}

void exponentiate(std::span<float> x) {
  cpu::softmax_table_for(fastest_isa())
      .scaled_exp(x.data(), 0, 1, x.data(), static_cast<int64_t>(x.size()));
}

float log_probability(std::span<const float> logits, int64_t token) {
  if (token < 0 || token >= static_cast<int64_t>(logits.size())) {
    fail(Code::kOutOfRange, "log_probability", "token {} of {}", token, logits.size());
  }
  return logits[static_cast<size_t>(token)] - log_sum_exp(logits);
}

}  // namespace yiti
