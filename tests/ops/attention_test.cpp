#include "ops/attention/attention.h"

#include <algorithm>

#include "ops/attention/attention_paged.h"
#include "ops/attention/kv_types.h"
#include "ops/attention/kv_write.h"
#include "tests/message_of.h"
#include "tests/ops/op_checks.h"

namespace yiti {
namespace {

struct Case {
  std::vector<int64_t> documents;
  int64_t heads = 4, kv_heads = 2, head_dim = 16;
  int64_t window = 0;
  DType kept = DType::kF32;
};

// Inputs of one case on one device; values do not depend on the device.
struct Problem {
  Problem(const Case& c, const DevicePtr& on) : spec(c), device(on) {
    for (size_t s = 0; s < c.documents.size(); ++s) {
      for (int64_t i = 0; i < c.documents[s]; ++i) {
        positions.push_back(static_cast<int32_t>(i));
        sequence.push_back(static_cast<int32_t>(s));
      }
    }
    tokens = static_cast<int64_t>(positions.size());
    q = noise_tensor({tokens, c.heads, c.head_dim}, 1, DType::kF32, on);
    k = noise_tensor({tokens, c.kv_heads, c.head_dim}, 2, DType::kF32, on);
    v = noise_tensor({tokens, c.kv_heads, c.head_dim}, 3, DType::kF32, on);
    scale = 3.0 / std::sqrt(static_cast<double>(c.head_dim));
  }

  Tensor trained() const {
    return ops::attention(q, k, v, i32(positions), scale, spec.window, spec.kept);
  }

  Tensor i32(const std::vector<int32_t>& values) const {
    return Tensor::from(values, {static_cast<int64_t>(values.size())}, device);
  }

  Case spec;
  DevicePtr device;
  std::vector<int32_t> positions, sequence;
  int64_t tokens = 0;
  double scale = 1;
  Tensor q, k, v;
};

// Rows of a tensor, in the order of `tokens`.
Tensor pick(const Tensor& x, const std::vector<int64_t>& tokens) {
  const std::vector<float> all = x.to_vector<float>();
  const int64_t width = x.dim(1) * x.dim(2);
  std::vector<float> rows;
  for (int64_t t : tokens) {
    rows.insert(rows.end(), all.begin() + t * width, all.begin() + (t + 1) * width);
  }
  return Tensor::from(rows, {static_cast<int64_t>(tokens.size()), x.dim(1), x.dim(2)}, x.device());
}

// A cache whose blocks are handed out in a scrambled order, and which starts as NaN.
class Cache {
 public:
  explicit Cache(const Problem& p) : p_(p) {
    for (int64_t length : p.spec.documents) {
      width_ = std::max(width_, (length + kKeyBlock - 1) / kKeyBlock);
    }
    const auto sequences = static_cast<int64_t>(p.spec.documents.size());
    const int64_t blocks = sequences * width_;
    for (int64_t i = 0; i < blocks; ++i) {
      tables_.push_back(static_cast<int32_t>((i * 7919 + 3) % blocks));
    }
    const int64_t heads = p.spec.kv_heads, dim = p.spec.head_dim;
    k_pool_ = all_ones(key_pool_shape(blocks, heads, dim, p.spec.kept));
    v_pool_ = all_ones(value_pool_shape(blocks, heads, dim, p.spec.kept));
    table_tensor_ = Tensor::from(tables_, {sequences, width_}, p.device);
  }

  // Appends these tokens and gives their attention.
  Tensor step(const std::vector<int64_t>& tokens) {
    std::vector<int64_t> slots;
    std::vector<int32_t> sequence, positions;
    for (int64_t t : tokens) {
      sequence.push_back(p_.sequence[static_cast<size_t>(t)]);
      positions.push_back(p_.positions[static_cast<size_t>(t)]);
      const int64_t block =
          tables_[static_cast<size_t>(sequence.back() * width_ + positions.back() / kKeyBlock)];
      slots.push_back(block * kKeyBlock + positions.back() % kKeyBlock);
    }
    ops::kv_write(pick(p_.k, tokens), pick(p_.v, tokens),
                  Tensor::from(slots, {static_cast<int64_t>(slots.size())}, p_.device), k_pool_,
                  v_pool_);
    return ops::attention_paged(pick(p_.q, tokens), k_pool_, v_pool_, table_tensor_,
                                p_.i32(sequence), p_.i32(positions), p_.scale, p_.spec.window);
  }

