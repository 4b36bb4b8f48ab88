# Installs headers, libraries and the package that find_package(yiti) reads. Included last.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY YITI_LIBRARIES)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/yiti)

# yiti::yiti links every library that was built.
add_library(yiti_all INTERFACE)
add_library(yiti::yiti ALIAS yiti_all)
set_target_properties(yiti_all PROPERTIES EXPORT_NAME yiti)
target_link_libraries(yiti_all INTERFACE ${libraries})

target_include_directories(yiti_options INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/yiti>)
set_target_properties(yiti_options PROPERTIES EXPORT_NAME options)
install(TARGETS yiti_options yiti_all ${libraries} EXPORT yitiTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT yiti)
install(EXPORT yitiTargets NAMESPACE yiti:: DESTINATION ${package_dir} COMPONENT yiti)

foreach(folder IN LISTS folders)
  if(NOT folder STREQUAL "cli")
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}
      DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/yiti COMPONENT yiti
      FILES_MATCHING PATTERN "*.h")
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/yiti.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/yiti COMPONENT yiti)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/yitiConfig.cmake.in
  ${PROJECT_BINARY_DIR}/yitiConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/yitiConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/yitiConfig.cmake ${PROJECT_BINARY_DIR}/yitiConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT yiti)
