// A server on the fake generator for tests in other languages: prints its port, serves until its
// standard input ends. Arguments: its API key, and the milliseconds that a token takes.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "serving/server.h"
#include "tests/serving/fake_generator.h"

namespace {

class OneJob : public yiti::JobRunner {
 public:
  std::vector<yiti::FineTuneJob> jobs() override { return {*job("ftjob-1")}; }
  std::optional<yiti::FineTuneJob> job(std::string_view id) override {
    if (id != "ftjob-1") return std::nullopt;
    yiti::FineTuneJob job;
    job.id = id;
    job.model = "fake";
    job.training_file = "yiti.jsonl";
    job.status = yiti::JobStatus::kRunning;
    job.created_unix_s = 1700000000;
    job.trained_tokens = 4096;
    job.step = 7;
    job.total_steps = 50;
    job.loss = 1.5;
    job.version = 3;
    job.fingerprint = "fp_3";
    return job;
  }
  std::vector<yiti::JobEvent> events(std::string_view) override {
    return {{"ftevent-1", 1700000001, "started", {}, {}},
            {"ftevent-2", 1700000002, "step 7", 7, 1.5}};
  }
};

}  // namespace

int main(int argc, char** argv) {
  yiti::TextModel text = yiti::testing::fake_text_model();
  yiti::testing::FakeGenerator generator;
  OneJob jobs;
  yiti::ServerOptions options;
  options.models = {{.name = "fake", .generator = &generator, .text = &text, .sampling = {}}};
  options.jobs = &jobs;
  if (argc > 1) options.api_keys = {argv[1]};
  if (argc > 2) generator.set_token_delay(std::chrono::milliseconds(std::atoi(argv[2])));
  options.log = [](std::string_view line) { std::cerr << line << std::endl; };
  yiti::Server server(options);
  std::cout << server.start().value() << std::endl;
  while (std::getchar() != EOF) continue;
}
