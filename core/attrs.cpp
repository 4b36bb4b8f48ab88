#include "core/attrs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace yiti {
namespace {

class Printer final : public AttrVisitor {
 public:
  void field(const char* name, int64_t& value) override { add(name, value); }
  void field(const char* name, double& value) override { add(name, value); }
  void field(const char* name, bool& value) override { add(name, value); }
  void field(const char* name, std::string& value) override { add(name, value); }
  void field(const char* name, std::vector<int64_t>& value) override { add(name, value); }
  std::string text;

 private:
  template <class T>
  void add(const char* name, const T& value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  }
};

}  // namespace

std::string Attrs::str() const {
  Printer printer;
  read(printer);
  return printer.text;
}

}  // namespace yiti
