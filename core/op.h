// An op, declared once: schema, shape rule, kernels, reference, gradient, samples, accuracy.
// Everything else about it (checks, errors, derived tests, programs, bindings) comes from here.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/attrs.h"
#include "core/device.h"
#include "core/tensor.h"

namespace yiti {

/// Which dtypes an input takes.
enum class Kind : uint8_t {
  kFloat,     ///< f32 or f64
  kAnyFloat,  ///< f64, f32, f16, bf16
  kWeight,    ///< any float or a quantised type
  kIndex,     ///< i32 or i64
  kNumber,    ///< f64, f32, i64, i32
  kAny,
};

/// What a kernel gets. `in` and `out` have storage unless optional; a `saved` output is undefined
/// when nobody wants it. `workspace` is 64-byte aligned and has at least the bytes that the kernel
/// asked for; null where it asked for none.
struct KernelArgs {
  std::span<const Tensor> in;
  std::span<const Tensor> out;
  const Attrs& attrs;
  std::byte* workspace;
  size_t workspace_bytes;
  Device& device;
  bool accumulate = false;  ///< out[0] += the result; only for kernels that say that they can
};

struct Kernel {
  std::string name;         ///< "cpu.f32"
  std::string device_kind;  ///< which devices run it
  /// Why it cannot run these, or nullopt when it can.
  std::function<std::optional<std::string>(std::span<const Tensor> in, const Attrs&)> refuses;
  std::function<void(const KernelArgs&)> run = nullptr;
  /// Bytes of workspace for these inputs; null means none. `device` tells threads and ISA.
  std::function<size_t(std::span<const Tensor> in, const Attrs&, Device& device)> workspace =
      nullptr;
  /// Stands in for an op that the device lacks: on the host with copies, or as ops that it has.
  bool stands_in = false;
  /// `run` also takes several updates at once: inputs and outputs of one behind those of another,
  /// contiguous and without workspace.
  bool takes_lists = false;
  bool accumulates = false;  ///< honours KernelArgs::accumulate
};

class Op;

/// What a gradient gets. Inputs and outputs that the op does not save are meta tensors.
struct GradArgs {
  std::span<const Tensor> in;
  std::span<const Tensor> out;
  std::span<const Tensor> grad_out;  ///< undefined where an output got no gradient
  const Attrs& attrs;
  const std::vector<bool>& wanted;  ///< per input
  /// Per input, what its gradient has gathered and may be added to in place; may be empty.
  std::span<const Tensor> gathered = {};

  /// The only output of `op` as input i's gradient, or where its kernel can add it to gathered[i],
  /// that sum.
  Tensor gradient_of(size_t i, const Op& op, std::initializer_list<Tensor> inputs,
                     const Attrs& attributes = {}) const;
};

/// A sample for the derived tests: shapes of the inputs (an empty optional: left out), attributes,
/// and how to fill integer inputs (values in [0, index_limit)).
struct Sample {
  std::vector<std::optional<Shape>> shapes;
  Attrs attrs;
  int64_t index_limit = 1;
  /// Replaces the default filling (standard normal for floats) of all inputs where set.
  std::function<std::vector<Tensor>(DType floats, const DevicePtr& device)> make;
};

/// Error bound of kernels against the reference: `ulps` × epsilon(dtype) × sqrt(reduced), relative
/// to the largest magnitude of the reference's result; `reduced` elements go into one output.
struct Accuracy {
  double ulps = 4;
  int64_t reduced = 1;
};

class Op {
 public:
  struct Input {
    std::string name;
    std::string dims;  ///< "[..., D]", or "*" for any shape
    Kind kind = Kind::kFloat;
    bool optional = false;
  };
  struct Output {
    std::string name;
    std::string dims;
    int like = 0;                ///< dtype of this input …
    std::optional<DType> dtype;  ///< … unless set
    bool saved = false;          ///< kept for the gradient only: absent without a recorder
    int alias = -1;              ///< shares this input's memory (in-place update or view)
  };
  using ShapeRule =
      std::function<std::vector<Tensor>(std::span<const Tensor> in, const Attrs&, const Op&)>;
  using Reference = std::function<std::vector<Tensor>(std::span<const Tensor> in, const Attrs&)>;
  using Gradient = std::function<std::vector<Tensor>(const GradArgs&)>;
  using View = std::function<Tensor(const Tensor& in, const Attrs&)>;

  std::string name, doc, source;
  std::vector<Input> inputs;
  bool variadic = false;  ///< the last input may be given any number of times
  std::vector<Output> outputs;
  Attrs default_attrs;
  ShapeRule shape_rule;  ///< replaces the one derived from the dims
  std::vector<Kernel> kernels;
  Reference reference;
  Gradient gradient;
  View view;  ///< set for view ops, which have no kernels
  std::vector<int> saved_inputs, saved_outputs;
  bool composed = false;  ///< the reference is made of other ops
  bool differentiable = true;
  bool surrogate_gradient = false;  ///< straight-through: not the derivative of what it computes
  /// Takes little time and saves all of its inputs: a tape computes its outputs again where a
  /// gradient reads them, rather than keep them.
  bool cheap = false;
  std::vector<Sample> samples;
  Accuracy accuracy;

