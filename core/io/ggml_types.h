// The tensor types of ggml that a GGUF file may hold.
// Source: the type table of the GGUF specification, ggml/docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/dtype.h"

namespace yiti {

/// What yiti does with tensors of a type.
enum class GgmlSupport : uint8_t {
  kMapped,       ///< a DType: used in place
  kDequantised,  ///< becomes f32 when loaded
  kRefused,      ///< known, its size too, but not read
  kRemoved,      ///< no longer part of the format: its size is unknown
};

struct GgmlType {
  uint32_t id;            ///< the number in the file
  std::string_view name;  ///< as the specification has it: "Q4_K"
  int64_t block;          ///< elements in a block
  int64_t block_bytes;
  GgmlSupport support;
  std::optional<DType> dtype = std::nullopt;  ///< for kMapped
};

/// Null for a number that the table has not.
const GgmlType* find_ggml_type(uint32_t id);
/// Null for a DType that GGUF cannot hold (u8, bool).
const GgmlType* find_ggml_type(DType dtype);
/// The names of all types that are mapped or dequantised, as messages list them.
std::string supported_ggml_types();

/// Whole blocks of a quantised type as f32. Throws kInvalidArgument where the sizes do not agree
/// and kUnimplemented naming a type that is refused.
void dequantise_block_type(const GgmlType& type, std::span<const std::byte> blocks,
                           std::span<float> values);

}  // namespace yiti
