#include "devices/cuda/kernels/quantised_products.cuh"

namespace yiti::devices::cuda {
namespace {

template <class Format>
void launch_format(const CodeProduct& p, cudaStream_t stream) {
  if (p.rows <= kFewRows) {
    launch_few<Codes<Format>>(p, stream);
  } else {
    launch_many<Codes<Format>>(p, stream);
  }
}

}  // namespace

int launch(const CodeProduct& product, BlockFormat format, cudaStream_t stream) {
  switch (format) {
    case BlockFormat::kQ4_0: launch_format<Q4_0>(product, stream); break;
    case BlockFormat::kQ4_1: launch_format<Q4_1>(product, stream); break;
    case BlockFormat::kQ8_0: launch_format<Q8_0>(product, stream); break;
  }
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
