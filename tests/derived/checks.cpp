#include "tests/derived/checks.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "autograd/gradcheck.h"
#include "core/error.h"
#include "ops/derived/cases.h"
#include "ops/derived/comparison.h"
#include "ops/host_values.h"

namespace yiti::derived {
namespace {

std::vector<Tensor> copies(std::span<const Tensor> tensors) {
  std::vector<Tensor> out;
  for (const Tensor& tensor : tensors) out.push_back(copy_of(tensor));
  return out;
}

// Runs `f` for each sample in each dtype; what it throws becomes a finding.
void for_each_case(const Op& op, const DevicePtr& device, std::span<const DType> dtypes,
                   Findings& findings, const std::function<void(const Case&)>& f) {
  for (size_t i = 0; i < op.samples.size(); ++i) {
    for (DType dtype : dtypes) {
      try {
        if (const auto c = make_case(op, i, dtype, device)) f(*c);
      } catch (const std::exception& error) {
        findings.failures.push_back(
            fmt::format("sample {} in {} throws: {}", i, name(dtype), error.what()));
      }
    }
  }
}

// The devices of all instruction sets that this machine runs.
std::vector<DevicePtr> devices(int threads) {
  std::vector<DevicePtr> all;
  for (Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (!is_supported(isa)) continue;
    CpuOptions options;
    options.threads = threads;
    all.push_back(make_cpu_device(options, isa));
  }
  return all;
}

constexpr DType kAllTypes[] = {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI32};
constexpr DType kFloats[] = {DType::kF32, DType::kF64};
constexpr DType kF32Only[] = {DType::kF32};

void expect_rejection(const Op& op, std::span<const Tensor> in, const Attrs& attrs, bool must,
                      const std::string& what, Findings& findings) {
  try {
    (void)op.infer(in, attrs);
    if (must) findings.failures.push_back(fmt::format("accepts {}", what));
  } catch (const Error& error) {
    if (error.where() != op.name) {
      findings.failures.push_back(
          fmt::format("{}: \"{}\" does not name the op", what, error.what()));
    }
  } catch (const std::exception& error) {
    findings.failures.push_back(fmt::format("{}: throws {}", what, error.what()));
  }
}

void compare_kernel(const Op& op, const Kernel& kernel, const Case& c, const DevicePtr& device,
                    const std::vector<Tensor>& wanted, Findings& findings,
                    std::vector<Tensor>& first) {
  const std::string where = fmt::format("{} on {}, {}", kernel.name, name(device->isa()), c.label);
  GuardedRun run = run_guarded(op, kernel, c.in, c.attrs, device);
  if (!run.damage.empty()) findings.failures.push_back(fmt::format("{}: {}", where, run.damage));
  for (const std::string& difference : differences(op, run.out, wanted, findings.worst)) {
    findings.failures.push_back(fmt::format("{}: {}", where, difference));
  }
  const GuardedRun again = run_guarded(op, kernel, c.in, c.attrs, device);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!same_bits(run.out[i], again.out[i])) {
      findings.failures.push_back(fmt::format("{}: other bits the second time", where));
    }
    if (!first.empty() && !same_bits(run.out[i], first[i])) {
      findings.failures.push_back(fmt::format("{}: other bits than on portable", where));
    }
  }
  if (first.empty()) first = run.out;
}

void compare_rows(const Op& op, const Case& c, Findings& findings) {
  const std::vector<Tensor> whole = op(c.in, c.attrs);
  for (int64_t row = 0; row < c.in[0].dim(0); row += 5) {
    const std::vector<Tensor> alone = op(rows_of(op, c.in, row, row + 1), c.attrs);
    for (size_t i = 0; i < whole.size(); ++i) {
      const Tensor& out = whole[i];
      if (!out.defined() || !has_rows(op, op.outputs[i].dims, out.rank())) continue;
      if (out.numel() == 0) continue;
      Shape shape = out.shape();
      shape.set(0, 1);
      if (!same_bits(out.as_strided(shape, out.strides(), row * out.strides()[0]), alone[i])) {
        findings.failures.push_back(fmt::format("{}: row {} of {} differs from that row alone",
                                                c.label, row, op.outputs[i].name));
        return;
      }
    }
  }
}

}  // namespace

