#include "models/text/gguf_tokenizer.h"

#include "core/error.h"

namespace yiti {
namespace {

// ggml's llama_token_type, gguf.md's tokenizer.ggml.token_type.
TokenType type_from_gguf(int32_t type) {
  switch (type) {
    case 1:
    case 6: return TokenType::kNormal;
    case 2: return TokenType::kUnknown;
    case 3: return TokenType::kControl;
    case 4: return TokenType::kUserDefined;
    case 5: return TokenType::kUnused;
    default: fail(Code::kInvalidArgument, "gguf tokenizer", "token type {}; wants 1 to 6", type);
  }
}

std::string_view family_of(std::string_view model) {
  if (model == "llama") return " (SentencePiece)";
  if (model == "bert") return " (WordPiece)";
  if (model == "t5") return " (Unigram)";
  return "";
}

// "left right"; a token may begin with a space only where the alphabet is not GPT-2's.
std::pair<std::string, std::string> merge_from(const std::string& text) {
  const size_t space = text.find(' ', 1);
  check(space != std::string::npos && space + 1 < text.size(), "gguf tokenizer",
        "merge \"{}\"; wants two tokens and a space between them", text);
  return {text.substr(0, space), text.substr(space + 1)};
}

void add_ends(const GgufMetadata& metadata, bool llama3, TokenizerSpec* spec) {
  // Files for Llama 3 that lack the key were made when BOS was understood.
  if (metadata.get_or<bool>("tokenizer.ggml.add_bos_token", llama3)) {
    check(spec->bos >= 0, "gguf tokenizer", "add_bos_token without a bos_token_id");
    spec->prefix.push_back(spec->bos);
  }
  if (metadata.get_or<bool>("tokenizer.ggml.add_eos_token", false)) {
    check(spec->eos >= 0, "gguf tokenizer", "add_eos_token without an eos_token_id");
    spec->suffix.push_back(spec->eos);
  }
}

}  // namespace

TokenizerSpec parse_gguf_tokenizer(const GgufMetadata& metadata) {
  const auto model = metadata.get<std::string>("tokenizer.ggml.model");
  if (model != "gpt2") {
    fail(Code::kUnimplemented, "gguf tokenizer",
         "tokenizer model \"{}\"{} is not supported; wants \"gpt2\" (byte-level BPE)", model,
         family_of(model));
  }
  TokenizerSpec spec;
  spec.tokens = metadata.array<std::string>("tokenizer.ggml.tokens");
  const auto types =
      metadata.get_or<std::vector<int32_t>>("tokenizer.ggml.token_type", std::vector<int32_t>());
  for (const int32_t type : types) spec.types.push_back(type_from_gguf(type));
  spec.merges.reserve(metadata.array<std::string>("tokenizer.ggml.merges").size());
  for (const std::string& merge : metadata.array<std::string>("tokenizer.ggml.merges")) {
    spec.merges.push_back(merge_from(merge));
  }
  spec.pre_tokenizer = metadata.get_or<std::string>("tokenizer.ggml.pre", "default");
  const auto id = [&metadata](std::string_view key) { return metadata.get_or<int32_t>(key, -1); };
  spec.bos = id("tokenizer.ggml.bos_token_id");
  spec.eos = id("tokenizer.ggml.eos_token_id");
  spec.pad = id("tokenizer.ggml.padding_token_id");
  spec.unk = id("tokenizer.ggml.unknown_token_id");
  spec.add_prefix_space = metadata.get_or<bool>("tokenizer.ggml.add_space_prefix", false);
  const std::string& pre = spec.pre_tokenizer;
  const bool llama3 = pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
  // GGUF has no keys for these two; they are as in the tokenizer.json of the families.
  spec.ignore_merges = llama3 || pre == "tekken" || pre == "falcon3";
  spec.normalize_nfc = pre == "qwen2" || pre == "deepseek-r1-qwen";
  add_ends(metadata, llama3, &spec);
  return spec;
}

}  // namespace yiti
