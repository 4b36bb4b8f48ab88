// Attention by the CUDA plug-in's own kernels, on the emulator.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tests/devices/cuda/opencl_c.h"
// The emulator comes first.
namespace yiti::emulated {
#include "devices/kernels/common.cl"
#include "devices/kernels/elements.cl"
// Then the kernels.
#include "devices/cuda/kernels/tile_attention.cuh"
#define HEAD_DIM 40
#include "devices/kernels/attention.cl"
}  // namespace yiti::emulated

namespace yiti::emulated {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

std::vector<float> random_floats(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(at(count));
  for (float& x : out) x = uniform(random);
  return out;
}

struct Shapes {
  int64_t heads, kv_heads, window;
};

// What the cache keeps of x.
struct AsF32 : kept_f32 {
  using Rows = kept_f32;
  static float rounded(float x) { return x; }
  static float kept(float x) { return x; }
};
struct AsF16 : kept_f16 {
  using Rows = rounded_f32;
  static uint16_t kept(float x) { return to_half(x).bits; }
  static float rounded(float x) { return to_float(to_half(x)); }
};
struct AsBF16 : kept_bf16 {
  using Rows = rounded_f32;
  static uint16_t kept(float x) { return to_bfloat16(x).bits; }
  static float rounded(float x) { return to_float(to_bfloat16(x)); }
};
// Codes, with scales apart.
struct AsI8 : kept_i8 {
  using Rows = coded_f32;
  static signed char kept(float x) { return static_cast<signed char>(std::isnan(x) ? 0 : x); }
  static float rounded(float x) { return std::rint(127 * x); }
};

// Documents, one behind the other, as rows and as sequences of a pool.
template <class Kept, int kDim>
struct Documents {
  Shapes shapes;
  std::vector<int64_t> lengths;
  int64_t tokens = 0, kv_width, blocks = 0, table_width = 0;
  std::vector<float> q, k, v, k_scales, v_scales;
  std::vector<int32_t> positions, sequence, tables;
  std::vector<typename Kept::element> k_pool, v_pool;
  int fault = 0;
  static constexpr int64_t kBlock = 64 * (Kept::scaled ? kDim + 4 : kDim);

  Documents(const Shapes& given, std::vector<int64_t> each)
      : shapes(given), lengths(std::move(each)), kv_width(given.kv_heads * kDim) {
    for (size_t i = 0; i < lengths.size(); ++i) {
      for (int32_t p = 0; p < lengths[i]; ++p) {
        positions.push_back(p);
        sequence.push_back(static_cast<int32_t>(i));
      }
      tokens += lengths[i];
      table_width = std::max(table_width, (lengths[i] + 63) / 64);
    }
    q = random_floats(tokens * shapes.heads * kDim, 1);
    k = random_floats(tokens * kv_width, 2);
    v = random_floats(tokens * kv_width, 3);
    for (std::vector<float>* x : {&k, &v}) {
      for (float& value : *x) value = Kept::rounded(value);
    }
    k_scales = random_floats(tokens * shapes.kv_heads, 4);
    v_scales = random_floats(tokens * shapes.kv_heads, 5);
    for (std::vector<float>* scales : {&k_scales, &v_scales}) {
      for (float& scale : *scales) scale = Kept::scaled ? scale / 127 : 1;
    }
    fill_pools();
  }

  void fill_pools() {
    blocks = table_width * static_cast<int64_t>(lengths.size());
    tables.clear();
    for (int32_t i = 0; i < blocks; ++i) tables.push_back(static_cast<int32_t>(blocks) - 1 - i);
    // What has not been written is not a number.
    k_pool.assign(at(blocks * shapes.kv_heads * kBlock), Kept::kept(std::nanf("")));
    v_pool = k_pool;
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t p = positions[at(t)],
                    block = tables[at(sequence[at(t)] * table_width + p / 64)];
      for (int64_t h = 0; h < shapes.kv_heads; ++h) {
        const int64_t first = (block * shapes.kv_heads + h) * kBlock;
        for (int64_t d = 0; d < kDim; ++d) {
          const size_t from = at(t * kv_width + h * kDim + d);
          k_pool[at(first + d * 64 + p % 64)] = Kept::kept(k[from]);
          v_pool[at(first + p % 64 * kDim + d)] = Kept::kept(v[from]);
        }
        if (!Kept::scaled) continue;
        const size_t scale = at(first + 64 * kDim + p % 64 * 4), from = at(t * shapes.kv_heads + h);
        std::memcpy(&k_pool[scale], &k_scales[from], 4);
        std::memcpy(&v_pool[scale], &v_scales[from], 4);
      }
    }
  }

