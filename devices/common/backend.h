// What a plug-in's driver does for the ops: it runs kernels on one stream.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
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

/// Options that a kernel is built with, as pieces that outlive it: a launch finds its kernel by
/// them without making a text.
class BuildOptions {
 public:
  BuildOptions() = default;
  BuildOptions(const char* text) { add(text); }

  BuildOptions& add(const char* text) { return define(text, ""); }
  /// "-DNAME=" and its value.
  BuildOptions& define(const char* name, const char* value) { return push({name, value, kNone}); }
  BuildOptions& define(const char* name, int64_t value) { return push({name, "", value}); }

  /// As a compiler reads them.
  std::string text() const;
  size_t hash() const;
  bool operator==(const BuildOptions& other) const;

 private:
  static constexpr int64_t kNone = -1;
  struct Piece {
    std::string_view name, value;
    int64_t number = kNone;

    bool operator==(const Piece&) const = default;
  };
  BuildOptions& push(const Piece& piece) {
    pieces_.at(count_++) = piece;
    return *this;
  }

  std::array<Piece, 6> pieces_;
  size_t count_ = 0;
};

/// A function of kernels/`file`.cl, built with `options`.
struct KernelId {
  const char* file;
  const char* name;
  BuildOptions options;

  bool operator==(const KernelId& other) const {
    return std::string_view(name) == other.name && std::string_view(file) == other.file &&
           options == other.options;
  }
};

struct KernelIdHash {
  size_t operator()(const KernelId& id) const {
    return std::hash<std::string_view>()(id.name) * 31 + id.options.hash();
  }
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
struct AdamwCall;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool has_doubles() const = 0;
  /// Whether a work-item does best with vectors of 16: it is one thread of a CPU.
  virtual bool wide_vectors() const { return false; }
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
  /// Whether it rounds A itself where that is asked for; else it gets rounded floats.
  virtual bool rounds(const FloatProductCall&) const { return false; }
  /// Whether it multiplies the codes of activations; others get them as floats.
  virtual bool multiplies_codes() const { return false; }
  /// Whether both of these end in swiglu where they are given a second weight like `weight`.
  virtual bool gates(const Operand& /*weight*/, bool /*exact_activations*/) const { return false; }
  /// The same of attention, which of both kinds gives a row the same bits.
  virtual bool attend(Launcher&, const RowAttentionCall&) { return false; }
  virtual bool attend(Launcher&, const PagedAttentionCall&) { return false; }
  virtual bool normalise(Launcher&, const RmsNormCall&) { return false; }
  /// The same of an update of many tensors.
  virtual bool update(Launcher&, const AdamwCall&) { return false; }
};

}  // namespace yiti::devices
