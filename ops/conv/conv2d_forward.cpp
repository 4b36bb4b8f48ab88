// Convolution as products of the weights [outputs, taps] with panels [taps][16], where a panel
// holds what each tap sees at 16 places of the output, counted through the images. So weights are
// read as they lie, results are planes already, and the windows of one panel alone are stored at a
// time. Each result is its own chain over the taps, in the leaves of ops/linear/leaves.h. Memory
// beside inputs and outputs: some images framed by their padding, 256 KiB or one of them, and a
// panel a thread.
#include <cstring>

#include "ops/conv/conv2d_shape.h"
#include "ops/linear/leaf_segments.h"
#include "ops/linear/task_grid.h"
#include "ops/shape/contiguous.h"

namespace yiti::cpu {
namespace {

constexpr int64_t kBlockFloats = int64_t{1} << 16;  // of framed images
constexpr int kLanes = kPanelWidth;
constexpr int kRun = 8;  // lanes that are copied at once

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

struct Plan {
  Conv2dShape s;
  const GemmTable& table;
  int64_t height, width, frame;  // of a framed plane; its floats
  int64_t image;                 // floats of a framed image
  int64_t images;                // at once
  int64_t tiles;                 // of outputs
  TaskGrid grid;

  Plan(const Conv2dShape& shape, Device& device)
      : s(shape),
        table(gemm_table_for(device.isa())),
        height(s.windows.height + 2 * s.windows.a.padding_h),
        width(s.windows.width + 2 * s.windows.a.padding_w),
        frame(Shape{height, width}.numel()),
        image(Shape{s.channels, frame}.numel()),
        images(std::clamp<int64_t>(kBlockFloats / std::max<int64_t>(1, image), 1,
                                   std::max<int64_t>(1, s.images))),
        tiles((s.group_outputs() + table.rows - 1) / table.rows),
        grid(make_task_grid(device.threads().size(), tiles, panels(images), work())) {}

  // Half as many multiply-adds as there are: they are fast ones, from the nearest cache.
  int64_t work() const { return s.group_outputs() * images * s.windows.places() * s.taps() / 2; }

  int64_t panels(int64_t count) const {
    return round_up(count * s.windows.places(), kLanes) / kLanes;
  }
  // Whole vectors are copied from any place of the frames.
  int64_t frame_floats() const { return round_up(images * image + kLanes, kLanes); }
  int64_t panel_floats() const { return (s.taps() + 1) * kLanes; }
  int64_t result_floats() const { return table.rows * kLanes; }
  int64_t task_floats() const { return panel_floats() + result_floats() + tile_state(table.rows); }
};

// The places of a panel.
struct Lanes {
  int count, run_count = 0;
  int runs[kLanes];              // lanes that begin up to kRun neighbours in the frame
  int64_t offsets[kLanes] = {};  // of their windows' first elements

  Lanes(const Plan& plan, int64_t first, int64_t end)
      : count(static_cast<int>(std::min<int64_t>(kLanes, end - first))) {
    const Windows& w = plan.s.windows;
    int64_t image = first / w.places(), row = first % w.places() / w.out_w, x = first % w.out_w;
    for (int i = 0; i < count; ++i) {
      offsets[i] = image * plan.image + row * w.a.stride_h * plan.width + x * w.a.stride_w;
      const int run = run_count > 0 ? runs[run_count - 1] : i - kRun;
      if (i - run == kRun || offsets[i] != offsets[i - 1] + 1) runs[run_count++] = i;
      if (++x < w.out_w) continue;
      x = 0;
      if (++row < w.out_h) continue;
      row = 0;
      ++image;
    }
  }
};

// A block of images under way.
class Block {
 public:
  Block(const Plan& plan, Device& device, const float* x, const float* weight, bool bias, float* y,
        std::byte* workspace)
      : plan_(plan),
        s_(plan.s),
        device_(device),
        segments_(plan_leaves(s_.taps()), 0, s_.taps()),
        x_(x),
        weight_(weight),
        has_bias_(bias),
        y_(y),
        frames_(reinterpret_cast<float*>(workspace)) {}

