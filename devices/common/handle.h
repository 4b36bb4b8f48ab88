// Objects of a driver that are released when they go out of scope.
#pragma once

#include <memory>
#include <type_traits>

namespace yiti::devices {

template <auto kRelease>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    kRelease(object);
  }
};

template <class T, auto kRelease>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, Releaser<kRelease>>;

}  // namespace yiti::devices
