// What all kernels share.
//
// These files are OpenCL C that is CUDA C++, too, after devices/cuda/prelude.cuh: memory that a group
// shares is declared SHARED, a kernel's group GROUP_OF, and a pair of floats made by PAIR.
#ifdef __OPENCL_VERSION__
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define SHARED __local
#define GROUP_OF(x, y, z) __attribute__((reqd_work_group_size(x, y, z)))
#define PAIR(a, b) (float2)(a, b)
#endif

// A tensor is a pair of arguments: its memory, and the place of its first element there.
#define IN(T, x) __global const T *x, const long x##_at
#define OUT(T, x) __global T *x, const long x##_at
#define AT(x) x += x##_at
// A number that is out of range is told by the op's number, once.
#define FAULT __global int *fault, const int op_number
#define REPORT atomic_cmpxchg(fault, 0, op_number)

// Work-items of a group in kernels that give a row to each group: a power of two.
#ifndef GROUP
#define GROUP 64
#endif
#define ONE_GROUP GROUP_OF(GROUP, 1, 1)

// Sizes and strides of some axes.
typedef struct {
  int rank, reserved;
  long size[8], step[8];
} Walk;

inline long walk_to(const Walk *walk, long index) {
  long at = 0;
  for (int axis = walk->rank - 1; axis >= 0; --axis) {
    at += index % walk->size[axis] * walk->step[axis];
    index /= walk->size[axis];
  }
  return at;
}

// Joins x of all `lanes` two by two, a with b, as a tree whose shape never changes.
#define GROUP_TREE(name, T, lanes, joined)                                \
  inline T name(T x, __local T *room) {                                   \
    const int lane = get_local_id(0);                                     \
    room[lane] = x;                                                       \
    barrier(CLK_LOCAL_MEM_FENCE);                                         \
    for (int half_size = lanes / 2; half_size > 0; half_size /= 2) {      \
      if (lane < half_size) {                                             \
        const T a = room[lane], b = room[lane + half_size];               \
        room[lane] = joined;                                              \
      }                                                                   \
      barrier(CLK_LOCAL_MEM_FENCE);                                       \
    }                                                                     \
    const T whole = room[0];                                              \
    barrier(CLK_LOCAL_MEM_FENCE);                                         \
    return whole;                                                         \
  }

// The larger one; NaN if either is.
inline float larger_of(float a, float b) { return a > b || a != a ? a : b; }

GROUP_TREE(group_sum, float, GROUP, a + b)
GROUP_TREE(group_max, float, GROUP, larger_of(a, b))

// The scale of the 8-bit codes of `width` floats, largest magnitude / 127, and what makes codes of
// them. With a NaN or an infinity the scale is NaN; below 1e-35, where 127 / top would overflow, all
// counts as zero.
inline float2 code_scale(__global const float *x, long width) {
  float top = 0.0f, probe = 0.0f;
  for (long k = 0; k < width; ++k) {
    top = fmax(top, fabs(x[k]));
    probe += x[k] * 0.0f;
  }
  const int counts = top > 1e-35f && probe == 0.0f;
  return PAIR(counts ? top / 127.0f : probe, counts ? 127.0f / top : 0.0f);
}

// A row of `width` elements for each group: x moved to it, and a lane's elements of it.
#define ROW(x) x += x##_at + (long)get_group_id(0) * width
#define EACH(i) for (long i = get_local_id(0); i < width; i += GROUP)

inline float row_top(__global const float *x, long width, __local float *room) {
  float top = -INFINITY;
  EACH(i) top = larger_of(top, x[i]);
  return group_max(top, room);
}

#ifdef __OPENCL_VERSION__
EXPONENTIAL(exp_of_16, float16, int16, convert_int16, as_float16)
#endif

// bfloat16 as bits, rounded to nearest even; NaN stays one.
inline float from_bf16(ushort bits) { return as_float((uint)bits << 16); }
inline ushort to_bf16(float x) {
  const uint bits = as_uint(x);
  if (x != x) return (ushort)(bits >> 16 | 64);
  return (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// x as binary16 keeps it.
inline float round_half(float x) {
  ushort bits;
  vstore_half_rte(x, 0, (__private half *)&bits);
  return vload_half(0, (__private const half *)&bits);
}