  void run(int64_t first, int64_t count) {
    first_ = first;
    count_ = count;
    frame_images();
    for (int64_t group = 0; group < s_.groups; ++group) {
      device_.threads().parallel_for(plan_.grid.count(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          run_task(group, plan_.grid.row_part(i, plan_.tiles),
                   plan_.grid.column_part(i, plan_.panels(count_)),
                   frames_ + plan_.frame_floats() + i * plan_.task_floats());
        }
      });
    }
  }

 private:
  void frame_images() const {
    const Windows& w = s_.windows;
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, plan_.frame));
    device_.threads().parallel_for(count_ * s_.channels, grain, [&](int64_t begin, int64_t end) {
      std::fill(frames_ + begin * plan_.frame, frames_ + end * plan_.frame, 0.0f);
      for (int64_t plane = begin; plane < end; ++plane) {
        const float* source = x_ + (first_ * s_.channels + plane) * w.plane();
        float* target = frames_ + plane * plan_.frame + w.a.padding_h * plan_.width;
        for (int64_t i = 0; i < w.height; ++i) {
          std::copy_n(source + i * w.width, w.width, target + i * plan_.width + w.a.padding_w);
        }
      }
    });
  }

  void run_task(int64_t group, TaskGrid::Range tiles, TaskGrid::Range panels, float* panel) const {
    const int64_t places = s_.windows.places();
    for (int64_t p = panels.begin; p < panels.end; ++p) {
      const Lanes lanes(plan_, p * kLanes, count_ * places);
      gather(group, lanes, panel);
      const int64_t image = p * kLanes / places, place = p * kLanes % places;
      float* y = y_ + ((first_ + image) * s_.groups + group) * s_.group_outputs() * places + place;
      run_panel(group, tiles, panel, lanes.count, places - place, y);
    }
  }

  // The products of a panel. The first `here` places are y's, the others of the images behind.
  void run_panel(int64_t group, TaskGrid::Range tiles, float* panel, int count, int64_t here,
                 float* y) const {
    const int64_t rows = s_.group_outputs(), places = s_.windows.places();
    const bool crosses = count > here;
    float* result = panel + plan_.panel_floats();
    for (int64_t t = tiles.begin; t < tiles.end; ++t) {
      const int64_t m0 = t * rows / plan_.tiles, m1 = (t + 1) * rows / plan_.tiles;
      plan_.table.tile({.a = weight_ + (group * rows + m0) * s_.taps(),
                        .a_stride = s_.taps(),
                        .b = panel,
                        .segments = segments_.items.data(),
                        .segment_count = segments_.count,
                        .state = result + plan_.result_floats(),
                        .out = {.c = crosses ? result : y + m0 * places,
                                .c_stride = crosses ? kLanes : places,
                                .columns = count,
                                .bias = nullptr,
                                .addend = !crosses && has_bias_ ? y + m0 * places : nullptr}},
                       static_cast<int>(m1 - m0));
      if (crosses) scatter(result, m0, m1, count, here, y);
    }
  }

  void scatter(const float* result, int64_t begin, int64_t end, int count, int64_t here,
               float* y) const {
    const int64_t places = s_.windows.places();
    for (int64_t o = begin; o < end; ++o, result += kLanes) {
      float* target = y + o * places;
      for (int lane = 0, left = static_cast<int>(here); lane < count; ++lane, ++target) {
        if (lane == left) {
          target += (s_.outputs - 1) * places;
          left += static_cast<int>(places);
        }
        *target = has_bias_ ? *target + result[lane] : result[lane];
      }
    }
  }

  void gather(int64_t group, const Lanes& lanes, float* panel) const {
    switch (lanes.run_count) {
      case 1: return gather_runs<1>(group, lanes, panel);
      case 2: return gather_runs<2>(group, lanes, panel);
      case 3: return gather_runs<3>(group, lanes, panel);
      case 4: return gather_runs<4>(group, lanes, panel);
      default:
        each_tap(group, panel, [&](const float* seen, float* target) {
          for (int lane = 0; lane < kLanes; ++lane) target[lane] = seen[lanes.offsets[lane]];
        });
    }
  }

  // A copy may go on over the next run's lanes or the next tap's, which come later.
  template <int kRuns>
  void gather_runs(int64_t group, const Lanes& lanes, float* panel) const {
    int64_t from[kRuns], to[kRuns];
    for (int r = 0; r < kRuns; ++r) {
      to[r] = lanes.runs[r];
      from[r] = lanes.offsets[to[r]];
    }
    each_tap(group, panel, [&](const float* seen, float* target) {
#pragma GCC unroll 4
      for (int r = 0; r < kRuns; ++r) {
        std::memcpy(target + to[r], seen + from[r], kRun * sizeof(float));
      }
    });
  }

  // Calls f(what the window at the frames' first place sees, the tap's row of the panel).
  template <class F>
  void each_tap(int64_t group, float* panel, const F& f) const {
    const int64_t rows = s_.windows.kernel_h, columns = s_.windows.kernel_w;
    const int64_t down = s_.windows.a.dilation_h * plan_.width, across = s_.windows.a.dilation_w;
    const int64_t frame = plan_.frame, channels = s_.group_channels();
    const float* plane = frames_ + group * channels * frame;
    for (int64_t c = 0; c < channels; ++c, plane += frame) {
      const float* line = plane;
      for (int64_t i = 0; i < rows; ++i, line += down) {
        const float* seen = line;
        for (int64_t j = 0; j < columns; ++j, seen += across, panel += kLanes) f(seen, panel);
      }
    }
  }

  const Plan& plan_;
  const Conv2dShape& s_;
  Device& device_;
  const SegmentList segments_;
  const float *x_, *weight_;
  const bool has_bias_;  // lies in y already
  float *y_, *frames_;
  int64_t first_ = 0, count_ = 0;
};

