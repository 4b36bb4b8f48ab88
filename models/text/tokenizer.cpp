#include "models/text/tokenizer.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "models/text/added_tokens.h"
#include "models/text/bpe.h"
#include "models/text/byte_alphabet.h"
#include "models/text/nfc.h"
#include "models/text/pre_tokenizer.h"
#include "models/text/text_ids.h"
#include "models/text/utf8.h"

namespace yiti {
namespace {

constexpr size_t kMaxTokens = 16'000'000;
constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr size_t kCacheFromBytes = 4096;  // below, a cache of pieces costs more than it saves

TokenType type_of(const TokenizerSpec& spec, size_t id) {
  return spec.types.empty() ? TokenType::kNormal : spec.types[id];
}

void check_spec(const TokenizerSpec& spec) {
  const size_t count = spec.tokens.size();
  check(count > 0 && count <= kMaxTokens, "tokenizer", "{} tokens; wants 1 to {}", count,
        kMaxTokens);
  check(spec.types.empty() || spec.types.size() == count, "tokenizer", "{} token types; wants {}",
        spec.types.size(), count);
  const auto check_id = [count](int32_t id, std::string_view what, bool optional) {
    const bool ok = (optional && id == -1) || (id >= 0 && static_cast<size_t>(id) < count);
    check(ok, "tokenizer", "{} is token {}; the vocabulary has {}", what, id, count);
  };
  check_id(spec.bos, "BOS", true);
  check_id(spec.eos, "EOS", true);
  check_id(spec.pad, "the padding token", true);
  check_id(spec.unk, "the unknown token", true);
  check_id(spec.missing_byte, "the token for missing bytes", true);
  for (const int32_t id : spec.prefix) check_id(id, "a token before the text", false);
  for (const int32_t id : spec.suffix) check_id(id, "a token after the text", false);
  for (const AddedToken& token : spec.added) check_id(token.id, "an added token", false);
}

// Ids by spelling, for the merges and the bytes. Literal tokens are found by their spelling in the
// alphabet, too, since some vocabularies merge into tokens that were added later.
class Spellings {
 public:
  explicit Spellings(const TokenizerSpec& spec) : ids_(spec.tokens.size() + literals(spec)) {
    for (const bool normal : {true, false}) {
      for (size_t id = 0; id < spec.tokens.size(); ++id) {
        if ((type_of(spec, id) == TokenType::kNormal) != normal) continue;
        ids_.insert(spec.tokens[id], static_cast<int32_t>(id));
        if (normal) continue;
        ids_.insert(owned_.emplace_back(alphabet_from_bytes(spec.tokens[id])),
                    static_cast<int32_t>(id));
      }
    }
  }

  int32_t find(std::string_view spelling) const { return ids_.find(spelling); }

 private:
  static size_t literals(const TokenizerSpec& spec) {
    return static_cast<size_t>(
        std::count_if(spec.types.begin(), spec.types.end(),
                      [](TokenType type) { return type != TokenType::kNormal; }));
  }

  TextIds ids_;
  std::deque<std::string> owned_;
};

MergeTables merge_tables(const TokenizerSpec& spec) {
  const Spellings spellings(spec);
  MergeTables tables{{}, spec.missing_byte, PairTable(spec.merges.size())};
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    tables.byte_ids[static_cast<size_t>(byte)] = spellings.find(alphabet_from_bytes({&c, 1}));
  }
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const auto& [left, right] = spec.merges[rank];
    const int32_t a = spellings.find(left), b = spellings.find(right);
    const int32_t both = spellings.find(left + right);
    check(a >= 0 && b >= 0 && both >= 0, "tokenizer",
          "merge {} joins \"{}\" and \"{}\"; both and the result must be tokens", rank, left,
          right);
    tables.merges.insert(a, b, {static_cast<int32_t>(rank), both});
  }
  return tables;
}

// The finders for control and user-defined tokens and for user-defined ones alone.
AddedTokenFinder finder(const TokenizerSpec& spec, bool normalized, bool with_control) {
  std::vector<AddedTokenFinder::Entry> entries;
  std::vector<AddedToken> all = spec.added;
  std::vector<bool> named(spec.tokens.size());
  for (const AddedToken& token : all) named[static_cast<size_t>(token.id)] = true;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const bool literal = type_of(spec, id) != TokenType::kNormal;
    if (literal && !named[id]) all.push_back({.id = static_cast<int32_t>(id)});
  }
  for (const AddedToken& token : all) {
    const auto id = static_cast<size_t>(token.id);
    const TokenType type = type_of(spec, id);
    const bool wanted =
        type == TokenType::kUserDefined || (type == TokenType::kControl && with_control);
    if (!wanted || token.normalized != normalized || spec.tokens[id].empty()) continue;
    const bool nfc = normalized && spec.normalize_nfc;
    const std::string& text = spec.tokens[id];
    const bool valid = utf8::valid_prefix(text) == text.size();
    entries.push_back({token, nfc && valid ? to_nfc(text).text : text});
  }
  return AddedTokenFinder(std::move(entries));
}