  Dim grid(int64_t count, int64_t splits) const {
    const int64_t group = shapes.heads / shapes.kv_heads, most = std::min<int64_t>(group, 16);
    const int64_t tiles = (count + 16 / most - 1) / (16 / most);
    return {static_cast<unsigned>((tiles + 3) / 4),
            static_cast<unsigned>(shapes.kv_heads * ((group + 15) / 16)),
            static_cast<unsigned>(16 / most * splits)};
  }

  std::vector<float> over_rows(std::vector<float>* lse = nullptr) {
    std::vector<float> out(q.size(), 7), logs(at(tokens * shapes.heads));
    const rows_call<int32_t> call = {q.data(),
                                     k_scales.data(),
                                     v_scales.data(),
                                     positions.data(),
                                     out.data(),
                                     logs.data(),
                                     &fault,
                                     5,
                                     1,
                                     tokens,
                                     shapes.heads,
                                     shapes.kv_heads,
                                     shapes.window,
                                     0.3f};
    std::vector<float> room(4 * 16 * query_rows<kDim>::stride);
    run(grid(tokens, 1), {128}, [&] {
      attend_rows<typename Kept::Rows, kDim, kDim % 4 == 0>(call, k.data(), v.data(), room.data());
    });
    if (lse != nullptr) *lse = logs;
    return out;
  }

  // Tokens [first, first + count), each segment of keys alone where `splits` is above 1.
  std::vector<float> over_pool(int64_t first, int64_t count, int64_t splits) {
    const int64_t rows = count * shapes.heads;
    std::vector<float> out(at(rows * kDim), 7), parts(at(rows * splits * (kDim + 2)), 7);
    const paged_call call = {&q[at(first * shapes.heads * kDim)],
                             tables.data(),
                             &sequence[at(first)],
                             &positions[at(first)],
                             splits == 1 ? out.data() : parts.data(),
                             &fault,
                             5,
                             splits,
                             count,
                             shapes.heads,
                             shapes.kv_heads,
                             static_cast<long>(lengths.size()),
                             table_width,
                             blocks,
                             shapes.window,
                             0.3f};
    std::vector<float> room(4 * 16 * query_rows<kDim>::stride);
    run(grid(count, splits), {128},
        [&] { attend_pool<Kept, kDim, true>(call, k_pool.data(), v_pool.data(), room.data()); });
    if (splits > 1) {
      EXPECT_EQ(kDim, HEAD_DIM);
      run({static_cast<unsigned>(rows)}, {64},
          [&] { join_segments(parts.data(), 0, out.data(), 0, splits); });
    }
    return out;
  }

  void expect_near(const std::vector<float>& out, double tolerance) const {
    const int64_t group = shapes.heads / shapes.kv_heads;
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t p = positions[at(t)];
      const int64_t lowest = shapes.window > 0 ? std::max<int64_t>(0, p - shapes.window + 1) : 0;
      for (int64_t h = 0; h < shapes.heads; ++h) {
        std::vector<double> weights, sums(kDim);
        double total = 0;
        for (int64_t key = lowest; key <= p; ++key) {
          const int64_t from = (t - p + key) * shapes.kv_heads + h / group;
          double score = 0;
          for (int64_t d = 0; d < kDim; ++d) {
            score += static_cast<double>(q[at((t * shapes.heads + h) * kDim + d)]) *
                     k[at(from * kDim + d)] * k_scales[at(from)];
          }
          const double weight = std::exp(0.3 * score);
          total += weight;
          for (int64_t d = 0; d < kDim; ++d) {
            sums[at(d)] += weight * v[at(from * kDim + d)] * v_scales[at(from)];
          }
        }
        for (int64_t d = 0; d < kDim; ++d) {
          ASSERT_NEAR(out[at((t * shapes.heads + h) * kDim + d)], sums[at(d)] / total, tolerance)
              << "token " << t << ", head " << h << ", element " << d;
        }
      }
    }
  }
};

std::vector<float> part_of(const std::vector<float>& whole, int64_t first, size_t count) {
  const auto begin = whole.begin() + first;
  return {begin, begin + static_cast<int64_t>(count)};
}

