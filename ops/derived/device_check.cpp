#include "ops/derived/device_check.h"

#include <chrono>

#include "core/error.h"
#include "core/plugin/composition.h"
#include "core/plugin/device_plugin.h"
#include "ops/derived/cases.h"
#include "ops/derived/comparison.h"
#include "ops/linear/panels.h"

namespace yiti::derived {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI32};
constexpr int64_t kRows = 37, kFirstPart = 19, kTimedRows = 256;

Case on_device(const Case& c, const DevicePtr& device) {
  Case moved = c;
  for (Tensor& tensor : moved.in) {
    if (!tensor.defined()) continue;
    // What is in panels on the host is in the device's own layout there, where it has one.
    const bool packs = tensor.layout() == Layout::kPanels && !device->host_accessible();
    tensor = packs ? packed_weight(unpack_panels(tensor).on(device)) : tensor.on(device);
  }
  return moved;
}

std::string shapes_of(std::span<const Tensor> in) {
  std::string text;
  for (const Tensor& tensor : in) {
    if (!text.empty()) text += ", ";
    if (!tensor.defined()) {
      text += "-";
    } else {
      if (is_quantised(tensor.dtype())) text += fmt::format("{} ", name(tensor.dtype()));
      text += tensor.shape().str();
    }
  }
  return text;
}

// A weight that the device has packed is read only, and a copy of it has rows.
std::vector<Tensor> copies(std::span<const Tensor> tensors) {
  std::vector<Tensor> out;
  for (const Tensor& tensor : tensors) {
    const bool packed = tensor.defined() && tensor.layout() == Layout::kPanels;
    out.push_back(packed ? tensor : copy_of(tensor));
  }
  return out;
}

// Of outputs that exist, the rows from `begin` on as many as `part` has.
bool same_rows(const Op& op, const std::vector<Tensor>& whole, const std::vector<Tensor>& part,
               int64_t begin) {
  for (size_t i = 0; i < whole.size(); ++i) {
    const Tensor& all = whole[i];
    if (!all.defined() || !has_rows(op, op.outputs[i].dims, all.rank()) || all.numel() == 0)
      continue;
    Shape shape = all.shape();
    shape.set(0, part[i].dim(0));
    const Tensor rows = all.as_strided(shape, all.strides(), begin * all.strides()[0]);
    if (!same_bits(rows, part[i])) return false;
  }
  return true;
}

// One op on one device.
class Checker {
 public:
  Checker(const Op& op, const DevicePtr& device, const DeviceCheckOptions& options)
      : op_(op), device_(device), options_(options) {}

  DeviceResult check(size_t sample, DType dtype, const Case& on_host) {
    result_ = {.dtype = dtype, .shapes = shapes_of(on_host.in), .text = {}};
    const Case c = on_device(on_host, device_);
    std::string why;
    const Kernel* kernel = op_.choose_kernel(c.in, c.attrs, *device_, &why);
    if (kernel == nullptr || kernel->stands_in) {
      result_.verdict = DeviceResult::Verdict::kUnsupported;
      result_.text = why;
      return result_;
    }
    // A fused op has the bits of its parts on the same device.
    const Case& given = is_composite(op_) ? c : on_host;
    check_values(*kernel, c, op_.reference(copies(given.in), given.attrs));
    if (!is_updating(op_)) {
      check_strides(c);
      if (options_.rows) check_rows(sample, dtype);
    } else if (kernel->takes_lists) {
      check_lists(c);
    }
    if (options_.times) measure(sample, dtype, on_host);
    device_->synchronise();
    return result_;
  }

 private:
  void require(bool ok, const std::string& text) {
    if (ok) return;
    result_.verdict = DeviceResult::Verdict::kFail;
    result_.text += fmt::format("{}{}", result_.text.empty() ? "" : "; ", text);
  }

  void check_values(const Kernel& kernel, const Case& c, const std::vector<Tensor>& wanted) {
    const GuardedRun run = run_guarded(op_, kernel, c.in, c.attrs, device_);
    require(run.damage.empty(), run.damage);
    for (const std::string& difference : differences(op_, run.out, wanted, result_.error)) {
      require(false, difference);
    }
    const GuardedRun again = run_guarded(op_, kernel, c.in, c.attrs, device_);
    for (size_t i = 0; i < run.out.size(); ++i) {
      require(same_bits(run.out[i], again.out[i]), "other bits the second time");
    }
  }

