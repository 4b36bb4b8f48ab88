#include "inference/language_session.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "ops/attention/key_block.h"
#include "ops/shape/top_k.h"

namespace yiti {
namespace {

// The program's inputs, in the order in which the session's context makes them.
enum Input : size_t { kTokens, kPositions, kSlots, kSequence, kSelected, kKept, kTables };

// More of a row are not looked for on the device: it finds them one after the other.
constexpr int64_t kMostBest = 128;

int64_t blocks_for(int64_t tokens) { return (tokens + kKeyBlock - 1) / kKeyBlock; }

}  // namespace

LanguageSession::LanguageSession(ModelPtr model, const LanguageSessionOptions& options,
                                 std::shared_ptr<KvCache> cache)
    : model_(std::move(model)), options_(options), cache_(std::move(cache)) {
  check(options.max_tokens > 0 && options.max_sequences > 0 && options.max_batch_tokens > 0,
        "session", "max_tokens {}, max_sequences {} and max_batch_tokens {} must be positive",
        options.max_tokens, options.max_sequences, options.max_batch_tokens);
  context_length_ =
      options.context_length > 0 ? options.context_length : model_->config().context_length;
  context_length_ = std::min(context_length_, options.max_tokens);
  if (cache_ == nullptr) {
    cache_ = std::make_shared<KvCache>(model_->config(), model_->profile().kv,
                                       blocks_for(options.max_tokens), model_->device());
  }
  session_ = std::make_unique<Session>(capture_session(*model_, *cache_, options_, context_length_),
                                       options.passes);
  sequences_.resize(static_cast<size_t>(options.max_sequences));
  for (Sequence& sequence : sequences_) {
    sequence.blocks.reserve(static_cast<size_t>(blocks_for(context_length_)));
    sequence.recent.reserve(static_cast<size_t>(kKeyBlock + options.max_batch_tokens));
  }
}

LanguageSession::~LanguageSession() {
  for (const Sequence& sequence : sequences_) {
    for (int32_t block : sequence.blocks) cache_->give_back(block);
  }
}

LanguageSession::Sequence& LanguageSession::at(SequenceId id) {
  const bool valid = id.slot >= 0 && static_cast<size_t>(id.slot) < sequences_.size() &&
                     sequences_[static_cast<size_t>(id.slot)].open;
  check(valid, "session", "sequence {} is not open", id.slot);
  return sequences_[static_cast<size_t>(id.slot)];
}

const LanguageSession::Sequence& LanguageSession::at(SequenceId id) const {
  return const_cast<LanguageSession*>(this)->at(id);  // NOLINT: one check for both
}

int64_t LanguageSession::length(SequenceId sequence) const { return at(sequence).length; }
const VersionPtr& LanguageSession::version(SequenceId sequence) const {
  return at(sequence).version;
}

bool LanguageSession::can_open(int64_t reserve_tokens) const {
  return blocks_for(reserve_tokens) <= cache_->free_blocks() &&
         std::any_of(sequences_.begin(), sequences_.end(),
                     [](const Sequence& sequence) { return !sequence.open; });
}

SequenceId LanguageSession::open(int64_t reserve_tokens, VersionPtr version) {
  return open_with_prompt({}, reserve_tokens, std::move(version));
}

SequenceId LanguageSession::open_with_prompt(std::span<const int32_t> prompt,
                                             int64_t reserve_tokens, VersionPtr version,
                                             std::string_view owner) {
  check(reserve_tokens <= context_length_, "session", "{} tokens; the context holds {}",
        reserve_tokens, context_length_);
  const auto found = std::find_if(sequences_.begin(), sequences_.end(),
                                  [](const Sequence& sequence) { return !sequence.open; });
  if (found == sequences_.end()) {
    fail(Code::kResourceExhausted, "session", "all {} sequences are open", sequences_.size());
  }
  const auto slot = static_cast<int32_t>(found - sequences_.begin());
  found->open = true;
  found->length = found->certain = 0;
  found->recent.clear();
  found->version = version ? std::move(version) : model_->store()->current();
  try {
    if (options_.prefix_cache) {
      found->prefix = empty_prefix(*found, owner);
      take_over(*found, slot, prompt);
    }
    reserve(*found, slot, reserve_tokens);
  } catch (...) {
    close({slot});
    throw;
  }
  return {slot};
}

void LanguageSession::close(SequenceId id) {
  Sequence& sequence = at(id);
  // The last first: what follows a prefix is of no use without it, and is to go before it.
  for (; !sequence.blocks.empty(); sequence.blocks.pop_back()) {
    cache_->give_back(sequence.blocks.back());
  }
  sequence.version = nullptr;
  sequence.open = false;
}

// Names all that decides the bits of a sequence's keys and values beside its tokens, and whose they
// are.
BlockKey LanguageSession::empty_prefix(const Sequence& sequence, std::string_view owner) const {
  const std::string whose = fmt::format("{}\n{}\n{}\n{}", sequence.version->fingerprint(),
                                        model_->profile().str(), model_->config().str(), owner);
  return sha256(std::as_bytes(std::span(whose)));
}

// Begins with the blocks of the prompt that the cache holds.
void LanguageSession::take_over(Sequence& sequence, int32_t slot, std::span<const int32_t> prompt) {
  constexpr auto kBlock = static_cast<size_t>(kKeyBlock);
  for (; prompt.size() > kBlock; prompt = prompt.subspan(kBlock)) {
    const BlockKey key = block_key(sequence.prefix, prompt.first(kBlock));
    const int32_t block = find_block(key);
    if (block < 0) return;
    put_block(sequence, slot, block);
    sequence.prefix = key;
    sequence.certain = sequence.length += kKeyBlock;
  }
}

// A block of the cache, or of the store below it, with one user more; -1: nobody has it.
int32_t LanguageSession::find_block(const BlockKey& key) {
  const int32_t block = cache_->index().find(key);
  if (block >= 0 || options_.block_store == nullptr || cache_->free_blocks() == 0) return block;
  const double recompute_s = token_s_ * static_cast<double>(kKeyBlock);
  const bool tries = token_s_ == 0 || options_.block_store->is_worth_loading(recompute_s);
  return tries ? load_block(key) : -1;
}

int32_t LanguageSession::load_block(const BlockKey& key) {
  std::vector<std::byte> payload(static_cast<size_t>(cache_->block_bytes()));
  if (!options_.block_store->load(key, payload)) return -1;
  const int32_t block = cache_->take();
  cache_->copy_in(block, payload);
  cache_->index().remember(block, key);
  return block;
}

// Notes tokens whose keys and values have been written.
void LanguageSession::append(Sequence& sequence, const Feed& feed) {
  const bool certain = sequence.certain == sequence.length;
  sequence.length += static_cast<int64_t>(feed.tokens.size());
  if (options_.prefix_cache) {
    sequence.recent.insert(sequence.recent.end(), feed.tokens.begin(), feed.tokens.end());
  }
  if (certain) settle(sequence, sequence.length - feed.drafted);
}

// Notes that the first `length` tokens stay: only then may others share their blocks.
void LanguageSession::settle(Sequence& sequence, int64_t length) {
  const int64_t drafted = sequence.length - length;
  sequence.certain = length;
  while (options_.prefix_cache &&
         static_cast<int64_t>(sequence.recent.size()) - drafted >= kKeyBlock) {
    remember_block(sequence);
    sequence.recent.erase(sequence.recent.begin(), sequence.recent.begin() + kKeyBlock);
  }
}

void LanguageSession::keep(SequenceId id, int64_t length) {
  Sequence& sequence = at(id);
  check(length >= sequence.certain && length <= sequence.length, "session",
        "got {} tokens to keep; wants {} to {}", length, sequence.certain, sequence.length);
  if (options_.prefix_cache) {
    sequence.recent.resize(sequence.recent.size() - static_cast<size_t>(sequence.length - length));
  }
  sequence.length = length;
  settle(sequence, length);
}

// Tells the cache and the store of the first block of the recent tokens.
void LanguageSession::remember_block(Sequence& sequence) {
  const auto tokens = std::span<const int32_t>(sequence.recent).first(kKeyBlock);
  const int64_t first = sequence.length - static_cast<int64_t>(sequence.recent.size());
  const int32_t block = sequence.blocks[static_cast<size_t>(first / kKeyBlock)];
  sequence.prefix = block_key(sequence.prefix, tokens);
  cache_->index().remember(block, sequence.prefix);
  BlockStore* store = options_.block_store.get();
  if (store == nullptr || !store->wants(sequence.prefix)) return;
  std::vector<std::byte> payload(static_cast<size_t>(cache_->block_bytes()));
  cache_->copy_out(block, payload);
  store->save(sequence.prefix, std::move(payload));
}

// Of steps that are mostly prompts.
void LanguageSession::note_speed(int64_t tokens, double taken_s) {
  if (tokens < kKeyBlock) return;
  const double one = taken_s / static_cast<double>(tokens);
  token_s_ = token_s_ == 0 ? one : 0.8 * token_s_ + 0.2 * one;
}

// Appends a block to the sequence, and to the program's table.
void LanguageSession::put_block(Sequence& sequence, int32_t slot, int32_t block) {
  const Tensor& tables = session_->input(kTables);
  tables.data<int32_t>()[slot * tables.dim(1) + static_cast<int64_t>(sequence.blocks.size())] =
      block;
  sequence.blocks.push_back(block);
}

// Makes room for `tokens` tokens in all.
void LanguageSession::reserve(Sequence& sequence, int32_t slot, int64_t tokens) {
  const int64_t wanted = blocks_for(tokens);
  const int64_t missing = wanted - static_cast<int64_t>(sequence.blocks.size());
  if (missing > cache_->free_blocks()) {
    fail(Code::kResourceExhausted, "session", "{} cache blocks wanted, {} are free", missing,
         cache_->free_blocks());
  }
  for (int64_t i = 0; i < missing; ++i) put_block(sequence, slot, cache_->take());
}

void LanguageSession::check_feeds(std::span<const Feed> feeds) const {
  check(!feeds.empty(), "session", "nothing to do");
  int64_t total = 0;
  for (const Feed& feed : feeds) {
    const Sequence& sequence = at(feed.sequence);
    const int64_t count = static_cast<int64_t>(feed.tokens.size());
    check(count > 0, "session", "a sequence is fed no tokens");
    check(feed.drafted >= 0 && feed.drafted <= count, "session", "{} of {} tokens are drafted",
          feed.drafted, count);
    if (sequence.length + count > context_length_) {
      fail(Code::kOutOfRange, "session", "{} tokens after {}; the context holds {}", count,
           sequence.length, context_length_);
    }
    for (int32_t token : feed.tokens) {
      check(token >= 0 && token < vocab_size(), "session", "token {}; wants 0 to {}", token,
            vocab_size() - 1);
    }
    for (const Feed& other : feeds) {
      check(&other == &feed || other.sequence.slot != feed.sequence.slot, "session",
            "sequence {} occurs twice in a step", feed.sequence.slot);
    }
    total += count;
  }
  check(total <= options_.max_batch_tokens, "session", "{} tokens in a step; wants at most {}",
        total, options_.max_batch_tokens);
}

// What the program was bound to would keep the memory of versions that are gone.
void LanguageSession::forget_versions() {
  std::erase_if(versions_, [&](const auto& one) {
    if (!one.second.expired()) return false;
    session_->forget(one.first);
    return true;
  });
}

// The rows of the feeds, by version.
void LanguageSession::gather_parts(std::span<const Feed> feeds) {
  part_rows_.clear();
  parts_.clear();
  for (const Feed& feed : feeds) {
    const VersionPtr& version = at(feed.sequence).version;
    if (parts_.empty() || parts_.back().version != version.get()) {
      versions_[version.get()] = version;
      parts_.push_back({{}, version.get()});
      part_rows_.push_back({});
    }
    const auto count = static_cast<int64_t>(feed.tokens.size());
    auto& [tokens, logits, hidden] = part_rows_.back();
    tokens += count;
    logits += feed.no_logits ? 0 : feed.all_logits ? count : 1;
    hidden += feed.hidden ? count : 0;
  }
  for (size_t i = 0; i < parts_.size(); ++i) parts_[i].sizes = part_rows_[i];
}

std::span<const float> LanguageSession::step(std::span<const Feed> feeds) {
  return step(feeds, 0).all;
}

StepLogits LanguageSession::step(std::span<const Feed> feeds, int64_t best) {
  run(feeds);
  const auto vocab = static_cast<size_t>(vocab_size());
  const Tensor& logits = session_->output(0);
  if (copy_best(best)) return {{}, best_, static_cast<size_t>(best)};
  logits_ = logits.on(model_->device()->host());
  return {{logits_.data<float>(), static_cast<size_t>(logits_.numel())}, {}, vocab};
}

// Whether best_ has the `count` best of each row of the last step.
bool LanguageSession::copy_best(int64_t count) {
  const Tensor& logits = session_->output(0);
  Device& device = *model_->device();
  if (count == 0 || count > kMostBest || count > vocab_size() || device.host_accessible()) {
    return false;
  }
  const Kernel* own = top_k_op().choose_kernel({&logits, 1}, TopKAttrs{count}, device);
  if (own == nullptr || own->stands_in) return false;
  const auto [values, tokens] = ops::top_k(logits, count);
  const std::vector<float> found = values.to_vector<float>();
  const std::vector<int64_t> places = tokens.to_vector<int64_t>();
  best_.clear();
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(found[i])) return false;
    best_.push_back({found[i], static_cast<int32_t>(places[i])});
  }
  return true;
}

