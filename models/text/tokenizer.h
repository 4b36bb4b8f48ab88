// Byte-level byte-pair encoding: text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "models/text/token_trie.h"

namespace yiti {

enum class TokenType : uint8_t {
  kNormal,       ///< its text is spelled in the byte alphabet of GPT-2
  kControl,      ///< a special token, such as <|im_end|>; its text is literal
  kUserDefined,  ///< found in the text as it stands before anything else; its text is literal
  kUnknown,
  kUnused,
};

/// How an added token (control or user-defined) is looked for, as in Hugging Face's tokenizer.json.
struct AddedToken {
  int32_t id = -1;
  bool lstrip = false;       ///< takes the white space before it, too
  bool rstrip = false;       ///< and the white space after it
  bool single_word = false;  ///< only where no letter or digit touches it
  bool normalized = false;   ///< looked for in the normalised text
};

/// One step that cuts text into pieces before merging.
struct PreTokenizerStep {
  enum class Kind : uint8_t {
    kIsolate,        ///< pieces are the matches of `pattern` and what lies between them
    kRemove,         ///< only what lies between the matches
    kMergePrevious,  ///< each match goes to the end of the piece before it
    kMergeNext,      ///< each match goes to the beginning of the piece after it
    kContiguous,     ///< as kIsolate, with matches that touch each other as one piece
  };
  Kind kind = Kind::kIsolate;
  std::string pattern;  ///< PCRE2, UTF-8 with Unicode properties
  bool invert = false;  ///< what lies between the matches takes the matches' part
};

/// Everything that a tokenizer is made from.
struct TokenizerSpec {
  std::vector<std::string> tokens = {};  ///< by id
  std::vector<TokenType> types = {};     ///< by id, or empty: all normal
  /// Best first, in the byte alphabet.
  std::vector<std::pair<std::string, std::string>> merges = {};
  /// Ids not named here that are control or user-defined get the defaults.
  std::vector<AddedToken> added = {};
  std::string pre_tokenizer = {};  ///< gpt2, smollm, llama3, qwen2, …; used where `steps` is empty
  std::vector<PreTokenizerStep> steps = {};
  int32_t bos = -1, eos = -1, pad = -1, unk = -1;  ///< -1: none
  int32_t missing_byte = -1;  ///< stands for bytes that the vocabulary lacks; -1: they are dropped
  /// What add_special puts before and after the text.
  std::vector<int32_t> prefix = {}, suffix = {};
  bool add_prefix_space = false;
  bool ignore_merges = false;  ///< a whole piece that is a token is taken at once
  bool normalize_nfc = false;
};

struct EncodeOptions {
  bool add_special = true;    ///< put `prefix` (BOS) before and `suffix` after
  bool parse_special = true;  ///< find control tokens in the text; otherwise they are plain text
};

/// A token and the bytes [begin, end) of the text that it stands for. A token that the text does
/// not hold (BOS) has begin == end.
struct TokenSpan {
  int32_t id;
  int64_t begin, end;
};

/// Immutable and thread-safe; copies share their tables.
class Tokenizer {
 public:
  /// Fails with kInvalidArgument where the spec is inconsistent, kUnimplemented for a
  /// pre-tokenizer that yiti does not know.
  explicit Tokenizer(TokenizerSpec spec);

  /// Any bytes are allowed: runs that are not UTF-8 are kept byte by byte, as a piece of their own.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  std::vector<TokenSpan> encode_with_spans(std::string_view text, EncodeOptions options = {}) const;

  /// The bytes of the tokens, one after the other; not always valid UTF-8. Throws for an id out of
  /// range.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;
  /// A token's bytes; valid as long as the tokenizer.
  std::string_view token_piece(int32_t id) const;
  /// The id whose bytes are exactly these (special tokens first), or -1.
  int32_t find(std::string_view piece) const;

  /// The texts of all tokens but the control tokens. Made at the first call.
  const TokenTrie& trie() const;

  /// Control tokens, which the text of an answer does not show.
  bool is_special(int32_t id) const;
  int64_t vocab_size() const;
  int32_t bos() const;  ///< -1: none
  int32_t eos() const;
  int32_t pad() const;
  /// Whether encode with add_special puts BOS first.
  bool adds_bos() const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

/// From the texts of a Hugging Face tokenizer.json and, if there is one, tokenizer_config.json.
/// Fails with kInvalidArgument for malformed files, kUnimplemented, with its name, for a model or
/// part that is not byte-level BPE.
TokenizerSpec parse_hf_tokenizer(std::string_view tokenizer_json,
                                 std::string_view tokenizer_config_json = {});

}  // namespace yiti
