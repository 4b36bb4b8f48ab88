// Products by the CUDA plug-in's own kernels, on the emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "tests/devices/cuda/emulator.h"
// The emulator comes first.
#include "devices/cuda/kernels/float_products.cuh"
#include "devices/cuda/kernels/quantised_products.cuh"
#include "devices/cuda/kernels/row_places.cuh"
#include "devices/cuda/kernels/split_products.cuh"

namespace yiti::devices::cuda {
namespace {

using Random = std::mt19937;

float uniform(Random& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}

// Weights and activations as codes, of `blocks` blocks a row.
template <class Format>
struct CodeCase {
  int64_t rows, columns, blocks, leaf;
  bool has_bias;
  std::vector<int8_t> codes;
  std::vector<CodeScale> scales;
  std::vector<uint8_t> weight;
  std::vector<float> bias;

  CodeCase(int64_t m, int64_t n, int64_t count, int64_t leaf_blocks, bool with_bias)
      : rows(m), columns(n), blocks(count), leaf(leaf_blocks), has_bias(with_bias) {
    Random random(7);
    const auto size = [](int64_t elements) { return static_cast<size_t>(elements); };
    std::uniform_int_distribution<int> byte(0, 255), code(-127, 127);
    for (int64_t i = 0; i < m * count * 32; ++i) codes.push_back(static_cast<int8_t>(code(random)));
    for (int64_t i = 0; i < m * count; ++i) {
      scales.push_back({uniform(random, 0, 1), uniform(random, -9, 9)});
    }
    weight.resize(size(n * count * Format::kBytes));
    for (uint8_t& one : weight) one = static_cast<uint8_t>(byte(random));
    for (int64_t i = 0; i < n * count; ++i) {
      uint8_t* block = &weight[size(i * Format::kBytes)];
      for (int at : {0, 2}) {
        if (at == 2 && !Format::kHasMinimum) continue;
        const uint16_t bits = to_half(uniform(random, -1, 1)).bits;
        block[at] = static_cast<uint8_t>(bits);
        block[at + 1] = static_cast<uint8_t>(bits >> 8);
      }
    }
    for (int64_t i = 0; i < n; ++i) bias.push_back(uniform(random, -1, 1));
  }

  CodeProduct product(float* y, int64_t first_row, int64_t count) const {
    return {&codes[static_cast<size_t>(first_row * blocks * 32)],
            &scales[static_cast<size_t>(first_row * blocks)],
            weight.data(),
            has_bias ? bias.data() : nullptr,
            y,
            count,
            columns,
            blocks,
            leaf};
  }

  // Element i of a block, in the words of GGUF's description.
  static int code(const uint8_t* block, int i) {
    if (Format::kBytes == 34) return static_cast<int8_t>(block[2 + i]);
    const uint8_t packed = block[Format::kBytes - 16 + i % 16];
    const int nibble = i < 16 ? packed & 15 : packed >> 4;
    return Format::kHasMinimum ? nibble : nibble - 8;
  }
  static float half(const uint8_t* at) {
    return to_float(Half{static_cast<uint16_t>(at[0] | at[1] << 8)});
  }

  // A chain over the blocks of each leaf, and leaves added in order.
  float expected(int64_t row, int64_t column) const {
    float total = 0;
    for (int64_t first = 0; first < blocks; first += leaf) {
      float chain = 0;
      for (int64_t b = first; b < std::min(blocks, first + leaf); ++b) {
        const uint8_t* block = &weight[static_cast<size_t>((column * blocks + b) * Format::kBytes)];
        const CodeScale s = scales[static_cast<size_t>(row * blocks + b)];
        int sum = 0;
        for (int i = 0; i < 32; ++i) {
          sum += code(block, i) * codes[static_cast<size_t>((row * blocks + b) * 32 + i)];
        }
        chain = std::fma(static_cast<float>(sum), half(block) * s.scale, chain);
        if (Format::kHasMinimum) chain = std::fma(half(block + 2), s.scaled_sum, chain);
      }
      total = first == 0 ? chain : total + chain;
    }
    return has_bias ? total + bias[static_cast<size_t>(column)] : total;
  }
};

constexpr float kUntouched = 12345;

void expect_result(const std::vector<float>& y, const auto& c, int64_t first_row, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < c.columns; ++column) {
      ASSERT_EQ(y[static_cast<size_t>(row * c.columns + column)],
                c.expected(first_row + row, column))
          << "row " << row << ", column " << column;
    }
  }
  EXPECT_EQ(y.back(), kUntouched);
}

