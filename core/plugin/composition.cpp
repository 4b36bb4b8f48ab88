#include "core/plugin/composition.h"

#include "core/recorder.h"

namespace yiti {
namespace {

class Parts final : public Recorder, public std::enable_shared_from_this<Parts> {
 public:
  bool shape_only() const override { return true; }
  bool active() const override { return true; }
  void record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
              std::span<Tensor> outputs) override {
    OpPart& part = list.emplace_back(OpPart{&op, {}, attrs});
    for (const Tensor& input : inputs) {
      part.in.push_back(input.defined() ? input.as_meta() : Tensor());
    }
    for (Tensor& output : outputs) follow(output);
  }
  void follow(Tensor& tensor) {
    tensor.set_trace(std::make_shared<Trace>(Trace{shared_from_this(), 0}));
  }

  std::vector<OpPart> list;
};

}  // namespace

std::vector<OpPart> parts_of(const Op& op, std::span<const Tensor> in, const Attrs& attrs) {
  if (!is_composite(op)) return {};
  const auto parts = std::make_shared<Parts>();
  std::vector<Tensor> shapes;
  for (const Tensor& tensor : in) {
    shapes.push_back(tensor.defined() ? tensor.as_meta() : Tensor());
    if (tensor.defined()) parts->follow(shapes.back());
  }
  op.reference(shapes, attrs);
  return std::move(parts->list);
}

}  // namespace yiti
