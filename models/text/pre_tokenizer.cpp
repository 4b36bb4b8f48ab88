#include "models/text/pre_tokenizer.h"

#include <array>

#include "core/error.h"

namespace yiti {
namespace {

using Kind = PreTokenizerStep::Kind;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDeepseekCjk = R"([一-龥぀-ゟ゠-ヿ]+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Named {
  std::string_view name;
  std::array<std::string_view, 3> patterns;  // in order; empty ones are none
};

constexpr Named kNamed[] = {
    {"gpt2", {kGpt2}},
    {"gpt-2", {kGpt2}},
    {"default", {kGpt2}},
    {"phi-2", {kGpt2}},
    {"olmo", {kGpt2}},
    {"jina-es", {kGpt2}},
    {"jina-de", {kGpt2}},
    {"mpt", {kGpt2}},
    {"smollm", {kDigit, kGpt2}},
    {"starcoder", {kDigit, kGpt2}},
    {"refact", {kDigit, kGpt2}},
    {"command-r", {kDigit, kGpt2}},
    {"codeshell", {kDigit, kGpt2}},
    {"exaone", {kDigit, kGpt2}},
    {"llama3", {kLlama3}},
    {"llama-v3", {kLlama3}},
    {"llama-bpe", {kLlama3}},
    {"falcon3", {kLlama3}},
    {"dbrx", {kLlama3}},
    {"smaug-bpe", {kLlama3}},
    {"qwen2", {kQwen2}},
    {"deepseek-r1-qwen", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"megrez", {kQwen2}},
    {"hunyuan", {kQwen2}},
    {"deepseek-v3", {R"(\p{N}{1,3})", kDeepseekCjk, kDeepseek3}},
    {"gpt-4o", {kGpt4o}},
    {"llama4", {kGpt4o}},
    {"tekken", {kTekken}},
};

// Tokenizer files write for Oniguruma. There \s has no U+180E, which PCRE2's has, and classes may
// hold classes and intersections, which PCRE2 would read as plain characters.
class PatternTranslator {
 public:
  explicit PatternTranslator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    for (at_ = 0; at_ < pattern_.size(); ++at_) {
      if (pattern_[at_] == '\\' && at_ + 1 < pattern_.size()) {
        escape(pattern_[++at_]);
        continue;
      }
      const size_t size = in_class_ ? class_part() : outer_part();
      out_.append(pattern_.substr(at_, size));
      at_ += size - 1;
    }
    return std::move(out_);
  }

 private:
  static constexpr std::string_view kSpaces = R"(\p{Z}\t-\r\x{85})";

  void escape(char c) {
    if (c == 's') {
      out_ += in_class_ ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
    } else if (c == 'S' && !in_class_) {
      out_ += fmt::format("[^{}]", kSpaces);
    } else {
      out_ += {'\\', c};
    }
  }

  // Each gives how many bytes to take over from here.
  size_t outer_part() {
    if (pattern_[at_] == '[') {
      in_class_ = true;
      first_ = at_ + 1 + (pattern_.substr(at_ + 1).starts_with('^') ? 1 : 0);
    }
    return 1;
  }

  size_t class_part() {
    const std::string_view rest = pattern_.substr(at_);
    const size_t end = rest.starts_with("[:") ? rest.find(":]") : std::string_view::npos;
    if (end != std::string_view::npos) return end + 2;
    if (rest[0] == '[' || rest.starts_with("&&")) {
      fail(Code::kUnimplemented, "tokenizer",
           "a pre-tokenizer pattern with classes in classes is not supported: {:.100}", pattern_);
    }
    if (rest[0] == ']' && at_ != first_) in_class_ = false;
    return 1;
  }

  std::string_view pattern_;
  size_t at_ = 0;
  size_t first_ = 0;  // where ] would be a character of the class
  bool in_class_ = false;
  std::string out_;
};

// Matches and what lies between them, in order.
struct Part {
  std::string_view text;
  bool match;
};

std::vector<Part> parts_of(std::string_view text, const Regex& regex, bool invert) {
  std::vector<Part> parts;
  size_t at = 0;
  for (const RegexMatch m : regex.find_all(text)) {
    if (m.begin > at) parts.push_back({text.substr(at, m.begin - at), invert});
    parts.push_back({text.substr(m.begin, m.end - m.begin), !invert});
    at = m.end;
  }
  if (at < text.size()) parts.push_back({text.substr(at), invert});
  return parts;
}

std::string_view joined(std::string_view first, std::string_view second) {
  return {first.data(), first.size() + second.size()};
}

// Whether the second of two neighbours goes into one piece with the first.
bool joins(Kind kind, const Part& first, const Part& second) {
  switch (kind) {
    case Kind::kMergePrevious: return second.match && !first.match;
    case Kind::kMergeNext: return first.match && !second.match;
    case Kind::kContiguous: return first.match == second.match;
    case Kind::kIsolate:
    case Kind::kRemove: return false;
  }
  return false;
}

void apply(Kind kind, const std::vector<Part>& parts, std::vector<std::string_view>* out) {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (kind == Kind::kRemove && parts[i].match) continue;
    if (i > 0 && joins(kind, parts[i - 1], parts[i])) {
      out->back() = joined(out->back(), parts[i].text);
    } else {
      out->push_back(parts[i].text);
    }
  }
}

}  // namespace

std::string_view gpt2_pattern() { return kGpt2; }

std::vector<PreTokenizerStep> pre_tokenizer_steps(std::string_view name) {
  for (const Named& named : kNamed) {
    if (named.name != name) continue;
    std::vector<PreTokenizerStep> steps;
    for (const std::string_view pattern : named.patterns) {
      if (!pattern.empty()) steps.push_back({Kind::kIsolate, std::string(pattern), false});
    }
    return steps;
  }
  fail(Code::kUnimplemented, "tokenizer",
       "pre-tokenizer \"{}\" is not known; yiti knows those of GPT-2, SmolLM, Llama 3, Qwen2, "
       "DeepSeek V3, GPT-4o and Tekken",
       name);
}

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps) {
  for (const PreTokenizerStep& step : steps) {
    steps_.push_back({step.kind, step.invert, Regex(PatternTranslator(step.pattern).run())});
  }
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (text.empty()) return pieces;
  pieces.push_back(text);
  for (const Step& step : steps_) {
    std::vector<std::string_view> next;
    next.reserve(pieces.size());
    for (const std::string_view piece : pieces) {
      apply(step.kind, parts_of(piece, step.regex, step.invert), &next);
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace yiti
