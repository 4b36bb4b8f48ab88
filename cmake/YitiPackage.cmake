# The Debian package of the program, with its service: `cpack -G DEB` in the build folder.
set(packaging ${PROJECT_SOURCE_DIR}/packaging)
configure_file(${packaging}/yiti.service.in yiti.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/yiti.service DESTINATION /lib/systemd/system
  COMPONENT service EXCLUDE_FROM_ALL)
install(FILES ${packaging}/yiti.env DESTINATION /etc/yiti
  PERMISSIONS OWNER_READ OWNER_WRITE COMPONENT service EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/docs/operations.md ${PROJECT_SOURCE_DIR}/docs/serving.md
  DESTINATION /usr/share/doc/yiti COMPONENT service EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright
  DESTINATION /usr/share/doc/yiti COMPONENT service EXCLUDE_FROM_ALL)

set(CPACK_PACKAGE_NAME yiti)
set(CPACK_PACKAGE_CONTACT "the authors of yiti <yiti@localhost>")
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program service)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/conffiles)
include(CPack)
