#include "ops/same_dtype.h"

#include "core/error.h"

namespace yiti {

void check_same_dtype(std::span<const Tensor> in, const Op& op) {
  for (size_t i = 1; i < in.size(); ++i) {
    if (!in[i].defined() || op.inputs[i].kind != Kind::kFloat) continue;
    check(in[i].dtype() == in[0].dtype(), op.name, "{} is {}; wants {} as {} is", op.inputs[i].name,
          name(in[i].dtype()), name(in[0].dtype()), op.inputs[0].name);
  }
}

}  // namespace yiti
