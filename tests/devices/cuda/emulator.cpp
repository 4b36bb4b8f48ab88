#include "tests/devices/cuda/emulator.h"

#include <ucontext.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace yiti::emulated {
namespace {

constexpr size_t kStackBytes = 256 << 10;  // of memory that is not touched before it is used

// Those who wait for each other: a block, or a warp.
struct Meeting {
  int members = 0, present = 0;
  uint64_t held = 0;  ///< how many times all have met
};

struct Warp {
  Meeting meeting;
  void* given[32] = {};
};

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  Place place;
  Warp* warp = nullptr;
  unsigned lane = 0;
  bool ended = false;
  std::exception_ptr failure;
};

struct Block {
  ucontext_t scheduler{};
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Meeting meeting;
  const std::function<void()>* kernel = nullptr;
  Fiber* running = nullptr;
  bool moved = false;  ///< some fiber has come to a meeting, or ended
};

thread_local Block* block = nullptr;
thread_local int spoilt_row = -1;

void enter() {
  Fiber& own = *block->running;
  try {
    (*block->kernel)();
  } catch (...) {
    own.failure = std::current_exception();
  }
  own.ended = true;
  block->moved = true;
}

// Returns to the one who came last before the others go on.
template <class F>
void meet(Meeting& meeting, F together) {
  const uint64_t number = meeting.held;
  block->moved = true;
  if (++meeting.present == meeting.members) {
    together();
    meeting.present = 0;
    ++meeting.held;
    return;
  }
  while (meeting.held == number) {
    swapcontext(&block->running->context, &block->scheduler);
  }
}

bool is_reversed() {
  static const bool reversed = std::getenv("YITI_EMULATOR_REVERSED") != nullptr;
  return reversed;
}

void run_block(Dim number, Dim threads, const std::function<void()>& kernel) {
  const unsigned count = threads.x * threads.y * threads.z;
  Block own;
  block = &own;
  own.kernel = &kernel;
  own.fibers = std::vector<Fiber>(count);
  own.warps = std::vector<Warp>((count + 31) / 32);
  own.meeting.members = static_cast<int>(count);
  for (unsigned i = 0; i < count; ++i) {
    Fiber& fiber = own.fibers[i];
    fiber.place = {
        {i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)}, number, threads};
    fiber.warp = &own.warps[i / 32];
    fiber.lane = i % 32;
    ++fiber.warp->meeting.members;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &own.scheduler;
    makecontext(&fiber.context, enter, 0);
  }
  for (unsigned left = count; left > 0;) {
    own.moved = false;
    for (unsigned i = 0; i < count; ++i) {
      Fiber& fiber = own.fibers[is_reversed() ? count - 1 - i : i];
      if (fiber.ended) continue;
      own.running = &fiber;
      swapcontext(&own.scheduler, &fiber.context);
      if (fiber.failure) std::rethrow_exception(fiber.failure);
      if (fiber.ended) --left;
    }
    if (!own.moved) throw std::logic_error("threads wait for others that have ended");
  }
}

}  // namespace

void spoil_row(int row) { spoilt_row = row; }

const Place& here() { return block->running->place; }

void run(Dim blocks, Dim threads, const std::function<void()>& kernel) {
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) run_block({x, y, z}, threads, kernel);
    }
  }
}

void wait_for_block() {
  meet(block->meeting, [] {});
}

void meet_warp(void* given, const std::function<void(void* const (&lanes)[32])>& together) {
  Warp& warp = *block->running->warp;
  warp.given[block->running->lane] = given;
  meet(warp.meeting, [&] { together(warp.given); });
}

namespace {

// One lane's part in a product of fragments.
template <class D>
struct Fragments {
  D* d;
  const uint32_t *a, *b;
};

// D += A · B. Of a row, lane q has `kEach` elements from q * kEach on in one register, and as many
// of the row's other half in another. element(word, i) reads element i of a register; add(d,
// products) is the sum.
template <int kEach, class D, class Element, class Add>
void multiply(void* const (&lanes)[32], Element element, Add add) {
  constexpr int kDepth = 8 * kEach;
  const auto part = [&](int lane) { return static_cast<const Fragments<D>*>(lanes[lane]); };
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      decltype(element(0u, 0)) products[kDepth];
      for (int k = 0; k < kDepth; ++k) {
        const int q = k % (kDepth / 2) / kEach, high = k / (kDepth / 2);
        const uint32_t a = part(4 * (row % 8) + q)->a[row / 8 + 2 * high];
        const uint32_t b = part(4 * column + q)->b[high];
        products[k] = element(a, k % kEach) * element(b, k % kEach);
      }
      D& d = part(4 * (row % 8) + column / 2)->d[row / 8 * 2 + column % 2];
      add(d, products);
      if constexpr (std::is_floating_point_v<D>) {
        if (row == spoilt_row || column == spoilt_row) d = std::nextafter(d, D{0});
      }
    }
  }
}

// GPUs do not say in which order they add; this adds exactly and rounds once.
void add_exactly(float& sum, const auto& products) {
  double exact = 0;
  for (const double product : products) exact += product;
  sum = static_cast<float>(static_cast<double>(sum) + exact);
}

}  // namespace
}  // namespace yiti::emulated

using yiti::emulated::Fragments;

void add_product(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments<int> own{d, a, b};
  yiti::emulated::meet_warp(&own, [](void* const(&lanes)[32]) {
    yiti::emulated::multiply<4, int>(
        lanes,
        [](uint32_t word, int i) { return static_cast<int>(static_cast<int8_t>(word >> 8 * i)); },
        [](int& sum, const auto& products) {
          for (const int product : products) sum += product;
        });
  });
}

void add_product(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments<float> own{d, a, b};
  yiti::emulated::meet_warp(&own, [](void* const(&lanes)[32]) {
    yiti::emulated::multiply<2, float>(
        lanes,
        [](uint32_t word, int i) {
          return static_cast<double>(float_of((word >> 16 * i & 0xffff) << 16));
        },
        [](float& sum, const auto& products) { yiti::emulated::add_exactly(sum, products); });
  });
}

void add_product_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments<float> own{d, a, b};
  yiti::emulated::meet_warp(&own, [](void* const(&lanes)[32]) {
    yiti::emulated::multiply<1, float>(
        lanes, [](uint32_t word, int) { return static_cast<double>(float_of(word & 0xffffe000u)); },
        [](float& sum, const auto& products) { yiti::emulated::add_exactly(sum, products); });
  });
}

float exchange(float x, int mask) {
  struct Own {
    float in, out;
  } own{x, 0};
  yiti::emulated::meet_warp(&own, [mask](void* const(&lanes)[32]) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      static_cast<Own*>(lanes[lane])->out =
          static_cast<Own*>(lanes[lane ^ static_cast<unsigned>(mask)])->in;
    }
  });
  return own.out;
}

bool any_lane(bool holds) {
  bool own = holds;
  yiti::emulated::meet_warp(&own, [](void* const(&lanes)[32]) {
    bool any = false;
    for (void* lane : lanes) any = any || *static_cast<bool*>(lane);
    for (void* lane : lanes) *static_cast<bool*>(lane) = any;
  });
  return own;
}
