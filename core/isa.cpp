#include "core/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>

#include "core/error.h"

namespace yiti {

#if defined(__x86_64__)
namespace {

// Older compilers' __builtin_cpu_supports does not know the feature.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace
#endif

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::kPortable: return "portable";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
  }
  return "unknown";
}

bool is_supported(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kPortable: return true;
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case Isa::kAvx512:
      return is_supported(Isa::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return isa == Isa::kPortable;
#endif
}

Isa choose_isa() {
  constexpr Isa kBestFirst[] = {Isa::kAvx512, Isa::kAvx2, Isa::kPortable};
  if (const char* wanted = std::getenv("YITI_CPU_ISA"); wanted != nullptr && *wanted != '\0') {
    for (Isa isa : kBestFirst) {
      if (name(isa) != wanted) continue;
      if (is_supported(isa)) return isa;
      fail(Code::kUnimplemented, "YITI_CPU_ISA", "this machine does not run {}", wanted);
    }
    fail(Code::kInvalidArgument, "YITI_CPU_ISA", "got \"{}\"; wants portable, avx2 or avx512",
         wanted);
  }
  for (Isa isa : kBestFirst) {
    if (is_supported(isa)) return isa;
  }
  return Isa::kPortable;
}

}  // namespace yiti