std::vector<float> room_for(int64_t count) {
  return std::vector<float>(static_cast<size_t>(count) + 1, kUntouched);
}

template <class Format>
class CudaCodeProducts : public testing::Test {};
using Formats = testing::Types<Q4_0, Q4_1, Q8_0>;
TYPED_TEST_SUITE(CudaCodeProducts, Formats);

TYPED_TEST(CudaCodeProducts, OfManyRowsAddBlocksInOrder) {
  for (const bool has_bias : {false, true}) {
    const CodeCase<TypeParam> c(67, 83, 18, 4, has_bias);
    std::vector<float> y = room_for(c.rows * c.columns);
    const CodeProduct p = c.product(y.data(), 0, c.rows);
    emulated::run({2, 2}, {128}, [&] { multiply_many<Codes<TypeParam>>(p); });
    expect_result(y, c, 0, c.rows);
  }
}

TYPED_TEST(CudaCodeProducts, OfFewRowsHaveTheSameBits) {
  const CodeCase<TypeParam> c(9, 37, 33, 5, true);
  for (const int64_t rows : {1, 3, 8}) {
    std::vector<float> y = room_for(rows * c.columns);
    const CodeProduct p = c.product(y.data(), 1, rows);
    emulated::run({3}, {256}, [&] { multiply_few<Codes<TypeParam>>(p); });
    expect_result(y, c, 1, rows);
  }
}

// `columns` rows of a weight, the last one first.
template <class T>
std::vector<T> turned(const std::vector<T>& weight, int64_t columns) {
  std::vector<T> out;
  const auto width = static_cast<std::ptrdiff_t>(weight.size()) / columns;
  for (auto end = weight.end(); end != weight.begin(); end -= width) {
    out.insert(out.end(), end - width, end);
  }
  return out;
}

TYPED_TEST(CudaCodeProducts, WithAGateHaveTheBitsOfSwigluOfBoth) {
  const CodeCase<TypeParam> c(67, 83, 18, 4, false);
  const std::vector<uint8_t> up = turned(c.weight, c.columns);
  for (const int64_t rows : {67, 5, 1}) {
    std::vector<float> y = room_for(rows * c.columns);
    CodeProduct p = c.product(y.data(), 0, rows);
    p.up = up.data();
    if (rows > kFewRows) {
      emulated::run({2, 2}, {128}, [&] { multiply_many<Codes<TypeParam>, true>(p); });
    } else {
      emulated::run({6}, {256}, [&] { multiply_few<Codes<TypeParam>, true>(p); });
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < c.columns; ++column) {
        ASSERT_EQ(y[static_cast<size_t>(row * c.columns + column)],
                  swiglu_of(c.expected(row, column), c.expected(row, c.columns - 1 - column)))
            << "row " << row << ", column " << column;
      }
    }
    EXPECT_EQ(y.back(), kUntouched);
  }
}

std::vector<float> floats(Random& random, int64_t count) {
  std::vector<float> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(uniform(random, -1, 1));
  return out;
}

// A [rows, depth] and B, each as a row-major matrix or as one transposed.
struct FloatCase {
  int64_t rows, columns, depth, leaf;
  bool a_transposed, b_transposed, accumulates;
  std::vector<float> a, b, bias, c;

  FloatCase(int64_t m, int64_t n, int64_t k, int64_t leaf_elements, bool a_is, bool b_is, bool adds)
      : rows(m),
        columns(n),
        depth(k),
        leaf(leaf_elements),
        a_transposed(a_is),
        b_transposed(b_is),
        accumulates(adds) {
    Random random(3);
    a = floats(random, m * k);
    b = floats(random, k * n);
    bias = floats(random, n);
    c = floats(random, m * n);
    c.push_back(kUntouched);
  }

