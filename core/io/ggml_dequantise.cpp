// Each function expands one block. Layouts: ggml-common.h of ggml; numbers are little-endian,
// scales mostly binary16, and the low and high halves of a byte belong to elements half a group
// apart.
#include <array>
#include <bit>
#include <cstring>

#include "core/error.h"
#include "core/io/ggml_types.h"

namespace yiti {
namespace {

using Bytes = const uint8_t*;

template <class T>
T load(Bytes p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

float load_half(Bytes p) { return to_float(Half{load<uint16_t>(p)}); }
int low(uint8_t byte) { return byte & 15; }
int high(uint8_t byte) { return byte >> 4; }
int load_signed(Bytes p) { return static_cast<int8_t>(*p); }

void q4_0(Bytes p, float* y) {
  const float d = load_half(p);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(p[2 + j]) - 8);
    y[j + 16] = d * static_cast<float>(high(p[2 + j]) - 8);
  }
}

void q4_1(Bytes p, float* y) {
  const float d = load_half(p), m = load_half(p + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(p[4 + j])) + m;
    y[j + 16] = d * static_cast<float>(high(p[4 + j])) + m;
  }
}

// The fifth bits of a block's 32 elements are a mask of their own.
int fifth_bit(uint32_t mask, int element) { return static_cast<int>((mask >> element) & 1u) << 4; }

void q5_0(Bytes p, float* y) {
  const float d = load_half(p);
  const uint32_t mask = load<uint32_t>(p + 2);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>((low(p[6 + j]) | fifth_bit(mask, j)) - 16);
    y[j + 16] = d * static_cast<float>((high(p[6 + j]) | fifth_bit(mask, j + 16)) - 16);
  }
}

void q5_1(Bytes p, float* y) {
  const float d = load_half(p), m = load_half(p + 2);
  const uint32_t mask = load<uint32_t>(p + 4);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(low(p[8 + j]) | fifth_bit(mask, j)) + m;
    y[j + 16] = d * static_cast<float>(high(p[8 + j]) | fifth_bit(mask, j + 16)) + m;
  }
}

void q8_0(Bytes p, float* y) {
  const float d = load_half(p);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(load_signed(p + 2 + j));
}

// 16 scales [16], 2-bit codes [64], d, dmin.
void q2_k(Bytes p, float* y) {
  const float d = load_half(p + 80), dmin = load_half(p + 82);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * static_cast<float>(low(p[group]));
    const float min = dmin * static_cast<float>(high(p[group]));
    const Bytes codes = p + 16 + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int j = 0; j < 16; ++j) {
      *y++ = scale * static_cast<float>((codes[j] >> shift) & 3) - min;
    }
  }
}

// Third bits [32], 2-bit codes [64], 16 scales of 6 bits [12], d.
void q3_k(Bytes p, float* y) {
  const Bytes scales = p + 96;
  const float d = load_half(p + 108);
  for (int group = 0; group < 16; ++group) {
    const int four = group < 8 ? low(scales[group]) : high(scales[group - 8]);
    const int two = (scales[8 + group % 4] >> (group / 4 * 2)) & 3;
    const float scale = d * static_cast<float>((four | (two << 4)) - 32);
    const Bytes codes = p + 32 + group / 8 * 32 + group % 2 * 16;
    const Bytes thirds = p + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int j = 0; j < 16; ++j) {
      const int third = (thirds[j] >> (group / 2)) & 1;
      *y++ = scale * static_cast<float>(((codes[j] >> shift) & 3) - (third ? 0 : 4));
    }
  }
}

struct ScaleMin {
  float scale, min;
};

// Eight pairs of a 6-bit scale and a 6-bit minimum in 12 bytes, as q4_K and q5_K begin.
ScaleMin scale_min(Bytes block, int group) {
  const float d = load_half(block), dmin = load_half(block + 2);
  const Bytes s = block + 4;
  int scale = 0, min = 0;
  if (group < 4) {
    scale = s[group] & 63;
    min = s[group + 4] & 63;
  } else {
    scale = low(s[group + 4]) | (s[group - 4] >> 6 << 4);
    min = high(s[group + 4]) | (s[group] >> 6 << 4);
  }
  return {d * static_cast<float>(scale), dmin * static_cast<float>(min)};
}

// d, dmin, scales [12], codes [128].
void q4_k(Bytes p, float* y) {
  for (int group = 0; group < 8; ++group) {
    const auto [scale, min] = scale_min(p, group);
    const Bytes codes = p + 16 + group / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      const int q = group % 2 ? high(codes[j]) : low(codes[j]);
      *y++ = scale * static_cast<float>(q) - min;
    }
  }
}

// d, dmin, scales [12], fifth bits [32], codes [128].
void q5_k(Bytes p, float* y) {
  for (int group = 0; group < 8; ++group) {
    const auto [scale, min] = scale_min(p, group);
    const Bytes fifths = p + 16, codes = p + 48 + group / 2 * 32;
    for (int j = 0; j < 32; ++j) {
      const int q = group % 2 ? high(codes[j]) : low(codes[j]);
      *y++ = scale * static_cast<float>(q | (((fifths[j] >> group) & 1) << 4)) - min;
    }
  }
}

