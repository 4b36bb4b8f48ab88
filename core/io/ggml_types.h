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

/// How yiti reads tensors of a type.
enum class GgmlSupport : uint8_t {
  kMapped,       ///< a DType: used in place
  kDequantised,  ///< becomes f32 when loaded
  kRefused,      ///< known, its size too, but not read
};

struct GgmlType {
  uint32_t id;            ///< the number in the file
  std::string_view name;  ///< as the specification has it: "Q4_K"
  int64_t block;          ///< elements in a block
  int64_t block_bytes;
  GgmlSupport support;
  std::optional<DType> dtype;  ///< for kMapped
};

/// Null for a number that the table has not.
const GgmlType* find_ggml_type(uint32_t id);
/// The ggml type of a DType. Throws kInvalidArgument for bf16's and other types that GGUF lacks
/// (bool, u8).
const GgmlType& ggml_type_of(DType dtype);
/// "F32, F16, …": the names of all types with that support.
std::string ggml_type_names(GgmlSupport support);

/// Whole blocks of a quantised type as f32: blocks.size() is a multiple of the block's bytes and
/// `values` as long as they say. Throws kUnimplemented naming a type that is refused.
void dequantise_block_type(const GgmlType& type, std::span<const std::byte> blocks,
                           std::span<float> values);

}  // namespace yiti
