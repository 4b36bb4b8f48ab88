#include "ops/norm/norm_rows.h"

#include <algorithm>
#include <cstring>

namespace yiti::cpu {

void column_sums(ThreadPool& threads, int64_t rows, int64_t columns, float* partials,
                 const std::function<void(int64_t row, float* partial)>& add, float* out) {
  const int64_t chunks = (rows + kWeightChunk - 1) / kWeightChunk;
  threads.parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      float* partial = partials + chunk * columns;
      std::fill_n(partial, columns, 0.0f);
      const int64_t last = std::min(rows, (chunk + 1) * kWeightChunk);
      for (int64_t row = chunk * kWeightChunk; row < last; ++row) add(row, partial);
    }
  });
  std::fill_n(out, columns, 0.0f);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const float* partial = partials + chunk * columns;
    for (int64_t c = 0; c < columns; ++c) out[c] += partial[c];
  }
}

}  // namespace yiti::cpu
