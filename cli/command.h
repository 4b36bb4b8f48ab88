// The commands of `yiti`: each adds itself to the parser and runs when it was named.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace yiti::cli {

/// What the command that was given does; returns the exit code.
using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_finetune(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_demo(CLI::App& app, Action& action);
void add_devices(CLI::App& app, Action& action);
void add_device_test(CLI::App& app, Action& action);

}  // namespace yiti::cli
