# yiti_isa_sources(target a.isa.cpp …): compiles the sources once per instruction set into target.
# May be called several times; the first source names the group.
function(yiti_isa_sources target)
  get_filename_component(group ${ARGV1} NAME_WE)
  set(isas portable)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND isas avx2 avx512)
  endif()
  set(flags_portable "")
  set(flags_avx2 -mavx2 -mfma -mf16c)
  # Always optimised: a debug build would otherwise test at a hundredth of the speed. With sanitizers
  # more than this takes the compiler minutes for each file.
  set(flags_all -O3)
  if(YITI_SANITIZE)
    set(flags_all -O1)
  endif()
  set(flags_avx512 ${flags_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mprefer-vector-width=512)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12's AVX-512 headers warn of their own undefined registers (GCC bug 105593).
    list(APPEND flags_avx512 -Wno-maybe-uninitialized -Wno-uninitialized)
    # Nor is it worth minutes to follow variables through unrolled loops for a debugger.
    list(APPEND flags_all -fno-var-tracking-assignments)
  endif()
  foreach(isa IN LISTS isas)
    add_library(${target}_${group}_${isa} OBJECT ${ARGN})
    set_target_properties(${target}_${group}_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${target}_${group}_${isa} PRIVATE yiti_options)
    target_compile_options(${target}_${group}_${isa} PRIVATE ${flags_${isa}} ${flags_all})
    target_compile_definitions(${target}_${group}_${isa} PRIVATE YITI_ISA=${isa} YITI_ISA_${isa})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${group}_${isa}>)
  endforeach()
endfunction()
