// Processor time, as opposed to the time that passes.
#pragma once

#include <cstdint>

namespace yiti {

/// Nanoseconds that the calling thread has run.
int64_t thread_cpu_ns();

}  // namespace yiti
