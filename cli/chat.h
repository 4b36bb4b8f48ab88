// A conversation with a generator, streamed as text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/generator.h"
#include "models/text/text_model.h"

namespace yiti::cli {

struct Reply {
  std::string text;
  Generation generation;
  double seconds = 0;
};

/// Generates from a prompt's tokens; `show` gets the text piece by piece. Ctrl-C stops it.
Reply generate_text(Generator& generator, const TextModel& text, GenerateRequest request,
                    const std::function<void(std::string_view)>& show);

}  // namespace yiti::cli
