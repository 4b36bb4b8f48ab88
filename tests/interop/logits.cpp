// logits MODEL ADAPTER OUT ID…: the training forward's logits of the ids, on the float32 path, as
// safetensors, for a comparison with other software.
#include <iostream>

#include "models/peft.h"
#include "tests/training/fixture.h"

int main(int argc, char** argv) {
  using namespace yiti;
  if (argc < 5) return 2;
  try {
    const auto loaded =
        load_model(argv[1], make_cpu_device(), {.exact_activations = true, .kv = DType::kF32})
            .value();
    const ModelPtr model = load_peft(*loaded.model, argv[2]);
    Batch batch;
    for (int i = 4; i < argc; ++i) {
      batch.tokens.push_back(std::stoi(argv[i]));
      batch.positions.push_back(i - 4);
      batch.labels.push_back(kIgnoredLabel);
    }
    write_safetensors(argv[3], {{"logits", training_logits(*model, batch)}});
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
