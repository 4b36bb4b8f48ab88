#include "devices/cuda/compiler.h"

#include <nvrtc.h>

#include <array>
#include <memory>
#include <sstream>
#include <vector>

#include "devices/common/failure.h"
#include "devices/common/kernel_sources.h"

namespace yiti::devices::cuda {
namespace {

void check(nvrtcResult result, const char* call) {
  if (result == NVRTC_SUCCESS) return;
  fail(YITI_STATUS_INTERNAL, "{}: {}", call, nvrtcGetErrorString(result));
}

struct Destroy {
  void operator()(nvrtcProgram program) const { nvrtcDestroyProgram(&program); }
};
using Program = std::unique_ptr<std::remove_pointer_t<nvrtcProgram>, Destroy>;

std::string log_of(nvrtcProgram program) {
  size_t bytes = 0;
  check(nvrtcGetProgramLogSize(program, &bytes), "nvrtcGetProgramLogSize");
  std::string log(bytes, '\0');
  check(nvrtcGetProgramLog(program, log.data()), "nvrtcGetProgramLog");
  while (!log.empty() && (log.back() == '\0' || log.back() == '\n')) log.pop_back();
  return log;
}

std::string code_of(nvrtcProgram program, bool is_binary) {
  size_t bytes = 0;
  check((is_binary ? nvrtcGetCUBINSize : nvrtcGetPTXSize)(program, &bytes), "size of the code");
  std::string code(bytes, '\0');
  check((is_binary ? nvrtcGetCUBIN : nvrtcGetPTX)(program, code.data()), "code");
  return code;
}

}  // namespace

std::string Target::name() const {
  return fmt::format("{}_{}", is_binary ? "sm" : "compute", architecture);
}

Target choose_target(int gpu, std::span<const int> known) {
  int best = 0;
  for (const int architecture : known) {
    if (architecture <= gpu) best = architecture;
  }
  if (best == 0) {
    fail(YITI_STATUS_UNAVAILABLE, "compute capability {}.{}; the compiler knows {}.{} and newer",
         gpu / 10, gpu % 10, known.empty() ? 0 : known.front() / 10,
         known.empty() ? 0 : known.front() % 10);
  }
  return {best, best / 10 == gpu / 10};
}

Target choose_target(int gpu) {
  int count = 0;
  check(nvrtcGetNumSupportedArchs(&count), "nvrtcGetNumSupportedArchs");
  std::vector<int> known(static_cast<size_t>(count));
  check(nvrtcGetSupportedArchs(known.data()), "nvrtcGetSupportedArchs");
  return choose_target(gpu, known);
}

std::string program_text(const char* file, const std::string& options) {
  std::string text;
  std::istringstream words(options);
  for (std::string word; words >> word;) {
    const std::string definition = word.substr(2);  // behind -D
    const size_t equals = definition.find('=');
    text += equals == std::string::npos
                ? fmt::format("#define {} 1\n", definition)
                : fmt::format("#define {} {}\n", definition.substr(0, equals),
                              definition.substr(equals + 1));
  }
  for (const char* part : {"prelude", "mma", "elements", "common", file})
    text += kernel_source(part);
  return text;
}

std::string compile(const std::string& text, const char* file, const Target& target,
                    std::string* log) {
  nvrtcProgram made = nullptr;
  const std::string name = std::string(file) + ".cl";
  check(nvrtcCreateProgram(&made, text.c_str(), name.c_str(), 0, nullptr, nullptr),
        "nvrtcCreateProgram");
  const Program program(made);
  const std::string architecture = "--gpu-architecture=" + target.name();
  const std::array<const char*, 3> options = {
      architecture.c_str(), "--device-as-default-execution-space", "--fmad=false"};
  const nvrtcResult result =
      nvrtcCompileProgram(made, static_cast<int>(options.size()), options.data());
  const std::string said = log_of(made);
  if (result != NVRTC_SUCCESS) {
    fail(YITI_STATUS_INTERNAL, "nvrtcCompileProgram of {} for {}: {}: {}", name, target.name(),
         nvrtcGetErrorString(result), said.substr(0, 700));
  }
  if (log != nullptr) *log = said;
  return code_of(made, target.is_binary);
}

std::string compiler_version() {
  int major = 0, minor = 0;
  check(nvrtcVersion(&major, &minor), "nvrtcVersion");
  return fmt::format("{}.{}", major, minor);
}

}  // namespace yiti::devices::cuda