Findings check_declaration(const Op& op) {
  Findings findings;
  const auto require = [&](bool ok, const char* what) {
    if (!ok) findings.failures.emplace_back(what);
  };
  require(!op.doc.empty(), "has no documentation");
  require(!op.source.empty(), "names no source");
  require(!op.inputs.empty() && !op.outputs.empty(), "has no inputs or no outputs");
  require(op.view || op.reference, "has neither a reference nor a view");
  require(!op.differentiable || op.gradient || op.reference,
          "is differentiable without gradient or reference");
  require(op.samples.size() >= 2, "has fewer than two samples");
  std::set<std::string> names;
  for (const auto& input : op.inputs) names.insert(input.name);
  require(names.size() == op.inputs.size(), "has two inputs of one name");
  bool empty = false;
  for_each_case(op, make_cpu_device(), kF32Only, findings, [&](const Case& c) {
    const auto count = [&](const std::vector<Tensor>& tensors) {
      for (const Tensor& tensor : tensors)
        empty = empty || (tensor.defined() && tensor.numel() == 0);
    };
    const std::vector<Tensor> out = op(copies(c.in), c.attrs);
    count(c.in);
    count(out);
    const std::vector<Tensor> inferred = op.infer(c.in, c.attrs);
    for (size_t i = 0; i < out.size(); ++i) {
      if (op.outputs[i].saved && !out[i].defined()) continue;
      if (!(out[i].shape() == inferred[i].shape()) || out[i].dtype() != inferred[i].dtype()) {
        findings.failures.push_back(fmt::format("{}: output {} is not what its shape rule says",
                                                c.label, op.outputs[i].name));
      }
    }
  });
  require(empty, "has no empty sample");
  return findings;
}

Findings check_rejections(const Op& op) {
  Findings findings;
  for_each_case(op, make_cpu_device(), kF32Only, findings, [&](const Case& c) {
    expect_rejection(op, {}, c.attrs, true, "no inputs", findings);
    const auto given = std::count_if(c.in.begin(), c.in.end(), [](auto& t) { return t.defined(); });
    for (size_t i = 0; i < c.in.size(); ++i) {
      const Op::Input& input = op.inputs[std::min(i, op.inputs.size() - 1)];
      const auto with = [&](const Tensor& tensor, bool must, const char* what) {
        std::vector<Tensor> in = c.in;
        in[i] = tensor;
        expect_rejection(op, in, c.attrs, must, fmt::format("{} for {}", what, input.name),
                         findings);
      };
      if (!input.optional) with(Tensor(), true, "nothing");
      if (!c.in[i].defined() || is_quantised(c.in[i].dtype())) continue;
      const DevicePtr& device = c.in[i].device();
      const DType dtype = c.in[i].dtype();
      const bool fixed = input.dims != "*" && input.dims.find("...") == std::string::npos;
      with(Tensor::meta(c.in[i].shape(), DType::kBool, device), input.kind != Kind::kAny, "bool");
      with(Tensor::meta(c.in[i].shape(), dtype, make_cpu_device()), given > 1,
           "another engine's tensor");
      with(Tensor::meta({}, dtype, device), fixed && input.dims != "[]", "a number");
      with(Tensor::meta({3, 5, 7, 11, 13, 17}, dtype, device), fixed, "six axes");
      for (int axis = 0; axis < c.in[i].rank(); ++axis) {
        Shape shape = c.in[i].shape();
        shape.set(axis, shape[axis] + 1);
        with(Tensor::meta(shape, dtype, device), false, "another size");
      }
    }
  });
  return findings;
}

Findings check_kernels(const Op& op) {
  Findings findings;
  if (!op.reference) return findings;
  for (size_t i = 0; i < op.samples.size(); ++i) {
    for (DType dtype : kAllTypes) {
      std::vector<std::vector<Tensor>> first(op.kernels.size());
      for (const DevicePtr& device : devices(2)) {
        try {
          const auto c = make_case(op, i, dtype, device);
          if (!c) continue;
          const std::vector<Tensor> wanted = op.reference(copies(c->in), c->attrs);
          for (const Kernel* kernel : accepting(op, *c, *device)) {
            compare_kernel(op, *kernel, *c, device, wanted, findings,
                           first[static_cast<size_t>(kernel - op.kernels.data())]);
          }
        } catch (const std::exception& error) {
          findings.failures.push_back(fmt::format("sample {} in {} on {} throws: {}", i,
                                                  name(dtype), name(device->isa()), error.what()));
        }
      }
    }
  }
  return findings;
}

