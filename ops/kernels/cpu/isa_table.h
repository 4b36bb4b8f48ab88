// Kernels are written once, in *.isa.cpp, and compiled once per instruction set into a namespace of
// its own (YITI_ISA). Each family gathers its functions in a struct of pointers, its table.
//
// A *.isa.cpp includes nothing but <cstdint>, <cstddef>, <immintrin.h> and headers of this folder:
// an inline function of the standard library compiled with AVX-512 could replace everyone's.
#pragma once

#include "core/isa.h"

// Declares the tables `name` of type `Table` of each instruction set, and name##_for(Isa).
#define YITI_DECLARE_ISA_TABLE(Table, name)                                                      \
  namespace portable {                                                                           \
  extern const Table name;                                                                       \
  }                                                                                              \
  YITI_IF_X86(                                                                                   \
      namespace avx2 { extern const Table name; } namespace avx512 { extern const Table name; }) \
  inline const Table& name##_for(Isa isa) {                                                      \
    switch (isa) {                                                                               \
      YITI_IF_X86(case Isa::kAvx512 : return avx512::name; case Isa::kAvx2 : return avx2::name;) \
      default: return portable::name;                                                            \
    }                                                                                            \
  }

#if defined(__x86_64__)
#define YITI_IF_X86(...) __VA_ARGS__
#else
#define YITI_IF_X86(...)
#endif
