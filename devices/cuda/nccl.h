// NCCL's functions, by their own names.
#pragma once

#include <nccl.h>

#include "devices/common/operands.h"
#include "devices/cuda/shared_library.h"

namespace yiti::devices::cuda {

/// Making one throws YITI_STATUS_UNAVAILABLE where the library or one of its functions is missing.
class Nccl {
  SharedLibrary library_{fmt::format("libnccl.so.{}", NCCL_MAJOR)};

 public:
#define YITI_FUNCTION(name) decltype(&::name) name = library_.find<decltype(&::name)>(#name)
  YITI_FUNCTION(ncclGetUniqueId);
  YITI_FUNCTION(ncclCommInitRank);
  YITI_FUNCTION(ncclCommDestroy);
  YITI_FUNCTION(ncclAllReduce);
  YITI_FUNCTION(ncclAllGather);
  YITI_FUNCTION(ncclReduceScatter);
  YITI_FUNCTION(ncclBroadcast);
  YITI_FUNCTION(ncclSend);
  YITI_FUNCTION(ncclRecv);
  YITI_FUNCTION(ncclGetErrorString);
#undef YITI_FUNCTION
};

/// Throws, naming `call`, unless `result` is ncclSuccess.
inline void check(const Nccl& nccl, ncclResult_t result, const char* call) {
  if (result == ncclSuccess) return;
  fail(YITI_STATUS_INTERNAL, "{}: {}", call, nccl.ncclGetErrorString(result));
}

/// A plain dtype as NCCL calls it; throws YITI_STATUS_UNIMPLEMENTED for another one.
inline ncclDataType_t nccl_type(uint32_t dtype) {
  switch (dtype) {
    case YITI_DTYPE_F32: return ncclFloat32;
    case YITI_DTYPE_F64: return ncclFloat64;
    case YITI_DTYPE_F16: return ncclFloat16;
    case YITI_DTYPE_BF16: return ncclBfloat16;
    case YITI_DTYPE_I64: return ncclInt64;
    case YITI_DTYPE_I32: return ncclInt32;
    case YITI_DTYPE_I8: return ncclInt8;
    case YITI_DTYPE_U8: return ncclUint8;
    default: fail(YITI_STATUS_UNIMPLEMENTED, "no collectives of {}", dtype_name(dtype));
  }
}

}  // namespace yiti::devices::cuda
