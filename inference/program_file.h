// Programs on disk (Protobuf, core/io/proto/yiti.proto).
#pragma once

#include <string>

#include "inference/program.h"

namespace yiti {

/// Writes a program. Parameters are stored by name, constants with their contents, state by shape.
void save_program(const std::string& path, const Program& program);

/// Reads a program to run with `store`'s parameters. State begins as zeros. Everything in the file
/// is checked: throws kDataLoss (damaged), kNotFound (an op or a parameter that is not there) or
/// kInvalidArgument (shapes that do not fit).
Program load_program(const std::string& path, const DevicePtr& device,
                     const ParameterStore* store = nullptr);

/// The same from bytes in memory; `where` stands in errors.
Program parse_program(const std::string& bytes, const std::string& where, const DevicePtr& device,
                      const ParameterStore* store = nullptr);

}  // namespace yiti
