// Decoding and prefill of SmolLM2 in a session, with and without the fusions. Wants YITI_SMOLLM2.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "inference/language_session.h"
#include "models/loader.h"

namespace yiti {
namespace {

constexpr int64_t kContext = 2048;

// The model named by the environment; null, with the benchmark skipped, where there is none.
ModelPtr model_for(benchmark::State& state) {
  const char* path = std::getenv("YITI_SMOLLM2");
  if (path == nullptr) {
    state.SkipWithError("set YITI_SMOLLM2 to the GGUF's path");
    return nullptr;
  }
  const int threads = static_cast<int>(state.range(1));
  return load_model(path, make_cpu_device({.threads = threads})).value().model;
}

LanguageSessionOptions options_of(const benchmark::State& state) {
  return {.max_tokens = kContext, .max_sequences = 1, .passes = {.fuse = state.range(0) != 0}};
}

void decode(benchmark::State& state) {
  const ModelPtr model = model_for(state);
  if (!model) return;
  LanguageSession session(model, options_of(state));
  SequenceId sequence = session.open();
  session.prefill(sequence, std::vector<int32_t>(64, 5));
  int32_t token = 0;
  for ([[maybe_unused]] auto step : state) {
    if (session.length(sequence) == 192) {
      state.PauseTiming();
      session.close(sequence);
      sequence = session.open();
      session.prefill(sequence, std::vector<int32_t>(64, 5));
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(session.decode(sequence, token).data());
    token = (token + 1) % 1000;
  }
  state.SetItemsProcessed(state.iterations());
}

void prefill(benchmark::State& state) {
  const ModelPtr model = model_for(state);
  if (!model) return;
  LanguageSession session(model, options_of(state));
  std::vector<int32_t> prompt(512);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(i * 37 % 1000);
  for ([[maybe_unused]] auto step : state) {
    const SequenceId sequence = session.open();
    benchmark::DoNotOptimize(session.prefill(sequence, prompt).data());
    session.close(sequence);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(prompt.size()));
}

BENCHMARK(decode)->ArgNames({"fuse", "threads"})->ArgsProduct({{0, 1}, {1, 2}})->UseRealTime();
BENCHMARK(prefill)
    ->ArgNames({"fuse", "threads"})
    ->ArgsProduct({{0, 1}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace yiti

BENCHMARK_MAIN();