std::vector<PreTokenizerStep> steps_of(const TokenizerSpec& spec) {
  return spec.steps.empty() && !spec.pre_tokenizer.empty() ? pre_tokenizer_steps(spec.pre_tokenizer)
                                                           : spec.steps;
}

}  // namespace

struct Tokenizer::Tables {
  TokenizerSpec spec;  // without the merges and with `tokens` as bytes, not as spelled
  MergeTables merge;
  PreTokenizer pre_tokenizer;
  AddedTokenFinder raw, raw_plain, normalized, normalized_plain;
  TextIds by_bytes;  // literal tokens first
  TextIds whole;     // normal tokens, where a whole piece may be taken at once
  mutable std::once_flag trie_once;
  mutable std::optional<TokenTrie> trie;

  explicit Tables(TokenizerSpec s)
      : spec((check_spec(s), std::move(s))),
        merge(merge_tables(spec)),
        pre_tokenizer(steps_of(spec)),
        raw(finder(spec, false, true)),
        raw_plain(finder(spec, false, false)),
        normalized(finder(spec, true, true)),
        normalized_plain(finder(spec, true, false)),
        by_bytes(spec.tokens.size()),
        whole(spec.ignore_merges ? spec.tokens.size() : 0) {
    spec.merges.clear();
    spec.merges.shrink_to_fit();
    for (size_t id = 0; id < spec.tokens.size(); ++id) {
      if (type_of(spec, id) != TokenType::kNormal) continue;
      spec.tokens[id] = bytes_from_alphabet(spec.tokens[id]);
    }
    index();
  }

 private:
  void index() {
    for (const bool normal : {false, true}) {
      for (size_t id = 0; id < spec.tokens.size(); ++id) {
        if ((type_of(spec, id) == TokenType::kNormal) != normal || spec.tokens[id].empty())
          continue;
        by_bytes.insert(spec.tokens[id], static_cast<int32_t>(id));
        if (normal && spec.ignore_merges) whole.insert(spec.tokens[id], static_cast<int32_t>(id));
      }
    }
  }
};

namespace {

// A part of the text on its way, maybe changed, and where its bytes come from.
struct Section {
  std::string_view text;
  int64_t base = 0;                              // of the original text
  const std::vector<int64_t>* origin = nullptr;  // by byte, relative to base; null: the same
  int64_t origin_at = 0;                         // the section's place in it
  int64_t shift = 0;                             // bytes put before the section

  int64_t original(size_t at) const {
    const int64_t own = std::max<int64_t>(0, static_cast<int64_t>(at) - shift);
    return base + (origin == nullptr ? own : (*origin)[static_cast<size_t>(origin_at + own)]);
  }
  Section part(size_t begin, size_t end) const {
    Section out = *this;
    out.text = text.substr(begin, end - begin);
    (origin == nullptr ? out.base : out.origin_at) += static_cast<int64_t>(begin);
    return out;
  }
};

// The tables that encoding reads, whatever their owner is.
struct EncoderTables {
  const TokenizerSpec& spec;
  const MergeTables& merge;
  const PreTokenizer& pre_tokenizer;
  const AddedTokenFinder& raw;
  const AddedTokenFinder& normalized;
  const TextIds& whole;
};

// Encodes one text.
class Encoder {
 public:
  explicit Encoder(const EncoderTables& tables) : tables_(tables), merger_(tables.merge) {}

  std::vector<TokenSpan> run(std::string_view text) {
    around_tokens(tables_.raw, {.text = text}, [this](const Section& s) { characters(s); });
    return std::move(out_);
  }

 private:
  template <class F>
  void around_tokens(const AddedTokenFinder& finder, const Section& section, F&& rest) {
    size_t at = 0;
    for (const FoundToken& found : finder.find_all(section.text)) {
      if (found.begin > at) rest(section.part(at, found.begin));
      out_.push_back({found.id, section.original(found.begin), section.original(found.end)});
      at = found.end;
    }
    if (at < section.text.size()) rest(section.part(at, section.text.size()));
  }

  // Cuts at bytes that are no characters.
  void characters(const Section& section) {
    for (size_t at = 0; at < section.text.size();) {
      const std::string_view rest = section.text.substr(at);
      if (const size_t good = utf8::valid_prefix(rest); good > 0) {
        normalize(section.part(at, at + good));
        at += good;
        continue;
      }
      size_t end = at;
      while (end < section.text.size() && utf8::read(section.text, end).size == 0) ++end;
      piece(section.part(at, end).text, section, at);
      at = end;
    }
  }

  void normalize(const Section& section) {
    const auto rest = [this](const Section& s) { plain(s); };
    if (!tables_.spec.normalize_nfc || is_surely_nfc(section.text)) {
      return around_tokens(tables_.normalized, section, rest);
    }
    const NormalizedText nfc = to_nfc(section.text);
    around_tokens(tables_.normalized, {nfc.text, section.base, &nfc.origin}, rest);
  }

