#include "devices/opencl/device.h"

#include <array>
#include <vector>

#include "devices/common/kernel_sources.h"

using yiti::devices::opencl::check;

yiti_device::yiti_device(cl_device_id id)
    : id_(id),
      has_doubles_(
          yiti::devices::opencl::device_text(id, CL_DEVICE_EXTENSIONS).find("cl_khr_fp64") !=
          std::string::npos),
      is_cpu_((yiti::devices::opencl::device_value<cl_device_type>(id, CL_DEVICE_TYPE) &
               CL_DEVICE_TYPE_CPU) != 0) {
  cl_int error = CL_SUCCESS;
  context_.reset(clCreateContext(nullptr, 1, &id_, nullptr, nullptr, &error));
  check(error, "clCreateContext");
  queue_ = make_queue();
  cl_int none = 0;
  fault_.buffer.reset(clCreateBuffer(context(), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                     sizeof(none), &none, &error));
  check(error, "clCreateBuffer");
  common_options_ = "-cl-std=CL1.2";
  const auto single =
      yiti::devices::opencl::device_value<cl_device_fp_config>(id, CL_DEVICE_SINGLE_FP_CONFIG);
  if ((single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0) {
    common_options_ += " -cl-fp32-correctly-rounded-divide-sqrt";
  }
}

yiti::devices::opencl::Queue yiti_device::make_queue() const {
  cl_int error = CL_SUCCESS;
  yiti::devices::opencl::Queue queue(clCreateCommandQueue(context(), id_, 0, &error));
  check(error, "clCreateCommandQueue");
  return queue;
}

cl_program yiti_device::program(const char* file, const std::string& options) {
  yiti::devices::opencl::Program& found = programs_[fmt::format("{} {}", file, options)];
  if (found) return found.get();
  std::array<const char*, 3> sources = {yiti::devices::kernel_source("elements"),
                                        yiti::devices::kernel_source("common"),
                                        yiti::devices::kernel_source(file)};
  cl_int error = CL_SUCCESS;
  yiti::devices::opencl::Program made(
      clCreateProgramWithSource(context(), 3, sources.data(), nullptr, &error));
  check(error, "clCreateProgramWithSource");
  const std::string all = common_options_ + " " + options;
  error = clBuildProgram(made.get(), 1, &id_, all.c_str(), nullptr, nullptr);
  if (error != CL_SUCCESS) {
    std::vector<char> log(1 << 14);
    size_t length = 0;
    clGetProgramBuildInfo(made.get(), id_, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), &length);
    const std::string_view said(log.data(), length > 0 && length <= log.size() ? length - 1 : 0);
    yiti::devices::fail(YITI_STATUS_INTERNAL, "clBuildProgram of {}.cl ({}): {}: {}", file, all,
                        yiti::devices::opencl::error_name(error), said.substr(0, 700));
  }
  found = std::move(made);
  return found.get();
}

cl_kernel yiti_device::kernel(const yiti::devices::KernelId& id) {
  if (const auto* found = kernels_.find(id)) return found->get();
  cl_int error = CL_SUCCESS;
  yiti::devices::opencl::Kernel made(
      clCreateKernel(program(id.file, id.options.text()), id.name, &error));
  check(error, id.name);
  return kernels_.add(id, std::move(made)).get();
}

namespace yiti::devices::opencl {

std::string device_text(cl_device_id id, cl_device_info what) {
  size_t length = 0;
  check(clGetDeviceInfo(id, what, 0, nullptr, &length), "clGetDeviceInfo");
  std::string text(length, '\0');
  check(clGetDeviceInfo(id, what, length, text.data(), nullptr), "clGetDeviceInfo");
  if (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

}  // namespace yiti::devices::opencl
