#include "ops/kernels/cpu/gemm.h"

#include "ops/kernels/cpu/bf16_product.h"
#include "ops/kernels/cpu/leaf_tree.h"
#include "ops/kernels/cpu/simd.h"
#include "ops/kernels/cpu/transpose.h"

namespace yiti::cpu::YITI_ISA {
namespace {

// Rows whose chains fit the registers beside one row of B and a broadcast, and hide the latency of
// an FMA.
#if defined(YITI_ISA_avx512)
constexpr int kRows = 12;
#elif defined(YITI_ISA_avx2)
constexpr int kRows = 6;
#else
constexpr int kRows = 4;
#endif

enum class TileKind : uint8_t { kStrided, kPacked, kFetching };

template <bool kPairs>
inline Vec add_product(Vec chain, const float* a, Vec column) {
#if defined(YITI_ISA_avx512)
  if constexpr (kPairs) return add_pairs(chain, a, column);
#endif
  return fma(set1(*a), column, chain);
}

template <int M, TileKind kKind, bool kPairs>
void run_tile(const GemmTile& tile) {
  constexpr int64_t kStep = kKind == TileKind::kPacked ? kRows : 1;
  constexpr int32_t kLine = 16;  // floats of a line of the caches
  const float* b = tile.b;
  const float* a = tile.a;
  const float* next = tile.next;
  const int64_t row = kKind == TileKind::kPacked ? 1 : tile.a_stride;
  for (int s = 0; s < tile.segment_count; ++s) {
    const LeafSegment& segment = tile.segments[s];
    Vec chain[M];
    begin_segment<kRows>(segment, tile.state, chain);
    const auto step = [&] {
      const Vec column = load(b);
#pragma GCC unroll 12
      for (int m = 0; m < M; ++m) chain[m] = add_product<kPairs>(chain[m], a + m * row, column);
      a += kStep;
      b += kPanelWidth;
    };
    int32_t k = 0;
    if constexpr (kKind == TileKind::kFetching) {
      for (; k + kLine <= segment.length; k += kLine, next += kLine) {
        for (int m = 0; m < tile.next_rows; ++m) {
          __builtin_prefetch(next + m * tile.next_stride, 0, 2);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kLine; ++i) step();
      }
    }
    for (; k < segment.length; ++k) step();
    end_segment<kRows>(segment, tile.state, tile.out, chain);
  }
}

template <TileKind kKind, bool kPairs = false>
void dispatch_tile(const GemmTile& tile, int rows) {
  switch (rows) {
    case 1: return run_tile<1, kKind, kPairs>(tile);
    case 2: return run_tile<2, kKind, kPairs>(tile);
    case 3: return run_tile<3, kKind, kPairs>(tile);
    case 4: return run_tile<4, kKind, kPairs>(tile);
#if !defined(YITI_ISA_portable)
    case 5: return run_tile<5, kKind, kPairs>(tile);
    case 6: return run_tile<6, kKind, kPairs>(tile);
#endif
#if defined(YITI_ISA_avx512)
    case 7: return run_tile<7, kKind, kPairs>(tile);
    case 8: return run_tile<8, kKind, kPairs>(tile);
    case 9: return run_tile<9, kKind, kPairs>(tile);
    case 10: return run_tile<10, kKind, kPairs>(tile);
    case 11: return run_tile<11, kKind, kPairs>(tile);
    case 12: return run_tile<12, kKind, kPairs>(tile);
#endif
    default: return;
  }
}

// Calls f(source) with the tag of `type`.
template <class F>
void with_source(FloatSource type, F&& f) {
  switch (type) {
    case FloatSource::kF32: return f(F32Source{});
    case FloatSource::kF16: return f(F16Source{});
    case FloatSource::kBF16: return f(BF16Source{});
  }
}

template <class Source>
const typename Source::Type* elements(Source, const void* data) {
  return static_cast<const typename Source::Type*>(data);
}

// Pointers to 16 rows; where there are fewer, the last one again.
template <class T>
void point_to_rows(const T* first, int64_t stride, int count, const T* (&rows)[16]) {
  for (int i = 0; i < 16; ++i) rows[i] = first + (i < count ? i : count - 1) * stride;
}

// Tells the memory of the part of the next panel that has the share of its bytes that this step has
// of this panel's: in the order of addresses, which hardware follows sooner than 16 short rows. Of
// rows longer than a page it follows each. Inlined, since GCC drops calls that only prefetch.
template <class T>
[[gnu::always_inline]] inline void prefetch_next_panel(const T* first, int64_t at, int64_t stride) {
  constexpr int64_t kPage = 4096 / sizeof(T), kLine = 64 / sizeof(T);
  if (stride > kPage) return;
  const T* next = first + kPanelWidth * (stride + at);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kColumns * kPanelWidth; i += kLine) __builtin_prefetch(next + i, 0, 2);
}

void pack_strided(FloatSource type, const void* b, int64_t k_stride, int64_t n_stride, int columns,
                  int64_t k, float* panel) {
  with_source(type, [&](auto source) {
    const auto* p = elements(source, b);
    for (int64_t i = 0; i < k; ++i) {
      store(panel + i * kPanelWidth, gather<decltype(source)>(p + i * k_stride, n_stride, columns));
    }
  });
}

void pack_rows(FloatSource type, const void* w, int64_t stride, int columns, int64_t k,
               float* panel) {
  if (columns < kPanelWidth) return pack_strided(type, w, 1, stride, columns, k, panel);
  with_source(type, [&](auto source) {
    using Source = decltype(source);
    const typename Source::Type* rows[16];
    point_to_rows(elements(source, w), stride, columns, rows);
    int64_t i = 0;
    for (; i + kColumns <= k; i += kColumns) {
      Vec column[kColumns];
      load_columns<Source>(rows, i, column);
      prefetch_next_panel(rows[0], i, stride);
#pragma GCC unroll 16
      for (int j = 0; j < kColumns; ++j) store(panel + (i + j) * kPanelWidth, column[j]);
    }
    for (; i < k; ++i) store(panel + i * kPanelWidth, load_column<Source>(rows, i));
  });
}

void pack_columns(FloatSource type, const void* b, int64_t stride, int columns, int64_t k,
                  float* panel) {
  if (columns < kPanelWidth) return pack_strided(type, b, stride, 1, columns, k, panel);
  with_source(type, [&](auto source) {
    const auto* p = elements(source, b);
    for (int64_t i = 0; i < k; ++i) {
      store(panel + i * kPanelWidth, decltype(source)::load16(p + i * stride));
    }
  });
}

void pack_a(const float* a, int64_t row_stride, int64_t k_stride, int rows, int64_t k,
            float* tile) {
  if (row_stride == 1) {
    // Each store overlaps the next step's place, which is written after it.
    for (int64_t i = 0; i < k; ++i) store(tile + i * kRows, load_n(a + i * k_stride, rows));
    return;
  }
  for (int m = 0; m < rows; ++m) {
    for (int64_t i = 0; i < k; ++i) tile[i * kRows + m] = a[m * row_stride + i * k_stride];
  }
}

template <class Source, int M>
void run_direct(const DirectRows& job) {
  const typename Source::Type* rows[16];
  point_to_rows(elements(Source{}, job.w), job.w_stride, job.out.columns, rows);
  float state[tile_state(M)];
  const float* x = job.x;
  int64_t at = 0;
  for (int s = 0; s < job.segment_count; ++s) {
    const LeafSegment& segment = job.segments[s];
    const int64_t end = at + segment.length;
    Vec chain[M];
    begin_segment<M>(segment, state, chain);
    for (; at + kColumns <= end; at += kColumns) {
      Vec column[kColumns];
      load_columns<Source>(rows, at, column);
      prefetch_next_panel(rows[0], at, job.w_stride);
#pragma GCC unroll 16
      for (int j = 0; j < kColumns; ++j) {
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) {
          chain[m] = fma(set1(x[m * job.x_stride + at + j]), column[j], chain[m]);
        }
      }
    }
    for (; at < end; ++at) {
      const Vec column = load_column<Source>(rows, at);
      for (int m = 0; m < M; ++m) {
        chain[m] = fma(set1(x[m * job.x_stride + at]), column, chain[m]);
      }
    }
    end_segment<M>(segment, state, job.out, chain);
  }
}

