#include "core/plugin/stream_check.h"

#include <array>
#include <numeric>
#include <vector>

#include "core/plugin/plugin_library.h"

namespace yiti {
namespace {

constexpr uint64_t kOffset = 64;

// A stream, an event and two blocks of memory, given back whatever happens.
class Parts {
 public:
  Parts(const yiti_device_plugin& table, yiti_device* device, uint64_t bytes)
      : table_(table), device_(device) {
    try {
      for (yiti_memory*& block : blocks) {
        call([&](yiti_message* m) { return table_.allocate(device_, bytes, &block, m); });
        ++made_blocks_;
      }
      call([&](yiti_message* m) { return table_.stream_create(device_, &stream, m); });
      has_stream_ = true;
      call([&](yiti_message* m) { return table_.event_create(device_, &event, m); });
      has_event_ = true;
    } catch (...) {
      give_back();
      throw;
    }
  }
  ~Parts() { give_back(); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  template <class F>
  void call(F&& f) const {
    call_plugin("device streams", table_.name, std::forward<F>(f));
  }

  std::array<yiti_memory*, 2> blocks{};
  yiti_stream* stream = nullptr;
  yiti_event* event = nullptr;

 private:
  void give_back() {
    if (has_event_) table_.event_destroy(device_, event);
    if (has_stream_) table_.stream_destroy(device_, stream);
    for (size_t i = 0; i < made_blocks_; ++i) table_.free(device_, blocks[i]);
  }

  const yiti_device_plugin& table_;
  yiti_device* device_;
  size_t made_blocks_ = 0;
  bool has_stream_ = false, has_event_ = false;
};

}  // namespace

std::string check_streams(const yiti_device_plugin& table, yiti_device* device) {
  std::vector<int32_t> sent(1 << 18);
  std::iota(sent.begin(), sent.end(), 1);
  std::vector<int32_t> got(sent.size());
  const uint64_t bytes = sent.size() * sizeof(int32_t);
  const Parts parts(table, device, bytes + kOffset);
  yiti_memory *const a = parts.blocks[0], *const b = parts.blocks[1];
  parts.call([&](yiti_message* m) {
    return table.copy_to_device(device, parts.stream, a, kOffset, sent.data(), bytes, m);
  });
  parts.call(
      [&](yiti_message* m) { return table.event_record(device, parts.event, parts.stream, m); });
  parts.call([&](yiti_message* m) { return table.event_wait(device, parts.event, nullptr, m); });
  parts.call([&](yiti_message* m) {
    return table.copy_on_device(device, nullptr, b, 0, a, kOffset, bytes, m);
  });
  parts.call([&](yiti_message* m) { return table.event_synchronise(device, parts.event, m); });
  parts.call(
      [&](yiti_message* m) { return table.clear(device, nullptr, b, 0, sizeof(int32_t), m); });
  parts.call([&](yiti_message* m) { return table.stream_synchronise(device, nullptr, m); });
  parts.call([&](yiti_message* m) {
    return table.copy_to_host(device, nullptr, got.data(), b, 0, bytes, m);
  });
  sent[0] = 0;
  return got == sent ? "" : "other numbers came back through two streams and an event";
}

}  // namespace yiti
