#include <algorithm>

#include "inference/passes/passes.h"

namespace yiti {
namespace {

constexpr size_t kAlignment = 64;

// A piece of the arena: alive from node `first` to node `last`, both included.
struct Block {
  size_t bytes;
  int first, last;
  size_t* offset;
};

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// First and last node at which each root value is alive; {-1, -1} for what is not temporary.
std::vector<std::pair<int, int>> lifetimes(const Program& program) {
  std::vector<std::pair<int, int>> spans(program.values.size(), {-1, -1});
  const int end = static_cast<int>(program.nodes.size());
  const auto touch = [&](int id, int at) {
    if (id < 0) return;
    const int root = program.root(id);
    if (program.values[static_cast<size_t>(root)].kind != ProgramValue::Kind::kTemporary) return;
    auto& [first, last] = spans[static_cast<size_t>(root)];
    if (first < 0) first = at;
    last = std::max(last, at);
  };
  for (int n = 0; n < end; ++n) {
    const ProgramNode& node = program.nodes[static_cast<size_t>(n)];
    const bool saves = node.op == &save_for_backward_op();
    for (int id : node.in) touch(id, saves ? end : n);
    for (int id : node.out) touch(id, n);
  }
  for (int id : program.outputs) touch(id, end);
  return spans;
}

// Largest blocks first, each at the lowest place that is free for all its life.
size_t place(std::vector<Block>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.first < b.first;
  });
  std::vector<const Block*> placed;  // by offset
  size_t arena = 0;
  for (Block& block : blocks) {
    size_t offset = 0;
    for (const Block* other : placed) {
      if (other->last < block.first || block.last < other->first) continue;
      if (*other->offset >= offset + block.bytes) break;
      offset = std::max(offset, *other->offset + other->bytes);
    }
    *block.offset = offset;
    arena = std::max(arena, offset + block.bytes);
    const auto after =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [](size_t value, const Block* other) { return value < *other->offset; });
    placed.insert(after, &block);
  }
  return arena;
}

// One after the other.
size_t place_apart(std::vector<Block>& blocks) {
  size_t next = 0;
  for (Block& block : blocks) {
    *block.offset = next;
    next += block.bytes;
  }
  return next;
}

}  // namespace

MemoryPlan plan_memory(Program& program, const std::vector<const Kernel*>& kernels, bool share) {
  MemoryPlan plan;
  plan.offsets.assign(program.values.size(), MemoryPlan::kNone);
  plan.workspace_offsets.assign(program.nodes.size(), MemoryPlan::kNone);
  plan.workspace_bytes.assign(program.nodes.size(), 0);
  std::vector<Block> blocks;
  const auto spans = lifetimes(program);
  for (size_t v = 0; v < spans.size(); ++v) {
    if (spans[v].first < 0) continue;
    blocks.push_back({aligned(program.values[v].meta.bytes()), spans[v].first, spans[v].second,
                      &plan.offsets[v]});
  }
  for (size_t n = 0; n < kernels.size(); ++n) {
    if (kernels[n] == nullptr || !kernels[n]->workspace) continue;
    std::vector<Tensor> metas;
    for (int id : program.nodes[n].in) {
      metas.push_back(id < 0 ? Tensor() : program.values[static_cast<size_t>(id)].meta);
    }
    const size_t bytes = kernels[n]->workspace(metas, program.nodes[n].attrs, *program.device);
    if (bytes == 0) continue;
    const int at = static_cast<int>(n);
    blocks.push_back({aligned(bytes), at, at, &plan.workspace_offsets[n]});
    plan.workspace_bytes[n] = bytes;
  }
  std::vector<size_t> live(program.nodes.size() + 1, 0);
  for (const Block& block : blocks) {
    plan.naive_bytes += block.bytes;
    for (int n = block.first; n <= block.last; ++n) live[static_cast<size_t>(n)] += block.bytes;
  }
  plan.peak_live_bytes = *std::max_element(live.begin(), live.end());
  plan.arena_bytes = share ? place(blocks) : place_apart(blocks);
  program.reports.push_back(
      {"plan_memory",
       fmt::format("{} blocks in an arena of {} bytes; {} bytes at the peak, {} without sharing",
                   blocks.size(), plan.arena_bytes, plan.peak_live_bytes, plan.naive_bytes),
       program.nodes.size(), program.nodes.size()});
  return plan;
}

}  // namespace yiti
