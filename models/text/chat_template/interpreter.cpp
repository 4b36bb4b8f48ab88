#include "models/text/chat_template/interpreter.h"

#include <algorithm>

namespace yiti::jinja {
namespace {

// Puts a value in a place while it lives.
template <class T>
class Swapped {
 public:
  Swapped(T* place, T value) : place_(place), old_(std::exchange(*place, std::move(value))) {}
  ~Swapped() { *place_ = std::move(old_); }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  T* place_;
  T old_;
};

}  // namespace

void Scope::set(std::string_view name, Value value) {
  const auto it = std::find_if(values_.begin(), values_.end(),
                               [name](const auto& entry) { return entry.first == name; });
  if (it != values_.end()) {
    it->second = std::move(value);
  } else {
    values_.emplace_back(name, std::move(value));
  }
}

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get()) {
    for (const auto& [own, value] : scope->values_) {
      if (own == name) return &value;
    }
  }
  return nullptr;
}

Interpreter::Interpreter(int64_t now_unix_s)
    : now_unix_s_(now_unix_s), scope_(std::make_shared<Scope>(nullptr)) {
  for (const auto& [name, function] : global_functions()) scope_->set(name, function);
  scope_ = std::make_shared<Scope>(scope_);
}

Interpreter::~Interpreter() {
  for (const std::shared_ptr<Namespace>& space : namespaces_) space->fields.clear();
}

void Interpreter::set_variable(std::string_view name, Value value) {
  scope_->set(name, std::move(value));
}

Rendering Interpreter::run(const Body& body) {
  out_ = &rendering_.text;
  try {
    execute(body);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    fail(error.code(), kWhere, "line {}: {}", line_, text.substr(error.where().size() + 2));
  }
  return std::move(rendering_);
}

Value Interpreter::make_namespace(Namespace fields) {
  budget_.create(128);
  namespaces_.push_back(std::make_shared<Namespace>(std::move(fields)));
  return Value(namespaces_.back());
}

void Interpreter::write(std::string_view text) {
  if (out_ != &rendering_.text) budget_.create(static_cast<int64_t>(text.size()));
  if (static_cast<int64_t>(out_->size() + text.size()) > kMaxOutputBytes) {
    fail(Code::kResourceExhausted, kWhere, "writes more than {} bytes", kMaxOutputBytes);
  }
  out_->append(text);
}

Interpreter::Flow Interpreter::execute(const Body& body) {
  const Nesting nesting(&depth_, kMaxRunDepth);
  for (const Statement& statement : body) {
    budget_.step();
    line_ = statement.line;
    const Flow flow =
        std::visit([this](const auto& s) { return run_statement(s); }, statement.node);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const Text& s) {
  write(s.text);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const Output& s) {
  const Value value = evaluate(*s.value);
  if (value.string() != nullptr) {
    write(*value.string());
  } else {
    write(text_of(value, &budget_));
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const If& s) {
  for (const auto& [condition, body] : s.branches) {
    if (evaluate(*condition).truth()) return execute(body);
  }
  return execute(s.otherwise);
}

Interpreter::Flow Interpreter::run_statement(const For& s) {
  std::shared_ptr<const List> items = items_of(evaluate(*s.items), &budget_);
  const Swapped outer(&scope_, scope_);
  const std::shared_ptr<Scope> parent = scope_;
  if (s.condition != nullptr) {
    auto kept = std::make_shared<List>();
    kept->depth = items->depth;
    for (const Value& item : items->items) {
      budget_.create(sizeof(Value));
      scope_ = std::make_shared<Scope>(parent);
      assign(s.target, item);
      if (evaluate(*s.condition).truth()) kept->items.push_back(item);
    }
    items = std::move(kept);
  }
  if (items->items.empty()) {
    scope_ = std::make_shared<Scope>(parent);
    return execute(s.otherwise);
  }
  const Value* around = parent->find("loop");
  if (items->depth >= kMaxValueDepth) {
    fail(Code::kResourceExhausted, kWhere, "nests values deeper than {}", kMaxValueDepth);
  }
  const auto loop = std::make_shared<Loop>();
  loop->items = items;
  loop->level = around != nullptr && around->loop() != nullptr ? around->loop()->level + 1 : 1;
  loop->value_depth = items->depth + 1;
  for (; loop->index < items->items.size(); ++loop->index) {
    budget_.step();
    scope_ = std::make_shared<Scope>(parent);
    scope_->set("loop", Value(loop));
    assign(s.target, items->items[loop->index]);
    if (execute(s.body) == Flow::kBreak) break;
  }
  return Flow::kNormal;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.parts.empty()) {
    const std::shared_ptr<const List> items = items_of(value, &budget_);
    check(items->items.size() == target.parts.size(), kWhere,
          "{} values for {} names in an assignment", items->items.size(), target.parts.size());
    for (size_t i = 0; i < target.parts.size(); ++i) assign(target.parts[i], items->items[i]);
    return;
  }
  if (target.attribute.empty()) return scope_->set(target.name, value);
  const Value* object = scope_->find(target.name);
  check(object != nullptr && object->space() != nullptr, kWhere,
        "only a namespace's attributes can be set; \"{}\" is none", target.name);
  check(!target.attribute.starts_with('_'), kWhere, "a namespace has no attribute \"{}\"",
        target.attribute);
  auto& fields = object->space()->fields;
  const auto it = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& f) { return f.first == target.attribute; });
  budget_.create(64);
  if (it != fields.end()) {
    it->second = value;
  } else {
    fields.emplace_back(target.attribute, value);
  }
}

