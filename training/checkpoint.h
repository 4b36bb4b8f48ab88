// A run's state on disk, from which it goes on with the same bits.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "training/data/packing.h"
#include "training/language_trainer.h"

namespace yiti {

/// What a run has besides its trainer's tensors.
struct RunState {
  DataPosition position;
  int64_t tokens_seen = 0;
  double best_eval_loss = 0;  ///< 0: not evaluated yet
  std::string data_hash;      ///< of the training examples
};

/// Writes `folder`/checkpoint.pb and the tensors beside it. The folder appears whole or not at all:
/// it is written under another name and renamed.
void save_checkpoint(const std::filesystem::path& folder, const LanguageTrainer& trainer,
                     const RunState& state);

/// What a checkpoint would change about going on: a sentence each, for people to read.
struct Resumed {
  RunState state;
  std::vector<std::string> warnings;
};

/// Puts `trainer` into the checkpoint's state. Throws kNotFound, kDataLoss (damaged, or a newer
/// format) and kInvalidArgument (another model or other trained parameters).
Resumed load_checkpoint(const std::filesystem::path& folder, LanguageTrainer& trainer);

/// The checkpoint folder "checkpoint-<step>" with the highest step in `output`; empty: none.
std::filesystem::path latest_checkpoint(const std::filesystem::path& output);

}  // namespace yiti
