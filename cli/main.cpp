#include <cstdio>

#include "cli/command.h"
#include "cli/terminal.h"
#include "core/error.h"

int main(int argc, char** argv) {
  using namespace yiti::cli;
  CLI::App app{"yiti: train and serve language models in one process, on one copy of the weights."};
  app.name("yiti");
  app.require_subcommand(1);
  app.set_version_flag("--version", YITI_VERSION);
  app.footer("yiti COMMAND --help tells a command's options.");
  Action action;
  add_run(app, action);
  add_finetune(app, action);
  add_serve(app, action);
  add_inspect(app, action);
  add_bench(app, action);
  add_demo(app, action);
  add_devices(app, action);
  add_device_test(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  try {
    return action();
  } catch (const std::exception& error) {
    print_error(error.what());
    return 1;
  }
}
