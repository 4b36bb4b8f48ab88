// A server on the fake generator for tests in other languages: prints its port, serves until its
// standard input ends. Arguments: its API key, and the milliseconds that a token takes.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "serving/server.h"
#include "tests/serving/fake_generator.h"
#include "tests/serving/fake_jobs.h"

int main(int argc, char** argv) {
  yiti::TextModel text = yiti::testing::fake_text_model();
  yiti::testing::FakeGenerator generator;
  yiti::testing::FakeJobs jobs;
  jobs.add(yiti::JobStatus::kRunning);
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