// Low four bits [128], high two bits [64], 16 signed scales, d.
void q6_k(Bytes p, float* y) {
  const float d = load_half(p + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, j = i % 32;
    const uint8_t lows = p[half * 64 + quarter % 2 * 32 + j];
    const int q = quarter < 2 ? low(lows) : high(lows);
    const int two = (p[128 + half * 32 + j] >> (quarter * 2)) & 3;
    const float scale = d * static_cast<float>(load_signed(p + 192 + i / 16));
    y[i] = scale * static_cast<float>((q | (two << 4)) - 32);
  }
}

// d as f32, codes [256], sums that only products need.
void q8_k(Bytes p, float* y) {
  const float d = load<float>(p);
  for (int j = 0; j < 256; ++j) y[j] = d * static_cast<float>(load_signed(p + 4 + j));
}

constexpr std::array<float, 16> kNonLinear = {-127, -104, -83, -65, -49, -35, -22, -10,
                                              1,    13,   25,  38,  53,  69,  89,  113};

void look_up_16(float d, const std::array<float, 16>& table, Bytes codes, float* y) {
  for (int j = 0; j < 16; ++j) {
    y[j] = d * table[static_cast<size_t>(low(codes[j]))];
    y[j + 16] = d * table[static_cast<size_t>(high(codes[j]))];
  }
}

void iq4_nl(Bytes p, float* y) { look_up_16(load_half(p), kNonLinear, p + 2, y); }

// d, high two bits of 8 scales, their low four [4], codes [128].
void iq4_xs(Bytes p, float* y) {
  const float d = load_half(p);
  const int highs = load<uint16_t>(p + 2);
  for (int group = 0; group < 8; ++group) {
    const uint8_t lows = p[4 + group / 2];
    const int scale = (group % 2 ? high(lows) : low(lows)) | (((highs >> (group * 2)) & 3) << 4);
    look_up_16(d * static_cast<float>(scale - 32), kNonLinear, p + 8 + group * 16, y + group * 32);
  }
}

// The digit at `place` of a byte that holds five ternary digits as a fraction of 256.
float ternary(uint8_t byte, int place) {
  constexpr std::array<int, 5> kPowers = {1, 3, 9, 27, 81};
  const int rest = (byte * kPowers[static_cast<size_t>(place)]) & 255;
  return static_cast<float>((rest * 3 >> 8) - 1);
}

// Five digits a byte [48], four digits a byte [4], d.
void tq1_0(Bytes p, float* y) {
  const float d = load_half(p + 52);
  const auto expand = [&](Bytes bytes, int count, int places) {
    for (int place = 0; place < places; ++place) {
      for (int j = 0; j < count; ++j) *y++ = d * ternary(bytes[j], place);
    }
  };
  expand(p, 32, 5);
  expand(p + 32, 16, 5);
  expand(p + 48, 4, 4);
}

void tq2_0(Bytes p, float* y) {
  const float d = load_half(p + 64);
  for (int i = 0; i < 256; ++i) {
    const int q = (p[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    y[i] = d * static_cast<float>(q - 1);
  }
}

// An exponent as OCP's E8M0, and FP4 (E2M1) codes: the table is doubled, so the scale is halved.
void mxfp4(Bytes p, float* y) {
  constexpr std::array<float, 16> kTable = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};
  const uint32_t exponent = p[0];
  const uint32_t bits = exponent < 2 ? 0x200000u << exponent : (exponent - 1) << 23;
  look_up_16(std::bit_cast<float>(bits), kTable, p + 1, y);
}

using Expand = void (*)(Bytes block, float* values);

Expand find_expand(std::string_view name) {
  struct Named {
    std::string_view name;
    Expand expand;
  };
  static constexpr auto kExpand = std::to_array<Named>({
      {"Q4_0", q4_0},
      {"Q4_1", q4_1},
      {"Q5_0", q5_0},
      {"Q5_1", q5_1},
      {"Q8_0", q8_0},
      {"Q2_K", q2_k},
      {"Q3_K", q3_k},
      {"Q4_K", q4_k},
      {"Q5_K", q5_k},
      {"Q6_K", q6_k},
      {"Q8_K", q8_k},
      {"IQ4_NL", iq4_nl},
      {"IQ4_XS", iq4_xs},
      {"TQ1_0", tq1_0},
      {"TQ2_0", tq2_0},
      {"MXFP4", mxfp4},
  });
  for (const Named& named : kExpand) {
    if (named.name == name) return named.expand;
  }
  return nullptr;
}

}  // namespace

void dequantise_block_type(const GgmlType& type, std::span<const std::byte> blocks,
                           std::span<float> values) {
  const Expand expand = find_expand(type.name);
  if (!expand) {
    fail(Code::kUnimplemented, "dequantise", "cannot read type {}; supported are {}", type.name,
         supported_ggml_types());
  }
  const size_t block_bytes = static_cast<size_t>(type.block_bytes);
  const size_t block = static_cast<size_t>(type.block);
  const size_t count = values.size() / block;
  check(values.size() % block == 0 && blocks.size() == count * block_bytes, "dequantise",
        "{} bytes of {} for {} values; blocks of {} take {}", blocks.size(), type.name,
        values.size(), block, block_bytes);
  const Bytes bytes = reinterpret_cast<Bytes>(blocks.data());
  for (size_t i = 0; i < count; ++i) {
    expand(bytes + i * block_bytes, values.data() + i * block);
  }
}

}  // namespace yiti
