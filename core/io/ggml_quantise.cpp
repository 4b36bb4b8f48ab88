#include "core/io/ggml_quantise.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/shape_text.h"

namespace yiti {
namespace {

constexpr std::string_view kWhere = "quantise";
constexpr int kBlock = 32;

using Block = std::span<const float, kBlock>;

float inverse(float d) { return std::abs(d) < FLT_MIN ? 0.0f : 1.0f / d; }

std::byte* store_half(float value, std::byte* out) {
  const Half half = to_half(value);
  check((half.bits & 0x7c00u) != 0x7c00u, kWhere, "{} is too large for a block's scale", value);
  std::memcpy(out, &half.bits, sizeof(half.bits));
  return out + sizeof(half.bits);
}

// Codes of elements j and j + 16 share byte j.
template <class F>
void store_nibbles(F&& code, std::byte* out) {
  for (int j = 0; j < kBlock / 2; ++j) {
    out[j] = static_cast<std::byte>(code(j) | (code(j + kBlock / 2) << 4));
  }
}

// The code of a number to which a half was added: so ggml rounds.
int code_of(float scaled) { return std::min(15, static_cast<int>(scaled)); }

void q4_0(Block x, std::byte* out) {
  const float max = *std::ranges::max_element(x, {}, [](float value) { return std::abs(value); });
  const float d = max / -8.0f, id = inverse(d);
  store_nibbles([&](int j) { return code_of(x[static_cast<size_t>(j)] * id + 8.5f); },
                store_half(d, out));
}

void q4_1(Block x, std::byte* out) {
  const auto [min, max] = std::ranges::minmax(x);
  const float least = min, d = (max - min) / 15.0f, id = inverse(d);
  store_nibbles([&](int j) { return code_of((x[static_cast<size_t>(j)] - least) * id + 0.5f); },
                store_half(least, store_half(d, out)));
}

void q8_0(Block x, std::byte* out) {
  const float max =
      std::abs(*std::ranges::max_element(x, {}, [](float value) { return std::abs(value); }));
  const float d = max / 127.0f, id = inverse(d);
  out = store_half(d, out);
  for (const float value : x) {
    *out++ = static_cast<std::byte>(static_cast<int8_t>(std::round(value * id)));
  }
}

}  // namespace

std::vector<std::byte> quantise_blocks(std::span<const float> values, DType dtype) {
  check(is_quantised(dtype), kWhere, "got {}; wants a quantised dtype", name(dtype));
  check(values.size() % kBlock == 0, kWhere, "got {} values; wants blocks of {}", values.size(),
        kBlock);
  check(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }), kWhere,
        "got values that are not finite");
  const auto block = dtype == DType::kQ4_0 ? q4_0 : dtype == DType::kQ4_1 ? q4_1 : q8_0;
  const size_t block_bytes = static_cast<size_t>(info(dtype).block_bytes);
  std::vector<std::byte> result(values.size() / kBlock * block_bytes);
  for (size_t i = 0; i < values.size() / kBlock; ++i) {
    block(Block(values.subspan(i * kBlock, kBlock)), result.data() + i * block_bytes);
  }
  return result;
}

Tensor quantise(const Tensor& x, DType dtype) {
  check(x.defined() && x.dtype() == DType::kF32 && x.rank() == 2, kWhere,
        "got {} of {}; wants a matrix of f32", x.shape(), name(x.dtype()));
  check(x.dim(1) % kBlock == 0, kWhere, "got rows of {}; wants whole blocks of {}", x.dim(1),
        kBlock);
  return Tensor::from_bytes(quantise_blocks(x.to_vector<float>(), dtype), x.shape(), dtype,
                            x.device());
}

}  // namespace yiti