Interpreter::Flow Interpreter::run_statement(const Set& s) {
  assign(s.target, evaluate(*s.value));
  return Flow::kNormal;
}

std::string Interpreter::captured(const Body& body, std::shared_ptr<Scope> parent) {
  std::string text;
  const Swapped out(&out_, &text);
  const Swapped scope(&scope_, std::make_shared<Scope>(std::move(parent)));
  execute(body);
  return text;
}

Value Interpreter::filtered(const ExprPtr& filter, std::string text) {
  if (filter == nullptr) return Value(std::move(text));
  const Swapped input(&filter_input_, Value(std::move(text)));
  return evaluate(*filter);
}

Interpreter::Flow Interpreter::run_statement(const SetBlock& s) {
  assign(s.target, filtered(s.filter, captured(s.body, scope_)));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const FilterBlock& s) {
  write(text_of(filtered(s.filter, captured(s.body, scope_)), &budget_));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const With& s) {
  const auto inner = std::make_shared<Scope>(scope_);
  for (const auto& [target, expr] : s.values) {
    const Value value = evaluate(*expr);  // sees the names outside only
    const Swapped scope(&scope_, inner);
    assign(target, value);
  }
  const Swapped scope(&scope_, inner);
  return execute(s.body);
}

Interpreter::Flow Interpreter::run_statement(const std::unique_ptr<Macro>& s) {
  scope_->set(s->name, macro_value(*s));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const std::unique_ptr<CallBlock>& s) {
  const auto& node = std::get<Call>(s->call->node);
  const Value callee = evaluate(*node.callee);
  Arguments args = arguments(node.args);
  args.named.emplace_back("caller", macro_value(s->caller));
  write(text_of(call(callee, args), &budget_));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const Generation& s) {
  if (out_ != &rendering_.text) {
    fail(Code::kUnimplemented, kWhere, "a generation block inside a macro or a block assignment");
  }
  const auto begin = static_cast<int64_t>(out_->size());
  {
    const Swapped scope(&scope_, std::make_shared<Scope>(scope_));
    execute(s.body);
  }
  rendering_.generations.emplace_back(begin, static_cast<int64_t>(out_->size()));
  return Flow::kNormal;
}

Value Interpreter::macro_value(const Macro& macro) {
  budget_.create(128);
  // A weak reference, since the scope holds the macro.
  return Value::function(macro.name, [&macro, weak = std::weak_ptr<Scope>(scope_)](
                                         Interpreter& self, Arguments& args) {
    std::shared_ptr<Scope> scope = weak.lock();
    check(scope != nullptr, kWhere, "macro \"{}\" is called outside of where it was made",
          macro.name);
    return self.call_macro(macro, std::move(scope), args);
  });
}

void Interpreter::bind_parameters(const Macro& macro, Arguments& args) {
  const size_t given = std::min(args.positional.size(), macro.parameters.size());
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    const auto named = std::find_if(args.named.begin(), args.named.end(), [&](const auto& entry) {
      return entry.first == parameter.name;
    });
    Value value = Value::undefined(parameter.name);
    if (i < given) {
      value = args.positional[i];
    } else if (named != args.named.end()) {
      value = named->second;
      args.named.erase(named);
    } else if (parameter.otherwise != nullptr) {
      value = evaluate(*parameter.otherwise);
    }
    scope_->set(parameter.name, std::move(value));
  }
  args.positional.erase(args.positional.begin(),
                        args.positional.begin() + static_cast<std::ptrdiff_t>(given));
}

Value Interpreter::call_macro(const Macro& macro, std::shared_ptr<Scope> scope, Arguments& args) {
  std::string text;
  const Swapped out(&out_, &text);
  const Swapped inner(&scope_, std::make_shared<Scope>(std::move(scope)));
  const int line = line_;
  bind_parameters(macro, args);
  if (macro.uses.caller) {
    const auto it = std::find_if(args.named.begin(), args.named.end(),
                                 [](const auto& entry) { return entry.first == "caller"; });
    scope_->set("caller", it == args.named.end() ? Value::undefined("caller") : it->second);
    if (it != args.named.end()) args.named.erase(it);
  }
  check(args.positional.empty() || macro.uses.varargs, kWhere,
        "macro \"{}\" takes {} arguments and got {} more", macro.name, macro.parameters.size(),
        args.positional.size());
  check(args.named.empty() || macro.uses.kwargs, kWhere, "macro \"{}\" takes no argument \"{}\"",
        macro.name, args.named.empty() ? "" : args.named[0].first);
  if (macro.uses.varargs) scope_->set("varargs", Value::list(std::move(args.positional), true));
  if (macro.uses.kwargs) {
    auto dict = std::make_shared<Dict>();
    for (auto& [name, value] : args.named) dict->set(Value(name), std::move(value), &budget_);
    scope_->set("kwargs", Value(std::shared_ptr<const Dict>(std::move(dict))));
  }
  execute(macro.body);
  line_ = line;
  return Value(std::move(text));
}

}  // namespace yiti::jinja
