// The seam between ops and those who follow them: autograd's tape, a session's program capture.
#pragma once

#include <span>

#include "core/attrs.h"
#include "core/tensor.h"

namespace yiti {

class Op;

/// Told of every op that a traced tensor goes into. Null unless somebody traces: an inference-only
/// build has no autograd. Used from one thread at a time.
class Recorder {
 public:
  virtual ~Recorder() = default;
  /// True when ops shall only infer shapes: their outputs are then meta tensors.
  virtual bool shape_only() const = 0;
  /// False while recording is paused: ops then run untraced.
  virtual bool active() const = 0;
  /// `outputs` were computed by `op` from `inputs`; sets the traces of those it goes on following.
  /// Throws where a wanted gradient would be lost.
  virtual void record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs,
                      std::span<Tensor> outputs) = 0;
};

}  // namespace yiti
