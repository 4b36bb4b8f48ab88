#include "devices/cuda/kernels/float_products.cuh"

namespace yiti::devices::cuda {
namespace {

template <class B, bool kGated>
void launch_kind(const FloatProduct& p, cudaStream_t stream) {
  if (p.rows == 1) {
    multiply_floats_few<B, 1, kGated><<<blocks_of(p.columns, kWarp), 256, 0, stream>>>(p);
  } else if (p.rows <= 8) {
    multiply_floats_few<B, 8, kGated><<<blocks_of(p.columns, kWarp), 256, 0, stream>>>(p);
  } else {
    const dim3 grid(blocks_of(p.columns, 64), blocks_of(p.rows, 64));
    multiply_floats_many<B, kGated><<<grid, 256, 0, stream>>>(p);
  }
}

template <class B>
void launch_type(const FloatProduct& p, cudaStream_t stream) {
  p.up == nullptr ? launch_kind<B, false>(p, stream) : launch_kind<B, true>(p, stream);
}

}  // namespace

int launch(const FloatProduct& product, FloatFormat b, cudaStream_t stream) {
  switch (b) {
    case FloatFormat::kF32: launch_type<F32>(product, stream); break;
    case FloatFormat::kF16: launch_type<F16>(product, stream); break;
    case FloatFormat::kBF16: launch_type<BF16>(product, stream); break;
  }
  return cudaGetLastError();
}

}  // namespace yiti::devices::cuda