  // Text without added tokens.
  void plain(Section section) {
    std::string with_space;
    if (tables_.spec.add_prefix_space && !section.text.starts_with(' ')) {
      with_space = ' ' + std::string(section.text);
      section.text = with_space;
      section.shift = 1;
    }
    const bool cached = section.text.size() >= kCacheFromBytes;
    cache_.clear();
    symbols_.clear();
    for (const std::string_view text : tables_.pre_tokenizer.split(section.text)) {
      const auto at = static_cast<size_t>(text.data() - section.text.data());
      if (const int32_t id = tables_.whole.find(text); id >= 0) {
        out_.push_back({id, section.original(at), section.original(at + text.size())});
      } else if (cached) {
        cached_piece(text, section, at);
      } else {
        symbols_.clear();
        piece(text, section, at);
      }
    }
  }

  struct Range {
    size_t begin, end;
  };

  void piece(std::string_view text, const Section& section, size_t at) {
    emit(merged(text), section, at);
  }

  void cached_piece(std::string_view text, const Section& section, size_t at) {
    const auto [it, fresh] = cache_.try_emplace(text);
    if (fresh) it->second = merged(text);
    emit(it->second, section, at);
  }

  Range merged(std::string_view text) {
    const size_t begin = symbols_.size();
    merger_.merge(text, &symbols_);
    return {begin, symbols_.size()};
  }

  void emit(Range range, const Section& section, size_t at) {
    for (size_t i = range.begin; i < range.end; ++i) {
      const size_t end = at + static_cast<size_t>(symbols_[i].size);
      out_.push_back({symbols_[i].id, section.original(at), section.original(end)});
      at = end;
    }
  }

  EncoderTables tables_;
  PieceMerger merger_;
  std::vector<TokenSpan> out_;
  std::vector<Symbol> symbols_;
  std::unordered_map<std::string_view, Range> cache_;
};

}  // namespace

Tokenizer::Tokenizer(TokenizerSpec spec)
    : tables_(std::make_shared<const Tables>(std::move(spec))) {}

std::vector<TokenSpan> Tokenizer::encode_with_spans(std::string_view text,
                                                    EncodeOptions options) const {
  check(text.size() <= kMaxTextBytes, "tokenizer", "text of {} bytes; at most {}", text.size(),
        kMaxTextBytes);
  const Tables& t = *tables_;
  const bool control = options.parse_special;
  Encoder encoder({t.spec, t.merge, t.pre_tokenizer, control ? t.raw : t.raw_plain,
                   control ? t.normalized : t.normalized_plain, t.whole});
  std::vector<TokenSpan> out = encoder.run(text);
  if (options.add_special) {
    const auto end = static_cast<int64_t>(text.size());
    std::vector<TokenSpan> prefix;
    for (const int32_t id : t.spec.prefix) prefix.push_back({id, 0, 0});
    out.insert(out.begin(), prefix.begin(), prefix.end());
    for (const int32_t id : t.spec.suffix) out.push_back({id, end, end});
  }
  return out;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const std::vector<TokenSpan> spans = encode_with_spans(text, options);
  std::vector<int32_t> ids(spans.size());
  std::transform(spans.begin(), spans.end(), ids.begin(), [](const TokenSpan& s) { return s.id; });
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  for (const int32_t id : ids) {
    const std::string_view piece = token_piece(id);
    if (!skip_special || !is_special(id)) out += piece;
  }
  return out;
}

std::string_view Tokenizer::token_piece(int32_t id) const {
  check(id >= 0 && id < vocab_size(), "tokenizer", "token {}; the vocabulary has {}", id,
        vocab_size());
  return tables_->spec.tokens[static_cast<size_t>(id)];
}

int32_t Tokenizer::find(std::string_view piece) const { return tables_->by_bytes.find(piece); }

const TokenTrie& Tokenizer::trie() const {
  std::call_once(tables_->trie_once, [this] {
    std::vector<TokenTrie::Entry> entries;
    for (int32_t id = 0; id < vocab_size(); ++id) {
      if (!is_special(id)) entries.push_back({token_piece(id), id});
    }
    tables_->trie.emplace(std::move(entries));
  });
  return *tables_->trie;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() &&
         type_of(tables_->spec, static_cast<size_t>(id)) == TokenType::kControl;
}

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(tables_->spec.tokens.size()); }
int32_t Tokenizer::bos() const { return tables_->spec.bos; }
int32_t Tokenizer::eos() const { return tables_->spec.eos; }
int32_t Tokenizer::pad() const { return tables_->spec.pad; }

bool Tokenizer::adds_bos() const {
  const std::vector<int32_t>& prefix = tables_->spec.prefix;
  return bos() >= 0 && std::find(prefix.begin(), prefix.end(), bos()) != prefix.end();
}

}  // namespace yiti
