#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace yiti::cli {
namespace {

std::atomic<bool> interrupted{false};

void on_signal(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

void write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

}  // namespace

void print(std::string_view text) { write(stdout, text); }

void print_error(std::string_view text) {
  const bool colour = err_is_terminal();
  write(stderr, colour ? "\x1b[31myiti:\x1b[0m " : "yiti: ");
  write(stderr, text);
  write(stderr, "\n");
}

void note(std::string_view text) {
  write(stderr, text);
  write(stderr, "\n");
}

bool out_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool err_is_terminal() { return isatty(STDERR_FILENO) == 1; }

int terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

EndsAtOnce::EndsAtOnce()
    : on_interrupt_(std::signal(SIGINT, SIG_DFL)), on_terminate_(std::signal(SIGTERM, SIG_DFL)) {}

EndsAtOnce::~EndsAtOnce() {
  std::signal(SIGINT, on_interrupt_);
  std::signal(SIGTERM, on_terminate_);
}

const std::atomic<bool>& interrupt_flag() {
  static const bool installed = [] {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    return true;
  }();
  static_cast<void>(installed);
  return interrupted;
}

}  // namespace yiti::cli
