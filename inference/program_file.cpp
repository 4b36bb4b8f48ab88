#include "inference/program_file.h"

#include <algorithm>

#include "core/error.h"
#include "core/io/files.h"
#include "core/io/proto/yiti.pb.h"
#include "core/shape_text.h"
#include "ops/op_list.h"

namespace yiti {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr size_t kMaxFileBytes = size_t{1} << 30;
constexpr size_t kMaxStateBytes = size_t{1} << 36;  // of all states together

using Attributes = google::protobuf::RepeatedPtrField<proto::NamedAttribute>;

class AttributeWriter final : public AttrVisitor {
 public:
  explicit AttributeWriter(Attributes& out) : out_(out) {}
  void field(const char* name, int64_t& value) override { add(name).set_int_value(value); }
  void field(const char* name, double& value) override { add(name).set_double_value(value); }
  void field(const char* name, bool& value) override { add(name).set_bool_value(value); }
  void field(const char* name, std::string& value) override { add(name).set_string_value(value); }
  void field(const char* name, std::vector<int64_t>& value) override {
    auto* list = add(name).mutable_int_list();
    for (int64_t item : value) list->add_values(item);
  }

 private:
  proto::Attribute& add(const char* name) {
    proto::NamedAttribute& attribute = *out_.Add();
    attribute.set_name(name);
    return *attribute.mutable_value();
  }

  Attributes& out_;
};

class AttributeReader final : public AttrVisitor {
 public:
  AttributeReader(const Attributes& in, std::string_view op) : in_(in), op_(op) {}
  void field(const char* name, int64_t& value) override {
    value = at(name, proto::Attribute::kIntValue).int_value();
  }
  void field(const char* name, double& value) override {
    value = at(name, proto::Attribute::kDoubleValue).double_value();
  }
  void field(const char* name, bool& value) override {
    value = at(name, proto::Attribute::kBoolValue).bool_value();
  }
  void field(const char* name, std::string& value) override {
    value = at(name, proto::Attribute::kStringValue).string_value();
  }
  void field(const char* name, std::vector<int64_t>& value) override {
    const auto& list = at(name, proto::Attribute::kIntList).int_list().values();
    value.assign(list.begin(), list.end());
  }

 private:
  const proto::Attribute& at(const char* name, proto::Attribute::KindCase kind) const {
    const auto found = std::find_if(in_.begin(), in_.end(), [&](const proto::NamedAttribute& item) {
      return item.name() == name;
    });
    if (found == in_.end() || found->value().kind_case() != kind) {
      fail(Code::kDataLoss, "program", "{}: attribute {} is missing or of another type", op_, name);
    }
    return found->value();
  }
  const Attributes& in_;
  std::string_view op_;
};

DType dtype_named(const std::string& wanted) {
  for (int d = 0; d <= static_cast<int>(DType::kQ8_0); ++d) {
    if (name(static_cast<DType>(d)) == wanted) return static_cast<DType>(d);
  }
  fail(Code::kDataLoss, "program", "unknown dtype \"{}\"", wanted);
}

proto::Value::Kind to_proto(ProgramValue::Kind kind) {
  switch (kind) {
    case ProgramValue::Kind::kInput: return proto::Value::KIND_INPUT;
    case ProgramValue::Kind::kParameter: return proto::Value::KIND_PARAMETER;
    case ProgramValue::Kind::kConstant: return proto::Value::KIND_CONSTANT;
    case ProgramValue::Kind::kState: return proto::Value::KIND_STATE;
    case ProgramValue::Kind::kTemporary: return proto::Value::KIND_TEMPORARY;
  }
  return proto::Value::KIND_UNSPECIFIED;
}

void write_value(const ProgramValue& value, proto::Value& out) {
  out.set_kind(to_proto(value.kind));
  out.set_name(value.name);
  if (value.kind == ProgramValue::Kind::kTemporary) return;
  out.set_dtype(std::string(name(value.meta.dtype())));
  out.set_panels(value.meta.layout() == Layout::kPanels);
  for (int axis = 0; axis < value.meta.rank(); ++axis) {
    proto::Dim& dim = *out.add_dims();
    const bool symbolic = value.kind == ProgramValue::Kind::kInput &&
                          value.dims[static_cast<size_t>(axis)].symbol >= 0;
    if (symbolic) {
      dim.set_symbol(value.dims[static_cast<size_t>(axis)].symbol);
    } else {
      dim.set_constant(value.meta.dim(axis));
    }
  }
  if (value.kind != ProgramValue::Kind::kConstant) return;
  std::string bytes(value.tensor.bytes(), '\0');
  value.tensor.copy_to_host(std::as_writable_bytes(std::span(bytes)));
  out.set_constant(std::move(bytes));
}

// Builds a program from a file's message, checking each step.
class Reader {
 public:
  Reader(const proto::Program& in, DevicePtr device, const ParameterStore* store)
      : in_(in), store_(store) {
    program_.name = in.name();
    program_.device = std::move(device);
  }