template <class Kept, int kDim>
void expect_same_bits_in_all_ways(const Shapes& shapes, const std::vector<int64_t>& lengths,
                                  double tolerance) {
  Documents<Kept, kDim> documents(shapes, lengths);
  const std::vector<float> rows = documents.over_rows();
  documents.expect_near(rows, tolerance);
  EXPECT_EQ(documents.over_pool(0, documents.tokens, 1), rows);
  const int64_t width = shapes.heads * kDim;
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{3, 1}, {5, 9}}) {
    const std::vector<float> part = documents.over_pool(first, count, 1);
    EXPECT_EQ(part, part_of(rows, first * width, part.size()));
  }
  EXPECT_EQ(documents.fault, 0);
}

TEST(CudaTileAttention, HasTheSameBitsOverRowsAndPoolsForAnyTokens) {
  expect_same_bits_in_all_ways<AsF16, 40>({6, 2, 0}, {66, 3}, 1e-6);
  expect_same_bits_in_all_ways<AsF16, 40>({2, 2, 20}, {70}, 1e-6);
  expect_same_bits_in_all_ways<AsBF16, 8>({2, 2, 0}, {65}, 1e-6);
  expect_same_bits_in_all_ways<AsI8, 12>({2, 1, 0}, {5, 66}, 1e-6);
  expect_same_bits_in_all_ways<AsF32, 6>({3, 1, 0}, {9, 1, 7}, 1e-6);
}

TEST(CudaTileAttention, TakesMoreHeadsThanATileHasRows) {
  expect_same_bits_in_all_ways<AsF32, 32>({20, 1, 5}, {17}, 1e-6);
}

TEST(CudaTileAttention, SharesOutSegmentsOfKeysWithTheSameBits) {
  Documents<AsF16, HEAD_DIM> documents({2, 1, 0}, {1030, 5});
  const int64_t splits = (documents.table_width + 7) / 8;
  for (const int64_t window : {0, 600}) {
    documents.shapes.window = window;
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{1029, 1}, {1021, 12}}) {
      EXPECT_EQ(documents.over_pool(first, count, splits), documents.over_pool(first, count, 1));
    }
  }
}

TEST(CudaTileAttention, GivesTheLogOfARowsTotal) {
  Documents<AsF32, 8> documents({1, 1, 0}, {3});
  std::vector<float> lse;
  documents.over_rows(&lse);
  double total = 0;
  for (int64_t key = 0; key < 3; ++key) {
    double score = 0;
    for (int64_t d = 0; d < 8; ++d) score += documents.q[at(16 + d)] * documents.k[at(key * 8 + d)];
    total += std::exp(0.3 * score);
  }
  EXPECT_NEAR(lse[2], std::log(total), 1e-6);
}

TEST(CudaTileAttention, KeepsWhatIsNotFiniteToTheRowsThatSeeIt) {
  Documents<AsF16, 40> documents({2, 1, 0}, {12});
  const std::vector<float> before = documents.over_rows();
  documents.v[9 * 40 + 3] = std::numeric_limits<float>::infinity();
  documents.k[10 * 40] = std::nanf("");
  documents.fill_pools();
  for (const std::vector<float>& out :
       {documents.over_rows(), documents.over_pool(0, documents.tokens, 1)}) {
    EXPECT_EQ(part_of(out, 0, 9 * 80), part_of(before, 0, 9 * 80));
    for (int64_t i = 9 * 80; i < 10 * 80; ++i) {
      const float x = out[at(i)];
      EXPECT_EQ(x == std::numeric_limits<float>::infinity(), i % 40 == 3) << x;
      EXPECT_FALSE(std::isnan(x));
    }
    EXPECT_TRUE(std::isnan(out[10 * 80]));
  }
}

TEST(CudaTileAttention, TellsWhatIsOutOfRangeAndTouchesNothingElse) {
  Documents<AsF16, 40> documents({2, 1, 0}, {12});
  documents.tables[0] = 1;  // of one block
  const std::vector<float> out = documents.over_pool(0, 12, 1);
  EXPECT_EQ(documents.fault, 5);
  for (const float x : out) EXPECT_EQ(x, 0);
  documents.fault = 0;
  documents.tables[0] = 0;
  documents.sequence[4] = -1;  // a token of nobody
  const std::vector<float> padded = documents.over_pool(0, 12, 1);
  EXPECT_EQ(documents.fault, 0);
  for (int64_t i = 4 * 80; i < 5 * 80; ++i) EXPECT_EQ(padded[at(i)], 0);
  documents.sequence[4] = 1;
  documents.over_pool(0, 12, 1);
  EXPECT_EQ(documents.fault, 5);
  documents.fault = 0;
  documents.positions[7] = 3;
  documents.over_rows();
  EXPECT_EQ(documents.fault, 5);
}

}  // namespace
}  // namespace yiti::emulated
