// An example as a person checks it before training: token by token, with the loss mask.
#pragma once

#include <string>

#include "models/text/tokenizer.h"
#include "training/data/examples.h"

namespace yiti {

struct ExampleViewOptions {
  bool colour = false;       ///< ANSI colours (a terminal); false: markers
  int64_t max_tokens = 400;  ///< shown; what follows is counted
};

/// A heading with counts and a legend, then the tokens. With colour, trained tokens stand on green
/// in two shades, so that borders show, and the others are grey; without, trained tokens are in
/// brackets and the others end with "|". Line ends in the text break the line after "↵"; other
/// control characters and bytes that are no UTF-8 are written as \x1b, so that data cannot
/// steer the terminal. Ends with a line end.
std::string view_example(const Example& example, const Tokenizer& tokenizer,
                         const ExampleViewOptions& options = {});

}  // namespace yiti