void direct(FloatSource type, const DirectRows& job, int rows) {
  with_source(type, [&](auto source) {
    using Source = decltype(source);
    switch (rows) {
      case 1: return run_direct<Source, 1>(job);
      case 2: return run_direct<Source, 2>(job);
      case 3: return run_direct<Source, 3>(job);
      default: return run_direct<Source, 4>(job);
    }
  });
}

constexpr RoundedProduct kRoundedFloats = {1,
                                           dispatch_tile<TileKind::kStrided>,
                                           dispatch_tile<TileKind::kFetching>,
                                           round_row<1>,
                                           round_panel<1>,
                                           nullptr};
#if defined(YITI_ISA_avx512)
void pack_pairs(const void* w, int64_t stride, int columns, int64_t k, float* panel) {
  pack_rows(FloatSource::kF32, w, stride / 2, columns, k / 2, panel);
  swap_halves(panel, k / 2 * kPanelWidth);
}

constexpr RoundedProduct kRoundedPairs = {2,
                                          dispatch_tile<TileKind::kStrided, true>,
                                          dispatch_tile<TileKind::kFetching, true>,
                                          round_row<2>,
                                          round_panel<2>,
                                          pack_pairs};
#endif

const RoundedProduct& rounded_product([[maybe_unused]] int64_t k) {
#if defined(YITI_ISA_avx512)
  static const bool has_pairs = multiplies_pairs();
  if (has_pairs && k % 2 == 0) return kRoundedPairs;
#endif
  return kRoundedFloats;
}

}  // namespace

extern const GemmTable gemm_table = {kRows,
                                     dispatch_tile<TileKind::kStrided>,
                                     dispatch_tile<TileKind::kPacked>,
                                     dispatch_tile<TileKind::kFetching>,
                                     pack_rows,
                                     pack_columns,
                                     pack_strided,
                                     pack_a,
                                     direct,
                                     rounded_product};

}  // namespace yiti::cpu::YITI_ISA