 private:
  // Every bit set, which is NaN in all types and in the scales of codes.
  Tensor all_ones(const Shape& shape) const {
    const DType kept = p_.spec.kept;
    const std::vector<std::byte> bytes(static_cast<size_t>(shape.numel() * info(kept).block_bytes),
                                       std::byte{0xff});
    return Tensor::from_bytes(bytes, shape, kept, p_.device);
  }

  const Problem& p_;
  int64_t width_ = 1;
  std::vector<int32_t> tables_;
  Tensor k_pool_, v_pool_, table_tensor_;
};

// The attention of all tokens when each sequence's tokens arrive `chunk` at a time, the sequences
// in one batch.
std::vector<float> in_chunks(const Problem& p, int64_t chunk) {
  const int64_t width = p.spec.heads * p.spec.head_dim;
  std::vector<float> all(static_cast<size_t>(p.tokens * width));
  Cache cache(p);
  const int64_t longest = *std::max_element(p.spec.documents.begin(), p.spec.documents.end());
  for (int64_t start = 0; start < longest; start += chunk) {
    std::vector<int64_t> batch;
    for (int64_t t = 0; t < p.tokens; ++t) {
      const int64_t position = p.positions[static_cast<size_t>(t)];
      if (position >= start && position < start + chunk) batch.push_back(t);
    }
    const std::vector<float> rows = cache.step(batch).to_vector<float>();
    for (size_t i = 0; i < batch.size(); ++i) {
      std::copy_n(rows.begin() + static_cast<int64_t>(i) * width, width,
                  all.begin() + batch[i] * width);
    }
  }
  return all;
}

std::vector<Case> cases() {
  return {
      {.documents = {1}},
      {.documents = {63}},
      {.documents = {64, 65}},
      {.documents = {3, 130, 1, 70}, .heads = 3, .kv_heads = 3, .head_dim = 32},
      {.documents = {511}, .heads = 6, .kv_heads = 2, .head_dim = 8},
      {.documents = {512, 513}, .heads = 2, .kv_heads = 1, .head_dim = 24, .kept = DType::kF16},
      {.documents = {1100}, .heads = 3, .kv_heads = 1, .head_dim = 16, .kept = DType::kF16},
      {.documents = {1600}, .heads = 1, .kv_heads = 1, .head_dim = 16, .window = 700},
      {.documents = {200, 90}, .heads = 4, .kv_heads = 4, .head_dim = 80, .window = 33},
      {.documents = {150}, .heads = 8, .kv_heads = 1, .head_dim = 96, .kept = DType::kF16},
      {.documents = {70}, .heads = 2, .kv_heads = 2, .head_dim = 128, .kept = DType::kF16},
      {.documents = {70}, .heads = 2, .kv_heads = 1, .head_dim = 256},
      {.documents = {90, 7}, .heads = 9, .kv_heads = 3, .head_dim = 64, .kept = DType::kF16},
      {.documents = {66}, .heads = 110, .kv_heads = 1, .head_dim = 8, .window = 5},
      {.documents = {600, 9}, .heads = 6, .kv_heads = 2, .head_dim = 16, .kept = DType::kBF16},
      {.documents = {70}, .heads = 3, .kv_heads = 1, .head_dim = 20, .kept = DType::kBF16},
      {.documents = {1100, 130}, .heads = 6, .kv_heads = 2, .head_dim = 64, .kept = DType::kI8},
      {.documents = {150}, .heads = 2, .kv_heads = 2, .head_dim = 20, .kept = DType::kI8},
      {.documents = {90, 70}, .heads = 8, .kv_heads = 1, .window = 33, .kept = DType::kI8},
  };
}

TEST(Attention, KernelsMatchTheirReferences) {
  for (const Op* op :
       {&kv_write_op(), &attention_paged_op(), &attention_op(), &attention_backward_op()}) {
    expect_kernels_match_reference(*op);
  }
}

TEST(Attention, MatchesTheReferenceOnLongAndWideInputs) {
  for (const Case& c : cases()) {
    if (c.documents[0] > 600) continue;
    const Problem p(c, make_cpu_device());
    const AttentionAttrs attrs{p.scale, c.window, std::string(name(c.kept))};
    const std::vector<Tensor> in = {p.q, p.k, p.v, p.i32(p.positions)};
    const std::vector<Tensor> wanted = attention_op().reference(in, attrs);
    EXPECT_LE(relative_error(p.trained(), wanted[0]), 3e-6) << c.documents[0];
  }
}

TEST(Attention, MatchesTheReferenceAcrossSegments) {
  for (int64_t window : {0, 700, 512}) {
    const Problem p(
        {.documents = {1700}, .heads = 1, .kv_heads = 1, .head_dim = 8, .window = window},
        make_cpu_device());
    const AttentionAttrs attrs{p.scale, window, "f32"};
    const std::vector<Tensor> in = {p.q, p.k, p.v, p.i32(p.positions)};
    const std::vector<Tensor> wanted = attention_op().reference(in, attrs);
    const Tensor out = Tensor::empty(p.q.shape(), DType::kF32, p.device);
    const Tensor lse = Tensor::empty({1700, 1}, DType::kF32, p.device);
    attention_op().run_into(in, attrs, std::vector<Tensor>{out, lse});
    EXPECT_LE(relative_error(out, wanted[0]), 3e-6);
    EXPECT_LE(relative_error(lse, wanted[1]), 1e-6);
  }
}

TEST(Attention, TrainingIsThePagedCacheWholeChunkedAndTokenByToken) {
  for (const Case& c : cases()) {
    const Problem p(c, make_cpu_device({.threads = 2}));
    const std::vector<float> trained = p.trained().to_vector<float>();
    const int64_t longest = *std::max_element(c.documents.begin(), c.documents.end());
    for (int64_t chunk : {longest, int64_t{100}, int64_t{7}, int64_t{1}}) {
      const std::vector<float> served = in_chunks(p, chunk);
      EXPECT_EQ(std::memcmp(trained.data(), served.data(), trained.size() * sizeof(float)), 0)
          << c.documents[0] << " tokens in chunks of " << chunk << ", heads of " << c.head_dim;
    }
  }
}

TEST(Attention, AllInstructionSetsAndThreadCountsGiveTheSameBits) {
  for (const Case& c : cases()) {
    if (c.documents[0] > 1200) continue;
    const Tensor wanted = Problem(c, make_cpu_device({.threads = 1})).trained();
    for (int threads : {1, 2}) {
      for (const DevicePtr& device : devices_of_all_isas(threads)) {
        EXPECT_TRUE(same_bits(Problem(c, device).trained(), wanted))
            << c.documents[0] << " on " << name(device->isa());
      }
    }
  }
}

TEST(Attention, DocumentsDoNotSeeTheirNeighbours) {
  const Problem together({.documents = {90, 70, 3}}, make_cpu_device());
  const Tensor out = together.trained();
  const Tensor alone = ops::attention(
      pick(together.q, {160, 161, 162}), pick(together.k, {160, 161, 162}),
      pick(together.v, {160, 161, 162}), together.i32({0, 1, 2}), together.scale, 0, DType::kF32);
  EXPECT_TRUE(same_bits(pick(out, {160, 161, 162}), alone));
}

TEST(Attention, LaterInfinitiesDoNotReachEarlierTokens) {
  Problem p({.documents = {80}}, make_cpu_device());
  const Tensor before = p.trained();
  std::vector<float> v = p.v.to_vector<float>();
  std::fill(v.end() - 32, v.end(), INFINITY);
  p.v = Tensor::from(v, p.v.shape(), p.device);
  std::vector<int64_t> earlier(79);
  for (size_t i = 0; i < earlier.size(); ++i) earlier[i] = static_cast<int64_t>(i);
  EXPECT_TRUE(same_bits(pick(p.trained(), earlier), pick(before, earlier)));
}

TEST(Attention, ReadsPartsOfAFusedProjection) {
  const DevicePtr device = make_cpu_device();
  const Tensor fused = noise_tensor({70, 8 * 16}, 4, DType::kF32, device);
  const Tensor q = fused.as_strided({70, 4, 16}, {128, 16, 1}, 0);
  const Tensor k = fused.as_strided({70, 2, 16}, {128, 16, 1}, 64);
  const Tensor v = fused.as_strided({70, 2, 16}, {128, 16, 1}, 96);
  std::vector<int32_t> positions(70);
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
  const Tensor at = Tensor::from(positions, {70}, device);
  EXPECT_TRUE(same_bits(
      ops::attention(q, k, v, at, 0.25, 0, DType::kF32),
      ops::attention(q.contiguous(), k.contiguous(), v.contiguous(), at, 0.25, 0, DType::kF32)));
}

TEST(Attention, RefusesBrokenPositions) {
  const Problem p({.documents = {4}}, make_cpu_device());
  for (const std::vector<int32_t>& bad :
       {std::vector<int32_t>{1, 2, 3, 4}, {0, 1, 3, 4}, {0, 1, -1, 0}, {0, 0, 0, 2}}) {
    EXPECT_THROW(ops::attention(p.q, p.k, p.v, p.i32(bad), 1, 0, DType::kF32), Error);
  }
  EXPECT_THROW(ops::attention(p.q, p.k, p.v, p.i32(p.positions), 1, 0, DType::kI32), Error);
}

TEST(Attention, RefusesInputsOfSeveralDtypes) {
  const Problem p({.documents = {4}}, make_cpu_device());
  const Tensor at = p.i32(p.positions);
  const Tensor wide_k = noise_tensor(p.k.shape(), 2, DType::kF64, p.device);
  EXPECT_EQ(message_of([&] { ops::attention(p.q, wide_k, p.v, at, 1, 0, DType::kF32); },
                       Code::kInvalidArgument),
            "attention: k is f64; wants f32 as q is");
  const Tensor wide_lse = noise_tensor({p.tokens, p.spec.heads}, 3, DType::kF64, p.device);
  EXPECT_EQ(
      message_of(
          [&] {
            attention_backward_op()({p.q, p.k, p.v, at, p.q, wide_lse, p.q}, AttentionAttrs{});
          },
          Code::kInvalidArgument),
      "attention_backward: lse is f64; wants f32 as q is");
}

TEST(AttentionPaged, PaddingRowsAreZeroAndBadPlacesAreRefused) {
  const Problem p({.documents = {2}}, make_cpu_device());
  const Tensor k_pool = Tensor::zeros({3, 2, 16, kKeyBlock}, DType::kF32, p.device);
  const Tensor v_pool = Tensor::zeros({3, 2, kKeyBlock, 16}, DType::kF32, p.device);
  const auto run = [&](std::vector<int32_t> tables, std::vector<int32_t> sequence,
                       std::vector<int32_t> positions) {
    return ops::attention_paged(p.q, k_pool, v_pool, Tensor::from(tables, {1, 2}, p.device),
                                p.i32(sequence), p.i32(positions), 1, 0);
  };
  const std::vector<float> out = run({0, -1}, {-1, 0}, {7, 5}).to_vector<float>();
  EXPECT_TRUE(std::all_of(out.begin(), out.begin() + 64, [](float x) { return x == 0; }));
  EXPECT_THROW(run({0, 1}, {0, 1}, {0, 0}), Error);    // no such sequence
  EXPECT_THROW(run({0, 1}, {0, 0}, {0, 128}), Error);  // outside of the table
  EXPECT_THROW(run({0, 1}, {0, 0}, {0, -1}), Error);
  EXPECT_THROW(run({0, 3}, {0, 0}, {0, 64}), Error);  // no such block
  EXPECT_THROW(run({0, -1}, {0, 0}, {0, 64}), Error);
}

TEST(KvWrite, RefusesPoolsOfOtherTypesAndShapes) {
  const Problem p({.documents = {1}}, make_cpu_device());
  const Tensor slots = Tensor::from(std::vector<int64_t>{0}, {1}, p.device);
  const auto write = [&](DType keys, DType values, int64_t dim) {
    ops::kv_write(p.k, p.v, slots, Tensor::zeros({1, 2, dim, kKeyBlock}, keys, p.device),
                  Tensor::zeros({1, 2, kKeyBlock, dim}, values, p.device));
  };
  write(DType::kI8, DType::kI8, 20);
  EXPECT_THROW(write(DType::kI8, DType::kI8, 16), Error);  // no room for the scales
  EXPECT_THROW(write(DType::kF16, DType::kF16, 20), Error);
  EXPECT_THROW(write(DType::kF16, DType::kBF16, 16), Error);
  EXPECT_THROW(write(DType::kI32, DType::kI32, 16), Error);
}

TEST(KvWrite, AHeadThatIsNotFiniteHasNoNumbers) {
  Problem p({.documents = {2}, .kept = DType::kI8}, make_cpu_device());
  std::vector<float> v = p.v.to_vector<float>();
  v[3] = INFINITY;  // of the first token's first head
  p.v = Tensor::from(v, p.v.shape(), p.device);
  const std::vector<float> out = p.trained().to_vector<float>();
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(std::isnan(out[i]), i / 32 % 2 == 0) << i;
}

TEST(KvWrite, RefusesSlotsOutsideOfThePool) {
  const Problem p({.documents = {1}}, make_cpu_device());
  const Tensor k_pool = Tensor::zeros({1, 2, 16, kKeyBlock}, DType::kF16, p.device);
  const Tensor v_pool = Tensor::zeros({1, 2, kKeyBlock, 16}, DType::kF16, p.device);
  const Tensor slots = Tensor::from(std::vector<int64_t>{64}, {1}, p.device);
  EXPECT_THROW(ops::kv_write(p.k, p.v, slots, k_pool, v_pool), Error);
}

}  // namespace
}  // namespace yiti
