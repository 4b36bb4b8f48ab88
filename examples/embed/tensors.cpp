// Tensors and ops in a program that links yiti::ops alone.
#include <core/error.h>
#include <ops/elementwise/operators.h>

#include <iostream>

int main() {
  const yiti::DevicePtr device = yiti::make_cpu_device({.threads = 2});
  const auto row = yiti::Tensor::from(std::vector<float>{1, 2, 3}, {3}, device);
  const auto column = yiti::Tensor::from(std::vector<float>{10, 20}, {2, 1}, device);
  const yiti::Tensor table = row * column + 1;
  std::cout << table.shape().str() << ":";
  for (const float value : table.to_vector<float>()) std::cout << ' ' << value;
  std::cout << '\n';

  try {
    row + yiti::Tensor::zeros({2}, yiti::DType::kF32, device);
  } catch (const yiti::Error& error) {
    std::cout << error.what() << '\n';
  }
}
