// A program made ready to run again and again: kernels chosen, memory laid out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "inference/passes/passes.h"
#include "inference/program.h"

namespace yiti {

/// Which passes to run; all, but for tests and explanations.
struct PassOptions {
  bool strip_gradients = true;
  bool fuse = true;
  bool plan_memory = true;  ///< off: every temporary has memory of its own
};

/// Rows of a run that have a version of the parameters in common.
struct RunPart {
  std::span<const int64_t> sizes;  ///< how many rows of each symbol
  const ParameterVersion* version = nullptr;
};

/// Runs one program. For each set of symbol sizes the addresses of all operands are worked out
/// once; a run with sizes seen before allocates nothing, looks nothing up and dispatches nothing.
/// One thread at a time.
class Session {
 public:
  /// Runs the passes over `program`. Throws where an op has no kernel.
  explicit Session(Program program, const PassOptions& options = {});
  ~Session();

  /// Memory of the host for input i of the program, at the bounds of its symbols; the caller fills
  /// it before run(). Smaller inputs lie at its beginning, contiguous.
  const Tensor& input(size_t index) const { return input_memory_[index]; }
  /// Runs at these symbol sizes (in the order of the program's symbols, each from 0 to its bound)
  /// with the parameters of `version`; null where the program has none.
  void run(std::span<const int64_t> sizes, const ParameterVersion* version) {
    const RunPart whole{sizes, version};
    run({&whole, 1});
  }
  /// Runs rows of several versions at once: those of the parts follow one another in whatever has
  /// as many rows as a symbol says, and a symbol's size is that of all parts together. A node whose
  /// parameters are the same tensors in all versions runs once, another one for each part's rows
  /// with that part's parameters; so it must make row i of its outputs from row i of its inputs.
  /// Throws kUnimplemented where such a node has outputs of another shape.
  void run(std::span<const RunPart> parts);
  /// Lets go of the tensors of a version that is not run any more. The pointer is only compared.
  void forget(const ParameterVersion* version);
  /// Output i of the last run; its memory is overwritten by the next one.
  const Tensor& output(size_t index) const;

  const Program& program() const { return program_; }
  const MemoryPlan& plan() const { return plan_; }
  /// What each pass did, the arena's bytes against naive ones, and the kernel of each node.
  std::string explain() const;

 private:
  struct Bound;
  Bound& bind(std::span<const RunPart> parts);
  void drop_old_bounds();
  std::unique_ptr<Bound> make_bound(std::span<const RunPart> parts) const;
  void check_parts(std::span<const RunPart> parts) const;
  void bind_sources(Bound& bound) const;
  void bind_view(Bound& bound, const ProgramNode& node) const;
  void bind_outputs(Bound& bound, const ProgramNode& node, std::span<const Tensor> in) const;
  void bind_node(Bound& bound, size_t n) const;
  void bind_call(Bound& bound, size_t n, std::span<const Tensor> operands, size_t part) const;
  Tensor rows_of_part(const Bound& bound, int value, size_t part) const;
  std::vector<int> find_row_symbols() const;
  static void set_parameters(Bound& bound, std::span<const RunPart> parts);
  void run_calls(const Bound& bound) const;
  void give(Bound& bound) const;
  void send_inputs(const Bound& bound) const;
  std::string explain_copies() const;

  Program program_;
  std::vector<const Kernel*> kernels_;
  MemoryPlan plan_;
  std::shared_ptr<Storage> arena_;
  std::vector<int> row_symbols_;                // per value: the symbol of its rows, or -1
  std::vector<Tensor> input_memory_;            // per program input, at its bound, on the host
  std::vector<Tensor> device_inputs_;           // the same on the device: the same, where it can be
  std::vector<std::unique_ptr<Bound>> bounds_;  // most recently used first
  Bound* last_ = nullptr;
};

}  // namespace yiti
