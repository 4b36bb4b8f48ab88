// What the commands show: only the command line prints, the library never does.
#pragma once

#include <atomic>
#include <string_view>

namespace yiti::cli {

void print(std::string_view text);        ///< to standard output, flushed
void print_error(std::string_view text);  ///< "yiti: …" in red, to standard error
void note(std::string_view text);         ///< a line for people, to standard error

bool out_is_terminal();
bool err_is_terminal();
int terminal_columns();

/// Lets Ctrl-C and SIGTERM end the process at once as long as it lives, for work that cannot be
/// interrupted.
class EndsAtOnce {
 public:
  EndsAtOnce();
  ~EndsAtOnce();
  EndsAtOnce(const EndsAtOnce&) = delete;
  EndsAtOnce& operator=(const EndsAtOnce&) = delete;

 private:
  void (*on_interrupt_)(int);
  void (*on_terminate_)(int);
};

/// Becomes true at the first Ctrl-C (or SIGTERM) after this is called; the second one ends the
/// process as usual.
const std::atomic<bool>& interrupt_flag();

}  // namespace yiti::cli