  FloatProduct product(float* y) const {
    return {a.data(),
            a_transposed ? 1 : depth,
            a_transposed ? rows : 1,
            b.data(),
            b_transposed ? 1 : columns,
            b_transposed ? depth : 1,
            accumulates ? nullptr : bias.data(),
            y,
            accumulates,
            rows,
            columns,
            depth,
            leaf};
  }

  // As multiply in products.cl.
  float product_of(int64_t row, int64_t column) const {
    const auto at = [](int64_t i) { return static_cast<size_t>(i); };
    float total = 0;
    for (int64_t first = 0; first < depth; first += leaf) {
      float chain = 0;
      for (int64_t k = first; k < std::min(depth, first + leaf); ++k) {
        chain = std::fma(a[at(a_transposed ? k * rows + row : row * depth + k)],
                         b[at(b_transposed ? column * depth + k : k * columns + column)], chain);
      }
      total = first == 0 ? chain : total + chain;
    }
    return total;
  }
  float expected(int64_t row, int64_t column) const {
    const float total = product_of(row, column);
    return accumulates ? c[static_cast<size_t>(row * columns + column)] + total
                       : total + bias[static_cast<size_t>(column)];
  }
};

TEST(CudaFloatProducts, OfManyRowsAddBlocksInOrder) {
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      const FloatCase c(70, 67, 300, 128, a_transposed, b_transposed, a_transposed);
      std::vector<float> y = c.c;
      const FloatProduct p = c.product(y.data());
      emulated::run({2, 2}, {256}, [&] { multiply_floats_many<F32>(p); });
      expect_result(y, c, 0, c.rows);
    }
  }
}

TEST(CudaFloatProducts, OfFewRowsHaveTheSameBits) {
  for (const int64_t rows : {1, 5, 8}) {
    // A last leaf that is no multiple of 8 deep, and columns that do not begin at words.
    const FloatCase c(rows, 67, rows == 5 ? 303 : 300, 128, false, rows != 8, false);
    std::vector<float> y = c.c;
    const FloatProduct p = c.product(y.data());
    emulated::run({3}, {256}, [&] { multiply_floats_few<F32, 8>(p); });
    expect_result(y, c, 0, rows);
    if (rows > 1) continue;
    y = c.c;
    emulated::run({3}, {256}, [&] { multiply_floats_few<F32, 1>(p); });
    expect_result(y, c, 0, rows);
  }
}

TEST(CudaFloatProducts, WithAGateHaveTheBitsOfSwigluOfBoth) {
  for (const int64_t rows : {1, 7, 70}) {
    const FloatCase c(rows, 67, 300, 128, false, true, false);
    const std::vector<float> up = turned(c.b, c.columns);
    std::vector<float> y = c.c;
    FloatProduct p = c.product(y.data());
    p.bias = nullptr;
    p.up = up.data();
    if (rows > 8) {
      emulated::run({2, 2}, {256}, [&] { multiply_floats_many<F32, true>(p); });
    } else if (rows > 1) {
      emulated::run({3}, {256}, [&] { multiply_floats_few<F32, 8, true>(p); });
    } else {
      emulated::run({3}, {256}, [&] { multiply_floats_few<F32, 1, true>(p); });
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < c.columns; ++column) {
        ASSERT_EQ(y[static_cast<size_t>(row * c.columns + column)],
                  swiglu_of(c.product_of(row, column), c.product_of(row, c.columns - 1 - column)))
            << "row " << row << ", column " << column;
      }
    }
    EXPECT_EQ(y.back(), kUntouched);
  }
}

// The bits of the same weight in float32, wherever it lies.
TEST(CudaFloatProducts, OfHalfWeightsHaveTheBitsOfTheirValues) {
  for (const int64_t depth : {304, 301}) {
    FloatCase c(7, 67, depth, 128, false, true, false);
    std::vector<uint16_t> halves(1);
    for (float& value : c.b) {
      halves.push_back(to_half(value).bits);
      value = to_float(Half{halves.back()});
    }
    const auto run = [&](const uint16_t* weight, auto kernel) {
      std::vector<float> y = c.c;
      FloatProduct p = c.product(y.data());
      p.b = weight;
      emulated::run({3, 1}, {256}, [&] { kernel(p); });
      expect_result(y, c, 0, c.rows);
    };
    const std::vector<uint16_t> moved(halves.begin() + 1, halves.end());
    for (const uint16_t* weight : {static_cast<const uint16_t*>(&halves[1]), moved.data()}) {
      run(weight, multiply_floats_few<F16, 8>);
      run(weight, multiply_floats_many<F16>);
    }
  }
}

