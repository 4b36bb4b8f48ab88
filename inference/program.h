// A captured computation: a list of op nodes over values, with symbolic sizes.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"
#include "core/parameters.h"

namespace yiti {

/// A size: a constant, or a symbol of the program.
struct Dim {
  int64_t constant = 0;
  int symbol = -1;
};

struct ProgramValue {
  enum class Kind : uint8_t {
    kInput,      ///< given at each run
    kParameter,  ///< of the version that a run pins
    kConstant,   ///< fixed when the program was captured
    kState,      ///< outlives runs and is updated in place: the KV cache
    kTemporary,  ///< made and used within a run
  };
  Kind kind = Kind::kTemporary;
  std::string name;
  Tensor meta;            ///< dtype, layout, and the shape at the symbols' bounds
  std::vector<Dim> dims;  ///< inputs only
  Parameter parameter;    ///< parameters only
  Tensor tensor;          ///< constants and state
  int alias_of = -1;      ///< shares the memory of this value: views and in-place updates
};

struct ProgramNode {
  const Op* op = nullptr;
  Attrs attrs;
  std::vector<int> in;   ///< values; -1: left out
  std::vector<int> out;  ///< values; -1: not wanted
};

struct ProgramSymbol {
  std::string name;
  int64_t bound = 0;  ///< the largest size
};

/// What a pass did, for explain().
struct PassReport {
  std::string pass;
  std::string text;
  size_t nodes_before = 0, nodes_after = 0;
};

struct Program {
  std::string name;
  DevicePtr device;
  std::vector<ProgramSymbol> symbols;
  std::vector<ProgramValue> values;
  std::vector<ProgramNode> nodes;
  std::vector<int> inputs, outputs;
  std::vector<PassReport> reports;

  /// How often an op occurs.
  int count(std::string_view op_name) const;
  /// The value whose memory `value` lies in, past all aliases.
  int root(int value) const;
  /// A line per node, such as "%12 = rms_norm(%3, model.norm.weight) {eps=1e-05}  [T=512, 576]
  /// f32".
  std::string str() const;
};

/// Keeps a value for the backward pass: what a captured training forward has, and
/// strip_gradients removes.
const Op& save_for_backward_op();

/// Captures what `f` does to the inputs. Ops run on shapes only; whatever else a tensor needs is
/// found by following its trace.
class ProgramBuilder {
 public:
  ProgramBuilder(std::string name, DevicePtr device);

  /// A symbol with its largest size; give it in the dims of inputs.
  Dim symbol(std::string name, int64_t bound);
  Tensor input(std::string name, const std::vector<Dim>& dims, DType dtype);
  Tensor parameter(Parameter p, std::string name, const Tensor& value);
  /// Memory that runs read and update.
  Tensor state(std::string name, const Tensor& tensor);
  void output(const Tensor& tensor);
  Program finish();

 private:
  class Capture;
  Tensor add_value(ProgramValue value);

  std::shared_ptr<Capture> capture_;
};

}  // namespace yiti
