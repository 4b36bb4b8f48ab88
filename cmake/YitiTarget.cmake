# One library target a folder, with the project's warnings, flags and include root.

add_library(yiti_options INTERFACE)
target_compile_features(yiti_options INTERFACE cxx_std_20)
target_include_directories(yiti_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_compile_options(yiti_options INTERFACE
  $<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wnon-virtual-dtor;-Wold-style-cast;-Woverloaded-virtual>
  $<BUILD_INTERFACE:$<$<AND:$<BOOL:${YITI_WERROR}>,$<CXX_COMPILER_ID:GNU>>:-Werror>>
  $<BUILD_INTERFACE:-ffp-contract=off>)
if(YITI_SANITIZE)
  target_compile_options(yiti_options INTERFACE -fsanitize=${YITI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(yiti_options INTERFACE -fsanitize=${YITI_SANITIZE})
  if(YITI_SANITIZE MATCHES "thread")
    # Asio has fences, which the sanitizer does not see; what it does is ordered by its mutexes, too.
    target_compile_options(yiti_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
endif()

# yiti_library(core SOURCES a.cpp … LINK other …): the target yiti_core, also as yiti::core.
function(yiti_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(yiti_${name} STATIC ${ARG_SOURCES})
  add_library(yiti::${name} ALIAS yiti_${name})
  set_target_properties(yiti_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME ${name})
  target_link_libraries(yiti_${name} PUBLIC yiti_options ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY YITI_LIBRARIES yiti_${name})
endfunction()