  void check_strides(const Case& c) {
    const std::vector<Tensor> wanted = op_(c.in, c.attrs);
    for (const int layout : {0, 1}) {
      std::vector<Tensor> in;
      for (const Tensor& tensor : c.in) in.push_back(laid_out(tensor, layout));
      const std::vector<Tensor> got = op_(in, c.attrs);
      for (size_t i = 0; i < wanted.size(); ++i) {
        require(same_bits(got[i], wanted[i]), "other bits from strided inputs");
      }
    }
  }

  void check_lists(const Case& c) {
    const std::vector<Tensor> alone = copies(c.in);
    (void)op_(alone, c.attrs);
    const std::vector<std::vector<Tensor>> lists = {copies(c.in), copies(c.in), copies(c.in)};
    op_.update_each(lists, c.attrs);
    for (const std::vector<Tensor>& list : lists) {
      for (size_t i = 0; i < list.size(); ++i) {
        require(same_bits(list[i], alone[i]), "other bits of several calls at once");
      }
    }
  }

  void check_rows(size_t sample, DType dtype) {
    const auto on_host = make_rows(op_, sample, kRows, dtype, device_->host());
    if (!on_host) return;
    const Case c = on_device(*on_host, device_);
    if (accepting(op_, c, *device_).empty()) return;
    const std::vector<Tensor> whole = op_(c.in, c.attrs);
    const int64_t rows = c.in[0].dim(0);
    const auto compare = [&](int64_t begin, int64_t end) {
      const std::vector<Tensor> part = op_(rows_of(op_, c.in, begin, end), c.attrs);
      require(same_rows(op_, whole, part, begin),
              fmt::format("rows {} to {} of {} have other bits alone", begin, end - 1, rows));
    };
    for (int64_t row = 0; row < rows; row += 5) compare(row, row + 1);
    if (rows > kFirstPart) {
      compare(0, kFirstPart);
      compare(kFirstPart, rows);
    }
  }

  void measure(size_t sample, DType dtype, const Case& small) {
    const Case on_host = make_rows(op_, sample, kTimedRows, dtype, device_->host()).value_or(small);
    const Case c = on_device(on_host, device_);
    result_.device_us = microseconds(c, *device_);
    result_.cpu_us = microseconds(on_host, *device_->host());
  }

  // Of a run, over as many as fill some milliseconds.
  double microseconds(const Case& c, Device& device) const {
    using Clock = std::chrono::steady_clock;
    const auto run = [&](int times) {
      const auto begun = Clock::now();
      for (int i = 0; i < times; ++i) (void)op_(c.in, c.attrs);
      device.synchronise();
      return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
    };
    constexpr double kEnough = 3000;
    run(1);
    const double once = run(1);
    if (once > kEnough) return once;
    const int times = static_cast<int>(kEnough / std::max(once, 1.0)) + 1;
    return run(times) / times;
  }

  const Op& op_;
  DevicePtr device_;
  DeviceCheckOptions options_;
  DeviceResult result_{};
};

}  // namespace

std::vector<DeviceResult> check_on_device(const Op& op, const DevicePtr& device,
                                          const DeviceCheckOptions& options) {
  std::vector<DeviceResult> results;
  if (op.view) return results;
  Checker checker(op, device, options);
  for (size_t sample = 0; sample < op.samples.size(); ++sample) {
    for (const DType dtype : kTypes) {
      const auto on_host = make_case(op, sample, dtype, device->host());
      if (!on_host) continue;
      try {
        results.push_back(checker.check(sample, dtype, *on_host));
      } catch (const Error& error) {
        results.push_back({.dtype = dtype,
                           .shapes = shapes_of(on_host->in),
                           .verdict = DeviceResult::Verdict::kFail,
                           .text = error.what()});
      }
    }
  }
  return results;
}

}  // namespace yiti::derived
