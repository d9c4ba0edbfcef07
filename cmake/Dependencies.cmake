# Every third-party dependency, all from Debian's packages (scripts/install_packages.sh names them).
# Static archives are preferred: the agent is fully static, and a program with few shared objects starts faster.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
set(OPENSSL_USE_STATIC_LIBS ON)
find_package(OpenSSL 3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(tl-expected REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(GTest REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_library(SQLITE_ARCHIVE NAMES sqlite3 REQUIRED)
find_library(YAML_CPP_ARCHIVE NAMES yaml-cpp REQUIRED)
find_library(RE2_ARCHIVE NAMES re2 REQUIRED)
find_path(XXHASH_INCLUDE NAMES xxhash.h REQUIRED)  # used as a header: its functions are inlined
find_library(PUGIXML_ARCHIVE NAMES pugixml REQUIRED)

function(buoy_archive name archive)
  add_library(${name} INTERFACE IMPORTED)
  set_target_properties(${name} PROPERTIES INTERFACE_LINK_LIBRARIES "${archive};${ARGN}")
endfunction()
# Debian ships spdlog and fmt only as shared objects; the agent is static, so os/log.cc alone compiles them in.
buoy_archive(dep::spdlog spdlog::spdlog_header_only fmt::fmt-header-only)
buoy_archive(dep::sqlite ${SQLITE_ARCHIVE} ${CMAKE_DL_LIBS} m)
buoy_archive(dep::yaml ${YAML_CPP_ARCHIVE})
buoy_archive(dep::re2 ${RE2_ARCHIVE})
buoy_archive(dep::pugixml ${PUGIXML_ARCHIVE})
find_package(benchmark QUIET)
find_package(rapidcheck QUIET)
