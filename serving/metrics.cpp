#include "serving/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <optional>

namespace yiti::serving {
namespace {

const std::vector<double> kLatencies = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                        1,     2.5,    5,     10,   25,    50,   100, 250};
const std::vector<double> kLengths = {1,   2,    5,    10,   20,    50,    100,  200,
                                      500, 1000, 2000, 5000, 10000, 20000, 50000};

// As the text format wants it.
std::string escaped(std::string_view label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

// 0 where the system does not tell.
int64_t resident_bytes() {
  int64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

void head(std::string& out, std::string_view name, std::string_view kind, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<size_t>(bucket)];
  sum_ += value;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view labels) const {
  int64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf";
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, total);
  }
  out +=
      fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, sum_, name, labels, total);
}

Metrics::Model::Model()
    : time_to_first_token(kLatencies),
      inter_token(kLatencies),
      end_to_end(kLatencies),
      queue(kLatencies),
      prefill(kLatencies),
      decode(kLatencies),
      prompt_lengths(kLengths),
      generation_lengths(kLengths) {}

// Names come and go by clients' wishes: of those that went, nothing stays.
Metrics::Model& Metrics::of(const std::string& name) {
  if (const auto known = models_.find(name); known != models_.end()) return known->second;
  std::erase_if(models_, [&](const auto& one) { return served_->find(one.first) == nullptr; });
  return models_[name];
}

void Metrics::first_token(const std::string& model, double since_submit_s) {
  const std::lock_guard lock(mutex_);
  of(model).time_to_first_token.observe(since_submit_s);
}

void Metrics::next_token(const std::string& model, double since_last_s) {
  const std::lock_guard lock(mutex_);
  of(model).inter_token.observe(since_last_s);
}

void Metrics::finished(const std::string& name, const Generation& generation,
                       std::string_view reason, int64_t generated, double since_submit_s) {
  const std::lock_guard lock(mutex_);
  Model& model = of(name);
  model.end_to_end.observe(since_submit_s);
  model.queue.observe(generation.times.queue_s);
  model.prefill.observe(generation.times.prompt_s);
  model.decode.observe(generation.times.decode_s);
  model.prompt_lengths.observe(static_cast<double>(generation.prompt_tokens));
  model.generation_lengths.observe(static_cast<double>(generated));
  model.prompt_tokens += generation.prompt_tokens;
  model.cached_tokens += generation.cached_tokens;
  model.generation_tokens += generated;
  model.drafts.drafts += generation.drafts.drafts;
  model.drafts.tokens += generation.drafts.tokens;
  model.drafts.accepted += generation.drafts.accepted;
  model.version = generation.version;
  ++model.finished[std::string(reason)];
}

void Metrics::failed(const std::string& model) {
  const std::lock_guard lock(mutex_);
  ++of(model).failures;
}

