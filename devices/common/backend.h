// What a plug-in's driver does for the ops: it runs kernels on one stream.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/plugin/yiti_device.h"
#include "devices/common/operands.h"

namespace yiti::devices {

/// Where elements lie: memory and a byte offset.
struct Place {
  yiti_memory* memory = nullptr;
  uint64_t offset = 0;

  Place at(int64_t bytes) const { return {memory, offset + static_cast<uint64_t>(bytes)}; }
};

/// A function of kernels/`file`.cl, built with `options`.
struct KernelId {
  const char* file;
  const char* name;
  std::string options;
};

/// One argument of a kernel: bytes, or, where `value` is null, a memory (which may be null).
struct Argument {
  const void* value;
  size_t bytes;
  yiti_memory* memory;
};

/// Work-items, in all or of a group.
using Extent = std::array<size_t, 3>;

class Launcher;
struct FloatProductCall;
struct CodeProductCall;
struct RowAttentionCall;
struct PagedAttentionCall;
struct RmsNormCall;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool has_doubles() const = 0;
  /// One int: the number of the first op that met a value out of range, or 0.
  virtual yiti_memory* fault() const = 0;
  virtual void launch(const KernelId& id, const Extent& global, const Extent& local,
                      std::span<const Argument> arguments) = 0;
  virtual void copy(const Place& target, const Place& source, int64_t bytes) = 0;
  virtual void clear(const Place& target, int64_t bytes) = 0;

  /// Work-items that a row gets in kernels/`file`.cl: GROUP, 64 unless the backend says otherwise.
  virtual size_t row_group(std::string_view /*file*/) const { return 64; }
  /// Plans or runs a product by a kernel of the backend's own, which gives the same bits for each
  /// row whatever the number of rows; false where it has none for these types and steps.
  virtual bool multiply(Launcher&, const FloatProductCall&) { return false; }
  virtual bool multiply(Launcher&, const CodeProductCall&) { return false; }
  /// The same of attention, which of both kinds gives a row the same bits.
  virtual bool attend(Launcher&, const RowAttentionCall&) { return false; }
  virtual bool attend(Launcher&, const PagedAttentionCall&) { return false; }
  virtual bool normalise(Launcher&, const RmsNormCall&) { return false; }
};

}  // namespace yiti::devices