  Program read() {
    for (const proto::Symbol& symbol : in_.symbols()) {
      require(symbol.upper_bound() >= 0, "symbol {} has bound {}", symbol.name(),
              symbol.upper_bound());
      program_.symbols.push_back({symbol.name(), symbol.upper_bound()});
    }
    for (const proto::Value& value : in_.values()) read_value(value);
    for (const proto::Node& node : in_.nodes()) read_node(node);
    for (int id : in_.inputs()) {
      require(kind(id) == ProgramValue::Kind::kInput, "value {} is no input", id);
      program_.inputs.push_back(id);
    }
    for (int id : in_.outputs()) program_.outputs.push_back(made(id));
    return std::move(program_);
  }

 private:
  template <class... Args>
  void require(bool ok, fmt::format_string<Args...> format, Args&&... args) const {
    if (!ok) fail(Code::kDataLoss, "program", format, std::forward<Args>(args)...);
  }

  void read_value(const proto::Value& in) {
    ProgramValue value;
    value.name = in.name();
    if (in.kind() == proto::Value::KIND_TEMPORARY) {
      value.kind = ProgramValue::Kind::kTemporary;
      program_.values.push_back(std::move(value));
      return;
    }
    require(in.dims_size() <= Shape::kMaxRank, "value {} has {} axes", in.name(), in.dims_size());
    Shape shape;
    for (const proto::Dim& dim : in.dims()) {
      Dim read{dim.constant(), -1};
      if (dim.kind_case() == proto::Dim::kSymbol) {
        require(dim.symbol() >= 0 && static_cast<size_t>(dim.symbol()) < program_.symbols.size(),
                "value {} has an unknown symbol", in.name());
        read = {program_.symbols[static_cast<size_t>(dim.symbol())].bound, dim.symbol()};
      }
      require(read.constant >= 0, "value {} has a negative size", in.name());
      value.dims.push_back(read);
      shape.push_back(read.constant);
    }
    value.meta = Tensor::meta(shape, dtype_named(in.dtype()), program_.device,
                              in.panels() ? Layout::kPanels : Layout::kRows);
    switch (in.kind()) {
      case proto::Value::KIND_INPUT: value.kind = ProgramValue::Kind::kInput; break;
      case proto::Value::KIND_PARAMETER: read_parameter(value); break;
      case proto::Value::KIND_CONSTANT: read_constant(in, value); break;
      case proto::Value::KIND_STATE: read_state(value); break;
      default: require(false, "value {} is of no known kind", in.name());
    }
    program_.values.push_back(std::move(value));
  }

  void read_parameter(ProgramValue& value) const {
    value.kind = ProgramValue::Kind::kParameter;
    if (store_ == nullptr)
      fail(Code::kNotFound, "program", "no parameters given for {}", value.name);
    value.parameter = store_->at(value.name);
    const Tensor& tensor = (*store_->current())[value.parameter];
    check(tensor.shape() == value.meta.shape() && tensor.dtype() == value.meta.dtype() &&
              tensor.layout() == value.meta.layout(),
          "program", "parameter {} is {} of {}; wants {} of {}", value.name, tensor.shape(),
          name(tensor.dtype()), value.meta.shape(), name(value.meta.dtype()));
  }

  void read_constant(const proto::Value& in, ProgramValue& value) const {
    value.kind = ProgramValue::Kind::kConstant;
    require(!is_quantised(value.meta.dtype()) && in.constant().size() == value.meta.bytes(),
            "constant {} has {} bytes; wants {}", in.name(), in.constant().size(),
            value.meta.bytes());
    value.tensor = Tensor::from_bytes(std::as_bytes(std::span(in.constant())), value.meta.shape(),
                                      value.meta.dtype(), program_.device);
  }