std::string Metrics::text(std::optional<int64_t> unloaded) {
  const std::vector<ServedModelPtr> served = served_->list();
  const std::lock_guard lock(mutex_);
  std::vector<std::string> labels;
  std::vector<Model> models;
  std::vector<GeneratorStats> stats;
  for (const ServedModelPtr& one : served) {
    labels.push_back(fmt::format("model_name=\"{}\"", escaped(one->name)));
    models.push_back(of(one->name));
    stats.push_back(one->generator->stats());
  }
  std::string out;
  const auto of_process = [&](std::string_view name, std::string_view help, int64_t number) {
    head(out, name, "gauge", help);
    out += fmt::format("{} {}\n", name, number);
  };
  of_process("process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes());
  if (unloaded) {
    of_process("yiti:requests_waiting_for_load", "Requests that wait for their model.", *unloaded);
  }
  using Get = std::function<std::optional<double>(const Model&, const GeneratorStats&)>;
  const auto value = [&](std::string_view name, std::string_view kind, std::string_view help,
                         const Get& get) {
    head(out, name, kind, help);
    for (size_t i = 0; i < models.size(); ++i) {
      const std::optional<double> number = get(models[i], stats[i]);
      if (number) out += fmt::format("{}{{{}}} {}\n", name, labels[i], *number);
    }
  };
  const auto count = [](int64_t number) { return static_cast<double>(number); };
  value("vllm:num_requests_running", "gauge", "Requests that are decoded or prefilled.",
        [&](const Model&, const GeneratorStats& s) { return count(s.running); });
  value("vllm:num_requests_waiting", "gauge", "Requests that wait for a place.",
        [&](const Model&, const GeneratorStats& s) { return count(s.waiting); });
  value("vllm:kv_cache_usage_perc", "gauge", "Part of the KV cache in use; 1 is all.",
        [&](const Model&, const GeneratorStats& s) {
          return s.kv_tokens == 0 ? 0 : count(s.kv_tokens_used) / count(s.kv_tokens);
        });
  const auto cached = [&](std::string_view name, std::string_view help,
                          int64_t GeneratorStats::*tokens) {
    value(name, "gauge", help, [=](const Model&, const GeneratorStats& s) {
      return count(s.*tokens * s.kv_token_bytes);
    });
  };
  cached("yiti:kv_cache_bytes", "Memory that the KV cache may take.", &GeneratorStats::kv_tokens);
  cached("yiti:kv_cache_touched_bytes", "Of it, what was used once and so is resident.",
         &GeneratorStats::kv_tokens_touched);
  cached("yiti:kv_cache_used_bytes", "Of it, what requests have taken.",
         &GeneratorStats::kv_tokens_used);
  cached("yiti:kv_cache_kept_bytes", "Of it, what is kept for prompts that come again.",
         &GeneratorStats::kv_tokens_kept);
  const bool has_store =
      std::ranges::any_of(stats, [](const GeneratorStats& s) { return s.store.has_value(); });
  const auto stored = [&](std::string_view name, std::string_view kind, std::string_view help,
                          int64_t BlockStoreStats::*member) {
    if (!has_store) return;
    value(name, kind, help, [=](const Model&, const GeneratorStats& s) {
      return s.store ? std::optional(count(*s.store.*member)) : std::nullopt;
    });
  };
  stored("yiti:kv_store_bytes", "gauge", "Of KV blocks on disk.", &BlockStoreStats::bytes);
  stored("yiti:kv_store_blocks", "gauge", "KV blocks on disk.", &BlockStoreStats::blocks);
  stored("yiti:kv_store_loaded_total", "counter", "KV blocks that were read from disk.",
         &BlockStoreStats::loaded);
  stored("yiti:kv_store_saved_total", "counter", "KV blocks that were written to disk.",
         &BlockStoreStats::saved);
  stored("yiti:kv_store_damaged_total", "counter", "Files of KV blocks that were no good.",
         &BlockStoreStats::damaged);
  stored("yiti:kv_store_unsaved_total", "counter", "KV blocks that could not be written.",
         &BlockStoreStats::unsaved);
  value("yiti:tensor_bytes", "gauge", "Weights, caches, work memory and jobs on the device.",
        [&](const Model&, const GeneratorStats& s) { return count(s.tensor_bytes); });
  value("vllm:prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
        [&](const Model& m, const GeneratorStats&) { return count(m.prompt_tokens); });
  value("vllm:generation_tokens_total", "counter", "Tokens generated by finished requests.",
        [&](const Model& m, const GeneratorStats&) { return count(m.generation_tokens); });
  value("vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked for in the cache.",
        [&](const Model& m, const GeneratorStats&) { return count(m.prompt_tokens); });
  value("vllm:prefix_cache_hits_total", "counter", "Prompt tokens found in the cache.",
        [&](const Model& m, const GeneratorStats&) { return count(m.cached_tokens); });
  value("vllm:spec_decode_num_drafts_total", "counter", "Guesses of tokens ahead.",
        [&](const Model& m, const GeneratorStats&) { return count(m.drafts.drafts); });
  value("vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens that were guessed.",
        [&](const Model& m, const GeneratorStats&) { return count(m.drafts.tokens); });
  value("vllm:spec_decode_num_accepted_tokens_total", "counter", "Guessed tokens that were right.",
        [&](const Model& m, const GeneratorStats&) { return count(m.drafts.accepted); });
  value("yiti:request_failure_total", "counter", "Requests that failed or were cancelled.",
        [&](const Model& m, const GeneratorStats&) { return count(m.failures); });
  value("yiti:parameters_version", "gauge", "Version of the parameters that answered last.",
        [&](const Model& m, const GeneratorStats&) { return static_cast<double>(m.version); });
  value("yiti:step_under_way_seconds", "gauge", "How long the step under way takes already.",
        [&](const Model&, const GeneratorStats& s) { return s.step_under_way_s; });
  head(out, "vllm:request_success_total", "counter", "Requests that finished, by reason.");
  for (size_t i = 0; i < models.size(); ++i) {
    for (const auto& [reason, number] : models[i].finished) {
      out += fmt::format("vllm:request_success_total{{{},finished_reason=\"{}\"}} {}\n", labels[i],
                         reason, number);
    }
  }
  const auto histogram = [&](std::string_view name, std::string_view help,
                             Histogram Model::*member) {
    head(out, name, "histogram", help);
    for (size_t i = 0; i < models.size(); ++i) (models[i].*member).write(out, name, labels[i]);
  };
  histogram("vllm:time_to_first_token_seconds", "From a request to its first token.",
            &Model::time_to_first_token);
  histogram("vllm:inter_token_latency_seconds", "Between two tokens of a request.",
            &Model::inter_token);
  histogram("vllm:e2e_request_latency_seconds", "From a request to its end.", &Model::end_to_end);
  histogram("vllm:request_queue_time_seconds", "That a request waited for a place.", &Model::queue);
  histogram("vllm:request_prefill_time_seconds", "From its place to its first token.",
            &Model::prefill);
  histogram("vllm:request_decode_time_seconds", "From its first token to its end.", &Model::decode);
  histogram("vllm:request_prompt_tokens", "Tokens of a prompt.", &Model::prompt_lengths);
  histogram("vllm:request_generation_tokens", "Tokens generated for a request.",
            &Model::generation_lengths);
  return out;
}

}  // namespace yiti::serving
