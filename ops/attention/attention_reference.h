// Causal attention by plain loops in double: the references of the attention ops.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace yiti {

/// One query row against the keys and values it sees, oldest first, D numbers each.
struct AttentionRow {
  std::span<const double> q;
  std::vector<const double*> keys, values;
  double scale = 1;
};

/// Writes the weighted mean of the values to `out` and returns the log of the sum of e^score.
double attend_row(const AttentionRow& row, std::span<double> out);

/// Elements as doubles, through `kept` where that is f16.
std::vector<double> rounded_doubles(const Tensor& tensor, DType kept);

/// The positions of packed documents. Throws kInvalidArgument unless each is 0 or follows the one
/// before it.
std::vector<int64_t> document_positions(const Tensor& positions);
void check_positions(const int32_t* positions, int64_t tokens);

}  // namespace yiti
