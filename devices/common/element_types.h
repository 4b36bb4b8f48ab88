// How kernels call the types of elements, in build options.
#pragma once

#include "devices/common/backend.h"

namespace yiti::devices {

/// An unsigned type as wide as a plain dtype's elements: what copies move.
inline const char* word_type(const Operand& x) {
  switch (element_bytes(x.dtype())) {
    case 1: return "uchar";
    case 2: return "ushort";
    case 4: return "uint";
    case 8: return "ulong";
    default: fail(YITI_STATUS_UNIMPLEMENTED, "takes plain types; got {}", dtype_name(x.dtype()));
  }
}

/// Of f32, i32 and i64, which are computed with.
inline const char* number_type(const Operand& x) {
  switch (x.dtype()) {
    case YITI_DTYPE_F32: return "float";
    case YITI_DTYPE_I32: return "int";
    case YITI_DTYPE_I64: return "long";
    default:
      fail(YITI_STATUS_UNIMPLEMENTED, "takes f32, i32 and i64; got {}", dtype_name(x.dtype()));
  }
}

/// Options of kernels for numbers: their type T, and FLOATS for f32.
inline BuildOptions number_options(const Operand& x) {
  return BuildOptions().define("-DT=", number_type(x)).add(x.is_f32() ? "-DFLOATS" : "");
}

/// Of ids, labels and places.
inline const char* index_type(const Operand& index) {
  return index.dtype() == YITI_DTYPE_I64 ? "long" : "int";
}

}  // namespace yiti::devices
