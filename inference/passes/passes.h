// The passes that turn a captured program into one that a session runs.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "inference/program.h"

namespace yiti {

/// Removes what only a backward pass would read: saved values, saved outputs and nodes whose
/// results nobody uses.
void strip_gradients(Program& program);

/// A subgraph and the op that computes the same bits in its place. A step's input is either an
/// input of the fused op (>= 0) or the first output of an earlier step (kStep0 - i).
struct Fusion {
  static constexpr int kStep0 = -1;
  static constexpr int kAbsent = -1000;
  struct Step {
    const Op* op;
    std::vector<int> in;
  };
  std::string_view name;
  const Op* op;
  std::vector<Step> steps;
  /// The steps whose first outputs are the fused op's outputs, in order. What the others make must
  /// not be used elsewhere.
  std::vector<int> outputs;
  /// The fused op's attributes from the steps' ones; nullopt: these do not fuse.
  std::optional<Attrs> (*attrs)(std::span<const Attrs> steps);
};

/// Every fusion, in the order in which they are tried.
std::span<const Fusion> all_fusions();

/// Applies the fusions as often as they match, where a kernel of the fused op takes the inputs.
void fuse(Program& program, std::span<const Fusion> fusions);

/// Where each temporary lies in the arena, so that those alive at once do not overlap.
struct MemoryPlan {
  static constexpr size_t kNone = ~size_t{0};
  std::vector<size_t> offsets;            ///< per value, in bytes; kNone: not in the arena
  std::vector<size_t> workspace_offsets;  ///< per node
  std::vector<size_t> workspace_bytes;    ///< per node, at the largest sizes
  size_t arena_bytes = 0;
  size_t naive_bytes = 0;      ///< every temporary and workspace on its own
  size_t peak_live_bytes = 0;  ///< the most that is alive at one node
};

/// Chooses each node's kernel. Throws kUnimplemented naming the node's op, with the reasons.
std::vector<const Kernel*> select_kernels(Program& program);

/// Packs the temporaries and workspaces at their largest sizes, by lifetime; outputs live to the
/// end. Without `share` each has memory of its own.
MemoryPlan plan_memory(Program& program, const std::vector<const Kernel*>& kernels,
                       bool share = true);

}  // namespace yiti