// What every place begins with: the output's bias, or 0.
void fill_planes(const Tensor& bias, const Conv2dShape& s, float* y) {
  const Tensor values = bias.defined() ? ops::contiguous(bias) : Tensor();
  const float* value = bias.defined() ? values.data<float>() : nullptr;
  for (int64_t plane = 0; plane < s.images * s.outputs; ++plane) {
    std::fill_n(y + plane * s.windows.places(), s.windows.places(),
                value == nullptr ? 0.0f : value[plane % s.outputs]);
  }
}

}  // namespace

size_t convolution_workspace(const Conv2dShape& shape, Device& device) {
  const Plan plan(shape, device);
  return static_cast<size_t>(plan.frame_floats() + plan.grid.count() * plan.task_floats()) *
         sizeof(float);
}

void convolve(const Conv2dShape& shape, const Tensor& x, const Tensor& weight, const Tensor& bias,
              float* y, Device& device, std::byte* workspace) {
  const Plan plan(shape, device);
  if (bias.defined() || plan.s.taps() == 0) fill_planes(bias, plan.s, y);
  if (plan.s.taps() == 0) return;
  Block block(plan, device, x.data<float>(), weight.data<float>(), bias.defined(), y, workspace);
  for (int64_t first = 0; first < plan.s.images; first += plan.images) {
    block.run(first, std::min(plan.images, plan.s.images - first));
  }
}

size_t conv2d_workspace(std::span<const Tensor> in, const Attrs& attrs, Device& device) {
  return convolution_workspace(conv2d_forward_shape(in, attrs), device);
}

void run_conv2d(const KernelArgs& args) {
  if (args.out[0].numel() == 0) return;
  convolve(conv2d_forward_shape(args.in, args.attrs), ops::contiguous(args.in[0]),
           ops::contiguous(args.in[1]), args.in[2], args.out[0].data<float>(), args.device,
           args.workspace);
}

}  // namespace yiti::cpu
