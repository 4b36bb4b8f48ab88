// Makes CUDA C++ of the kernels that are OpenCL C (kernels/*.cl): NVRTC reads this before them. It is
// compiled with --device-as-default-execution-space and --fmad=false. Names in lower case only: the
// kernels' build options are macros in upper case.

#define __kernel extern "C" __global__
#define __global
#define __local
#define __private
#define SHARED __shared__
#define GROUP_OF(x, y, z) __launch_bounds__((x) * (y) * (z))
#define cl_khr_fp64
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#define CLK_LOCAL_MEM_FENCE

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

inline void barrier() { __syncthreads(); }
inline int atomic_cmpxchg(int *word, int expected, int value) {
  return atomicCAS(word, expected, value);
}

inline size_t get_local_id(int axis) {
  return axis == 0 ? threadIdx.x : axis == 1 ? threadIdx.y : threadIdx.z;
}
inline size_t get_group_id(int axis) {
  return axis == 0 ? blockIdx.x : axis == 1 ? blockIdx.y : blockIdx.z;
}
inline size_t get_local_size(int axis) {
  return axis == 0 ? blockDim.x : axis == 1 ? blockDim.y : blockDim.z;
}
inline size_t get_global_id(int axis) {
  return get_group_id(axis) * get_local_size(axis) + get_local_id(axis);
}

inline float as_float(int bits) { return __int_as_float(bits); }
inline float as_float(uint bits) { return __uint_as_float(bits); }
inline uint as_uint(float x) { return __float_as_uint(x); }
inline int as_int(float x) { return __float_as_int(x); }

inline int clamp(int x, int low, int high) { return min(max(x, low), high); }

// Vectors, as halves of vectors.
template <class element, int width>
struct vector {
  vector<element, width / 2> lo, hi;

  vector() = default;
  vector(element x) : lo(x), hi(x) {}
  template <class other>
  explicit vector(const vector<other, width> &x) : lo(x.lo), hi(x.hi) {}
  element operator[](int i) const { return i < width / 2 ? lo[i] : hi[i - width / 2]; }
  void set(int i, element x) { i < width / 2 ? lo.set(i, x) : hi.set(i - width / 2, x); }
};
template <class element>
struct alignas(2 * sizeof(element)) vector<element, 2> {
  element x, y;

  vector() = default;
  vector(element both) : x(both), y(both) {}
  vector(element first, element second) : x(first), y(second) {}
  template <class other>
  explicit vector(const vector<other, 2> &from)
      : x(static_cast<element>(from.x)), y(static_cast<element>(from.y)) {}
  element operator[](int i) const { return i == 0 ? x : y; }
  void set(int i, element value) { (i == 0 ? x : y) = value; }
};

template <class element, int width, class function>
inline vector<element, width> each_of(const vector<element, width> &a,
                                      const vector<element, width> &b, function f) {
  vector<element, width> out;
#pragma unroll
  for (int i = 0; i < width; ++i) out.set(i, static_cast<element>(f(a[i], b[i])));
  return out;
}
#define VECTOR_OPERATOR(op)                                                        \
  template <class element, int width>                                              \
  inline vector<element, width> operator op(const vector<element, width> &a,       \
                                            const vector<element, width> &b) {     \
    return each_of(a, b, [](element x, element y) { return x op y; });             \
  }                                                                                \
  template <class element, int width>                                              \
  inline vector<element, width> operator op(const vector<element, width> &a, element b) { \
    return a op vector<element, width>(b);                                         \
  }                                                                                \
  template <class element, int width, class other>                                 \
  inline vector<element, width> &operator op##=(vector<element, width> &a, const other &b) { \
    return a = a op b;                                                             \
  }
VECTOR_OPERATOR(+)
VECTOR_OPERATOR(-)
VECTOR_OPERATOR(*)
VECTOR_OPERATOR(&)
VECTOR_OPERATOR(>>)

