// Tokenizers from the keys of a GGUF file.
#pragma once

#include "core/io/gguf_metadata.h"
#include "models/text/tokenizer.h"

namespace yiti {

/// From tokenizer.ggml.*. Fails with kNotFound where the file has no tokenizer, kInvalidArgument
/// where its keys are malformed, kUnimplemented, with its name, for one that is not byte-level BPE.
TokenizerSpec parse_gguf_tokenizer(const GgufMetadata& metadata);

}  // namespace yiti
