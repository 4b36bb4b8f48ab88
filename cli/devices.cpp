// yiti devices and yiti device-test: which devices there are, and how theirs do.
#include <fmt/format.h>

#include <array>
#include <memory>

#include "cli/command.h"
#include "cli/device_options.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "ops/derived/device_check.h"
#include "ops/op_list.h"

namespace yiti::cli {
namespace {

using derived::DeviceResult;
using Verdict = DeviceResult::Verdict;

struct DevicesOptions {
  std::string path;
  bool ops = false;
};

struct TestOptions {
  std::string name, path, op;
  bool no_times = false;
  bool failures = false;
};

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) * 1e-6; }

void print_device(const DeviceListing& device) {
  if (!device.problem.empty()) {
    print(fmt::format("{}: not usable: {}\n", device.name, device.problem));
    return;
  }
  print(fmt::format("{}: {} ({})", device.name, device.title, device.driver));
  if (device.memory_bytes > 0) {
    print(fmt::format(", {:.0f} MB", megabytes(device.memory_bytes)));
    if (device.free_memory_bytes > 0) {
      print(fmt::format(", {:.0f} free", megabytes(device.free_memory_bytes)));
    }
  }
  if (device.compute_units > 0) print(fmt::format(", {} compute units", device.compute_units));
  print(device.row_contract ? ", keeps the row contract\n" : "\n");
}

// An op as a plug-in sees it: "rms_norm(x [..., D], weight [D]) -> y [..., D] {eps=1e-06}".
void print_op(const Op& op) {
  if (op.view) return;
  std::string text;
  for (const Op::Input& input : op.inputs) {
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", input.name, input.dims,
                        input.optional ? "?" : "");
  }
  if (op.variadic) text += ", ...";
  std::string outputs;
  for (const Op::Output& output : op.outputs) {
    outputs += fmt::format("{}{} {}", outputs.empty() ? "" : ", ", output.name, output.dims);
    if (output.saved) outputs += " (for the gradient)";
    if (output.alias >= 0) {
      outputs += fmt::format(" (updates {})", op.inputs[static_cast<size_t>(output.alias)].name);
    }
  }
  print(fmt::format("{}({}) -> {} {{{}}}\n", op.name, text, outputs, op.default_attrs.str()));
}

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass: return "pass";
    case Verdict::kFail: return "FAIL";
    case Verdict::kUnsupported: return "unsupported";
  }
  return "";
}

void print_result(const Op& op, const DeviceResult& result) {
  std::string line =
      fmt::format("{:<32} {:<5} {:<11}", op.name, name(result.dtype), word(result.verdict));
  if (result.verdict != Verdict::kUnsupported) line += fmt::format(" error {:5.3f}", result.error);
  if (result.device_us > 0) {
    line += fmt::format("  {:9.1f} us, cpu {:9.1f} us", result.device_us, result.cpu_us);
  }
  print(fmt::format("{}  {}{}{}\n", line, result.shapes, result.text.empty() ? "" : ": ",
                    result.text));
}

int test_device(const TestOptions& options) {
  DeviceOptions device_options;
  device_options.path = options.path;
  device_options.fallback = DeviceFallback::kRefuse;
  const DevicePtr device = open_device(options.name, device_options);
  if (!options.op.empty() && find_op(options.op) == nullptr) {
    fail(Code::kNotFound, "device-test", "there is no op {}", options.op);
  }
  const bool rows = keeps_rows(*device);
  print(
      fmt::format("{}: errors are parts of what each op allows against its reference; times are of "
                  "256 rows where an op has rows; row contract: {}\n",
                  options.name, rows ? "claimed, checked bit by bit" : "not claimed"));
  std::array<int, 3> counts{};
  if (options.op.empty()) {
    const std::string flaw = check_streams(*device);
    counts[1] += flaw.empty() ? 0 : 1;
    print(fmt::format("streams and events: {}\n", flaw.empty() ? "pass" : "FAIL: " + flaw));
  }
  int ops = 0, whole = 0;
  for (const Op* op : all_ops()) {
    if (op->view || (!options.op.empty() && op->name != options.op)) continue;
    const auto results =
        derived::check_on_device(*op, device, {.rows = rows, .times = !options.no_times});
    bool all = !results.empty();
    for (const DeviceResult& result : results) {
      ++counts[static_cast<size_t>(result.verdict)];
      all = all && result.verdict == Verdict::kPass;
      if (!options.failures || result.verdict == Verdict::kFail) print_result(*op, result);
    }
    ++ops;
    whole += all ? 1 : 0;
  }
  print(
      fmt::format("{} samples pass, {} fail, {} are unsupported; {} of {} ops run whole on the "
                  "device; peak memory {:.1f} MB\n",
                  counts[0], counts[1], counts[2], whole, ops, megabytes(device->peak_bytes())));
  return counts[1] > 0 ? 1 : 0;
}

}  // namespace

void add_devices(CLI::App& app, Action& action) {
  auto options = std::make_shared<DevicesOptions>();
  CLI::App* command = app.add_subcommand("devices", "List the devices that plug-ins bring");
  add_device_path(*command, options->path);
  command->add_flag("--ops", options->ops, "List instead the ops that a plug-in may be asked for");
  command->callback([&action, options] {
    action = [options] {
      if (options->ops) {
        for (const Op* op : all_ops()) print_op(*op);
        return 0;
      }
      print("cpu: built in, keeps the row contract\n");
      for (const DeviceListing& device : list_devices(options->path)) print_device(device);
      return 0;
    };
  });
}

void add_device_test(CLI::App& app, Action& action) {
  auto options = std::make_shared<TestOptions>();
  CLI::App* command = app.add_subcommand(
      "device-test", "Run every op on a device and compare with the CPU's references");
  command->add_option("NAME", options->name, "A plug-in's NAME or NAME:INDEX, or its file")
      ->required();
  command->add_option("--op", options->op, "Only this op");
  command->add_flag("--no-times", options->no_times, "Do not measure");
  command->add_flag("--failures", options->failures, "Print only what fails, and the sums");
  add_device_path(*command, options->path);
  command->callback([&action, options] { action = [options] { return test_device(*options); }; });
}

}  // namespace yiti::cli