void LanguageSession::run(std::span<const Feed> feeds) {
  check_feeds(feeds);
  forget_versions();
  gather_parts(feeds);
  Rows rows{};
  for (const Rows& part : part_rows_) {
    for (size_t s = 0; s < rows.size(); ++s) rows[s] += part[s];
  }
  const int64_t tokens = rows[0];
  hidden_rows_ = rows[2];
  for (const Feed& feed : feeds) {
    Sequence& sequence = at(feed.sequence);
    reserve(sequence, feed.sequence.slot,
            sequence.length + static_cast<int64_t>(feed.tokens.size()));
  }
  int32_t* ids = session_->input(kTokens).data<int32_t>();
  int32_t* positions = session_->input(kPositions).data<int32_t>();
  int64_t* slots = session_->input(kSlots).data<int64_t>();
  int32_t* owner = session_->input(kSequence).data<int32_t>();
  int64_t* selected = session_->input(kSelected).data<int64_t>();
  int64_t* kept = session_->input(kKept).data<int64_t>();
  int64_t t = 0;
  for (const Feed& feed : feeds) {
    Sequence& sequence = at(feed.sequence);
    for (size_t i = 0; i < feed.tokens.size(); ++i, ++t) {
      const int64_t position = sequence.length + static_cast<int64_t>(i);
      ids[t] = feed.tokens[i];
      positions[t] = static_cast<int32_t>(position);
      slots[t] = sequence.blocks[static_cast<size_t>(position / kKeyBlock)] * kKeyBlock +
                 position % kKeyBlock;
      owner[t] = feed.sequence.slot;
      const bool last = i + 1 == feed.tokens.size();
      if (!feed.no_logits && (feed.all_logits || last)) *selected++ = t;
      if (feed.hidden) *kept++ = t;
    }
  }
  const auto begun = std::chrono::steady_clock::now();
  session_->run(parts_);
  note_speed(tokens,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  for (const Feed& feed : feeds) {
    append(at(feed.sequence), feed);
  }
  hidden_ = session_->output(1).on(model_->device()->host());
}

std::span<const float> LanguageSession::hidden() const {
  return {hidden_.data<float>(), static_cast<size_t>(hidden_rows_ * model_->config().hidden_size)};
}

std::span<const float> LanguageSession::prefill(SequenceId sequence,
                                                std::span<const int32_t> tokens) {
  check(!tokens.empty(), "session", "the prompt is empty");
  const auto chunk = static_cast<size_t>(options_.max_batch_tokens);
  while (tokens.size() > chunk) {
    const Feed feed{.sequence = sequence, .tokens = tokens.first(chunk), .no_logits = true};
    step({&feed, 1});
    tokens = tokens.subspan(chunk);
  }
  const Feed feed{.sequence = sequence, .tokens = tokens};
  return step({&feed, 1});
}

std::span<const float> LanguageSession::decode(SequenceId sequence, int32_t token) {
  const Feed feed{.sequence = sequence, .tokens = {&token, 1}};
  return step({&feed, 1});
}

std::string LanguageSession::explain() const {
  return session_->explain() +
         fmt::format("  kv cache: {} blocks of {} tokens, {}, {:.2f} MB\n", cache_->blocks(),
                     kKeyBlock, name(model_->profile().kv),
                     static_cast<double>(cache_->blocks() * cache_->block_bytes()) * 1e-6) +
         fmt::format("  profile: {}\n", model_->profile().str());
}

}  // namespace yiti
