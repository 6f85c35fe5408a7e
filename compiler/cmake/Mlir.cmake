# The only file that knows where MLIR is and how to link it: the shared libraries libMLIR and libLLVM, never their
# static archives beside them (two copies of LLVM's option registry abort at start).
find_package(MLIR 22.1 REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddMLIR)

add_library(elah_mlir INTERFACE)
target_link_libraries(elah_mlir INTERFACE MLIR LLVM)
target_include_directories(elah_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_include_directories(elah_mlir INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(elah_mlir INTERFACE
  -fno-exceptions -fno-rtti -Wall -Wextra -Wno-unused-parameter -fpch-instantiate-templates)

# One precompiled header for everything that sees MLIR: it halves the time of a pass's rebuild.
file(WRITE ${PROJECT_BINARY_DIR}/mlir_pch.cpp "// Holds the precompiled header.\n")
add_library(elah_mlir_pch STATIC ${PROJECT_BINARY_DIR}/mlir_pch.cpp)
target_link_libraries(elah_mlir_pch PRIVATE elah_mlir)
target_precompile_headers(elah_mlir_pch PRIVATE
  <mlir/IR/Builders.h>
  <mlir/IR/BuiltinOps.h>
  <mlir/IR/DialectImplementation.h>
  <mlir/IR/MLIRContext.h>
  <mlir/IR/OpImplementation.h>
  <mlir/IR/PatternMatch.h>
  <mlir/Pass/Pass.h>)

# elah_tablegen(<td> <output>=<flag>[,<flag>]...): generated files land beside the source's place in the build tree.
function(elah_tablegen td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  foreach(rule IN LISTS ARGN)
    string(REGEX MATCH "^([^=]+)=(.+)$" _ "${rule}")
    set(out ${CMAKE_MATCH_1})
    string(REPLACE "," ";" flags "${CMAKE_MATCH_2}")
    mlir_tablegen(${out} ${flags} EXTRA_INCLUDES ${PROJECT_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
    if(out MATCHES "\\.md$")
      set_property(GLOBAL APPEND PROPERTY ELAH_DOCS ${CMAKE_CURRENT_BINARY_DIR}/${out})
    endif()
  endforeach()
  file(RELATIVE_PATH dir ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(MAKE_C_IDENTIFIER "${dir}/${td}" id)
  add_custom_target(gen_${id} DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(mlir-headers gen_${id})
endfunction()

# elah_docs(): `ninja docs` puts the pages of dialects and passes into docs/ of the build tree. Comes last.
function(elah_docs)
  get_property(pages GLOBAL PROPERTY ELAH_DOCS)
  add_custom_target(docs
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/docs
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${pages} ${PROJECT_BINARY_DIR}/docs
    DEPENDS ${pages} mlir-headers
    VERBATIM)
endfunction()

# elah_library(<name> SRCS <file>... [DEPS <target>...]): a static library of compiler code.
function(elah_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} elah_mlir)
  target_precompile_headers(${name} REUSE_FROM elah_mlir_pch)
  add_dependencies(${name} mlir-headers)
endfunction()

# elah_tool(<name> SRCS <file>... [DEPS <target>...]): a program of the compiler's.
function(elah_tool name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} elah_mlir)
  add_dependencies(${name} mlir-headers)
endfunction()
