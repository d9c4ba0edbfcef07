# Language, warnings, sanitizers: everything every target shares, as one INTERFACE target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(BUOY_WERROR "Warnings are errors" OFF)
option(BUOY_TESTS "Build the unit tests and fuzzers" ON)
set(BUOY_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

find_package(Threads REQUIRED)
add_library(buoy_settings INTERFACE)
target_include_directories(buoy_settings INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(buoy_settings INTERFACE
  BUOY_VERSION="${PROJECT_VERSION}")
target_link_libraries(buoy_settings INTERFACE Threads::Threads)
# Designated initializers leave out fields that have defaults on purpose.
target_compile_options(buoy_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wno-missing-field-initializers $<$<BOOL:${BUOY_WERROR}>:-Werror>)
if(BUOY_SANITIZE)
  target_compile_options(buoy_settings INTERFACE -fsanitize=${BUOY_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(buoy_settings INTERFACE -fsanitize=${BUOY_SANITIZE})
  if(BUOY_SANITIZE MATCHES undefined)
    # A null pointer that is used ends the program under AddressSanitizer too, and x86 and arm64 take any
    # alignment; checking both at every access makes a third of the time of compiling and half of the objects.
    target_compile_options(buoy_settings INTERFACE -fno-sanitize-recover=undefined -fno-sanitize=null,alignment)
  endif()
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  target_link_options(buoy_settings INTERFACE -fuse-ld=mold)
endif()
