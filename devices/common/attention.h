// Attention as a backend gets it, to run it by a kernel of its own.
#pragma once

#include "devices/common/launcher.h"

namespace yiti::devices {

/// The op attention: K and V are floats, rounded as a cache of `kept` would keep them; codes of 8
/// bits have their scales apart.
struct RowAttentionCall {
  Operand q, k, positions, out, lse;
  uint32_t kept;
  Pointer keys, values, key_scales, value_scales;
  int64_t window;
  float scale;
};

/// The op attention_paged. Of `splits` above 1, each gathers the segment of keys of that number
/// into `parts`, as join_segments in kernels/attention.cl reads them.
struct PagedAttentionCall {
  Operand q, k_pool, v_pool, tables, sequence, positions;
  Pointer out;
  int64_t splits, window;
  float scale;
};

}  // namespace yiti::devices