  void read_state(ProgramValue& value) {
    value.kind = ProgramValue::Kind::kState;
    require(value.meta.bytes() <= kMaxStateBytes - state_bytes_,
            "state {} brings the states past {} bytes", value.name, kMaxStateBytes);
    state_bytes_ += value.meta.bytes();
    value.tensor = Tensor::zeros(value.meta.shape(), value.meta.dtype(), program_.device);
  }

  void read_node(const proto::Node& in) {
    const Op* op =
        in.op() == save_for_backward_op().name ? &save_for_backward_op() : find_op(in.op());
    if (op == nullptr) fail(Code::kNotFound, "program", "there is no op \"{}\"", in.op());
    ProgramNode node{op, {}, {}, {}};
    AttributeReader attributes(in.attributes(), op->name);
    node.attrs = op->default_attrs.rewritten(attributes);
    std::vector<Tensor> metas;
    for (int id : in.inputs()) {
      node.in.push_back(id == -1 ? -1 : made(id));
      metas.push_back(id == -1 ? Tensor() : program_.values[static_cast<size_t>(id)].meta);
    }
    const std::vector<Tensor> out = op->infer(metas, node.attrs);
    require(static_cast<size_t>(in.outputs_size()) == out.size(), "{} has {} outputs; wants {}",
            op->name, in.outputs_size(), out.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const int id = in.outputs(static_cast<int>(i));
      node.out.push_back(id);
      if (id == -1) continue;
      require(kind(id) == ProgramValue::Kind::kTemporary &&
                  !program_.values[static_cast<size_t>(id)].meta.defined(),
              "value {} is made twice", id);
      ProgramValue& value = program_.values[static_cast<size_t>(id)];
      value.meta = out[i];
      const int alias = op->outputs[i].alias;
      if (alias >= 0) value.alias_of = node.in[static_cast<size_t>(alias)];
    }
    program_.nodes.push_back(std::move(node));
  }

  ProgramValue::Kind kind(int id) const {
    require(id >= 0 && static_cast<size_t>(id) < program_.values.size(), "there is no value {}",
            id);
    return program_.values[static_cast<size_t>(id)].kind;
  }

  // A value that exists by now.
  int made(int id) const {
    kind(id);
    require(program_.values[static_cast<size_t>(id)].meta.defined(),
            "value {} is used before it is made", id);
    return id;
  }

  const proto::Program& in_;
  const ParameterStore* store_;
  size_t state_bytes_ = 0;
  Program program_;
};

}  // namespace

void save_program(const std::string& path, const Program& program) {
  proto::Program out;
  out.set_format_version(kFormatVersion);
  out.set_name(program.name);
  for (const ProgramSymbol& symbol : program.symbols) {
    proto::Symbol& written = *out.add_symbols();
    written.set_name(symbol.name);
    written.set_upper_bound(symbol.bound);
  }
  for (const ProgramValue& value : program.values) write_value(value, *out.add_values());
  for (const ProgramNode& node : program.nodes) {
    proto::Node& written = *out.add_nodes();
    written.set_op(node.op->name);
    for (int id : node.in) written.add_inputs(id);
    for (int id : node.out) written.add_outputs(id);
    AttributeWriter writer(*written.mutable_attributes());
    node.attrs.read(writer);
  }
  for (int id : program.inputs) out.add_inputs(id);
  for (int id : program.outputs) out.add_outputs(id);
  write_file_atomically(path, out.SerializeAsString());
}

Program load_program(const std::string& path, const DevicePtr& device,
                     const ParameterStore* store) {
  return parse_program(read_file(path, kMaxFileBytes), path, device, store);
}

Program parse_program(const std::string& bytes, const std::string& where, const DevicePtr& device,
                      const ParameterStore* store) {
  proto::Program in;
  if (!in.ParseFromString(bytes)) fail(Code::kDataLoss, "program", "{} is damaged", where);
  if (in.format_version() != kFormatVersion) {
    fail(Code::kDataLoss, "program", "{} has format {}; this version reads {}", where,
         in.format_version(), kFormatVersion);
  }
  return Reader(in, device, store).read();
}

}  // namespace yiti
