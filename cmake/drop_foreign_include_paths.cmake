# For message builds against the ROS wheels of PyPI, given as CMAKE_PROJECT_INCLUDE: some of their imported targets name
# an include directory of the machine the wheels were built on, and CMake refuses targets whose directories are missing.
# Runs at the end of the directory scope, when every find_package() has happened.

function(pasco_drop_foreign_include_paths)
  get_directory_property(targets IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(directories)
      list(FILTER directories EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
    endif()
  endforeach()
endfunction()

cmake_language(DEFER CALL pasco_drop_foreign_include_paths)