template <int width>
inline vector<float, width> fma(const vector<float, width> &a, const vector<float, width> &b,
                                const vector<float, width> &c) {
  vector<float, width> out;
#pragma unroll
  for (int i = 0; i < width; ++i) out.set(i, __fmaf_rn(a[i], b[i], c[i]));
  return out;
}

// CUDA's own types of these names are hidden.
#define VECTOR_TYPE(type, width)                                                          \
  inline vector<type, width> vload##width(size_t i, const type *from) {                   \
    vector<type, width> out;                                                              \
    _Pragma("unroll") for (int k = 0; k < width; ++k) out.set(k, from[i * width + k]);    \
    return out;                                                                           \
  }                                                                                       \
  inline void vstore##width(const vector<type, width> &x, size_t i, type *to) {           \
    _Pragma("unroll") for (int k = 0; k < width; ++k) to[i * width + k] = x[k];           \
  }
#define VECTOR_TYPES(type) VECTOR_TYPE(type, 2) VECTOR_TYPE(type, 4) VECTOR_TYPE(type, 8) VECTOR_TYPE(type, 16)
VECTOR_TYPES(char)
VECTOR_TYPES(uchar)
VECTOR_TYPES(short)
VECTOR_TYPES(ushort)
VECTOR_TYPES(int)
VECTOR_TYPES(float)
#define CONVERSIONS(type, width)                                          \
  template <class from>                                                   \
  inline vector<type, width> convert_##type##width(const vector<from, width> &x) { \
    return vector<type, width>(x);                                        \
  }
#define CONVERSIONS_TO(type) CONVERSIONS(type, 2) CONVERSIONS(type, 4) CONVERSIONS(type, 8) CONVERSIONS(type, 16)
CONVERSIONS_TO(short)
CONVERSIONS_TO(int)
CONVERSIONS_TO(float)
#define as_char16(x) (vector<char, 16>(x))
#define char2 vector<char, 2>
#define char4 vector<char, 4>
#define char8 vector<char, 8>
#define char16 vector<char, 16>
#define uchar2 vector<uchar, 2>
#define uchar4 vector<uchar, 4>
#define uchar8 vector<uchar, 8>
#define uchar16 vector<uchar, 16>
#define short2 vector<short, 2>
#define short4 vector<short, 4>
#define short8 vector<short, 8>
#define short16 vector<short, 16>
#define int2 vector<int, 2>
#define int4 vector<int, 4>
#define int8 vector<int, 8>
#define int16 vector<int, 16>
#define float2 vector<float, 2>
#define float4 vector<float, 4>
#define float8 vector<float, 8>
#define float16 vector<float, 16>
#define PAIR(a, b) (vector<float, 2>(a, b))

// binary16 as bits.
struct half {
  ushort bits;
};
inline float vload_half(size_t i, const half *from) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(from[i].bits));
  return x;
}
inline void vstore_half_rte(float x, size_t i, half *to) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to[i].bits) : "f"(x));
}

// Towards zero, limited to the type's range; NaN is 0. `past` is the least number above the range.
template <class to, class from>
inline to saturated(from x, from past, from low, to least, to most) {
  return x != x ? static_cast<to>(0) : x < low ? least : x >= past ? most : static_cast<to>(x);
}
#define SATURATED(type, past, low, least, most)                          \
  template <class from>                                                  \
  inline type convert_##type##_sat_rtz(from x) {                         \
    return saturated<type, from>(x, static_cast<from>(past), static_cast<from>(low), least, most); \
  }
SATURATED(uchar, 256, 0, 0, 255)
SATURATED(char, 128, -128, -128, 127)
SATURATED(short, 32768, -32768, -32768, 32767)
SATURATED(int, 2147483648.0, -2147483648.0, -2147483647 - 1, 2147483647)
SATURATED(long, 9223372036854775808.0, -9223372036854775808.0, -9223372036854775807L - 1,
          9223372036854775807L)
