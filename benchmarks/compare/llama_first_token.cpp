// The least that a program does with llama.cpp: loads a model, evaluates a prompt, prints the most
// likely next token and ends. It is timed from outside.
//
//     llama-first-token MODEL.gguf THREADS CONTEXT PROMPT
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: llama-first-token MODEL.gguf THREADS CONTEXT PROMPT\n", stderr);
    return 2;
  }
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) {
    std::fputs("llama-first-token: the model does not load\n", stderr);
    return 1;
  }
  llama_context_params params = llama_context_default_params();
  params.n_threads = params.n_threads_batch = std::atoi(argv[2]);
  params.n_ctx = static_cast<uint32_t>(std::atoi(argv[3]));
  llama_context* context = llama_init_from_model(model, params);

  const llama_vocab* vocab = llama_model_get_vocab(model);
  const auto length = static_cast<int32_t>(std::strlen(argv[4]));
  std::vector<llama_token> tokens(static_cast<size_t>(length) + 1);
  const int32_t count = llama_tokenize(vocab, argv[4], length, tokens.data(),
                                       static_cast<int32_t>(tokens.size()), true, true);
  if (context == nullptr || count <= 0 ||
      llama_decode(context, llama_batch_get_one(tokens.data(), count)) != 0) {
    std::fputs("llama-first-token: the prompt was not evaluated\n", stderr);
    return 1;
  }
  const float* logits = llama_get_logits_ith(context, -1);
  const auto best = static_cast<llama_token>(
      std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits);
  char piece[64];
  const int32_t size = llama_token_to_piece(vocab, best, piece, sizeof piece, 0, false);
  std::printf("%d tokens, then \"%.*s\"\n", count, std::max(size, 0), piece);
  llama_free(context);
  llama_model_free(model);
  llama_backend_free();
  return 0;
}
