#include "devices/common/operands.h"

namespace yiti::devices {

namespace {

constexpr const char* kNames[] = {"?",   "f64", "f32", "f16",  "bf16", "i64",  "i32",
                                  "i16", "i8",  "u8",  "bool", "q4_0", "q4_1", "q8_0"};

}  // namespace

const char* dtype_name(uint32_t dtype) { return dtype < std::size(kNames) ? kNames[dtype] : "?"; }

uint32_t dtype_of(std::string_view name) {
  for (uint32_t dtype = 1; dtype < std::size(kNames); ++dtype) {
    if (name == kNames[dtype]) return dtype;
  }
  fail(YITI_STATUS_INVALID_ARGUMENT, "no dtype {}", name);
}

int64_t element_bytes(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F64:
    case YITI_DTYPE_I64: return 8;
    case YITI_DTYPE_F32:
    case YITI_DTYPE_I32: return 4;
    case YITI_DTYPE_F16:
    case YITI_DTYPE_BF16:
    case YITI_DTYPE_I16: return 2;
    case YITI_DTYPE_I8:
    case YITI_DTYPE_U8:
    case YITI_DTYPE_BOOL: return 1;
    default: return 0;
  }
}

void require_f32(const Call& call, int count) {
  for (int i = 0; i < count; ++i) {
    const Operand x = call.in(i);
    if (!x || x.is_f32()) continue;
    require(
        x.dtype() != YITI_DTYPE_F64 && x.dtype() != YITI_DTYPE_F16 && x.dtype() != YITI_DTYPE_BF16,
        "takes f32; got {}", dtype_name(x.dtype()));
  }
}

}  // namespace yiti::devices
