/* yiti from C: load a language model, generate with it, fine-tune an adapter in the same process.
 *
 * Functions that can fail take a yiti_error, which may be NULL, and return NULL or a code other
 * than YITI_OK. Models may be used from several threads; callbacks come in the caller's thread
 * unless said otherwise. Strings are UTF-8. */
#ifndef YITI_C_YITI_H
#define YITI_C_YITI_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define YITI_API __attribute__((visibility("default")))
#else
#define YITI_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum yiti_code {
  YITI_OK = 0,
  YITI_CANCELLED,
  YITI_INVALID_ARGUMENT,
  YITI_NOT_FOUND,
  YITI_ALREADY_EXISTS,
  YITI_OUT_OF_RANGE,
  YITI_FAILED_PRECONDITION,
  YITI_RESOURCE_EXHAUSTED,
  YITI_UNIMPLEMENTED,
  YITI_UNAVAILABLE,
  YITI_DATA_LOSS,
  YITI_INTERNAL
} yiti_code;

/* What went wrong; untouched by calls that succeed. A longer message is cut. */
typedef struct yiti_error {
  yiti_code code;
  char message[512];
} yiti_error;

/* A base model, or an adapter over one. */
typedef struct yiti_model yiti_model;

typedef struct yiti_load_options {
  int threads;        /* 0: one per processor */
  int64_t max_tokens; /* of all sequences together, in the KV cache; 0: 8192 */
  int64_t sequences;  /* at once; 0: 8 */
} yiti_load_options;

/* Loads a GGUF file or a Hugging Face folder. `options` may be NULL. */
YITI_API yiti_model* yiti_load(const char* path, const yiti_load_options* options,
                               yiti_error* error);
/* The base of `model` with the adapter of a PEFT folder; with a fresh one of `rank` where `folder`
 * is NULL. It shares the base's weights, and keeps them alive. */
YITI_API yiti_model* yiti_add_adapter(const yiti_model* model, const char* folder, int64_t rank,
                                      yiti_error* error);
/* Writes the newest version of the adapter as a PEFT folder. */
YITI_API yiti_code yiti_save_adapter(const yiti_model* model, const char* folder,
                                     yiti_error* error);
/* Lets a model go; NULL is allowed. */
YITI_API void yiti_free(yiti_model* model);

/* The newest version of the parameters: its number, and 32 hexadecimal digits and a zero. */
YITI_API uint64_t yiti_version(const yiti_model* model, char fingerprint[33]);

typedef struct yiti_generate_options {
  int64_t max_tokens; /* 0: 256 */
  double temperature; /* 0: the likeliest token; below 0: the model's recommendation */
  double top_p;       /* 0: the model's recommendation */
  uint64_t seed;
} yiti_generate_options;

/* A piece of the text as it comes: whole characters, `length` bytes without a zero at the end. Not
 * 0 ends the generation. From a thread of the model's; it must not block. */
typedef int (*yiti_on_text)(const char* text, size_t length, void* user);

/* Continues `prompt` and returns at the end. `options` and `on_text` may be NULL. */
YITI_API yiti_code yiti_generate(const yiti_model* model, const char* prompt,
                                 const yiti_generate_options* options, yiti_on_text on_text,
                                 void* user, yiti_error* error);
/* The same for the assistant's next turn in a conversation: JSON, [{"role": …, "content": …}, …].
 */
YITI_API yiti_code yiti_chat(const yiti_model* model, const char* messages_json,
                             const yiti_generate_options* options, yiti_on_text on_text, void* user,
                             yiti_error* error);

typedef struct yiti_fine_tune_options {
  const char* train_data; /* JSONL */
  const char* output;     /* a folder for adapter, log and curve; NULL: none */
  double lr;              /* 0: 1e-4 */
  double epochs;          /* 0: 1 */
  int64_t max_steps;      /* 0: as many as the epochs have */
  int64_t batch_tokens;   /* 0: 1024 */
  int64_t publish_every;  /* steps; 0: at the end only */
} yiti_fine_tune_options;

typedef struct yiti_step {
  int64_t step, total_steps;
  double loss;
} yiti_step;

/* After each step. Not 0 ends the run, with what was learnt kept. */
typedef int (*yiti_on_step)(const yiti_step* step, void* user);

/* Trains the model's adapter (all weights where it has none) and returns at the end. Generations on
 * the same model, in other threads, go on meanwhile and see each version that is published.
 * `on_step` may be NULL. */
YITI_API yiti_code yiti_fine_tune(const yiti_model* model, const yiti_fine_tune_options* options,
                                  yiti_on_step on_step, void* user, yiti_error* error);

#ifdef __cplusplus
}
#endif
#endif
