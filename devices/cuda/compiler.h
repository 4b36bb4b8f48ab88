// Kernels of kernels/*.cl as machine code, by NVRTC.
#pragma once

#include <span>
#include <string>

namespace yiti::devices::cuda {

/// What code is made for: a GPU's machine code where `is_binary`, else PTX that its driver
/// translates.
struct Target {
  int architecture;  ///< 90 for compute capability 9.0
  bool is_binary;

  /// NVRTC's name: "sm_90" or "compute_90".
  std::string name() const;
  bool operator==(const Target&) const = default;
};

/// The best of what the compiler knows (`known`, ascending) for a GPU. Throws
/// YITI_STATUS_UNAVAILABLE where all of it is newer than the GPU.
Target choose_target(int gpu, std::span<const int> known);
/// The same, of this process's NVRTC.
Target choose_target(int gpu);

/// CUDA C++ of kernels/`file`.cl with its build options ("-DX -DY=1 -DF(i)=g(i)").
std::string program_text(const char* file, const std::string& options);

/// Compiles a program_text; what the compiler said goes to `log`. Throws YITI_STATUS_INTERNAL with
/// the first of its words.
std::string compile(const std::string& text, const char* file, const Target& target,
                    std::string* log = nullptr);
/// "13.0": compilers of other versions may give other code.
std::string compiler_version();

}  // namespace yiti::devices::cuda
