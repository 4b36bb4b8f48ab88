#include "models/profile.h"

#include <fmt/format.h>

namespace yiti {

std::string NumericProfile::str() const {
  return fmt::format("kv={} activations={} kernels={}", name(kv),
                     exact_activations ? "exact" : "rounded", kKernelRevision);
}

}  // namespace yiti
