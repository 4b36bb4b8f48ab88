// What is checked of every op, from its declaration alone. Each check returns what it found wrong.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"

namespace yiti::derived {

struct Findings {
  std::vector<std::string> failures;
  std::vector<std::string> notes;
  /// The largest measured / allowed error, where errors were measured.
  double worst = -1;
};

/// Documentation, source, reference or view, gradient, samples with an empty one among them.
Findings check_declaration(const Op& op);
/// Wrong inputs give an Error that names the op.
Findings check_rejections(const Op& op);
/// Every kernel on every instruction set against the reference; guard bytes; the same bits again,
/// and on all instruction sets.
Findings check_kernels(const Op& op);
/// Strided inputs give the same bits as contiguous ones, i32 indices the same as i64 ones.
Findings check_layouts(const Op& op);
/// One thread, two or four: the same bits, with inputs long enough to be split.
Findings check_threads(const Op& op);
/// A row alone has the same bits as in a batch.
Findings check_rows(const Op& op);
/// Gradients of floating inputs against central differences, in f64.
Findings check_gradients(const Op& op);

}  // namespace yiti::derived