  /// Checks the inputs, infers the outputs, runs the best kernel (or the reference) and tells the
  /// recorder. Saved outputs are left undefined without one. Throws Error.
  std::vector<Tensor> operator()(std::span<const Tensor> in, const Attrs& attrs = {}) const;
  std::vector<Tensor> operator()(std::initializer_list<Tensor> in, const Attrs& attrs = {}) const {
    return (*this)(std::span(in.begin(), in.size()), attrs);
  }
  /// The same, written into `out` (of the inferred shapes), which may alias inputs where the
  /// kernel allows. Records nothing; throws kFailedPrecondition when an input is traced.
  void run_into(std::span<const Tensor> in, const Attrs& attrs, std::span<const Tensor> out) const;
  /// Runs an op whose outputs are all updates in place on each of `lists` of inputs, at once where
  /// the device has a kernel for that. Throws kFailedPrecondition when an input is traced.
  void update_each(std::span<const std::vector<Tensor>> lists, const Attrs& attrs) const;

  /// sum += the only output of untraced inputs, by the kernel itself; false: none can, and nothing
  /// was done.
  bool add_into(std::span<const Tensor> in, const Attrs& attrs, const Tensor& sum) const;

  /// The outputs of untraced inputs, the saved ones among them where `save`; recorders are not
  /// told.
  std::vector<Tensor> evaluate(std::span<const Tensor> in, const Attrs& attrs, bool save) const;

  /// Meta tensors of the outputs. Throws kInvalidArgument naming op, input, got and wanted.
  std::vector<Tensor> infer(std::span<const Tensor> in, const Attrs& attrs) const;
  /// The first kernel that runs these on their device; null when none does, with each one's reason
  /// in `why` where given. Where the device has kernels of its own, the one among them.
  const Kernel* choose_kernel(std::span<const Tensor> in, const Attrs& attrs, Device& device,
                              std::string* why = nullptr) const;
};

/// Fluent construction of an Op; see docs/howto/add-an-op.md.
class OpBuilder {
 public:
  explicit OpBuilder(std::string name) { op_.name = std::move(name); }
  OpBuilder& doc(std::string text) { return op_.doc = std::move(text), *this; }
  /// The paper or specification it follows.
  OpBuilder& source(std::string text) { return op_.source = std::move(text), *this; }
  OpBuilder& attrs(Attrs defaults) { return op_.default_attrs = std::move(defaults), *this; }
  OpBuilder& input(std::string name, std::string dims, Kind kind = Kind::kFloat);
  OpBuilder& optional_input(std::string name, std::string dims, Kind kind = Kind::kFloat);
  /// The last input may be repeated: concat and its like.
  OpBuilder& variadic() { return op_.variadic = true, *this; }
  /// An output with the dtype of input `like`.
  OpBuilder& output(std::string name, std::string dims, int like = 0);
  OpBuilder& output(std::string name, std::string dims, DType dtype);
  /// An output that only the gradient reads.
  OpBuilder& saved_output(std::string name, std::string dims, DType dtype);
  /// As saved_output, with the dtype of input `like`.
  OpBuilder& saved_output(std::string name, std::string dims, int like = 0);
  /// The output that is input `input`, updated in place.
  OpBuilder& updates(std::string name, int input);
  OpBuilder& shape_rule(Op::ShapeRule rule) { return op_.shape_rule = std::move(rule), *this; }
  OpBuilder& kernel(Kernel kernel) { return op_.kernels.push_back(std::move(kernel)), *this; }
  OpBuilder& reference(Op::Reference f) { return op_.reference = std::move(f), *this; }
  /// `inputs` and `outputs` list what the gradient reads; the rest it sees as meta tensors.
  OpBuilder& gradient(Op::Gradient f, std::vector<int> inputs, std::vector<int> outputs = {});
  /// The reference is made of other ops, as that of an op without a gradient is anyway.
  OpBuilder& composed() { return op_.composed = true, *this; }
  OpBuilder& not_differentiable() { return op_.differentiable = false, *this; }
  OpBuilder& cheap() { return op_.cheap = true, *this; }
  OpBuilder& surrogate() { return op_.surrogate_gradient = true, *this; }
  OpBuilder& view(Op::View f);
  OpBuilder& sample(std::vector<std::optional<Shape>> shapes, Attrs attrs = {},
                    int64_t index_limit = 1);
  OpBuilder& sample(Sample sample) { return op_.samples.push_back(std::move(sample)), *this; }
  OpBuilder& accuracy(double ulps, int64_t reduced = 1) {
    return op_.accuracy = {ulps, reduced}, *this;
  }
  Op build() { return std::move(op_); }

 private:
  Op op_;
};

/// A kernel that runs on CPUs when every float input is `dtype`.
Kernel cpu_kernel(std::string name, DType dtype, void (*run)(const KernelArgs&),
                  size_t (*workspace)(std::span<const Tensor>, const Attrs&, Device&) = nullptr);

}  // namespace yiti
