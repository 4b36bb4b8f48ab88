/* generate MODEL PROMPT [TRAIN.jsonl]: continues the prompt; with data, fine-tunes an adapter and
 * continues it again. */
#include <stdio.h>

#include "bindings/c/yiti.h"

static int print_text(const char* text, size_t length, void* user) {
  (void)user;
  fwrite(text, 1, length, stdout);
  return fflush(stdout);
}

static int print_step(const yiti_step* step, void* user) {
  (void)user;
  printf("step %lld of %lld: loss %.4f\n", (long long)step->step, (long long)step->total_steps,
         step->loss);
  return 0;
}

static int fail(const yiti_error* error) {
  fprintf(stderr, "generate: %s\n", error->message);
  return 1;
}

static int answer(const yiti_model* model, const char* prompt) {
  const yiti_generate_options options = {.max_tokens = 32, .temperature = 0};
  yiti_error error;
  char fingerprint[33];
  const uint64_t version = yiti_version(model, fingerprint);
  printf("version %llu (%s): %s", (unsigned long long)version, fingerprint, prompt);
  if (yiti_generate(model, prompt, &options, print_text, NULL, &error) != YITI_OK) {
    return fail(&error);
  }
  putchar('\n');
  return 0;
}

int main(int argc, char** argv) {
  yiti_error error;
  yiti_model *base, *tuned;
  int failed;
  if (argc < 3) {
    fprintf(stderr, "usage: generate MODEL PROMPT [TRAIN.jsonl]\n");
    return 2;
  }
  base = yiti_load(argv[1], NULL, &error);
  if (base == NULL) return fail(&error);
  failed = answer(base, argv[2]);
  if (!failed && argc > 3) {
    const yiti_fine_tune_options run = {.train_data = argv[3], .max_steps = 4, .lr = 1e-3};
    tuned = yiti_add_adapter(base, NULL, 8, &error);
    if (tuned == NULL || yiti_fine_tune(tuned, &run, print_step, NULL, &error) != YITI_OK) {
      failed = fail(&error);
    } else {
      failed = answer(tuned, argv[2]);
    }
    yiti_free(tuned);
  }
  yiti_free(base);
  return failed;
}
