// Libraries that are loaded when they are first wanted, so that the plug-in works where they are
// missing.
#pragma once

#include <dlfcn.h>

#include <string>

#include "devices/common/failure.h"
#include "devices/common/handle.h"

namespace yiti::devices::cuda {

class SharedLibrary {
 public:
  /// Throws YITI_STATUS_UNAVAILABLE where there is none of that name.
  explicit SharedLibrary(const std::string& name) : handle_(dlopen(name.c_str(), RTLD_NOW)) {
    if (!handle_) fail(YITI_STATUS_UNAVAILABLE, "{}", dlerror());
  }

  /// A function, F being a pointer to one. Throws YITI_STATUS_UNAVAILABLE where the library lacks
  /// it.
  template <class F>
  F find(const char* name) const {
    void* const found = dlsym(handle_.get(), name);
    if (found == nullptr) fail(YITI_STATUS_UNAVAILABLE, "{}", dlerror());
    return reinterpret_cast<F>(found);
  }

 private:
  Handle<void*, &dlclose> handle_;
};

}  // namespace yiti::devices::cuda
