// An op's attributes: a plain struct that lists its fields once, so that they can be compared,
// printed, stored in a program and offered to other languages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"

namespace yiti {

/// Visits the fields of an attribute struct, to read or to write them.
class AttrVisitor {
 public:
  virtual ~AttrVisitor() = default;
  virtual void field(const char* name, int64_t& value) = 0;
  virtual void field(const char* name, double& value) = 0;
  virtual void field(const char* name, bool& value) = 0;
  virtual void field(const char* name, std::string& value) = 0;
  virtual void field(const char* name, std::vector<int64_t>& value) = 0;
};

/// For ops without attributes.
struct NoAttrs {
  void visit(AttrVisitor&) {}
};

/// A shared, immutable attribute struct of any op. A is copyable, default-constructible and has
/// `void visit(AttrVisitor& v)` that calls v.field for each of its fields.
class Attrs {
 public:
  Attrs() : Attrs(NoAttrs{}) {}
  template <class A>
  requires requires(A a, AttrVisitor& v) { a.visit(v); }
  Attrs(A value)  // NOLINT: implicit on purpose
      : value_(std::make_shared<A>(std::move(value))), type_(&kType<A>) {}

  /// The struct. Throws kInternal when it is of another type.
  template <class A>
  const A& as() const {
    if (type_ != &kType<A>) fail(Code::kInternal, "attrs", "read as another op's attributes");
    return *static_cast<const A*>(value_.get());
  }
  /// Shows the fields to `visitor`, which sees copies.
  void read(AttrVisitor& visitor) const { type_->visit(type_->clone(value_.get()).get(), visitor); }
  /// The same struct type with the values that `visitor` writes.
  Attrs rewritten(AttrVisitor& visitor) const {
    Attrs copy = *this;
    std::shared_ptr<void> fresh = type_->clone(value_.get());
    type_->visit(fresh.get(), visitor);
    copy.value_ = std::move(fresh);
    return copy;
  }
  /// "eps=1e-06, window=0"
  std::string str() const;

 private:
  struct Type {
    std::shared_ptr<void> (*clone)(const void*);
    void (*visit)(void*, AttrVisitor&);
  };
  template <class A>
  static constexpr Type kType = {
      [](const void* value) -> std::shared_ptr<void> {
        return std::make_shared<A>(*static_cast<const A*>(value));
      },
      [](void* value, AttrVisitor& visitor) { static_cast<A*>(value)->visit(visitor); }};

  std::shared_ptr<const void> value_;
  const Type* type_;
};

}  // namespace yiti
