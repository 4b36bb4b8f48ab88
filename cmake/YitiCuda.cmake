# The CUDA plug-in, where nvcc and the libraries of CUDA 12.8 or newer are.

include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
  enable_language(CUDA)
  find_package(CUDAToolkit 12.8)
  # cuBLAS itself is loaded when a device is opened.
  find_path(CUBLASLT_INCLUDE_DIR cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
endif()
if(CUDAToolkit_FOUND AND CUBLASLT_INCLUDE_DIR)
  add_subdirectory(cuda)
elseif(YITI_CUDA STREQUAL "ON")
  message(FATAL_ERROR "YITI_CUDA is ON, but there is no CUDA toolkit of 12.8 or newer with cuBLAS' headers")
endif()
