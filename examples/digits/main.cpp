// Trains both models, then runs them as programs: digits DIGITS_FILE
#include <cstring>
#include <iomanip>
#include <iostream>

#include "core/error.h"
#include "examples/digits/digits.h"
#include "inference/session.h"
#include "ops/shape/slice.h"

namespace yiti::digits {
namespace {

// Whether the program gives the bits of the training forward for the first `count` pictures.
bool same_bits(Session& session, const Model& model, const Tensor& pictures, int64_t count) {
  const Tensor images = ops::slice(pictures, 0, 0, count);
  const std::vector<float> wanted = eager_logits(model, images).to_vector<float>();
  images.copy_to_host(std::as_writable_bytes(
      std::span(session.input(0).data<float>(), static_cast<size_t>(images.numel()))));
  session.run({{count}}, model.store->current().get());
  return std::memcmp(session.output(0).raw(), wanted.data(), wanted.size() * sizeof(float)) == 0;
}

bool run(const Model& model, TrainOptions options, const Data& data, const DevicePtr& device) {
  options.progress = [&](int64_t epoch, double loss) {
    std::cout << '\r' << model.name << ": epoch " << epoch << ", loss " << loss << std::flush;
  };
  train(model, data.train, options);
  const double score = accuracy(eager_logits(model, data.test.images), data.test.labels);
  std::cout << "\n" << model.name << ": " << 100 * score << " % of the test pictures right\n";
  const int64_t count = data.test.labels.dim(0);
  Session session(capture(model, device, count));
  bool same = true;
  for (const int64_t size : {int64_t{1}, int64_t{7}, int64_t{64}, count}) {
    same = same && same_bits(session, model, data.test.images, size);
  }
  std::cout << "the program gives " << (same ? "the same bits as" : "OTHER BITS than")
            << " the training forward\n"
            << session.explain() << '\n';
  return same;
}

}  // namespace
}  // namespace yiti::digits

int main(int argc, char** argv) {
  using namespace yiti;
  if (argc != 2) {
    std::cerr << "usage: digits examples/data/digits/digits.safetensors\n";
    return 2;
  }
  try {
    const DevicePtr device = make_cpu_device({});
    const digits::Data data = digits::load_data(argv[1], device);
    std::cout << std::fixed << std::setprecision(4);
    const bool mlp =
        digits::run(digits::make_mlp(device, 1), {.lr = 5e-3, .progress = {}}, data, device);
    const bool conv =
        digits::run(digits::make_conv(device, 1), {.move = true, .progress = {}}, data, device);
    return mlp && conv ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "digits: " << error.what() << '\n';
    return 1;
  }
}
