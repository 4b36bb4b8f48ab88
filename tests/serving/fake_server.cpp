// A server on the fake generator for tests in other languages: prints its port, serves until its
// standard input ends. With an argument, that is its API key.
#include <cstdio>
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
  options.log = [](std::string_view line) { std::cerr << line << std::endl; };
  yiti::Server server(options);
  std::cout << server.start().value() << std::endl;
  while (std::getchar() != EOF) continue;
}