TEST(CudaFloatProducts, OfNoDepthAreTheBias) {
  for (const int64_t rows : {2, 9}) {
    const FloatCase c(rows, 3, 0, 128, false, true, false);
    std::vector<float> y = c.c;
    const FloatProduct p = c.product(y.data());
    if (rows > 8) {
      emulated::run({1}, {256}, [&] { multiply_floats_many<F32>(p); });
    } else {
      emulated::run({1}, {256}, [&] { multiply_floats_few<F32, 8>(p); });
    }
    expect_result(y, c, 0, rows);
  }
}

TEST(CudaSplitProducts, SplitFloatsIntoPartsThatAddUpExactly) {
  Random random(5);
  std::vector<float> x = floats(random, 300);
  for (float& value : x) value *= std::exp2(uniform(random, -40, 40));
  const float kInfinity = std::numeric_limits<float>::infinity();
  x.insert(x.end(), {0.0f, -0.0f, kInfinity, std::nanf(""), std::numeric_limits<float>::max()});
  const auto count = static_cast<int64_t>(x.size());
  std::vector<uint16_t> parts(3 * x.size());
  emulated::run({2}, {256}, [&] { split(x.data(), kParts, parts.data(), count); });
  const auto part = [&](size_t i, size_t number) {
    return to_float(BFloat16{parts[number * x.size() + i]});
  };
  for (size_t i = 0; i + 3 < x.size(); ++i) {
    EXPECT_EQ(part(i, 0) + (part(i, 1) + part(i, 2)), x[i]);
    EXPECT_EQ(static_cast<double>(part(i, 0)) + part(i, 1) + part(i, 2), x[i]);
  }
  EXPECT_EQ(part(302, 0), kInfinity);
  EXPECT_TRUE(std::isnan(part(303, 0)));
  EXPECT_EQ(part(304, 0), kInfinity);  // rounded up
  for (size_t i = 302; i < 305; ++i) EXPECT_EQ(part(i, 1) + part(i, 2), 0);
}

struct SplitCase {
  int64_t rows, columns, depth, leaf;
  std::vector<float> x, bias;
  std::vector<uint16_t> weight;

  SplitCase(int64_t m, int64_t n, int64_t k, int64_t leaf_elements)
      : rows(m), columns(n), depth(k), leaf(leaf_elements) {
    Random random(11);
    x = floats(random, m * k);
    bias = floats(random, n);
    for (const float value : floats(random, n * k)) weight.push_back(to_bfloat16(value).bits);
  }

  // With x and the weight `shift` elements from where memory begins. With `up`, without a bias.
  template <int kCount = kParts>
  std::vector<float> run(int64_t first, int64_t count, bool as_many, size_t shift = 0,
                         const uint16_t* up = nullptr) const {
    std::vector<uint16_t> moved(shift);
    moved.insert(moved.end(), weight.begin(), weight.end());
    std::vector<uint16_t> parts(static_cast<size_t>(3 * count * depth));
    std::vector<float> moved_x(shift);
    moved_x.insert(moved_x.end(), x.begin() + first * depth, x.begin() + (first + count) * depth);
    const float* own = &moved_x[shift];
    const int64_t elements = count * depth;
    emulated::run({static_cast<unsigned>((elements + 255) / 256)}, {256},
                  [&] { split(own, kCount, parts.data(), elements); });
    std::vector<float> y = room_for(count * columns);
    const SplitProduct p{own,   parts.data(), &moved[shift], bias.data(), y.data(),
                         count, columns,      depth,         leaf,        kCount};
    if (up != nullptr) {
      SplitProduct gated = p;
      gated.bias = nullptr;
      gated.up = up;
      if (as_many) {
        emulated::run({2, 2}, {128}, [&] { multiply_many<Split<SplitRows<kCount>>, true>(gated); });
      } else {
        emulated::run({5}, {256}, [&] { multiply_few<Split<FloatRows<kCount>>, true>(gated); });
      }
    } else if (as_many) {
      emulated::run({1, 2}, {128}, [&] { multiply_many<Split<SplitRows<kCount>>>(p); });
    } else {
      emulated::run({5}, {256}, [&] { multiply_few<Split<FloatRows<kCount>>>(p); });
    }
    EXPECT_EQ(y.back(), kUntouched);
    y.pop_back();
    return y;
  }
};

