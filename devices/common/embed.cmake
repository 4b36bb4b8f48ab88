# cmake -D SOURCES=a.cl;b.cl -D OUTPUT=file.cpp -P embed.cmake: the texts as C++ literals.

set(entries "")
foreach(source IN LISTS SOURCES)
  get_filename_component(name ${source} NAME_WE)
  file(READ ${source} text)
  string(APPEND entries "  if (std::strcmp(file, \"${name}\") == 0) return R\"text(${text})text\";\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"devices/common/kernel_sources.h\"

#include <cstring>

const char* yiti::devices::kernel_source(const char* file) {
${entries}  return nullptr;
}
")
