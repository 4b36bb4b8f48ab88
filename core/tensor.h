// The tensor: a typed, strided view of shared storage.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace yiti {

class Recorder;

/// What follows a tensor through ops: the value `id` of a recorder (autograd's tape, a program).
struct Trace {
  std::shared_ptr<Recorder> recorder;
  int64_t id = -1;
};

/// A value type: copying shares the storage. Const member functions are safe from several threads.
/// Strides count elements; a quantised tensor is a matrix [rows, columns] of whole blocks and
/// always contiguous. A tensor without storage ("meta") has a shape but no data.
class Tensor {
 public:
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype, DevicePtr device);
  static Tensor zeros(const Shape& shape, DType dtype, DevicePtr device);
  static Tensor full(const Shape& shape, double value, DType dtype, DevicePtr device);
  /// Copies `values`, which must be shape.numel() long.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape, DevicePtr device) {
    return from_bytes(std::as_bytes(values), shape, dtype_of<T>, std::move(device));
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, DevicePtr device) {
    return from(std::span<const T>(values), shape, std::move(device));
  }
  static Tensor from_bytes(std::span<const std::byte> bytes, const Shape& shape, DType dtype,
                           DevicePtr device);
  /// A contiguous view of storage at a byte offset. Throws kOutOfRange where it does not fit.
  static Tensor of_storage(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape,
                           DType dtype, Layout layout = Layout::kRows);
  /// Shape and dtype only, as program capture and saved metadata use.
  static Tensor meta(const Shape& shape, DType dtype, DevicePtr device,
                     Layout layout = Layout::kRows);

  bool defined() const { return device_ != nullptr; }
  bool has_storage() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Layout layout() const { return layout_; }
  const DevicePtr& device() const { return device_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  /// Bytes that the elements take when contiguous (panels pad rows to whole panels).
  size_t bytes() const;
  bool is_contiguous() const;

  /// Device pointer to the first element. Throws kFailedPrecondition for a meta tensor.
  std::byte* raw() const;
  /// The same, typed. Throws kInvalidArgument when T is not the dtype.
  template <class T>
  T* data() const {
    require_dtype(dtype_of<T>);
    return reinterpret_cast<T*>(raw());
  }
  /// A host copy of the elements in row-major order.
  template <class T>
  std::vector<T> to_vector() const {
    require_dtype(dtype_of<T>);
    std::vector<T> values(static_cast<size_t>(numel()));
    copy_to_host(std::as_writable_bytes(std::span(values)));
    return values;
  }
  /// Row-major elements into `target`, which must be bytes() long.
  void copy_to_host(std::span<std::byte> target) const;
  /// The only element of a tensor of one element, as a double.
  double item() const;

  /// This storage seen with other sizes; offset in elements from the first one. Not recorded: the
  /// differentiable views are ops. Throws kOutOfRange where it leaves the storage.
  Tensor as_strided(const Shape& shape, const Shape& strides, int64_t offset) const;
  /// Contiguous elements under another shape of the same numel. Not recorded.
  Tensor reshaped(const Shape& shape) const;
  /// Itself when contiguous, else a contiguous copy. Not recorded.
  Tensor contiguous() const;
  /// A contiguous copy that shares nothing with this. Not recorded.
  Tensor copy() const;
  /// Itself where it is on `device`, else a contiguous copy there. Not recorded.
  Tensor on(const DevicePtr& device) const;
  /// This tensor without its trace: gradients stop here.
  Tensor detached() const;
  /// Shape and dtype without storage and trace.
  Tensor as_meta() const;
  /// Whether both see the same storage from the same element on.
  bool same_memory(const Tensor& other) const {
    return storage_ == other.storage_ && offset_ == other.offset_;
  }

  const std::shared_ptr<const Trace>& trace() const { return trace_; }
  void set_trace(std::shared_ptr<const Trace> trace) { trace_ = std::move(trace); }

 private:
  void require_dtype(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  size_t offset_ = 0;  // bytes
  Shape shape_;
  Shape strides_;
  DType dtype_ = DType::kF32;
  Layout layout_ = Layout::kRows;
  DevicePtr device_;
  std::shared_ptr<const Trace> trace_;
};

/// Rows of a panel (Layout::kPanels).
inline constexpr int64_t kPanelRows = 16;

/// Bytes of `shape` elements of a dtype, contiguous. Throws kInvalidArgument where the last axis is
/// not a whole number of blocks or the size overflows.
size_t byte_size(const Shape& shape, DType dtype, Layout layout = Layout::kRows);

}  // namespace yiti