TEST(CudaSplitProducts, AreAsExactAsFloat32) {
  const SplitCase c(66, 70, 304, 128);
  const std::vector<float> y = c.run(0, c.rows, true);
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t column = 0; column < c.columns; ++column) {
      double exact = c.bias[static_cast<size_t>(column)], size = std::abs(exact);
      for (int64_t k = 0; k < c.depth; ++k) {
        const double product =
            static_cast<double>(c.x[static_cast<size_t>(row * c.depth + k)]) *
            to_float(BFloat16{c.weight[static_cast<size_t>(column * c.depth + k)]});
        exact += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(y[static_cast<size_t>(row * c.columns + column)], exact, size * 0x1p-22);
    }
  }
}

TEST(CudaSplitProducts, OfOnePartAreThoseOfRoundedRows) {
  const SplitCase c(66, 70, 304, 128);
  SplitCase rounded = c;
  for (float& value : rounded.x) value = to_float(to_bfloat16(value));
  EXPECT_EQ(c.run<1>(0, c.rows, true), rounded.run(0, c.rows, true));
  EXPECT_EQ(c.run<1>(13, 8, false), rounded.run(13, 8, false));
}

TEST(CudaSplitProducts, GiveARowTheSameBitsAloneAndAmongMany) {
  const SplitCase c(66, 70, 304, 128);
  const std::vector<float> whole = c.run(0, c.rows, true);
  for (const auto& [first, count] : {std::pair{0, 1}, {13, 8}, {63, 3}}) {
    const std::vector<float> part = c.run(first, count, false);
    for (size_t i = 0; i < part.size(); ++i) {
      ASSERT_EQ(part[i], whole[static_cast<size_t>(first * c.columns) + i]);
    }
  }
}

TEST(CudaSplitProducts, WithAGateHaveTheBitsOfSwigluOfBoth) {
  SplitCase c(66, 70, 304, 128);
  const std::vector<uint16_t> up = turned(c.weight, c.columns);
  std::ranges::fill(c.bias, 0.0f);
  const std::vector<float> apart = c.run(0, c.rows, true);
  for (const auto& [first, count] : {std::pair{0, 66}, {13, 8}, {65, 1}}) {
    for (const size_t shift : {0, 1}) {
      const std::vector<float> y = c.run(first, count, count > kFewRows, shift, up.data());
      for (int64_t row = 0; row < count; ++row) {
        const float* both = &apart[static_cast<size_t>((first + row) * c.columns)];
        for (int64_t column = 0; column < c.columns; ++column) {
          ASSERT_EQ(y[static_cast<size_t>(row * c.columns + column)],
                    swiglu_of(both[column], both[c.columns - 1 - column]))
              << "row " << row << ", column " << column;
        }
      }
    }
  }
}

TEST(CudaSplitProducts, HaveTheSameBitsWhereverTheWeightLies) {
  const SplitCase c(9, 70, 56, 32);  // depth ends within 32
  EXPECT_EQ(c.run(0, 9, true, 1), c.run(0, 9, true));
  EXPECT_EQ(c.run(2, 3, false, 1), c.run(2, 3, false));
}

TEST(CudaRowPlaces, MakeNoDifferenceOnTensorCoresThatAddAlike) {
  std::vector<int> differences(32, -1);
  emulated::run({1}, {32}, [&] { compare_row_places(differences.data()); });
  EXPECT_EQ(differences, std::vector<int>(32));
  emulated::spoil_row(3);
  emulated::run({1}, {32}, [&] { compare_row_places(differences.data()); });
  emulated::spoil_row(-1);
  EXPECT_NE(differences, std::vector<int>(32));
}

}  // namespace
}  // namespace yiti::devices::cuda