Findings check_layouts(const Op& op) {
  Findings findings;
  if (is_updating(op)) return findings;
  for_each_case(op, make_cpu_device(), kFloats, findings, [&](const Case& c) {
    const std::vector<Tensor> wanted = op(c.in, c.attrs);
    const auto compare = [&](auto&& change, const char* what) {
      std::vector<Tensor> in;
      for (size_t i = 0; i < c.in.size(); ++i) in.push_back(change(c.in[i], i));
      const std::vector<Tensor> got = op(in, c.attrs);
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (!same_bits(got[i], wanted[i])) {
          findings.failures.push_back(fmt::format("{}: other bits from {}", c.label, what));
        }
      }
    };
    compare([](const Tensor& t, size_t) { return laid_out(t, 0); }, "strided inputs (permuted)");
    compare([](const Tensor& t, size_t) { return laid_out(t, 1); }, "strided inputs (sliced)");
    compare(
        [&](const Tensor& t, size_t i) {
          const Op::Input& input = op.inputs[std::min(i, op.inputs.size() - 1)];
          const bool index = t.defined() && input.kind == Kind::kIndex;
          return index ? of_doubles(to_doubles(t), t.shape(), DType::kI32, t.device()) : t;
        },
        "indices in i32");
  });
  return findings;
}

Findings check_threads(const Op& op) {
  Findings findings;
  if (op.view) return findings;
  for (size_t i = 0; i < op.samples.size(); ++i) {
    for (const bool rows : {false, true}) {
      std::vector<Tensor> first;
      for (int threads : {1, 2, 4}) {
        CpuOptions options;
        options.threads = threads;
        const DevicePtr device = make_cpu_device(options);
        try {
          const auto c = rows ? make_rows(op, i, 300, DType::kF32, device)
                              : make_longer(op, i, 97, DType::kF32, device);
          if (!c || accepting(op, *c, *device).empty()) continue;
          const std::vector<Tensor> out = op(c->in, c->attrs);
          if (first.empty()) first = out;
          for (size_t j = 0; j < out.size(); ++j) {
            if (!same_bits(out[j], first[j])) {
              findings.failures.push_back(
                  fmt::format("{}: other bits on {} threads", c->label, threads));
            }
          }
        } catch (const std::exception& error) {
          findings.failures.push_back(fmt::format("a long sample {} throws: {}", i, error.what()));
        }
      }
    }
  }
  return findings;
}

Findings check_rows(const Op& op) {
  Findings findings;
  if (is_updating(op) || op.view) return findings;
  for (size_t i = 0; i < op.samples.size(); ++i) {
    try {
      const auto c = make_rows(op, i, 37, DType::kF32, make_cpu_device());
      if (c) compare_rows(op, *c, findings);
    } catch (const std::exception& error) {
      findings.failures.push_back(
          fmt::format("sample {} with other rows throws: {}", i, error.what()));
    }
  }
  return findings;
}

Findings check_gradients(const Op& op) {
  Findings findings;
  if (!op.differentiable || op.surrogate_gradient) return findings;
  int64_t compared = 0;
  constexpr DType kF64[] = {DType::kF64};
  for_each_case(op, make_cpu_device(), kF64, findings, [&](const Case& c) {
    for (size_t i = 0; i < c.in.size(); ++i) {
      if (!c.in[i].defined() || c.in[i].dtype() != DType::kF64) continue;
      auto report = gradcheck(op, c.in, c.attrs, i);
      if (report.ok()) {
        compared += 1;
        findings.worst = std::max(findings.worst, report.value().worst);
      } else if (std::string(report.error().what()).find("has no gradient of its input") !=
                 std::string::npos) {
        findings.notes.push_back(
            fmt::format("{} has no gradient", op.inputs[std::min(i, op.inputs.size() - 1)].name));
      } else {
        findings.failures.push_back(fmt::format("{}: {}", c.label, report.error().what()));
      }
    }
  });
  if (compared == 0 && findings.failures.empty()) {
    findings.failures.emplace_back("is differentiable, but no gradient was compared");
  }
  return findings;
}

}  // namespace yiti::derived
